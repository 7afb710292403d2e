package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/flis-dk/flis/schemas"
)

func values(rs []Record) (vs []string) {
	for _, r := range rs {
		vs = append(vs, string(r.Value))
	}
	return vs
}

func TestReadWhatWasSent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 1, nil)
		l.send(t, topic, "a", 30)
		at := schemas.Instant(1_750_000_000_000_000)
		require.NoError(t, NewProducer(l.Client).Send(t.Context(), []Message{{Topic: topic, Time: at}}))
		rs, last := collect(t, l.fetcher(topic, 10, FetchOptions{}), 31)
		require.Len(t, rs, 21)
		require.Equal(t, "a10", string(rs[0].Value))
		require.Equal(t, []Header{{"ce_id", []byte("1")}}, rs[0].Headers)
		require.Equal(t, int64(10), rs[0].Offset)
		require.Nil(t, rs[20].Key)
		require.Nil(t, rs[20].Value)
		require.Equal(t, at, rs[20].Time)
		require.Equal(t, int64(31), last.HighWatermark)
		require.Zero(t, last.LogStart)
		first, next, err := l.Bounds(t.Context(), topic, 0)
		require.NoError(t, err)
		require.Equal(t, []int64{0, 31}, []int64{first, next})
	})
}

func TestPollWaitsAndGoesOn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 1, nil)
		f := l.fetcher(topic, 0, FetchOptions{MaxWait: 300 * time.Millisecond})
		start := time.Now()
		chunks, err := f.Poll(t.Context())
		require.NoError(t, err)
		require.Empty(t, chunks)
		require.Greater(t, time.Since(start), 200*time.Millisecond)
		l.send(t, topic, "a", 3)
		rs, _ := collect(t, f, 3)
		require.Equal(t, []string{"a0", "a1", "a2"}, values(rs))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = f.Poll(ctx)
		require.ErrorIs(t, err, context.Canceled)
		l.send(t, topic, "b", 1)
		rs, _ = collect(t, f, 4)
		require.Equal(t, []string{"b0"}, values(rs), "a Poll after a cancelled one goes on")
	})
}

func TestManyPartitionsKeepKeysTogether(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 8, nil)
		var ms []Message
		for i := range 20_000 {
			ms = append(ms, Message{Topic: topic, Key: fmt.Appendf(nil, "key%d", i%500),
				Value: fmt.Append(nil, i)})
		}
		require.NoError(t, NewProducer(l.Client).Send(t.Context(), ms))
		var as []Assignment
		for p := range 8 {
			as = append(as, Assignment{Topic: topic, Partition: p})
		}
		f := NewFetcher(l.Client, as, FetchOptions{MaxBytes: 40_000, Budget: 300_000})
		partition, last, n := map[string]int{}, map[string]int{}, 0
		for n < len(ms) {
			chunks, err := f.Poll(t.Context())
			require.NoError(t, err)
			for _, ch := range chunks {
				require.NoError(t, ch.Err)
				for _, r := range ch.Records {
					k, v := string(r.Key), 0
					_, err := fmt.Sscan(string(r.Value), &v)
					require.NoError(t, err)
					if p, ok := partition[k]; ok {
						require.Equal(t, p, ch.Partition)
						require.Greater(t, v, last[k], "order of a key")
					}
					partition[k], last[k] = ch.Partition, v
					n++
				}
			}
		}
		require.Len(t, partition, 500)
	})
}

// TestMurmur2 holds what org.apache.kafka.common.utils.Utils.murmur2 gives for these keys, over 8
// partitions.
func TestMurmur2(t *testing.T) {
	p := NewProducer(nil)
	ns := []int{0, 1, 2, 3, 4, 5, 6, 7}
	for key, hash := range map[string]int32{"21": -973932308, "foobar": -790332482,
		"a-little-bit-long-string":                         -985981536,
		"a-little-bit-longer-string":                       -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971} {
		got := p.balancer.Balance(kafkaMessage(key), ns...)
		require.Equal(t, int(hash&0x7fffffff)%8, got, key)
	}
	for range 20 {
		none := p.balancer.Balance(kafkaMessage(""), ns...)
		require.Equal(t, none, p.balancer.Balance(kafkago.Message{}, ns...), "no key is one key")
	}
}

func TestHole(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 1, nil)
		l.send(t, topic, "a", 20)
		l.deleteRecords(t, topic, 10)
		_, err := stopped(t, l.fetcher(topic, 3, FetchOptions{}))
		var hole *HoleError
		require.ErrorAs(t, err, &hole)
		require.Equal(t, HoleError{Topic: topic, Asked: 3, LogStart: 10}, *hole)
		rs, _ := collect(t, l.fetcher(topic, 10, FetchOptions{}), 20)
		require.Len(t, rs, 10, "at the log's start nothing is missing")
		_, err = l.ReadAt(t.Context(), topic, 0, 9)
		require.ErrorAs(t, err, &hole)
	})
}

func TestHoleWhileReading(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 1, nil)
		l.send(t, topic, "a", 5)
		f := l.fetcher(topic, 0, FetchOptions{})
		collect(t, f, 5)
		l.send(t, topic, "b", 5)
		l.deleteRecords(t, topic, 8)
		_, err := stopped(t, f)
		var hole *HoleError
		require.ErrorAs(t, err, &hole)
		require.Equal(t, int64(5), hole.Asked)
		chunks, err := f.Poll(t.Context())
		require.NoError(t, err)
		require.Empty(t, chunks, "told once")
		f.Seek(topic, 0, 8)
		rs, _ := collect(t, f, 10)
		require.Equal(t, []string{"b3", "b4"}, values(rs))
	})
}

func TestShrunk(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 1, nil)
		l.send(t, topic, "a", 5)
		_, err := stopped(t, l.fetcher(topic, 7, FetchOptions{}))
		var shrunk *ShrunkError
		require.ErrorAs(t, err, &shrunk)
		require.Equal(t, ShrunkError{Topic: topic, Asked: 7, End: 5}, *shrunk)
	})
}

func TestRecreatedTopic(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 1, nil)
		l.send(t, topic, "a", 5)
		f := l.fetcher(topic, 0, FetchOptions{})
		old, _ := collect(t, f, 5)
		before, err := l.TopicID(t.Context(), topic)
		if !l.hasTopicIDs() {
			require.ErrorIs(t, err, ErrNoTopicID)
		} else {
			require.NoError(t, err)
		}
		l.deleteTopic(t, topic)
		require.Eventually(t, func() bool {
			_, err := l.topicNow(t, topic)
			return errors.Is(err, ErrNoTopic)
		}, 10*time.Second, 20*time.Millisecond)
		require.NoError(t, l.EnsureTopic(t.Context(), topic, 1, nil))
		l.send(t, topic, "b", 9) // longer than it was: nothing in the offsets tells
		if before == "" {
			r, err := l.ReadAt(t.Context(), topic, 0, 4)
			require.NoError(t, err)
			require.NotEqual(t, AnchorOf(old[4]), AnchorOf(r), "without ids the anchor tells")
			return
		}
		rs, err := stopped(t, f)
		var made *RecreatedError
		require.ErrorAs(t, err, &made)
		require.Empty(t, rs, "no record of the new topic is handed out")
		require.Equal(t, before, made.Was)
		now, err := l.TopicID(t.Context(), topic)
		require.NoError(t, err)
		require.NotEqual(t, before, now)
		require.Equal(t, now, made.Now)
		_, err = stopped(t, NewFetcher(l.Client, []Assignment{{Topic: topic, Next: 5, TopicID: before}},
			FetchOptions{}))
		require.ErrorAs(t, err, &made, "after a restart, too")
		_, err = stopped(t, NewFetcher(l.Client, []Assignment{{Topic: topic, Next: 5, TopicID: "?"}},
			FetchOptions{}))
		require.ErrorContains(t, err, "topic id")
	})
}

// topicNow asks once.
func (l *live) topicNow(t *testing.T, name string) (Topic, error) {
	time.Sleep(metadataTTL / 10) // where there are no ids the answer comes from a cache
	return l.Client.topic(t.Context(), name)
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 1, nil)
		one, two := l.transaction(t, topic+"-1"), l.transaction(t, topic+"-2")
		one.send(t, topic, "aborted", 3)
		two.send(t, topic, "committed", 3)
		one.end(t, false)
		l.send(t, topic, "plain", 2)
		two.end(t, true)
		one.send(t, topic, "later", 1)
		f := l.fetcher(topic, 0, FetchOptions{MaxWait: 200 * time.Millisecond})
		var rs []Record
		deadline := time.Now().Add(10 * time.Second)
		for len(rs) < 5 && time.Now().Before(deadline) {
			chunks, err := f.Poll(t.Context())
			require.NoError(t, err)
			for _, ch := range chunks {
				for _, r := range ch.Records {
					rs = append(rs, clone(r))
				}
			}
		}
		require.Equal(t, []string{"committed0", "committed1", "committed2", "plain0", "plain1"},
			values(rs))
		_, next, err := l.Bounds(t.Context(), topic, 0)
		require.NoError(t, err)
		chunks, err := f.Poll(t.Context())
		require.NoError(t, err)
		for _, ch := range chunks {
			require.Empty(t, ch.Records, "an open transaction is held back")
		}
		one.end(t, true)
		rest, last := collect(t, f, next+2)
		require.Equal(t, []string{"later0"}, values(rest))
		require.Equal(t, last.HighWatermark, last.Next, "the markers count")
		_, err = l.ReadAt(t.Context(), topic, 0, 0)
		require.ErrorIs(t, err, ErrNoRecord)
		r, err := l.ReadAt(t.Context(), topic, 0, 3)
		require.NoError(t, err)
		require.Equal(t, AnchorOf(rs[0]), AnchorOf(r))
	})
}

func TestLogAppendTime(t *testing.T) {
	t.Parallel()
	l := onReal(t)
	topic := l.topic(t, 1, RawConfigs())
	before := schemas.InstantOf(time.Now().Add(-time.Second))
	old := schemas.Instant(1_750_000_000_000_000)
	require.NoError(t, NewProducer(l.Client).Send(t.Context(),
		[]Message{{Topic: topic, Key: []byte("k"), Time: old}}))
	rs, _ := collect(t, l.fetcher(topic, 0, FetchOptions{}), 1)
	require.Greater(t, rs[0].Time, before, "the broker's time, not the producer's")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		raw, other := l.topic(t, 3, RawConfigs()), l.topic(t, 1, nil)
		d, err := l.Describe(t.Context(), raw)
		require.NoError(t, err)
		require.True(t, d.LogAppendTime)
		require.Equal(t, 16<<20, d.MaxMessageBytes)
		require.Equal(t, 3, d.Partitions)
		d, err = l.Describe(t.Context(), other)
		require.NoError(t, err)
		require.False(t, d.LogAppendTime)
		require.NoError(t, l.EnsureTopic(t.Context(), raw, 9, nil), "there already: left as it is")
		_, err = l.Describe(t.Context(), "no-such-topic")
		require.ErrorIs(t, err, ErrNoTopic)
		ts, err := l.Topics(t.Context())
		require.NoError(t, err)
		i := sort.Search(len(ts), func(i int) bool { return ts[i].Name >= raw })
		require.Equal(t, raw, ts[i].Name)
		require.Equal(t, 3, ts[i].Partitions)
		require.NotEmpty(t, l.ClusterID())
	})
}

// TestLargeRecord: a unit of nearly 16 MiB goes through, one beyond the topic's limit is refused in
// one line.
func TestLargeRecord(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, l *live) {
		topic := l.topic(t, 1, RawConfigs())
		noise := make([]byte, 17<<20)
		for i, x := 0, uint32(1); i < len(noise); i++ {
			x = x*1664525 + 1013904223
			noise[i] = byte(x >> 24)
		}
		p := NewProducer(l.Client)
		require.NoError(t, p.Send(t.Context(), []Message{{Topic: topic, Value: []byte("small")},
			{Topic: topic, Value: noise[:15<<20]}}))
		rs, _ := collect(t, l.fetcher(topic, 0, FetchOptions{MaxBytes: 100}), 2)
		require.Equal(t, 15<<20, len(rs[1].Value))
		err := p.Send(t.Context(), []Message{{Topic: topic, Value: noise}})
		require.ErrorContains(t, err, topic+"/0")
		require.NotContains(t, err.Error(), "\n")
		require.Less(t, len(err.Error()), 300)
		require.NotErrorIs(t, err, ErrUnreachable)
	})
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	_, err = Dial(t.Context(), []string{addr}, Options{Patience: 300 * time.Millisecond})
	require.ErrorIs(t, err, ErrUnreachable)
	require.Contains(t, err.Error(), addr)
	require.NotContains(t, err.Error(), "\n")
	_, err = Dial(t.Context(), nil, Options{})
	require.Error(t, err)
}

// TestBrokerGoesAndComesBack: a fetcher rides out a short absence and gives up on a long one,
// without moving.
func TestBrokerGoesAndComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dir))
	require.NoError(t, err)
	addr := fake.ListenAddrs()[0]
	c, err := Dial(t.Context(), []string{addr}, Options{Patience: 1500 * time.Millisecond})
	require.NoError(t, err)
	defer c.Close()
	l := &live{c, fake}
	require.NoError(t, l.EnsureTopic(t.Context(), "t", 1, nil))
	l.send(t, "t", "a", 3)
	f := l.fetcher("t", 0, FetchOptions{MaxWait: 100 * time.Millisecond})
	collect(t, f, 3)
	fake.Close()
	for err = nil; err == nil; {
		var chunks []Chunk
		chunks, err = f.Poll(t.Context())
		require.Empty(t, chunks)
	}
	require.ErrorIs(t, err, ErrUnreachable)
	require.NotContains(t, err.Error(), "\n")
	var port int
	_, err = fmt.Sscan(addr[strings.LastIndexByte(addr, ':')+1:], &port)
	require.NoError(t, err)
	fake, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dir), kfake.Ports(port))
	require.NoError(t, err)
	defer fake.Close()
	l.send(t, "t", "b", 2)
	rs, _ := collect(t, f, 5)
	require.Equal(t, []string{"b0", "b1"}, values(rs))
}
