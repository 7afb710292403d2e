package sinks

import (
	"maps"
	"math"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

func putSequences(a *Accounts, w *snapshotWriter) {
	w.uint(uint64(len(a.sequences)))
	for _, k := range slices.Sorted(maps.Keys(a.sequences)) {
		w.text(string(k))
		a.sequences[k].put(w)
	}
}

func getSequences(a *Accounts, r *snapshotReader) {
	for n := r.length(1); n > 0 && r.err == nil; n-- {
		k := r.kommune()
		a.sequences[k] = getSequence(r)
	}
}

func (s *sequence) put(w *snapshotWriter) {
	w.int(s.first)
	w.uint(uint64(len(s.landed)))
	for _, x := range s.landed {
		w.int(x.from)
		w.int(x.to)
	}
	w.uint(uint64(len(s.beats)))
	for _, d := range slices.Sorted(maps.Keys(s.beats)) {
		b := s.beats[d]
		w.int(int64(d))
		w.int(b.count)
		w.int(b.last)
		w.int(int64(boolInt(b.stated)))
		w.order(&b.order)
	}
	w.uint(uint64(len(s.unnumbered)))
	for _, d := range slices.Sorted(maps.Keys(s.unnumbered)) {
		w.int(int64(d))
	}
	w.uint(uint64(len(s.parked)))
	for _, id := range slices.Sorted(maps.Keys(s.parked)) {
		w.uint(id)
		w.int(s.parked[id])
	}
}

func getSequence(r *snapshotReader) *sequence {
	s := newSequence()
	s.first = r.int()
	for n := r.length(1); n > 0 && r.err == nil; n-- {
		x := numberRange{r.int(), r.int()}
		if i := len(s.landed); x.from > x.to || i > 0 && x.from <= s.landed[i-1].to+1 {
			r.fail()
		}
		s.landed = append(s.landed, x)
	}
	for n := r.length(1); n > 0 && r.err == nil; n-- {
		d := r.day()
		b := beat{count: r.int(), last: r.int(), stated: r.int() != 0}
		b.order = r.order()
		s.beats[d] = b
	}
	for n := r.length(1); n > 0 && r.err == nil; n-- {
		s.unnumbered[r.day()] = true
	}
	for n := r.length(1); n > 0 && r.err == nil; n-- {
		id := r.uint()
		s.parked[id] = r.int()
	}
	return s
}

// order is the place of a seal or heartbeat among others of its day.
func (w *snapshotWriter) order(o *schemas.Row) {
	w.int(int64(o.Stated))
	w.int(o.Sequence)
	w.int(int64(o.Ordinal))
	w.text(string(o.Stream))
	w.int(o.Offset)
}

func (r *snapshotReader) order() schemas.Row {
	return schemas.Row{Stated: schemas.Instant(r.int()), Sequence: r.int(),
		Ordinal: int32(min(r.int(), math.MaxInt32)), Stream: schemas.Stream(r.text()),
		Offset: r.int()}
}
