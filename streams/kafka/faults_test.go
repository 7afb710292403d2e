package kafka

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// keys that faults are made of.
const (
	onProduce = kmsg.Key(0)
	onFetch   = kmsg.Key(1)
	onOffsets = kmsg.Key(2)
	onJoin    = kmsg.Key(11)
)

// TestPassingErrors: what passes by itself is waited for, in reading and in writing.
func TestPassingErrors(t *testing.T) {
	t.Parallel()
	l := onFake(t)
	topic := l.topic(t, 1, nil)
	f := l.fetcher(topic, 0, FetchOptions{MaxWait: 50 * time.Millisecond})
	n := int64(0)
	for _, e := range []*kerr.Error{kerr.UnknownTopicOrPartition, kerr.LeaderNotAvailable,
		kerr.NotLeaderForPartition,
		kerr.RequestTimedOut, kerr.NotEnoughReplicas, kerr.KafkaStorageError} {
		produce := l.fake.Fault(kfake.Fault{Keys: []kmsg.Key{onProduce}, Err: e, Count: 2})
		l.send(t, topic, "a", 1)
		require.EqualValues(t, 2, produce.Hits(), e.Message)
		// A broker that says "timed out" has written the record all the same: a retry doubles it.
		before := n
		_, n, _ = l.Bounds(t.Context(), topic, 0)
		require.True(t, n == before+1 || e == kerr.RequestTimedOut && n == before+3)
		fetch := l.fake.Fault(kfake.Fault{Keys: []kmsg.Key{onFetch}, Err: e, Count: 2})
		rs, last := collect(t, f, n)
		require.Len(t, rs, int(n-before))
		require.Equal(t, n, last.Next)
		require.EqualValues(t, 2, fetch.Hits(), e.Message)
	}
	offsets := l.fake.Fault(kfake.Fault{Keys: []kmsg.Key{onOffsets}, Err: kerr.NotLeaderForPartition,
		Count: 1})
	_, next, err := l.Bounds(t.Context(), topic, 0)
	require.NoError(t, err)
	require.Equal(t, n, next)
	require.EqualValues(t, 1, offsets.Hits())
}

// TestLastingErrors: what does not pass stops the partition, and no other.
func TestLastingErrors(t *testing.T) {
	t.Parallel()
	l := onFake(t)
	bad, good := l.topic(t, 1, nil), l.topic(t, 1, nil)
	l.send(t, bad, "a", 1)
	l.send(t, good, "a", 2)
	l.fake.Fault(kfake.Fault{Keys: []kmsg.Key{onFetch}, Topic: bad, Err: kerr.TopicAuthorizationFailed,
		Count: -1})
	f := NewFetcher(l.Client, []Assignment{{Topic: bad}, {Topic: good}},
		FetchOptions{MaxWait: 50 * time.Millisecond})
	var failed error
	var rs []string
	for failed == nil || len(rs) < 2 {
		chunks, err := f.Poll(t.Context())
		require.NoError(t, err)
		for _, ch := range chunks {
			if ch.Err != nil {
				require.Equal(t, bad, ch.Topic)
				failed = ch.Err
				continue
			}
			require.Equal(t, good, ch.Topic)
			rs = append(rs, values(ch.Records)...)
		}
	}
	require.ErrorContains(t, failed, bad+"/0")
	require.Equal(t, []string{"a0", "a1"}, rs)
	l.fake.Fault(kfake.Fault{Keys: []kmsg.Key{onProduce}, Topic: bad,
		Err: kerr.TopicAuthorizationFailed, Count: -1})
	err := NewProducer(l.Client).Send(t.Context(), []Message{{Topic: bad, Value: []byte("secret")}})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

// TestPatienceEnds: an error that should pass and does not is told after a while.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	l := onFake(t)
	topic := l.topic(t, 1, nil)
	l.opts.Patience = 300 * time.Millisecond
	l.fake.Fault(kfake.Fault{Keys: []kmsg.Key{onFetch}, Err: kerr.LeaderNotAvailable, Count: -1})
	_, err := stopped(t, l.fetcher(topic, 0, FetchOptions{MaxWait: 50 * time.Millisecond}))
	require.ErrorContains(t, err, "gave up")
	_, err = stopped(t, l.fetcher("no-such-topic", 0, FetchOptions{MaxWait: 50 * time.Millisecond}))
	require.ErrorIs(t, err, ErrNoTopic)
	require.ErrorContains(t, NewProducer(l.Client).Send(t.Context(),
		[]Message{{Topic: "no-such-topic"}}), "no-such-topic")
	l.fake.Fault(kfake.Fault{Keys: []kmsg.Key{onOffsets}, Err: kerr.LeaderNotAvailable, Count: -1})
	_, _, err = l.Bounds(t.Context(), topic, 0)
	require.ErrorContains(t, err, "gave up")
	_, err = l.TopicID(t.Context(), "no-such-topic")
	require.ErrorIs(t, err, ErrNoTopic)
}

// serving is a broker that hands out the one batch for ever.
func serving(t *testing.T, batch []byte) *live {
	return onFake(t, kfake.SyntheticFetch(kfake.SyntheticBatch{Batch: batch}))
}

func TestCorruptBatchStopsThePartition(t *testing.T) {
	t.Parallel()
	f := plain(0, 3)
	f.wrongSum = true
	l := serving(t, f.encode(t))
	topic := l.topic(t, 1, nil)
	rs, err := stopped(t, l.fetcher(topic, 30, FetchOptions{}))
	require.Empty(t, rs)
	var corrupt *CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, int64(30), corrupt.Offset)
	require.Equal(t, topic, corrupt.Topic)
	require.ErrorContains(t, err, "checksum")
}

func TestCompactedTailDoesNotStandStill(t *testing.T) {
	t.Parallel()
	f := plain(0, 2)
	f.last = 9
	l := serving(t, f.encode(t))
	topic := l.topic(t, 1, nil)
	rs, _ := collect(t, l.fetcher(topic, 0, FetchOptions{MaxBytes: 1}), 50)
	require.Len(t, rs, 10)
	require.Equal(t, int64(40), rs[8].Offset)
}

// TestMemoryIsUsedAgain: what a Poll handed out is taken back by the next.
func TestMemoryIsUsedAgain(t *testing.T) {
	t.Parallel()
	f := plain(0, 1000).codec(codecLZ4)
	for i := range f.recs {
		f.recs[i].value = make([]byte, 1000)
	}
	l := serving(t, f.encode(t))
	fetcher := l.fetcher(l.topic(t, 1, nil), 0, FetchOptions{MaxBytes: 1})
	collect(t, fetcher, 50_000)
	require.LessOrEqual(t, len(fetcher.arena.slabs), 2)
	require.LessOrEqual(t, cap(fetcher.records), 4000)
}

func TestBombIsParked(t *testing.T) {
	t.Parallel()
	f := plain(0, 2).codec(codecZstd)
	f.payload = bomb(t, 100<<20)
	l := serving(t, f.encode(t))
	topic := l.topic(t, 1, nil)
	rs, _ := collect(t, l.fetcher(topic, 0, FetchOptions{MaxBytes: 1}), 2)
	require.True(t, rs[0].Oversized)
	require.Equal(t, "after", string(rs[1].Value))
	r, err := l.ReadAt(t.Context(), topic, 0, 0)
	require.NoError(t, err)
	require.Equal(t, AnchorOf(rs[0]), AnchorOf(r))
}

// TestCompactionOnRealBroker: a compacted log whose batches lost their tails is read to its end in
// small fetches.
func TestCompactionOnRealBroker(t *testing.T) {
	t.Parallel()
	l := onReal(t)
	topic := l.topic(t, 1, map[string]string{"cleanup.policy": "compact", "segment.ms": "500",
		"min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "500",
		"delete.retention.ms": "100"})
	var ms []Message
	for i := range 100 {
		ms = append(ms, Message{Topic: topic, Key: fmt.Append(nil, i),
			Value: bytes.Repeat([]byte("v"), 100)})
	}
	require.NoError(t, NewProducer(l.Client).Send(t.Context(), ms))
	for i := range 50 { // the tail of the first batch says nothing any more
		ms[i] = Message{Topic: topic, Key: fmt.Append(nil, 50+i), Value: []byte("newer")}
	}
	require.NoError(t, NewProducer(l.Client).Send(t.Context(), ms[:50]))
	var rs []Record
	for range 15 {
		time.Sleep(700 * time.Millisecond)
		l.send(t, topic, "roll", 1)
		_, next, err := l.Bounds(t.Context(), topic, 0)
		require.NoError(t, err)
		rs, _ = collect(t, l.fetcher(topic, 0, FetchOptions{MaxBytes: 1}), next)
		if len(rs) < 110 {
			break
		}
	}
	require.Less(t, len(rs), 110, "compaction did not happen")
	seen := map[string]string{}
	for _, r := range rs {
		seen[string(r.Key)] = string(r.Value)
	}
	require.Len(t, seen, 101)
	require.Equal(t, "newer", seen["75"])
	_, err := l.ReadAt(t.Context(), topic, 0, 75)
	require.ErrorIs(t, err, ErrNoRecord)
}

// TestAssignSharesPartitions: two members share the partitions; when one leaves, the other has them
// all.
func TestAssignSharesPartitions(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 4, nil)
		ctx1, leave1 := context.WithCancel(t.Context())
		defer leave1()
		ctx2, leave2 := context.WithCancel(t.Context())
		defer leave2()
		one, err := l.Assign(ctx1, topic+"-group", []string{topic})
		require.NoError(t, err)
		g := next(t, one, 4)
		require.NoError(t, g.Lag(map[string]map[int]int64{topic: {0: 7}}))
		two, err := l.Assign(ctx2, topic+"-group", []string{topic})
		require.NoError(t, err)
		select {
		case <-g.Done:
		case <-time.After(20 * time.Second):
			t.Fatal("the first generation does not end")
		}
		a, b := next(t, one, 2), next(t, two, 2)
		require.ElementsMatch(t, []int{0, 1, 2, 3}, append(a.Partitions[topic], b.Partitions[topic]...))
		leave1()
		for range one {
		}
		next(t, two, 4)
		leave2()
		for range two {
		}
		_, err = l.Assign(t.Context(), "", nil)
		require.Error(t, err)
	})
}

// TestAssignTellsThatItCannotJoin: a group that cannot be joined is no silence.
func TestAssignTellsThatItCannotJoin(t *testing.T) {
	t.Parallel()
	l := onFake(t)
	topic := l.topic(t, 1, nil)
	l.opts.Patience = 200 * time.Millisecond
	l.fake.Fault(kfake.Fault{Keys: []kmsg.Key{onJoin}, Err: kerr.GroupAuthorizationFailed, Count: -1})
	gs, err := l.Assign(t.Context(), "group", []string{topic})
	require.NoError(t, err)
	g := <-gs
	require.ErrorContains(t, g.Err, "join group")
	_, more := <-gs
	require.False(t, more)
}

// next waits for a generation with so many partitions.
func next(t *testing.T, gs <-chan *Generation, partitions int) *Generation {
	for timeout := time.After(30 * time.Second); ; {
		select {
		case g := <-gs:
			n := 0
			for _, ps := range g.Partitions {
				n += len(ps)
			}
			if n == partitions {
				return g
			}
		case <-timeout:
			t.Fatal("no generation with so many partitions comes")
		}
	}
}
