package generate

import (
	"math"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// change is something that happens to a household. The register learns of it on a later day; where
// it is told wrongly, world is nil or does something else.
type change struct {
	happened schemas.Day
	known    schemas.Day // when CPR knows it: its next file tells it
	who      []int       // slots that CPR sends a block of
	event    string      // HAENDELSE of record 099
	register func(people []*life) []*life
	world    func(people []*life) []*life
}

// produced is the day of the file that tells the change.
func (c *change) produced() schemas.Day { return nextWeekday(c.known) }

// plotter decides what happens to a household over the days of the period.
type plotter struct {
	*settler
	rate  float64 // changes a household and day
	last  schemas.Day
	quiet bool // the register makes no mistakes and is never late

	r        *random
	h        *household
	people   []*life     // as it really is
	known    schemas.Day // the latest day on which the register learns of a change
	floor    schemas.Day // the same, of changes that are no moves
	plain    bool        // the change before was a move
	finished bool
}

// plot fills in the household's changes.
func (s *settler) plot(h *household, rate float64, last schemas.Day, quiet bool) {
	p := &plotter{settler: s, rate: rate, last: last, quiet: quiet, h: h,
		r: newRandom(s.seed, 2, uint64(h.nr)), known: schemas.Always, floor: schemas.Always}
	for _, l := range h.people {
		p.people = append(p.people, l.clone())
	}
	day := s.first
	if h.arrives != schemas.Always {
		day = h.arrives
		p.add(
			&change{happened: day, event: "A05", who: p.slots(func(*life) bool { return true })},
			p.delay(),
		)
	}
	for !p.finished {
		day += 1 + p.wait()
		if day > last {
			return
		}
		p.happen(day)
	}
}

// wait is days without a change.
func (p *plotter) wait() schemas.Day {
	if p.rate <= 0 {
		return schemas.Day(1 << 20)
	}
	u := 1 - p.r.fraction()
	return schemas.Day(min(float64(1<<20), math.Floor(-math.Log(u)/p.rate)))
}

// delay is days until the register knows.
func (p *plotter) delay() schemas.Day {
	if p.quiet {
		return 0
	}
	return schemas.Day([]int{0, 0, 1, 2, 5}[p.r.intN(5)])
}

// add plans the change: the world has it at once.
func (p *plotter) add(c *change, delay schemas.Day) {
	// What happens is news for the second file and those after.
	c.known = max(c.happened+delay, p.known, p.first+1)
	p.known = max(p.known, c.known)
	p.floor, p.plain = p.known, false
	p.h.changes = append(p.h.changes, *c)
	if c.world != nil {
		p.people = c.world(p.people)
	}
}

// same plans what is told as it was.
func (p *plotter) same(day schemas.Day, event string, who []int, do func([]*life) []*life) {
	p.add(&change{happened: day, who: who, event: event, register: do, world: do}, p.delay())
}

func (p *plotter) slots(want func(*life) bool) []int {
	var all []int
	for i, l := range p.people {
		if want(l) {
			all = append(all, i)
		}
	}
	return all
}

// happen does one thing that can happen, most often a move.
func (p *plotter) happen(day schemas.Day) {
	things := []func(schemas.Day) bool{p.birth, p.death, p.emigrate, p.comeBack, p.disappear,
		p.marry, p.divorce, p.naturalise, p.protect, p.renumber, p.mistake, p.misdate, p.deathAway}
	weights := []int{9, 9, 6, 12, 3, 6, 6, 4, 8, 4, 5, 4, 6}
	if p.r.chance(2) && things[p.r.pick(weights)](day) {
		return
	}
	if !p.comeBack(day) {
		p.move(day)
	}
}

// together is the slots of those who live where the person lives.
func (p *plotter) together(with int) []int {
	h := p.people[with].home()
	return p.slots(func(l *life) bool {
		x := l.home()
		return x != nil && x.kommune == h.kommune && x.vej == h.vej && x.husnr == h.husnr &&
			x.etage == h.etage && x.doer == h.doer
	})
}

// anyone is a resident who has lived at the address for some days; -1 for nobody.
func (p *plotter) anyone(day schemas.Day) int {
	all := p.slots(func(l *life) bool { return l.resident() && l.home().from+2 < day })
	if len(all) == 0 {
		return -1
	}
	return all[p.r.intN(len(all))]
}

// ready is who of the slots can move on a day.
func (p *plotter) ready(slots []int, day schemas.Day) []int {
	return slices.DeleteFunc(slots, func(i int) bool {
		return p.people[i].home().from+2 >= day || p.people[i].born >= day
	})
}

func (p *plotter) destination(from schemas.Kommunekode) schemas.Kommunekode {
	if p.r.intN(3) > 0 {
		return from
	}
	return p.denmark.moveTo(p.r, from)
}

func movesIn(who []int, s stay) func([]*life) []*life {
	return func(people []*life) []*life {
		for _, i := range who {
			people[i].moveIn(s)
		}
		return people
	}
}

// move: some are told weeks later, and may so be known after a later one.
func (p *plotter) move(day schemas.Day) bool {
	i := p.anyone(day)
	if i < 0 {
		return false
	}
	who := p.ready(p.together(i), day)
	do := movesIn(who, newStay(p.r, p.destination(p.people[i].home().kommune), day))
	delay, before := p.delay(), p.plain
	if !p.quiet && p.r.chance(6) {
		delay = schemas.Day(p.r.between(4, 12))
	}
	known, floor := p.known, p.floor
	if before {
		p.known = floor // two moves may be known in the other order
	}
	p.add(&change{happened: day, who: who, event: "A01", register: do, world: do}, delay)
	p.known, p.floor, p.plain = max(p.known, known), floor, true
	return true
}

// birth: the child lives where the mother lives.
func (p *plotter) birth(day schemas.Day) bool {
	mother := -1
	for i, l := range p.people {
		if l.sex == 'K' && l.resident() && l.mother == nil && l.father == nil &&
			age(l.born, day) >= 20 && age(l.born, day) <= 45 && l.former == nil &&
			(len(l.children) == 0 || p.people[len(p.people)-1].born+300 < day) {
			mother = i
		}
	}
	if mother < 0 {
		return false
	}
	child := &life{slot: len(p.people), sex: []byte("KM")[p.r.intN(2)], born: day,
		origin: string(p.people[mother].home().kommune), entry: schemas.Always,
		status: statusResident, since: day}
	child.civil = []civil{{kind: "U", separated: schemas.Always, from: day}}
	child.lands = []citizenship{{p.people[mother].lands[len(p.people[mother].lands)-1].land, day}}
	var ok bool
	if child.cpr, ok = p.numbers.take(day, child.sex); !ok {
		return false
	}
	who := append(p.slots(func(l *life) bool {
		return l.resident() && l.mother == nil && l.father == nil
	}), child.slot)
	p.same(day, "", who, func(people []*life) []*life {
		c := child.clone()
		h := *people[mother].home()
		h.from = day
		c.moveIn(h)
		for _, i := range who[:len(who)-1] {
			x := people[i]
			if x.sex == 'K' && c.mother == nil {
				c.mother = &parent{x.cpr, x.born}
			} else if x.sex == 'M' && c.father == nil {
				c.father = &parent{x.cpr, x.born}
			} else {
				continue
			}
			x.children = append(x.children, c.cpr)
		}
		return append(people, c)
	})
	return true
}

// death of the oldest; a spouse becomes a widow.
func (p *plotter) death(day schemas.Day) bool {
	dead := -1
	for i, l := range p.people {
		if l.resident() && l.home().from+2 < day && (dead < 0 || l.born < p.people[dead].born) {
			dead = i
		}
	}
	if dead < 0 || age(p.people[dead].born, day) < 60 && !p.r.chance(20) {
		return false
	}
	who := []int{dead}
	if p.people[dead].married() {
		who = p.slots(func(l *life) bool { return l.married() || l == p.people[dead] })
	}
	p.same(day, "A21", who, func(people []*life) []*life {
		for _, i := range who {
			if i != dead && people[i].status != statusDead {
				people[i].civil = append(people[i].civil,
					civil{kind: "E", separated: schemas.Always, from: day})
			}
		}
		people[dead].die(day)
		return people
	})
	return true
}

func (p *plotter) emigrate(day schemas.Day) bool {
	i := p.anyone(day)
	if i < 0 {
		return false
	}
	who := p.ready(p.together(i), day)
	to := foreign()[p.r.intN(len(foreign()))]
	p.same(day, "A06", who, func(people []*life) []*life {
		for _, i := range who {
			people[i].goAway(absence{kind: abroad, from: day, until: schemas.Open, to: to})
		}
		return people
	})
	return true
}

// comeBack ends the absence of one who is away: home from abroad, or found.
func (p *plotter) comeBack(day schemas.Day) bool {
	who := p.slots(func(l *life) bool {
		return (l.status == statusEmigrated || l.status == statusMissing) && l.since+2 < day
	})
	if len(who) == 0 {
		return false
	}
	i := who[p.r.intN(len(who))]
	l := p.people[i]
	event, land := "A03", ""
	if l.status == statusEmigrated {
		event, land = "A04", foreign()[p.r.intN(len(foreign()))]
	}
	s := newStay(p.r, p.destination(l.stays[len(l.stays)-1].kommune), day)
	p.same(day, event, []int{i}, func(people []*life) []*life {
		people[i].comeBack(land, s)
		return people
	})
	return true
}

func (p *plotter) disappear(day schemas.Day) bool {
	i := p.anyone(day)
	if i < 0 || age(p.people[i].born, day) < 18 {
		return false
	}
	p.same(day, "A02", []int{i}, func(people []*life) []*life {
		people[i].goAway(absence{kind: missing, from: day, until: schemas.Open})
		return people
	})
	return true
}
