package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// The simulation: two or three processes write the same two streams to one journal in a store in
// memory. At every operation of the store a seeded scheduler says who goes on, and whether the
// process dies before or after it, its answer is lost, or the request takes effect later.
// Afterwards every record must be there exactly once.

const (
	simStreams = 2
	simRecords = 6
	simSteps   = 4000 // of a run; it is free of faults from the middle on
	simEvery   = 4    // entries between checkpoints

	gapStream = 1 // its records of [gapFrom, gapTo) are lost
	gapFrom   = 2
	gapTo     = 4
)

// simMistake is a planted one: each changes one thing of an honest process.
type simMistake struct {
	rules func(*journalRules)
	store func(store.Store) store.Store
	chain func(entryLog) entryLog
}

type simWorld struct {
	rng     *rand.Rand
	base    *store.Memory
	late    []func() // requests without an answer that are still on their way
	acked   map[schemas.Stream]int64
	plant   simMistake
	parsed  map[string]*delta.Commit
	seed    uint64
	steps   int
	deaths  int
	races   int
	unknown int
	err     error
}

// process is one running writer. Its operations yield to the scheduler.
type simProcess struct {
	w     *simWorld
	id    string
	yield func(struct{}) bool
}

// runSim gives what went wrong, or nil.
func runSim(seed uint64, plant simMistake) (*simWorld, error) {
	w := &simWorld{
		rng:    rand.New(rand.NewPCG(seed, 1)),
		base:   store.NewMemory(),
		acked:  map[schemas.Stream]int64{},
		plant:  plant,
		seed:   seed,
		parsed: map[string]*delta.Commit{},
	}
	var next []func() (struct{}, bool)
	for i := range 2 + w.rng.IntN(2) {
		p := &simProcess{w: w, id: fmt.Sprintf("p%d", i)}
		n, stop := iter.Pull(p.live)
		defer stop()
		next = append(next, n)
	}
	for len(next) > 0 && w.err == nil {
		if w.steps++; w.steps > simSteps {
			return w, errors.New("the writers came to no end")
		}
		if len(w.late) > 0 && w.rng.IntN(8) == 0 {
			i := w.rng.IntN(len(w.late))
			w.late[i]()
			w.late = append(w.late[:i], w.late[i+1:]...)
		}
		i := w.rng.IntN(len(next))
		if _, on := next[i](); !on {
			next = append(next[:i], next[i+1:]...)
		}
	}
	if w.err != nil {
		return w, w.err
	}
	for _, f := range w.late {
		f()
	}
	return w, w.judge()
}

// hook is the scheduler's hand in every operation of a process.
func (p *simProcess) hook(op store.Op, key string) store.Fault {
	w := p.w
	if !p.yield(struct{}{}) {
		return store.CrashBefore
	}
	if w.steps > simSteps/2 {
		return store.Proceed
	}
	switch n := w.rng.IntN(200); {
	case n < 2:
		w.deaths++
		return store.CrashBefore
	case n < 4:
		w.deaths++
		return store.CrashAfter
	case n < 6:
		return store.Refuse
	case n < 12 && op == store.OpCreate:
		w.unknown++
		return store.LoseAnswer
	case n < 18 && op == store.OpCreate:
		w.unknown++
		return store.LoseRequest
	}
	return store.Proceed
}

// slow loses some requests in such a way that they take effect later.
type slow struct {
	store.Store
	w *simWorld
}

func (s slow) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	if s.w.steps > simSteps/2 || s.w.rng.IntN(30) != 0 {
		return s.Store.Create(ctx, key, write)
	}
	var b strings.Builder
	if err := write(&b); err != nil {
		return err
	}
	s.w.late = append(s.w.late, func() {
		_ = s.w.base.With(nil).Create(context.Background(), key, func(w io.Writer) error {
			_, err := io.WriteString(w, b.String())
			return err
		})
	})
	s.w.unknown++
	return fmt.Errorf("create %s: %w", key, store.ErrUnknown)
}

// live starts the process again and again until all records are in.
func (p *simProcess) live(yield func(struct{}) bool) {
	p.yield = yield
	for n := 0; p.w.err == nil; n++ {
		p.id = fmt.Sprintf("%.2s-%d", p.id, n)
		done, err := p.run()
		if done {
			return
		}
		if err != nil && !transient(err) {
			p.w.err = err
			return
		}
		if !yield(struct{}{}) {
			return
		}
	}
}

// transient errors are those that the simulation plants; a process may also give up on a lost
// answer.
func transient(err error) bool {
	return errors.Is(err, store.ErrCrashed) || errors.Is(err, store.ErrInjected) ||
		errors.Is(err, store.ErrUnknown)
}

func (p *simProcess) run() (done bool, err error) {
	ctx := context.Background()
	var st store.Store = slow{p.w.base.With(p.hook), p.w}
	if p.w.plant.store != nil {
		st = p.w.plant.store(st)
	}
	acked := maps.Clone(p.w.acked)
	j, err := p.w.journal(ctx, st, p.w.plant)
	if err != nil {
		return false, err
	}
	for {
		if err := p.w.sees(j.Progress(), acked); err != nil {
			return false, err
		}
		if complete(j.Progress()) {
			return true, nil
		}
		err := p.batch(ctx, j)
		switch {
		case errors.Is(err, ErrLostRace):
			p.w.races++
		case errors.Is(err, ErrHole):
		case err != nil:
			return false, err
		}
	}
}

// batch consumes some records of some streams. Now and then it is mistaken about where a stream
// stands.
func (p *simProcess) batch(ctx context.Context, j *Journal) error {
	rng := p.w.rng
	at := j.Progress()
	e := j.NewEntry(p.id)
	want := map[schemas.Stream]int64{}
	if s := simStream(gapStream); at[s].Next == gapFrom {
		return j.CommitGap(ctx, p.id, s, gapFrom, gapTo, "planted")
	}
	for k := range simStreams {
		s := simStream(k)
		n := rng.Int64N(4)
		from := at[s].Next
		if rng.IntN(25) == 0 {
			from = rng.Int64N(simRecords)
		}
		to := min(from+n, simRecords)
		if k == gapStream && from < gapTo {
			to = min(to, gapFrom)
		}
		if to <= from {
			continue
		}
		if err := consume(e, s, from, to); err != nil {
			return err
		}
		want[s] = to
	}
	if len(want) == 0 {
		p.yield(struct{}{})
		return nil
	}
	if err := e.Commit(ctx); err != nil {
		return err
	}
	for s, n := range want {
		p.w.acked[s] = max(p.w.acked[s], n)
	}
	return nil
}

func consume(e *Entry, s schemas.Stream, from, to int64) error {
	for o := from; o < to; o++ {
		if !holds(s, o) {
			if o == from && e.reach(s).next != from {
				return ErrHole // what a consumer that was mistaken finds out by itself
			}
			if err := e.Advance(s, Position{Next: o + 1}); err != nil {
				return err
			}
			continue
		}
		if err := e.Add(simRows(s, o)...); err != nil {
			return err
		}
	}
	return e.Advance(s, Position{Next: to, Anchor: simAnchor(s, to)})
}

func simStream(k int) schemas.Stream { return schemas.NewStream("sim", "raw.cura.borger.v1", k) }

// holds says whether the log has a record at the offset.
func holds(s schemas.Stream, offset int64) bool {
	return offset%7 != 3 && (s != simStream(gapStream) || offset < gapFrom || offset >= gapTo)
}

func simRows(s schemas.Stream, offset int64) []schemas.Row {
	var rows []schemas.Row
	for i := range 1 + int32(offset%3) {
		r := schemas.Row{
			Stream:  s,
			Offset:  offset,
			Ordinal: i,
			System:  "cura",
			EventID: fmt.Sprint(offset),
			Outcome: schemas.Accepted,
			Kommune: "0101",
			Payload: []byte(fmt.Sprint(s, offset, i)),
		}
		rows = append(rows, r)
	}
	return rows
}

func simAnchor(s schemas.Stream, next int64) Anchor {
	for o := next - 1; o >= 0; o-- {
		if s == simStream(gapStream) && o >= gapFrom && o < gapTo {
			return Anchor{} // nothing is known behind a gap
		}
		if holds(s, o) {
			return Anchor{Topic: "t", Offset: o, SHA256: hashOf([]byte(fmt.Sprint(s, o)))}
		}
	}
	return Anchor{}
}

func complete(at map[schemas.Stream]Position) bool {
	for k := range simStreams {
		if at[simStream(k)].Next < simRecords {
			return false
		}
	}
	return true
}

// sees checks what a journal says against what was acknowledged before it was opened, and against
// the records.
func (w *simWorld) sees(at map[schemas.Stream]Position, acked map[schemas.Stream]int64) error {
	for s, n := range acked {
		if at[s].Next < n {
			return fmt.Errorf("progress of %s regressed: %d acknowledged, %d now", s, n, at[s].Next)
		}
	}
	for s, p := range at {
		if want := simAnchor(s, p.Next); p.Anchor != want {
			return fmt.Errorf("anchor of %s at %d is %+v, want %+v", s, p.Next, p.Anchor, want)
		}
	}
	return nil
}

// journal opens the journal as the process of a world does that plants a mistake, or none.
func (w *simWorld) journal(
	ctx context.Context,
	st store.Store,
	plant simMistake,
) (*Journal, error) {
	prefix := schemas.JournalPrefix("cura")
	log := delta.Open(st, prefix)
	j := &Journal{
		system: "cura",
		prefix: prefix,
		st:     st,
		log:    log,
		files:  plainFormat(),
		rules:  protocol(),
		every:  simEvery,
		head:   journalHead{version: -1},
	}
	switch {
	case w.seed%4 != 0:
		j.log = light{rough{log}, st, prefix, w.parsed}
	case w.seed%32 != 0:
		j.log = rough{log}
	}
	if plant.rules != nil {
		plant.rules(&j.rules)
	}
	if plant.chain != nil {
		j.log = plant.chain(j.log)
	}
	return j, j.open(ctx)
}

// rough leaves checkpoints out: their Parquet would take most of the time.
type rough struct{ entryLog }

func (rough) Checkpoint(context.Context, *delta.Snapshot) error { return nil }

// light also parses each entry but once, for the whole run.
type light struct {
	rough
	st     store.Store
	prefix string
	parsed map[string]*delta.Commit // by bytes
}

func (l light) Entry(ctx context.Context, version int64) (*delta.Commit, []byte, error) {
	b, err := store.ReadAll(ctx, l.st, fmt.Sprintf("%s/_delta_log/%020d.json", l.prefix, version))
	if err != nil {
		return nil, nil, err
	}
	c, ok := l.parsed[string(b)]
	if !ok {
		if c, err = delta.Parse(b); err != nil {
			return nil, nil, err
		}
		l.parsed[string(b)] = c
	}
	return c, b, nil
}

func (l light) Snapshot(ctx context.Context, _ int64) (*delta.Snapshot, error) {
	s := &delta.Snapshot{Version: -1}
	for _, err := range l.st.List(ctx, l.prefix+"/_delta_log/", "") {
		if err != nil {
			return nil, err
		}
		c, _, err := l.Entry(ctx, s.Version+1)
		if err != nil {
			return nil, err
		}
		if err := s.Apply(s.Version+1, c); err != nil {
			return nil, err
		}
	}
	if s.Version < 0 {
		return nil, store.ErrNotFound
	}
	return s, nil
}

// judge is the oracle: the journal as it stands holds every record of every stream exactly once.
func (w *simWorld) judge() error {
	ctx := context.Background()
	j, err := w.journal(ctx, w.base.With(nil), simMistake{})
	if err != nil {
		return err
	}
	if err := w.sees(j.Progress(), w.acked); err != nil {
		return err
	}
	if !complete(j.Progress()) {
		return fmt.Errorf("not complete: %v", j.Progress())
	}
	got := map[string]int{}
	all := Want{Events: true, Raw: true, Payload: true}
	err = j.Scan(ctx, -1, j.Version(), all, func(r *schemas.Row) error {
		got[string(r.Payload)]++
		return nil
	})
	if err != nil {
		return err
	}
	if err := exactlyOnce(got); err != nil {
		return err
	}
	a, err := j.Verify(ctx, nil)
	switch {
	case err != nil:
		return err
	case len(a.Problems) > 0:
		return fmt.Errorf("verify: %v", a.Problems)
	case len(a.Gaps) != 1:
		return fmt.Errorf("gaps: %v", a.Gaps)
	}
	return nil
}

func exactlyOnce(got map[string]int) error {
	n := 0
	for k := range simStreams {
		for o := range int64(simRecords) {
			if !holds(simStream(k), o) {
				continue
			}
			for _, r := range simRows(simStream(k), o) {
				n++
				if c := got[string(r.Payload)]; c != 1 {
					return fmt.Errorf("row %s is there %d times", r.Payload, c)
				}
			}
		}
	}
	if len(got) != n {
		return fmt.Errorf("%d different rows, want %d", len(got), n)
	}
	return nil
}

func simSeeds(t *testing.T, def uint64) (from, to uint64) {
	if s := os.Getenv("FLIS_SIM_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		return n, n + 1
	}
	if s := os.Getenv("FLIS_SIM_SEEDS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
		return 0, n
	}
	if testing.Short() {
		def /= 5
	}
	return 0, def
}

func TestJournalSimulation(t *testing.T) {
	t.Parallel()
	var steps, deaths, races, unknown int
	from, to := simSeeds(t, 500)
	for seed := from; seed < to; seed++ {
		w, err := runSim(seed, simMistake{})
		require.NoErrorf(
			t,
			err,
			"rerun with FLIS_SIM_SEED=%d go test -run TestJournalSimulation ./sinks",
			seed,
		)
		steps, deaths, races, unknown = steps+w.steps, deaths+w.deaths, races+w.races, unknown+w.unknown
	}
	t.Logf(
		"%d seeds: %d steps, %d deaths, %d lost races, %d lost answers",
		to-from,
		steps,
		deaths,
		races,
		unknown,
	)
	if to-from > 100 {
		require.Positive(t, deaths)
		require.Positive(t, races)
		require.Positive(t, unknown)
	}
}

// Each planted mistake must be caught within a few hundred seeds, or the simulation proves
// nothing.
func TestJournalSimulationCatches(t *testing.T) {
	t.Parallel()
	for name, plant := range mistakes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(400) {
				if _, err := runSim(seed, plant); err != nil {
					t.Logf("caught at seed %d: %v", seed, err)
					return
				}
			}
			t.Fatal("not caught in 400 seeds")
		})
	}
}

func mistakes() map[string]simMistake {
	return map[string]simMistake{
		"rebase over own stream": {rules: func(r *journalRules) {
			r.admits = func(try int, from, has int64) error {
				if try > 0 {
					return nil
				}
				return admitNext(try, from, has)
			}
		}},
		"no check of the first offset": {rules: func(r *journalRules) {
			r.follows = func(s *course, offset int64) error {
				if s.next == s.from {
					s.from, s.next = offset, offset
				}
				return s.begin(offset)
			}
			r.admits = func(int, int64, int64) error { return nil }
		}},
		"anchor not carried": {rules: func(r *journalRules) {
			r.all = func(before positions, moved moves) positions {
				all := carryOn(before, moved)
				for s, p := range all {
					if _, ok := moved[s]; !ok {
						all[s] = Position{Next: p.Next}
					}
				}
				return all
			}
		}},
		"previous hash not renewed by rebase": {
			chain: func(c entryLog) entryLog { return &stale{entryLog: c} },
		},
		"offsets committed before data": {
			store: func(s store.Store) store.Store { return &hasty{Store: s} },
		},
		"overwrite instead of create": {
			store: func(s store.Store) store.Store { return overwriting{s} },
		},
		"unknown taken as success": {store: func(s store.Store) store.Store {
			return &trusting{Store: s}
		}},
		"unknown taken as failure": {store: func(s store.Store) store.Store { return giveUp{s} },
			chain: func(c entryLog) entryLog { return stubborn{c} }},
	}
}
