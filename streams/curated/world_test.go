package curated_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams/curated"
)

// state is what a certificate's tables say: "<dataset>|<key>" to a timeline.
type state map[string]string

var (
	errDead  = errors.New("the process is dead")
	errWorld = errors.New("the broker does not answer")
	unit     = schemas.Unit{Kommune: "0101", Area: "borger"}
	theKey   = curated.MunicipalityKey([]byte("the deployment's"), "0101")
	theIDs   = map[schemas.DatasetName]curated.Schema{
		"borger.person":  {ID: 7, Print: "00000000000000a1"},
		"borger.adresse": {ID: 8, Print: "00000000000000a2"},
	}
)

// newest is what a reader of the whole log makes of it by the last record of each key.
func newest(records []curated.Record) map[string]string {
	got := map[string]string{}
	for _, r := range records {
		if r.Key == curated.MarkerKey {
			continue
		}
		delete(got, r.Key)
		if r.Value != nil {
			got[r.Key] = string(r.Value[5:])
		}
	}
	return got
}

// keyed is a state by record key.
func keyed(s state) map[string]string {
	out := map[string]string{}
	for k, v := range s {
		d, key, _ := strings.Cut(k, "|")
		out[curated.EntityKey(theKey, schemas.DatasetName(d), key)] = v
	}
	return out
}

// memoryTables is a chain of certificates.
type memoryTables struct {
	states []state // of certificate 1, 2, …
	kept   int64   // the least whose files are kept
}

func (t *memoryTables) at(n int64) state {
	if n == 0 {
		return nil
	}
	return t.states[n-1]
}

func (t *memoryTables) Head(context.Context) (int64, error) { return int64(len(t.states)), nil }

func (t *memoryTables) Certificate(_ context.Context, n int64) (curated.Certificate, error) {
	return curated.Certificate{Hash: fmt.Sprintf("hash-%d", n), Leverance: "2026-03-02"}, nil
}

func (t *memoryTables) Changes(_ context.Context, from, to int64,
	fn func(*curated.Change) error) error {
	if to < t.kept || from > 0 && from < t.kept {
		return curated.ErrGone
	}
	before, after := t.at(from), t.at(to)
	keys := map[string]bool{}
	for _, m := range []state{before, after} {
		for k := range m {
			keys[k] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if before[k] == after[k] {
			continue
		}
		d, key, _ := strings.Cut(k, "|")
		c := curated.Change{Dataset: schemas.DatasetName(d), Key: key}
		if v, ok := before[k]; ok {
			c.Before = []byte(v)
		}
		if v, ok := after[k]; ok {
			c.After = []byte(v)
		}
		if err := fn(&c); err != nil {
			return err
		}
	}
	return nil
}

// next adds a certificate: a few entities come, go, change, or change back.
func (t *memoryTables) next(r *rand.Rand) {
	s := maps.Clone(t.at(int64(len(t.states))))
	if s == nil {
		s = state{}
	}
	for range r.IntN(5) {
		k := fmt.Sprintf("%s|%d", []string{"borger.person", "borger.adresse"}[r.IntN(2)], r.IntN(6))
		if r.IntN(3) == 0 {
			delete(s, k)
		} else {
			s[k] = fmt.Sprintf("timeline %d", r.IntN(3))
		}
	}
	t.states = append(t.states, s)
}
