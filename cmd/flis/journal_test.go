package main_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
)

// The demo over a compacted journal whose small files are gone: the parked list, the audit's fold
// from nothing and a replay say the same as before.
func TestJournalUpkeepOfDemo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "flis-demo")
	mustFlis(t, "demo", "--dir", dir)
	say := func() []string {
		return []string{mustFlis(t, "parked", "list", "--dir", dir),
			mustFlis(t, "replay", "cura", "--dry-run", "--dir", dir)}
	}
	before := say()
	mustFlis(t, "journal", "compact", "--least", "2", "--system", "cura", "--dir", dir)
	require.Regexp(t, `cura +4 +2 +2 .* 6 `, mustFlis(t, "journal", "status", "--dir", dir),
		"two files are left, both made; six wait")
	mustFlis(t, "audit", "--dir", dir)
	require.Contains(t, mustFlis(t, "journal", "sweep", "--dir", dir), "deleted 0 replaced files")

	st, err := store.OpenLocal(filepath.Join(dir, "intern"))
	require.NoError(t, err)
	j, err := sinks.OpenJournal(t.Context(), st, "cura")
	require.NoError(t, err)
	n, err := j.Sweep(t.Context(), sinks.SweepRules{Writer: "s", Keep: sinks.SweepKeep,
		Now: time.Now().Add(sinks.SweepKeep + time.Hour), Read: j.Version()})
	require.NoError(t, err)
	require.Equal(t, int64(6), n.Removed)
	require.Equal(t, before, say())
	mustFlis(t, "audit", "--dir", dir)
}

func TestJournalVerbsRefuse(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "none")
	_, errOut, code := flis(t, "journal", "compact", "--dir", dir)
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "there is nothing in")
	w := newBadWorld(t)
	w.write("flis.yaml", "dir: .\nraa_opbevaring: 10\n")
	require.Contains(t, w.flis(2, "journal", "status"), "at least 62")
}
