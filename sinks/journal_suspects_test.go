package sinks

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// killer runs as the consumer does: a chunk at once, after a death record by record. It dies at
// the offsets that kill, and after a chunk where crash says so.
func killer(
	t *testing.T,
	dir string,
	kills map[int64]bool,
	progress int64,
) (parked []int64, died bool) {
	t.Helper()
	s, err := OpenSuspects(dir)
	require.NoError(t, err)
	defer s.Close()
	const end = 10
	from, to, suspect, err := s.Range("c/t/0")
	require.NoError(t, err)
	if !suspect || to <= progress {
		require.NoError(t, s.Chunk("c/t/0", progress, end))
		for o := progress; o < end; o++ {
			if kills[o] {
				return nil, true
			}
		}
		require.NoError(t, s.Clear("c/t/0"))
		return nil, false
	}
	require.Equal(t, progress, from)
	for o := from; o < to; o++ {
		deaths, err := s.Alone("c/t/0", o)
		require.NoError(t, err)
		if deaths >= PoisonDeaths {
			parked = append(parked, o)
			continue
		}
		if kills[o] {
			return nil, true
		}
	}
	require.NoError(t, s.Clear("c/t/0"))
	return parked, false
}

func TestSuspectsPark(t *testing.T) {
	dir := t.TempDir()
	kills := map[int64]bool{4: true}
	for range 3 { // in company, then twice alone
		_, died := killer(t, dir, kills, 0)
		require.True(t, died)
	}
	parked, died := killer(t, dir, kills, 0)
	require.False(t, died)
	require.Equal(t, []int64{4}, parked)

	kills[7] = true // a second one in another chunk of the same offsets
	for range 5 {
		if _, died = killer(t, dir, kills, 0); !died {
			break
		}
	}
	require.True(t, died)
	parked, died = killer(t, dir, kills, 0)
	require.False(t, died)
	require.Equal(t, []int64{4, 7}, parked)

	parked, died = killer(t, dir, nil, 0)
	require.False(t, died, "after the clean end nobody is suspect")
	require.Empty(t, parked)
}

// Deaths that no record caused park nothing, however often they come between judging and commit.
func TestSuspectsInnocent(t *testing.T) {
	dir := t.TempDir()
	for o := int64(0); o < 10; o++ {
		_, died := killer(t, dir, map[int64]bool{o: true}, 0)
		require.True(t, died)
	}
	parked, died := killer(t, dir, nil, 0)
	require.False(t, died)
	require.Empty(t, parked)
}

func TestSuspectsForgetsOneChunkOnly(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSuspects(dir)
	require.NoError(t, err)
	require.NoError(t, s.Chunk("c/t/0", 5, 9))
	_, _, ok, err := s.Range("c/t/0")
	require.NoError(t, err)
	require.False(t, ok, "the process lives")
	require.NoError(t, s.Close())

	s, err = OpenSuspects(dir)
	require.NoError(t, err)
	from, to, ok, err := s.Range("c/t/0")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []int64{5, 9}, []int64{from, to})
	_, _, ok, err = s.Range("c/t/1")
	require.NoError(t, err)
	require.False(t, ok, "another stream")
	require.NoError(t, s.Close())
}

func TestSuspectsTornNote(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenSuspects(dir)
	require.NoError(t, err)
	require.NoError(t, s.Chunk("c/t/0", 5, 9))
	require.NoError(t, s.Close())
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	whole, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		torn := filepath.Join(t.TempDir(), filepath.Base(files[0]))
		require.NoError(t, os.WriteFile(torn, b, 0o600))
		s, err := OpenSuspects(filepath.Dir(torn))
		require.NoError(t, err)
		_, _, ok, err := s.Range("c/t/0")
		require.NoError(t, err)
		require.False(t, ok, "byte %d", i)
		require.NoError(t, s.Close())
	}
}

func BenchmarkSuspects(b *testing.B) {
	s, err := OpenSuspects(b.TempDir())
	require.NoError(b, err)
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		_, err = s.Alone("c/t/0", n)
		n++
	}
	require.NoError(b, err)
}

// TestSuspectsSurvived: a process that is killed again and again after it has judged its records,
// and before they are in the journal, blames none of them.
func TestSuspectsSurvived(t *testing.T) {
	dir := t.TempDir()
	for life := range 6 {
		s, err := OpenSuspects(dir)
		require.NoError(t, err)
		if _, _, suspect, err := s.Range("c/t/0"); !suspect {
			require.NoError(t, err)
			require.NoError(t, s.Chunk("c/t/0", 0, 3))
		} else {
			for o := range int64(3) {
				deaths, err := s.Alone("c/t/0", o)
				require.NoError(t, err)
				require.Zero(t, deaths, "life %d, record %d", life, o)
				require.NoError(t, s.Survived("c/t/0"))
			}
		}
		require.NoError(t, s.Close())
	}
}
