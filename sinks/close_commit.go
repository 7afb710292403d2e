package sinks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// closeRules are the decisions that two closers and a crash hang on, as values: the simulation
// plants a mistake in each and must see it.
type closeRules struct {
	// adopts takes over the claim that won; false: it was made for other input than was folded.
	adopts func(ctx context.Context, u *unitClose, theirs *Claim) (bool, error)
	// commit gives the version at which a change stands in the table.
	commit func(ctx context.Context, log *delta.Log, version int64, c *delta.Commit) (int64, error)
	// status gives the statements of status.lukning that an area's certificate makes.
	status func(u schemas.Unit, c *Certificate) ([]schemas.Row, error)
	// publish makes what a close shows, in its order.
	publish func(ctx context.Context, u *unitClose) error
}

func closeProtocol() closeRules {
	return closeRules{adopts: adoptSame, commit: commitOnce, publish: tablesThenCertificate,
		status: statusRows}
}

func tablesThenCertificate(ctx context.Context, u *unitClose) error {
	tables, err := u.commitTables(ctx)
	if err != nil {
		return err
	}
	return u.certify(ctx, tables)
}

// commitOnce: what holds the version already is judged by its txn, by tableRef.
func commitOnce(ctx context.Context, log *delta.Log, version int64, c *delta.Commit,
) (int64, error) {
	if err := log.Create(ctx, version, c); err != nil && !errors.Is(err, store.ErrExists) {
		return version, err
	}
	return version, nil
}

// commitTables makes the next version of each changed table, history before current: a row that
// is replaced is at no moment in neither. Whatever version is found there already with this
// close's txn is this close's.
func (u *unitClose) commitTables(ctx context.Context) (map[string]*DatasetRef, error) {
	tables := map[string]*DatasetRef{}
	if u.before != nil {
		for name, d := range u.before.Tables {
			tables[name] = &DatasetRef{Current: d.Current.unchanged(), History: d.History.unchanged()}
		}
	}
	changes := slices.Clone(u.result.Tables)
	slices.SortStableFunc(changes, func(a, b TableChange) int {
		return boolInt(b.History) - boolInt(a.History)
	})
	for _, c := range changes {
		d := tables[string(c.Dataset)]
		if d == nil {
			d = &DatasetRef{}
			tables[string(c.Dataset)] = d
		}
		ref := &d.Current
		if c.History {
			ref = &d.History
		}
		var err error
		if *ref, err = u.commitTable(ctx, c, *ref); err != nil {
			return nil, err
		}
	}
	if u.found {
		return tables, u.commitsOfOthers(ctx, tables)
	}
	return tables, nil
}

// commitsOfOthers takes in what the closer whose claim this is has committed to tables in which
// this one finds no change: it may have been another build. Such a commit is there for good.
func (u *unitClose) commitsOfOthers(ctx context.Context, tables map[string]*DatasetRef) error {
	d := &u.pass.turn.closer.deps
	for _, name := range slices.Sorted(maps.Keys(d.Datasets)) {
		if name.Area() != u.unit.Area {
			continue
		}
		have := cmp.Or(tables[string(name)], &DatasetRef{})
		for _, history := range []bool{true, false} {
			ref := &have.Current
			if history {
				ref = &have.History
			}
			if *ref != nil && (*ref).Since == u.number() {
				continue
			}
			version := int64(0)
			if *ref != nil {
				version = (*ref).Version + 1
			}
			prefix := schemas.TablePrefix(u.unit.Kommune, name, history)
			found, err := tableRef(ctx, delta.Open(d.Tables, prefix), version, u.unit, u.number())
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return fmt.Errorf("read %s version %d: %w", prefix, version, err)
			}
			*ref, tables[string(name)] = found, have
		}
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unchanged is the reference as the next certificate carries it on.
func (r *TableRef) unchanged() *TableRef {
	if r == nil {
		return nil
	}
	c := *r
	c.New, c.Removed = nil, nil
	return &c
}

func (u *unitClose) commitTable(ctx context.Context, c TableChange, before *TableRef,
) (*TableRef, error) {
	version := int64(0)
	if before != nil {
		version = before.Version + 1
	}
	prefix := schemas.TablePrefix(u.unit.Kommune, c.Dataset, c.History)
	log := delta.Open(u.pass.turn.closer.deps.Tables, prefix)
	version, err := u.pass.turn.closer.rules.commit(ctx, log, version, u.tableCommit(c))
	if err != nil {
		return nil, fmt.Errorf("commit %s version %d: %w", prefix, version, err)
	}
	ref, err := tableRef(ctx, log, version, u.unit, u.number())
	if err != nil {
		return nil, fmt.Errorf("read %s version %d: %w", prefix, version, err)
	}
	return ref, nil
}

// tableCommit is the change as this close makes it: by the txn, whoever meets it knows whose it
// is.
func (u *unitClose) tableCommit(c TableChange) *delta.Commit {
	commit := *c.Commit
	commit.Txns = map[string]int64{u.unit.String(): u.number()}
	commit.Info = map[string]any{"format": CertificateFormat, "krav": u.hash, "nr": u.number(),
		"skriver": u.pass.turn.closer.deps.Writer, "operation": KindClose}
	return &commit
}

// certify puts the certificate: the commit point. Where one is there already, it is that of this
// very close.
func (u *unitClose) certify(ctx context.Context, tables map[string]*DatasetRef) error {
	d := &u.pass.turn.closer.deps
	c := &Certificate{Format: CertificateFormat, Kind: KindClose, Unit: u.unit.String(),
		Number:    u.number(),
		Leverance: u.claim.Leverance, Previous: u.claim.Previous, Claim: u.hash, Now: u.claim.Now,
		Points: u.claim.Points, National: u.claim.National, Tables: tables, Days: u.verdict.reports,
		Calendar: u.verdict.calendar, Settled: u.verdict.settled.String(), Began: u.verdict.began,
		Counts: Counts{Rows: u.tally().sum(), Late: u.verdict.late, Clipped: u.result.Clipped,
			Parked: u.verdict.parked},
		Replays:    u.pass.replay.refs(u.unit, u.verdict.reports),
		Incomplete: u.result.Incomplete, Agreements: u.claim.Agreements,
		Guard: u.claim.Guard, Approvals: u.claim.Approvals, Held: u.claim.Held,
		Accounts: u.claim.Accounts, Basis: u.claim.Basis,
		Fingerprints: u.claim.Fingerprints,
		Engine:       u.claim.Engine, Writer: d.Writer, Build: d.Build}
	if c.State = u.result.State; c.State == nil && u.before != nil {
		c.State = u.before.State
	}
	if c.Days == nil {
		c.Days = []DayReport{}
	}
	b, err := c.encode()
	if err != nil {
		return err
	}
	got, err := createOrRead(ctx, d.Tables, schemas.CertificateKey(u.unit, u.number()), b)
	if err != nil {
		return err
	}
	if u.certificate, err = decodeCertificate(u.unit, u.number(), got); err != nil {
		return err
	}
	if u.certificate.Claim != u.hash {
		return fmt.Errorf("close %s: certificate %d belongs to another claim than the one "+
			"that is there: one of the two was changed; restore it from a copy", u.unit, u.number())
	}
	return ensureText(ctx, d.Tables, u.unit, u.certificate)
}
