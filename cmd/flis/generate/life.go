package generate

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// life is what a register knows of one person, or what was: the same form for both. Intervals are
// half-open and end with Open.
type life struct {
	slot   int // in the household
	cpr    string
	former []formerNumber
	sex    byte // M, K
	born   schemas.Day
	origin string // authority of the birth's registration

	status string // CPR STATUS
	since  schemas.Day
	stays  []stay // in order, disjoint
	away   []absence
	civil  []civil
	lands  []citizenship
	shield []protection
	silent bool // the ended protection is told no more
	mother *parent
	father *parent
	// children by number, in order of birth
	children []string

	entry     schemas.Day // immigrated for the first time; Always = born here
	entryLand string
}

type formerNumber struct {
	cpr         string
	from, until schemas.Day
}

type stay struct {
	kommune     schemas.Kommunekode // KOMKOD, as CPR sends it
	holder      schemas.Kommunekode // the successor of a closed one; "" = itself
	vej, husnr  string
	etage, doer string
	from, until schemas.Day
}

// absence: emigrated or disappeared. land is "" where there is none.
type absence struct {
	kind        string // udrejst, forsvundet
	from, until schemas.Day
	to, back    string // countries
}

type civil struct {
	kind      string // CIVST
	spouse    string // number; "" = none
	separated schemas.Day
	from      schemas.Day
}

type citizenship struct {
	land string
	from schemas.Day
}

type protection struct {
	kind        string
	from, until schemas.Day
}

type parent struct {
	cpr  string
	born schemas.Day
}

// Kinds of absence, and the statuses that lives have.
const (
	abroad  = "udrejst"
	missing = "forsvundet"

	statusResident  = "01"
	statusHomeless  = "03"
	statusMissing   = "70"
	statusEmigrated = "80"
	statusDead      = "90"
)

func (l *life) clone() *life {
	c := *l
	c.former, c.stays, c.away = slices.Clone(l.former), slices.Clone(l.stays), slices.Clone(l.away)
	c.civil, c.lands = slices.Clone(l.civil), slices.Clone(l.lands)
	c.shield, c.children = slices.Clone(l.shield), slices.Clone(l.children)
	return &c
}

// home is the present stay; nil for none.
func (l *life) home() *stay {
	if n := len(l.stays); n > 0 && l.stays[n-1].until == schemas.Open {
		return &l.stays[n-1]
	}
	return nil
}

// resident is in Denmark and alive.
func (l *life) resident() bool { return l.home() != nil }

// married says whether the civil status is G.
func (l *life) married() bool { return l.civil[len(l.civil)-1].kind == "G" }

// moveIn begins a stay; one that goes on over that day ends, one that begins later keeps its time:
// so two moves may become known in the other order.
func (l *life) moveIn(s stay) {
	s.until = schemas.Open
	i, _ := slices.BinarySearchFunc(l.stays, s.from, func(x stay, d schemas.Day) int {
		return int(x.from) - int(d)
	})
	if i > 0 && l.stays[i-1].until > s.from {
		s.until, l.stays[i-1].until = l.stays[i-1].until, s.from
	} else if i < len(l.stays) {
		s.until = l.stays[i].from
	}
	l.stays = slices.Insert(l.stays, i, s)
	l.status, l.since = l.residence(), l.sinceOf()
}

// residence is the status of the present stay, or what the status is.
func (l *life) residence() string {
	h := l.home()
	switch {
	case h == nil:
		return l.status
	case h.homeless():
		return statusHomeless
	}
	return statusResident
}

// sinceOf is the begin of the status: of the first stay of the unbroken run that has it.
func (l *life) sinceOf() schemas.Day {
	if l.home() == nil {
		return l.since
	}
	i := len(l.stays) - 1
	for i > 0 && l.stays[i-1].until == l.stays[i].from &&
		l.stays[i-1].homeless() == l.stays[i].homeless() {
		i--
	}
	return l.stays[i].from
}

// heldBy is the municipality of today.
func (s *stay) heldBy() schemas.Kommunekode {
	if s.holder != "" {
		return s.holder
	}
	return s.kommune
}

// homeless: road codes 9900 and above are no road.
func (s *stay) homeless() bool { return s.vej >= "9900" }

// leave ends the present stay.
func (l *life) leave(day schemas.Day, status string) {
	if h := l.home(); h != nil {
		h.until = day
	}
	l.status, l.since = status, day
}

// goAway ends the stay by an absence.
func (l *life) goAway(a absence) {
	status := statusEmigrated
	if a.kind == missing {
		status = statusMissing
	}
	l.leave(a.from, status)
	l.away = append(l.away, a)
}

// comeBack ends the absence and begins a stay.
func (l *life) comeBack(land string, s stay) {
	a := &l.away[len(l.away)-1]
	a.until, a.back = s.from, land
	l.moveIn(s)
}

// die ends the stay, and a civil status of the dead begins.
func (l *life) die(day schemas.Day) {
	l.leave(day, statusDead)
	l.civil = append(l.civil, civil{kind: "D", separated: schemas.Always, from: day})
}
