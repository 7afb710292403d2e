package kafka

import (
	"context"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// Generation is one assignment of partitions to this process. It is no lock: another process may
// hold the same partitions before Done is closed, and every write must stand that.
type Generation struct {
	Partitions map[string][]int // by topic
	Done       <-chan struct{}  // closed when the group divides the partitions anew
	Err        error            // alone: the group could not be joined, and nothing comes after it
	gen        *kafkago.Generation
}

// Lag tells the group how far the partitions have been read, for lag metrics only: nothing resumes
// there.
func (g *Generation) Lag(next map[string]map[int]int64) error {
	if err := g.gen.CommitOffsets(next); err != nil {
		return fmt.Errorf("tell group %s its lag: %w", g.gen.GroupID, err)
	}
	return nil
}

// Times of a group: a process that died is noticed after groupSession.
const (
	groupHeartbeat = time.Second
	groupSession   = 10 * time.Second
	groupBackoff   = 500 * time.Millisecond
)

// Assign joins the group and sends each assignment of partitions of the topics, until the context
// ends; the channel is then closed. A generation must be let go when Done is closed: the next comes
// only after that. A partition that was added to a topic makes a new generation.
func (c *Client) Assign(ctx context.Context, group string, topics []string) (<-chan *Generation,
	error) {
	cg, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{ID: group, Brokers: c.brokers,
		Topics:         topics,
		Dialer:         &kafkago.Dialer{ClientID: c.opts.ClientID, Timeout: attemptMax, TLS: c.opts.TLS},
		GroupBalancers: []kafkago.GroupBalancer{kafkago.RoundRobinGroupBalancer{}},
		StartOffset:    kafkago.FirstOffset, WatchPartitionChanges: true,
		HeartbeatInterval: groupHeartbeat, SessionTimeout: groupSession, RebalanceTimeout: groupSession,
		JoinGroupBackoff: groupBackoff})
	if err != nil {
		return nil, fmt.Errorf("join group %s: %w", group, err)
	}
	out := make(chan *Generation)
	go func() {
		defer close(out)
		defer cg.Close()
		c.follow(ctx, cg, group, out)
	}()
	return out, nil
}

// follow delivers generations until the context ends, or the group cannot be joined for too long.
func (c *Client) follow(ctx context.Context, cg *kafkago.ConsumerGroup, group string,
	out chan<- *Generation) {
	var since time.Time // of the first failure of an unbroken run
	for ctx.Err() == nil {
		g, err := cg.Next(ctx) // kafka-go pauses after a failure and joins again
		switch {
		case err == nil:
			since = time.Time{}
			deliver(ctx, out, g)
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > c.opts.Patience:
			over := make(chan struct{})
			close(over)
			err = fmt.Errorf("join group %s: %w", group, c.gaveUp(err))
			select {
			case out <- &Generation{Partitions: map[string][]int{}, Done: over, Err: err}:
			case <-ctx.Done():
			}
			return
		}
	}
}

// deliver hands the generation out and returns when it has ended.
func deliver(ctx context.Context, out chan<- *Generation, g *kafkago.Generation) {
	done := make(chan struct{})
	n := &Generation{Partitions: map[string][]int{}, Done: done, gen: g}
	for topic, ps := range g.Assignments {
		for _, p := range ps {
			n.Partitions[topic] = append(n.Partitions[topic], p.ID)
		}
	}
	ended := make(chan struct{})
	g.Start(func(gctx context.Context) {
		defer close(ended)
		select {
		case out <- n:
		case <-gctx.Done():
			return
		case <-ctx.Done():
			return
		}
		select {
		case <-gctx.Done():
		case <-ctx.Done():
		}
	})
	<-ended
	close(done)
}
