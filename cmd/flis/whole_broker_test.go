package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/transforms"
)

// wholeBroker is a broker in memory: topics of one partition. Compaction and faults are the
// simulation's to order.
type wholeBroker struct {
	topics map[string]*wholeTopic
	now    func() schemas.Instant
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

// compact keeps of each key the newest record, as a broker may at any moment but for the last
// record of all. It says how many went.
func (b *wholeBroker) compact(name string) (gone int) {
	t := b.topic(name)
	if len(t.items) == 0 {
		return 0
	}
	last := map[string]int64{}
	for i := range t.items {
		last[string(t.items[i].Key)] = t.items[i].Offset
	}
	before := len(t.items)
	t.items = slices.DeleteFunc(t.items, func(it streams.Item) bool {
		return it.Offset != last[string(it.Key)] && it.Offset != t.next-1
	})
	return before - len(t.items)
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
