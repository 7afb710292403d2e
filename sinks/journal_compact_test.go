package sinks

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// compactWorld is a journal of n small entries over two streams, rows of several municipalities.
func compactWorld(t testing.TB, st store.Store, n int) *Journal {
	t.Helper()
	j := openTest(t, st)
	for i := range n {
		e := j.NewEntry("w")
		for _, s := range []schemas.Stream{testStream, nextStream} {
			rows := record(s, int64(i), int32(i%3))
			for k := range rows {
				rows[k].Kommune = schemas.Kommunekode(fmt.Sprintf("%04d", 101+(i*7+k)%5))
				rows[k].Arrived = schemas.Instant(time.Unix(int64(i)*86400, 0).UnixMicro())
			}
			require.NoError(t, e.Add(rows...))
		}
		require.NoError(t, e.Commit(context.Background()))
	}
	return j
}

// byEntry is every row with its entry, as text.
func byEntry(t testing.TB, j *Journal, from, to int64, w Want) []string {
	t.Helper()
	var rows []string
	err := j.ScanEntries(context.Background(), from, to, w, func(v int64, r *schemas.Row) error {
		rows = append(rows, fmt.Sprintf("%d %+v", v, *r))
		return nil
	})
	require.NoError(t, err)
	return rows
}

func compactAll(t testing.TB, j *Journal, now time.Time) CompactReport {
	t.Helper()
	done, err := j.Compact(context.Background(), CompactRules{Writer: "c", Now: now})
	require.NoError(t, err)
	require.False(t, done.Raced)
	return done
}

func verified(t testing.TB, st store.Store) *JournalAudit {
	t.Helper()
	a, err := openTest(t, st).Verify(context.Background(), nil)
	require.NoError(t, err)
	require.Empty(t, a.Problems)
	return a
}

// dataFiles are the journal's Parquet files that are there, named or not.
func dataFiles(t testing.TB, st store.Store) []string {
	t.Helper()
	var all []string
	for i, err := range st.List(context.Background(), "journal/cura/", "") {
		require.NoError(t, err)
		if !logKey(i.Key) {
			all = append(all, i.Key)
		}
	}
	return all
}

// Every range of entries reads the same, in the same order: before, with both files there, and
// when the small ones are gone.
func TestJournalCompact(t *testing.T) {
	ctx := context.Background()
	st := store.NewMemory()
	const n = 20
	j := compactWorld(t, st, n)
	all := Want{Raw: true, Events: true, Payload: true}
	wants := []Want{all, {Raw: true}, {Events: true, Payload: true},
		{Events: true, Columns: []string{"stroem_offset", "noegle"}}}
	type span struct{ from, to int64 }
	spans := []span{{-1, n - 1}, {3, 4}, {0, 11}, {n - 2, n - 1}}
	before := map[string][]string{}
	for i, w := range wants {
		for _, s := range spans {
			before[fmt.Sprint(i, s)] = byEntry(t, j, s.from, s.to, w)
		}
	}
	same := func() {
		t.Helper()
		for _, r := range []*Journal{j, openTest(t, st)} {
			for i, w := range wants {
				for _, s := range spans {
					require.Equal(t, before[fmt.Sprint(i, s)], byEntry(t, r, s.from, s.to, w), "%+v %v", w, s)
				}
			}
		}
	}
	was := verified(t, st)
	now := time.Unix(1e6, 0)
	done := compactAll(t, j, now)
	require.Equal(t, int64(2), done.After)
	require.Equal(t, int64(2), done.Live)
	require.Zero(t, compactAll(t, j, now).Entries, "what is done is done")
	same()
	verified(t, st)

	swept, err := j.Sweep(ctx, SweepRules{Writer: "s", Now: now.Add(SweepKeep - time.Second),
		Keep: SweepKeep, Read: 1000})
	require.NoError(t, err)
	require.Zero(t, swept.Removed)
	require.Equal(t, done.Before, swept.Waiting)
	swept, err = j.Sweep(ctx, SweepRules{Writer: "s", Now: now.Add(SweepKeep), Keep: SweepKeep,
		Read: n - 1})
	require.NoError(t, err)
	require.Zero(t, swept.Removed, "a reader has not read the entry that replaced them")
	require.Equal(t, done.Before, swept.Unread)
	swept, err = j.Sweep(
		ctx,
		SweepRules{Writer: "s", Now: now.Add(SweepKeep), Keep: SweepKeep, Read: n},
	)
	require.NoError(t, err)
	require.Equal(t, done.Before, swept.Removed)
	require.Len(t, dataFiles(t, st), 2)
	same()
	a := verified(t, st)
	require.Equal(t, was.Records, a.Records)
	require.Equal(t, was.Events, a.Events)

	commit(t, j, "w", record(testStream, n, 1)...) // and writers go on
	require.Len(t, byEntry(t, j, n-1, n+1, all), 2)
	verified(t, st)
}

// A made file is sorted for foreign readers, changes no data, and says whose rows it holds.
func TestJournalCompactEntry(t *testing.T) {
	ctx := context.Background()
	st := store.NewMemory()
	j := compactWorld(t, st, 14)
	compactAll(t, j, time.Unix(1e6, 0))
	c, raw, err := j.log.Entry(ctx, 14)
	require.NoError(t, err)
	require.NotContains(t, string(raw), `"dataChange":true`)
	require.Len(t, c.Adds, 2)
	require.Equal(t, "0-13", c.Adds[0].Tags[tagEntries])
	s := j.scanner(Want{Events: true, Raw: true})
	var keys []string
	require.NoError(t, s.file(ctx, &c.Adds[1], func(r *schemas.Row) error {
		keys = append(keys, string(r.Kommune)+string(r.Dataset)+r.Key)
		return nil
	}))
	require.True(t, slices.IsSorted(keys))
	require.Len(t, c.Metadata.Schema, len(journalColumns())+2)
}

// Runs double: each row is rewritten but a few times, however long the journal grows.
func TestJournalCompactRuns(t *testing.T) {
	var files []int64
	written := int64(0)
	for v := range int64(4000) {
		files = append(files, 1)
		var us []*unit
		for i, b := range files {
			at := int64(i)
			us = append(us, &unit{fileRange: fileRange{from: at, to: at}, bytes: b * 10_000,
				adds: []delta.Add{{Size: b}}})
		}
		groups := runs(us, MadeLeast)
		for _, g := range groups {
			sum := int64(0)
			for _, a := range g {
				sum += a.Size
			}
			written += sum
		}
		if len(groups) > 0 { // runs are at the end of the files
			var merged []int64
			n := 0
			for _, g := range groups {
				n += len(g)
				sum := int64(0)
				for _, a := range g {
					sum += a.Size
				}
				merged = append(merged, sum)
			}
			files = append(files[:len(files)-n], merged...)
		}
		require.Less(t, len(files), 60, "after %d entries: %v", v, files)
	}
	require.Less(t, written, int64(4000*10))
}

// A value whose time is over is gone from the files; its record, outcome and digest stay.
func TestJournalRawExpires(t *testing.T) {
	ctx := context.Background()
	st := store.NewMemory()
	j := compactWorld(t, st, 20)
	was := verified(t, st)
	day := time.Unix(0, 0).AddDate(0, 0, 100)
	done, err := j.Compact(ctx, CompactRules{Writer: "c", Now: day, RawDays: 90})
	require.NoError(t, err)
	require.Zero(t, done.Expired, "some of the file's rows are younger")
	done, err = j.Compact(ctx, CompactRules{Writer: "c", Now: day.AddDate(0, 0, 20), RawDays: 90})
	require.NoError(t, err)
	require.Equal(t, int64(1), done.Expired)
	_, err = j.Sweep(
		ctx,
		SweepRules{Writer: "s", Now: day.AddDate(1, 0, 0), Keep: SweepKeep, Read: 99},
	)
	require.NoError(t, err)
	for _, r := range scanAll(t, j, Want{Raw: true, Events: true, Payload: true}) {
		require.Equal(t, r.Ordinal == 0, r.Payload == nil)
		require.NotEmpty(t, r.EventID)
	}
	a := verified(t, st)
	require.Equal(t, was.Records, a.Records)
	done, err = j.Compact(ctx, CompactRules{Writer: "c", Now: day.AddDate(0, 0, 20), RawDays: 90})
	require.NoError(t, err)
	require.Zero(t, done.Entries, "once")
}

// An orphan of a writer that died goes; of one that only slept nothing goes that it then names.
func TestJournalSweepOrphans(t *testing.T) {
	ctx := context.Background()
	st := store.NewMemory()
	j := compactWorld(t, st, 3)
	slow := openTest(t, st)
	e := slow.NewEntry("slow")
	require.NoError(t, e.Add(record(testStream, 3, 1)...))
	in := e.info()
	adds, err := e.write(ctx)
	require.NoError(t, err)

	late := time.Unix(1e9, 0)
	rules := SweepRules{Writer: "s", Now: time.Unix(10, 0), Keep: SweepKeep, Read: 1000}
	swept, err := j.Sweep(ctx, rules)
	require.NoError(t, err)
	require.Equal(t, SweepReport{Young: 2}, swept)
	rules.Now = late
	swept, err = j.Sweep(ctx, rules)
	require.NoError(t, err)
	require.Equal(t, int64(2), swept.Orphans)
	require.ErrorIs(t, slow.append(ctx, in, adds), ErrLostRace)
	require.NoError(t, slow.Refresh(ctx))
	commit(t, slow, "slow", record(testStream, 3, 1)...)
	verified(t, st)
}

func TestJournalVerifyFindsMade(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, st *store.Memory, made string){
		"damaged": func(t *testing.T, st *store.Memory, made string) {
			b, err := store.ReadAll(context.Background(), st, made)
			require.NoError(t, err)
			b[len(b)/2] ^= 1
			require.NoError(t, st.Replace(context.Background(), made, b))
		},
		"missing": func(t *testing.T, st *store.Memory, made string) {
			require.NoError(t, st.Delete(context.Background(), made))
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			st := store.NewMemory()
			j := compactWorld(t, st, 14)
			compactAll(t, j, time.Unix(0, 0))
			_, err := j.Sweep(
				ctx,
				SweepRules{Writer: "s", Now: time.Unix(1e9, 0), Keep: SweepKeep, Read: 99},
			)
			require.NoError(t, err)
			files := dataFiles(t, st)
			require.Len(t, files, 2)
			spoil(t, st, files[0])
			a, err := openTest(t, st).Verify(ctx, nil)
			require.NoError(t, err)
			require.NotEmpty(t, a.Problems)
			require.Contains(t, fmt.Sprint(a.Problems), strings.TrimPrefix(files[0], "journal/cura/"))
		})
	}
}

// testdata/journal-v3 is a journal as the first build with upkeep left it: compacted, values
// expired, small files swept. It is made as journal-v1 was, and never anew.
func TestJournalGoldenMade(t *testing.T) {
	const root = "testdata/journal-v3"
	if os.Getenv("FLIS_GOLDEN") == "write" {
		writeGoldenMade(t, root)
	}
	st := copied(t, root)
	j := openTest(t, st)
	text := strings.Join(
		byEntry(t, j, -1, j.Version(), Want{Raw: true, Events: true, Payload: true}),
		"\n",
	)
	want, err := os.ReadFile(filepath.Join(root, "rows.txt"))
	require.NoError(t, err)
	require.Equal(t, string(want), text)
	verified(t, st)
	commit(t, j, "later", record(nextStream, 12, 1)...)
	for i := range 8 {
		commit(t, j, "later", record(testStream, int64(12+i), 1)...)
	}
	require.Equal(t, int64(1), compactAll(t, j, time.Unix(1e9, 0)).Entries)
	verified(t, st)
}

func writeGoldenMade(t *testing.T, root string) {
	t.Helper()
	ctx := context.Background()
	_, err := os.Stat(root)
	require.ErrorIs(t, err, fs.ErrNotExist, "the golden journal is not to be written anew")
	st := store.NewMemory()
	j := compactWorld(t, st, 12)
	_, err = j.Compact(ctx, CompactRules{Writer: "golden", Now: time.Unix(1e9, 0), RawDays: 90})
	require.NoError(t, err)
	_, err = j.Sweep(ctx, SweepRules{Writer: "golden", Now: time.Unix(2e9, 0), Keep: SweepKeep,
		Read: j.Version()})
	require.NoError(t, err)
	for i, err := range st.List(ctx, "journal/", "") {
		require.NoError(t, err)
		b, err := store.ReadAll(ctx, st, i.Key)
		require.NoError(t, err)
		p := filepath.Join(root, filepath.FromSlash(i.Key))
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, b, 0o644))
	}
	text := strings.Join(
		byEntry(t, j, -1, j.Version(), Want{Raw: true, Events: true, Payload: true}),
		"\n",
	)
	require.NoError(t, os.WriteFile(filepath.Join(root, "rows.txt"), []byte(text), 0o644))
}
