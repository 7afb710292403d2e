package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const killDir = "FLIS_TEST_KILL_DIR"

// TestJournalKilled kills real processes that write to one journal on disk, two at a time, at
// random moments; what is left must be whole. The simulation covers the moments; this covers the
// disk.
func TestJournalKilled(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		writeUntilKilled(t, dir)
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Parallel()
	dir := t.TempDir()
	st, err := store.OpenLocal(dir)
	require.NoError(t, err)
	j := openTest(t, st)
	for range 4 {
		var all []*exec.Cmd
		for range 2 {
			c := exec.Command(os.Args[0], "-test.run=^TestJournalKilled$")
			c.Env = append(os.Environ(), killDir+"="+dir)
			require.NoError(t, c.Start())
			all = append(all, c)
		}
		before := j.Version()
		require.Eventually(t, func() bool {
			return assert.NoError(t, j.Refresh(context.Background())) && j.Version() > before+3
		}, time.Minute, time.Millisecond)
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		for _, c := range all {
			require.NoError(t, c.Process.Kill())
			var exit *exec.ExitError
			require.ErrorAs(t, c.Wait(), &exit)
			require.Equal(t, -1, exit.ExitCode(), "it was killed and did not fail before")
		}
	}
	a, err := openTest(t, st).Verify(context.Background(), nil)
	require.NoError(t, err)
	require.Empty(t, a.Problems)
	require.Positive(t, a.Records)
	t.Logf("%d entries, %d records", a.Entries, a.Records)
}

// writeUntilKilled never returns; an error ends the process with a code, which the parent sees.
func writeUntilKilled(t *testing.T, dir string) {
	ctx := context.Background()
	st, err := store.OpenLocal(dir)
	require.NoError(t, err)
	j := openTest(t, st)
	writer := fmt.Sprintf("pid%d", os.Getpid())
	for {
		e := j.NewEntry(writer)
		next := j.Progress()[testStream].Next
		for o := next; o < next+5; o++ {
			require.NoError(t, e.Add(record(testStream, o, 1)...))
		}
		if err := e.Commit(ctx); err != nil && !errors.Is(err, ErrLostRace) {
			require.NoError(t, err)
		}
	}
}
