package store_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/sinks/store/storetest"
)

func openLocal(t *testing.T) store.Store {
	t.Helper()
	l, err := store.OpenLocal(t.TempDir())
	require.NoError(t, err)
	return l
}

func TestConformance(t *testing.T) {
	t.Run("local", func(t *testing.T) { storetest.Conformance(t, openLocal) })
	t.Run("memory", func(t *testing.T) {
		storetest.Conformance(t, func(*testing.T) store.Store { return store.NewMemory() })
	})
	t.Run("sub", func(t *testing.T) {
		storetest.Conformance(t, func(t *testing.T) store.Store {
			whole := store.NewMemory()
			for _, k := range []string{"a/z", "a/b", "a/bd", "a/b1/c"} { // beside it, not in it
				require.NoError(t, store.CreateBytes(t.Context(), whole, k, []byte(k)))
			}
			return store.Sub(whole, "a/b/c")
		})
	})
}

// faulty is a Local with one method replaced: the suite must catch each.
type faulty struct {
	*store.Local
	root   string
	create func(f *faulty, key string, write func(io.Writer) error) error
}

func (f *faulty) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	if err := errors.Join(ctx.Err(), store.CheckKey(key)); err != nil {
		return err
	}
	return f.create(f, key, write)
}

// renames checks that the name is free and then renames over it: what gocloud.dev's fileblob does.
func renames(f *faulty, key string, write func(io.Writer) error) error {
	name := filepath.Join(f.root, key)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Join(f.root, "_tmp"), "*")
	if err != nil {
		return err
	}
	if err := errors.Join(write(tmp), tmp.Close()); err != nil {
		return err
	}
	if _, err := os.Stat(name); err == nil {
		return store.ErrExists
	}
	time.Sleep(time.Microsecond)
	return os.Rename(tmp.Name(), name)
}

// inPlace claims the name at once and writes under it.
func inPlace(f *faulty, key string, write func(io.Writer) error) error {
	name := filepath.Join(f.root, key)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	o, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if errors.Is(err, os.ErrExist) {
		return store.ErrExists
	}
	if err != nil {
		return err
	}
	return errors.Join(write(o), o.Close())
}

func TestConformanceCatches(t *testing.T) {
	for _, m := range []struct {
		name   string
		create func(*faulty, string, func(io.Writer) error) error
		by     string
	}{
		{"rename that overwrites", renames, "race"},
		{"write in place", inPlace, "no part is visible"},
		{"write in place, failing", inPlace, "write fails"},
	} {
		t.Run(m.name, func(t *testing.T) {
			for _, c := range storetest.Checks() {
				if c.Name != m.by {
					continue
				}
				root := t.TempDir()
				l, err := store.OpenLocal(root)
				require.NoError(t, err)
				require.Error(t, c.Run(t.Context(), &faulty{Local: l, root: root, create: m.create}))
				return
			}
			t.Fatal("no such check")
		})
	}
}

func TestLocalSharesFolder(t *testing.T) {
	root := t.TempDir()
	a, err := store.OpenLocal(root)
	require.NoError(t, err)
	b, err := store.OpenLocal(root)
	require.NoError(t, err)
	require.NoError(t, store.CreateBytes(t.Context(), a, "x/y", []byte("a")))
	require.ErrorIs(t, store.CreateBytes(t.Context(), b, "x/y", []byte("b")), store.ErrExists)
}

func TestLocalSweep(t *testing.T) {
	root := t.TempDir()
	l, err := store.OpenLocal(root)
	require.NoError(t, err)
	stale := filepath.Join(root, "_tmp", "stale")
	require.NoError(t, os.WriteFile(stale, []byte("x"), 0o600))
	now := time.Now()
	require.NoError(t, l.Sweep(now.Add(-time.Hour)))
	require.FileExists(t, stale)
	require.NoError(t, l.Sweep(now.Add(time.Hour)))
	require.NoFileExists(t, stale)
}

func TestReadLimit(t *testing.T) {
	m := store.NewMemory()
	require.NoError(t, store.CreateBytes(t.Context(), m, "k", []byte("12345")))
	b, err := store.ReadLimit(t.Context(), m, "k", 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(b))
	_, err = store.ReadLimit(t.Context(), m, "k", 4)
	require.ErrorContains(t, err, "limit 4")
}

func TestMemoryFaults(t *testing.T) {
	for _, c := range []struct {
		fault  store.Fault
		err    error
		effect bool
		dead   bool
	}{
		{store.Proceed, nil, true, false},
		{store.Refuse, store.ErrInjected, false, false},
		{store.LoseRequest, store.ErrUnknown, false, false},
		{store.LoseAnswer, store.ErrUnknown, true, false},
		{store.CrashBefore, store.ErrCrashed, false, true},
		{store.CrashAfter, store.ErrCrashed, true, true},
	} {
		m := store.NewMemory()
		h := m.With(func(op store.Op, key string) store.Fault {
			if op == store.OpCreate && key == "k" {
				return c.fault
			}
			return store.Proceed
		})
		require.ErrorIs(t, store.CreateBytes(t.Context(), h, "k", []byte("x")), c.err)
		_, err := m.Open(t.Context(), "k")
		require.Equal(t, c.effect, err == nil, "fault %d", c.fault)
		_, err = h.Open(t.Context(), "k")
		require.Equal(t, c.dead, errors.Is(err, store.ErrCrashed), "fault %d", c.fault)
	}
}

func TestMemoryClone(t *testing.T) {
	m := store.NewMemory()
	require.NoError(t, store.CreateBytes(t.Context(), m, "k", []byte("x")))
	c := m.Clone()
	require.NoError(t, c.Delete(t.Context(), "k"))
	_, err := m.Open(t.Context(), "k")
	require.NoError(t, err, "the clone has objects of its own")
	require.NoError(t, store.CreateBytes(t.Context(), m.With(nil), "shared", nil))
	_, err = m.Open(t.Context(), "shared")
	require.NoError(t, err, "handles share objects")
}
