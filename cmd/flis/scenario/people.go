package scenario

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// The municipalities of the story, with the number of people that live in each at the start.
var settled = []struct {
	kommune schemas.Kommunekode
	people  int
}{{"0101", 120}, {"0751", 80}, {"0461", 50}, {"0183", 20}, {"0825", 8}}

// person is one made-up person: the whole timeline that CPR would tell.
type person struct {
	pnr       string
	former    []former // numbers that the person had before
	koen      string
	born      schemas.Day
	status    string // CPR STATUS
	since     schemas.Day
	stays     []stay      // in order
	left      schemas.Day // emigrated on this day; Always = never
	land      string      // where to
	civil     string
	civilFrom schemas.Day
	citizen   string // LANDEKOD
}

type former struct {
	pnr   string
	from  schemas.Day
	until schemas.Day
}

// stay is one address; until is Open for the present one.
type stay struct {
	kommune     schemas.Kommunekode
	vej, husnr  string
	etage, side string
	from, until schemas.Day
}

// population makes the people, each with one to three stays, the last of them in the municipality's
// turn.
func population(first schemas.Day) []*person {
	r := rand.New(rand.NewPCG(2026, 98))
	var all []*person
	serial := 1
	for _, s := range settled {
		for range s.people {
			all = append(all, newPerson(r, first, s.kommune, serial))
			serial++
		}
	}
	return all
}

func newPerson(r *rand.Rand, first schemas.Day, k schemas.Kommunekode, serial int) *person {
	age := r.IntN(95*365) + 30
	if serial%3 == 0 {
		age = (70 + r.IntN(25)) * 365 // enough old people for elder care
	}
	born := first - schemas.Day(age)
	p := &person{
		pnr:       number(born, serial),
		koen:      []string{"K", "M"}[serial%2],
		born:      born,
		status:    "01",
		since:     born,
		left:      schemas.Always,
		civil:     "U",
		civilFrom: born,
		citizen:   "5100",
	}
	if age > 25*365 && r.IntN(3) > 0 {
		p.civil, p.civilFrom = "G", born+schemas.Day(25*365)
	}
	if r.IntN(12) == 0 {
		p.citizen = []string{"5704", "5180", "5120"}[r.IntN(3)]
	}
	from := born
	for range r.IntN(3) {
		until := from + (first-from)/3
		if until > from+400 {
			p.stays = append(p.stays, newStay(r, settled[r.IntN(len(settled))].kommune, from, until))
			from = until
		}
	}
	p.stays = append(p.stays, newStay(r, k, from, schemas.Open))
	return p
}

func newStay(r *rand.Rand, k schemas.Kommunekode, from, until schemas.Day) stay {
	s := stay{
		kommune: k,
		vej:     fmt.Sprintf("%04d", 100+r.IntN(900)),
		husnr:   fmt.Sprintf("%03d", 1+r.IntN(199)),
		from:    from,
		until:   until,
	}
	if r.IntN(2) == 0 {
		s.etage, s.side = fmt.Sprintf("%02d", 1+r.IntN(5)), []string{"tv", "th", "mf"}[r.IntN(3)]
	}
	return s
}

// number is a personal number with 60 added to the day (domain.md section 3.6): no real person has
// such a one.
func number(born schemas.Day, serial int) string {
	y, m, d := born.Civil().Date()
	century := 0
	if y >= 2000 {
		century = 4000
	}
	return fmt.Sprintf("%02d%02d%02d%04d", d+60, int(m), y%100, century+serial)
}

// move ends the present stay and begins a new one.
func (p *person) move(k schemas.Kommunekode, day schemas.Day) {
	p.stays[len(p.stays)-1].until = day
	p.stays = append(
		p.stays,
		stay{kommune: k, vej: "0511", husnr: "017", from: day, until: schemas.Open},
	)
}

// die ends the stay and sets the status.
func (p *person) die(day schemas.Day) {
	p.stays[len(p.stays)-1].until = day
	p.status, p.since = "90", day
}

// emigrate ends the stay and names the country.
func (p *person) emigrate(land string, day schemas.Day) {
	p.stays[len(p.stays)-1].until = day
	p.status, p.since, p.left, p.land = "80", day, day, land
}

// clone is the person as an independent copy.
func (p *person) clone() *person {
	c := *p
	c.stays, c.former = slices.Clone(p.stays), slices.Clone(p.former)
	return &c
}

// home is where the person lives now; empty after death or emigration.
func (p *person) home() schemas.Kommunekode {
	if last := p.stays[len(p.stays)-1]; last.until == schemas.Open {
		return last.kommune
	}
	return ""
}
