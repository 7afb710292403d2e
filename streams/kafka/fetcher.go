package kafka

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

// Assignment is a partition to read, and where from.
type Assignment struct {
	Topic     string
	Partition int
	Next      int64 // first offset that is wanted
	// TopicID is that of the topic that was read before; "" = whatever is there now. Where the
	// cluster has no ids, only an anchor tells a topic made anew.
	TopicID string
}

// FetchOptions of a Fetcher. The zero value is good.
type FetchOptions struct {
	MaxBytes  int           // of one response; 8 MiB. A batch that is larger comes whole all the same
	MaxWait   time.Duration // for something to come; 500 ms
	MaxRecord int           // decoded bytes of one record, beyond which it is Oversized; 16 MiB
	Budget    int           // decoded bytes of one Poll; 32 MiB
}

// Chunk is what a Poll has of one partition.
type Chunk struct {
	Topic     string
	Partition int
	Records   []Record // in order of offset; none though Next moved: control, aborted records
	Next      int64    // position after the chunk: resume here once the chunk is safe

	LeaderEpoch   int32 // of the chunk's last batch, -1 when unknown
	HighWatermark int64 // end of the log
	LogStart      int64 // first offset that the log still holds

	// Err is why the partition stopped: *HoleError, *ShrunkError, *RecreatedError, *CorruptError,
	// or a broker's refusal. It comes once, without records; the partition is then read no further
	// unless Seek says so.
	Err error
}

// Fetcher reads partitions from given offsets. It is for one goroutine.
type Fetcher struct {
	client  *Client
	opts    FetchOptions
	cursors []*cursor
	turn    int
	busy    bool // the last fetch brought something
	arena   arena
	codecs  codecs
	records []Record
	bufs    map[int32][]byte // memory of the last response of each broker
}

// cursor is the state of one partition.
type cursor struct {
	Assignment
	id       [16]byte
	known    bool // id is
	walk     *walker
	high     int64
	logStart int64
	due      time.Time // not fetched before
	since    time.Time // of the first failure of an unbroken run
	pause    time.Duration
	stuck    int   // fetches in a row whose bytes led nowhere
	err      error // to be told
	stopped  bool
}

// stuckMax is how often bytes are fetched again that are no whole batch.
const stuckMax = 3

// NewFetcher prepares to read the assignments; nothing is sent before the first Poll.
func NewFetcher(c *Client, as []Assignment, opts FetchOptions) *Fetcher {
	orDefault(&opts.MaxBytes, 8<<20)
	orDefault(&opts.MaxWait, 500*time.Millisecond)
	orDefault(&opts.MaxRecord, 16<<20)
	orDefault(&opts.Budget, 32<<20)
	f := &Fetcher{client: c, opts: opts, bufs: map[int32][]byte{}}
	for _, a := range as {
		cur := &cursor{Assignment: a}
		if a.TopicID != "" {
			id, err := base64.RawURLEncoding.DecodeString(a.TopicID)
			if err != nil || len(id) != len(cur.id) {
				cur.err = fmt.Errorf("read %s/%d: topic id %q is none", a.Topic, a.Partition, a.TopicID)
			}
			cur.known = copy(cur.id[:], id) > 0
		}
		f.cursors = append(f.cursors, cur)
	}
	return f
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Seek goes to another offset of a partition; what was fetched of it and not yet handed out is
// dropped. A partition that had stopped is read again.
func (f *Fetcher) Seek(topic string, partition int, next int64) {
	for _, c := range f.cursors {
		if c.Topic == topic && c.Partition == partition {
			c.Next, c.walk, c.err, c.stopped = next, nil, nil, false
			c.recovered()
		}
	}
}

// Poll gives what has come, at once where there is some, else after MaxWait at most: none is no
// error. What it gives is valid until the next Poll. The error is ErrUnreachable, or the context's;
// a Poll after it goes on.
func (f *Fetcher) Poll(ctx context.Context) ([]Chunk, error) {
	f.arena.reset()
	f.records = f.records[:0]
	end := time.Now().Add(f.opts.MaxWait)
	for {
		if chunks := f.drain(); len(chunks) > 0 {
			f.busy = true
			return chunks, nil
		}
		if f.pending() { // the budget went to records below the position
			f.arena.reset()
			continue
		}
		f.busy = false
		due, at := f.due(end)
		if len(due) == 0 {
			if err := sleep(ctx, time.Until(at)); err != nil {
				return nil, err
			}
		} else if err := f.fetch(ctx, due); err != nil {
			return nil, err
		}
		if !time.Now().Before(end) {
			return f.drain(), nil
		}
	}
}

// pending says whether something fetched waits to be drained: its memory is that of the last
// responses.
func (f *Fetcher) pending() bool {
	return slices.ContainsFunc(f.cursors, func(c *cursor) bool { return c.walk != nil })
}

// drain hands out what has been fetched, as far as the budget goes.
func (f *Fetcher) drain() []Chunk {
	var chunks []Chunk
	l := limits{record: f.opts.MaxRecord, total: f.opts.Budget}
	for _, c := range f.cursors {
		if c.walk != nil && l.total > 0 {
			if ch := f.walkOn(c, &l); ch.Next > c.Next {
				c.Next = ch.Next
				c.recovered()
				chunks = append(chunks, ch)
			}
		}
		if c.err != nil && c.walk == nil {
			ch := c.chunk()
			ch.Err = c.err
			chunks = append(chunks, ch)
			c.err, c.stopped = nil, true
		}
	}
	return chunks
}

// chunk is one without records.
func (c *cursor) chunk() Chunk {
	return Chunk{Topic: c.Topic, Partition: c.Partition, Next: c.Next, LeaderEpoch: -1,
		HighWatermark: c.high, LogStart: c.logStart}
}

func (f *Fetcher) walkOn(c *cursor, l *limits) Chunk {
	w, from := c.walk, len(f.records)
	var done bool
	var reason string
	f.records, done, reason = w.walk(f.records, &f.arena, &f.codecs, l)
	ch := c.chunk()
	ch.Records = f.records[from:len(f.records):len(f.records)]
	ch.Next, ch.LeaderEpoch = w.next, w.epoch
	if !done {
		return ch
	}
	c.walk = nil
	if w.next == c.Next && w.next == w.asked {
		c.nowhere(reason)
	}
	return ch
}

// nowhere notes bytes that led nowhere: they are fetched again a few times, then the partition
// stops.
func (c *cursor) nowhere(reason string) {
	if reason == "" {
		reason = "the broker hands out no whole batch that reaches the offset"
	}
	if c.stuck++; c.stuck >= stuckMax {
		c.err = &CorruptError{Topic: c.Topic, Partition: c.Partition, Offset: c.Next, Reason: reason}
		return
	}
	c.wait()
}

// recovered ends a run of failures.
func (c *cursor) recovered() {
	c.since, c.due, c.pause, c.stuck = time.Time{}, time.Time{}, 0, 0
}

// wait puts the next attempt off, longer each time.
func (c *cursor) wait() {
	c.pause = min(max(2*c.pause, pauseLeast), pauseMost)
	c.due = time.Now().Add(c.pause)
}

// due lists the partitions to fetch now, in turn so that none is always last; when there is none,
// at says when to look again.
func (f *Fetcher) due(end time.Time) (due []*cursor, at time.Time) {
	f.turn++
	now := time.Now()
	at = end
	for i := range f.cursors {
		c := f.cursors[(i+f.turn)%len(f.cursors)]
		switch {
		case c.stopped || c.err != nil:
		case c.due.After(now):
			if c.due.Before(at) {
				at = c.due
			}
		default:
			due = append(due, c)
		}
	}
	return due, at
}
