package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFullDiskInClose fills the disk behind the journal: at each amount of room the close stops
// with one clear line or ends, what was delivered stays whole, and the next close goes on.
func TestFullDiskInClose(t *testing.T) {
	t.Parallel()
	w := onSmallDisk(t)
	w.feedPeople("2026-03-01", "", anna)
	w.run()
	before := shown(t, w.dir, "0101", "borger.person")
	stopped := 0
	for day, leave := range []int64{0, 4 << 10, 12 << 10, 24 << 10, 48 << 10} {
		number := fmt.Sprintf("66%02d70%04d", day+1, 7)
		w.feedPeople(fmt.Sprintf("2026-03-%02d", day+2), fmt.Sprintf("2026-03-%02d", day+1), number)
		w.flis(0, "normalise", "--once")
		ballast := w.fill(leave)
		out, errOut, code := flis(t, "close", "--once", "--dir", w.dir)
		if code != 0 {
			stopped++
			require.Equal(t, 1, strings.Count(errOut, "\n"), "one clear line, not\n%s%s", out, errOut)
			says(t, errOut, "no space left on device", "the disk is full; make room")
			require.Subset(t, shown(t, w.dir, "0101", "borger.person"), before, "whole as it was")
		}
		require.NoError(t, os.Remove(ballast))
		w.flis(0, "close", "--once")
		w.flis(0, "audit")
		require.Len(t, shownOf(t, w.dir, "0101", "borger.person", number), 1)
		before = shown(t, w.dir, "0101", "borger.person")
	}
	require.Positive(t, stopped, "the disk was full in the middle of a close")
	w.quiet(anna)
}

// TestJournalCannotBeRead: one system's journal does not answer. Units that rest on it stop, with a
// line that names it; the others are closed, and nothing is lost.
func TestJournalCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.feedPeople("2026-03-01", "", anna)
	line := eventLine(t, "g-1", nexus0101, grantType, nexusGrant(1, anna, nil))
	w.flis(0, "feed", "kmd-nexus", w.write("g", line))
	w.flis(0, "normalise", "--once")
	log := filepath.Join(w.dir, "intern/journal/kmd-nexus/_delta_log")
	require.NoError(t, os.Rename(log, log+".away"))
	require.NoError(t, os.WriteFile(log, []byte("not a folder"), 0o600))
	out, errOut, code := flis(t, "close", "--once", "--dir", w.dir)
	require.Equal(t, 1, code, "%s%s", out, errOut)
	says(t, errOut, "0101/aeldre", "journal of kmd-nexus")
	require.NotContains(t, errOut, "borger")
	require.Len(t, shownOf(t, w.dir, "0101", "borger.person", anna), 1, "the others are closed")
	require.NoError(t, os.Remove(log))
	require.NoError(t, os.Rename(log+".away", log))
	w.flis(0, "close", "--once")
	w.flis(0, "audit")
	require.Len(t, shown(t, w.dir, "0101", "aeldre.visiteret_tid"), 1)
	w.quiet(anna)
}
