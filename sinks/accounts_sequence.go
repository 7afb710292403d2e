package sinks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/flis-dk/flis/schemas"
)

// numberRange is numbers without a hole, both ends included.
type numberRange struct{ from, to int64 }

// numbers is a set of numbers: ranges in order, none of which touches the next.
type numbers []numberRange

// holesMax bounds a set at 1 MiB: one of more holes drops its greatest numbers. They count as
// missing until they are sent again. Where partitions of a topic are read one after the other,
// there are for a while as many holes as half of the numbers.
const holesMax = 1 << 16

// at is the first stretch that ends at n or later.
func (s numbers) at(n int64) int {
	i, _ := slices.BinarySearchFunc(
		s,
		n,
		func(x numberRange, n int64) int { return cmp.Compare(x.to, n) },
	)
	return i
}

func (s *numbers) add(n int64) {
	x := *s
	i := x.at(n)
	if i < len(x) && x[i].from <= n {
		return
	}
	before, after := i > 0 && x[i-1].to == n-1, i < len(x) && x[i].from == n+1
	switch {
	case before && after:
		x[i-1].to = x[i].to
		x = slices.Delete(x, i, i+1)
	case before:
		x[i-1].to = n
	case after:
		x[i].from = n
	default:
		x = slices.Insert(x, i, numberRange{n, n})
	}
	*s = x[:min(len(x), holesMax)]
}

func (s *numbers) remove(n int64) {
	x := *s
	i := x.at(n)
	if i == len(x) || x[i].from > n {
		return
	}
	var parts []numberRange
	if x[i].from < n {
		parts = append(parts, numberRange{x[i].from, n - 1})
	}
	if x[i].to > n {
		parts = append(parts, numberRange{n + 1, x[i].to})
	}
	x = slices.Replace(x, i, i+1, parts...)
	*s = x[:min(len(x), holesMax)]
}

// missing counts the numbers from…to that the set lacks, and names the first.
func (s numbers) missing(from, to int64) (first, count int64) {
	lacks := func(from, to int64) {
		if from > to {
			return
		}
		if count == 0 {
			first = from
		}
		count += to - from + 1
	}
	for _, x := range s[s.at(from):] {
		if from > to {
			break
		}
		lacks(from, min(x.from-1, to))
		from = x.to + 1
	}
	lacks(from, to)
	return first, count
}

// sequence is what a source has numbered for one municipality, and what its heartbeats state.
// Numbers are 1 or more. Order, doubles and lateness of records change nothing.
type sequence struct {
	first      int64   // least number that a forgotten heartbeat states; 0 = none
	landed     numbers // of records that are not parked
	beats      map[schemas.Day]beat
	unnumbered map[schemas.Day]bool // days with records that are not parked and have no number
	parked     map[uint64]int64     // the number of each event id that is parked
}

// beat is a day's heartbeat: of several the greatest in the order of statements.
type beat struct {
	count, last int64
	stated      bool // last is given
	order       schemas.Row
}

// begin is the number after the day before's last, by the heartbeat; 0 = not stated.
func (b *beat) begin() int64 {
	if !b.stated {
		return 0
	}
	return max(1, b.last-b.count+1)
}

func newSequence() *sequence {
	return &sequence{beats: map[schemas.Day]beat{}, unnumbered: map[schemas.Day]bool{},
		parked: map[uint64]int64{}}
}

func (a *Accounts) sequenceOf(k schemas.Kommunekode) *sequence {
	s := a.sequences[k]
	if s == nil {
		s = newSequence()
		a.sequences[k] = s
	}
	return s
}

func (s *sequence) clone() *sequence {
	return &sequence{
		first:      s.first,
		landed:     append(numbers(nil), s.landed...),
		beats:      cloneMap(s.beats),
		unnumbered: cloneMap(s.unnumbered),
	}
}

// leastNumber is the lesser of two numbers, where 0 is none.
func leastNumber(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// record takes in a row of ordinal 0. A number has landed when any record that carries it is not
// parked. A statement of the source takes up its number, and needs none. Units of a file are
// numbered by the feed, not by the source.
func (s *sequence) record(r *schemas.Row) {
	switch {
	case fileOf(r.EventID) != "":
	case classOf(r.Outcome) == classParked:
		s.parked[fingerprint(r.EventID)] = r.Count
	case r.Count > 0:
		s.landed.add(r.Count)
	case r.Event != schemas.ControlEvent:
		s.unnumbered[r.Leverance] = true
	}
}

// mend lets the number of a parked record land when its event comes again under another number,
// as another municipality's, or is not parked any more. Until then, and for ever after the
// delivery window, the number is missing.
func (a *Accounts) mend(r *schemas.Row) {
	id := fingerprint(r.EventID)
	k, ok := a.parked[id]
	if !ok {
		return
	}
	old, ok := a.ids[k].find(id)
	s := a.sequenceOf(k)
	if n := s.parked[id]; ok && old.day() >= a.newest-DuplicateDays && n > 0 &&
		(classOf(r.Outcome) != classParked || k != r.Kommune || n != r.Count) {
		s.landed.add(n)
	}
}

// again takes in a verdict of a later generation. What is parked by it has not landed. What turns
// out to be another municipality's has: the source sent it under this one's number.
func (s *sequence) again(r *schemas.Row) {
	switch {
	case r.Count == 0 || r.From == schemas.Always: // a later record of the id counts instead
	case r.Op == schemas.OpWithdrawn:
		s.landed.add(r.Count)
	case classOf(r.Outcome) == classParked:
		s.landed.remove(r.Count)
	default:
		s.record(r)
	}
}

func (s *sequence) heartbeat(r *schemas.Row) {
	b := beat{count: r.Count, order: schemas.Row{Stated: r.Stated, Sequence: r.Sequence,
		Ordinal: r.Ordinal, Stream: r.Stream, Offset: r.Offset}}
	if n, err := strconv.ParseInt(r.Key, 10, 64); err == nil {
		b.last, b.stated = n, true
	}
	if old, ok := s.beats[r.Leverance]; ok && schemas.CompareOrder(&old.order, &b.order) > 0 {
		return
	}
	s.beats[r.Leverance] = b
}

// forget lets go of days, and of records that are not held as parked any more; the number with
// which the sequence began stays.
func (s *sequence) forget(before schemas.Day, parked func(uint64) bool) {
	maps.DeleteFunc(s.parked, func(id uint64, _ int64) bool { return !parked(id) })
	for d, b := range s.beats {
		if d < before {
			s.first = leastNumber(s.first, b.begin())
			delete(s.beats, d)
		}
	}
	maps.DeleteFunc(s.unnumbered, func(d schemas.Day, _ bool) bool { return d < before })
}

// begin is the least number that a heartbeat counts. An older one that is sent again, of the time
// before the first heartbeat, makes no hole.
func (s *sequence) begin() int64 {
	n := s.first
	for _, b := range s.beats {
		n = leastNumber(n, b.begin())
	}
	return max(n, 1)
}

// missing names what keeps a day from being proven: every number up to the one that its heartbeat
// states must have landed.
func (s *sequence) missing(d schemas.Day) (m []string) {
	b, ok := s.beats[d]
	switch {
	case !ok:
		m = append(m, "intet hjerteslag")
	case !b.stated:
		m = append(m, "hjerteslag uden sekvens")
	default:
		if first, n := s.landed.missing(s.begin(), b.last); n > 0 {
			m = append(m, fmt.Sprintf("sekvens til %d: mangler %d, den første er %d", b.last, n, first))
		}
	}
	if s.unnumbered[d] {
		m = append(m, "hændelser uden ce_sequence")
	}
	return m
}

// prove judges a day by the sequence of its municipality.
func (s *SourceReport) prove(v *View, k schemas.Kommunekode, d schemas.Day) {
	seq := &sequence{}
	if v != nil && v.sequences[k] != nil {
		seq = v.sequences[k]
	}
	if b := seq.beats[d]; b.stated {
		s.Sequence = &b.last
	}
	s.Missing = append(s.Missing, seq.missing(d)...)
	s.Proven = len(s.Missing) == 0
}
