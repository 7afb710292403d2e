package sinks

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms/fold"
)

// ownership says for which valid time each system speaks in one dataset of one unit. Shadow
// agreements own nothing.
type ownership map[schemas.System][]owned

// owned is an interval of valid time; rows of it that ended before since are not delivered.
type owned struct {
	from, to, since schemas.Day
}

func ownershipOf(all []schemas.Agreement, d schemas.DatasetName) ownership {
	o := ownership{}
	for i := range all {
		if a := &all[i]; a.Owns(d) && !a.Shadow {
			o[a.System] = append(o[a.System], owned{a.From, a.To, a.Since})
		}
	}
	for _, spans := range o {
		slices.SortFunc(spans, func(a, b owned) int { return int(int64(a.from) - int64(b.from)) })
	}
	return o
}

func (o ownership) equal(p ownership) bool {
	if len(o) != len(p) {
		return false
	}
	for s, spans := range o {
		if !slices.Equal(spans, p[s]) {
			return false
		}
	}
	return true
}

// fold gives the rows that are delivered of one key: its statements cut to what their system
// owns, folded, and without what ended before the history begins. cut counts the statements that
// lost time.
func (o ownership) fold(k schemas.Kind, rows []schemas.Row) (segments []fold.Segment, cut int64) {
	if len(rows) == 0 {
		return nil, 0
	}
	spans := o[rows[0].System]
	if uncut(k, rows, joined(spans)) {
		return slices.DeleteFunc(fold.Key(k, rows, nil),
			func(s fold.Segment) bool { return expired(k, &s, spans) }), 0
	}
	if k == schemas.Fact {
		return o.facts(rows, spans)
	}
	var statements, snapshots []schemas.Row
	for i := range rows {
		r := &rows[i]
		if r.Op == schemas.OpSnapshot {
			snapshots = append(snapshots, *r)
			continue
		}
		n := len(statements)
		statements = clip(statements, r, spans)
		if r.Op == schemas.OpUpsert &&
			(len(statements) != n+1 || statements[n].From != r.From || statements[n].To != r.To) {
			cut++
		}
	}
	segments = fold.Key(k, statements, snapshots)
	return slices.DeleteFunc(
		segments,
		func(s fold.Segment) bool { return expired(k, &s, spans) },
	), cut
}

// facts folds first and cuts then: a fact whose date its system has moved into another's time is
// none of the time before either.
func (o ownership) facts(rows []schemas.Row, spans []owned) (segments []fold.Segment, cut int64) {
	var statements, snapshots []schemas.Row
	for i := range rows {
		r := &rows[i]
		if r.Op == schemas.OpSnapshot {
			snapshots = append(snapshots, *r)
			continue
		}
		if r.Op == schemas.OpUpsert && !ownsFact(spans, r.From) {
			cut++
		}
		statements = append(statements, *r)
	}
	return slices.DeleteFunc(fold.Key(schemas.Fact, statements, snapshots),
		func(s fold.Segment) bool {
			return !ownsFact(spans, s.From) || expired(schemas.Fact, &s, spans)
		}), cut
}

func ownsFact(spans []owned, day schemas.Day) bool {
	return slices.ContainsFunc(spans, func(s owned) bool { return s.from <= day && day < s.to })
}

// uncut says that there are no snapshots, and that each upsert lies as a whole in time that its
// system owns: then nothing is to be copied.
func uncut(k schemas.Kind, rows []schemas.Row, spans []owned) bool {
	for i := range rows {
		r := &rows[i]
		if r.Op == schemas.OpSnapshot {
			return false
		}
		if r.Op == schemas.OpUpsert && !slices.ContainsFunc(spans, func(s owned) bool {
			if k == schemas.Fact {
				return s.from <= r.From && r.From < s.to
			}
			return s.from <= r.From && r.From < r.To && r.To <= s.to
		}) {
			return false
		}
	}
	return true
}

// clip appends the parts of a statement on a state that its system owns. What says nothing is never
// cut: outside nothing holds.
func clip(dst []schemas.Row, r *schemas.Row, spans []owned) []schemas.Row {
	if r.Op != schemas.OpUpsert {
		return append(dst, *r)
	}
	for _, s := range joined(spans) {
		c := *r
		if c.From, c.To = max(r.From, s.from), min(r.To, s.to); c.From < c.To {
			dst = append(dst, c)
		}
	}
	return dst
}

// joined makes one of intervals that adjoin, so that an agreement that is renewed cuts nothing.
func joined(spans []owned) []owned {
	if len(spans) < 2 {
		return spans
	}
	var out []owned
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// expired says whether a row is of a time that is not delivered.
func expired(k schemas.Kind, s *fold.Segment, spans []owned) bool {
	if s.To <= earliest {
		return true
	}
	for _, o := range spans {
		if o.from <= s.From && s.From < o.to {
			if k == schemas.Fact {
				return s.From < o.since
			}
			return s.To <= o.since
		}
	}
	return false
}
