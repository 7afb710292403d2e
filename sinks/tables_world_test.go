package sinks

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// tableWorld closes units with the engine alone: rows go in, tables come out.
type tableWorld struct {
	t      require.TestingT
	ctx    context.Context
	mem    *store.Memory
	engine *Tables
	heads  map[schemas.Unit]*Certificate
	last   *FoldResult
	// planted mistakes
	feed   func(*schemas.Row) bool // false: the row is lost
	mend   func(*FoldInput)
	bend   func(*FoldResult)
	renews bool
}

func builtinDatasets(t require.TestingT) map[schemas.DatasetName]*schemas.Dataset {
	all, err := schemas.LoadDatasets(schemas.Builtin, "domain")
	require.NoError(t, err)
	m := map[schemas.DatasetName]*schemas.Dataset{}
	for _, d := range all {
		m[d.Name] = d
	}
	return m
}

func newTableWorld(t require.TestingT, dir string) *tableWorld {
	w := &tableWorld{
		t:     t,
		ctx:   context.Background(),
		mem:   store.NewMemory(),
		heads: map[schemas.Unit]*Certificate{},
	}
	w.engine = newTestTables(t, w.mem, dir)
	return w
}

// always is an agreement of 0101 over all valid time.
func always(area schemas.Area, system schemas.System) []schemas.Agreement {
	return []schemas.Agreement{{Kommune: "0101", Area: area, System: system,
		From: schemas.Always, To: schemas.Open, Since: schemas.Always}}
}

// newTestTables makes files of a few rows and batches that spill.
func newTestTables(t require.TestingT, st store.Store, dir string) *Tables {
	e, err := NewTables(
		TablesConfig{
			State:     st,
			Delivered: st,
			Datasets:  builtinDatasets(t),
			Dir:       dir,
			Budget:    2000,
		},
	)
	require.NoError(t, err)
	e.stateBytes, e.tableBytes = 1500, 1200
	return e
}

func (w *tableWorld) input(
	u schemas.Unit,
	day schemas.Day,
	ags []schemas.Agreement,
	batch Batch,
) *FoldInput {
	in := &FoldInput{
		Unit:       u,
		Number:     1,
		Leverance:  day,
		Agreements: ags,
		Before:     w.heads[u],
		Batch:      batch,
	}
	if u.Kommune != schemas.National {
		in.National = w.heads[nationalOf(u.Area)]
	}
	if in.Before != nil {
		in.Number = in.Before.Number + 1
	}
	return in
}

func (w *tableWorld) batch(rows []schemas.Row) Batch {
	b, err := w.engine.NewBatch(w.ctx)
	require.NoError(w.t, err)
	for i := range rows {
		r := rows[i]
		if w.feed != nil && !w.feed(&r) {
			continue
		}
		require.NoError(w.t, b.Add(schemas.Unit{Kommune: r.Kommune, Area: r.Dataset.Area()}, &r))
	}
	require.NoError(w.t, b.Sort(w.ctx))
	return b
}

// close closes the national unit of the area and then the units.
func (w *tableWorld) close(
	day schemas.Day,
	ags []schemas.Agreement,
	rows []schemas.Row,
	units ...schemas.Unit,
) {
	b := w.batch(rows)
	w.closeUnit(w.input(nationalOf(units[0].Area), day, nil, b))
	for _, u := range units {
		w.closeUnit(w.input(u, day, ags, b))
	}
	require.NoError(w.t, b.Close())
}

func (w *tableWorld) closeUnit(in *FoldInput) {
	if w.mend != nil {
		w.mend(in)
	}
	r, err := w.engine.Fold(w.ctx, in)
	require.NoError(w.t, err)
	w.last = r
	if w.bend != nil {
		w.bend(r)
	}
	w.commit(in, r)
}

func (w *tableWorld) commit(in *FoldInput, r *FoldResult) {
	c := &Certificate{
		Number:     in.Number,
		Agreements: agreementRefs(in.Agreements),
		Tables:     map[string]*DatasetRef{},
		State:      r.State,
	}
	if in.Before != nil {
		maps.Copy(c.Tables, in.Before.Tables)
		if c.State == nil {
			c.State = in.Before.State
		}
	}
	for _, t := range r.Tables {
		ref := &DatasetRef{}
		if old := c.Tables[string(t.Dataset)]; old != nil {
			*ref = *old
		}
		at := &ref.Current
		if t.History {
			at = &ref.History
		}
		version := int64(0)
		if *at != nil {
			version = (*at).Version + 1
		}
		log := delta.Open(w.mem, schemas.TablePrefix(in.Unit.Kommune, t.Dataset, t.History))
		commit := *t.Commit
		commit.Txns = map[string]int64{in.Unit.String(): in.Number}
		require.NoError(w.t, log.Create(w.ctx, version, &commit))
		var err error
		*at, err = tableRef(w.ctx, log, version, in.Unit, in.Number)
		require.NoError(w.t, err)
		c.Tables[string(t.Dataset)] = ref
	}
	w.heads[in.Unit] = c
}

// delivered is one row of a table as text, with when we knew it.
type delivered struct {
	text        string
	known, gone schemas.Day
}

// table reads a table as any Delta reader would: the log's files.
func (w *tableWorld) table(u schemas.Unit, name schemas.DatasetName, history bool) []delivered {
	prefix := schemas.TablePrefix(u.Kommune, name, history)
	s, err := delta.Open(w.mem, prefix).Snapshot(w.ctx, -1)
	if err != nil {
		require.ErrorIs(w.t, err, store.ErrNotFound)
		return nil
	}
	shape := newTableShape(w.engine.Datasets[name], u.Kommune)
	var out []delivered
	for _, path := range slices.Sorted(maps.Keys(s.Files)) {
		a := s.Files[path]
		f := files{st: w.mem, folder: prefix}
		ref := &FileRef{Path: path, SHA256: a.Tags["sha256"], Bytes: a.Size}
		for b, err := range f.scan(w.ctx, ref, shape.fields) {
			require.NoError(w.t, err)
			for i := range b.Len() {
				d := shape.deliveredAt(b, i, filePeriod(path))
				if w.renews && !history {
					d.known = schemas.Instant(a.Modified * 1000).Day()
				}
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(out, func(a, b delivered) int { return strings.Compare(a.text, b.text) })
	return out
}

// filePeriod is the period in a file's name, "" where there is none.
func filePeriod(path string) string { return path[:max(0, strings.LastIndexByte(path, '-'))] }

func (s *tableShape) deliveredAt(b *parquet.Batch, i int, period string) delivered {
	d := delivered{known: schemas.Day(b.Vectors[s.known].Int(i)), gone: schemas.Open}
	if !b.Vectors[s.gone].Null(i) {
		d.gone = schemas.Day(b.Vectors[s.gone].Int(i))
	}
	var t []string
	for c, f := range s.fields {
		v := b.Vectors[c]
		switch {
		case c == s.known || c == s.gone || v.Null(i):
		case f.Kind == parquet.String:
			t = append(t, f.Name+"="+string(v.Bytes(i)))
		default:
			t = append(t, fmt.Sprintf("%s=%d", f.Name, v.Int(i)))
		}
	}
	d.text = strings.Join(append(t, period), " ")
	return d
}

func texts(rows []delivered) []string {
	out := make([]string, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.text)
	}
	return out
}

// payload encodes the columns given by name; others are null, or zero.
func payload(t require.TestingT, d *schemas.Dataset, values map[string]any) []byte {
	var b []byte
	for _, c := range d.Columns {
		v, ok := values[c.Name]
		if c.Nullable {
			if !ok {
				b = append(b, 0)
				continue
			}
			b = append(b, 2)
		}
		switch c.Type {
		case schemas.String:
			s, _ := v.(string)
			b = append(binary.AppendVarint(b, int64(len(s))), s...)
		case schemas.Boolean:
			b = append(b, 0)
		case schemas.Decimal:
			n, _ := v.(int)
			b = append(binary.AppendVarint(b, 2), byte(n>>8), byte(n))
		default:
			n, _ := v.(int)
			b = binary.AppendVarint(b, int64(n))
		}
	}
	return b
}

func TestTablesOfOneDay(t *testing.T) {
	w := newTableWorld(t, t.TempDir())
	u := schemas.Unit{Kommune: "0101", Area: "aeldre"}
	ags := always("aeldre", "cura")
	d := w.engine.Datasets["aeldre.visiteret_tid"]
	visits := w.engine.Datasets["aeldre.besoeg"]
	day := schemas.CivilDay(2026, 3, 1)
	grant := schemas.Row{Kommune: "0101", System: "cura", Dataset: d.Name, Key: "cura:1",
		Op: schemas.OpUpsert, From: day, To: schemas.Open, Stated: 1, EventID: "a", Leverance: day,
		Payload: payload(t, d, map[string]any{"visitation_id": "cura:1", "minutter_pr_uge": -300})}
	visit := grant
	visit.Dataset, visit.Key, visit.EventID = visits.Name, "cura:9", "b"
	visit.Payload = payload(t, visits, map[string]any{"besoeg_id": "cura:9", "dato": int(day)})
	rows := []schemas.Row{grant, visit}
	w.close(day, ags, rows, u)
	require.Equal(
		t,
		[]string{
			"kommunekode=0101 visitation_id=cura:1 cpr= paragraf= ydelsesgruppe= " +
				"minutter_pr_uge=-300 leverandoertype= startdato=0 gyldig_fra=20513 " +
				"kilde_registreret=0 kilde_system=cura leverance=20513 haendelse_id=a ",
		},
		texts(w.table(u, d.Name, false)),
	)
	got := w.table(u, visits.Name, false)
	require.Len(t, got, 1)
	require.Contains(t, got[0].text, "2026-03")

	rows[0].Stated, rows[0].EventID, rows[0].Op = 2, "c", schemas.OpDelete
	w.close(day+1, ags, rows[:1], u)
	require.Empty(t, w.table(u, d.Name, false))
	past := w.table(u, d.Name, true)
	require.Len(t, past, 1)
	require.Equal(t, []schemas.Day{day, day + 1}, []schemas.Day{past[0].known, past[0].gone})
	require.Len(t, w.last.Tables, 2, "the untouched table gets no commit")
	w.close(day+2, ags, rows[:1], u)
	require.Empty(t, w.last.Tables, "what was said before changes nothing")
	require.Nil(t, w.last.State)
}
