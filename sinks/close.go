package sinks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// EngineNumber is raised when the same input may make other rows: an older build then refuses to
// finish the close that a newer one has claimed.
const EngineNumber = 1

// Events reads one system's journal for the close.
type Events interface {
	// Version is the newest entry known, -1 = none.
	Version() int64
	// EntryHash is the SHA-256 of the bytes of an entry.
	EntryHash(ctx context.Context, version int64) (string, error)
	// Rows hands fn the rows of the entries in (from, to]: records (ordinal 0) with
	// value, seals and heartbeats; and, if wanted, the statements with their payload. A row is
	// valid until fn returns.
	Rows(ctx context.Context, from, to int64, statements bool, fn func(*schemas.Row) error) error
}

// Batch holds the statements of one round by unit, sorted, in bounded memory. Add is called by
// one goroutine, then Sort once; after that units are folded side by side.
type Batch interface {
	// Add copies the row.
	Add(u schemas.Unit, r *schemas.Row) error
	Sort(ctx context.Context) error
	// Close frees what the batch holds; it may be called at any time, once.
	Close() error
}

// Engine makes tables of statements. It writes files that nobody reads until an entry or a
// certificate names them; it commits nothing. The result is a function of FoldInput alone.
type Engine interface {
	NewBatch(ctx context.Context) (Batch, error)
	Fold(ctx context.Context, in *FoldInput) (*FoldResult, error)
}

// FoldInput is everything that the tables of one close depend on.
type FoldInput struct {
	Unit       schemas.Unit
	Number     int64
	Leverance  schemas.Day
	Agreements []schemas.Agreement // as pinned
	Before     *Certificate        // tables and close state to go on from; nil = none
	National   *Certificate        // whose close state holds the national rows; nil = none
	Batch      Batch               // the unit's own statements and, under National, those of its area
}

// Deps is what a closer works with. Everything is safe for concurrent use.
type Deps struct {
	Journal      func(ctx context.Context, s schemas.System) (Events, error)
	Tables       store.Store // the delivered root: tables and certificates
	Engine       Engine
	Agreements   *schemas.Agreements
	Datasets     map[schemas.DatasetName]*schemas.Dataset
	Clock        func() time.Time  // the moment of a round that is given none
	Progress     func(Progress)    // may be nil; called by several goroutines
	Fingerprints map[string]string // of schemas and lists that the tables rest on
	Writer       string            // who this process is
	Build        string
	Workers      int // units at a time; 0 = 4
}

// Progress is one thing a round has done.
type Progress struct {
	Unit        schemas.Unit
	Certificate int64 // the certificate that is there now; 0 with Rows: rows read so far
	Rows        int64
}

// Report is what a round came to. A unit that had nothing new is in none of the lists.
type Report struct {
	Closed map[schemas.Unit]*Certificate // made, or finished for another closer
	Left   []schemas.Unit                // others were faster all along: the next round goes on
	Failed map[schemas.Unit]error
}

// Closer makes certificates. It may be stopped at any point and run beside any number of others
// (docs/decisions/0003-close-protocol.md). What it remembers between rounds only saves reading.
// Rounds of one Closer run one at a time.
type Closer struct {
	deps     Deps
	rules    closeRules
	heads    map[schemas.Unit]*Certificate
	accounts map[schemas.System]*Accounts
	entries  map[entryOf]string                        // hashes of journal entries that were compared
	quiet    map[schemas.Unit]map[schemas.System]int64 // nothing for the unit up to here
	mu       sync.Mutex                                // guards heads, quiet and the report
}

// NewCloser makes a closer that remembers nothing yet.
func NewCloser(d Deps) *Closer {
	if d.Workers == 0 {
		d.Workers = 4
	}
	if d.Progress == nil {
		d.Progress = func(Progress) {}
	}
	return &Closer{deps: d, rules: closeProtocol(), heads: map[schemas.Unit]*Certificate{},
		accounts: map[schemas.System]*Accounts{}, entries: map[entryOf]string{},
		quiet: map[schemas.Unit]map[schemas.System]int64{}}
}

// CloseRound is one round of a new closer; a process that closes again and again keeps a Closer.
func CloseRound(ctx context.Context, d Deps, now time.Time, units []schemas.Unit) (*Report, error) {
	return NewCloser(d).Round(ctx, now, units)
}

// entryOf names an entry of a journal.
type entryOf struct {
	system  schemas.System
	version int64
}

// turnsMax bounds how often a round starts over because other closers were faster.
const turnsMax = 16

// Round brings the units (none = all) up to the journal as it stands, and their days up to now
// (zero: by the clock). The error is of the world as a whole; a unit's own is in the report and
// stops no other unit.
func (c *Closer) Round(ctx context.Context, now time.Time, units []schemas.Unit) (*Report, error) {
	if len(units) == 0 {
		units = c.deps.Agreements.Units()
	}
	if now.IsZero() {
		now = c.deps.Clock()
	}
	todo := units
	report := &Report{Closed: map[schemas.Unit]*Certificate{}, Failed: map[schemas.Unit]error{}}
	for range turnsMax {
		t := &turn{closer: c, now: schemas.InstantOf(now), report: report}
		again, err := t.run(ctx, c.withNational(todo, report.Failed))
		if err != nil {
			return report, err
		}
		if todo = again; len(todo) == 0 {
			break
		}
	}
	report.Left = todo
	return report, nil
}

// withNational puts before the units the national unit of each of their areas that has one and
// has not failed.
func (c *Closer) withNational(units []schemas.Unit, failed map[schemas.Unit]error) []schemas.Unit {
	all := map[schemas.Unit]bool{}
	for _, u := range units {
		all[u] = true
		if n := nationalOf(u.Area); c.hasNational(u.Area) && failed[n] == nil {
			all[n] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), compareUnits)
}

// ownerResidence is the owner role of datasets whose source names no municipality.
const ownerResidence = "bopael"

// hasNational: rows that name no single municipality are those of datasets that follow residence.
func (c *Closer) hasNational(a schemas.Area) bool {
	for name, d := range c.deps.Datasets {
		if name.Area() == a && d.Owner == ownerResidence {
			return true
		}
	}
	return false
}

func nationalOf(a schemas.Area) schemas.Unit {
	return schemas.Unit{Kommune: schemas.National, Area: a}
}

func compareUnits(a, b schemas.Unit) int {
	return cmp.Or(cmp.Compare(a.Kommune, b.Kommune), cmp.Compare(a.Area, b.Area))
}

// systems are those that speak for a unit now or did when it was last closed.
func (c *Closer) systems(u schemas.Unit, before *Certificate) []schemas.System {
	all := map[schemas.System]bool{}
	for _, a := range c.deps.Agreements.All() {
		if a.Area == u.Area && (a.Kommune == u.Kommune || u.Kommune == schemas.National) {
			all[a.System] = true
		}
	}
	if before != nil {
		for s := range before.Points {
			all[s] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// turn is one attempt of a round: journal positions are fixed at its start. If there are claims
// that nobody has finished, it finishes those and nothing else.
type turn struct {
	closer   *Closer
	now      schemas.Instant
	report   *Report
	journals map[schemas.System]Events
	points   Points
	broken   map[schemas.System]error
}

// standing is where a unit is.
type standing struct {
	unit    schemas.Unit
	before  *Certificate
	claim   *Claim // of the next number, made earlier and not finished; nil = none
	hash    string // of the claim
	systems []schemas.System
	err     error
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
			claimed[string(k)] = append(claimed[string(k)], s)
		} else {
			free = append(free, s)
		}
	}
	if len(claimed) == 0 {
		return (&pass{turn: t, points: t.points}).run(ctx, free)
	}
	for _, k := range slices.Sorted(maps.Keys(claimed)) {
		p := &pass{turn: t, points: claimed[k][0].claim.Points}
		if _, err := p.run(ctx, claimed[k]); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(todo, func(u schemas.Unit) bool { return t.report.Failed[u] != nil }), nil
}

// find reads where the units are, several at a time: a store answers slowly, and there may be
// many.
func (t *turn) find(ctx context.Context, todo []schemas.Unit) []*standing {
	c := t.closer
	all := make([]*standing, len(todo))
	for i, u := range todo {
		all[i] = &standing{unit: u, before: c.heads[u]}
	}
	each(c.deps.Workers, all, func(s *standing) { s.err = s.find(ctx, c.deps.Tables) })
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
		s.systems = slices.Sorted(maps.Keys(s.claim.Points))
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
		all = append(all, s.claim.Points[system])
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
