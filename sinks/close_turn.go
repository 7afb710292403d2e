package sinks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// turn is one attempt of a round: journal positions are fixed at its start. If there are claims
// that nobody has finished, it finishes those and nothing else.
type turn struct {
	closer   *Closer
	now      schemas.Instant
	report   *Report
	journals map[schemas.System]Events
	points   Points
	together bool // claims of any positions are finished in one pass
	broken   map[schemas.System]error
}

// standing is where a unit is.
type standing struct {
	unit    schemas.Unit
	before  *Certificate
	claim   *Claim // of the next number, made earlier and not finished; nil = none
	hash    string // of the claim
	systems []schemas.System
	// of what the newest certificate says would end; the oldest first
	approvals []*Approval
	waiting   *Held // as this process knows without a fold; nil = fold
	err       error
}

func (t *turn) run(ctx context.Context, todo []schemas.Unit) (again []schemas.Unit, err error) {
	t.journals, t.points = map[schemas.System]Events{}, Points{}
	t.broken = map[schemas.System]error{}
	claimed := map[string][]*standing{}
	var free []*standing
	for _, s := range t.find(ctx, todo) {
		if s.err == nil {
			s.err = t.stand(ctx, s)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if s.err != nil {
			t.report.Failed[s.unit] = s.err
			continue
		}
		delete(t.report.Failed, s.unit)
		if s.claim != nil {
			k, err := Canonical(s.claim.Points)
			if err != nil {
				return nil, err
			}
			if t.together {
				k = nil
			}
			claimed[string(k)] = append(claimed[string(k)], s)
		} else {
			free = append(free, s)
		}
	}
	if len(claimed) == 0 {
		return (&pass{turn: t, points: t.points}).run(ctx, free)
	}
	for _, k := range slices.Sorted(maps.Keys(claimed)) {
		p := &pass{turn: t, points: greatest(claimed[k])}
		if _, err := p.run(ctx, claimed[k]); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(todo, func(u schemas.Unit) bool { return t.report.Failed[u] != nil }), nil
}

// greatest gives the farthest place of each journal that claims rest on.
func greatest(all []*standing) Points {
	points := Points{}
	for _, s := range all {
		for system, x := range s.claim.accountsAt() {
			if was, ok := points[system]; !ok || x.Version > was.Version {
				points[system] = x
			}
		}
	}
	return points
}

// find reads where the units are, several at a time: a store answers slowly, and there may be
// many.
func (t *turn) find(ctx context.Context, todo []schemas.Unit) []*standing {
	c := t.closer
	all := make([]*standing, len(todo))
	for i, u := range todo {
		all[i] = &standing{unit: u, before: c.heads[u]}
	}
	each(c.deps.Workers, all, func(s *standing) {
		known := s.before
		if s.err = s.find(ctx, c.deps.Tables); s.err == nil && s.before != known {
			s.err = ensureText(ctx, c.deps.Tables, s.unit, s.before)
		}
	})
	for _, s := range all {
		if s.err == nil {
			c.heads[s.unit] = s.before
		}
	}
	return all
}

// each calls fn for all, several at a time.
func each[T any](workers int, all []T, fn func(T)) {
	if workers = min(workers, len(all)); workers <= 1 {
		for _, x := range all {
			fn(x)
		}
		return
	}
	queue := make(chan T)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for x := range queue {
				fn(x)
			}
		})
	}
	for _, x := range all {
		queue <- x
	}
	close(queue)
	wg.Wait()
}

// find reads a unit's newest certificate, and the claim of the next if there is one.
func (s *standing) find(ctx context.Context, st store.Store) (err error) {
	if s.before, err = headAfter(ctx, st, s.unit, s.before); err != nil {
		return err
	}
	if s.approvals, err = approvals(ctx, st, s.unit, s.before); err != nil {
		return err
	}
	s.claim, s.hash, err = ReadClaim(ctx, st, s.unit, s.number())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.checkClaim()
}

// stand opens the journals that a unit reads, and checks that they are those it was closed from.
func (t *turn) stand(ctx context.Context, s *standing) error {
	s.systems = t.closer.systems(s.unit, s.before)
	if s.claim != nil {
		s.systems = slices.Sorted(maps.Keys(s.claim.accountsAt()))
	}
	for _, system := range s.systems {
		if err := t.open(ctx, system); err != nil {
			return err
		}
		for _, p := range s.rests(system) {
			if err := t.reaches(ctx, system, p); err != nil {
				return fmt.Errorf("close %s: %w", s.unit, err)
			}
		}
	}
	return nil
}

// rests are the places of a journal that the unit's certificate and claim rest on.
func (s *standing) rests(system schemas.System) []JournalPoint {
	var all []JournalPoint
	if s.before != nil {
		if p, ok := s.before.Points[system]; ok {
			all = append(all, p)
		}
	}
	if s.claim != nil {
		all = append(all, s.claim.accountsAt()[system])
	}
	return all
}

// reaches checks that a journal is the one that was closed before. A closer that was faster may
// have seen more of it: then it is opened again.
func (t *turn) reaches(ctx context.Context, system schemas.System, p JournalPoint) error {
	if p.Version > t.points[system].Version {
		delete(t.journals, system)
		if err := t.open(ctx, system); err != nil {
			return err
		}
	}
	if end := t.points[system].Version; p.Version > end {
		return fmt.Errorf("a certificate or claim rests on entry %d of the journal of %s, "+
			"which ends at %d: restore the journal", p.Version, system, end)
	}
	if p.Version < 0 || t.points[system] == p || t.closer.entries[entryOf{system,
		p.Version}] == p.Hash {
		return nil
	}
	hash, err := t.journals[system].EntryHash(ctx, p.Version)
	if err != nil {
		return fmt.Errorf("read entry %d of the journal of %s: %w", p.Version, system, err)
	}
	if hash != p.Hash {
		return fmt.Errorf("entry %d of the journal of %s is not the one that was closed: "+
			"restore the journal", p.Version, system)
	}
	t.closer.entries[entryOf{system, p.Version}] = p.Hash
	return nil
}

// number is that of the next certificate.
func (s *standing) number() int64 {
	if s.before == nil {
		return 1
	}
	return s.before.Number + 1
}

// from is the entry of a system's journal that the certificate before rests on.
func (s *standing) from(system schemas.System) int64 {
	if s.before != nil {
		if p, ok := s.before.Points[system]; ok {
			return p.Version
		}
	}
	return -1
}

func (s *standing) previous() string {
	if s.before == nil {
		return ""
	}
	return s.before.hash
}

func (s *standing) checkClaim() error {
	if s.claim.Previous != s.previous() {
		return fmt.Errorf("close %s: the claim of number %d was made after another certificate "+
			"than number %d: one of the two was changed; restore it from a copy",
			s.unit, s.claim.Number, s.claim.Number-1)
	}
	if s.claim.Engine > EngineNumber {
		return fmt.Errorf("close %s: number %d was begun by a newer build (engine %d, this one is %d): "+
			"finish it with that build", s.unit, s.claim.Number, s.claim.Engine, EngineNumber)
	}
	return nil
}

// open fixes a system's position for this turn.
func (t *turn) open(ctx context.Context, system schemas.System) error {
	if err := t.broken[system]; err != nil {
		return err
	}
	if _, ok := t.journals[system]; ok {
		return nil
	}
	j, err := t.closer.deps.Journal(ctx, system)
	if err == nil {
		p := JournalPoint{Version: j.Version()}
		if p.Version >= 0 {
			p.Hash, err = j.EntryHash(ctx, p.Version)
		}
		t.points[system] = p
	}
	if err != nil {
		t.broken[system] = fmt.Errorf("open journal of %s: %w", system, err)
		return t.broken[system]
	}
	t.journals[system] = j
	return nil
}
