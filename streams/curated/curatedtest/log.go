// Package curatedtest is a curated topic in memory, for simulations: it compacts when it is told.
package curatedtest

import (
	"context"
	"slices"
	"sync"

	"github.com/flis-dk/flis/streams/curated"
)

// Log is a compacted topic in memory. Safe for concurrent use; a Read sees the log as it was when it
// began.
type Log struct {
	mu        sync.Mutex
	id        string
	held, all []curated.Record
	end       int64
}

// NewLog makes an empty topic of that id.
func NewLog(id string) *Log { return &Log{id: id} }

// ID implements curated.Log.
func (l *Log) ID() string { return l.id }

// Bounds implements curated.Log.
func (l *Log) Bounds(context.Context) (int64, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return 0, l.end, nil
}

// Read implements curated.Log.
func (l *Log) Read(ctx context.Context, from, to int64, fn func(*curated.Record) error) error {
	for _, r := range l.Held() {
		if r.Offset < from || r.Offset >= to {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(&r); err != nil {
			return err
		}
	}
	return nil
}

// Append implements curated.Log.
func (l *Log) Append(_ context.Context, records []curated.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		r.Offset, r.Value = l.end, slices.Clone(r.Value)
		l.end++
		l.held, l.all = append(l.held, r), append(l.all, r)
	}
	return nil
}

// Held are the records that compaction has left.
func (l *Log) Held() []curated.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.held)
}

// All are the records that were ever written.
func (l *Log) All() []curated.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// Compact removes, below an offset, what a later record below it follows, and below the second one
// null values too.
func (l *Log) Compact(below, nulls int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := map[string]int64{}
	for _, r := range l.held {
		if r.Offset < below {
			last[r.Key] = r.Offset
		}
	}
	l.held = slices.DeleteFunc(l.held, func(r curated.Record) bool {
		return r.Offset < below && (last[r.Key] != r.Offset || r.Value == nil && r.Offset < nulls)
	})
}
