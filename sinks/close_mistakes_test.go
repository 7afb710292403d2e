package sinks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// closeMistake is a planted one; the zero value is none.
type closeMistake struct {
	rules     func(*closeRules)
	engine    func(*plainEngine)
	rows      func() func(schemas.System, []schemas.Row) []schemas.Row
	overwrite bool // a claim takes the place of one that is there
}

// lastClaimWins is a store that overwrites claims, as a rename does.
type lastClaimWins struct{ store.Store }

func (o lastClaimWins) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	if !strings.HasSuffix(key, ".krav.json") {
		return o.Store.Create(ctx, key, write)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	return o.Replace(ctx, key, b.Bytes())
}

// closeMistakes are the ones that the simulation must see.
func closeMistakes() map[string]closeMistake {
	return map[string]closeMistake{
		"certificate before tables": {rules: func(r *closeRules) {
			r.publish = certificateThenTables
		}},
		"two closers' versions both kept": {rules: func(r *closeRules) { r.commit = commitAnyway }},
		"positions not pinned": {rules: func(r *closeRules) {
			r.adopts = func(context.Context, *unitClose, *Claim) (bool, error) { return true, nil }
		}},
		"the last claim wins":        {overwrite: true},
		"late row dropped":           {rows: dropLate},
		"removed stay kept":          {engine: func(e *plainEngine) { e.keepsStay = true }},
		"partial day said closed":    {rows: sealLanded},
		"silence counted as zero":    {rows: sealSilence},
		"parked counted as accepted": {rows: hideParked},
	}
}

func TestCloseSimulationSeesMistakes(t *testing.T) {
	t.Parallel()
	for name, m := range closeMistakes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(400) {
				if err := simulateClose(seed, m); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Fatal("not seen in 400 seeds")
		})
	}
}

func commitAnyway(ctx context.Context, log *delta.Log, version int64, c *delta.Commit,
) (int64, error) {
	for {
		err := log.Create(ctx, version, c)
		if !errors.Is(err, store.ErrExists) {
			return version, err
		}
		version++
	}
}

// certificateThenTables names the versions that it is about to make.
func certificateThenTables(ctx context.Context, u *unitClose) error {
	tables := map[string]*DatasetRef{}
	for _, c := range u.result.Tables {
		commit := u.tableCommit(c)
		log := delta.Open(u.pass.turn.closer.deps.Tables, schemas.TablePrefix(u.unit.Kommune, c.Dataset,
			c.History))
		s, err := log.Snapshot(ctx, -1)
		if errors.Is(err, store.ErrNotFound) {
			s, err = &delta.Snapshot{Version: -1}, nil
		}
		if err != nil {
			return err
		}
		raw, err := commit.Encode(s.Version + 1)
		if err != nil {
			return err
		}
		if err := s.Apply(s.Version+1, commit); err != nil {
			return err
		}
		d := tables[string(c.Dataset)]
		if d == nil {
			d = &DatasetRef{}
			tables[string(c.Dataset)] = d
		}
		ref := &TableRef{Version: s.Version, Since: u.number(), Entry: hashOf(raw),
			Digest: FilesDigest(s.Files), Files: len(s.Files)}
		for _, a := range s.Files {
			n, err := rowsOf(a)
			if err != nil {
				return err
			}
			ref.Rows += n
		}
		if c.History {
			d.History = ref
		} else {
			d.Current = ref
		}
	}
	if u.before != nil {
		for name, d := range u.before.Tables {
			if tables[name] == nil {
				tables[name] = &DatasetRef{}
			}
			if tables[name].Current == nil {
				tables[name].Current = d.Current
			}
			if tables[name].History == nil {
				tables[name].History = d.History
			}
		}
	}
	if err := u.certify(ctx, tables); err != nil {
		return err
	}
	_, err := u.commitTables(ctx)
	return err
}

func dropLate() func(schemas.System, []schemas.Row) []schemas.Row {
	newest := schemas.Always
	return func(_ schemas.System, rows []schemas.Row) []schemas.Row {
		var kept []schemas.Row
		for _, r := range rows {
			newest = max(newest, r.Leverance)
			if r.Dataset == "" || r.Leverance >= newest-1 {
				kept = append(kept, r)
			}
		}
		return kept
	}
}

// sealLanded makes every seal agree with what has landed.
func sealLanded() func(schemas.System, []schemas.Row) []schemas.Row {
	accounts := map[schemas.System]*Accounts{}
	return func(s schemas.System, rows []schemas.Row) []schemas.Row {
		if accounts[s] == nil {
			accounts[s] = NewAccounts()
		}
		for i := range rows {
			r := &rows[i]
			if r.Op == schemas.OpSeal && r.Key == "" {
				r.Count = accounts[s].of(r.Kommune, r.Leverance).Distinct()
			}
			accounts[s].Add(r)
		}
		return rows
	}
}

// sealSilence takes it that a vendor who has said nothing of a day has said zero.
func sealSilence() func(schemas.System, []schemas.Row) []schemas.Row {
	newest := schemas.Always
	return func(s schemas.System, rows []schemas.Row) []schemas.Row {
		if len(rows) == 0 || s != simVendor || rows[0].Leverance <= newest {
			return rows
		}
		for d := max(newest+1, rows[0].Leverance-1); d <= rows[0].Leverance; d++ {
			for _, k := range simKommuner {
				rows = append(rows, schemas.Row{Op: schemas.OpSeal, Ordinal: 1, Kommune: k, Leverance: d,
					Event: schemas.ControlEvent, Stated: -1, Outcome: schemas.Accepted})
			}
		}
		newest = rows[0].Leverance
		return rows
	}
}

func hideParked() func(schemas.System, []schemas.Row) []schemas.Row {
	return func(_ schemas.System, rows []schemas.Row) []schemas.Row {
		for i := range rows {
			if rows[i].Outcome == schemas.Parked {
				rows[i].Outcome = schemas.Accepted
			}
		}
		return rows
	}
}
