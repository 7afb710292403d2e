// Package storetest is what every store.Store must pass.
//
// It owns the contract's tests and no store. It refuses a store that lets two writers win one key,
// shows a part of an object, or lists out of order:
//
//	func TestConformance(t *testing.T) {
//		storetest.Conformance(t, func(t *testing.T) store.Store { return store.NewMemory() })
//	}
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flis-dk/flis/sinks/store"
)

// Check is one demand on an empty store.
type Check struct {
	Name string
	Run  func(ctx context.Context, st store.Store) error
}

// Conformance runs every check, each on an empty store of its own.
func Conformance(t *testing.T, empty func(t *testing.T) store.Store) {
	t.Helper()
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), empty(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Checks is every demand, so that a test can show that a faulty store is caught.
func Checks() []Check {
	return []Check{
		{"race", race},
		{"no part is visible", noPart},
		{"write fails", writeFails},
		{"cancelled", cancelled},
		{"exists", exists},
		{"not found", notFound},
		{"bad keys", badKeys},
		{"list", list},
		{"replace", replace},
		{"delete", remove},
		{"big", big},
		{"concurrent readers", readers},
	}
}

const (
	writers  = 20
	raceKeys = 100
)

// race lets every writer try every key at once: one wins each, and the object is the winner's.
func race(ctx context.Context, st store.Store) error {
	var mu sync.Mutex
	won := map[string][]byte{}
	var all []error
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for k := range raceKeys {
				key, b := fmt.Sprintf("a/b-%d/%020d.json", k%3, k), fmt.Appendf(nil, "writer %d key %d", w, k)
				err := store.CreateBytes(ctx, st, key, b)
				mu.Lock()
				switch {
				case err == nil && won[key] != nil:
					all = append(all, fmt.Errorf("%s: two winners", key))
				case err == nil:
					won[key] = b
				case !errors.Is(err, store.ErrExists):
					all = append(all, fmt.Errorf("loser of %s: %w, want ErrExists", key, err))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(won) != raceKeys {
		all = append(all, fmt.Errorf("%d keys won, want %d", len(won), raceKeys))
	}
	for key, b := range won {
		all = append(all, holds(ctx, st, key, b))
	}
	return errors.Join(all...)
}

// noPart looks at the key while the object is being written.
func noPart(ctx context.Context, st store.Store) error {
	part := bytes.Repeat([]byte("x"), 1<<20)
	var seen error
	err := st.Create(ctx, "d/part", func(w io.Writer) error {
		for range 3 {
			if _, err := w.Write(part); err != nil {
				return err
			}
			seen = errors.Join(seen, absent(ctx, st, "d/part"))
		}
		return nil
	})
	return errors.Join(err, seen, holds(ctx, st, "d/part", bytes.Repeat(part, 3)))
}

func writeFails(ctx context.Context, st store.Store) error {
	boom := errors.New("boom")
	err := st.Create(ctx, "d/fails", func(w io.Writer) error {
		_, err := w.Write([]byte("half"))
		return errors.Join(err, boom)
	})
	if !errors.Is(err, boom) {
		return fmt.Errorf("create: %w, want the error of write", err)
	}
	return errors.Join(
		absent(ctx, st, "d/fails"),
		listed(ctx, st, "", ""),
		store.CreateBytes(
			ctx,
			st,
			"d/fails",
			[]byte("whole"),
		),
		holds(ctx, st, "d/fails", []byte("whole")),
	)
}

func cancelled(ctx context.Context, st store.Store) error {
	dead, cancel := context.WithCancel(ctx)
	cancel()
	if err := store.CreateBytes(dead, st, "d/c", []byte("x")); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("create after cancel: %v, want context.Canceled", err)
	}
	if _, err := st.Open(dead, "d/c"); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("open after cancel: %v, want context.Canceled", err)
	}
	during, cancel := context.WithCancel(ctx)
	err := st.Create(during, "d/c", func(w io.Writer) error {
		cancel()
		_, err := w.Write([]byte("x"))
		return err
	})
	if !errors.Is(err, context.Canceled) {
		return fmt.Errorf("create cancelled in write: %v, want context.Canceled", err)
	}
	return absent(ctx, st, "d/c")
}

func exists(ctx context.Context, st store.Store) error {
	if err := store.CreateBytes(ctx, st, "d/e", []byte("first")); err != nil {
		return err
	}
	if err := store.CreateBytes(ctx, st, "d/e", nil); !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("second create: %v, want ErrExists", err)
	}
	return errors.Join(holds(ctx, st, "d/e", []byte("first")),
		store.CreateBytes(ctx, st, "d/empty", nil), holds(ctx, st, "d/empty", nil))
}

func notFound(ctx context.Context, st store.Store) error {
	if err := store.CreateBytes(ctx, st, "d/f/g", []byte("x")); err != nil {
		return err
	}
	return errors.Join(absent(ctx, st, "nothing"), absent(ctx, st, "d/f"), absent(ctx, st, "d"),
		absent(ctx, st, "d/f/g/h"), listed(ctx, st, "nothing/", ""))
}

func badKeys(ctx context.Context, st store.Store) error {
	for _, k := range []string{"", "/a", "a/", "a//b", "..", "../a", "a/../../b", "./a", "a b", "Børn",
		"a%2Fb", "a\\b",
		"a\x00", "_tmp/x", "_tmp", strings.Repeat("a", 1000)} {
		_, err := st.Open(ctx, k)
		others := []error{store.CreateBytes(ctx, st, k, nil), st.Replace(ctx, k, nil), st.Delete(ctx, k)}
		for _, err := range append(others, err) {
			if !errors.Is(err, store.ErrKey) {
				return fmt.Errorf("key %q: %v, want ErrKey", k, err)
			}
		}
	}
	return listed(ctx, st, "", "")
}

// list makes keys whose order differs between names and whole paths: "-" and "." sort before "/".
func list(ctx context.Context, st store.Store) error {
	keys := []string{"a-b", "a.b", "a/0", "a/b/c", "a0", "b/_delta_log/00000000000000000000.json",
		"b/_delta_log/00000000000000000001.checkpoint.parquet", "b/_delta_log/00000000000000000001.json",
		"b/_delta_log/_last_checkpoint", "b/kommune=0101/x"}
	for _, i := range []int{3, 9, 1, 5, 0, 8, 2, 7, 4, 6} {
		if err := store.CreateBytes(ctx, st, keys[i], []byte(keys[i])); err != nil {
			return err
		}
	}
	var all []error
	for _, after := range append([]string{"", "a", "a/", "a/0", "a/1", "a/b", "z"}, keys...) {
		for _, prefix := range []string{"", "a", "a/", "a/b", "b/", "b/_delta_log/0", keys[6],
			"b/_delta_log/00000000000000000001.", "c"} {
			var want []string
			for _, k := range keys {
				if strings.HasPrefix(k, prefix) && k > after {
					want = append(want, k)
				}
			}
			all = append(all, listed(ctx, st, prefix, after, want...))
		}
	}
	for range st.List(ctx, "", "") {
		break // a consumer may stop
	}
	return errors.Join(all...)
}

func replace(ctx context.Context, st store.Store) error {
	return errors.Join(
		st.Replace(ctx, "d/r", []byte("one")),
		holds(ctx, st, "d/r", []byte("one")),
		st.Replace(
			ctx,
			"d/r",
			[]byte("2"),
		),
		holds(ctx, st, "d/r", []byte("2")),
		listed(ctx, st, "", "", "d/r"),
	)
}

func remove(ctx context.Context, st store.Store) error {
	return errors.Join(
		st.Delete(ctx, "d/d"),
		st.Delete(ctx, "never/there"),
		store.CreateBytes(ctx, st, "d/d", []byte("x")),
		st.Delete(ctx, "d/d"),
		absent(ctx, st, "d/d"),
		listed(
			ctx,
			st,
			"",
			"",
		),
		store.CreateBytes(ctx, st, "d/d", []byte("y")),
		holds(ctx, st, "d/d", []byte("y")),
	)
}

func big(ctx context.Context, st store.Store) error {
	b := make([]byte, 20<<20+17)
	for i := range b {
		b[i] = byte(i>>16 ^ i*7)
	}
	return errors.Join(store.CreateBytes(ctx, st, "d/big", b), holds(ctx, st, "d/big", b))
}

func readers(ctx context.Context, st store.Store) error {
	b := bytes.Repeat([]byte("0123456789"), 1000)
	if err := store.CreateBytes(ctx, st, "d/r", b); err != nil {
		return err
	}
	o, err := st.Open(ctx, "d/r")
	if err != nil {
		return err
	}
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for off := i; off+10 <= len(b); off += 97 {
				part := make([]byte, 10)
				n, err := o.ReadAt(part, int64(off))
				if n != 10 || err != nil && err != io.EOF || !bytes.Equal(part, b[off:off+10]) {
					errs[i] = fmt.Errorf("read at %d: %d bytes, %v", off, n, err)
				}
			}
		})
	}
	wg.Wait()
	if n, err := o.ReadAt(make([]byte, 20), int64(len(b))-10); n != 10 || err != io.EOF {
		errs = append(errs, fmt.Errorf("read over the end: %d, %v, want 10, EOF", n, err))
	}
	return errors.Join(append(errs, o.Close())...)
}

func holds(ctx context.Context, st store.Store, key string, want []byte) error {
	got, err := store.ReadAll(ctx, st, key)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s: %d bytes, want the %d bytes written", key, len(got), len(want))
	}
	return err
}

func absent(ctx context.Context, st store.Store, key string) error {
	o, err := st.Open(ctx, key)
	if err == nil {
		return errors.Join(
			fmt.Errorf("open %s: an object of %d bytes, want ErrNotFound", key, o.Size()),
			o.Close(),
		)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("open %s: %w, want ErrNotFound", key, err)
	}
	return nil
}

func listed(ctx context.Context, st store.Store, prefix, after string, want ...string) error {
	var got []string
	for i, err := range st.List(ctx, prefix, after) {
		if err != nil {
			return fmt.Errorf("list %q after %q: %w", prefix, after, err)
		}
		if i.Modified.IsZero() {
			return fmt.Errorf("list %q: %s has no time", prefix, i.Key)
		}
		got = append(got, i.Key)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("list %q after %q: %v, want %v", prefix, after, got, want)
	}
	return nil
}
