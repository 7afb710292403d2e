package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams/curated"
	"github.com/flis-dk/flis/streams/kafka"
)

// topicLog is a curated topic of Kafka as curated knows it.
type topicLog struct {
	cl    *cluster
	topic string
	id    string
	send  *kafka.Producer
}

const (
	curatedBytes = 8 << 20
	// nullsKept is how long a consumer may be away and still see that an entity is gone; one that
	// is away for longer finds that its copy does not fit, and makes it anew.
	nullsKept = 30 * 24 * time.Hour
	// What is gone is to be gone from the topic, too: the last records are compacted within so long.
	segmentAge    = 24 * time.Hour
	compactedLast = 7 * 24 * time.Hour
)

func curatedConfigs() map[string]string {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return map[string]string{
		"cleanup.policy":        "compact",
		"max.message.bytes":     strconv.Itoa(curatedBytes),
		"delete.retention.ms":   ms(nullsKept),
		"segment.ms":            ms(segmentAge),
		"max.compaction.lag.ms": ms(compactedLast),
	}
}

// openTopic opens a unit's curated topic, which is made where it is missing if create says so.
func (cl *cluster) openTopic(ctx context.Context, u schemas.Unit, create bool) (*topicLog, error) {
	name := schemas.CuratedTopic(u)
	if create {
		if err := cl.EnsureTopic(ctx, name, 1, curatedConfigs()); err != nil {
			return nil, err
		}
	}
	d, err := cl.Describe(ctx, name)
	if err != nil {
		return nil, err
	}
	if d.Partitions != 1 || d.Configs["cleanup.policy"] != "compact" {
		return nil, fmt.Errorf("topic %s has %d partitions and cleanup.policy %s: a curated topic has "+
			"one and compact; delete it, and flis publish makes it anew", name, d.Partitions,
			d.Configs["cleanup.policy"])
	}
	return &topicLog{cl: cl, topic: name, id: cl.ClusterID() + "/" + name + "/" + d.ID,
		send: kafka.NewProducer(cl.Client)}, nil
}

// ID implements curated.Log.
func (l *topicLog) ID() string { return l.id }

// Bounds implements curated.Log.
func (l *topicLog) Bounds(ctx context.Context) (first, end int64, err error) {
	return l.cl.Bounds(ctx, l.topic, 0)
}

// Read implements curated.Log.
func (l *topicLog) Read(ctx context.Context, from, to int64,
	fn func(*curated.Record) error) error {
	f := kafka.NewFetcher(l.cl.Client, []kafka.Assignment{{Topic: l.topic, Next: from}},
		kafka.FetchOptions{MaxBytes: fetchBytes, Budget: pollBytes})
	for next := from; next < to; {
		chunks, err := f.Poll(ctx)
		if err != nil {
			return err
		}
		for i := range chunks {
			ch := &chunks[i]
			if ch.Err != nil {
				return ch.Err
			}
			if err := l.hand(ch, to, fn); err != nil {
				return err
			}
			next = ch.Next
		}
	}
	return nil
}

func (l *topicLog) hand(ch *kafka.Chunk, to int64, fn func(*curated.Record) error) error {
	for i := range ch.Records {
		r := &ch.Records[i]
		if r.Offset >= to {
			return nil
		}
		if r.Malformed || r.Oversized {
			return fmt.Errorf("read %s at offset %d: it holds what no publisher of ours has written; "+
				"see who may write to it, delete it, and flis publish makes it anew", l.topic, r.Offset)
		}
		rec := curated.Record{Offset: r.Offset, Key: string(r.Key), Value: r.Value}
		for _, h := range r.Headers {
			rec.SetHeader(h.Name, h.Value)
		}
		if err := fn(&rec); err != nil {
			return err
		}
	}
	return nil
}

// Append implements curated.Log.
func (l *topicLog) Append(ctx context.Context, records []curated.Record) error {
	ms := make([]kafka.Message, len(records))
	for i := range records {
		r := &records[i]
		number, sequence := r.Headers()
		ms[i] = kafka.Message{Topic: l.topic, Key: []byte(r.Key), Value: r.Value,
			Headers: []kafka.Header{{Name: curated.HeaderNumber, Value: number},
				{Name: curated.HeaderSequence, Value: sequence}}}
	}
	return l.send.Send(ctx, ms)
}
