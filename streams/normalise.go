package streams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms"
)

// ErrLostRace says that another writer journalled the same records first; nothing is lost or
// doubled.
var ErrLostRace = errors.New("another writer moved the stream")

// StoppedError says that one stream must not go on, and why (invariant 8). What of it was added to
// the entry is not to be kept; it stops no other stream.
type StoppedError struct {
	Stream schemas.Stream
	Err    error
}

// Error is the cause's text.
func (e *StoppedError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *StoppedError) Unwrap() error { return e.Err }

// Entry sizes (design.md section 6, Journal): an entry is made when it holds so many bytes or is so
// old.
const (
	entryBytes = 32 << 20
	entryAge   = 5 * time.Second
)

// Suspects remembers, over the death of the process, which records were being judged.
type Suspects interface {
	// Range is the offsets [from, to) that a process died over; not ok where none did.
	Range(s schemas.Stream) (from, to int64, ok bool, err error)
	// Chunk notes that [from, to) is about to be judged.
	Chunk(s schemas.Stream, from, to int64) error
	// Alone notes that one record of a suspect range is about to be judged; poison: a process died
	// over it twice.
	Alone(s schemas.Stream, offset int64) (poison bool, err error)
	// Survived notes that the record judged alone did not end the process.
	Survived(s schemas.Stream) error
	// Clear notes that nothing is being judged.
	Clear(s schemas.Stream) error
}

// Normaliser takes the streams of one system into its journal. It is not safe for concurrent use;
// any number of them, in any number of processes, may work on the same system: the journal lets one
// of them win (invariant 3).
type Normaliser struct {
	System   schemas.System
	Source   Source
	Sink     Sink
	Judge    func(dst []schemas.Row, r *transforms.Record) ([]schemas.Row, error)
	Park     func(dst []schemas.Row, r *transforms.Record, why *schemas.Finding) []schemas.Row
	Clock    func() time.Time
	Suspects Suspects                     // nil: a record that kills the process is not found out
	Progress func(records, entries int64) // after each entry; may be nil
	Stopped  func(*StoppedError)          // when a stream is stopped; may be nil
	MaxBytes int                          // of an entry; 0 = 32 MiB

	entry   Entry
	begun   time.Time
	rows    []schemas.Row
	pending int64
	records int64
	entries int64
	moved   bool
	next    map[schemas.Stream]int64
	halted  map[schemas.Stream]error
}

// Run normalises until ctx ends; with once, until everything that was there at the start is
// journalled, but for streams that are stopped, which are the error then.
func (n *Normaliser) Run(ctx context.Context, once bool) error {
	if err := n.seek(ctx); err != nil {
		return err
	}
	for {
		if once && !n.moved && n.Source.Done() {
			return n.end()
		}
		chunks, err := n.Source.Poll(ctx)
		if err != nil {
			return n.stopped(ctx, err)
		}
		done := once && n.Source.Done()
		lost, err := n.work(ctx, chunks, done)
		if err != nil {
			return err
		}
		if done && !lost {
			return n.end()
		}
	}
}

// end is the error of a run in which streams were stopped.
func (n *Normaliser) end() error {
	var all []error
	for _, s := range slices.Sorted(maps.Keys(n.halted)) {
		all = append(all, fmt.Errorf("normalise %s: %w", n.System, n.halted[s]))
	}
	return errors.Join(all...)
}

// halt goes on without a stream: what was pending of all streams is read again.
func (n *Normaliser) halt(e *StoppedError) {
	if n.halted == nil {
		n.halted = map[schemas.Stream]error{}
	}
	n.halted[e.Stream] = e.Err
	if n.Stopped != nil {
		n.Stopped(e)
	}
}

// work takes the chunks and commits when it is time. lost: another writer was first, and the
// streams are read again from where it left them.
func (n *Normaliser) work(ctx context.Context, chunks []Chunk, end bool) (lost bool, err error) {
	for i := range chunks {
		if err = n.take(&chunks[i]); err != nil {
			break
		}
	}
	if err == nil {
		err = n.flush(ctx, end)
	}
	var stop *StoppedError
	if errors.As(err, &stop) {
		n.halt(stop)
		return true, n.seek(ctx)
	}
	if errors.Is(err, ErrLostRace) {
		return true, n.seek(ctx)
	}
	if err != nil {
		return false, n.stopped(ctx, err)
	}
	return false, nil
}

// stopped ends a run whose source failed: what is pending is dropped and read again by the next
// run.
func (n *Normaliser) stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("normalise %s: %w", n.System, err)
}

func (n *Normaliser) seek(ctx context.Context) error {
	at, err := n.Sink.Progress(ctx)
	if err == nil {
		err = n.Source.Seek(ctx, at)
	}
	if err != nil {
		return n.stopped(ctx, err)
	}
	n.next = map[schemas.Stream]int64{}
	for s, p := range at {
		n.next[s] = p.Next
	}
	n.begin()
	return nil
}

func (n *Normaliser) begin() { n.entry, n.pending, n.moved = n.Sink.Begin(), 0, false }

func (n *Normaliser) take(c *Chunk) error {
	if n.halted[c.Stream] != nil {
		return nil
	}
	if !n.moved {
		n.begun, n.moved = n.Clock(), true
	}
	alone, err := n.suspect(c)
	if err != nil {
		return err
	}
	for i := range c.Items {
		it := &c.Items[i]
		if it.Offset != n.next[c.Stream] {
			if err := n.entry.Advance(c.Stream, Position{Next: it.Offset}); err != nil {
				return err
			}
		}
		judge := n.judge
		if alone && it.Unreadable == nil {
			judge = n.single
		}
		if err := judge(it); err != nil {
			return err
		}
		n.next[c.Stream] = it.Offset + 1
	}
	n.pending += int64(len(c.Items))
	n.next[c.Stream] = c.After.Next
	return n.entry.Advance(c.Stream, c.After)
}

// suspect notes the chunk; alone: a process died over part of it, so that its records are judged
// one by one.
func (n *Normaliser) suspect(c *Chunk) (alone bool, err error) {
	if n.Suspects == nil || len(c.Items) == 0 {
		return false, nil
	}
	first := c.Items[0].Offset
	from, to, ok, err := n.Suspects.Range(c.Stream)
	if err != nil || ok && first < to && from < c.After.Next {
		return true, err
	}
	return false, n.Suspects.Chunk(c.Stream, first, c.After.Next)
}

// single judges one record with a note before and after; one that killed the process twice is
// parked unread. A process that is killed from outside, before or after, blames no record.
func (n *Normaliser) single(it *Item) error {
	poison, err := n.Suspects.Alone(it.Stream, it.Offset)
	if err != nil {
		return err
	}
	if poison {
		it.Unreadable = schemas.Reject(schemas.CodePoison, "", "report it: the record ends the program",
			"the process died twice while it judged this record")
	}
	if err := n.judge(it); err != nil {
		return err
	}
	return n.Suspects.Survived(it.Stream)
}

func (n *Normaliser) judge(it *Item) error {
	if it.Unreadable != nil {
		n.rows = n.Park(n.rows[:0], &it.Record, it.Unreadable)
		return n.entry.Add(n.rows...)
	}
	var err error
	if n.rows, err = n.Judge(n.rows[:0], &it.Record); err != nil {
		return err
	}
	return n.entry.Add(n.rows...)
}

// flush commits the entry when it is large or old enough, or when this is the end.
func (n *Normaliser) flush(ctx context.Context, end bool) error {
	limit := n.MaxBytes
	if limit == 0 {
		limit = entryBytes
	}
	if !n.moved || !end && n.entry.Size() < limit && n.Clock().Sub(n.begun) < entryAge {
		return nil
	}
	if err := n.entry.Commit(ctx); err != nil {
		return err
	}
	if n.Suspects != nil {
		for s := range n.next {
			if err := n.Suspects.Clear(s); err != nil {
				return err
			}
		}
	}
	n.records += n.pending
	n.entries++
	n.begin()
	if n.Progress != nil {
		n.Progress(n.records, n.entries)
	}
	return nil
}
