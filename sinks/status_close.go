package sinks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// Basis is the area certificates that a status is made of, by unit: everything that those and the
// ones before them report. It is all that a status depends on.
type Basis map[string]CertificateRef

// withStatus adds the status of each municipality of which an area is closed.
func (c *Closer) withStatus(units []schemas.Unit) []schemas.Unit {
	if c.deps.Datasets[schemas.StatusDataset] == nil {
		return units
	}
	all := slices.Clone(units)
	for _, u := range units {
		if u.Kommune != schemas.National {
			all = append(all, schemas.StatusUnit(u.Kommune))
		}
	}
	slices.SortFunc(all, compareUnits)
	return slices.Compact(all)
}

func isStatus(u schemas.Unit) bool { return u.Area == schemas.StatusArea }

// runStatus makes the certificate of a municipality's status: its rows come from the certificates
// of its areas and from no journal. The steps are those of every unit.
func (u *unitClose) runStatus(ctx context.Context) (end, error) {
	c := u.pass.turn.closer
	u.verdict = statusVerdict()
	if u.found = u.claim != nil; u.found {
		var err error
		if u.agreements, err = agreements(u.unit, u.claim.Agreements); err != nil {
			return endNothing, err
		}
		if _, err := u.foldStatus(ctx, u.basisBefore()); err != nil {
			return endNothing, err
		}
		return endClosed, c.rules.publish(ctx, u)
	}
	if err := u.pinStatus(ctx); err != nil {
		return endNothing, err
	}
	looked := c.looked(u)
	if maps.Equal(looked, u.claim.Basis) {
		return endNothing, nil
	}
	rows, err := u.foldStatus(ctx, looked)
	if err != nil {
		return endNothing, err
	}
	if rows == 0 || u.result.State == nil && len(u.result.Tables) == 0 {
		c.look(u)
		return endNothing, nil
	}
	if same, err := u.claimNumber(ctx); err != nil || !same {
		return endAgain, err
	}
	return endClosed, c.rules.publish(ctx, u)
}

// statusVerdict says nothing of days: the rows do.
func statusVerdict() *verdict {
	return &verdict{calendar: map[string]DayState{}, began: map[schemas.System]string{},
		settled: schemas.Always}
}

func (u *unitClose) basisBefore() Basis {
	if u.before == nil {
		return nil
	}
	return u.before.Basis
}

// looked is how far this process has read the areas' certificates: at least what the unit's own
// certificate rests on; beyond it, those that reported no day.
func (c *Closer) looked(u *unitClose) Basis {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, seen := u.basisBefore(), c.statuses[u.unit]
	for unit, ref := range before {
		if seen[unit].Number < ref.Number {
			return before
		}
	}
	return seen
}

func (c *Closer) look(u *unitClose) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses[u.unit] = u.claim.Basis
}

// pinStatus pins the newest certificates of the municipality's areas.
func (u *unitClose) pinStatus(ctx context.Context) error {
	c := u.pass.turn.closer
	u.agreements = []schemas.Agreement{schemas.StatusAgreement(u.unit.Kommune)}
	u.claim = &Claim{Format: CertificateFormat, Kind: KindClaim, Unit: u.unit.String(),
		Number: u.number(), Previous: u.previous(), Points: Points{}, Now: u.pass.turn.now,
		Agreements: agreementRefs(u.agreements), Engine: EngineNumber,
		Fingerprints: c.deps.Fingerprints, Writer: c.deps.Writer, Basis: Basis{}}
	day := schemas.Always
	if u.before != nil {
		day = u.before.LeveranceDay()
	}
	maps.Copy(u.claim.Basis, u.basisBefore())
	for _, area := range u.areas() {
		head := c.head(area)
		if u.pass.units[area] == nil { // not one that this pass has brought up to date
			var err error
			if head, err = headAfter(ctx, c.deps.Tables, area, head); err != nil {
				return fmt.Errorf("close %s: %w", u.unit, err)
			}
		}
		if head == nil {
			continue
		}
		if was := u.basisBefore()[area.String()]; head.Number < was.Number {
			return fmt.Errorf("close %s: rests on certificate %d of %s, which ends at %d: "+
				"restore it from a copy", u.unit, was.Number, area, head.Number)
		}
		u.claim.Basis[area.String()] = CertificateRef{head.Number, head.hash}
		day = max(day, head.LeveranceDay())
	}
	u.claim.Leverance = day.String()
	return nil
}

// areas are the units that the status tells of: those with an agreement, and those that it has
// told of before.
func (u *unitClose) areas() []schemas.Unit {
	var all []schemas.Unit
	for _, a := range u.pass.turn.closer.deps.Agreements.All() {
		if a.Kommune == u.unit.Kommune && !a.Shadow {
			all = append(all, schemas.Unit{Kommune: a.Kommune, Area: a.Area})
		}
	}
	for name := range u.basisBefore() {
		all = append(all, basisUnit(name))
	}
	slices.SortFunc(all, compareUnits)
	return slices.Compact(all)
}

func basisUnit(name string) schemas.Unit {
	kommune, area, _ := strings.Cut(name, "/")
	return schemas.Unit{Kommune: schemas.Kommunekode(kommune), Area: schemas.Area(area)}
}

// foldStatus folds what the certificates after from report, up to those of the claim, and says how
// many rows that were.
func (u *unitClose) foldStatus(ctx context.Context, from Basis) (rows int, err error) {
	c := u.pass.turn.closer
	day, err := schemas.ParseDay(u.claim.Leverance)
	if err != nil {
		return 0, fmt.Errorf("read claim of %s: %w", u.unit, err)
	}
	batch, err := c.deps.Engine.NewBatch(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		if cerr := batch.Close(); err == nil {
			err = cerr
		}
	}()
	u.result = &FoldResult{}
	for _, name := range slices.Sorted(maps.Keys(u.claim.Basis)) {
		known := c.head(basisUnit(name))
		n, err := u.addStatus(ctx, batch, name, from[name].Number, known)
		if err != nil {
			return 0, fmt.Errorf("close %s: %w", u.unit, err)
		}
		rows += n
	}
	if rows == 0 {
		return 0, nil
	}
	if err := batch.Sort(ctx); err != nil {
		return 0, err
	}
	u.result, err = c.deps.Engine.Fold(ctx, &FoldInput{Unit: u.unit, Number: u.number(),
		Leverance: day, Agreements: u.agreements, Before: u.before, Batch: batch})
	if err != nil {
		return 0, fmt.Errorf("fold %s: %w", u.unit, err)
	}
	return rows, nil
}

// addStatus adds the rows of one area: of its certificates after number from, up to the one that
// the claim pins.
func (u *unitClose) addStatus(ctx context.Context, b Batch, name string, from int64,
	known *Certificate) (rows int, err error) {
	c, area, to := u.pass.turn.closer, basisUnit(name), u.claim.Basis[name]
	for n := from + 1; n <= to.Number; n++ {
		of := known
		if of == nil || of.Number != n {
			if of, err = ReadCertificate(ctx, c.deps.Tables, area, n); err != nil {
				return 0, err
			}
		}
		if n == to.Number && of.hash != to.SHA256 {
			return 0, brokenChain(area, n)
		}
		made, err := c.rules.status(area, of)
		if err != nil {
			return 0, err
		}
		for i := range made {
			if err := b.Add(u.unit, &made[i]); err != nil {
				return 0, err
			}
		}
		rows += len(made)
	}
	return rows, nil
}

// basisOf reads the certificates of an area up to the one that a status rests on.
func basisOf(ctx context.Context, st store.Store, u schemas.Unit, to CertificateRef,
	have []*Certificate, fn func(*Certificate) error) error {
	previous := ""
	for n := int64(1); n <= to.Number; n++ {
		var c *Certificate
		if i := n - 1; i < int64(len(have)) && have[i].Number == n {
			c = have[i]
		} else {
			var err error
			if c, err = ReadCertificate(ctx, st, u, n); err != nil {
				return err
			}
		}
		if c.Previous != previous || n == to.Number && c.hash != to.SHA256 {
			return brokenChain(u, n)
		}
		previous = c.hash
		if err := fn(c); err != nil {
			return err
		}
	}
	return nil
}
