package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/streams/broker"
	"github.com/flis-dk/flis/streams/kafka"
	"github.com/flis-dk/flis/transforms"
)

// cluster is the broker that the installation works with: the configured one, the one that a
// running flis has embedded, or one that lives as long as this process.
type cluster struct {
	*kafka.Client
	own        *broker.Broker // nil where the broker is another's
	partitions int
}

// connect finds or starts the broker.
func (in *installation) connect(ctx context.Context) (*cluster, error) {
	cl := &cluster{partitions: in.cfg.Kafka.Partitions}
	addrs, opts := in.cfg.Kafka.Brokers, kafka.Options{Patience: in.cfg.patience()}
	if in.cfg.embedded() {
		addr, err := cl.embed(filepath.Join(in.cfg.Dir, brokerName))
		if err != nil {
			return nil, err
		}
		if addrs = []string{addr}; cl.own == nil {
			opts.Patience = guestPatience
		}
	}
	var err error
	if cl.Client, err = kafka.Dial(ctx, addrs, opts); err != nil {
		cl.Close()
		return nil, err
	}
	return cl, nil
}

const (
	// guestPatience is for the broker of another flis, which does not come back when that has
	// ended.
	guestPatience = 3 * time.Second
	// embedTries bounds how often another flis may begin or end in the moment that this one looks
	// for its broker.
	embedTries = 5
)

// embed finds the broker that a running flis has in the folder, or starts one.
func (cl *cluster) embed(dir string) (addr string, err error) {
	for range embedTries {
		if addr, running := broker.Find(dir); running {
			return addr, nil
		}
		cl.own, err = broker.Start(dir, broker.Options{})
		if err == nil {
			return cl.own.Addr(), nil
		}
		if !errors.Is(err, broker.ErrLocked) {
			break
		}
	}
	return "", err
}

// onBroker does the work of a verb. When the flis whose embedded broker it used has ended, the work
// is done again on another: what is journalled or closed is not done twice, and what is published
// twice counts once.
func (in *installation) onBroker(ctx context.Context, work func(*cluster) error) error {
	var err error
	for range embedTries {
		var again bool
		if again, err = in.tryBroker(ctx, work); !again {
			return err
		}
		in.out.Println("the flis whose broker was used has ended: going on without it")
	}
	return err
}

func (in *installation) tryBroker(
	ctx context.Context,
	work func(*cluster) error,
) (again bool, err error) {
	cl, err := in.connect(ctx)
	if err != nil {
		return in.cfg.embedded() && errors.Is(err, kafka.ErrUnreachable), err
	}
	defer cl.Close()
	err = work(cl)
	// of a broker that comes and goes with its flis, a client may see a state in between for long
	again = errors.Is(err, kafka.ErrUnreachable) || errors.Is(err, kafka.ErrGaveUp)
	return in.cfg.embedded() && cl.own == nil && again, err
}

// Close ends the connection, and the broker that is ours.
func (cl *cluster) Close() {
	if cl.Client != nil {
		cl.Client.Close()
	}
	if cl.own != nil {
		_ = cl.own.Close() // what was acknowledged is on disk already
	}
}

// topics is every raw topic of a system, its control topic last; they are made where they are
// missing.
func (cl *cluster) topics(
	ctx context.Context,
	in *installation,
	s schemas.System,
) ([]string, error) {
	var names []string
	for _, e := range in.catalog.Events(s) {
		names = append(names, schemas.RawTopic(s, e))
	}
	for _, n := range names {
		if err := cl.EnsureTopic(ctx, n, cl.partitions, kafka.RawConfigs()); err != nil {
			return nil, err
		}
	}
	control := schemas.RawTopic(s, schemas.ControlEvent)
	return append(names, control), cl.EnsureTopic(ctx, control, 1, kafka.RawConfigs())
}

// trimBehind is how many journalled records of a partition the embedded broker keeps: it has
// everything in memory.
const trimBehind = 50_000

// trim removes from the embedded broker what has long been journalled; another broker has its own
// retention. Control records stay: the chain of files is read from them.
func (cl *cluster) trim(ctx context.Context, at map[schemas.Stream]sinks.Position) error {
	if cl.own == nil {
		return nil
	}
	for stream, p := range at {
		_, topic, partition, ok := stream.Parts()
		if !ok || strings.HasSuffix(topic, "."+schemas.ControlEvent+".v1") || p.Next <= trimBehind {
			continue
		}
		if err := cl.own.Trim(ctx, topic, partition, p.Next-trimBehind); err != nil {
			return err
		}
	}
	return nil
}

// newFeed makes the topics and the publisher of a system.
func (in *installation) newFeed(
	ctx context.Context,
	cl *cluster,
	s schemas.System,
) (*streams.Feed, error) {
	key, err := loadKey(in.cfg)
	if err != nil {
		return nil, err
	}
	if _, err := cl.topics(ctx, in, s); err != nil {
		return nil, err
	}
	return in.feedTo(publisher{kafka.NewProducer(cl.Client)}, key), nil
}

// feedTo is a feed that publishes to p, by the catalog's schemas; ids are the registry's.
func (in *installation) feedTo(p streams.Producer, key []byte) *streams.Feed {
	ids := map[string]uint32{}
	return &streams.Feed{
		Producer: p, Key: key, Clock: in.clock,
		SchemaID: func(ctx context.Context, topic string) (uint32, error) {
			if id, ok := ids[topic]; ok {
				return id, nil
			}
			sc, ok := in.catalog.TopicSchema(topic)
			if !ok {
				return 0, fmt.Errorf("topic %s has no schema", topic)
			}
			var err error
			ids[topic], err = in.registry.Register(ctx, topic+"-value", sc.JSON)
			return ids[topic], err
		},
		Encode: func(topic string, json []byte) ([]byte, error) {
			sc, ok := in.catalog.TopicSchema(topic)
			if !ok {
				return nil, fmt.Errorf("topic %s has no schema", topic)
			}
			return encodeEvent(sc, json)
		},
	}
}

// encodeEvent is transforms.EncodeEvent as the feed wants it: the finding is the error.
func encodeEvent(sc *avro.Schema, json []byte) ([]byte, error) {
	b, f := transforms.EncodeEvent(sc, json)
	if f != nil {
		return nil, f
	}
	return b, nil
}

// publisher is a Kafka producer as streams knows it.
type publisher struct{ p *kafka.Producer }

// Send implements streams.Producer.
func (p publisher) Send(ctx context.Context, ms []streams.Message) error {
	out := make([]kafka.Message, len(ms))
	for i, m := range ms {
		out[i] = kafka.Message{Topic: m.Topic, Key: m.Key, Value: m.Value, Time: m.Time}
		for _, h := range m.Headers {
			out[i].Headers = append(out[i].Headers, kafka.Header{Name: h.Name, Value: h.Value})
		}
	}
	return p.p.Send(ctx, out)
}

// controls reads every control record that our feeds wrote for a system, oldest first.
func (cl *cluster) controls(ctx context.Context, s schemas.System) ([]streams.Control, error) {
	topic := schemas.RawTopic(s, schemas.ControlEvent)
	first, end, err := cl.Bounds(ctx, topic, 0)
	if err != nil {
		return nil, err
	}
	var all []streams.Control
	f := kafka.NewFetcher(
		cl.Client,
		[]kafka.Assignment{{Topic: topic, Next: first}},
		kafka.FetchOptions{},
	)
	for next := first; next < end; {
		chunks, err := f.Poll(ctx)
		if err != nil {
			return nil, err
		}
		for _, ch := range chunks {
			if ch.Err != nil {
				return nil, ch.Err
			}
			for _, r := range ch.Records {
				if c, err := streams.ParseControl(r.Value); err == nil { // others are a vendor's own
					all = append(all, c)
				}
			}
			next = ch.Next
		}
	}
	return all, nil
}

// What one fetch and one poll bring, in bytes: a journal entry overshoots its size by a poll at
// most, and its records are held twice until then.
const (
	fetchBytes = 4 << 20
	pollBytes  = 8 << 20
)

// source reads all partitions of a system's topics, or those that a group assigned.
type source struct {
	cl     *cluster
	topics []string
	only   map[string][]int // topic → partitions; nil = all
	fetch  *kafka.Fetcher
	ends   map[schemas.Stream]int64
	at     map[schemas.Stream]int64
	ids    map[string]string

	items   []streams.Item // memory of what Poll gave last
	headers []transforms.Header
}

// Seek implements streams.Source.
func (s *source) Seek(ctx context.Context, from map[schemas.Stream]streams.Position) error {
	s.ends, s.at, s.ids = map[schemas.Stream]int64{}, map[schemas.Stream]int64{}, map[string]string{}
	var as []kafka.Assignment
	for _, name := range s.topics {
		t, err := s.cl.Topic(ctx, name)
		if err != nil {
			return err
		}
		s.ids[name] = t.ID
		for p := range t.Partitions {
			if s.only != nil && !contains(s.only[name], p) {
				continue
			}
			a, err := s.start(ctx, t, p, from)
			if err != nil {
				return err
			}
			as = append(as, a)
		}
	}
	s.fetch = kafka.NewFetcher(s.cl.Client, as,
		kafka.FetchOptions{MaxBytes: fetchBytes, Budget: pollBytes})
	return nil
}

func contains(all []int, p int) bool {
	for _, x := range all {
		if x == p {
			return true
		}
	}
	return false
}

// start finds where a partition is read from, and that it is the one that was read before
// (invariant 4).
func (s *source) start(
	ctx context.Context,
	t kafka.Topic,
	p int,
	from map[schemas.Stream]streams.Position,
) (
	kafka.Assignment, error) {
	stream := schemas.NewStream(s.cl.ClusterID(), t.Name, p)
	first, end, err := s.cl.Bounds(ctx, t.Name, p)
	if err != nil {
		return kafka.Assignment{}, err
	}
	pos, known := from[stream]
	if m := readElsewhere(from, s.cl.ClusterID(), t.Name); !known && m != nil {
		return kafka.Assignment{}, m
	}
	if !known && first > 0 {
		return kafka.Assignment{}, &kafka.HoleError{Topic: t.Name, Partition: p, LogStart: first}
	}
	s.ends[stream], s.at[stream] = end, pos.Next
	if err := s.checkAnchor(ctx, t, p, pos, first, end); err != nil {
		return kafka.Assignment{}, err
	}
	return kafka.Assignment{Topic: t.Name, Partition: p, Next: pos.Next, TopicID: t.ID}, nil
}

// movedError: a topic was read from another cluster so far.
type movedError struct {
	topic, was, now string
	left            map[schemas.Stream]int64 // the other cluster's streams, and where each stands
}

func (e *movedError) Error() string {
	return fmt.Sprintf(
		"read %s: so far it was read from cluster %s, and this is cluster %s: the broker was made anew, or "+
			"the configuration names another one; bring the old one back, or give --gap REASON to leave it for good",
		e.topic,
		e.was,
		e.now,
	)
}

// readElsewhere is nil where the topic was read from this cluster, or from none that was not left
// by a recorded gap: a stream that ends in a gap has no anchor.
func readElsewhere(from map[schemas.Stream]streams.Position, cluster, topic string) *movedError {
	m := &movedError{topic: topic, now: cluster, left: map[schemas.Stream]int64{}}
	for stream, pos := range from {
		c, name, _, ok := stream.Parts()
		switch {
		case !ok || name != topic:
		case c == cluster:
			return nil
		case pos.Anchor != (streams.Anchor{}):
			m.was, m.left[stream] = c, pos.Next
		}
	}
	if m.was == "" {
		return nil
	}
	return m
}

// checkAnchor compares the last record that was read with what stands at its offset now. A log that
// begins exactly at the next offset, in the same topic, has only forgotten what was read.
func (s *source) checkAnchor(
	ctx context.Context,
	t kafka.Topic,
	p int,
	pos streams.Position,
	first, end int64,
) error {
	a := pos.Anchor
	switch {
	case a == (streams.Anchor{}):
		return nil
	case a.Topic != "" && t.ID != "" && a.Topic != t.ID:
		return &kafka.RecreatedError{Topic: t.Name, Was: a.Topic, Now: t.ID}
	case first > pos.Next:
		return &kafka.HoleError{Topic: t.Name, Partition: p, Asked: pos.Next, LogStart: first}
	case end < pos.Next:
		return &kafka.ShrunkError{Topic: t.Name, Partition: p, Asked: pos.Next, End: end}
	case a.Offset < first:
		return nil
	}
	r, err := s.cl.ReadAt(ctx, t.Name, p, a.Offset)
	if errors.Is(err, kafka.ErrNoRecord) {
		return nil // compacted since; the topic's id has been compared
	}
	if err == nil && kafka.AnchorOf(r) != a.Hash {
		err = fmt.Errorf(
			"read %s/%d: at offset %d stands another record than the one that was read: the log was cut "+
				"and written anew",
			t.Name,
			p,
			a.Offset,
		)
	}
	return err
}

// Poll implements streams.Source.
func (s *source) Poll(ctx context.Context) ([]streams.Chunk, error) {
	chunks, err := s.fetch.Poll(ctx)
	if err != nil {
		return nil, err
	}
	s.items, s.headers = s.items[:0], s.headers[:0]
	out := make([]streams.Chunk, 0, len(chunks))
	for i := range chunks {
		ch := &chunks[i]
		if ch.Err != nil {
			return nil, ch.Err
		}
		out = append(out, s.chunk(ch))
	}
	return out, nil
}

func (s *source) chunk(ch *kafka.Chunk) streams.Chunk {
	stream := schemas.NewStream(s.cl.ClusterID(), ch.Topic, ch.Partition)
	out := streams.Chunk{Stream: stream, After: streams.Position{Next: ch.Next}}
	first := len(s.items)
	for i := range ch.Records {
		r := &ch.Records[i]
		it := streams.Item{
			Record: transforms.Record{Stream: stream, Offset: r.Offset, Arrived: r.Time, Topic: ch.Topic,
				Key: r.Key, Value: r.Value},
		}
		at := len(s.headers)
		for _, h := range r.Headers {
			s.headers = append(s.headers, transforms.Header{Name: h.Name, Value: h.Value})
		}
		it.Headers = s.headers[at:len(s.headers):len(s.headers)]
		switch {
		case r.Oversized:
			it.Unreadable = schemas.Reject(schemas.CodeBudget, "", "send it in smaller units",
				"the record is larger than 16 MiB once decompressed, or its batch is")
		case r.Malformed:
			it.Unreadable = schemas.Reject(
				schemas.CodeDecode,
				"",
				"send the records again with a client that works",
				"the batch's checksum is right but it holds no records",
			)
		}
		s.items = append(s.items, it)
	}
	out.Items = s.items[first:len(s.items):len(s.items)]
	if n := len(ch.Records); n > 0 {
		last := ch.Records[n-1]
		out.After.Anchor = streams.Anchor{
			Topic:  s.ids[ch.Topic],
			Epoch:  ch.LeaderEpoch,
			Offset: last.Offset,
			Hash:   kafka.AnchorOf(last),
		}
	}
	s.at[stream] = ch.Next
	return out
}

// Done implements streams.Source.
func (s *source) Done() bool {
	for stream, end := range s.ends {
		if s.at[stream] < end {
			return false
		}
	}
	return true
}
