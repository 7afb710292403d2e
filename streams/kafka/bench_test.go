package kafka

import (
	"fmt"
	"testing"
)

// BenchmarkDecode walks a record set of 94-byte values with four headers, 1000 records a batch.
func BenchmarkDecode(b *testing.B) {
	for name, codec := range map[string]uint16{"none": codecNone, "gzip": codecGzip,
		"snappy": codecSnappy,
		"lz4":    codecLZ4, "zstd": codecZstd} {
		b.Run(name, func(b *testing.B) {
			const batches, each = 20, 1000
			var set []byte
			for i := range batches {
				set = append(set, busy(int64(i*each), each).codec(codec).encode(b)...)
			}
			var a arena
			var c codecs
			var rs []Record
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				a.reset()
				l := generous
				var done bool
				rs, done, _ = newWalker(set, 0, nil).walk(rs[:0], &a, &c, &l)
				if !done || len(rs) != batches*each {
					b.Fatal("not all records were read")
				}
				n += len(rs)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// busy is a batch as vendors send them.
func busy(base int64, n int) *fixture {
	f := plain(base, n)
	for i := range f.recs {
		r := &f.recs[i]
		r.key = fmt.Appendf(nil, "citizen-%d", i*7919%100_003)
		r.value = fmt.Appendf(nil, "%094d", i*104_729)
		r.headers = []Header{{"ce_id", fmt.Append(nil, base+int64(i))},
			{"ce_source", []byte("//kmd-nexus/0101")},
			{"ce_type", []byte("grant")}, {"ce_time", []byte("2025-06-01T12:00:00Z")}}
	}
	return f
}
