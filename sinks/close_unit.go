package sinks

import (
	"bytes"
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

// FoldResult is what a close would change. Files are written; nothing names them yet.
type FoldResult struct {
	State      *FileRef // the new close state; nil = it stays as it was
	Tables     []TableChange
	Clipped    int64
	Incomplete []string // snapshots whose members have not all landed: they have no effect yet
}

// TableChange is the next version of one table. The close adds txn and the commit's info.
type TableChange struct {
	Dataset schemas.DatasetName
	History bool
	Commit  *delta.Commit
}

type end uint8

const (
	endNothing end = iota // nothing new: no certificate
	endAgain              // another closer has gone on from here
	endClosed
)

// unitClose makes one certificate. Order: fold (files only), claim, table commits, certificate.
type unitClose struct {
	*standing
	pass        *pass
	agreements  []schemas.Agreement
	national    *Certificate
	verdict     *verdict
	result      *FoldResult
	found       bool // the claim was there
	certificate *Certificate
}

func (u *unitClose) run(ctx context.Context) (end, error) {
	u.found = u.claim != nil
	if err := u.pin(ctx); err != nil {
		return endNothing, err
	}
	if err := u.judge(ctx); err != nil {
		return endNothing, err
	}
	if u.found {
		if err := u.fold(ctx); err != nil {
			return endNothing, err
		}
		return endClosed, u.pass.turn.closer.rules.publish(ctx, u)
	}
	day := u.leverance()
	if day == schemas.Always {
		return endNothing, nil
	}
	u.claim.Leverance = day.String()
	if err := u.fold(ctx); err != nil {
		return endNothing, err
	}
	if !u.news() {
		return endNothing, nil
	}
	if same, err := u.claimNumber(ctx); err != nil || !same {
		return endAgain, err
	}
	return endClosed, u.pass.turn.closer.rules.publish(ctx, u)
}

// closeRules are the decisions that two closers and a crash hang on, as values: the simulation
// plants a mistake in each and must see it.
type closeRules struct {
	// adopts takes over the claim that won; false: it was made for other input than was folded.
	adopts func(ctx context.Context, u *unitClose, theirs *Claim) (bool, error)
	// commit gives the version at which a change stands in the table.
	commit func(ctx context.Context, log *delta.Log, version int64, c *delta.Commit) (int64, error)
	// publish makes what a close shows, in its order.
	publish func(ctx context.Context, u *unitClose) error
}

func closeProtocol() closeRules {
	return closeRules{adopts: adoptSame, commit: commitOnce, publish: tablesThenCertificate}
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

// pin gathers all that the close depends on: from the claim that was found, else as it is now.
func (u *unitClose) pin(ctx context.Context) (err error) {
	d := &u.pass.turn.closer.deps
	if u.claim != nil {
		if u.claim.National != nil {
			n, area := u.claim.National, nationalOf(u.unit.Area)
			if u.national, err = ReadCertificate(ctx, d.Tables, area, n.Number); err != nil {
				return fmt.Errorf("close %s: read national certificate: %w", u.unit, err)
			}
			if u.national.hash != n.SHA256 {
				return brokenChain(area, n.Number)
			}
		}
		u.agreements, err = agreements(u.unit, u.claim.Agreements)
		return err
	}
	u.agreements = d.Agreements.Unit(u.unit)
	u.claim = &Claim{Format: CertificateFormat, Kind: KindClaim, Unit: u.unit.String(),
		Number: u.number(), Previous: u.previous(), Points: Points{}, Now: u.pass.turn.now,
		Agreements: agreementRefs(u.agreements), Engine: EngineNumber,
		Fingerprints: d.Fingerprints, Writer: d.Writer}
	for _, s := range u.systems {
		u.claim.Points[s] = u.pass.points[s]
	}
	if u.unit.Kommune == schemas.National {
		return nil
	}
	if u.national = u.pass.turn.closer.head(nationalOf(u.unit.Area)); u.national != nil {
		u.claim.National = &CertificateRef{u.national.Number, u.national.hash}
	}
	return nil
}

func (c *Closer) head(u schemas.Unit) *Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heads[u]
}

func (u *unitClose) judge(ctx context.Context) error {
	j, err := newJudge(u.unit, u.agreements, u.pass.views, u.claim.Now, u.before, u.pass.tally[u.unit])
	if err != nil {
		return err
	}
	j.older = func(d schemas.Day) (DayState, error) { return u.olderState(ctx, d) }
	if u.verdict, err = j.judge(); err != nil {
		return err
	}
	return nil
}

// olderState walks back to the certificate that last told of a day.
func (u *unitClose) olderState(ctx context.Context, d schemas.Day) (DayState, error) {
	st := u.pass.turn.closer.deps.Tables
	for c := u.before; c != nil; {
		for _, r := range c.Days {
			if r.Day == d.String() {
				return DayState{r.State, r.Revised}, nil
			}
		}
		if c.Number == 1 {
			break
		}
		var err error
		if c, err = ReadCertificate(ctx, st, u.unit, c.Number-1); err != nil {
			return DayState{}, err
		}
	}
	return DayState{}, nil
}

// leverance is the greatest day in play, never less than that of the certificate before; Always =
// none in play.
func (u *unitClose) leverance() schemas.Day {
	day := schemas.Always
	for d := range u.pass.tally[u.unit] {
		day = max(day, d)
	}
	for d := range u.pass.tally[nationalFor(u.unit)] {
		day = max(day, d)
	}
	for _, d := range u.verdict.changed {
		day = max(day, d)
	}
	if u.newAgreements() { // no delivery brings them: they are known from today on
		day = max(day, u.claim.Now.Day())
	}
	if u.before == nil || day == schemas.Always {
		return day
	}
	return max(day, u.before.LeveranceDay())
}

// newAgreements says whether the unit is to be cut otherwise than before.
func (u *unitClose) newAgreements() bool {
	if u.before == nil {
		return false
	}
	a, errA := Canonical(u.before.Agreements)
	b, errB := Canonical(u.claim.Agreements)
	return errA != nil || errB != nil || !bytes.Equal(a, b)
}

// fold makes the tables; a close that only changes the state of days has none to make.
func (u *unitClose) fold(ctx context.Context) (err error) {
	own, national := u.pass.tally[u.unit].sum(), u.pass.tally[nationalFor(u.unit)].sum()
	if own == 0 && national == 0 && !u.newAgreements() {
		u.result = &FoldResult{}
		if u.before != nil {
			u.result.Incomplete = u.before.Incomplete
		}
		return nil
	}
	day, err := schemas.ParseDay(u.claim.Leverance)
	if err != nil {
		return fmt.Errorf("read claim of %s: %w", u.unit, err)
	}
	in := &FoldInput{Unit: u.unit, Number: u.number(), Leverance: day, Agreements: u.agreements,
		Before: u.before, National: u.national, Batch: u.pass.batch}
	u.result, err = u.pass.turn.closer.deps.Engine.Fold(ctx, in)
	if err != nil {
		return fmt.Errorf("fold %s: %w", u.unit, err)
	}
	return nil
}

// news says whether there is anything to certify: rows of its own, a day's state, a table or
// close state that differs.
func (u *unitClose) news() bool {
	return u.pass.tally[u.unit].sum() > 0 || len(u.verdict.reports) > 0 || u.newAgreements() ||
		u.result.State != nil || len(u.result.Tables) > 0
}

// claimNumber puts the claim; false: another closer has claimed the number for other input.
func (u *unitClose) claimNumber(ctx context.Context) (bool, error) {
	b, err := Canonical(u.claim)
	if err != nil {
		return false, err
	}
	got, err := createOrRead(ctx, u.pass.turn.closer.deps.Tables, ClaimKey(u.unit, u.number()), b)
	if err != nil {
		return false, err
	}
	u.hash = hashOf(got)
	if bytes.Equal(got, b) {
		return true, nil
	}
	theirs, err := decodeClaim(u.unit, u.number(), got)
	if err != nil {
		return false, err
	}
	return u.pass.turn.closer.rules.adopts(ctx, u, theirs)
}

func adoptSame(ctx context.Context, u *unitClose, theirs *Claim) (bool, error) {
	if !sameInput(u.claim, theirs) {
		return false, nil
	}
	u.claim = theirs
	if err := u.checkClaim(); err != nil {
		return false, err
	}
	return true, u.judge(ctx) // by their moment, not ours
}

// sameInput compares what a fold depends on: not who claimed, and not the moment.
func sameInput(a, b *Claim) bool {
	x, y := *a, *b
	x.Writer, y.Writer, x.Now, y.Now = "", "", 0, 0
	bx, errX := Canonical(x)
	by, errY := Canonical(y)
	return errX == nil && errY == nil && bytes.Equal(bx, by)
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
		Counts: Counts{Rows: u.pass.tally[u.unit].sum(), Late: u.verdict.late, Clipped: u.result.Clipped,
			Parked: u.verdict.parked},
		Incomplete: u.result.Incomplete, Agreements: u.claim.Agreements,
		Fingerprints: u.claim.Fingerprints,
		Engine:       u.claim.Engine, Writer: d.Writer, Build: d.Build}
	if c.State = u.result.State; c.State == nil && u.before != nil {
		c.State = u.before.State
	}
	if c.Days == nil {
		c.Days = []DayReport{}
	}
	b, err := Canonical(c)
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
	return nil
}
