package sinks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// closeSim runs closers over one world, one store operation at a time, in an order that the seed
// gives.
type closeSim struct {
	rng     *rand.Rand
	w       *closeWorld
	shared  *store.Memory
	mistake closeMistake
	actors  []*closeActor
	started int
	fail    float64 // chance of a fault at an operation
	rounds  int     // of each closer
	make    func(st store.Store) *Closer
	step    func()
}

type closeActor struct {
	resume chan store.Fault
	pause  chan bool // true: at an operation; false: done
	op     store.Op
}

const simClosers = 3

func (s *closeSim) hook(a *closeActor) store.Hook {
	return func(op store.Op, _ string) store.Fault {
		a.op = op
		a.pause <- true
		return <-a.resume
	}
}

// process is a new process of a closer: nothing in memory.
func (s *closeSim) process(st store.Store) *Closer {
	s.started++
	writer := fmt.Sprint("w", s.started)
	if s.mistake.overwrite {
		st = lastClaimWins{st}
	}
	engine := &plainEngine{st: st, writer: writer}
	if s.mistake.engine != nil {
		s.mistake.engine(engine)
	}
	var alter func(schemas.System, []schemas.Row) []schemas.Row
	c := NewCloser(Deps{Tables: st, Engine: engine, Agreements: simAgreements(),
		Datasets: simDatasets(),
		Writer:   writer, Workers: 1,
		Journal: func(_ context.Context, system schemas.System) (Events, error) {
			if s.mistake.rows != nil {
				alter = s.mistake.rows()
			}
			return &worldEvents{w: s.w, system: system, length: len(s.w.journals[system]), alter: alter}, nil
		}})
	if s.mistake.rules != nil {
		s.mistake.rules(&c.rules)
	}
	return c
}

// act is the life of one closer: a crash ends its process, and another takes its place.
func (s *closeSim) act(ctx context.Context, a *closeActor) {
	defer func() { a.pause <- false }()
	handle := s.shared.With(s.hook(a))
	c := s.make(handle)
	for range s.rounds {
		report, err := c.Round(ctx, s.w.now, nil)
		if report == nil || crashed(err, report) {
			handle = s.shared.With(s.hook(a))
			c = s.make(handle)
		}
	}
}

func crashed(err error, r *Report) bool {
	if errors.Is(err, store.ErrCrashed) {
		return true
	}
	for _, e := range r.Failed {
		if errors.Is(e, store.ErrCrashed) {
			return true
		}
	}
	return false
}

func (s *closeSim) fault(op store.Op) store.Fault {
	if s.rng.Float64() >= s.fail {
		return store.Proceed
	}
	faults := []store.Fault{store.CrashBefore, store.CrashAfter, store.Refuse}
	if op == store.OpCreate {
		faults = append(faults, store.LoseAnswer, store.LoseRequest)
	}
	return faults[s.rng.IntN(len(faults))]
}

// run lets all closers live their lives.
func (s *closeSim) run(ctx context.Context) {
	live := map[int]bool{}
	for i := range simClosers {
		a := &closeActor{resume: make(chan store.Fault), pause: make(chan bool)}
		s.actors = append(s.actors, a)
		go s.act(ctx, a)
		live[i] = <-a.pause
	}
	for n := 0; ; n++ {
		var ready []int
		for i := range s.actors {
			if live[i] {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			break
		}
		if s.rng.IntN(12) == 0 {
			s.step()
		}
		i := ready[s.rng.IntN(len(ready))]
		s.actors[i].resume <- s.fault(s.actors[i].op)
		live[i] = <-s.actors[i].pause
	}
}

// settle lets one healthy closer come to the end, two days after all deadlines, and gives the
// first thing that is wrong.
func (s *closeSim) settle(ctx context.Context) error {
	j := &closeJudge{w: s.w, st: s.shared.With(nil)}
	if err := j.judge(ctx, false); err != nil {
		return err
	}
	s.w.now = s.w.now.Add(48 * time.Hour)
	c := s.process(s.shared.With(nil))
	for range 3 {
		report, err := c.Round(ctx, s.w.now, nil)
		if err != nil {
			return err
		}
		for u, err := range report.Failed {
			return fmt.Errorf("%s: %w", u, err)
		}
		if len(report.Left) > 0 {
			return fmt.Errorf("a lone closer did not come to an end")
		}
		if len(report.Closed) == 0 {
			return j.judge(ctx, true)
		}
	}
	return errors.New("a lone closer always finds something to close")
}

func simulateClose(seed uint64, m closeMistake) error {
	s := &closeSim{rng: rand.New(rand.NewPCG(seed, 1)), w: newCloseWorld(seed),
		shared: store.NewMemory(), rounds: 4, mistake: m,
		fail: []float64{0, 0.01, 0.04}[seed%3]}
	s.make, s.step = s.process, s.w.step
	for range 6 {
		s.w.step()
	}
	s.run(context.Background())
	return s.settle(context.Background())
}

func TestCloseSimulation(t *testing.T) {
	t.Parallel()
	for seed := range closeSeeds(t) {
		require.NoError(t, simulateClose(seed, closeMistake{}), "seed %d", seed)
	}
}

// TestCloseDiesAtEachStep: whatever happens to a closer at any one of its store operations, the
// next one comes to the same end.
func TestCloseDiesAtEachStep(t *testing.T) {
	t.Parallel()
	faults := []store.Fault{store.CrashBefore, store.CrashAfter, store.Refuse, store.LoseRequest,
		store.LoseAnswer}
	stride := 1
	if testing.Short() {
		stride = 5
	}
	for i, fault := range faults {
		for k := 1 + i%stride; ; k += stride {
			s := &closeSim{w: newCloseWorld(11), shared: store.NewMemory()}
			for range 12 {
				s.w.step()
			}
			n := 0
			dying := s.process(s.shared.With(func(store.Op, string) store.Fault {
				if n++; n == k {
					return fault
				}
				return store.Proceed
			}))
			report, err := dying.Round(context.Background(), s.w.now, nil)
			require.NotNil(t, report, "%v", err)
			require.NoError(t, s.settle(context.Background()), "fault %d at step %d", fault, k)
			if n < k {
				require.Greater(t, k, 40, "a closer has steps")
				break
			}
		}
	}
}

// seesNothing is an engine of another build, which finds that no table changes.
type seesNothing struct{ *plainEngine }

func (e seesNothing) Fold(ctx context.Context, in *FoldInput) (*FoldResult, error) {
	r, err := e.plainEngine.Fold(ctx, in)
	if err == nil {
		r.Tables = nil
	}
	return r, err
}

// TestCommitOfAnotherBuildIsNamed: what a closer committed before it died is in the certificate
// that finishes its claim, even if the one who finishes it would not have made it.
func TestCommitOfAnotherBuildIsNamed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := &closeSim{w: newCloseWorld(11), shared: store.NewMemory()}
	s.w.append(simVendor, s.w.events(9)...)
	dying := s.process(s.shared.With(func(op store.Op, key string) store.Fault {
		if op == store.OpCreate && strings.Contains(key, "_delta_log") {
			return store.CrashAfter
		}
		return store.Proceed
	}))
	_, err := dying.Round(ctx, s.w.now, nil)
	require.NoError(t, err)
	next := s.process(s.shared.With(nil))
	next.deps.Engine = seesNothing{next.deps.Engine.(*plainEngine)}
	report, err := next.Round(ctx, s.w.now, nil)
	require.NoError(t, err)
	require.Empty(t, report.Failed)
	u := schemas.Unit{Kommune: "0101", Area: "aeldre"}
	head := report.Closed[u]
	require.NotNil(t, head)
	require.NoError(t, (&closeJudge{w: s.w, st: s.shared}).noMore(ctx, u, head))
	require.Equal(t, int64(0), head.Tables[string(simFact)].Current.Version)
}

// closeSeeds is how many seeds are run: 60, in short 15, or what the environment says.
func closeSeeds(t *testing.T) uint64 {
	s := os.Getenv("FLIS_CLOSE_SEEDS")
	switch {
	case s == "" && testing.Short():
		return 15
	case s == "":
		return 60
	}
	n, err := strconv.ParseUint(s, 10, 64)
	require.NoError(t, err)
	return n
}
