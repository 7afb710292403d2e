package generate

import (
	"fmt"

	"github.com/flis-dk/flis/schemas"
)

// household is people who belong together: what happens to them is decided by the seed and the
// household's number alone, but for the personal numbers.
type household struct {
	nr      int
	people  []*life // as they are on the first day; children born later are added by changes
	changes []change
	arrives schemas.Day // from abroad, in the period; Always = was there
}

// settler makes households.
type settler struct {
	seed    uint64
	denmark *denmark
	numbers *numbers
	first   schemas.Day // the day of the first load
}

// Countries of those who come from abroad, and go there (CPR's list of countries).
func foreign() []string { return []string{"5704", "5180", "5120", "5150", "5142"} }

// Sorts of household.
const (
	single = iota
	couple
	family
	loneParent
	seniorCouple
	senior
)

// household makes the people of a number. arrives: they immigrate that day, else Always.
func (s *settler) household(nr int, arrives schemas.Day) (*household, error) {
	r := newRandom(s.seed, 1, uint64(nr))
	h := &household{nr: nr, arrives: arrives}
	sort := r.pick([]int{28, 13, 24, 7, 14, 14})
	if arrives != schemas.Always {
		sort = r.pick([]int{60, 20, 20})
	}
	low, high := 20, 64
	switch sort {
	case seniorCouple, senior:
		low, high = 67, 96
	case family, loneParent:
		low, high = 24, 45
	}
	at := s.first
	if arrives != schemas.Always {
		at = arrives
	}
	years := r.between(low, high)
	head := s.adult(r, at, years, []byte("KM")[r.intN(2)])
	h.people = append(h.people, head)
	if sort == couple || sort == family || sort == seniorCouple {
		other := byte('K')
		if head.sex == 'K' {
			other = 'M'
		}
		h.people = append(h.people, s.adult(r, at, min(96, max(20, years+r.between(-3, 3))), other))
	}
	if sort == family || sort == loneParent {
		for range r.between(1, 3) {
			h.people = append(h.people, s.child(r, at, r.between(0, min(17, years-20))))
		}
	}
	for i, p := range h.people {
		p.slot = i
		var ok bool
		if p.cpr, ok = s.numbers.take(p.born, p.sex); !ok {
			return nil, fmt.Errorf("generate household %d: a date of birth has no numbers left", nr)
		}
	}
	s.relate(r, h, at)
	s.house(r, h, at)
	s.background(r, h, at)
	return h, nil
}

func (s *settler) adult(r *random, at schemas.Day, years int, sex byte) *life {
	return &life{sex: sex, born: birthday(at, years, r.between(1, 330)), entry: schemas.Always}
}

func (s *settler) child(r *random, at schemas.Day, years int) *life {
	return &life{sex: []byte("KM")[r.intN(2)], born: birthday(at, years, r.between(40, 360)),
		entry: schemas.Always}
}

// relate marries and makes parents.
func (s *settler) relate(r *random, h *household, at schemas.Day) {
	pair := len(h.people) > 1 && age(h.people[1].born, at) >= 18
	for _, p := range h.people {
		p.civil = []civil{{kind: "U", separated: schemas.Always, from: p.born}}
	}
	if pair && r.intN(3) > 0 {
		day := max(yearsAfter(h.people[0].born, 19), yearsAfter(h.people[1].born, 19)) +
			schemas.Day(r.intN(200))
		if day < at {
			h.marry(h.people, day)
		}
	}
	for i, p := range h.people {
		if i == 0 || pair && i == 1 {
			continue
		}
		h.bear(h.people, p)
	}
}

// marry makes the first two spouses.
func (h *household) marry(people []*life, day schemas.Day) {
	a, b := people[0], people[1]
	a.civil = append(a.civil, civil{kind: "G", spouse: b.cpr, separated: schemas.Always, from: day})
	b.civil = append(b.civil, civil{kind: "G", spouse: a.cpr, separated: schemas.Always, from: day})
}

// bear makes a child of the adults.
func (h *household) bear(people []*life, child *life) {
	for _, p := range people[:min(2, len(people))] {
		if p == child || p.mother != nil || p.father != nil {
			continue
		}
		if p.sex == 'K' {
			child.mother = &parent{p.cpr, p.born}
		} else {
			child.father = &parent{p.cpr, p.born}
		}
		p.children = append(p.children, child.cpr)
	}
}

// house gives everyone addresses: some of their own, then the common one.
func (s *settler) house(r *random, h *household, at schemas.Day) {
	k := s.denmark.settle(h.nr)
	common := newStay(r, k, at-schemas.Day(r.between(1, 3000)))
	if h.arrives != schemas.Always {
		common.from = h.arrives
	}
	land := foreign()[r.intN(len(foreign()))]
	for _, p := range h.people {
		p.origin = string(s.denmark.moveOrStay(r, k))
		p.lands = []citizenship{{"5100", p.born}}
		if h.arrives != schemas.Always || r.chance(11) && p.mother == nil && p.father == nil {
			s.immigrant(r, h, p, common, land)
			continue
		}
		s.early(r, p, common)
		p.stays = s.denmark.asSent(r, p.stays)
		if len(p.stays) > 1 && len(p.away) == 0 && r.chance(30) {
			p.stays = p.stays[1:] // where they lived first is not known
		}
		p.since = p.sinceOf()
	}
}

// immigrant gives a person a first entry in place of a Danish birth.
func (s *settler) immigrant(r *random, h *household, p *life, common stay, land string) {
	p.origin, p.entryLand = land, land
	p.lands[0].land = land
	p.entry = common.from
	if h.arrives == schemas.Always {
		p.entry = p.born + schemas.Day(r.intN(int(common.from-p.born)+1))
	}
	if p.entry < common.from {
		p.moveIn(newStay(r, common.kommune, p.entry))
	}
	p.moveIn(common)
}

// early is the addresses from birth to the common one.
func (s *settler) early(r *random, p *life, common stay) {
	if common.from <= p.born {
		common.from = p.born
		p.moveIn(common)
		return
	}
	from := p.born
	for range r.intN(3) {
		next := from + (common.from-from)/2
		if next <= from+100 {
			break
		}
		p.moveIn(newStay(r, s.denmark.moveOrStay(r, common.kommune), from))
		from = next
	}
	p.moveIn(newStay(r, s.denmark.moveOrStay(r, common.kommune), from))
	if p.mother == nil && p.father == nil && r.chance(15) && common.from-from > 900 {
		p.goAway(absence{kind: abroad, from: common.from - 400, until: schemas.Open,
			to: foreign()[r.intN(len(foreign()))]})
		p.comeBack(foreign()[r.intN(len(foreign()))], common)
		return
	}
	p.moveIn(common)
}

// background is what some have from before: protection, a citizenship acquired.
func (s *settler) background(r *random, h *household, at schemas.Day) {
	for _, p := range h.people {
		if p.entry != schemas.Always && r.chance(4) && p.entry+3000 < at {
			p.lands = append(p.lands, citizenship{"5100", p.entry + 2900})
		}
		if r.chance(25) {
			from := max(p.born, p.stays[0].from, at-schemas.Day(r.between(10, 900)))
			p.shield = append(p.shield, protection{"0001", from, schemas.Open})
		}
	}
}

// moveOrStay is the municipality itself, or another in one of three times.
func (d *denmark) moveOrStay(r *random, k schemas.Kommunekode) schemas.Kommunekode {
	if r.chance(3) {
		return d.moveTo(r, k)
	}
	return k
}

func newStay(r *random, k schemas.Kommunekode, from schemas.Day) stay {
	s := stay{kommune: k, vej: fmt.Sprintf("%04d", 1+r.intN(2500)),
		husnr: fmt.Sprintf("%03d", 1+r.intN(199)), from: from, until: schemas.Open}
	if r.chance(2) {
		s.etage = fmt.Sprintf("%02d", 1+r.intN(5))
		s.doer = []string{"tv", "th", "mf"}[r.intN(3)]
	}
	if r.chance(60) {
		s = stay{kommune: k, vej: "9901", from: from, until: schemas.Open}
	}
	return s
}
