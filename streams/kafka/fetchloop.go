package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

const (
	// batchMax bounds the one batch by which a response may exceed MaxBytes.
	batchMax = 128 << 20
	// fetchGrace is the time that an answer may take beyond the wait.
	fetchGrace = 10 * time.Second
)

// fetch asks the leaders of the due partitions, all at once, and takes their answers to the
// cursors.
func (f *Fetcher) fetch(ctx context.Context, due []*cursor) error {
	due, err := f.identify(ctx, due)
	if err != nil || len(due) == 0 {
		return err
	}
	byLeader, err := f.route(ctx, due)
	if err != nil {
		return err
	}
	attempt, cancel := context.WithTimeout(ctx, f.opts.MaxWait+fetchGrace)
	defer cancel()
	results := make(chan result, len(byLeader))
	var all sync.WaitGroup
	for broker, cs := range byLeader {
		p := f.params(broker, len(byLeader))
		all.Go(func() {
			answers, buf, err := f.client.fetchFrom(attempt, broker, p, cs)
			results <- result{broker, p, cs, answers, buf, err}
		})
	}
	all.Wait()
	close(results)
	for r := range results {
		if e := f.take(ctx, &r); e != nil {
			err = e
		}
	}
	return err
}

// result is one broker's answer.
type result struct {
	broker  int32
	params  *fetchParams
	cursors []*cursor
	answers map[place]answer
	buf     []byte
	err     error
}

func (f *Fetcher) params(broker int32, brokers int) *fetchParams {
	p := &fetchParams{byID: f.client.hasTopicIDs(), maxWaitMS: int32(f.opts.MaxWait.Milliseconds()),
		maxBytes: f.opts.MaxBytes, partitionMaxBytes: f.opts.MaxBytes, limit: f.opts.MaxBytes + batchMax,
		buf: f.bufs[broker], clientID: f.client.opts.ClientID}
	delete(f.bufs, broker) // until the answer is here: an abandoned request may still write to it
	if brokers > 1 && f.busy {
		p.maxWaitMS = 0 // one broker that has nothing must not hold up those that have
	}
	return p
}

// take brings one broker's answers to its cursors.
func (f *Fetcher) take(ctx context.Context, r *result) error {
	if r.err != nil {
		return f.retryAll(ctx, r.cursors, r.err)
	}
	if cap(r.buf) <= 2*f.opts.MaxBytes {
		f.bufs[r.broker] = r.buf
	}
	var failed error
	for _, c := range r.cursors {
		a, ok := r.answers[r.params.placeOf(c)]
		if !ok {
			a.err = kafkago.UnknownTopicOrPartition
		}
		if a.err != nil {
			if err := f.refused(ctx, c, a.err); err != nil {
				failed = err
			}
			continue
		}
		c.high, c.logStart = a.high, a.logStart
		if len(a.set) == 0 {
			c.recovered()
			continue
		}
		c.walk = newWalker(a.set, c.Next, a.aborted)
	}
	return failed
}

// Error codes that say that the topic may not be the one that was read.
const (
	unknownTopicID      kafkago.Error = 100
	inconsistentTopicID kafkago.Error = 103
)

// refused decides on a partition's error.
func (f *Fetcher) refused(ctx context.Context, c *cursor, err error) error {
	attempt, cancel := context.WithTimeout(ctx, attemptMax)
	defer cancel()
	var found, look error
	switch {
	case errors.Is(err, kafkago.OffsetOutOfRange):
		found, look = f.outOfRange(attempt, c)
	case errors.Is(err, kafkago.UnknownTopicOrPartition), errors.Is(err, unknownTopicID),
		errors.Is(err, inconsistentTopicID):
		found, look = f.otherTopic(attempt, c)
	case !temporary(err):
		found = fmt.Errorf("read %s/%d: %w", c.Topic, c.Partition, err)
	}
	if found != nil {
		c.err = found
		return nil
	}
	if look != nil && !errors.Is(look, ErrNoTopic) {
		err = look
	}
	return f.retry(ctx, c, err)
}

// outOfRange asks where the log begins and ends. In between, a fetch is tried again.
func (f *Fetcher) outOfRange(ctx context.Context, c *cursor) (found, look error) {
	first, err := f.client.offsetAt(ctx, c.Topic, c.Partition, logStart)
	if err != nil {
		return nil, err
	}
	end, err := f.client.offsetAt(ctx, c.Topic, c.Partition, logEnd)
	switch {
	case err != nil:
		return nil, err
	case c.Next < first:
		return &HoleError{Topic: c.Topic, Partition: c.Partition, Asked: c.Next, LogStart: first}, nil
	case c.Next > end:
		return &ShrunkError{Topic: c.Topic, Partition: c.Partition, Asked: c.Next, End: end}, nil
	}
	return nil, nil
}

// otherTopic asks whether the topic of that name is another one now.
func (f *Fetcher) otherTopic(ctx context.Context, c *cursor) (found, look error) {
	t, err := f.client.topic(ctx, c.Topic)
	if err == nil && c.known && t.id != c.id {
		return &RecreatedError{Topic: c.Topic, Was: idText(c.id), Now: t.ID}, nil
	}
	return nil, err
}

// retry puts a partition off. When patience has ended, a broker that does not answer is an error of
// the Poll, and any other one stops the partition.
func (f *Fetcher) retry(ctx context.Context, c *cursor, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.since.IsZero() {
		c.since = time.Now()
	}
	c.wait()
	if time.Since(c.since) < f.client.opts.Patience {
		return nil
	}
	c.since = time.Time{}
	switch {
	case disconnected(err):
		return fmt.Errorf("read %s/%d: %w", c.Topic, c.Partition, f.client.gaveUp(err))
	case gone(err) && c.known:
		c.err = &RecreatedError{Topic: c.Topic, Was: idText(c.id)}
	case gone(err):
		c.err = fmt.Errorf("read %s/%d: %w", c.Topic, c.Partition, ErrNoTopic)
	default:
		c.err = fmt.Errorf("read %s/%d: %w", c.Topic, c.Partition, f.client.gaveUp(err))
	}
	return nil
}

func gone(err error) bool {
	return errors.Is(err, kafkago.UnknownTopicOrPartition) || errors.Is(err, protocol.ErrNoTopic) ||
		errors.Is(err, unknownTopicID) || errors.Is(err, ErrNoTopic)
}

// retryAll puts partitions off for an error that is none of theirs.
func (f *Fetcher) retryAll(ctx context.Context, cs []*cursor, err error) error {
	var failed error
	for _, c := range cs {
		if e := f.retry(ctx, c, err); e != nil {
			failed = e
		}
	}
	return failed
}

// identify learns the topic ids that are not known yet, and gives the cursors that can be fetched.
func (f *Fetcher) identify(ctx context.Context, due []*cursor) ([]*cursor, error) {
	if !f.client.hasTopicIDs() {
		return due, nil
	}
	var ready []*cursor
	asked := map[string]error{}
	for _, c := range due {
		if !c.known {
			if err, ok := asked[c.Topic]; !ok || err != nil {
				asked[c.Topic] = f.learn(ctx, c.Topic, due)
			}
		}
		if c.known {
			ready = append(ready, c)
		} else if err := f.retry(ctx, c, asked[c.Topic]); err != nil {
			return nil, err
		}
	}
	return ready, nil
}

func (f *Fetcher) learn(ctx context.Context, topic string, due []*cursor) error {
	attempt, cancel := context.WithTimeout(ctx, attemptMax)
	defer cancel()
	t, err := f.client.topic(attempt, topic)
	if err != nil {
		return err
	}
	for _, c := range due {
		if c.Topic == topic && !c.known {
			c.id, c.known = t.id, true
		}
	}
	return nil
}

// route finds each partition's leader.
func (f *Fetcher) route(ctx context.Context, due []*cursor) (map[int32][]*cursor, error) {
	var names []string
	for _, g := range byTopic(due) {
		names = append(names, g[0].Topic)
	}
	attempt, cancel := context.WithTimeout(ctx, attemptMax)
	defer cancel()
	leaders, err := f.client.leaders(attempt, names)
	if err != nil {
		return nil, f.retryAll(ctx, due, err)
	}
	byLeader := map[int32][]*cursor{}
	for _, c := range due {
		broker, err := leaderOf(leaders, c.Topic, c.Partition)
		if err != nil {
			if err := f.refused(ctx, c, err); err != nil {
				return nil, err
			}
			continue
		}
		byLeader[broker] = append(byLeader[broker], c)
	}
	return byLeader, nil
}
