package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A failed fsync may have dropped the pages: nothing may be written, or trusted, after it.
func TestLocalStopsAfterFailedSync(t *testing.T) {
	for _, at := range []string{"file", "folder"} {
		t.Run(at, func(t *testing.T) {
			l, err := OpenLocal(t.TempDir())
			require.NoError(t, err)
			require.NoError(t, CreateBytes(t.Context(), l, "before", nil))
			lost := errors.New("input/output error")
			l.sync = func(f *os.File) error {
				if fi, err := f.Stat(); err == nil && fi.IsDir() == (at == "folder") {
					return lost
				}
				return f.Sync()
			}
			require.ErrorIs(t, CreateBytes(t.Context(), l, "d/k", []byte("x")), lost)
			l.sync = (*os.File).Sync
			require.ErrorIs(t, CreateBytes(t.Context(), l, "d/l", nil), lost)
			require.ErrorIs(t, l.Replace(t.Context(), "d/m", nil), lost)
			require.ErrorIs(t, l.Delete(t.Context(), "before"), lost)
			_, err = l.Open(t.Context(), "before")
			require.ErrorIs(t, err, lost)
			for _, err := range l.List(t.Context(), "", "") {
				require.ErrorIs(t, err, lost)
			}
		})
	}
}

// Without its folder's entry on disk an object vanishes at power loss, and so does a folder without
// its parent's.
func TestLocalSyncsFileAndFolders(t *testing.T) {
	root := t.TempDir()
	l, err := OpenLocal(root)
	require.NoError(t, err)
	var mu sync.Mutex
	var synced []string
	l.sync = func(f *os.File) error {
		mu.Lock()
		defer mu.Unlock()
		rel, err := filepath.Rel(root, f.Name())
		synced = append(
			synced,
			strings.Split(rel, string(filepath.Separator))[0]+":"+filepath.Base(f.Name()),
		)
		return errors.Join(err, f.Sync())
	}
	require.NoError(t, os.MkdirAll(filepath.Join(root, "a", "b"), 0o750)) // as another process would
	require.NoError(t, CreateBytes(t.Context(), l, "a/b/c/k", []byte("x")))
	require.Contains(t, synced[0], tmp+":")
	require.Equal(t, []string{".:" + filepath.Base(root), "a:a", "a:b", "a:c"}, synced[1:])
	synced = nil
	require.NoError(t, CreateBytes(t.Context(), l, "a/b/c/l", []byte("x")))
	require.Equal(t, []string{"a:c"}, synced[1:])
	synced = nil
	require.ErrorIs(t, CreateBytes(t.Context(), l, "a/b/c/l", []byte("x")), ErrExists)
	require.Equal(t, []string{"a:c"}, synced[1:], "the winner may have died before its sync")
}

func TestLocalLeavesNoTemporaries(t *testing.T) {
	root := t.TempDir()
	l, err := OpenLocal(root)
	require.NoError(t, err)
	require.NoError(t, CreateBytes(t.Context(), l, "k", []byte("x")))
	require.ErrorIs(t, CreateBytes(t.Context(), l, "k", []byte("x")), ErrExists)
	require.NoError(t, l.Replace(t.Context(), "k", []byte("y")))
	es, err := os.ReadDir(filepath.Join(root, tmp))
	require.NoError(t, err)
	require.Empty(t, es)
}
