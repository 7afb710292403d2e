package sinks

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

// simulateGuard lets three closers, a vendor who ends and mends, and someone who approves work over
// one store, one operation at a time, and gives the first thing that is wrong at the end.
func simulateGuard(t testing.TB, seed uint64, m guardMistake) error {
	w := newGuardWorld(t, m)
	w.rng = rand.New(rand.NewPCG(seed, 9))
	s := &closeSim{rng: rand.New(rand.NewPCG(seed, 1)), w: w.closeWorld, shared: w.shared, rounds: 5,
		fail: []float64{0, 0.01, 0.04}[seed%3], make: w.process, step: w.move}
	w.say(w.grants(schemas.OpUpsert, 0, 12)...)
	w.blocks(0, 12, true)
	w.round()
	for range 4 {
		w.move()
	}
	s.run(context.Background())
	w.tomorrow()
	w.closer = w.process(w.shared.With(nil))
	for range 3 {
		report, err := w.closer.Round(w.ctx, w.now, nil)
		if err != nil {
			return err
		}
		for u, err := range report.Failed {
			return fmt.Errorf("%s: %w", u, err)
		}
	}
	for u, name := range map[schemas.Unit]schemas.DatasetName{guardUnit: guardGrants,
		guardCitizen: guardPersons} {
		if err := w.guarded(u, name); err != nil {
			return fmt.Errorf("%s: %w", u, err)
		}
	}
	return w.audited()
}

// move lets something happen: rows end, come back, a part of a list lands, someone approves.
func (w *guardWorld) move() {
	first := w.pick(8)
	switch w.pick(8) {
	case 0:
		w.say(w.grants(schemas.OpDelete, first, 1+w.pick(5))...)
	case 1:
		w.say(w.grants(schemas.OpUpsert, first, 1+w.pick(5))...)
	case 2:
		w.offset++
		w.say(w.list(fmt.Sprint("l", w.offset), 4+int64(w.pick(4)), first, 4)...)
	case 3:
		w.blocks(first, 1+w.pick(5), false)
	case 4:
		w.blocks(first, 1+w.pick(5), true)
	case 5:
		w.seal()
	case 6:
		w.tomorrow()
	default:
		for _, u := range []schemas.Unit{guardUnit, guardCitizen} {
			if c, err := Head(w.ctx, w.shared.With(nil), u); err == nil && c != nil && c.Held != nil {
				_, err := Approve(w.ctx, w.shared.With(nil), u, c.Held.Digest(),
					Approval{By: "Inge", Reason: "ja", At: schemas.InstantOf(w.now)})
				require.NoError(w.t, err)
			}
		}
	}
}

func TestGuardSimulation(t *testing.T) {
	t.Parallel()
	for seed := range max(3, closeSeeds(t)/10) {
		require.NoError(t, simulateGuard(t, seed, guardMistake{}), "seed %d", seed)
	}
}

// guardMistakes are planted ones, which the simulation must see.
var guardMistakes = map[string]guardMistake{
	"partial snapshot applied": {rows: func(_ schemas.System, rows []schemas.Row) []schemas.Row {
		for i := range rows {
			rows[i].Count = min(rows[i].Count, 1)
		}
		return rows
	}},
	"mass end not held": {rules: func(r *guardRules) {
		r.waits = func([]MassEnd) bool { return false }
	}},
	"approval of other content accepted": {tables: func(e *Tables) {
		e.covers = func(context.Context, files, *FileRef, *FileRef) (bool, error) { return true, nil }
	}},
	"national rows bypass the guard": {rules: func(r *guardRules) {
		r.limits = func(u *unitClose) *Guard {
			if u.tally().sum() == 0 {
				return nil
			}
			return u.claim.Guard
		}
	}},
}

func TestGuardSimulationSeesMistakes(t *testing.T) {
	t.Parallel()
	for name, m := range guardMistakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(60) {
				if err := simulateGuard(t, seed, m); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Fatal("not seen in 60 seeds")
		})
	}
}
