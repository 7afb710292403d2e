package generate

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// couple is the first two people, if both live and live here.
func (p *plotter) couple(day schemas.Day) bool {
	if len(p.people) < 2 {
		return false
	}
	a, b := p.people[0], p.people[1]
	grown := b.mother == nil && b.father == nil
	return grown && a.resident() && b.resident() && a.home().from+2 < day && b.home().from+2 < day &&
		a.civil[len(a.civil)-1].from+2 < day && b.civil[len(b.civil)-1].from+2 < day &&
		a.former == nil && b.former == nil
}

func (p *plotter) marry(day schemas.Day) bool {
	if !p.couple(day) || p.people[0].married() || p.people[1].married() ||
		age(p.people[0].born, day) < 18 || age(p.people[1].born, day) < 18 {
		return false
	}
	p.same(day, "A19", []int{0, 1}, func(people []*life) []*life {
		p.h.marry(people, day)
		return people
	})
	return true
}

// divorce: some are separated first, and some days later one of them moves.
func (p *plotter) divorce(day schemas.Day) bool {
	if !p.couple(day) || !p.people[0].married() || !p.people[1].married() {
		return false
	}
	if a := p.people[0].civil; a[len(a)-1].separated == schemas.Always {
		p.same(day, "A24", []int{0, 1}, func(people []*life) []*life {
			for _, l := range people[:2] {
				l.civil[len(l.civil)-1].separated = day
			}
			return people
		})
		return true
	}
	p.same(day, "A23", []int{0, 1}, func(people []*life) []*life {
		for _, l := range people[:2] {
			l.civil = append(l.civil, civil{kind: "F", separated: schemas.Always, from: day})
		}
		return people
	})
	s := newStay(p.r, p.destination(p.people[1].home().kommune), day)
	p.same(day, "A01", []int{1}, movesIn([]int{1}, s))
	return true
}

func (p *plotter) naturalise(day schemas.Day) bool {
	who := p.slots(func(l *life) bool {
		return l.resident() && len(l.lands) == 1 && l.lands[0].land != "5100" && l.lands[0].from < day
	})
	if len(who) == 0 {
		return false
	}
	p.same(day, "", who[:1], func(people []*life) []*life {
		l := people[who[0]]
		l.lands = append(l.lands, citizenship{"5100", day})
		return people
	})
	return true
}

// protect begins a protection or ends one: by its last day, or by silence (P11), and then the
// file's day is all that is told. Of a household whose protection ended so nothing more is told:
// layout A cannot correct what it has no record of.
func (p *plotter) protect(day schemas.Day) bool {
	i := p.anyone(day)
	if i < 0 || p.people[i].former != nil {
		return false
	}
	n := len(p.people[i].shield)
	if n == 0 {
		kind := []string{"0001", "0003", "0005"}[p.r.intN(3)]
		p.same(day, "A33", []int{i}, func(people []*life) []*life {
			people[i].shield = append(people[i].shield, protection{kind, day, schemas.Open})
			return people
		})
		return true
	}
	if last := p.people[i].shield[n-1]; last.until != schemas.Open || last.from+2 >= day {
		return false
	}
	if p.r.chance(2) {
		p.same(day, "A33", []int{i}, func(people []*life) []*life {
			people[i].shield[n-1].until = day
			return people
		})
		return true
	}
	day = nextWeekday(max(day, p.known))
	if day > p.last {
		return false
	}
	do := func(people []*life) []*life {
		people[i].shield[n-1].until, people[i].silent = day, true
		return people
	}
	p.add(&change{happened: day, who: []int{i}, event: "P11", register: do, world: do}, 0)
	p.finished = true
	return true
}

// renumber gives one who has no relatives and no protection another number.
func (p *plotter) renumber(day schemas.Day) bool {
	l := p.people[0]
	if len(p.people) != 1 || !l.resident() || l.former != nil || l.shield != nil ||
		l.home().from+2 >= day || l.children != nil {
		return false
	}
	number, ok := p.numbers.take(l.born, l.sex)
	if !ok {
		return false
	}
	p.same(day, "P03", []int{0}, func(people []*life) []*life {
		x := people[0]
		x.former = append(x.former, formerNumber{x.cpr, x.born, day})
		x.cpr = number
		return people
	})
	return true
}

// mistake: a move that never was, taken back some days later.
func (p *plotter) mistake(day schemas.Day) bool {
	i := p.anyone(day)
	if i < 0 || p.quiet || p.people[i].shield != nil {
		return false
	}
	s := newStay(p.r, p.denmark.moveTo(p.r, p.people[i].home().kommune), day)
	p.add(&change{happened: day, who: []int{i}, event: "A01",
		register: movesIn([]int{i}, s)}, p.delay())
	p.add(&change{happened: day, who: []int{i}, event: "A09", register: takesBack(i, s, nil)},
		schemas.Day(p.r.between(2, 9)))
	return true
}

// misdate: a move that was told some days too early.
func (p *plotter) misdate(day schemas.Day) bool {
	i := p.anyone(day - 6)
	if i < 0 || p.quiet || p.people[i].shield != nil || day > p.last || day-5 < p.known {
		return false
	}
	s := newStay(p.r, p.destination(p.people[i].home().kommune), day)
	early := s
	early.from = day - schemas.Day(p.r.between(1, 4))
	p.add(&change{happened: early.from, who: []int{i}, event: "A01",
		register: movesIn([]int{i}, early)}, p.delay())
	p.add(&change{happened: day, who: []int{i}, event: "A09", register: takesBack(i, early, &s),
		world: movesIn([]int{i}, s)}, schemas.Day(p.r.between(1, 7)))
	return true
}

// takesBack removes a stay, and puts another in its place where there is one.
func takesBack(slot int, s stay, instead *stay) func([]*life) []*life {
	return func(people []*life) []*life {
		l := people[slot]
		i := slices.IndexFunc(l.stays, func(x stay) bool {
			return x.from == s.from && x.kommune == s.kommune && x.vej == s.vej && x.husnr == s.husnr
		})
		if i > 0 {
			l.stays[i-1].until = l.stays[i].until
			l.stays = slices.Delete(l.stays, i, i+1)
			l.status, l.since = l.residence(), l.sinceOf()
		}
		if instead != nil {
			l.moveIn(*instead)
		}
		return people
	}
}

// deathAway: one who is away dies; no municipality loses an inhabitant.
func (p *plotter) deathAway(day schemas.Day) bool {
	who := p.slots(func(l *life) bool {
		return (l.status == statusEmigrated || l.status == statusMissing) && l.since+2 < day &&
			!l.married()
	})
	if len(who) == 0 {
		return false
	}
	p.same(day, "A21", who[:1], func(people []*life) []*life {
		people[who[0]].die(day)
		return people
	})
	return true
}
