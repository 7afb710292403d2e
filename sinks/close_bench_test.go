package sinks

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// BenchmarkClose closes 98 municipalities: the first load of 196,000 visits, then a day of
// 19,600 that touches each of them. Files lie on disk. events/s counts statements, from journal
// to certificate.
func BenchmarkClose(b *testing.B) {
	const municipalities = 98
	for _, each := range []int{2000, 200} {
		b.Run(fmt.Sprint(each*municipalities), func(b *testing.B) {
			b.ReportAllocs()
			var spent time.Duration
			var peak uint64
			for b.Loop() {
				b.StopTimer()
				c, now := loadedCloser(b, municipalities, each)
				b.StartTimer()
				begin := time.Now()
				report, err := c.Round(context.Background(), now, nil)
				spent += time.Since(begin)
				require.NoError(b, err)
				require.Empty(b, report.Failed)
				require.Len(b, report.Closed, municipalities)
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapSys)
			}
			b.ReportMetric(float64(b.N*each*municipalities)/spent.Seconds(), "events/s")
			b.ReportMetric(float64(peak>>20), "MiB-heap")
		})
	}
}

// loadedCloser has a closer whose journals hold so many new visits for each municipality. The
// small load comes after a large one that is closed.
func loadedCloser(b *testing.B, municipalities, each int) (*Closer, time.Time) {
	ctx := context.Background()
	st, err := store.OpenLocal(b.TempDir())
	require.NoError(b, err)
	var all []schemas.Agreement
	for k := range municipalities {
		all = append(all, schemas.Agreement{Kommune: schemas.Kommunekode(fmt.Sprintf("%04d", 101+k)),
			Area:   "aeldre",
			System: simVendor, From: schemas.Always, To: schemas.Open, Since: schemas.Always,
			Proof:    schemas.ProofNone,
			Calendar: schemas.Daily})
	}
	agreements, err := schemas.NewAgreements(all)
	require.NoError(b, err)
	sets := builtinDatasets(b)
	engine, err := NewTables(TablesConfig{State: st, Delivered: st, Datasets: sets, Dir: b.TempDir()})
	require.NoError(b, err)
	c := NewCloser(Deps{Journal: JournalEvents(st), Tables: st, Engine: engine,
		Agreements: agreements, Datasets: sets,
		Writer: "bench", Build: "bench"})
	now := time.Date(2026, 3, 3, 22, 0, 0, 0, schemas.Copenhagen)
	next := int64(0)
	if each < 1000 {
		next = loadVisits(b, st, agreements, sets[simFact], 2000, next, now)
		_, err := c.Round(ctx, now, nil)
		require.NoError(b, err)
		now = now.AddDate(0, 0, 1)
	}
	loadVisits(b, st, agreements, sets[simFact], each, next, now)
	return c, now
}

func loadVisits(b *testing.B, st store.Store, all *schemas.Agreements, set *schemas.Dataset,
	each int, next int64,
	now time.Time) int64 {
	ctx := context.Background()
	j, err := OpenJournal(ctx, st, simVendor)
	require.NoError(b, err)
	e := j.NewEntry("bench")
	stream := schemas.NewStream("c", "t", 0)
	day := schemas.DayOf(now)
	for range each {
		for _, a := range all.All() {
			r := schemas.Row{Stream: stream, Offset: next, System: simVendor, EventID: fmt.Sprint("//x|",
				next),
				Event: "e", Leverance: day, Outcome: schemas.Accepted, Kommune: a.Kommune, Op: schemas.OpRaw,
				Payload: make([]byte, 120)}
			require.NoError(b, e.Add(r))
			r.Ordinal, r.Op, r.Dataset, r.From, r.To = 1, schemas.OpUpsert, simFact, day, schemas.Open
			r.Key = fmt.Sprint(simVendor, ":", next)
			r.Payload = payload(b, set, map[string]any{"besoeg_id": r.Key, "cpr": "6101700001",
				"status": "finished",
				"dato":   int(day), "minutter": 20})
			require.NoError(b, e.Add(r))
			next++
		}
		if e.Size() > 32<<20 {
			require.NoError(b, e.Advance(stream, Position{Next: next}))
			require.NoError(b, e.Commit(ctx))
			e = j.NewEntry("bench")
		}
	}
	if e.Size() > 0 {
		require.NoError(b, e.Advance(stream, Position{Next: next}))
		require.NoError(b, e.Commit(ctx))
	}
	return next
}
