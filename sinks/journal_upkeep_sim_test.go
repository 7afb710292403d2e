package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// The simulation of the upkeep: writers, compactors, sweepers and readers on one journal in a store
// in memory, interleaved at every operation of the store, with deaths, refusals, lost answers, and
// processes that sleep for longer than files are kept. An archive keeps every file ever made: from
// it the oracle knows each entry's rows, whatever became of them.

const (
	upkeepSteps   = 2500
	upkeepRecords = 40 // of each stream
	upkeepKeep    = 30 * time.Second
)

type upkeepMistake struct {
	rules func(*journalRules)
	log   func(entryLog, *upkeepWorld) entryLog
}

type upkeepWorld struct {
	rng     *rand.Rand
	base    *store.Memory
	archive map[string][]byte
	plant   upkeepMistake
	read    int64 // how far the slowest reader is
	steps   int
	deaths  int
	gone    int // files that were deleted
	merged  int
	fenced  int
	asleep  []int // of each process, the step at which it wakes
	err     error
}

type upkeeper struct {
	w     *upkeepWorld
	nr    int
	id    string
	yield func(struct{}) bool
	work  func(*upkeeper, context.Context, *Journal) error
}

func runUpkeep(seed uint64, plant upkeepMistake) (*upkeepWorld, error) {
	w := &upkeepWorld{rng: rand.New(rand.NewPCG(seed, 9)), base: store.NewMemory(),
		archive: map[string][]byte{}, plant: plant, read: -1}
	works := []func(*upkeeper, context.Context, *Journal) error{(*upkeeper).write, (*upkeeper).write,
		(*upkeeper).compact, (*upkeeper).compact, (*upkeeper).sweep, (*upkeeper).scan}
	works = works[seed%2:] // a writer that sleeps is alone, or another takes its streams
	var next []func() (struct{}, bool)
	w.asleep = make([]int, len(works))
	for i, work := range works {
		p := &upkeeper{w: w, nr: i, id: fmt.Sprintf("p%d", i), work: work}
		n, stop := iter.Pull(p.live)
		defer stop()
		next = append(next, n)
	}
	for w.err == nil && w.steps < upkeepSteps {
		w.steps++
		if w.rng.IntN(6) == 0 { // time goes on though nothing happens
			_ = w.base.Replace(context.Background(), "ur", nil)
		}
		i := w.rng.IntN(len(next))
		if w.asleep[i] > w.steps {
			continue
		}
		if _, on := next[i](); !on {
			break
		}
	}
	if w.err != nil {
		return w, w.err
	}
	return w, w.judge()
}

// now is the time of the store, whose every change takes a second.
func (w *upkeepWorld) now() time.Time {
	at := time.Unix(0, 0)
	for i, err := range w.base.List(context.Background(), "", "") {
		if err == nil && i.Modified.After(at) {
			at = i.Modified
		}
	}
	return at
}

// hook sends processes to sleep most of all between their files and the entry that names them.
func (p *upkeeper) hook(op store.Op, key string) store.Fault {
	w := p.w
	entry := op == store.OpCreate && logKey(key)
	if w.rng.IntN(150) == 0 || entry && w.rng.IntN(15) == 0 {
		w.asleep[p.nr] = w.steps + w.rng.IntN(600)
	}
	if !p.yield(struct{}{}) {
		return store.CrashBefore
	}
	switch n := w.rng.IntN(300); {
	case n < 2:
		w.deaths++
		return store.CrashBefore
	case n < 4:
		w.deaths++
		return store.CrashAfter
	case n < 6:
		return store.Refuse
	case n < 10 && op == store.OpCreate:
		return store.LoseAnswer
	case n < 14 && op == store.OpCreate:
		return store.LoseRequest
	}
	return store.Proceed
}

// archiving notes what is created, and judges what is deleted.
type archiving struct {
	store.Store
	w *upkeepWorld
}

func (a archiving) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	if !logKey(key) {
		var b strings.Builder
		if err := write(&b); err != nil {
			return err
		}
		a.w.archive[key] = []byte(b.String())
	}
	return a.Store.Create(ctx, key, write)
}

func (a archiving) Delete(ctx context.Context, key string) error {
	if err := a.w.mayGo(key); err != nil && a.w.err == nil {
		a.w.err = err
	}
	a.w.gone++
	return a.Store.Delete(ctx, key)
}

// mayGo is the rule of deletion, told from the entries alone.
func (w *upkeepWorld) mayGo(key string) error {
	ctx := context.Background()
	path := strings.TrimPrefix(key, "journal/cura/")
	log := delta.Open(w.base.With(nil), "journal/cura")
	named := false
	for v := int64(0); ; v++ {
		c, _, err := log.Entry(ctx, v)
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		for i := range c.Adds {
			named = named || c.Adds[i].Path == path
		}
		for i := range c.Removes {
			r := &c.Removes[i]
			if r.Path != path {
				continue
			}
			if age := w.now().Sub(time.UnixMilli(r.Deleted)); age < upkeepKeep || v > w.read {
				return fmt.Errorf("file %s goes after %s, readers at %d of %d", path, age, w.read, v)
			}
			return nil
		}
	}
	if named {
		return fmt.Errorf("file %s goes and is live", path)
	}
	return nil
}

func (p *upkeeper) live(yield func(struct{}) bool) {
	p.yield = yield
	for n := 0; p.w.err == nil; n++ {
		p.id = fmt.Sprintf("%.2s-%d", p.id, n)
		if err := p.run(); err != nil && !transient(err) {
			p.w.err = fmt.Errorf("process %s: %w", p.id, err)
			return
		}
		if !yield(struct{}{}) {
			return
		}
	}
}

func (w *upkeepWorld) journal(ctx context.Context, st store.Store) (*Journal, error) {
	log := rough{delta.Open(st, "journal/cura")}
	j := &Journal{system: "cura", prefix: "journal/cura", st: st, log: log, files: plainFormat(),
		rules: protocol(), every: simEvery, head: journalHead{version: -1}}
	if w.plant.rules != nil {
		w.plant.rules(&j.rules)
	}
	if w.plant.log != nil {
		j.log = w.plant.log(j.log, w)
	}
	return j, j.open(ctx)
}

func (p *upkeeper) run() error {
	ctx := context.Background()
	j, err := p.w.journal(ctx, archiving{p.w.base.With(p.hook), p.w})
	if err != nil {
		return err
	}
	for {
		err := p.work(p, ctx, j)
		if err != nil && !errors.Is(err, ErrLostRace) {
			return err
		}
		if !p.yield(struct{}{}) {
			return store.ErrCrashed
		}
	}
}

// write takes the next record or two of a stream in; two writers fight for the streams.
func (p *upkeeper) write(ctx context.Context, j *Journal) error {
	if err := j.Refresh(ctx); err != nil {
		return err
	}
	s := simStream(p.w.rng.IntN(simStreams))
	e := j.NewEntry(p.id)
	from := j.Progress()[s].Next
	for o := from; o < min(from+1+p.w.rng.Int64N(2), upkeepRecords); o++ {
		rows := record(s, o, int32(o%3))
		for i := range rows {
			rows[i].Kommune = schemas.Kommunekode(fmt.Sprintf("%04d", 101+(o+int64(i))%3))
		}
		if err := e.Add(rows...); err != nil {
			return err
		}
	}
	if err := e.Commit(ctx); !errors.Is(err, ErrEmpty) {
		return err
	}
	return nil
}

func (p *upkeeper) compact(ctx context.Context, j *Journal) error {
	r, err := j.Compact(ctx, CompactRules{Writer: p.id, Now: p.w.now(), Least: 3})
	p.w.merged += int(r.Entries)
	return err
}

func (p *upkeeper) sweep(ctx context.Context, j *Journal) error {
	r, err := j.Sweep(ctx, SweepRules{Writer: p.id, Now: p.w.now(), Keep: upkeepKeep, Read: p.w.read})
	p.w.fenced += int(r.Orphans)
	return err
}

// scan reads on from where it is, as a close does: each record must be the next of its stream.
func (p *upkeeper) scan(ctx context.Context, j *Journal) error {
	if err := j.Refresh(ctx); err != nil {
		return err
	}
	from := p.w.read
	if p.w.rng.IntN(4) == 0 {
		from = -1 // the audit's way
	}
	next := map[schemas.Stream]int64{}
	err := j.Scan(ctx, from, j.Version(), Want{Raw: true, Events: true}, func(r *schemas.Row) error {
		if r.Ordinal > 0 {
			return nil
		}
		if n, ok := next[r.Stream]; ok && n != r.Offset || from < 0 && !ok && r.Offset > 0 {
			return fmt.Errorf("read %s/%d, want %d", r.Stream, r.Offset, n)
		}
		next[r.Stream] = r.Offset + 1
		return nil
	})
	if err == nil {
		p.w.read = j.Version()
	}
	return err
}

// judge compares every entry's rows with those of the files that it named when it was made, and
// what a foreign reader sees with all of them.
func (w *upkeepWorld) judge() error {
	ctx := context.Background()
	w.plant = upkeepMistake{}
	j, err := w.journal(ctx, w.base.With(nil))
	if err != nil || j.Version() < 0 {
		return err
	}
	s := j.scanner(Want{Raw: true, Events: true, Payload: true})
	var want []string
	for v := range j.Version() + 1 {
		c, err := j.readEntry(ctx, v)
		if err != nil {
			return err
		}
		if len(c.Removes) > 0 && (c.Adds[0].DataChange || c.Removes[0].DataChange) {
			return fmt.Errorf("entry %d changes data", v)
		}
		for i := range c.Adds {
			if len(c.Removes) > 0 {
				continue
			}
			rows, err := s.unpack(w.archive[j.prefix+"/"+c.Adds[i].Path], fileRange{from: v, to: v})
			if err != nil {
				return err
			}
			for _, r := range rows {
				want = append(want, fmt.Sprintf("%d %+v", v, r.row))
			}
		}
	}
	return w.same(ctx, j, want)
}

func (w *upkeepWorld) same(ctx context.Context, j *Journal, want []string) error {
	i := 0
	all := Want{Raw: true, Events: true, Payload: true}
	err := j.ScanEntries(ctx, -1, j.Version(), all, func(v int64, r *schemas.Row) error {
		if i >= len(want) || want[i] != fmt.Sprintf("%d %+v", v, *r) {
			return fmt.Errorf("row %d of the scan, of entry %d, is another", i, v)
		}
		i++
		return nil
	})
	if err != nil {
		return err
	}
	if i != len(want) {
		return fmt.Errorf("the scan gives %d rows of %d", i, len(want))
	}
	snap, err := j.snapshot(ctx)
	if err != nil {
		return err
	}
	n, s := 0, j.scanner(all)
	for _, a := range snap.Files {
		rows, err := s.placed(ctx, &a)
		if err != nil {
			return err
		}
		n += len(rows)
	}
	if n != len(want) {
		return fmt.Errorf("a foreign reader sees %d rows of %d", n, len(want))
	}
	a, err := j.Verify(ctx, nil)
	if err == nil && len(a.Problems) > 0 {
		err = fmt.Errorf("verify: %v", a.Problems)
	}
	return err
}

func TestJournalUpkeepSimulation(t *testing.T) {
	t.Parallel()
	var deaths, gone, merged, fenced int
	from, to := simSeeds(t, 40)
	for seed := from; seed < to; seed++ {
		w, err := runUpkeep(seed, upkeepMistake{})
		require.NoErrorf(t, err,
			"rerun with FLIS_SIM_SEED=%d go test -run TestJournalUpkeepSimulation ./sinks", seed)
		deaths, gone, merged, fenced = deaths+w.deaths, gone+w.gone, merged+w.merged, fenced+w.fenced
	}
	t.Logf("%d seeds: %d deaths, %d files deleted, %d of them orphans, %d compactions",
		to-from, deaths, gone, fenced, merged)
	if to-from > 20 {
		for _, n := range []int{deaths, gone, merged, fenced} {
			require.Positive(t, n)
		}
	}
}

func TestJournalUpkeepSimulationCatches(t *testing.T) {
	t.Parallel()
	for name, plant := range upkeepMistakes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(600) {
				if _, err := runUpkeep(seed, plant); err != nil {
					t.Logf("caught at seed %d: %v", seed, err)
					return
				}
			}
			t.Fatal("not caught in 600 seeds")
		})
	}
}

// meddling changes the entries that replace files before they are made.
type meddling struct {
	entryLog
	f func(version int64, c *delta.Commit)
}

func (m meddling) Create(ctx context.Context, version int64, c *delta.Commit) error {
	if len(c.Removes) > 0 {
		m.f(version, c)
	}
	return m.entryLog.Create(ctx, version, c)
}

func meddle(f func(w *upkeepWorld, version int64, c *delta.Commit)) upkeepMistake {
	return upkeepMistake{log: func(l entryLog, w *upkeepWorld) entryLog {
		return meddling{l, func(version int64, c *delta.Commit) { f(w, version, c) }}
	}}
}

func upkeepMistakes() map[string]upkeepMistake {
	return map[string]upkeepMistake{
		"small files deleted before the entry": meddle(func(w *upkeepWorld, _ int64, c *delta.Commit) {
			st := archiving{w.base.With(nil), w}
			for i := range c.Removes {
				_ = st.Delete(context.Background(), "journal/cura/"+c.Removes[i].Path)
			}
		}),
		"compaction changes data": meddle(func(_ *upkeepWorld, _ int64, c *delta.Commit) {
			c.Adds[0].DataChange = true
		}),
		"claims entries that came meanwhile": meddle(func(_ *upkeepWorld, v int64, c *delta.Commit) {
			a := &c.Adds[0]
			r, _ := rangeOf(a)
			a.Tags[tagEntries] = fmt.Sprintf("%d-%d", r.from, v-1)
		}),
		"keeps a file beside the one made of it": meddle(func(_ *upkeepWorld, _ int64, c *delta.Commit) {
			c.Removes = c.Removes[1:]
		}),
		"two compactors' files both kept": {rules: func(r *journalRules) {
			r.rewrites = func(journalHead, int64) error { return nil }
		}},
		"deleted before its time": {rules: func(r *journalRules) {
			r.deletes = func(r *SweepRules, _ string, entry int64, _ time.Duration) bool {
				return entry <= r.Read
			}
		}},
		"deleted before a reader came by": {rules: func(r *journalRules) {
			r.deletes = func(r *SweepRules, _ string, _ int64, age time.Duration) bool {
				return age >= r.Keep
			}
		}},
		"swept files named by their slow writer": {rules: func(r *journalRules) {
			r.named = func(h journalHead, adds []delta.Add, version int64) ([]delta.Add, error) {
				h.void = 0
				return nameFiles(h, adds, version)
			}
		}},
	}
}
