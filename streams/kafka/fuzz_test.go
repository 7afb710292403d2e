package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzWalk: whatever bytes a broker hands out, the walk ends, stays within its limits, hands out
// ascending offsets and never moves its position back.
func FuzzWalk(f *testing.F) {
	for _, codec := range []uint16{codecNone, codecGzip, codecSnappy, codecLZ4, codecZstd} {
		b := plain(5, 3).codec(codec)
		f.Add(b.encode(f), int64(0), false)
		b.framed = true
		f.Add(append(b.encode(f), marker(8, 7, false).encode(f)...), int64(6), true)
	}
	for _, b := range malformed() {
		f.Add(b.encode(f), int64(5), true)
	}
	f.Fuzz(func(t *testing.T, set []byte, next int64, resum bool) {
		if len(set) > 1<<16 || next < 0 {
			return
		}
		if resum {
			setSums(set)
		}
		l := limits{record: 1 << 16, total: 1 << 20}
		w := newWalker(set, next, []abortedTxn{{7, 6}})
		var c codecs
		for done := false; !done; {
			var a arena
			var rs []Record
			step, before := l, w.next
			rs, done, _ = w.walk(nil, &a, &c, &step)
			require.GreaterOrEqual(t, step.total, -(1<<16)*(1+headerOverhead)-overhead)
			at := before
			for _, r := range rs {
				require.GreaterOrEqual(t, r.Offset, at)
				require.Positive(t, r.Span)
				require.False(t, r.Oversized && r.Malformed)
				at = r.Offset + r.Span
			}
			require.GreaterOrEqual(t, w.next, at)
		}
	})
}

// setSums makes the batches' checksums right, so that the fuzzer reaches what lies behind them.
func setSums(set []byte) {
	for len(set) >= headerSize {
		n := int(int32(binary.BigEndian.Uint32(set[atLength:]))) + atEpoch
		if n < headerSize || n > len(set) {
			return
		}
		binary.BigEndian.PutUint32(set[atCRC:], crc32.Checksum(set[atAttrs:n], castagnoli))
		set = set[n:]
	}
}
