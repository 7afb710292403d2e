package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
)

// live is a cluster under test.
type live struct {
	*Client
	fake *kfake.Cluster // nil: a real broker
}

// realBroker is the environment variable that names a real broker, as .ci/kafka starts one.
const realBroker = "FLIS_KAFKA"

// onEach runs a test on the embedded broker, on one that has no topic ids, and on a real one where
// there is one.
func onEach(t *testing.T, test func(*testing.T, *live)) {
	for name, on := range map[string]func(*testing.T) *live{
		"kfake": func(t *testing.T) *live { return onFake(t) },
		"kfake without topic ids": func(t *testing.T) *live {
			return onFake(t,
				kfake.MaxVersions(kversion.V2_6_0()))
		},
		"kafka": onReal,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, on(t))
		})
	}
}

func onFake(t *testing.T, opts ...kfake.Opt) *live {
	fake, err := kfake.NewCluster(append(opts, kfake.NumBrokers(2))...)
	require.NoError(t, err)
	t.Cleanup(fake.Close)
	return &live{dial(t, fake.ListenAddrs()...), fake}
}

func onReal(t *testing.T) *live {
	addr := os.Getenv(realBroker)
	if addr == "" {
		t.Skip(realBroker + "=<host:port> is not set: no real broker to test against")
	}
	return &live{dial(t, addr), nil}
}

func dial(t *testing.T, brokers ...string) *Client {
	c, err := Dial(t.Context(), brokers, Options{Patience: 15 * time.Second})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// topic makes a topic of the test's name.
func (l *live) topic(t *testing.T, partitions int, configs map[string]string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name())
	name := fmt.Sprintf("%s-%d", clean, time.Now().UnixNano())
	require.NoError(t, l.EnsureTopic(t.Context(), name, partitions, configs))
	t.Cleanup(func() { l.deleteTopic(t, name) })
	return name
}

func (l *live) deleteTopic(t *testing.T, name string) {
	// The test's own context has ended at cleanup.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := l.client.DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: []string{name}})
	require.NoError(t, err)
}

// send produces n messages to partition 0 of a topic of one partition; their values are prefix0,
// prefix1 …
func (l *live) send(t *testing.T, topic, prefix string, n int) {
	var ms []Message
	for i := range n {
		ms = append(ms, Message{Topic: topic, Key: []byte("k"),
			Value:   fmt.Appendf(nil, "%s%d", prefix, i),
			Headers: []Header{{"ce_id", []byte("1")}}})
	}
	require.NoError(t, NewProducer(l.Client).Send(t.Context(), ms))
}

// deleteRecords raises the log's start, as retention does.
func (l *live) deleteRecords(t *testing.T, topic string, before int64) {
	e := &encoder{}
	e.array(1)
	e.str(topic)
	e.array(1)
	e.int32(0)
	e.int64(before)
	e.int32(5000)
	leaders, err := l.leaders(t.Context(), []string{topic})
	require.NoError(t, err)
	broker, err := leaderOf(leaders, topic, 0)
	require.NoError(t, err)
	x := &exchange{key: 21, version: 1, body: e.b, limit: answerMax}
	m, err := l.transport.RoundTrip(t.Context(), l.addr, &routed{x, broker})
	require.NoError(t, err)
	d := &decoder{b: m.(*reply).body}
	d.int32()
	d.array()
	d.str()
	d.array()
	d.int32()
	d.int64()
	require.NoError(t, errorOf(d.int16()))
}

// collect polls until a partition is read to the offset, and keeps what it got.
func collect(t *testing.T, f *Fetcher, until int64) (rs []Record, last Chunk) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for last.Next < until {
		chunks, err := f.Poll(ctx)
		require.NoError(t, err)
		for _, ch := range chunks {
			require.NoError(t, ch.Err)
			for _, r := range ch.Records {
				rs = append(rs, clone(r))
			}
			last = ch
		}
	}
	return rs, last
}

// stopped polls until a partition stops.
func stopped(t *testing.T, f *Fetcher) (before []Record, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	for {
		chunks, err := f.Poll(ctx)
		require.NoError(t, err)
		for _, ch := range chunks {
			if ch.Err != nil {
				require.Empty(t, ch.Records)
				return before, ch.Err
			}
			for _, r := range ch.Records {
				before = append(before, clone(r))
			}
		}
	}
}

func (l *live) fetcher(topic string, next int64, opts FetchOptions) *Fetcher {
	return NewFetcher(l.Client, []Assignment{{Topic: topic, Next: next}}, opts)
}

// transaction is a producer with transactions, made of kafka-go's raw calls.
type transaction struct {
	l        *live
	id       string
	producer int64
	epoch    int16
	sequence int32
}

func (l *live) transaction(t *testing.T, id string) *transaction {
	x := &transaction{l: l, id: id}
	require.NoError(t, l.persist(t.Context(), "init producer", func(ctx context.Context) error {
		res, err := l.client.InitProducerID(ctx, &kafkago.InitProducerIDRequest{TransactionalID: id,
			TransactionTimeoutMs: 60_000, ProducerID: -1, ProducerEpoch: -1})
		if err != nil {
			return err
		}
		if res.Error != nil {
			return res.Error
		}
		x.producer, x.epoch = int64(res.Producer.ProducerID), int16(res.Producer.ProducerEpoch)
		return nil
	}))
	return x
}

// send adds n records to the open transaction, in one batch.
func (x *transaction) send(t *testing.T, topic, prefix string, n int) {
	ctx := t.Context()
	require.NoError(t, x.l.persist(ctx, "add partition", func(ctx context.Context) error {
		res, err := x.l.client.AddPartitionsToTxn(ctx,
			&kafkago.AddPartitionsToTxnRequest{TransactionalID: x.id,
				ProducerID: int(x.producer), ProducerEpoch: int(x.epoch),
				Topics: map[string][]kafkago.AddPartitionToTxn{topic: {{Partition: 0}}}})
		if err != nil {
			return err
		}
		return res.Topics[topic][0].Error
	}))
	var records []protocol.Record
	for i := range n {
		records = append(records, protocol.Record{Offset: int64(i), Time: time.Now(),
			Value: protocol.NewBytes(fmt.Appendf(nil, "%s%d", prefix, i))})
	}
	set := protocol.RecordSet{Version: 2, Attributes: protocol.Lz4 | protocol.Transactional,
		Records: protocol.NewRecordReader(records...)}
	var buf bytes.Buffer
	_, err := set.WriteTo(&buf)
	require.NoError(t, err)
	b := buf.Bytes()[4:]
	binary.BigEndian.PutUint64(b[atProducer:], uint64(x.producer))
	binary.BigEndian.PutUint16(b[atProducer+8:], uint16(x.epoch))
	binary.BigEndian.PutUint32(b[atProducer+10:], uint32(x.sequence))
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttrs:], castagnoli))
	require.NoError(t, x.l.persist(ctx, "raw produce", func(ctx context.Context) error {
		res, err := x.l.client.RawProduce(ctx, &kafkago.RawProduceRequest{Topic: topic,
			TransactionalID: x.id,
			RequiredAcks:    kafkago.RequireAll,
			RawRecords:      protocol.RawRecordSet{Reader: bytes.NewReader(buf.Bytes())}})
		if err != nil {
			return err
		}
		return res.Error
	}))
	x.sequence += int32(n)
}

func (x *transaction) end(t *testing.T, commit bool) {
	require.NoError(t, x.l.persist(t.Context(), "end transaction", func(ctx context.Context) error {
		res, err := x.l.client.EndTxn(ctx, &kafkago.EndTxnRequest{TransactionalID: x.id,
			ProducerID:    int(x.producer),
			ProducerEpoch: int(x.epoch), Committed: commit})
		if err != nil {
			return err
		}
		return res.Error
	}))
}

func kafkaMessage(key string) kafkago.Message { return kafkago.Message{Key: []byte(key)} }
