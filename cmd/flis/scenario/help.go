package scenario

import (
	"fmt"
	"math/rand/v2"

	"github.com/flis-dk/flis/schemas"
)

// grant is a citizen's help, as a caseworker decided it: what both vendors can say.
type grant struct {
	id      int64
	pnr     string
	kommune schemas.Kommunekode
	group   group
	minutes int64 // a week; a multiple of 15, so that a quarter of an hour says it exactly
	private bool
	from    schemas.Day
	last    schemas.Day // last day; Open = none
}

// group of help: its law, its code with kmd-nexus, its words with cura.
type group struct {
	section, catalog, law, name string
}

var (
	personlig      = group{"83", "PERSONLIG", "§83,1,1", "personlig"}
	praktisk       = group{"83", "PRAKTISK", "§83,1,2", "praktisk"}
	rehabilitering = group{"83a", "REHAB", "§83a,1", "rehabilitering"}
)

// home is a nursing home visitation.
type home struct {
	id       string
	pnr      string
	kommune  schemas.Kommunekode
	assessed schemas.Day
	moved    schemas.Day // Always = waits
}

// visit is one visit on a day.
type visit struct {
	id      int64
	pnr     string
	kommune schemas.Kommunekode
	grant   int64
	day     schemas.Day
	minute  int64 // of the day at which it begins
	minutes int64
}

// care is the truth of elder care over the days of the story.
type care struct {
	grants []grant
	homes  []home
	visits []visit
}

const elderly = 67 * 365

// decide gives every third old citizen help, and some a nursing home.
func decide(people []*person, first schemas.Day, days int) *care {
	r := rand.New(rand.NewPCG(2026, 67))
	c := &care{}
	id := int64(1000)
	for _, p := range people {
		if p.status != "01" || first-p.born < elderly || r.IntN(3) == 0 {
			continue
		}
		k := p.home()
		from := first - schemas.Day(30+r.IntN(700))
		if settledSince := p.stays[len(p.stays)-1].from; from < settledSince {
			from = settledSince
		}
		for _, g := range []group{personlig, praktisk, rehabilitering}[:1+r.IntN(3)] {
			id++
			c.grants = append(c.grants, grant{id: id, pnr: p.pnr, kommune: k, group: g,
				minutes: int64(15 * (2 + r.IntN(30))), private: r.IntN(4) == 0, from: from, last: schemas.Open})
			c.visits = append(c.visits, visits(r, &c.grants[len(c.grants)-1], first, days)...)
		}
		if r.IntN(6) == 0 {
			h := home{
				id:       fmt.Sprintf("bolig-%d", id),
				pnr:      p.pnr,
				kommune:  k,
				assessed: first - schemas.Day(10+r.IntN(200)),
				moved:    schemas.Always,
			}
			if r.IntN(2) == 0 {
				h.moved = h.assessed + 7
			}
			c.homes = append(c.homes, h)
		}
	}
	return c
}

func visits(r *rand.Rand, g *grant, first schemas.Day, days int) []visit {
	var all []visit
	for d := range days {
		all = append(all, visit{id: g.id*100 + int64(d), pnr: g.pnr, kommune: g.kommune, grant: g.id,
			day: first + schemas.Day(
				d,
			), minute: int64(7*60 + 15*r.IntN(40)), minutes: int64(15 + 5*r.IntN(6))})
	}
	return all
}
