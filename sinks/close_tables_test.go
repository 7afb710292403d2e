package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// realClose runs the close with real journals and the real engine over one store in memory.
type realClose struct {
	t       *testing.T
	ctx     context.Context
	w       *closeWorld
	mem     *store.Memory
	sets    map[schemas.DatasetName]*schemas.Dataset
	flushed map[schemas.System]int
	offsets map[schemas.System]int64
	renamed map[int64]int64
	started int
	all     *schemas.Agreements
}

func newRealClose(t *testing.T, seed uint64) *realClose {
	return &realClose{t: t, ctx: context.Background(), w: newCloseWorld(seed), mem: store.NewMemory(),
		all: simAgreements(), sets: builtinDatasets(t), flushed: map[schemas.System]int{},
		offsets: map[schemas.System]int64{},
		renamed: map[int64]int64{}}
}

// flush brings the world's new entries into the journals.
func (r *realClose) flush() {
	for _, s := range []schemas.System{simVendor, simCPR} {
		j, err := OpenJournal(r.ctx, r.mem.With(nil), s)
		require.NoError(r.t, err)
		for ; r.flushed[s] < len(r.w.journals[s]); r.flushed[s]++ {
			e := j.NewEntry("test")
			rows := r.w.journals[s][r.flushed[s]]
			if len(rows) == 0 {
				continue
			}
			for i := range rows {
				row := r.real(rows[i])
				require.NoError(r.t, e.Add(row))
			}
			require.NoError(r.t, e.Advance(rows[0].Stream, Position{Next: r.offsets[s]}))
			require.NoError(r.t, e.Commit(r.ctx))
		}
	}
}

// real gives a row of the plain world the offset and payload that real ones have.
func (r *realClose) real(row schemas.Row) schemas.Row {
	old := row.Offset
	if _, ok := r.renamed[old]; !ok {
		r.renamed[old] = r.offsets[row.System]
		r.offsets[row.System]++
	}
	row.Offset = r.renamed[old]
	content := string(row.Payload)
	switch {
	case row.Ordinal == 0:
		row.Payload = []byte{0}
	case row.Dataset == simFact:
		row.Key = string(simVendor) + ":" + row.Key
		row.From, row.To = row.Leverance, schemas.Open
		row.Payload = payload(r.t, r.sets[simFact], map[string]any{"besoeg_id": row.Key,
			"status": content,
			"dato":   int(row.Leverance)})
	case row.Op == schemas.OpUpsert:
		row.From, row.To = schemas.CivilDay(2020, 1, 1), schemas.Open
		row.Payload = payload(r.t, r.sets[simState], map[string]any{"cpr": row.Key, "vejkode": content,
			"bopaelskommune": string(row.Kommune)})
	}
	return row
}

func (r *realClose) deps(st store.Store) Deps {
	r.started++
	engine := newTestTables(r.t, st, r.t.TempDir())
	return Deps{Journal: JournalEvents(st), Tables: st, Engine: engine, Agreements: r.all,
		Datasets: r.sets,
		Writer:   fmt.Sprint("w", r.started), Build: "test"}
}

func (r *realClose) auditDeps() AuditDeps {
	st := r.mem.With(nil)
	return AuditDeps{Tables: st, State: st, Journal: JournalEvents(st), Datasets: r.sets,
		Refold: func(context.Context) (store.Store, Engine, func() error, error) {
			scratch := store.NewMemory()
			return scratch, newTestTables(r.t, scratch, r.t.TempDir()), func() error { return nil }, nil
		}}
}

func (r *realClose) audit() *AuditReport {
	report, err := Audit(r.ctx, r.auditDeps(), nil)
	require.NoError(r.t, err)
	return report
}

// play closes again and again while the world goes on; every other closer dies at some operation.
func (r *realClose) play(rounds int) {
	rng := rand.New(rand.NewPCG(1, r.w.rng.Uint64()))
	for i := range rounds {
		for range 3 {
			r.w.step()
		}
		r.flush()
		var left atomic.Int64 // several units at a time work on the store
		left.Store(int64(rng.IntN(120)))
		dying := r.mem.With(func(store.Op, string) store.Fault {
			if left.Add(-1) == 0 && i%2 == 0 {
				return store.CrashAfter
			}
			return store.Proceed
		})
		report, err := CloseRound(r.ctx, r.deps(dying), r.w.now, nil)
		if !errors.Is(err, store.ErrCrashed) {
			require.NoError(r.t, err)
		}
		for u, err := range report.Failed {
			require.ErrorIs(r.t, err, store.ErrCrashed, "%s", u)
		}
	}
	r.settle()
}

// settle lets one healthy closer come to the end.
func (r *realClose) settle() {
	r.w.now = r.w.now.Add(48 * time.Hour)
	c := NewCloser(r.deps(r.mem.With(nil)))
	for range 2 {
		report, err := c.Round(r.ctx, r.w.now, nil)
		require.NoError(r.t, err)
		require.Empty(r.t, report.Failed)
		require.Empty(r.t, report.Left)
	}
	report, err := c.Round(r.ctx, r.w.now, nil)
	require.NoError(r.t, err)
	require.Empty(r.t, report.Closed, "nothing is new")
}

func TestCloseWithRealTables(t *testing.T) {
	t.Parallel()
	for seed := range max(1, closeSeeds(t)/30) {
		r := newRealClose(t, seed)
		r.play(8)
		report := r.audit()
		require.Empty(t, report.Problems, "seed %d", seed)
		require.Empty(t, report.Open, "seed %d", seed)
		require.Positive(t, report.Rows)
		require.Positive(t, report.Files)
		require.Equal(t, 4, report.Refolded)
	}
}

// TestNewAgreementCutsAnew: who owns which time is part of what is closed; a change of it needs
// no row.
func TestNewAgreementCutsAnew(t *testing.T) {
	t.Parallel()
	r := newRealClose(t, 9)
	r.play(3)
	u := schemas.Unit{Kommune: "0101", Area: "aeldre"}
	before, err := Head(r.ctx, r.mem, u)
	require.NoError(t, err)
	require.Positive(t, before.Tables[string(simFact)].Current.Rows)

	all := slices.Clone(r.all.All())
	for i := range all {
		if (schemas.Unit{Kommune: all[i].Kommune, Area: all[i].Area}) == u {
			all[i].To = schemas.CivilDay(2020, 1, 1)
		}
	}
	r.all, err = schemas.NewAgreements(all)
	require.NoError(t, err)
	c := NewCloser(r.deps(r.mem))
	report, err := c.Round(r.ctx, r.w.now, nil)
	require.NoError(t, err)
	require.Empty(t, report.Failed)
	require.Len(t, report.Closed, 1, "only the unit whose agreement changed")
	after := report.Closed[u]
	require.Zero(t, after.Tables[string(simFact)].Current.Rows)
	require.Positive(t, after.Counts.Clipped)
	require.Equal(t, schemas.DayOf(r.w.now), after.LeveranceDay(), "known from today on")
	require.Empty(t, r.audit().Problems)
	report, err = c.Round(r.ctx, r.w.now, nil)
	require.NoError(t, err)
	require.Empty(t, report.Closed)
}

// TestCloseWithRealTablesSideBySide: three closers at once, one store operation at a time, some
// of which fail or kill.
func TestCloseWithRealTablesSideBySide(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a minute under the race detector; TestCloseSimulation has the same protocol")
	}
	for seed := range max(1, closeSeeds(t)/60) {
		r := newRealClose(t, seed)
		s := &closeSim{rng: rand.New(rand.NewPCG(seed, 3)), w: r.w, shared: r.mem, fail: 0.005, rounds: 2,
			make: func(st store.Store) *Closer {
				d := r.deps(st)
				d.Workers = 1
				return NewCloser(d)
			}, step: func() {
				r.w.step()
				r.flush()
			}}
		for range 6 {
			s.step()
		}
		s.run(r.ctx)
		r.settle()
		require.Empty(t, r.audit().Problems, "seed %d", seed)
	}
}

// keys are those of stored objects that hold a part, in order.
func (r *realClose) keys(prefix, part string) []string {
	var keys []string
	for info, err := range r.mem.List(r.ctx, prefix, "") {
		require.NoError(r.t, err)
		if strings.Contains(info.Key, part) {
			keys = append(keys, info.Key)
		}
	}
	require.NotEmpty(r.t, keys)
	return keys
}

func (r *realClose) change(key string, how func([]byte) []byte) {
	b, err := store.ReadAll(r.ctx, r.mem, key)
	require.NoError(r.t, err)
	require.NoError(r.t, r.mem.Replace(r.ctx, key, how(b)))
}

func flip(b []byte) []byte {
	b = append([]byte{}, b...)
	b[len(b)/2] ^= 1
	return b
}

// storedDamage is what is done to what is stored, and how the audit names it.
type storedDamage struct {
	damage func(r *realClose)
	want   string
}

func storedDamages() map[string]storedDamage {
	const unit = "bevis/0101/aeldre/"
	return map[string]storedDamage{
		"flipped bit in a file": {func(r *realClose) {
			for _, k := range r.keys("kommune=0101/aeldre/besoeg/", ".parquet") {
				r.change(k, flip)
			}
		}, "not the bytes that were written"},
		"removed file": {func(r *realClose) {
			for _, k := range r.keys("kommune=0101/aeldre/besoeg/", ".parquet") {
				require.NoError(r.t, r.mem.Delete(r.ctx, k))
			}
		}, "0101/aeldre"},
		"changed certificate": {func(r *realClose) {
			r.change(unit+"00000001.json", func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `"bygning":"test"`, `"bygning":"tesu"`, 1))
			})
		}, "selv_sha256"},
		"forged certificate": {func(r *realClose) {
			r.change(unit+"00000001.json", func(b []byte) []byte { return forged(r.t, b) })
		}, "names another predecessor"},
		"certificate with blanks": {func(r *realClose) {
			r.change(unit+"00000001.json", func(b []byte) []byte { return append(b, ' ') })
		}, "not canonical"},
		"removed certificate in the middle": {func(r *realClose) {
			require.NoError(r.t, r.mem.Delete(r.ctx, unit+"00000001.json"))
		}, "certificate 1"},
		"removed newest certificates with their claims": {func(r *realClose) {
			c, err := Head(r.ctx, r.mem, schemas.Unit{Kommune: "0101", Area: "aeldre"})
			require.NoError(r.t, err)
			for n := c.Tables[string(simFact)].Current.Since; n <= c.Number; n++ {
				key := fmt.Sprintf("%s%08d", unit, n)
				require.NoError(r.t, r.mem.Delete(r.ctx, key+".json"))
				require.NoError(r.t, r.mem.Delete(r.ctx, key+".krav.json"))
			}
		}, "is in no certificate"},
		"swapped certificates": {func(r *realClose) {
			a, err := store.ReadAll(r.ctx, r.mem, unit+"00000001.json")
			require.NoError(r.t, err)
			r.change(unit+"00000002.json", func([]byte) []byte { return a })
		}, "was moved"},
		"changed claim": {func(r *realClose) {
			r.change(unit+"00000001.krav.json", func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `"skriver":"w`, `"skriver":"v`, 1))
			})
		}, "not what its claim says"},
		"changed log entry": {func(r *realClose) {
			r.change(r.keys("kommune=0101/aeldre/besoeg/_delta_log/", "00.json")[0], func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `"skriver":"w`, `"skriver":"v`, 1))
			})
		}, "was changed since"},
		"another journal entry": {func(r *realClose) {
			r.change(r.keys("journal/"+string(simVendor)+"/_delta_log/", ".json")[0], func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `"modificationTime":`, `"modificationTime":1`, 1))
			})
		}, "journal"},
		"changed close state": {func(r *realClose) {
			c, err := Head(r.ctx, r.mem, schemas.Unit{Kommune: "0101", Area: "aeldre"})
			require.NoError(r.t, err)
			r.change(c.State.Path, func(b []byte) []byte { return append(b, ' ') })
		}, "close state"},
	}
}

func TestAuditSeesDamage(t *testing.T) {
	t.Parallel()
	for name, c := range storedDamages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRealClose(t, 5)
			r.play(5)
			c.damage(r)
			report := r.audit()
			require.NotEmpty(t, report.Problems)
			require.Contains(t, strings.Join(report.Problems, "\n"), c.want)
		})
	}
}

// TestAuditSeesOtherRows: tables that are whole and well named, but are not what the journal
// gives.
func TestAuditSeesOtherRows(t *testing.T) {
	t.Parallel()
	r := newRealClose(t, 6)
	for range 4 {
		r.w.step()
	}
	r.w.append(simVendor, r.w.events(6)...)
	r.flush()
	d := r.deps(r.mem)
	d.Journal = func(ctx context.Context, s schemas.System) (Events, error) {
		e, err := JournalEvents(r.mem)(ctx, s)
		return forgetful{e}, err
	}
	report, err := CloseRound(r.ctx, d, r.w.now, nil)
	require.NoError(t, err)
	require.Empty(t, report.Failed)
	all := strings.Join(r.audit().Problems, "\n")
	require.Contains(t, all, "that it gives are missing")
}

// forgetful drops every statement on a key that ends in 1 or 2.
type forgetful struct{ Events }

func (f forgetful) Rows(ctx context.Context, from, to int64, all bool,
	fn func(*schemas.Row) error) error {
	return f.Events.Rows(ctx, from, to, all, func(r *schemas.Row) error {
		if ok, err := path.Match("*[0-3]", r.Key); err != nil || ok {
			return err
		}
		return fn(r)
	})
}

func TestStatus(t *testing.T) {
	t.Parallel()
	r := newRealClose(t, 5)
	all := simAgreements()
	before, err := Status(r.ctx, r.mem, all, JournalEvents(r.mem), nil)
	require.NoError(t, err)
	require.Len(t, before, 6, "two areas and the status of each")
	require.Nil(t, before[0].Certificate)
	r.play(4)
	r.w.append(simVendor, r.w.events(1)...)
	r.flush()
	after, err := Status(r.ctx, r.mem, all, JournalEvents(r.mem), nil)
	require.NoError(t, err)
	require.Equal(t, int64(1), after[0].Lag[simVendor])
	require.NotEmpty(t, after[0].State)
	require.Positive(t, after[0].Rows)
	require.False(t, after[0].UnderWay)
}
