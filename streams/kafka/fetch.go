package kafka

import (
	"context"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// Versions of Fetch: by topic id where the cluster has them, so that a topic made anew answers with
// an error and never with other records; by name before that.
const (
	fetchByName = 11
	fetchByID   = 13
)

// answer is what one partition got from a fetch.
type answer struct {
	err      error
	high     int64
	logStart int64
	aborted  []abortedTxn
	set      []byte // aliases the response
}

// fetchParams are the same for every partition of a fetch.
type fetchParams struct {
	byID              bool
	maxWaitMS         int32
	maxBytes, limit   int
	buf               []byte
	clientID          string
	partitionMaxBytes int
}

// request writes a fetch of the cursors, all led by one broker.
func (p *fetchParams) request(cursors []*cursor) *exchange {
	x := &exchange{key: keyFetch, version: fetchByName, clientID: p.clientID, limit: p.limit,
		buf: p.buf}
	if p.byID {
		x.version, x.flex = fetchByID, true
	}
	e := &encoder{flex: p.byID}
	e.int32(-1) // no replica
	e.int32(p.maxWaitMS)
	e.int32(1) // least bytes
	e.int32(int32(p.maxBytes))
	e.int8(1)   // read committed
	e.int32(0)  // no session,
	e.int32(-1) // and none wanted
	groups := byTopic(cursors)
	e.array(len(groups))
	for _, g := range groups {
		if p.byID {
			e.raw(g[0].id[:])
		} else {
			e.str(g[0].Topic)
		}
		e.array(len(g))
		for _, c := range g {
			p.partition(e, c)
		}
		e.tags()
	}
	e.array(0) // nothing forgotten
	e.str("")  // rack
	e.tags()
	x.body = e.b
	return x
}

func (p *fetchParams) partition(e *encoder, c *cursor) {
	e.int32(int32(c.Partition))
	e.int32(-1) // leader epoch: any
	e.int64(c.Next)
	if p.byID {
		e.int32(-1) // last fetched epoch: not told
	}
	e.int64(-1) // log start, of replicas only
	e.int32(int32(p.partitionMaxBytes))
	e.tags()
}

// byTopic groups cursors by topic, keeping their order.
func byTopic(cursors []*cursor) [][]*cursor {
	var groups [][]*cursor
	at := map[string]int{}
	for _, c := range cursors {
		i, ok := at[c.Topic]
		if !ok {
			i = len(groups)
			at[c.Topic], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// place names a partition as the answer does: by topic id or by name.
type place struct {
	topic     string
	partition int32
}

func (p *fetchParams) placeOf(c *cursor) place {
	if p.byID {
		return place{string(c.id[:]), int32(c.Partition)}
	}
	return place{c.Topic, int32(c.Partition)}
}

// read takes an answer apart. A partition that the broker left out is not in the map.
func (p *fetchParams) read(body []byte) (map[place]answer, error) {
	d := &decoder{b: body, flex: p.byID}
	d.int32() // throttle
	if err := errorOf(d.int16()); err != nil {
		return nil, err
	}
	d.int32() // session
	all := map[place]answer{}
	for range d.array() {
		var topic string
		if p.byID {
			topic = string(d.take(16))
		} else {
			topic = d.str()
		}
		for range d.array() {
			partition := d.int32()
			all[place{topic, partition}] = readAnswer(d)
		}
		d.tags()
	}
	if d.bad {
		return nil, fmt.Errorf("read a fetch: %w", errShort)
	}
	return all, nil
}

func readAnswer(d *decoder) answer {
	a := answer{err: errorOf(d.int16()), high: d.int64()}
	d.int64() // last stable offset
	a.logStart = d.int64()
	for range d.array() {
		a.aborted = append(a.aborted, abortedTxn{producer: d.int64(), first: d.int64()})
		d.tags()
	}
	d.int32() // preferred replica
	a.set = d.bytes()
	d.tags()
	return a
}

// fetchFrom fetches the cursors from one broker. buf is the response's memory, to be used again.
func (c *Client) fetchFrom(ctx context.Context, broker int32, p *fetchParams, cs []*cursor) (
	all map[place]answer, buf []byte, err error) {
	m, err := c.transport.RoundTrip(ctx, c.addr, &routed{p.request(cs), broker})
	if err != nil {
		return nil, nil, err
	}
	r := m.(*reply)
	all, err = p.read(r.body)
	return all, r.buf, err
}

// leaderOf finds a partition's leader in what leaders gave.
func leaderOf(all map[string][]kafkago.Partition, topic string, partition int) (int32, error) {
	for _, p := range all[topic] {
		if p.ID != partition {
			continue
		}
		if p.Leader.Host == "" {
			return 0, kafkago.LeaderNotAvailable
		}
		return int32(p.Leader.ID), nil
	}
	return 0, kafkago.UnknownTopicOrPartition
}
