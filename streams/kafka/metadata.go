package kafka

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
)

// Topic is a topic as the brokers know it now.
type Topic struct {
	Name       string
	Partitions int
	ID         string // "" where the cluster has no topic ids
	Internal   bool
	id         [16]byte
}

// metadataVersion has topic ids (10 is the first); read and written here, as kafka-go stops at 8.
const metadataVersion = 12

// hasTopicIDs says whether the cluster names topics by id.
func (c *Client) hasTopicIDs() bool {
	return c.versions[keyMetadata] >= metadataVersion && c.versions[keyFetch] >= fetchByID
}

// Topics lists every topic, by name, internal ones aside.
func (c *Client) Topics(ctx context.Context) ([]Topic, error) {
	var all []Topic
	err := c.persist(ctx, "list topics", func(ctx context.Context) (err error) {
		all, err = c.metadata(ctx, nil)
		return err
	})
	all = slices.DeleteFunc(all, func(t Topic) bool { return t.Internal })
	slices.SortFunc(all, func(a, b Topic) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Topic asks the brokers for one topic: ErrNoTopic when there is none.
func (c *Client) Topic(ctx context.Context, name string) (t Topic, err error) {
	err = c.persist(ctx, "look up topic "+name, func(ctx context.Context) (err error) {
		t, err = c.topic(ctx, name)
		return err
	})
	return t, err
}

// TopicID is the topic's id, another one when it is made anew. ErrNoTopicID, ErrNoTopic.
func (c *Client) TopicID(ctx context.Context, name string) (string, error) {
	t, err := c.Topic(ctx, name)
	if err == nil && t.ID == "" {
		err = fmt.Errorf("look up id of topic %s: %w", name, ErrNoTopicID)
	}
	return t.ID, err
}

func (c *Client) topic(ctx context.Context, name string) (Topic, error) {
	ts, err := c.metadata(ctx, []string{name})
	switch {
	case err != nil:
		return Topic{}, err
	case len(ts) == 0:
		return Topic{}, ErrNoTopic
	}
	return ts[0], nil
}

// metadata asks for the named topics, nil for all. A topic that is not there is left out.
func (c *Client) metadata(ctx context.Context, names []string) ([]Topic, error) {
	if c.versions[keyMetadata] < metadataVersion {
		return c.cachedMetadata(ctx, names)
	}
	e := &encoder{flex: true}
	if names == nil {
		e.raw([]byte{0})
	} else {
		e.array(len(names))
	}
	for _, n := range names {
		e.raw(make([]byte, 16))
		e.str(n)
		e.tags()
	}
	e.raw([]byte{0, 0}) // no creation, no authorised operations
	e.tags()
	body, err := c.ask(ctx, &exchange{key: keyMetadata, version: metadataVersion, flex: true,
		body: e.b, limit: answerMax})
	if err != nil {
		return nil, err
	}
	return readMetadata(&decoder{b: body, flex: true})
}

func readMetadata(d *decoder) ([]Topic, error) {
	d.int32() // throttle
	for range d.array() {
		d.int32() // node
		d.str()   // host
		d.int32() // port
		d.str()   // rack
		d.tags()
	}
	d.str()   // cluster
	d.int32() // controller
	var all []Topic
	for range d.array() {
		code := d.int16()
		t := Topic{Name: d.str()}
		copy(t.id[:], d.take(16))
		t.ID = idText(t.id)
		t.Internal = d.int8() != 0
		t.Partitions = d.array()
		for range t.Partitions {
			readPartition(d)
		}
		d.int32() // authorised operations
		d.tags()
		switch {
		case code == 0 || code == int16(kafkago.LeaderNotAvailable):
			all = append(all, t)
		case code != int16(kafkago.UnknownTopicOrPartition):
			return nil, fmt.Errorf("topic %s: %w", t.Name, errorOf(code))
		}
	}
	if d.bad {
		return nil, errShort
	}
	return all, nil
}

func readPartition(d *decoder) {
	d.take(2 + 4 + 4 + 4) // error, partition, leader, leader epoch
	for range 3 {         // replicas, in sync, offline
		d.take(4 * d.array())
	}
	d.tags()
}

func idText(id [16]byte) string {
	if id == ([16]byte{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// cachedMetadata is for clusters that are older: without ids, and up to metadataTTL old.
func (c *Client) cachedMetadata(ctx context.Context, names []string) ([]Topic, error) {
	m, err := c.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: names})
	if err != nil {
		return nil, err
	}
	var all []Topic
	for _, t := range m.Topics {
		if t.Error == nil {
			all = append(all, Topic{Name: t.Name, Partitions: len(t.Partitions), Internal: t.Internal})
		}
	}
	return all, nil
}

// leaders gives the leader of each partition of the topics, from the cache.
func (c *Client) leaders(ctx context.Context, names []string) (map[string][]kafkago.Partition,
	error) {
	m, err := c.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: names})
	if err != nil {
		return nil, err
	}
	all := make(map[string][]kafkago.Partition, len(m.Topics))
	for _, t := range m.Topics {
		if t.Error == nil {
			all[t.Name] = t.Partitions
		}
	}
	return all, nil
}

// Times that ListOffsets takes for the ends of a log.
const (
	logEnd   = -1
	logStart = -2
)

// Bounds gives the first offset that the log still holds, and the offset after the last one that a
// fetch may hand out: the end of the log, or where the first open transaction begins.
func (c *Client) Bounds(ctx context.Context, topic string, partition int) (first, next int64,
	err error) {
	what := fmt.Sprintf("ask for the bounds of %s/%d", topic, partition)
	err = c.persist(ctx, what, func(ctx context.Context) (err error) {
		if first, err = c.offsetAt(ctx, topic, partition, logStart); err == nil {
			next, err = c.offsetAt(ctx, topic, partition, logEnd)
		}
		return err
	})
	return first, next, err
}

func (c *Client) offsetAt(ctx context.Context, topic string, partition int, at int64) (int64,
	error) {
	m, err := c.transport.RoundTrip(ctx, c.addr, &listoffsets.Request{ReplicaID: -1, IsolationLevel: 1,
		Topics: []listoffsets.RequestTopic{{Topic: topic, Partitions: []listoffsets.RequestPartition{{
			Partition: int32(partition), CurrentLeaderEpoch: -1, Timestamp: at}}}}})
	if err != nil {
		return 0, err
	}
	for _, t := range m.(*listoffsets.Response).Topics {
		for _, p := range t.Partitions {
			return p.Offset, errorOf(p.ErrorCode)
		}
	}
	return 0, errShort
}
