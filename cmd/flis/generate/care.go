package generate

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/flis-dk/flis/schemas"
)

// grantEdit is a grant of help as a caseworker left it on a day: the whole of it.
type grantEdit struct {
	id      int64
	day     schemas.Day // of the edit
	cpr     string
	group   group
	minutes int64 // a week; a multiple of 15, so that a quarter of an hour says it exactly
	private bool
	from    schemas.Day
	last    schemas.Day // inclusive; Open = none
	gone    bool        // cancelled before it ran
	wrong   bool        // first sent with a law that no one has, and mended two days later
}

// homeEdit is a visitation to housing for the elderly as it was left on a day.
type homeEdit struct {
	id       int64
	day      schemas.Day
	cpr      string
	kind     int
	assessed schemas.Day
	moved    schemas.Day // Open = waits
}

// visit is one visit; undone: it is taken back on the next day.
type visit struct {
	id      int64
	day     schemas.Day
	cpr     string
	start   schemas.Instant
	minutes int64
	undone  bool
}

func (v *visit) end() schemas.Instant { return v.start + schemas.Instant(v.minutes)*60_000_000 }

// care is the elder care of one person in one municipality.
type care struct {
	slot        int // of the person
	kommune     schemas.Kommunekode
	from, until schemas.Day
	grants      [][]grantEdit
	homes       [][]homeEdit
	visits      []visit
}

// carer decides elder care. visitsADay is for each person that has care.
type carer struct {
	*Options
	market     market
	visitsADay float64
}

// careOf is a person's care, by what really became of the person.
func (c *carer) careOf(h *household, l *life) []care {
	r := newRandom(c.Seed, 4, uint64(h.nr), uint64(l.slot))
	if age(l.born, c.From) < 67 || r.intN(100) >= careShare {
		return nil
	}
	base := (int64(h.nr)*16+int64(l.slot))*64 + 1_000_000
	var all []care
	for _, p := range l.periods() {
		again := slices.ContainsFunc(all, func(x care) bool { return x.kommune == p.kommune })
		if p.until <= c.From || p.from > c.last()-1 || len(all) == 4 || again {
			continue
		}
		x := care{slot: l.slot, kommune: p.kommune, from: p.from, until: p.until}
		c.grant(r, l, &x, base+int64(len(all))*16)
		c.house(r, l, &x, base+int64(len(all))*16+15)
		c.visit(r, l, &x, base)
		all = append(all, x)
	}
	return all
}

// careShare is how many of a hundred old people have care: own knowledge, of the right order.
const careShare = 30

// number is the personal number that a vendor knows on a day: the new one a day after the change.
func (l *life) number(day schemas.Day) string {
	if n := len(l.former); n > 0 && day <= l.former[n-1].until {
		return l.former[n-1].cpr
	}
	return l.cpr
}

// grant decides the grants of a stay: some from before the first day, some begun in the period,
// some with more time from their very beginning, some cancelled.
func (c *carer) grant(r *random, l *life, x *care, id int64) {
	for i := range r.between(1, 3) {
		from := max(x.from, c.From-schemas.Day(r.between(5, 700)))
		day := max(from, c.From)
		if r.chance(4) && !c.Quiet {
			day = max(day, c.From+schemas.Day(r.intN(c.Days)))
			from = max(x.from, day+schemas.Day(r.between(-20, 10)))
		}
		if day >= x.until || from >= x.until {
			continue
		}
		g := grantEdit{id: id + int64(i), day: day, group: groups()[(i+r.intN(5))%5],
			minutes: int64(15 * r.between(2, 40)), private: r.chance(4), from: from, last: schemas.Open,
			wrong: !c.Quiet && r.chance(40)}
		edits := []grantEdit{g}
		g.wrong = false
		if r.chance(6) && !c.Quiet {
			g.day += schemas.Day(r.between(0, 6))
			g.minutes += 60
			edits = append(edits, g)
		}
		if from > day+2 && r.chance(3) {
			g.day, g.gone = max(g.day, day+1), true
			edits = append(edits, g)
		}
		x.grants = append(x.grants, c.finish(l, x, edits))
	}
}

// finish ends a grant when the stay ends, tells it again under a new number, and drops what the
// period does not see.
func (c *carer) finish(l *life, x *care, edits []grantEdit) []grantEdit {
	g := edits[len(edits)-1]
	if x.until != schemas.Open && !g.gone {
		g.last, g.day = x.until-1, max(g.day, x.until+1)
		edits = append(edits, g)
	}
	for _, f := range l.former {
		if d := f.until + 1; d > edits[0].day && d < x.until {
			i := slices.IndexFunc(edits, func(e grantEdit) bool { return e.day >= d })
			if i < 0 {
				i = len(edits)
			}
			again := edits[i-1]
			again.day, again.wrong = d, false
			edits = slices.Insert(edits, i, again)
		}
	}
	for i := range edits {
		edits[i].cpr = l.number(edits[i].day)
	}
	return slices.DeleteFunc(edits, func(e grantEdit) bool { return e.day > c.last() })
}

// house decides on a place in a nursing home or the like: some wait, some move in.
func (c *carer) house(r *random, l *life, x *care, id int64) {
	if r.intN(5) > 0 {
		return
	}
	h := homeEdit{id: id, day: max(x.from, c.From), kind: r.pick([]int{6, 2, 2}), moved: schemas.Open}
	h.assessed = max(x.from, c.From-schemas.Day(r.between(1, 200)))
	edits := []homeEdit{h}
	if r.chance(2) {
		h.day += schemas.Day(r.between(1, 10))
		h.moved = max(h.assessed+1, h.day-schemas.Day(r.intN(4)))
		if h.moved < x.until {
			edits = append(edits, h)
		}
	}
	for _, f := range l.former {
		if d := f.until + 1; d > edits[len(edits)-1].day && d < x.until {
			again := edits[len(edits)-1]
			again.day = d
			edits = append(edits, again)
		}
	}
	for i := range edits {
		edits[i].cpr = l.number(edits[i].day)
	}
	x.homes = append(x.homes, slices.DeleteFunc(edits, func(e homeEdit) bool {
		return e.day > c.last() || e.day >= x.until
	}))
}

// visit decides the visits of a stay.
func (c *carer) visit(r *random, l *life, x *care, base int64) {
	for d := max(c.From, x.from); d <= min(c.last(), x.until-1); d++ {
		n := int(c.visitsADay)
		if r.fraction() < c.visitsADay-float64(n) {
			n++
		}
		for i := range n {
			start := d.Midnight() + schemas.Instant(7*60+15*r.intN(50))*60_000_000
			x.visits = append(x.visits, visit{id: base*10_000 + int64(d-c.From)*100 + int64(i), day: d,
				cpr: l.number(d), start: start, minutes: int64(r.between(3, 9) * 5), undone: r.chance(50)})
		}
	}
}

// statement is what a vendor says of one entity: an event, and the rows that are true if it is the
// last word.
type statement struct {
	system  schemas.System
	kommune schemas.Kommunekode
	entity  string
	event   string
	id      string
	day     schemas.Day     // delivery that it belongs to
	at      schemas.Instant // of the statement: of two the later holds
	data    []byte
	first   []byte // sent in its place, and mended two days later under the same id; nil = not
	rows    []Row
}

// statements of a person's care in one municipality, by whoever owns the day of each.
func (c *carer) statements(h *household, l *life, x *care) []statement {
	var all []statement
	for _, a := range c.market[x.kommune] {
		if a.system == cura {
			all = append(all, c.documents(h, l, x, a)...)
			continue
		}
		for _, edits := range x.grants {
			for i, e := range told(edits, a, grantDay) {
				all = append(all, c.grantStatement(h, x, a, e, i))
			}
		}
		for _, edits := range x.homes {
			for i, e := range told(edits, a, homeDay) {
				all = append(all, c.homeStatement(h, x, a, e, i))
			}
		}
		if a.system == nexus {
			all = append(all, c.visitStatements(h, x, a)...)
		}
	}
	return all
}

func grantDay(e *grantEdit) *schemas.Day { return &e.day }
func homeDay(e *homeEdit) *schemas.Day   { return &e.day }

// told is the edits that a vendor tells: those of its own days, and on its first day the last of
// what went before.
func told[T any](edits []T, a owned, day func(*T) *schemas.Day) []T {
	var all []T
	for i := range edits {
		e := edits[i]
		switch d := *day(&e); {
		case d >= a.until:
		case d >= a.from:
			all = append(all, e)
		default:
			*day(&e) = a.from
			all = []T{e}
		}
	}
	return all
}

// clip cuts a row to the valid time that its system owns; false if nothing is left.
func (a owned) clip(r Row) (Row, bool) {
	r.System = a.system
	if r.Dataset == "aeldre.besoeg" {
		return r, r.From >= a.from && r.From < a.until
	}
	r.From, r.Until = max(r.From, a.from), min(r.Until, a.until)
	return r, r.From < r.Until
}

func (a owned) clipped(rows []Row) []Row {
	out := []Row{}
	for _, r := range rows {
		if x, ok := a.clip(r); ok {
			out = append(out, x)
		}
	}
	return joined(out)
}

func (g *grantEdit) row(x *care, s schemas.System) []Row {
	if g.gone {
		return nil
	}
	party, until, last := "kommunal", schemas.Open, ""
	if g.private {
		party = "privat"
	}
	if g.last != schemas.Open {
		until, last = g.last+1, g.last.String()
	}
	return []Row{{x.kommune, "aeldre.visiteret_tid", g.from, until, s, []string{
		string(s) + ":" + strconv.FormatInt(g.id, 10), g.cpr, g.group.law, g.group.name,
		strconv.FormatInt(g.minutes, 10) + ".0000", party, g.from.String(), last}}}
}

func (h *homeEdit) row(x *care) []Row {
	row := func(from, until schemas.Day, phase, moved string) Row {
		return Row{x.kommune, "aeldre.plejebolig", from, until, "", []string{h.cpr,
			homes()[h.kind].name, h.assessed.String(), phase, moved, "", ""}}
	}
	rows := []Row{row(h.assessed, h.moved, "venter", "")}
	if h.moved != schemas.Open {
		rows = append(rows, row(h.moved, schemas.Open, "bor", h.moved.String()))
	}
	return rows
}

func (v *visit) row(x *care, s schemas.System) []Row {
	return []Row{{x.kommune, "aeldre.besoeg", v.day, schemas.Open, s, []string{
		string(s) + ":" + strconv.FormatInt(v.id, 10), v.cpr, "udfoerelse", "fremmoede", "finished",
		v.start.String(), v.end().String(), v.day.String(), strconv.FormatInt(v.minutes, 10)}}}
}

// lastOf is the newest of some edits on a day; false for none yet.
func lastOf[T any](edits []T, day schemas.Day, of func(*T) *schemas.Day) (e T, ok bool) {
	for i := range edits {
		if *of(&edits[i]) <= day {
			e, ok = edits[i], true
		}
	}
	return e, ok
}

func sortStatements(all []statement) {
	slices.SortStableFunc(all, func(a, b statement) int {
		return cmp.Or(cmp.Compare(a.entity, b.entity), cmp.Compare(a.at, b.at))
	})
}
