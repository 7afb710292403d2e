package kafka

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

func TestWalkEveryCodec(t *testing.T) {
	for _, c := range []struct {
		name   string
		codec  uint16
		framed bool
	}{{"none", codecNone, false}, {"gzip", codecGzip, false}, {"snappy", codecSnappy, false},
		{"xerial", codecSnappy, true}, {"lz4", codecLZ4, false}, {"zstd", codecZstd, false}} {
		t.Run(c.name, func(t *testing.T) {
			f := plain(20, 3).codec(c.codec)
			f.framed = c.framed
			big := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
			f.recs[1].value, f.recs[1].key = big, nil
			r := walkAll(t, 20, nil, generous, f.encode(t), plain(23, 1).encode(t))
			require.Equal(t, []int64{20, 21, 22, 23}, offsets(r.recs))
			require.Equal(t, int64(24), r.next)
			require.Equal(t, "k0", string(r.recs[0].Key))
			require.Equal(t, schemas.Instant(1_002_000), r.recs[2].Time)
			require.Equal(t, []Header{{"ce_id", []byte("1")}, {"null", nil}}, r.recs[2].Headers)
			require.Nil(t, r.recs[1].Key)
			require.Equal(t, big, r.recs[1].Value)
			require.Equal(t, int64(1), r.recs[1].Span)
		})
	}
}

func TestWalkAppendTime(t *testing.T) {
	r := walkAll(t, 0, nil, generous, plain(0, 2).codec(attrAppendTime).encode(t))
	require.Equal(t, schemas.Instant(9_999_000), r.recs[0].Time)
	require.Equal(t, schemas.Instant(9_999_000), r.recs[1].Time)
	far := plain(0, 1)
	far.first = math.MaxInt64
	r = walkAll(t, 0, nil, generous, far.encode(t))
	require.Positive(t, r.recs[0].Time)
}

func TestWalkSkipsBelowThePosition(t *testing.T) {
	set := [][]byte{plain(10, 5).encode(t), plain(15, 10).codec(codecLZ4).encode(t)}
	r := walkAll(t, 18, nil, generous, set...)
	require.Equal(t, []int64{18, 19, 20, 21, 22, 23, 24}, offsets(r.recs))
	// A budget smaller than what lies below the position still comes to an end.
	r = walkAll(t, 18, nil, limits{record: 1 << 20, total: 1}, set...)
	require.Equal(t, []int64{18, 19, 20, 21, 22, 23, 24}, offsets(r.recs))
	require.Greater(t, r.steps, 7)
}

func TestWalkChecksum(t *testing.T) {
	bad := plain(2, 2)
	bad.wrongSum = true
	r := walkAll(t, 2, nil, generous, bad.encode(t))
	require.Empty(t, r.recs)
	require.Equal(t, int64(2), r.next)
	require.Contains(t, r.reason, "checksum")

	r = walkAll(t, 0, nil, generous, plain(0, 2).encode(t), bad.encode(t), plain(4, 1).encode(t))
	require.Equal(t, []int64{0, 1}, offsets(r.recs),
		"what came before is handed out, what came after is not")
	require.Equal(t, int64(2), r.next)
	require.Contains(t, r.reason, "checksum")
}

func TestWalkCutShort(t *testing.T) {
	whole := plain(2, 2).encode(t)
	for n := range len(whole) {
		r := walkAll(t, 0, nil, generous, plain(0, 2).encode(t), whole[:n])
		require.Equal(t, []int64{0, 1}, offsets(r.recs))
		require.Equal(t, int64(2), r.next)
		require.Empty(t, r.reason)
	}
}

func TestWalkTransactions(t *testing.T) {
	set := [][]byte{
		plain(0, 2).txn(7).encode(t),                               // aborted
		plain(2, 1).txn(8).encode(t),                               // committed
		plain(3, 1).encode(t),                                      // no transaction
		marker(4, 7, false).encode(t),                              //
		plain(5, 1).txn(7).encode(t),                               // the same producer, committed
		marker(6, 8, true).encode(t), marker(7, 7, true).encode(t), //
		plain(8, 2).codec(codecZstd).txn(7).encode(t), // aborted again, compressed
		marker(10, 7, false).encode(t),
	}
	r := walkAll(t, 0, []abortedTxn{{7, 8}, {7, 0}}, generous, set...)
	require.Equal(t, []int64{2, 3, 5}, offsets(r.recs))
	require.Equal(t, int64(11), r.next, "control records count for the position")
	// A plain batch of a producer with an aborted transaction stays.
	idempotent := plain(1, 1)
	idempotent.producer = 7
	r = walkAll(t, 0, []abortedTxn{{7, 0}}, generous, plain(0, 1).txn(7).encode(t),
		idempotent.encode(t))
	require.Equal(t, []int64{1}, offsets(r.recs))
}

func TestWalkCompacted(t *testing.T) {
	tail := plain(0, 2) // of ten offsets, two are left, not the last
	tail.last = 9
	r := walkAll(t, 0, nil, generous, tail.encode(t))
	require.Equal(t, []int64{0, 1}, offsets(r.recs))
	require.Equal(t, int64(10), r.next)
	r = walkAll(t, 5, nil, generous, tail.encode(t))
	require.Empty(t, r.recs)
	require.Equal(t, int64(10), r.next, "no standstill on a batch whose tail is gone")

	// Kafka keeps an empty batch for the producer's sequence.
	empty := &fixture{base: 10, last: 4, producer: 3, magic: 2}
	holes := plain(20, 2)
	holes.recs[0].delta, holes.recs[1].delta, holes.last = 3, 7, 8
	r = walkAll(t, 10, nil, generous, empty.encode(t), holes.encode(t))
	require.Equal(t, []int64{23, 27}, offsets(r.recs))
	require.Equal(t, int64(29), r.next)
}

func TestWalkOldMagic(t *testing.T) {
	for _, magic := range []byte{0, 1, 3} {
		f := plain(0, 1)
		f.magic = magic
		r := walkAll(t, 0, nil, generous, f.encode(t))
		require.Contains(t, r.reason, "magic 2")
		require.Equal(t, int64(0), r.next)
	}
}

func TestWalkImpossibleHeader(t *testing.T) {
	short, negative := plain(0, 1), plain(0, 1)
	short.payload, short.lengthFix = []byte{}, -20
	negative.lengthFix = math.MinInt32
	delta, base, end := plain(0, 1), plain(-5, 1), plain(math.MaxInt64-3, 1)
	delta.last, end.last = -1, 100
	for _, f := range []*fixture{short, negative, delta, base, end} {
		r := walkAll(t, 0, nil, generous, f.encode(t))
		require.NotEmpty(t, r.reason)
		require.Empty(t, r.recs)
		require.Equal(t, int64(0), r.next)
	}
}

// malformed are batches whose sum is right and whose records are not.
func malformed() map[string]*fixture {
	all := map[string]*fixture{}
	add := func(name string, change func(*fixture)) {
		f := plain(5, 3)
		change(f)
		all[name] = f
	}
	add("count of 2^31-1", func(f *fixture) { f.count = math.MaxInt32 })
	add("count and offsets of 2^31-1", func(f *fixture) {
		f.count, f.last = math.MaxInt32,
			math.MaxInt32-1
	})
	add("negative count", func(f *fixture) { f.count = -1 })
	add("fewer than counted", func(f *fixture) { f.recs = f.recs[:2] })
	add("more than counted", func(f *fixture) { f.count = 2 })
	add("trailing byte", func(f *fixture) { f.trailing = []byte{0} })
	add("count 0 with records", func(f *fixture) { f.count = 0 })
	add("offset beyond the batch", func(f *fixture) { f.recs[1].delta = 3 })
	add("offset again", func(f *fixture) { f.recs[2].delta = 1 })
	add("no room for the next offset", func(f *fixture) { f.recs[0].delta = 2 })
	for name, payload := range map[string][]byte{
		"negative record length":   binary.AppendVarint(nil, -2),
		"record length of 2^31":    binary.AppendVarint(nil, 1<<31),
		"record length of 2^62":    binary.AppendVarint(nil, 1<<62),
		"endless varint":           bytes.Repeat([]byte{0xff}, 12),
		"empty record":             {0},
		"record of one byte":       {2, 0},
		"negative key length":      {12, 0, 0, 0, 3, 1, 0},
		"value beyond the record":  append([]byte{14, 0, 0, 0, 1}, binary.AppendVarint(nil, 1<<20)...),
		"negative header count":    {12, 0, 0, 0, 1, 1, 1},
		"header count of 2^31":     append([]byte{20, 0, 0, 0, 1, 1}, binary.AppendVarint(nil, 1<<31)...),
		"null header name":         {16, 0, 0, 0, 1, 1, 2, 1, 1},
		"bytes behind the headers": {14, 0, 0, 0, 1, 1, 0, 0},
		"nothing":                  {},
	} {
		add(name, func(f *fixture) { f.payload, f.count, f.last = payload, 1, 0 })
	}
	for name, codec := range map[string]uint16{"gzip": codecGzip, "snappy": codecSnappy,
		"lz4":  codecLZ4,
		"zstd": codecZstd, "unknown codec": 5, "no codec": 7} {
		add("noise as "+name, func(f *fixture) {
			f.attrs, f.payload = codec, bytes.Repeat([]byte("noise"), 20)
		})
	}
	add("snappy header alone", func(f *fixture) {
		f.attrs, f.payload = codecSnappy,
			[]byte(xerialMagic)
	})
	add("snappy block of 2^32", func(f *fixture) {
		f.attrs, f.payload = codecSnappy, []byte(xerialMagic+
			"\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff")
	})
	add("snappy claims 2^31", func(f *fixture) {
		f.attrs, f.payload = codecSnappy, binary.AppendUvarint(nil, 1<<31)
	})
	return all
}

func TestWalkMalformed(t *testing.T) {
	for name, f := range malformed() {
		t.Run(name, func(t *testing.T) {
			r := walkAll(t, 5, nil, limits{record: math.MaxInt32, total: 1 << 20}, f.encode(t),
				plain(f.base+int64(f.last)+1, 1).encode(t))
			require.Empty(t, r.reason)
			require.GreaterOrEqual(t, len(r.recs), 2)
			mark := r.recs[len(r.recs)-2]
			require.True(t, mark.Malformed)
			require.False(t, mark.Oversized)
			require.NotNil(t, mark.Value, "nothing is lost: the bytes are there to be kept")
			require.Equal(t, f.base+int64(f.last)+1, mark.Offset+mark.Span,
				"the mark stands for the rest of the batch")
			require.Equal(t, f.base+int64(f.last)+1, r.recs[len(r.recs)-1].Offset, "the next batch goes on")
			for i, rec := range r.recs[:len(r.recs)-2] {
				require.False(t, rec.Malformed, i)
				require.Equal(t, int64(5+i), rec.Offset)
			}
		})
	}
}

func TestWalkOversized(t *testing.T) {
	for _, codec := range []uint16{codecNone, codecGzip, codecSnappy, codecLZ4, codecZstd} {
		f := plain(0, 3).codec(codec)
		f.recs[1].value = make([]byte, 300_000)
		r := walkAll(t, 0, nil, limits{record: 100_000, total: 1 << 20}, f.encode(t))
		require.Equal(t, []int64{0, 1, 2}, offsets(r.recs))
		require.True(t, r.recs[1].Oversized)
		require.Greater(t, r.recs[1].Size, 300_000)
		require.Nil(t, r.recs[1].Value)
		require.Equal(t, schemas.Instant(1_001_000), r.recs[1].Time)
		require.False(t, r.recs[2].Oversized)
	}
	f := plain(0, 1)
	f.recs[0].headers = make([]Header, headersMax+1)
	r := walkAll(t, 0, nil, generous, f.encode(t))
	require.True(t, r.recs[0].Oversized)
}

// TestWalkBomb: a small zstd batch of one record that decodes to 400 MiB costs little memory.
func TestWalkBomb(t *testing.T) {
	f := plain(0, 2).codec(codecZstd)
	f.payload = bomb(t, 400<<20)
	set := f.encode(t)
	require.Less(t, len(set), 100<<10)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := walkAll(t, 0, nil, generous, set)
	runtime.ReadMemStats(&after)
	require.Equal(t, []int64{0, 1}, offsets(r.recs))
	require.True(t, r.recs[0].Oversized)
	require.Greater(t, r.recs[0].Size, 400<<20)
	require.Equal(t, "after", string(r.recs[1].Value))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
}

// TestWalkEndlessBomb: beyond decodedMax the rest of the batch is one mark.
func TestWalkEndlessBomb(t *testing.T) {
	f := plain(0, 2).codec(codecZstd)
	f.payload = bomb(t, decodedMax+(1<<20))
	r := walkAll(t, 0, nil, generous, f.encode(t), plain(2, 1).encode(t))
	require.Equal(t, []int64{0, 2}, offsets(r.recs))
	require.True(t, r.recs[0].Oversized)
	require.Equal(t, int64(2), r.recs[0].Span)
}

// bomb compresses two records, the first with a value of n zeros.
func bomb(t testing.TB, n int) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	require.NoError(t, err)
	head := binary.AppendVarint([]byte{0, 0, 0, 1}, int64(n))
	_, err = w.Write(append(binary.AppendVarint(nil, int64(len(head)+n+1)), head...))
	require.NoError(t, err)
	zeros := make([]byte, 1<<20)
	for left := n; left > 0; left -= len(zeros) {
		_, err = w.Write(zeros[:min(left, len(zeros))])
		require.NoError(t, err)
	}
	_, err = w.Write([]byte{0})
	require.NoError(t, err)
	second := rec{delta: 1, value: []byte("after")}
	_, err = w.Write(second.encode())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// TestWalkBudget: what does not fit into one Poll comes with the next, from the middle of a batch.
func TestWalkBudget(t *testing.T) {
	for _, codec := range []uint16{codecNone, codecZstd, codecLZ4} {
		f := plain(0, 1000).codec(codec)
		r := walkAll(t, 0, nil, limits{record: 1 << 20, total: 10_000}, f.encode(t),
			plain(1000, 10).encode(t))
		require.Len(t, r.recs, 1010)
		require.Greater(t, r.steps, 20)
		for i, rec := range r.recs {
			require.Equal(t, int64(i), rec.Offset)
		}
	}
}
