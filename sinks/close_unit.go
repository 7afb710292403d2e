package sinks

import (
	"bytes"
	"context"
	"fmt"

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
	MassEnds   []MassEnd
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
	if isStatus(u.unit) {
		return u.runStatus(ctx)
	}
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
	if u.waiting == nil {
		day := u.leverance()
		if day == schemas.Always {
			return endNothing, nil
		}
		u.claim.Leverance = day.String()
		if err := u.fold(ctx); err != nil {
			return endNothing, err
		}
	}
	if _, err := u.guarded(ctx); err != nil {
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
		Fingerprints: d.Fingerprints, Writer: d.Writer, Guard: d.Guard}
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

// judge gives the days' states as they follow from the certificate before; in an audit, which
// folds from nothing, from the one that stands before the certificate in question.
func (u *unitClose) judge(ctx context.Context) error {
	c := u.pass.turn.closer
	b := dayBasis{before: u.before, rows: u.tally(), tables: c.deps.Tables}
	if other, ok := c.bases[u.unit]; ok {
		b = other
	}
	j, err := newJudge(u.unit, u.agreements, u.pass.viewsOf(u.standing), u.claim.Now, b.before, b.rows)
	if err != nil {
		return err
	}
	j.held = u.claim.Held
	j.older = func(d schemas.Day) (DayState, error) { return b.olderState(ctx, u.unit, d) }
	if u.verdict, err = j.judge(); err != nil {
		return err
	}
	return nil
}

// dayBasis is what the states of a unit's days go on from.
type dayBasis struct {
	before *Certificate
	rows   tally       // statements since then
	tables store.Store // where older certificates are
	// of an audit: of the statements, those of replays
	replays replayTallies
}

// olderState walks back to the certificate that last told of a day.
func (b *dayBasis) olderState(ctx context.Context, u schemas.Unit, d schemas.Day,
) (DayState, error) {
	for c := b.before; c != nil; {
		for _, r := range c.Days {
			if r.Day == d.String() {
				return r.dayState(), nil
			}
		}
		if c.Number == 1 {
			break
		}
		var err error
		if c, err = ReadCertificate(ctx, b.tables, u, c.Number-1); err != nil {
			return DayState{}, err
		}
	}
	return DayState{}, nil
}

// leverance is the greatest day in play, never less than that of the certificate before; Always =
// none in play. What comes late to a day that has its final state is known from today on: what was
// delivered on that day stays what was delivered.
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
	last := u.before.LeveranceDay()
	if day <= last && u.before.Calendar[u.before.Leverance].final() {
		day = u.claim.Now.Day()
	}
	return max(day, last)
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
	own, national := u.tally().sum(), u.pass.tally[nationalFor(u.unit)].sum()
	if own == 0 && national == 0 && !u.newAgreements() {
		u.result = &FoldResult{}
		if u.before != nil {
			u.result.Incomplete = u.before.Incomplete
		}
		if u.claim.Held != nil {
			u.result.Incomplete = u.claim.Held.Incomplete
		}
		return nil
	}
	day, err := schemas.ParseDay(u.claim.Leverance)
	if err != nil {
		return fmt.Errorf("read claim of %s: %w", u.unit, err)
	}
	in := &FoldInput{Unit: u.unit, Number: u.number(), Leverance: day, Agreements: u.agreements,
		Before: u.before, National: u.national, Batch: u.pass.batch}
	if !u.found { // what a claim says was guarded when it was made
		in.Guard, in.Approved = u.pass.turn.closer.guard.limits(u), u.approvals
	}
	u.result, err = u.pass.turn.closer.deps.Engine.Fold(ctx, in)
	if err != nil {
		return fmt.Errorf("fold %s: %w", u.unit, err)
	}
	return nil
}

// news says whether there is anything to certify: rows of its own, a day's state, a table or
// close state that differs.
func (u *unitClose) news() bool {
	return u.tally().sum() > 0 || len(u.verdict.reports) > 0 || u.newAgreements() ||
		u.result.State != nil || len(u.result.Tables) > 0 ||
		u.before != nil && !u.before.Held.equal(u.claim.Held)
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
	if isStatus(u.unit) {
		return true, nil
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
