package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/flis-dk/flis/schemas"
)

// Message is a record to be sent.
type Message struct {
	Topic   string
	Key     []byte // decides the partition as in Java's producer (murmur2); nil is a key, too
	Value   []byte // nil = null
	Headers []Header
	Time    schemas.Instant // 0 = now; counts only where the topic does not have LogAppendTime
}

// Producer sends records, acknowledged by all replicas in sync. Safe for concurrent use.
type Producer struct {
	client   *Client
	balancer kafkago.Murmur2Balancer
}

const (
	// batchRecords and batchBytes bound a batch: large ones are fast; a record beyond batchBytes
	// goes alone.
	batchRecords = 4000
	batchBytes   = 900 << 10
	// sendersMax is the number of partitions that are written at the same time.
	sendersMax = 8
)

// NewProducer sends through the client's connections.
func NewProducer(c *Client) *Producer {
	return &Producer{client: c, balancer: kafkago.Murmur2Balancer{Consistent: true}}
}

// Send writes the messages, those of one partition in order, and returns when all are acknowledged.
// It tries again until Options.Patience has passed; a retry can double a record, so that readers go
// by ce_id. An error means that the outcome is unknown: any of the messages may be in the log. It
// never tells their content.
func (p *Producer) Send(ctx context.Context, ms []Message) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	parts, err := p.partition(ctx, ms)
	if err != nil {
		return err
	}
	slots := make(chan struct{}, sendersMax)
	var all sync.WaitGroup
	for to, ms := range parts {
		slots <- struct{}{}
		all.Go(func() {
			if err := p.sendTo(ctx, to, ms); err != nil {
				cancel(err)
			}
			<-slots
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// destination is a partition of a topic.
type destination struct {
	topic     string
	partition int
}

// partition sorts messages by destination.
func (p *Producer) partition(ctx context.Context, ms []Message) (map[destination][]*Message,
	error) {
	parts := map[destination][]*Message{}
	numbers := map[string][]int{}
	for i := range ms {
		m := &ms[i]
		ns, ok := numbers[m.Topic]
		if !ok {
			var err error
			if ns, err = p.partitions(ctx, m.Topic); err != nil {
				return nil, err
			}
			numbers[m.Topic] = ns
		}
		to := destination{m.Topic, p.balancer.Balance(kafkago.Message{Key: m.Key}, ns...)}
		parts[to] = append(parts[to], m)
	}
	return parts, nil
}

// partitions lists the topic's partitions: 0 and up.
func (p *Producer) partitions(ctx context.Context, topic string) (ns []int, err error) {
	err = p.client.persist(ctx, "produce to "+topic, func(ctx context.Context) error {
		all, err := p.client.leaders(ctx, []string{topic})
		if err != nil {
			return err
		}
		if len(all[topic]) == 0 {
			return kafkago.UnknownTopicOrPartition
		}
		ns = ns[:0]
		for i := range all[topic] {
			ns = append(ns, i)
		}
		return nil
	})
	return ns, err
}

// sendTo writes the messages of one partition, batch by batch.
func (p *Producer) sendTo(ctx context.Context, to destination, ms []*Message) error {
	for len(ms) > 0 {
		n := batchLen(ms)
		what := fmt.Sprintf("produce to %s/%d", to.topic, to.partition)
		err := p.client.persist(ctx, what, func(ctx context.Context) error {
			return p.write(ctx, to, ms[:n])
		})
		if err != nil {
			return err
		}
		ms = ms[n:]
	}
	return nil
}

// batchLen is the number of messages that make the next batch.
func batchLen(ms []*Message) int {
	size := 0
	for i, m := range ms {
		size += m.size()
		if i == batchRecords || i > 0 && size > batchBytes {
			return i
		}
	}
	return len(ms)
}

func (m *Message) size() int {
	n := 32 + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += 4 + len(h.Name) + len(h.Value)
	}
	return n
}

// write makes one attempt at one batch.
func (p *Producer) write(ctx context.Context, to destination, ms []*Message) error {
	now := time.Now()
	records := make([]kafkago.Record, len(ms))
	for i, m := range ms {
		records[i] = kafkago.Record{Time: now, Key: kafkago.NewBytes(m.Key),
			Value: kafkago.NewBytes(m.Value)}
		if m.Time != 0 {
			records[i].Time = m.Time.Time()
		}
		for _, h := range m.Headers {
			records[i].Headers = append(records[i].Headers, kafkago.Header{Key: h.Name, Value: h.Value})
		}
	}
	res, err := p.client.client.Produce(ctx, &kafkago.ProduceRequest{Topic: to.topic,
		Partition:    to.partition,
		RequiredAcks: kafkago.RequireAll, Compression: kafkago.Lz4,
		Records: kafkago.NewRecordReader(records...)})
	if err != nil {
		return err
	}
	var code kafkago.Error
	if errors.As(res.Error, &code) { // the code alone: a broker's message may quote the record
		if code == kafkago.Unknown {
			return fmt.Errorf("the broker could not write (is its disk full?): %w", code)
		}
		return code
	}
	return res.Error
}
