package sinks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// guardWorld is journals, closers with the real engine, and someone who approves.
type guardWorld struct {
	*closeWorld
	t        testing.TB
	ctx      context.Context
	sets     map[schemas.DatasetName]*schemas.Dataset
	shared   *store.Memory
	all      []schemas.Agreement
	guard    *Guard
	plant    guardMistake
	dir      string
	closer   *Closer
	sequence int64
}

// guardMistake is a planted one; the zero value is none.
type guardMistake struct {
	rules  func(*guardRules)
	tables func(*Tables)
	rows   func(schemas.System, []schemas.Row) []schemas.Row
}

const (
	guardGrants  = schemas.DatasetName("aeldre.visiteret_tid")
	guardPersons = schemas.DatasetName("borger.person")
)

var (
	guardUnit    = schemas.Unit{Kommune: "0101", Area: "aeldre"}
	guardCitizen = schemas.Unit{Kommune: "0101", Area: "borger"}
)

func newGuardWorld(t testing.TB, plant guardMistake) *guardWorld {
	w := &guardWorld{closeWorld: newCloseWorld(1), t: t, ctx: context.Background(),
		sets: builtinDatasets(t), shared: store.NewMemory(), guard: &Guard{Percent: 20, Rows: 3},
		plant: plant, dir: t.TempDir()}
	own := schemas.Agreement{Kommune: "0101", Area: "aeldre", System: simVendor,
		From: schemas.Always, To: schemas.Open, Since: schemas.Always, Proof: schemas.ProofCount,
		Calendar: schemas.Daily, Deadline: 330}
	persons := own
	persons.Area, persons.System, persons.Proof = "borger", simCPR, schemas.ProofFile
	w.all = []schemas.Agreement{own, persons}
	w.closer = w.process(w.shared.With(nil))
	return w
}

// process is a new process of a closer.
func (w *guardWorld) process(st store.Store) *Closer {
	w.sequence++
	engine := newTestTables(w.t, st, w.dir)
	engine.Budget, engine.stateBytes, engine.tableBytes = 16<<20, 1<<20, 1<<20
	if w.plant.tables != nil {
		w.plant.tables(engine)
	}
	agreements, err := schemas.NewAgreements(w.all)
	require.NoError(w.t, err)
	c := NewCloser(Deps{Tables: st, Engine: engine, Agreements: agreements, Datasets: w.sets,
		Writer: fmt.Sprint("w", w.sequence), Workers: 1, Guard: w.guard,
		Journal: func(_ context.Context, s schemas.System) (Events, error) {
			return &worldEvents{w: w.closeWorld, system: s, length: len(w.journals[s]),
				alter: w.plant.rows}, nil
		}})
	if w.plant.rules != nil {
		w.plant.rules(&c.guard)
	}
	return c
}

// journal is what really stands there: no mistake is planted in it.
func (w *guardWorld) journal(_ context.Context, s schemas.System) (Events, error) {
	return &worldEvents{w: w.closeWorld, system: s, length: len(w.journals[s])}, nil
}

// say appends an entry of the vendor: one record for each row.
func (w *guardWorld) say(rows ...schemas.Row) {
	var entry []schemas.Row
	for _, r := range rows {
		w.offset++
		raw := schemas.Row{Offset: w.offset, EventID: fmt.Sprint("v|", w.offset), Event: "e",
			Leverance: w.today(), Kommune: "0101", Op: schemas.OpRaw, Outcome: schemas.Accepted}
		if r.Op == schemas.OpSeal {
			raw.Event = schemas.ControlEvent
		}
		head := raw
		r.Stated = schemas.InstantOf(w.now) + schemas.Instant(w.offset)
		r.Offset, r.EventID, r.Event, r.Leverance = raw.Offset, raw.EventID, raw.Event, raw.Leverance
		r.Ordinal, r.Outcome = 2, schemas.Accepted
		if r.Kommune == "" {
			r.Kommune = "0101"
		}
		entry = append(entry, head)
		if r.Snapshot != "" { // the record is of a list, and says so first
			l := r
			l.Ordinal, l.Op, l.Key, l.Payload = 1, schemas.OpSnapshot, "", nil
			l.From, l.Absent = schemas.Always, schemas.AbsentGone
			entry = append(entry, l)
		}
		entry = append(entry, r)
	}
	w.append(simVendor, entry...)
}

// grants are so many from the first, each with the operation.
func (w *guardWorld) grants(op schemas.Op, first, n int) (rows []schemas.Row) {
	for i := first; i < first+n; i++ {
		id := fmt.Sprintf("v:%03d", i)
		r := schemas.Row{Dataset: guardGrants, Key: id, Op: op, From: 20000, To: schemas.Open,
			Scope: "alle"}
		if op == schemas.OpUpsert {
			r.Payload = payload(w.t, w.sets[guardGrants], map[string]any{"visitation_id": id})
		} else {
			r.From = schemas.Always
		}
		rows = append(rows, r)
	}
	return rows
}

// list are the grants as a list of count members.
func (w *guardWorld) list(id string, count int64, first, n int) []schemas.Row {
	rows := w.grants(schemas.OpUpsert, first, n)
	for i := range rows {
		rows[i].Snapshot, rows[i].Count = id, count
	}
	return rows
}

// seal counts what landed today.
func (w *guardWorld) seal() {
	n := int64(len(w.landed(simVendor, "0101", w.today(), len(w.journals[simVendor]))))
	w.say(schemas.Row{Op: schemas.OpSeal, Count: n})
}

// blocks are CPR's blocks of so many persons from the first: residents, or gone.
func (w *guardWorld) blocks(first, n int, resident bool) {
	var entry []schemas.Row
	for i := first; i < first+n; i++ {
		w.offset++
		cpr := fmt.Sprintf("61017%05d", i)
		raw := schemas.Row{Offset: w.offset, EventID: fmt.Sprint("//cpr|", w.offset), Event: "person",
			Leverance: w.today(), Kommune: schemas.National, Op: schemas.OpRaw,
			Outcome: schemas.Accepted, Stated: schemas.InstantOf(w.now)}
		s := raw
		s.Ordinal, s.Op, s.Dataset, s.Scope = 1, schemas.OpSnapshot, guardPersons, cpr
		s.From, s.Absent = schemas.Always, schemas.AbsentGone
		entry = append(entry, raw, s)
		if resident {
			m := s
			m.Ordinal, m.Op, m.Key, m.Kommune, m.From, m.To = 2, schemas.OpUpsert, cpr, "0101", 20000,
				schemas.Open
			m.Payload = payload(w.t, w.sets[guardPersons], map[string]any{"cpr": cpr, "status": "01"})
			entry = append(entry, m)
		}
	}
	w.append(simCPR, entry...)
}

// round closes once with the closer at hand.
func (w *guardWorld) round() *Report {
	report, err := w.closer.Round(w.ctx, w.now, nil)
	require.NoError(w.t, err)
	require.Empty(w.t, report.Failed)
	require.Empty(w.t, report.Left)
	return report
}

func (w *guardWorld) head(u schemas.Unit) *Certificate {
	c, err := Head(w.ctx, w.shared, u)
	require.NoError(w.t, err)
	require.NotNil(w.t, c)
	return c
}

// open counts the rows of a unit's table without an end, as its newest certificate names it.
func (w *guardWorld) open(u schemas.Unit, name schemas.DatasetName) int {
	return len(w.keys(u, name, w.head(u).Number))
}

// keys are those of open rows, as a certificate names the table.
func (w *guardWorld) keys(u schemas.Unit, name schemas.DatasetName, n int64) map[string]bool {
	keys, ds := map[string]bool{}, w.sets[name]
	columns := DeliveredColumns(ds)
	at := slices.IndexFunc(columns, func(c schemas.Column) bool { return c.Name == "gyldig_til" })
	err := ReadRows(w.ctx, w.shared, ds, u, ReadOptions{Certificate: n, Table: OnlyCurrent},
		func(cells []Cell) error {
			if cells[at].Null {
				keys[cells[1].Text] = true
			}
			return nil
		})
	require.NoError(w.t, err)
	return keys
}

func (w *guardWorld) approve(u schemas.Unit) *Approval {
	a, err := Approve(w.ctx, w.shared, u, w.head(u).Held.Digest(),
		Approval{By: "Inge", Reason: "lukket", At: schemas.InstantOf(w.now)})
	require.NoError(w.t, err)
	return a
}

// tomorrow goes on to 8 o'clock of the next day: past the deadline of today's deliveries.
func (w *guardWorld) tomorrow() {
	y, m, d := w.now.In(schemas.Copenhagen).Date()
	w.now = time.Date(y, m, d+1, 8, 0, 0, 0, schemas.Copenhagen)
}

// audited gives what an audit finds, tables made anew from the journals.
func (w *guardWorld) audited() error {
	report, err := Audit(w.ctx, AuditDeps{Tables: w.shared, State: w.shared, Journal: w.journal,
		Datasets: w.sets,
		Refold: func(context.Context) (store.Store, Engine, func() error, error) {
			mem := store.NewMemory()
			return mem, newTestTables(w.t, mem, w.dir), func() error { return nil }, nil
		}}, nil)
	if err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return errors.New(strings.Join(report.Problems, "; "))
	}
	return nil
}

// guarded gives the first certificate by which more rows ended than the guard lets pass, without
// an approval that names each of them.
func (w *guardWorld) guarded(u schemas.Unit, name schemas.DatasetName) error {
	before := map[string]bool{}
	for n := int64(1); n <= w.head(u).Number; n++ {
		c, err := ReadCertificate(w.ctx, w.shared, u, n)
		require.NoError(w.t, err)
		now, gone := w.keys(u, name, n), []string{}
		for k := range before {
			if !now[k] {
				gone = append(gone, k)
			}
		}
		if w.guard.holds(int64(len(gone)), int64(len(before))) {
			approved := w.approved(u, c)
			for _, k := range gone {
				if !approved[k] {
					return fmt.Errorf("certificate %d ends %d of %d rows that nobody has approved", n,
						len(gone), len(before))
				}
			}
		}
		if c.Held != nil && !maps.Equal(now, before) {
			return fmt.Errorf("certificate %d waits and changes the table", n)
		}
		before = now
	}
	return nil
}

// approved are the keys on the lists of what a certificate says was approved, as the person who
// approved has seen them.
func (w *guardWorld) approved(u schemas.Unit, c *Certificate) map[string]bool {
	keys := map[string]bool{}
	for _, r := range c.Approvals {
		seen, err := ReadCertificate(w.ctx, w.shared, u, r.Number)
		require.NoError(w.t, err)
		for i := range seen.Held.Ends {
			require.NoError(w.t, ReadEnds(w.ctx, w.shared, u, &seen.Held.Ends[i],
				func(key, _ string) error {
					keys[key] = true
					return nil
				}))
		}
	}
	return keys
}
