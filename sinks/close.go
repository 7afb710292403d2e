package sinks

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// EngineNumber is raised when the same input may make other rows: an older build then refuses to
// finish the close that a newer one has claimed.
const EngineNumber = 3

// Events reads one system's journal for the close.
type Events interface {
	// Version is the newest entry known, -1 = none.
	Version() int64
	// EntryHash is the SHA-256 of the bytes of an entry.
	EntryHash(ctx context.Context, version int64) (string, error)
	// Rows hands fn the rows of the entries in (from, to]: records (ordinal 0, without
	// value), seals and heartbeats; and, if wanted, the statements with their payload. A row is
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
	// Earlier is the national certificate before National, if Batch holds every national row between
	// the two: what is looked up is then looked up there. Moved says so; nil and Moved = there was
	// none.
	Earlier  *Certificate
	Moved    bool
	Guard    *Guard      // which ends of open rows are to be told; nil = none
	Approved []*Approval // of the ends that wait
	Batch    Batch       // the unit's own statements and, under National, those of its area
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
	Workers      int         // units at a time; 0 = 4
	Guard        *Guard      // when ends of open rows wait for approval; nil = never
	Accounts     store.Store // the internal root: snapshots of accounts; nil = none
}

// Progress is one thing a round has done.
type Progress struct {
	Unit        schemas.Unit
	Certificate int64 // the certificate that is there now; 0 with Rows: rows read so far
	Rows        int64
	Note        string // what a person may want to know, without personal data
}

// Report is what a round came to. A unit that had nothing new is in none of the lists.
type Report struct {
	Closed map[schemas.Unit]*Certificate // made, or finished for another closer
	Left   []schemas.Unit                // others were faster all along: the next round goes on
	Failed map[schemas.Unit]error
	Held   map[schemas.Unit]*Held // wait for approval, as this process has not told before
}

// Closer makes certificates. It may be stopped at any point and run beside any number of others
// (docs/decisions/0003-close-protocol.md). What it remembers between rounds only saves reading.
// Rounds of one Closer run one at a time.
type Closer struct {
	deps     Deps
	rules    closeRules
	guard    guardRules
	heads    map[schemas.Unit]*Certificate
	accounts map[schemas.System]*Accounts
	entries  map[entryOf]string                        // hashes of journal entries that were compared
	quiet    map[schemas.Unit]map[schemas.System]int64 // nothing for the unit up to here
	bases    map[schemas.Unit]dayBasis                 // of an audit; nil = what is closed
	holds    map[schemas.Unit]*holdMemo
	saved    map[schemas.System]savedAccounts
	statuses map[schemas.Unit]Basis // how far the areas' certificates told nothing new
	mu       sync.Mutex             // guards heads, quiet, holds, statuses and the report
}

// NewCloser makes a closer that remembers nothing yet.
func NewCloser(d Deps) *Closer {
	if d.Workers == 0 {
		d.Workers = 4
	}
	if d.Progress == nil {
		d.Progress = func(Progress) {}
	}
	return &Closer{deps: d, rules: closeProtocol(), guard: guardProtocol(),
		holds: map[schemas.Unit]*holdMemo{}, statuses: map[schemas.Unit]Basis{},
		heads:    map[schemas.Unit]*Certificate{},
		accounts: map[schemas.System]*Accounts{}, entries: map[entryOf]string{},
		quiet: map[schemas.Unit]map[schemas.System]int64{},
		saved: map[schemas.System]savedAccounts{}}
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
	report := &Report{Closed: map[schemas.Unit]*Certificate{}, Failed: map[schemas.Unit]error{},
		Held: map[schemas.Unit]*Held{}}
	for range turnsMax {
		t := &turn{closer: c, now: schemas.InstantOf(now), report: report}
		again, err := t.run(ctx, c.withStatus(c.withNational(todo, report.Failed)))
		if err != nil {
			return report, err
		}
		if todo = again; len(todo) == 0 {
			t.saveAccounts(ctx)
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
