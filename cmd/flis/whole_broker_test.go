package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/streams/curated"
	"github.com/flis-dk/flis/transforms"
)

// wholeBroker is a broker in memory: topics of one partition. Compaction and faults are the
// simulation's to order.
type wholeBroker struct {
	topics map[string]*wholeTopic
	units  map[schemas.Unit]*wholeCurated
	now    func() schemas.Instant
	part   func(n int) int // where a batch of n may break
}

type wholeTopic struct {
	items []streams.Item // in order of offset; compaction leaves holes
	next  int64
}

const wholeCluster = "sim"

func (b *wholeBroker) topic(name string) *wholeTopic {
	t := b.topics[name]
	if t == nil {
		t = &wholeTopic{}
		b.topics[name] = t
	}
	return t
}

func (b *wholeBroker) append(m *streams.Message) {
	t := b.topic(m.Topic)
	t.items = append(t.items, streams.Item{Record: transforms.Record{
		Stream: schemas.NewStream(wholeCluster, m.Topic, 0), Offset: t.next, Arrived: b.now(),
		Topic: m.Topic, Key: slices.Clone(m.Key), Value: slices.Clone(m.Value),
		Headers: slices.Clone(m.Headers)}})
	t.next++
}

// wholeHandle is a process's connection: each operation is the scheduler's.
type wholeHandle struct {
	broker *wholeBroker
	hook   store.Hook // nil = no faults
	dead   bool
}

func (h *wholeHandle) fault(op store.Op, key string) store.Fault {
	if h.hook == nil {
		return store.Proceed
	}
	return h.hook(op, key)
}

// do runs an operation of the broker. A read that is lost is refused.
func (h *wholeHandle) do(op store.Op, key string, effect func()) error {
	if h.dead {
		return store.ErrCrashed
	}
	f := h.fault(op, key)
	if f == store.Proceed || f == store.LoseAnswer || f == store.CrashAfter {
		effect()
	}
	switch f {
	case store.Proceed:
		return nil
	case store.CrashBefore, store.CrashAfter:
		h.dead = true
		return store.ErrCrashed
	case store.Refuse:
		return store.ErrInjected
	}
	return store.ErrUnknown
}

// Send implements streams.Producer. A batch whose answer is lost may have come in part.
func (h *wholeHandle) Send(_ context.Context, ms []streams.Message) error {
	for i := range ms {
		if err := h.do(store.OpCreate, ms[i].Topic, func() { h.broker.append(&ms[i]) }); err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
	return nil
}

// wholeSource reads the raw topics of one system.
type wholeSource struct {
	*wholeHandle
	topics []string
	most   int // records of a poll
	at     map[string]int64
	ends   map[string]int64
	turn   int
}

// Seek implements streams.Source.
func (s *wholeSource) Seek(_ context.Context, from map[schemas.Stream]streams.Position) error {
	s.at, s.ends = map[string]int64{}, map[string]int64{}
	return s.do(store.OpList, "bounds", func() {
		for _, t := range s.topics {
			s.at[t] = from[schemas.NewStream(wholeCluster, t, 0)].Next
			s.ends[t] = s.broker.topic(t).next
		}
	})
}

// Poll implements streams.Source.
func (s *wholeSource) Poll(context.Context) ([]streams.Chunk, error) {
	var out []streams.Chunk
	err := s.do(store.OpOpen, "poll", func() {
		for range s.topics {
			name := s.topics[s.turn%len(s.topics)]
			s.turn++
			if c, ok := s.chunk(name); ok {
				out = append(out, c)
				return
			}
		}
	})
	return out, err
}

func (s *wholeSource) chunk(name string) (streams.Chunk, bool) {
	stream := schemas.NewStream(wholeCluster, name, 0)
	c := streams.Chunk{Stream: stream}
	for _, it := range s.broker.topic(name).items {
		if it.Offset >= s.at[name] && len(c.Items) < s.most {
			c.Items = append(c.Items, it)
		}
	}
	if len(c.Items) == 0 {
		return c, false
	}
	last := c.Items[len(c.Items)-1].Offset
	s.at[name] = last + 1
	c.After = streams.Position{Next: last + 1, Anchor: streams.Anchor{Topic: name, Offset: last,
		Hash: fmt.Sprintf("%s-%d", name, last)}}
	return c, true
}

// Done implements streams.Source.
func (s *wholeSource) Done() bool {
	for t, end := range s.ends {
		if s.at[t] < end {
			return false
		}
	}
	return true
}

// mayGoOn says whether an error is one of the simulated world: the process, or another, goes on.
func mayGoOn(err error) bool {
	return err == nil || errors.Is(err, store.ErrCrashed) || errors.Is(err, store.ErrInjected) ||
		errors.Is(err, store.ErrUnknown) || errors.Is(err, streams.ErrLostRace)
}

// wholeLog is a curated topic of the simulation's broker. What is compacted is the simulation's to
// order.
type wholeLog struct {
	*wholeHandle
	unit schemas.Unit
}

// wholeCurated is the records of a curated topic; offsets never change.
type wholeCurated struct {
	records []curated.Record
	history []curated.Record // before any compaction
	next    int64
}

func (b *wholeBroker) curated(u schemas.Unit) *wholeCurated {
	if b.units == nil {
		b.units = map[schemas.Unit]*wholeCurated{}
	}
	if b.units[u] == nil {
		b.units[u] = &wholeCurated{}
	}
	return b.units[u]
}

// compact keeps of each key the newest record, and, if nulls go, no null value but the last record.
func (c *wholeCurated) compact(nulls bool) {
	last := map[string]int64{}
	for i := range c.records {
		last[c.records[i].Key] = c.records[i].Offset
	}
	c.records = slices.DeleteFunc(c.records, func(r curated.Record) bool {
		return r.Offset != c.next-1 && (last[r.Key] != r.Offset || nulls && r.Value == nil)
	})
}

// ID implements curated.Log.
func (l *wholeLog) ID() string { return wholeCluster + l.unit.String() }

// Bounds implements curated.Log.
func (l *wholeLog) Bounds(context.Context) (first, end int64, err error) {
	err = l.do(store.OpList, "curated", func() { end = l.broker.curated(l.unit).next })
	return 0, end, err
}

// Read implements curated.Log, a few records at a time: others go on meanwhile.
func (l *wholeLog) Read(_ context.Context, from, to int64, fn func(*curated.Record) error) error {
	const few = 8
	for from < to {
		var got []curated.Record
		err := l.do(store.OpOpen, "curated", func() {
			for _, r := range l.broker.curated(l.unit).records {
				if r.Offset >= from && r.Offset < to && len(got) < few {
					got = append(got, r)
				}
			}
		})
		if err != nil || len(got) == 0 {
			return err
		}
		for i := range got {
			if err := fn(&got[i]); err != nil {
				return err
			}
		}
		from = got[len(got)-1].Offset + 1
	}
	return nil
}

// Append implements curated.Log. Of a batch whose answer is lost a part may have come.
func (l *wholeLog) Append(_ context.Context, records []curated.Record) error {
	for len(records) > 0 {
		n := min(len(records), 1+l.broker.part(len(records)))
		err := l.do(store.OpCreate, "curated", func() {
			t := l.broker.curated(l.unit)
			for _, r := range records[:n] {
				r.Offset, r.Value = t.next, slices.Clone(r.Value)
				t.records, t.next = append(t.records, r), t.next+1
				t.history = append(t.history, r)
			}
		})
		if err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}
