package sinks

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/parquet"
)

// Entry collects what becomes one atomic entry: rows, and how far each stream has been read. Not
// safe for concurrent use; several entries of one Journal may be filled at once. After Commit it
// is spent.
type Entry struct {
	j       *Journal
	writer  string
	base    journalHead // what the entry builds on
	streams map[schemas.Stream]*course
	last    *course
	spent   bool

	cols        []journalColumn
	raw, events *parquet.Batch

	counts    map[countKey]*recordCount
	lastKey   countKey
	lastCount *recordCount
	canonical fingerprints
	schemas   fingerprints
	replay    *replayInfo // of an entry of a replay, which moves no stream
	accept    string      // why records stay parked that would stop their stream; "" = they stop it
	accepted  bool
}

// course is how far the entry takes a stream.
type course struct {
	stream  schemas.Stream
	from    int64
	next    int64
	empty   int64
	record  int64 // offset whose rows may follow; -1 = none
	ordinal int32 // the last of them
	anchor  Anchor
	trial   Trial
}

// countKey is what records are counted by: what the close compares with a seal.
type countKey struct {
	kommune   schemas.Kommunekode
	leverance schemas.Day
	outcome   schemas.Outcome
}

// compare gives the counts a fixed order: map order must not reach the entry (invariant 5).
func (k countKey) compare(o countKey) int {
	return cmp.Or(cmp.Compare(k.kommune, o.kommune), cmp.Compare(k.leverance, o.leverance),
		cmp.Compare(k.outcome, o.outcome))
}

// fingerprints is a set of fingerprints that mostly repeat.
type fingerprints struct {
	last string
	all  map[string]bool
}

func (p *fingerprints) add(s string) {
	if s == p.last || s == "" {
		return
	}
	if p.all == nil {
		p.all = map[string]bool{}
	}
	p.all[s], p.last = true, s
}

func (p *fingerprints) sorted() []string { return slices.Sorted(maps.Keys(p.all)) }

// NewEntry begins an entry on what is known of the journal now. The writer's id is of lower-case
// letters, digits and hyphens; it is part of file names, and no two processes that live at the
// same time have the same.
func (j *Journal) NewEntry(writer string) *Entry {
	e := &Entry{j: j, writer: writer, base: j.known(), streams: map[schemas.Stream]*course{},
		cols: journalColumns(), counts: map[countKey]*recordCount{}}
	e.raw, e.events = j.batch(e.cols), j.batch(e.cols)
	return e
}

// batch gives an empty batch, with memory of an earlier entry where there is some.
func (j *Journal) batch(cols []journalColumn) *parquet.Batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.batches); n > 0 {
		b := j.batches[n-1]
		j.batches = j.batches[:n-1]
		return b
	}
	return parquet.NewBatch(fieldsOf(cols))
}

func (j *Journal) buffer() *bytes.Buffer {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.buffers); n > 0 {
		b := j.buffers[n-1]
		j.buffers = j.buffers[:n-1]
		return b
	}
	return &bytes.Buffer{}
}

// release gives the entry's memory to the next one.
func (e *Entry) release() {
	e.j.mu.Lock()
	defer e.j.mu.Unlock()
	for _, b := range []*parquet.Batch{e.raw, e.events} {
		if b.Reset(); len(e.j.batches) < spareMax {
			e.j.batches = append(e.j.batches, b)
		}
	}
	e.raw, e.events = nil, nil
}

func (j *Journal) giveBack(b *bytes.Buffer) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if b.Reset(); len(j.buffers) < spareMax {
		j.buffers = append(j.buffers, b)
	}
}

// Size is the memory that the rows take, in bytes: the caller commits at its own threshold. 0
// when spent.
func (e *Entry) Size() int {
	if e.raw == nil {
		return 0
	}
	return e.raw.Size() + e.events.Size()
}

// Add appends rows and copies what it keeps. The rows of a record come together: ordinal 0, then
// ascending ordinals; records of a stream come in order of offset, the first at the stream's
// Next, each at the one after the last (ErrHole; Advance goes past offsets that hold no record).
// ErrLostRace: the stream has moved past the row already. After an error the entry is spent.
func (e *Entry) Add(rows ...schemas.Row) error {
	if e.spent {
		return errSpent
	}
	for i := range rows {
		if err := e.add(&rows[i]); err != nil {
			e.spent = true
			return fmt.Errorf("add row %s/%d/%d: %w", rows[i].Stream, rows[i].Offset, rows[i].Ordinal, err)
		}
	}
	return nil
}

var errSpent = errors.New("entry is spent: begin a new one")

// add checks what would break the journal for its readers; what a row says is the catalog's
// business.
func (e *Entry) add(r *schemas.Row) error {
	if r.System != e.j.system {
		return fmt.Errorf("row is of system %s, the journal of %s", r.System, e.j.system)
	}
	if r.From == schemas.Open || r.To == schemas.Always || r.Generation != 0 {
		return errors.New("row has a generation, or its gyldig_fra or gyldig_til is a reversed infinity")
	}
	s := e.reach(r.Stream)
	to := e.events
	if r.Ordinal == 0 {
		if err := e.j.rules.follows(s, r.Offset); err != nil {
			return err
		}
		if err := e.try(s, r); err != nil {
			return err
		}
		e.count(r)
		to = e.raw
	} else if r.Offset != s.record || r.Ordinal <= s.ordinal {
		return fmt.Errorf("ordinals of a record must follow its ordinal 0 and ascend")
	}
	s.ordinal = r.Ordinal
	e.put(to, r)
	return nil
}

// put appends the row to one of the entry's files.
func (e *Entry) put(to *parquet.Batch, r *schemas.Row) {
	e.canonical.add(r.Canonical)
	e.schemas.add(r.Schema)
	for i := range e.cols {
		e.cols[i].put(to.Vectors[i], r)
	}
}

// begin takes the record at offset, which must be the next.
func (s *course) begin(offset int64) error {
	switch {
	case offset < s.next && s.next == s.from:
		return ErrLostRace
	case offset != s.next:
		return fmt.Errorf("%w: offset %d is next", ErrHole, s.next)
	}
	s.record, s.next, s.ordinal = offset, offset+1, 0
	return nil
}

// reach is the course of a stream; at first sight it begins where the stream stands in base.
func (e *Entry) reach(name schemas.Stream) *course {
	if e.last != nil && e.last.stream == name {
		return e.last
	}
	s, ok := e.streams[name]
	if !ok {
		p := e.base.positions[name]
		s = &course{stream: name, from: p.Next, next: p.Next, record: -1, anchor: p.Anchor,
			trial: p.Trial}
		e.streams[name] = s
	}
	e.last = s
	return s
}

func (e *Entry) count(r *schemas.Row) {
	k := countKey{r.Kommune, r.Leverance, r.Outcome}
	if e.lastCount == nil || k != e.lastKey {
		t, ok := e.counts[k]
		if !ok {
			t = &recordCount{Kommune: k.kommune, Leverance: k.leverance.String(), Outcome: k.outcome}
			e.counts[k] = t
		}
		e.lastKey, e.lastCount = k, t
	}
	e.lastCount.Records++
}

// Advance says that the stream has been read up to p.Next, and what its last record was. Offsets
// between the last row added and p.Next hold no record in the log (control batches, aborted or
// compacted records), and the entry says how many. A p.Next behind what was added is an error. A
// zero Anchor keeps the one before.
func (e *Entry) Advance(stream schemas.Stream, p Position) error {
	if e.spent {
		return errSpent
	}
	s := e.reach(stream)
	if p.Next < s.next {
		e.spent = true
		if s.next == s.from {
			return fmt.Errorf("advance %s to %d: %w", stream, p.Next, ErrLostRace)
		}
		return fmt.Errorf("advance %s to %d: rows up to %d were added", stream, p.Next, s.next)
	}
	s.empty += p.Next - s.next
	s.next = p.Next
	if p.Anchor != (Anchor{}) {
		s.anchor = p.Anchor
	}
	return nil
}

// moved is every stream that the entry takes on.
func (e *Entry) moved() moves {
	m := moves{}
	for name, s := range e.streams {
		if s.next > s.from {
			m[name] = streamMove{s.from, s.next, s.empty, s.anchor, s.trial}
		}
	}
	return m
}

// info is the commitInfo but for what depends on the version that the entry gets.
func (e *Entry) info() *entryInfo {
	in := &entryInfo{Kind: kindData, Writer: e.writer, Moved: e.moved(), Records: int64(e.raw.Len()),
		Events: int64(e.events.Len()), Canonical: e.canonical.sorted(), Schemas: e.schemas.sorted()}
	if e.replay != nil {
		in.Kind, in.Replay = kindReplay, e.replay
	}
	if e.accepted {
		in.Reason = e.accept
	}
	for _, k := range slices.SortedFunc(maps.Keys(e.counts), countKey.compare) {
		in.Counts = append(in.Counts, *e.counts[k])
	}
	return in
}
