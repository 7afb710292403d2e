package cpr

import (
	"cmp"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// Events, of the list befolkningshaendelse.
const (
	evBorn       = "foedt"
	evMovedIn    = "tilflytning"
	evMovedOut   = "fraflytning"
	evMoved      = "intern_flytning"
	evImmigrated = "indvandring"
	evEmigrated  = "udvandring"
	evGone       = "forsvundet"
	evFound      = "genfundet"
	evDied       = "doed"
	evFirst      = "foerste_bopael"
)

// causeDays is how far apart the register may date the end of a residence and what ended it, or
// the entry and the residence that it began.
const causeDays = 31

// event is what happened to the population of one municipality. Each first day of residence there
// has one event with to, each day after the last one with from, on that day; an event that has
// neither, or is a move inside, changes no stock. So flows add up to stocks.
type event struct {
	kommune        schemas.Kommunekode
	day            schemas.Day // that the population changes
	at             moment      // the source's stamp
	registered     stamp
	kind           string
	from, to, land string // KOMKOD as sent; country
}

// death adds the way out of one who is dead: on STATUSHAENSTART, else when residence ended.
func (b *block) death(a *absences, l line, since schemas.Day) *schemas.Finding {
	if l.get(b.status) != statusDead {
		return nil
	}
	at, reject := b.moment("001", l, b.since)
	if reject != nil {
		return reject
	}
	if !at.known {
		at = moment{day: since, known: true}
	}
	registered, reject := b.registered("001", l, b.statusTS)
	a.outs = append(a.outs, crossing{at, evDied, "", registered, since, schemas.Open})
	return reject
}

// passage is what lies between two addresses, before the first or after the last: a nil address.
type passage struct {
	before, after *row
	outs, ins     []crossing
	away          bool // an absence lies across it
	first         bool
}

// happenings derives the events of the block.
func (b *block) happenings(a *absences, addresses []row) []event {
	if len(addresses) == 0 {
		return nil
	}
	all := make([]passage, len(addresses)+1)
	all[0].first = true
	for i := range addresses {
		all[i].after, all[i+1].before = &addresses[i], &addresses[i]
	}
	for _, c := range a.outs {
		p := &all[lastBegun(addresses, c.at.day)+1]
		p.outs = append(p.outs, c)
		p.away = p.away || p.before != nil && c.until >= p.before.to
	}
	for _, c := range a.ins {
		p := &all[firstEnding(addresses, c.at.day)]
		p.ins = append(p.ins, c)
		p.away = p.away || p.after != nil && c.since <= p.after.from && c.at.day <= p.after.from
	}
	var out []event
	for i := range all {
		out = b.pass(out, &all[i], len(addresses) == 1)
	}
	return distinctEvents(out)
}

// distinctEvents leaves out what no municipality holds, sorts by time and keeps one event of a
// kind, a stamp and a municipality.
func distinctEvents(all []event) []event {
	all = slices.DeleteFunc(all, func(e event) bool { return e.kommune == "" })
	key := func(x, y event) int {
		return cmp.Or(cmp.Compare(x.at.order(), y.at.order()), cmp.Compare(x.kind, y.kind),
			cmp.Compare(x.kommune, y.kommune))
	}
	slices.SortStableFunc(all, func(x, y event) int {
		return cmp.Or(key(x, y), -cmp.Compare(x.from+x.to, y.from+y.to))
	})
	return slices.CompactFunc(all, func(x, y event) bool { return key(x, y) == 0 })
}

// pass appends the events of one passage.
func (b *block) pass(out []event, p *passage, alone bool) []event {
	if p.before != nil && p.after != nil && !p.away {
		out = b.move(out, p.before, p.after)
	} else {
		out = b.leave(out, p)
		out = b.arrive(out, p, alone)
	}
	// What is left changes no residence.
	for _, c := range p.outs {
		if p.before != nil {
			out = append(out, event{b.holderOf(p.before), c.at.day, c.at, c.registered, c.kind,
				"", "", c.land})
		}
	}
	for _, c := range p.ins {
		a := p.after
		if a == nil {
			a = p.before
		}
		out = append(out, event{b.holderOf(a), c.at.day, c.at, c.registered, c.kind, "", "",
			c.land})
	}
	return out
}

// leave appends the end of a residence: by its cause, else a move to where is not known.
func (b *block) leave(out []event, p *passage) []event {
	a := p.before
	if a == nil || a.to == schemas.Open {
		return out
	}
	e := event{b.holderOf(a), a.to, a.ended(), a.registered, evMovedOut, a.value(komkod), "", ""}
	i := nearest(p.outs, a.to, func(c *crossing) bool { return c.until >= a.to })
	if i >= 0 {
		c := p.outs[i]
		p.outs = slices.Delete(p.outs, i, i+1)
		e.at, e.registered, e.kind, e.land = c.at, c.registered, c.kind, c.land
	}
	return append(out, e)
}

// arrive appends the beginning of a residence: by an entry or a birth, else a first address.
func (b *block) arrive(out []event, p *passage, alone bool) []event {
	a := p.after
	if a == nil {
		return out
	}
	e := event{b.holderOf(a), a.from, a.start, a.registered, evFirst, "", a.value(komkod), ""}
	i := nearest(p.ins, a.from, func(c *crossing) bool { return c.since <= a.from })
	switch age := int64(a.from) - int64(b.born.day); {
	case i >= 0:
		c := p.ins[i]
		p.ins = slices.Delete(p.ins, i, i+1)
		e.at, e.registered, e.kind, e.land = c.at, c.registered, c.kind, c.land
	case p.first && b.born.known && age >= 0 && age <= int64(b.BirthDays) && !p.away:
		e.day, e.at, e.kind = b.born.day, b.born, evBorn
	case p.first && alone && a.src.current:
		e.from = b.origin(a)
	}
	return append(out, e)
}

// origin is where the current record says that the stay came from; an impossible date has been
// rejected before.
func (b *block) origin(a *row) string {
	s := addressRow{row: a}
	_ = b.withoutHistory(&s)
	return s.cameOut
}

// move appends what lies between two addresses and no absence: a move, or nothing where a
// municipality has become its successor. Over a gap within one municipality the one stay ends and
// another begins.
func (b *block) move(out []event, before, after *row) []event {
	from, to := before.value(komkod), after.value(komkod)
	left, entered := b.holderOf(before), b.holderOf(after)
	gone := event{left, before.to, before.ended(), before.registered, evMovedOut, from, to, ""}
	come := event{entered, after.from, after.start, after.registered, evMovedIn, from, to, ""}
	gap := before.to != after.from
	switch {
	case left == entered && gap:
		gone.to = ""
		come.kind, come.from = evFirst, ""
	case left == entered && from != to && string(left) == to:
		return out
	case left == entered:
		come.kind = evMoved
		return append(out, come)
	case !gap:
		gone.at, gone.registered = come.at, come.registered
	}
	return append(out, gone, come)
}

// ended is the moment at which a row ends.
func (r *row) ended() moment {
	if r.end.known && r.end.day == r.to {
		return r.end
	}
	return moment{day: r.to, known: true}
}

// nearest is the crossing of some sort nearest to a day and at most causeDays from it, the earliest
// of those; -1 for none.
func nearest(all []crossing, d schemas.Day, sort func(*crossing) bool) int {
	best, found := int64(causeDays)+1, -1
	for i := range all {
		c := &all[i]
		away := max(int64(c.at.day)-int64(d), int64(d)-int64(c.at.day))
		if !sort(c) {
			continue
		}
		if away < best || found >= 0 && away == best && c.at.order() < all[found].at.order() {
			best, found = away, i
		}
	}
	return found
}
