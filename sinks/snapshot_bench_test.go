package sinks

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// BenchmarkRestart is the first round of a new closer over a journal of small entries of five
// records each, all of them closed before: with a snapshot of the accounts, and without.
func BenchmarkRestart(b *testing.B) {
	entries := benchEntries()
	ctx := context.Background()
	st := store.NewMemory()
	now := time.Date(2026, 3, 3, 22, 0, 0, 0, schemas.Copenhagen)
	smallEntries(b, st, entries, schemas.DayOf(now))
	agreements, err := schemas.NewAgreements([]schemas.Agreement{{Kommune: "0101", Area: "aeldre",
		System: simVendor, From: schemas.Always, To: schemas.Open, Since: schemas.Always,
		Proof: schemas.ProofNone, Calendar: schemas.Daily}})
	require.NoError(b, err)
	round := func(b *testing.B, accounts store.Store) *Report {
		engine, err := NewTables(TablesConfig{State: st, Delivered: st, Datasets: builtinDatasets(b),
			Dir: b.TempDir()})
		require.NoError(b, err)
		report, err := NewCloser(Deps{Journal: JournalEvents(st), Tables: st, Engine: engine,
			Agreements: agreements, Datasets: builtinDatasets(b), Accounts: accounts}).Round(ctx, now, nil)
		require.NoError(b, err)
		require.Empty(b, report.Failed)
		return report
	}
	require.Len(b, round(b, st).Closed, 1)
	for name, accounts := range map[string]store.Store{"snapshot": st, "counted": nil} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				require.Empty(b, round(b, accounts).Closed)
			}
		})
	}
}

// smallEntries commits entries of five visits each.
func smallEntries(b *testing.B, st store.Store, entries int, day schemas.Day) {
	ctx := context.Background()
	j, err := OpenJournal(ctx, st, simVendor)
	require.NoError(b, err)
	stream, next := schemas.NewStream("c", "t", 0), int64(0)
	set := builtinDatasets(b)[simFact]
	for range entries {
		e := j.NewEntry("bench")
		for range 5 {
			r := schemas.Row{Stream: stream, Offset: next, System: simVendor, Event: "e",
				EventID: fmt.Sprint("//x|", next), Leverance: day, Outcome: schemas.Accepted,
				Kommune: "0101", Op: schemas.OpRaw}
			require.NoError(b, e.Add(r))
			if next%100 == 0 {
				r.Ordinal, r.Op, r.Dataset, r.Key = 1, schemas.OpUpsert, simFact, fmt.Sprint(next)
				r.From, r.To = day, schemas.Open
				r.Payload = payload(b, set, map[string]any{"besoeg_id": r.Key, "cpr": "6101700001",
					"status": "finished", "dato": int(day), "minutter": 20})
				require.NoError(b, e.Add(r))
			}
			next++
		}
		require.NoError(b, e.Advance(stream, Position{Next: next}))
		require.NoError(b, e.Commit(ctx))
	}
}

// benchEntries is FLIS_BENCH_ENTRIES; fewer where it is not set, as a store in memory is slow to
// fill.
func benchEntries() int {
	if n, err := strconv.Atoi(os.Getenv("FLIS_BENCH_ENTRIES")); err == nil {
		return n
	}
	return 2000
}
