package sinks

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// testdata/journal-v1 is a journal of format 1, as the first build that had it wrote it: every
// later build reads it, and so it is never written anew. Only where the folder is not there is it
// made, by FLIS_GOLDEN=write.
const goldenRoot = "testdata/journal-v1"

func TestJournalGolden(t *testing.T) {
	ctx := context.Background()
	if os.Getenv("FLIS_GOLDEN") == "write" {
		writeGolden(t)
	}
	j := openTest(t, copied(t, goldenRoot))
	var text strings.Builder
	fmt.Fprintf(&text, "version %d\n", j.Version())
	for _, s := range []schemas.Stream{testStream, nextStream} {
		p := j.Progress()[s]
		fmt.Fprintf(&text, "%s {Next:%d Anchor:%+v}\n", s, p.Next, p.Anchor)
	}
	for _, r := range scanAll(t, j, Want{Raw: true, Events: true, Payload: true}) {
		fmt.Fprintf(&text, "%+v\n", r)
	}
	a, err := j.Verify(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, a.Problems)
	fmt.Fprintf(&text, "%+v\n", *a)
	file := filepath.Join(goldenRoot, "rows.txt")
	if os.Getenv("FLIS_GOLDEN") == "write" {
		require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String())

	commit(t, j, "later", record(nextStream, 4, 1)...) // and every later build writes on
	a, err = j.Verify(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, a.Problems)
}

// copied is the folder's objects in memory, so that a test can write on.
func copied(t *testing.T, root string) store.Store {
	t.Helper()
	m := store.NewMemory()
	files := os.DirFS(root)
	require.NoError(t, fs.WalkDir(files, "journal", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, p)
		require.NoError(t, err)
		return m.Create(context.Background(), p, func(w io.Writer) error {
			_, err := w.Write(b)
			return err
		})
	}))
	return m
}

// writeGolden makes a journal that has of everything: both kinds of files, a gap, empty offsets,
// a checkpoint, a row with every field set.
func writeGolden(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	_, err := os.Stat(goldenRoot)
	require.ErrorIs(t, err, fs.ErrNotExist, "the golden journal is not to be written anew")
	m := store.NewMemory()
	j := openTest(t, m)
	j.every = 2 // checkpoints early; where they lie is no part of the format's reading
	full := fullRow()
	commit(t, j, "golden", append(record(testStream, 0, 1)[:1], full)...)
	require.NoError(t, j.CommitGap(ctx, "golden", nextStream, 0, 3, "golden"))
	e := j.NewEntry("golden")
	require.NoError(t, e.Add(record(testStream, 1, 2)...))
	require.NoError(t, e.Advance(testStream, Position{Next: 5, Anchor: Anchor{"topic", 2, 1, "00ff"}}))
	parked := record(nextStream, 3, 0)[0]
	parked.Outcome, parked.Finding, parked.Payload = schemas.Parked, "DECODE : trailing bytes", nil
	require.NoError(t, e.Add(parked))
	require.NoError(t, e.Commit(ctx))
	for i, err := range m.List(ctx, "journal/", "") {
		require.NoError(t, err)
		b, err := store.ReadAll(ctx, m, i.Key)
		require.NoError(t, err)
		p := filepath.Join(goldenRoot, filepath.FromSlash(i.Key))
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, b, 0o644))
	}
}
