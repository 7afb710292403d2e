package sinks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// second is a world with one close behind it, and the rows of the next.
func second(t *testing.T) (w *tableWorld, in func(w *tableWorld) *FoldInput) {
	w = newTableWorld(t, t.TempDir())
	u := schemas.Unit{Kommune: "0101", Area: "borger"}
	ags := always("borger", "cpr")
	rows := func(day int64) (rows []schemas.Row) {
		for n := range 6 {
			cpr := fmt.Sprintf("61017000%02d", n)
			r := schemas.Row{
				Kommune: "0101",
				System:  "cpr",
				Dataset: "borger.person",
				Key:     cpr,
				Scope:   cpr,
				Op:      schemas.OpUpsert,
				From:    5,
				To:      schemas.Open,
				Stated:  schemas.Instant(day),
				EventID: fmt.Sprint(day, "|", n),
				Stream:  "a",
				Offset:  day*100 + int64(n),
				Ordinal: 2,
			}
			r.Payload = payload(
				t,
				w.engine.Datasets["borger.person"],
				map[string]any{"cpr": cpr, "status": fmt.Sprint(day * int64(n%2))},
			)
			s := r
			s.Kommune, s.Key, s.Payload = schemas.National, "", nil
			s.Op, s.From, s.Ordinal = schemas.OpSnapshot, schemas.Always, 1
			rows = append(rows, s, r)
		}
		return rows
	}
	w.close(firstDay, ags, rows(1), u)
	b := w.batch(rows(2))
	w.closeUnit(w.input(nationalOf("borger"), firstDay+1, nil, b))
	require.NoError(t, b.Close())
	return w, func(other *tableWorld) *FoldInput {
		b := other.batch(rows(2))
		in := w.input(u, firstDay+1, ags, b)
		return in
	}
}

func spelled(t *testing.T, r *FoldResult) string {
	b, err := delta.Canonical(
		map[string]any{
			"state":      r.State,
			"tables":     r.Tables,
			"clipped":    r.Clipped,
			"incomplete": r.Incomplete,
		},
	)
	require.NoError(t, err)
	return string(b)
}

func TestFoldIsAFunctionOfItsInput(t *testing.T) {
	w, in := second(t)
	one, err := w.engine.Fold(w.ctx, in(w))
	require.NoError(t, err)
	require.Len(t, one.Tables, 2)
	other := &tableWorld{t: t, ctx: w.ctx, engine: newTestTables(t, w.mem, t.TempDir())}
	other.engine.Budget = 1 << 20
	two, err := other.engine.Fold(w.ctx, in(other))
	require.NoError(t, err)
	require.Equal(t, spelled(t, one), spelled(t, two))
}

// A closer that fails at any operation leaves nothing that hinders the next one, and a lost
// answer changes nothing.
func TestFoldSurvivesEachFault(t *testing.T) {
	w, in := second(t)
	clean := &tableWorld{t: t, ctx: w.ctx, engine: newTestTables(t, w.mem.Clone(), t.TempDir())}
	right, err := clean.engine.Fold(w.ctx, in(clean))
	require.NoError(t, err)
	faults := []store.Fault{store.Refuse, store.LoseRequest, store.LoseAnswer, store.CrashAfter}
	for _, fault := range faults {
		for at, done := 1, false; !done; at++ {
			n := 0
			mem := w.mem.Clone()
			failing := mem.With(func(store.Op, string) store.Fault {
				if n++; n == at {
					return fault
				}
				return store.Proceed
			})
			sick := &tableWorld{t: t, ctx: w.ctx, engine: newTestTables(t, failing, t.TempDir())}
			got, err := sick.engine.Fold(w.ctx, in(sick))
			if done = n < at; err == nil {
				require.Equal(t, spelled(t, right), spelled(t, got), "fault %d at %d", fault, at)
			} else if fault != store.CrashAfter && at%4 > 0 {
				continue // nothing but files of other names can be left
			}
			well := &tableWorld{
				t:      t,
				ctx:    w.ctx,
				engine: newTestTables(t, mem.With(nil), t.TempDir()),
			}
			got, err = well.engine.Fold(w.ctx, in(well))
			require.NoError(t, err, "after fault %d at %d", fault, at)
			require.Equal(t, spelled(t, right), spelled(t, got))
		}
	}
}

func TestFoldRefusesADamagedFile(t *testing.T) {
	w, in := second(t)
	damaged := 0
	for info, err := range w.mem.List(w.ctx, "", "") {
		require.NoError(t, err)
		if strings.Contains(info.Key, "_delta_log") || strings.Contains(info.Key, "0000/") {
			continue
		}
		bad := w.mem.Clone()
		b, err := store.ReadAll(w.ctx, bad, info.Key)
		require.NoError(t, err)
		b = slices.Clone(b)
		b[len(b)/2] ^= 1
		require.NoError(t, bad.Replace(w.ctx, info.Key, b))
		r, err := newTestTables(t, bad, t.TempDir()).Fold(w.ctx, in(w))
		if live(w, info.Key) {
			require.Error(t, err, info.Key)
			require.Nil(t, r)
			damaged++
		}
	}
	require.Greater(t, damaged, 5)
}

// live says whether the close state of the unit, or its index, names the file.
func live(w *tableWorld, key string) bool {
	c := w.heads[schemas.Unit{Kommune: "0101", Area: "borger"}]
	s, err := readState(w.ctx, w.mem, schemas.Unit{Kommune: "0101", Area: "borger"}, c)
	require.NoError(w.t, err)
	d := s.Datasets["borger.person"]
	return key == c.State.Path ||
		slices.ContainsFunc(slices.Concat(d.Scopes, d.Keys, d.Table), func(f rangeFile) bool {
			return strings.HasSuffix(key, "/"+f.Path)
		})
}

func TestFoldRefusesOtherTableFiles(t *testing.T) {
	w, in := second(t)
	x := in(w)
	c := *x.Before
	ref := *c.Tables["borger.person"]
	current := *ref.Current
	current.Digest = "0"
	ref.Current = &current
	c.Tables = map[string]*DatasetRef{"borger.person": &ref}
	x.Before = &c
	_, err := w.engine.Fold(w.ctx, x)
	require.ErrorIs(t, err, errFile)
}

func TestFoldRefusesBadRows(t *testing.T) {
	good := func(w *tableWorld) schemas.Row {
		return schemas.Row{
			Kommune: "0101",
			System:  "cpr",
			Dataset: "borger.person",
			Key:     "6101700001",
			Op:      schemas.OpUpsert,
			From:    5,
			To:      schemas.Open,
			Stream:  "a",
			Offset:  7,
			Ordinal: 1,
			Payload: payload(
				t,
				w.engine.Datasets["borger.person"],
				map[string]any{"cpr": "6101700001"},
			),
		}
	}
	bad := map[string]func(*schemas.Row){
		"a payload that ends early":   func(r *schemas.Row) { r.Payload = r.Payload[:8] },
		"bytes left over":             func(r *schemas.Row) { r.Payload = append(r.Payload, 0) },
		"a union without such branch": func(r *schemas.Row) { r.Payload[len(r.Payload)-1] = 6 },
		"a length beyond the end":     func(r *schemas.Row) { r.Payload[0] = 0x7e },
		"another key":                 func(r *schemas.Row) { r.Key = "6101700002" },
	}
	u := schemas.Unit{Kommune: "0101", Area: "borger"}
	ags := always("borger", "cpr")
	for name, spoil := range bad {
		t.Run(name, func(t *testing.T) {
			w := newTableWorld(t, t.TempDir())
			r := good(w)
			spoil(&r)
			_, err := w.engine.Fold(w.ctx, w.input(u, firstDay, ags, w.batch([]schemas.Row{r})))
			require.ErrorContains(t, err, "a/7/1")
			require.NotContains(t, err.Error(), "610170000", "no personal data in errors")
			r = good(w)
			_, err = w.engine.Fold(w.ctx, w.input(u, firstDay, ags, w.batch([]schemas.Row{r})))
			require.NoError(t, err)
		})
	}
	w := newTableWorld(t, t.TempDir())
	b, err := w.engine.NewBatch(w.ctx)
	require.NoError(t, err)
	require.Error(t, b.Add(u, &schemas.Row{Dataset: "borger.intet", Op: schemas.OpUpsert}))
	require.False(t, errors.Is(err, errFile))
}

func TestAPayloadFromBeforeAColumnIsRead(t *testing.T) {
	w := newTableWorld(t, t.TempDir())
	d := w.engine.Datasets["borger.person"]
	u := schemas.Unit{Kommune: "0101", Area: "borger"}
	whole := payload(t, d, map[string]any{"cpr": "6101700001"})
	r := schemas.Row{Kommune: "0101", System: "cpr", Dataset: d.Name, Key: "6101700001",
		Op: schemas.OpUpsert, From: 5, To: schemas.Open, Payload: whole[:len(whole)-1]}
	require.True(t, d.Columns[len(d.Columns)-1].Nullable)
	w.close(firstDay, always("borger", "cpr"), []schemas.Row{r}, u)
	require.Len(t, w.table(u, d.Name, false), 1)
}

// Statistics and names tell nothing of a person (invariant 10).
func TestNoPersonInLogOrNames(t *testing.T) {
	w, in := second(t)
	r, err := w.engine.Fold(w.ctx, in(w))
	require.NoError(t, err)
	require.NotContains(t, spelled(t, r), "610170")
	for info, err := range w.mem.List(w.ctx, "", "") {
		require.NoError(t, err)
		require.NotContains(t, info.Key, "610170")
	}
	for _, d := range w.engine.Datasets {
		s := newTableShape(d, "0101")
		for i, c := range d.Columns {
			require.False(t, c.Personal && s.fields[1+i].Stats, "%s.%s", d.Name, c.Name)
			require.False(t, c.Personal && s.fields[1+i].Dictionary, "%s.%s", d.Name, c.Name)
		}
	}
}
