package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms"
)

// ErrLostRace says that another writer journalled the same records first; nothing is lost or doubled.
var ErrLostRace = errors.New("another writer moved the stream")

// Entry sizes (design.md section 6, Journal): an entry is made when it holds so many bytes or is so old.
const (
	entryBytes = 32 << 20
	entryAge   = 5 * time.Second
)

// Normaliser takes the streams of one system into its journal. It is not safe for concurrent use; any number of
// them, in any number of processes, may work on the same system: the journal lets one of them win (invariant 3).
type Normaliser struct {
	System   schemas.System
	Source   Source
	Sink     Sink
	Judge    func(dst []schemas.Row, r *transforms.Record) ([]schemas.Row, error)
	Park     func(dst []schemas.Row, r *transforms.Record, why *schemas.Finding) []schemas.Row
	Clock    func() time.Time
	Progress func(records, entries int64) // after each entry; may be nil
	MaxBytes int                          // of an entry; 0 = 32 MiB

	entry   Entry
	begun   time.Time
	rows    []schemas.Row
	pending int64
	records int64
	entries int64
	moved   bool
}

// Run normalises until ctx ends; with once, until everything that was there at the start is journalled.
func (n *Normaliser) Run(ctx context.Context, once bool) error {
	if err := n.seek(ctx); err != nil {
		return err
	}
	for {
		chunks, err := n.Source.Poll(ctx)
		if err != nil {
			return n.stopped(ctx, err)
		}
		for i := range chunks {
			if err := n.take(&chunks[i]); err != nil {
				return fmt.Errorf("normalise %s: %w", n.System, err)
			}
		}
		done := once && n.Source.Done()
		lost, err := n.flush(ctx, done)
		if err != nil || done && !lost {
			return err
		}
	}
}

// stopped ends a run whose source failed: what is pending is dropped and read again by the next run.
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
		return fmt.Errorf("normalise %s: %w", n.System, err)
	}
	n.entry, n.pending, n.moved = n.Sink.Begin(), 0, false
	return nil
}

func (n *Normaliser) take(c *Chunk) error {
	if !n.moved {
		n.begun, n.moved = n.Clock(), true
	}
	for i := range c.Records {
		var err error
		if n.rows, err = n.Judge(n.rows[:0], &c.Records[i]); err != nil {
			return err
		}
		if err := n.entry.Add(n.rows...); err != nil {
			return err
		}
	}
	for _, o := range c.Oversized {
		if err := n.entry.Add(n.oversized(c, o)...); err != nil {
			return err
		}
	}
	n.pending += int64(len(c.Records) + len(c.Oversized))
	n.entry.Advance(c.Stream, c.After)
	return nil
}

func (n *Normaliser) oversized(c *Chunk, o Oversized) []schemas.Row {
	r := transforms.Record{Stream: c.Stream, Offset: o.Offset, Arrived: o.Time}
	n.rows = n.Park(n.rows[:0], &r, schemas.Reject(schemas.CodeBudget, "", "send it in smaller units",
		"the record is %d bytes once decompressed, more than a record may have", o.Size))
	return n.rows
}

// flush commits the entry when it is large or old enough, or when this is the end. lost: another writer was first,
// and the streams are read again from where it left them.
func (n *Normaliser) flush(ctx context.Context, end bool) (lost bool, err error) {
	limit := n.MaxBytes
	if limit == 0 {
		limit = entryBytes
	}
	if !n.moved || !end && n.entry.Size() < limit && n.Clock().Sub(n.begun) < entryAge {
		return false, nil
	}
	err = n.entry.Commit(ctx)
	if errors.Is(err, ErrLostRace) {
		return true, n.seek(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("normalise %s: %w", n.System, err)
	}
	n.records += n.pending
	n.entries++
	n.entry, n.pending, n.moved = n.Sink.Begin(), 0, false
	if n.Progress != nil {
		n.Progress(n.records, n.entries)
	}
	return false, nil
}
