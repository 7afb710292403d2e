package sinks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// benchRows are records with one event each, of 300 bytes of payload, as of 98 municipalities.
func benchRows(n int) []schemas.Row {
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([]schemas.Row, 0, 2*n)
	for i := range n {
		r := schemas.Row{Stream: testStream, Offset: int64(i), System: "cura", Event: "borgerdokument",
			EventID: fmt.Sprintf(
				"//cura/0101|%08x-%08x",
				rng.Uint32(),
				i,
			), Arrived: schemas.Instant(1.7e15 + i*1000),
			Leverance: 20000, Outcome: schemas.Accepted, Op: schemas.OpRaw, Sequence: int64(i),
			Kommune: schemas.Kommunekode(fmt.Sprintf("%04d", 101+rng.IntN(98))),
			Schema:  "c15d213aa4d7a795", Canonical: "9f8e"}
		r.Payload = benchPayload(rng)
		r.Headers = []byte(`[["ce_id","MDEyMzQ1Njc4OQ=="],["ce_type","Ym9yZ2VyZG9rdW1lbnQ="]]`)
		r.RawKey = []byte(fmt.Sprintf("%08d", i))
		ev := r
		ev.Ordinal, ev.Op, ev.Dataset = 1, schemas.OpUpsert, "aeldre.visiteret_tid"
		ev.Key = fmt.Sprintf("%012x", rng.Uint64()>>16)
		ev.From, ev.To, ev.Registered, ev.Stated = 19000, schemas.Open, r.Arrived, r.Arrived
		ev.Headers, ev.RawKey, ev.Payload = nil, nil, benchPayload(rng)
		rows = append(rows, r, ev)
	}
	return rows
}

// benchPayload is half text that repeats and half noise: snappy halves it.
func benchPayload(rng *rand.Rand) []byte {
	b := make([]byte, 300)
	for i := range b {
		b[i] = "aeldre.visiteret_tid"[i%20]
		if i >= 150 {
			b[i] = byte(rng.Uint32())
		}
	}
	return b
}

const benchRecords = 20_000

// BenchmarkJournal adds and commits entries of some 16 MB; rows are raw records and events alike.
func BenchmarkJournal(b *testing.B) {
	ctx := context.Background()
	rows := benchRows(benchRecords)
	st, err := store.OpenLocal(b.TempDir())
	require.NoError(b, err)
	j := openTest(b, st)
	var done, next, bytes int64
	b.ReportAllocs()
	for b.Loop() {
		e := j.NewEntry("bench")
		for i := range rows {
			rows[i].Offset = next + int64(i/2)
		}
		for i := 0; i < len(rows); i += 2 {
			require.NoError(b, e.Add(rows[i:i+2]...))
		}
		bytes += int64(e.Size())
		require.NoError(b, e.Commit(ctx))
		next += benchRecords
		done += int64(len(rows))
	}
	b.ReportMetric(float64(done)/2/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(bytes)/1e6/b.Elapsed().Seconds(), "MB/s")
}

// BenchmarkJournalScan reads events with their payload.
func BenchmarkJournalScan(b *testing.B) {
	ctx := context.Background()
	j := openTest(b, store.NewMemory())
	commit(b, j, "bench", benchRows(benchRecords)...)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		err := j.Scan(ctx, -1, 0, Want{Events: true, Payload: true}, func(*schemas.Row) error {
			n++
			return nil
		})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}
