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
		a.sequenceOf(r.kommune()).get(r)
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
		w.int(int64(b.order.Stated))
		w.int(b.order.Sequence)
		w.int(int64(b.order.Ordinal))
		w.text(string(b.order.Stream))
		w.int(b.order.Offset)
	}
	w.uint(uint64(len(s.unnumbered)))
	for _, d := range slices.Sorted(maps.Keys(s.unnumbered)) {
		w.int(int64(d))
	}
}

func (s *sequence) get(r *snapshotReader) {
	s.first = r.int()
	for n := r.length(2); n > 0 && r.err == nil; n-- {
		x := numberRange{r.int(), r.int()}
		if i := len(s.landed); x.from > x.to || i > 0 && s.landed[i-1].to >= x.from-1 {
			r.fail()
		}
		s.landed = append(s.landed, x)
	}
	for n := r.length(1); n > 0 && r.err == nil; n-- {
		d := r.day()
		b := beat{count: r.int(), last: r.int(), stated: r.int() != 0}
		b.order.Stated, b.order.Sequence = schemas.Instant(r.int()), r.int()
		b.order.Ordinal = int32(min(r.int(), math.MaxInt32))
		b.order.Stream, b.order.Offset = schemas.Stream(r.text()), r.int()
		s.beats[d] = b
	}
	for n := r.length(1); n > 0 && r.err == nil; n-- {
		s.unnumbered[r.day()] = true
	}
}
