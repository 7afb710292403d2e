package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
)

// rec is one record of a fixture.
type rec struct {
	delta   int64 // of the offset
	ms      int64 // of the time
	key     []byte
	value   []byte
	headers []Header
}

// fixture encodes a record batch, and can lie about each of its fields.
type fixture struct {
	base      int64
	last      int32 // last offset delta
	epoch     int32
	attrs     uint16
	first     int64
	max       int64
	producer  int64
	count     int32
	recs      []rec
	trailing  []byte // behind the records, before compression
	payload   []byte // instead of the records, as it travels
	framed    bool   // snappy in xerial framing
	magic     byte
	wrongSum  bool
	lengthFix int32 // added to the length field
}

// plain is a batch of n records with the keys "k<offset>", from base on.
func plain(base int64, n int) *fixture {
	f := &fixture{base: base, last: int32(n - 1), count: int32(n), first: 1000, max: 9999,
		producer: -1, magic: 2}
	for i := range n {
		f.recs = append(f.recs, rec{delta: int64(i), ms: int64(i),
			key:   []byte{'k', byte('0' + (base+int64(i))%10)},
			value: []byte("value"), headers: []Header{{"ce_id", []byte("1")}, {"null", nil}}})
	}
	return f
}

func (f *fixture) codec(c uint16) *fixture { f.attrs |= c; return f }

// txn makes the batch one of a producer's transaction.
func (f *fixture) txn(producer int64) *fixture {
	f.producer, f.attrs = producer, f.attrs|attrTransactional
	return f
}

// marker is the control batch that ends a transaction.
func marker(base, producer int64, commit bool) *fixture {
	f := &fixture{base: base, count: 1, producer: producer, magic: 2,
		attrs: attrTransactional | attrControl}
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	f.recs = []rec{{key: key, value: []byte{0, 0, 0, 0, 0, 0}}}
	return f
}

func appendField(b, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

func (r *rec) encode() []byte {
	b := []byte{0}
	b = binary.AppendVarint(b, r.ms)
	b = binary.AppendVarint(b, r.delta)
	b = appendField(b, r.key)
	b = appendField(b, r.value)
	b = binary.AppendVarint(b, int64(len(r.headers)))
	for _, h := range r.headers {
		b = appendField(b, []byte(h.Name))
		b = appendField(b, h.Value)
	}
	return append(binary.AppendVarint(nil, int64(len(b))), b...)
}

func (f *fixture) encode(t testing.TB) []byte {
	var raw []byte
	for i := range f.recs {
		raw = append(raw, f.recs[i].encode()...)
	}
	payload := f.payload
	if payload == nil {
		payload = compress(t, f.attrs&attrCodec, append(raw, f.trailing...), f.framed)
	}
	b := make([]byte, headerSize, headerSize+len(payload))
	put := binary.BigEndian
	put.PutUint64(b, uint64(f.base))
	put.PutUint32(b[atEpoch:], uint32(f.epoch))
	b[atMagic] = f.magic
	put.PutUint16(b[atAttrs:], f.attrs)
	put.PutUint32(b[atLastDelta:], uint32(f.last))
	put.PutUint64(b[atFirstTime:], uint64(f.first))
	put.PutUint64(b[atMaxTime:], uint64(f.max))
	put.PutUint64(b[atProducer:], uint64(f.producer))
	put.PutUint32(b[atCount:], uint32(f.count))
	b = append(b, payload...)
	put.PutUint32(b[atLength:], uint32(int32(len(b)-atEpoch)+f.lengthFix))
	put.PutUint32(b[atCRC:], crc32.Checksum(b[atAttrs:], castagnoli))
	if f.wrongSum {
		b[len(b)-1] ^= 1
	}
	return b
}

func compress(t testing.TB, codec uint16, raw []byte, framed bool) []byte {
	var out bytes.Buffer
	switch codec {
	case codecGzip:
		w := gzip.NewWriter(&out)
		_, err := w.Write(raw)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	case codecSnappy:
		if !framed {
			return snappy.Encode(nil, raw)
		}
		out.WriteString(xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01")
		for len(raw) > 0 {
			n := min(len(raw), 32<<10)
			block := snappy.Encode(nil, raw[:n])
			out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(block))))
			out.Write(block)
			raw = raw[n:]
		}
	case codecLZ4:
		w := lz4.NewWriter(&out)
		_, err := w.Write(raw)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	case codecZstd:
		w, err := zstd.NewWriter(&out)
		require.NoError(t, err)
		_, err = w.Write(raw)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	default:
		return raw
	}
	return out.Bytes()
}

// read walks a record set from an offset on, in as many steps as the limits take.
type read struct {
	recs   []Record
	next   int64
	reason string
	steps  int
}

func walkAll(t testing.TB, next int64, aborted []abortedTxn, l limits, batches ...[]byte) read {
	w := newWalker(bytes.Join(batches, nil), next, aborted)
	var r read
	var c codecs
	for done := false; !done; r.steps++ {
		require.Less(t, r.steps, 100_000, "the walk does not end")
		var a arena
		step := l
		r.recs, done, r.reason = w.walk(r.recs, &a, &c, &step)
	}
	r.next = w.next
	return r
}

var generous = limits{record: 16 << 20, total: 64 << 20}

func offsets(rs []Record) []int64 {
	var os []int64
	for _, r := range rs {
		os = append(os, r.Offset)
	}
	return os
}
