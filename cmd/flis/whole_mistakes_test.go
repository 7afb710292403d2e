package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/streams/curated"
)

// wholeMistakes are the ones that the simulation must see; each is planted in every process.
func wholeMistakes() map[string]wholeMistake {
	return map[string]wholeMistake{
		"generation ignored":       {deps: alterRows(dropGenerations)},
		"partial snapshot applied": {deps: alterRows(completeSnapshots)},
		"marker before tables": {log: func(s *wholeSim, l curated.Log) curated.Log {
			return markerFirst{l, s}
		}},
		"late row dropped":           {deps: alterRows(dropLateRows)},
		"clip forgotten":             {deps: alterFold(ownAllTime)},
		"ownership of the dead lost": {deps: alterRows(dropDead), from: 28},
		"a removed stay kept":        {deps: alterRows(dropSnapshots("borger.adresse"))},
		"delete not kept":            {deps: alterRows(dropDeletes)},
		"certificate before tables":  {tables: func(st store.Store) store.Store { return &lateTables{Store: st} }},
		"rebase over own stream": {internal: func(st store.Store) store.Store {
			return nextNumber{st, "journal/"}
		}},
		"two closers' versions both kept": {tables: func(st store.Store) store.Store {
			return nextNumber{st, "kommune="}
		}},
	}
}

// alterRows changes what a closer reads of the journals.
func alterRows(alter func() func(*schemas.Row) bool) func(*sinks.Deps) {
	return func(d *sinks.Deps) {
		open := d.Journal
		d.Journal = func(ctx context.Context, s schemas.System) (sinks.Events, error) {
			e, err := open(ctx, s)
			return alteredEvents{e, alter}, err
		}
	}
}

// alteredEvents leaves rows out, or changes them: false = the row is not there.
type alteredEvents struct {
	sinks.Events
	alter func() func(*schemas.Row) bool
}

func (e alteredEvents) Rows(ctx context.Context, from, to int64, statements bool,
	fn func(*schemas.Row) error) error {
	keep := e.alter()
	return e.Events.Rows(ctx, from, to, statements, func(r *schemas.Row) error {
		if c := *r; keep(&c) {
			return fn(&c)
		}
		return nil
	})
}

func dropLateRows() func(*schemas.Row) bool {
	newest := schemas.Always
	return func(r *schemas.Row) bool {
		newest = max(newest, r.Leverance)
		return r.Dataset == "" || r.Leverance == newest
	}
}

// dropDead leaves out what CPR says of the dead since their death.
func dropDead() func(*schemas.Row) bool {
	return func(r *schemas.Row) bool {
		return r.Dataset != "borger.person" || !bytes.Contains(r.Payload, []byte("\x0490"))
	}
}

func dropSnapshots(d schemas.DatasetName) func() func(*schemas.Row) bool {
	return func() func(*schemas.Row) bool {
		return func(r *schemas.Row) bool { return r.Op != schemas.OpSnapshot || r.Dataset != d }
	}
}

func dropDeletes() func(*schemas.Row) bool {
	return func(r *schemas.Row) bool { return r.Op != schemas.OpDelete }
}

func dropGenerations() func(*schemas.Row) bool {
	return func(r *schemas.Row) bool { return r.Generation == 0 }
}

// completeSnapshots takes each part of a list for the whole of it.
func completeSnapshots() func(*schemas.Row) bool {
	return func(r *schemas.Row) bool {
		if r.Op == schemas.OpSnapshot && r.Snapshot != "" {
			r.Count = 1
		}
		return true
	}
}

// alterFold changes what tables are folded of.
func alterFold(alter func(*sinks.FoldInput)) func(*sinks.Deps) {
	return func(d *sinks.Deps) { d.Engine = alteredEngine{d.Engine, alter} }
}

type alteredEngine struct {
	sinks.Engine
	alter func(*sinks.FoldInput)
}

func (e alteredEngine) Fold(ctx context.Context, in *sinks.FoldInput) (*sinks.FoldResult, error) {
	c := *in
	e.alter(&c)
	return e.Engine.Fold(ctx, &c)
}

func ownAllTime(in *sinks.FoldInput) {
	all := make([]schemas.Agreement, len(in.Agreements))
	for i, a := range in.Agreements {
		a.From, a.To = schemas.Always, schemas.Open
		all[i] = a
	}
	in.Agreements = all
}

// lateTables puts the commits of tables off until the certificate is there.
type lateTables struct {
	store.Store
	held map[string][]byte
	keys []string
}

func (s *lateTables) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	switch {
	case strings.HasPrefix(key, "kommune=") && strings.Contains(key, "/_delta_log/"):
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return err
		}
		if s.held == nil {
			s.held = map[string][]byte{}
		}
		s.held[key], s.keys = b.Bytes(), append(s.keys, key)
		return nil
	case strings.HasPrefix(key, "bevis/") && strings.HasSuffix(key, ".txt"):
		for _, k := range s.keys {
			if err := store.CreateBytes(ctx, s.Store, k, s.held[k]); err != nil {
				return err
			}
		}
		s.held, s.keys = nil, nil
	}
	return s.Store.Create(ctx, key, write)
}

func (s *lateTables) Open(ctx context.Context, key string) (store.Object, error) {
	if b, ok := s.held[key]; ok {
		return heldObject{bytes.NewReader(b)}, nil
	}
	return s.Store.Open(ctx, key)
}

type heldObject struct{ *bytes.Reader }

func (heldObject) Close() error { return nil }

// nextNumber answers a lost race for an entry of a log by taking the next number with the same entry.
type nextNumber struct {
	store.Store
	prefix string
}

func (s nextNumber) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	err := store.CreateBytes(ctx, s.Store, key, b.Bytes())
	var n int64
	folder, name, ok := strings.Cut(key, "/_delta_log/")
	if !errors.Is(err, store.ErrExists) || !strings.HasPrefix(key, s.prefix) || !ok {
		return err
	}
	if _, scanErr := fmt.Sscanf(name, "%020d.json", &n); scanErr != nil {
		return err
	}
	return store.CreateBytes(ctx, s.Store, fmt.Sprintf("%s/_delta_log/%020d.json", folder, n+1), b.Bytes())
}

// TestWholeSimulationSeesMistakes: each planted mistake is seen within so many seeds, or the suite
// fails. It takes minutes: .ci/run runs it with the many seeds.
func TestWholeSimulationSeesMistakes(t *testing.T) {
	t.Parallel()
	if os.Getenv("FLIS_WHOLE_TIME") == "" {
		t.Skip("FLIS_WHOLE_TIME says how long the whole simulation may run")
	}
	const seeds = 60
	for name, m := range wholeMistakes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(seeds) {
				if _, err := simulateWhole(t.Context(), t.TempDir(), m.from+seed, m); err != nil {
					t.Logf("seed %d: %v", m.from+seed, err)
					return
				}
			}
			require.Fail(t, "not seen", "in %d seeds", seeds)
		})
	}
}
