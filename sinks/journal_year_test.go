package sinks

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// TestJournalYear makes a journal of FLIS_YEAR_ENTRIES entries in FLIS_YEAR_DIR, or goes on with the
// one that is there, compacted as flis run does it, and says how long a start takes and what memory
// it keeps:
//
//	FLIS_YEAR_ENTRIES=100000 FLIS_YEAR_DIR=/tmp/year go test ./sinks -run JournalYear -v -timeout 1h
func TestJournalYear(t *testing.T) {
	n, err := strconv.ParseInt(os.Getenv("FLIS_YEAR_ENTRIES"), 10, 64)
	if err != nil {
		n = 800
	}
	dir := os.Getenv("FLIS_YEAR_DIR")
	if dir == "" {
		dir = t.TempDir()
	}
	ctx := context.Background()
	st, err := store.OpenScratch(dir) // without fsync
	require.NoError(t, err)
	growYear(t, st, n)

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	j := openTest(t, st)
	opened := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.GreaterOrEqual(t, j.Version(), n-1)
	size, err := j.Size(ctx)
	require.NoError(t, err)
	require.Less(t, size.Files, int64(2500))
	t.Logf("opened %d entries, %d live files (%d made), %.0f MB in %s; %d kB kept", size.Entries,
		size.Files, size.Made, float64(size.Bytes)/1e6, opened.Round(time.Millisecond),
		(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1024)

	timed := func(what string, from int64, want Want) {
		start, rows := time.Now(), 0
		require.NoError(t, j.Scan(ctx, from, j.Version(), want, func(*schemas.Row) error {
			rows++
			return nil
		}))
		t.Logf("%s: %d rows in %s", what, rows, time.Since(start).Round(time.Millisecond))
	}
	timed("scan of the last 20 entries", max(-1, j.Version()-20), Want{Raw: true, Events: true})
	timed("scan of the last 5,000", max(-1, j.Version()-5000), Want{Raw: true, Events: true})
	timed("scan of all records without values", -1, Want{Raw: true, Columns: recordColumns()})
}

// growYear writes entries of two records and two events each, and compacts after every 720.
func growYear(t *testing.T, st store.Store, n int64) {
	ctx := context.Background()
	j := openTest(t, st)
	rows := benchRows(2)
	for v := j.Version() + 1; v < n; v = j.Version() + 1 {
		e := j.NewEntry("year")
		next := j.Progress()[testStream].Next
		for i := range rows {
			rows[i].Offset = next + int64(i/2)
			rows[i].EventID = fmt.Sprintf("//cura/0101|%d", rows[i].Offset)
		}
		require.NoError(t, e.Add(rows...))
		require.NoError(t, e.Commit(ctx))
		if v%720 == 719 {
			_, err := j.Compact(ctx, CompactRules{Writer: "year", Now: time.Unix(v*5, 0)})
			require.NoError(t, err)
		}
	}
}
