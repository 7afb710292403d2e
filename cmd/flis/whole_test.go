package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/generate"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/streams/curated"
)

// wholeMistake is a planted one; the zero value is none.
type wholeMistake struct {
	internal, tables func(store.Store) store.Store
	deps             func(*sinks.Deps)
	log              func(*wholeSim, curated.Log) curated.Log
	from             uint64 // a seed from which it is soon seen
}

// wholeDays are first days: an ordinary one, one before each change of the clock, before 29 February,
// before the new year.
var wholeDays = []string{"2026-03-02", "2026-03-28", "2026-10-24", "2028-02-28", "2025-12-30"}

// newWholeSim makes the system before its first day.
func newWholeSim(ctx context.Context, dir string, seed uint64, m wholeMistake) (*wholeSim, error) {
	rng := rand.New(rand.NewPCG(seed, 98))
	s := &wholeSim{ctx: ctx, rng: rng, internal: store.NewMemory(), tables: store.NewMemory(),
		mistake: m, scratch: dir, fail: []float64{0, 0.002, 0.01}[seed%3]}
	s.broker = &wholeBroker{topics: map[string]*wholeTopic{},
		now: func() schemas.Instant { return schemas.InstantOf(s.now) }, part: rng.IntN}
	first, err := schemas.ParseDay(wholeDays[rng.IntN(len(wholeDays))])
	if err != nil {
		return nil, err
	}
	s.now = first.Midnight().Time()
	made := filepath.Join(dir, "danmark")
	if s.world, err = generatedWorld(ctx, made, seed, first); err != nil {
		return nil, err
	}
	agreements, err := os.ReadFile(generate.AgreementsFile(made))
	if err != nil {
		return nil, err
	}
	cfg := &config{Dir: dir, Agreements: filepath.Join(dir, agreementsName),
		Catalog: filepath.Join(dir, "katalog")}
	err = errors.Join(os.WriteFile(cfg.Agreements, append(agreements, listsAgreement...), 0o600),
		os.CopyFS(cfg.Catalog, os.DirFS("../../testdata/liste")))
	if err != nil {
		return nil, err
	}
	if s.in, err = newInstallation(quietCommand(), cfg, s.clock); err != nil {
		return nil, err
	}
	s.catalog = s.in.catalog
	if rng.IntN(2) == 0 {
		return s, nil
	}
	s.mend = 1 + rng.IntN(len(s.world.deliveries))
	return s, s.mistakenCodes(cfg)
}

// mistakenCodes begins with a code list of ours that is wrong. It is mended on the way, and what was
// normalised by it is replayed.
func (s *wholeSim) mistakenCodes(cfg *config) error {
	wrong := *cfg
	wrong.Catalog = cfg.Catalog + "-fejl"
	err := os.CopyFS(wrong.Catalog, os.DirFS(cfg.Catalog))
	if err == nil {
		err = os.Mkdir(filepath.Join(wrong.Catalog, "codes"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(wrong.Catalog, "codes", "lokal.csv"), []byte(
			"system;liste;kode;standard;gyldig_fra;gyldig_til;kilde\n"+
				"kmd-nexus;leverandoertype;MUNICIPAL;privat;;;o\n"+
				"cura;leverandoertype;1;privat;;;o\n"+
				"vitae;leverandoertype;K;privat;;;o\n"), 0o600)
	}
	if err != nil {
		return err
	}
	in, err := newInstallation(quietCommand(), &wrong, s.clock)
	if err == nil {
		s.catalog = in.catalog
	}
	return err
}

// simulateWhole runs one seed.
func simulateWhole(
	ctx context.Context,
	dir string,
	seed uint64,
	m wholeMistake,
) (*wholeSim, error) {
	s, err := newWholeSim(ctx, dir, seed, m)
	if err != nil {
		return nil, err
	}
	lives := 4
	for i := range 2 {
		s.start(fmt.Sprint("normaliser ", i), lives, s.normalise)
		s.start(fmt.Sprint("closer ", i), lives, s.close)
		s.start(fmt.Sprint("publisher ", i), lives, s.publishTopics)
	}
	s.start("subscriber", lives, s.follow)
	s.start("replay", lives, s.replay)
	if err := s.run(); err != nil {
		return s, err
	}
	if err := s.settle(); err != nil {
		return s, err
	}
	return s, s.judge()
}

// TestWholeSimulation runs the whole system by seeds; FLIS_WHOLE_SEEDS says how many, FLIS_WHOLE_SEED
// runs one again, FLIS_WHOLE_TIME runs as many as the time holds.
func TestWholeSimulation(t *testing.T) {
	t.Parallel()
	seeds, from, limit := uint64(3), uint64(0), time.Duration(0)
	var err error
	if v := os.Getenv("FLIS_WHOLE_SEEDS"); v != "" {
		seeds, err = strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
	}
	if v := os.Getenv("FLIS_WHOLE_TIME"); v != "" {
		limit, err = time.ParseDuration(v)
		require.NoError(t, err)
		seeds = 1 << 40
	}
	if v := os.Getenv("FLIS_WHOLE_SEED"); v != "" {
		from, err = strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
		seeds = 1
	}
	began := time.Now()
	var next, done, deaths, steps atomic.Int64
	var failed atomic.Bool
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for !failed.Load() && (limit == 0 || time.Since(began) < limit) {
				n := uint64(next.Add(1) - 1)
				if n >= seeds {
					return
				}
				s, err := simulateWhole(t.Context(), t.TempDir(), from+n, wholeMistake{})
				if err != nil {
					failed.Store(true)
					t.Errorf("%v\nrun it again: FLIS_WHOLE_SEED=%d go test ./cmd/flis -run WholeSimulation$",
						err, from+n)
					return
				}
				done.Add(1)
				deaths.Add(int64(s.deaths))
				steps.Add(int64(s.steps))
			}
		})
	}
	workers.Wait()
	t.Logf("%d seeds, %d operations, %d deaths, %s", done.Load(), steps.Load(), deaths.Load(),
		time.Since(began).Round(time.Second))
}
