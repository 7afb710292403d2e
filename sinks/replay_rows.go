package sinks

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// groupKey is what the rows of a record are folded by: a key of a dataset, or a scope of one.
type groupKey struct {
	kommune  schemas.Kommunekode
	dataset  schemas.DatasetName
	snapshot bool
	key      string
}

func groupKeyOf(r *schemas.Row) groupKey {
	g := groupKey{r.Kommune, r.Dataset, r.OfSnapshot(), r.Key}
	if g.snapshot {
		g.key = r.Scope
	}
	return g
}

// withdrawals are the rows by which a generation hides what the one before it said, or hid, and it
// does not say: one for each group, so that every generation speaks of all groups that the record
// ever spoke of. Ordinals go on behind those of is.
func withdrawals(was, is []schemas.Row) (out []schemas.Row) {
	said := map[groupKey]bool{}
	ordinal := int32(0)
	for i := range is {
		ordinal = max(ordinal, is[i].Ordinal)
		if isStatement(&is[i]) {
			said[groupKeyOf(&is[i])] = true
		}
	}
	for i := range was {
		r := was[i]
		if !isStatement(&r) || said[groupKeyOf(&r)] {
			continue
		}
		said[groupKeyOf(&r)] = true
		if r.OfSnapshot() {
			r.Absent = cmp.Or(r.Absent, schemas.AbsentGone)
		} else {
			r.Absent = ""
		}
		ordinal++
		r.Ordinal, r.Op, r.Outcome, r.Finding = ordinal, schemas.OpWithdrawn, schemas.Accepted, ""
		r.From, r.To, r.Background, r.Snapshot = schemas.Always, schemas.Open, false, ""
		r.Count, r.Payload = 0, nil
		out = append(out, r)
	}
	return out
}

// sameVerdict compares what a record gives today with what stands of it, both without withdrawals
// and with ordinal 0 first. What a finding says in words matters only where it parks something,
// and the fingerprints of what rows rest on matter nowhere.
func sameVerdict(a, b []schemas.Row) bool {
	return slices.EqualFunc(a, b, func(x, y schemas.Row) bool { return sameSaid(&x, &y) })
}

func sameSaid(a, b *schemas.Row) bool {
	x, y := bareRow(a), bareRow(b)
	return bytes.Equal(x.Payload, y.Payload) && sameFields(&x, &y)
}

// bareRow is a row without what does not matter to sameVerdict, as the journal would store it.
func bareRow(r *schemas.Row) schemas.Row {
	p := *r
	p.Generation, p.Schema, p.Canonical = 0, "", ""
	p.Headers, p.RawKey = nil, nil
	if p.Ordinal == 0 { // a verdict again holds bookkeeping of its own in these, and no value
		p.Payload, p.From, p.To, p.Snapshot = nil, schemas.Always, schemas.Open, ""
	}
	if p.Outcome != schemas.Parked && p.Outcome != schemas.PartlyParked {
		p.Finding = ""
	}
	for _, s := range []*string{&p.EventID, &p.Event, &p.Finding, &p.Key, &p.Scope, &p.Snapshot} {
		*s = validText(*s)
	}
	return p
}

// sameFields compares all but byte slices.
func sameFields(a, b *schemas.Row) bool {
	type fields struct {
		stream                            schemas.Stream
		offset, sequence, count, digest   int64
		ordinal                           int32
		system                            schemas.System
		id, event, finding, key, scope, s string
		arrived, registered, stated       schemas.Instant
		leverance, from, to               schemas.Day
		outcome                           schemas.Outcome
		kommune                           schemas.Kommunekode
		dataset                           schemas.DatasetName
		op                                schemas.Op
		background                        bool
		absent                            schemas.Absent
	}
	of := func(r *schemas.Row) fields {
		return fields{r.Stream, r.Offset, r.Sequence, r.Count, r.Digest, r.Ordinal, r.System, r.EventID,
			r.Event, r.Finding, r.Key, r.Scope, r.Snapshot, r.Arrived, r.Registered, r.Stated,
			r.Leverance, r.From, r.To, r.Outcome, r.Kommune, r.Dataset, r.Op, r.Background, r.Absent}
	}
	return of(a) == of(b)
}
