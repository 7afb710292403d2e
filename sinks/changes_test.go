package sinks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// timelines is a certificate's current rows by key, each as text, in the order of reading.
func timelines(t *testing.T, st store.Store, ds *schemas.Dataset, u schemas.Unit,
	n int64) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	if n == 0 {
		return all
	}
	shape := newTableShape(ds, u.Kommune)
	columns := DeliveredColumns(ds)
	o := ReadOptions{Certificate: n, Table: OnlyCurrent}
	require.NoError(t, ReadRows(t.Context(), st, ds, u, o, func(cells []Cell) error {
		var key []string
		for _, k := range shape.keys {
			require.Equal(t, schemas.String, columns[k].Type)
			key = append(key, cells[k].Text)
		}
		k := strings.Join(key, schemas.KeySeparator)
		all[k] = append(all[k], fmt.Sprint(cells))
		return nil
	}))
	return all
}

func cellTexts(rows [][]Cell) (all []string) {
	for _, r := range rows {
		all = append(all, fmt.Sprint(r))
	}
	return all
}

// TestReadChanges: what changed between any two certificates, put over the rows of the first, is
// the rows of the second, and nothing is told that did not change.
func TestReadChanges(t *testing.T) {
	r := newRealClose(t, 11)
	r.play(8)
	seen := 0
	for _, x := range readUnits {
		ds := r.sets[x.set]
		head, err := Head(t.Context(), r.mem, x.unit)
		require.NoError(t, err)
		require.Greater(t, head.Number, int64(2))
		for from := range head.Number {
			for to := from; to <= head.Number; to++ {
				seen += compareChanges(t, r, ds, x.unit, from, to)
			}
		}
	}
	require.NotZero(t, seen)
}

func certificateOrNil(t *testing.T, st store.Store, u schemas.Unit, n int64) *Certificate {
	t.Helper()
	if n == 0 {
		return nil
	}
	c, err := ReadCertificate(t.Context(), st, u, n)
	require.NoError(t, err)
	return c
}

func compareChanges(t *testing.T, r *realClose, ds *schemas.Dataset, u schemas.Unit,
	from, to int64) (seen int) {
	t.Helper()
	got, want := timelines(t, r.mem, ds, u, from), timelines(t, r.mem, ds, u, to)
	last := ""
	err := ReadChanges(t.Context(), r.mem, ds, u, certificateOrNil(t, r.mem, u, from),
		certificateOrNil(t, r.mem, u, to), t.TempDir(), func(c *EntityChange) error {
			seen++
			require.Less(t, last, c.Key, "in order, each once")
			last = c.Key
			require.Equal(t, got[c.Key], cellTexts(c.Before), "%d to %d", from, to)
			require.NotEqual(t, cellTexts(c.Before), cellTexts(c.After))
			delete(got, c.Key)
			if len(c.After) > 0 {
				got[c.Key] = cellTexts(c.After)
			}
			return nil
		})
	require.NoError(t, err)
	require.Equal(t, want, got, "%s certificate %d to %d", u, from, to)
	return seen
}

// TestReadChangesKept: rows of a changed key that lie in a file which did not change belong to its
// timeline, and the filter that finds them lets nothing else through.
func TestReadChangesKept(t *testing.T) {
	r := newRealClose(t, 11)
	r.play(3)
	x := readUnits[1]
	ds := r.sets[x.set]
	head, err := Head(t.Context(), r.mem, x.unit)
	require.NoError(t, err)
	whole := timelines(t, r.mem, ds, x.unit, head.Number)
	key := ""
	for k := range whole {
		key = max(key, k)
	}
	require.NotEmpty(t, key)
	c := &changeRead{tableRead: tableRead{store: r.mem, shape: newTableShape(ds, x.unit.Kommune),
		columns: DeliveredColumns(ds), rows: newSortedRows(t.TempDir(), readBudget)},
		kept: newSortedRows(t.TempDir(), readBudget)}
	live, err := c.live(t.Context(), head.Tables[string(ds.Name)].Current)
	require.NoError(t, err)
	// The change of the key is told by a file of its own; the rest of its rows lie in live.
	c.into, c.filter = c.rows, newKeyFilter()
	c.filter.add(key)
	require.NoError(t, c.scan(t.Context(), live, sideAfter))
	c.fn = func(got *EntityChange) error {
		require.Equal(t, key, got.Key)
		require.Equal(t, whole[key], cellTexts(got.Before), "what was before is what was kept")
		require.Len(t, got.After, 2*len(whole[key]), "and what came is beside it")
		key = ""
		return nil
	}
	c.filter = nil
	require.NoError(t, c.read(t.Context(), nil, nil, live))
	require.Empty(t, key, "the change must be told")
}

func TestReadChangesBad(t *testing.T) {
	r := newRealClose(t, 11)
	r.play(3)
	x := readUnits[1]
	ds := r.sets[x.set]
	head, err := Head(t.Context(), r.mem, x.unit)
	require.NoError(t, err)
	read := func(st store.Store, fn func(*EntityChange) error) error {
		return ReadChanges(t.Context(), st, ds, x.unit, nil, head, t.TempDir(), fn)
	}
	stop := errors.New("stop")
	require.ErrorIs(t, read(r.mem, func(*EntityChange) error { return stop }), stop)

	prefix := schemas.TablePrefix(x.unit.Kommune, ds.Name, false)
	var files []string
	for info, err := range r.mem.List(t.Context(), prefix+"/", "") {
		require.NoError(t, err)
		if strings.HasSuffix(info.Key, ".parquet") {
			files = append(files, info.Key)
		}
	}
	last := files[slices.IndexFunc(files, func(f string) bool {
		return slices.ContainsFunc(head.Tables[string(ds.Name)].Current.New, func(n FileRef) bool {
			return strings.HasSuffix(f, n.Path)
		})
	})]
	require.NoError(t, r.mem.Replace(t.Context(), last, []byte("not what was written")))
	none := func(*EntityChange) error { t.Error("a damaged file is never read as data"); return nil }
	require.ErrorIs(t, read(r.mem, none), ErrDamagedTable)
	require.NoError(t, r.mem.Delete(context.Background(), last))
	require.ErrorIs(t, read(r.mem, none), store.ErrNotFound)
}

func TestKeyFilter(t *testing.T) {
	f := newKeyFilter()
	for i := range 1000 {
		f.add(fmt.Sprint(i))
	}
	wrong := 0
	for i := range 2000 {
		has := f.has(fmt.Sprint(i))
		require.True(t, has || i >= 1000)
		if has && i >= 1000 {
			wrong++
		}
	}
	require.Less(t, wrong, 10)
}
