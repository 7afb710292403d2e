package sinks

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// guardRules are the decisions of the guard, as values: tests plant a mistake in each and must
// see it.
type guardRules struct {
	// limits gives those that a close is folded by; nil = nothing is guarded.
	limits func(u *unitClose) *Guard
	// waits says whether a close with these ends waits.
	waits func(ends []MassEnd) bool
}

func guardProtocol() guardRules {
	return guardRules{
		limits: func(u *unitClose) *Guard { return u.claim.Guard },
		waits: func(ends []MassEnd) bool {
			return slices.ContainsFunc(ends, func(e MassEnd) bool { return e.approval == nil })
		},
	}
}

// holdMemo is what a process knows of a unit that waits: as long as neither the journals, the
// agreements nor the approvals are others, folding again would end the same rows.
type holdMemo struct {
	points     map[schemas.System]int64
	agreements []byte
	approvals  int
	held       *Held
}

// remembered gives the wait of a unit, if all that it rests on is as it was; nil = fold.
func (p *pass) remembered(s *standing) *Held {
	c := p.turn.closer
	m := c.holds[s.unit]
	if m == nil || s.claim != nil || s.before == nil || m.approvals != len(s.approvals) ||
		!m.held.equal(s.before.Held) || !maps.Equal(m.points, p.versions(s)) {
		return nil
	}
	now, err := Canonical(agreementRefs(c.deps.Agreements.Unit(s.unit)))
	if err != nil || !bytes.Equal(now, m.agreements) {
		return nil
	}
	return m.held
}

// versions are the places in its journals that a unit goes to.
func (p *pass) versions(s *standing) map[schemas.System]int64 {
	v := map[schemas.System]int64{}
	for _, system := range s.systems {
		v[system] = p.points[system].Version
	}
	return v
}

// remember keeps what a unit waits for; nil = it does not wait.
func (p *pass) remember(s *standing, held *Held) {
	c := p.turn.closer
	if held == nil {
		delete(c.holds, s.unit)
		return
	}
	now, err := Canonical(agreementRefs(c.deps.Agreements.Unit(s.unit)))
	if err != nil {
		return
	}
	if was := c.holds[s.unit]; was == nil || was.held.Digest() != held.Digest() {
		p.turn.report.Held[s.unit] = held
	}
	c.holds[s.unit] = &holdMemo{p.versions(s), now, len(s.approvals), held}
}

// guarded says whether the close waits, and makes it one that does: nothing but the states of
// days is certified, by the accounts as they are now; positions, tables, agreements and the
// national certificate stay those of the certificate before. Else it pins the approvals used.
func (u *unitClose) guarded(ctx context.Context) (bool, error) {
	held := u.waiting
	if held == nil {
		ends := slices.SortedFunc(slices.Values(u.result.MassEnds), compareEnds)
		if !u.pass.turn.closer.guard.waits(ends) {
			u.claim.Approvals = approvalRefs(ends)
			return false, nil
		}
		held = &Held{Since: u.number(), After: u.before.Leverance, Days: u.heldDays(), Ends: ends,
			Incomplete: u.result.Incomplete}
		if b := u.before.Held; b != nil {
			held.Since, held.After = b.Since, b.After
		}
	}
	before, c := u.before, u.claim
	c.Held, c.Accounts, c.Points = held, c.Points, maps.Clone(before.Points)
	for s := range c.Accounts {
		if _, ok := c.Points[s]; !ok {
			c.Points[s] = JournalPoint{Version: -1}
		}
	}
	c.National, c.Agreements, c.Approvals = before.National, before.Agreements, nil
	var err error
	if u.agreements, err = agreements(u.unit, c.Agreements); err != nil {
		return true, err
	}
	u.result = &FoldResult{Incomplete: held.Incomplete}
	if err := u.judge(ctx); err != nil {
		return true, err
	}
	day := before.LeveranceDay()
	for _, d := range u.verdict.changed {
		day = max(day, d)
	}
	c.Leverance = day.String()
	return true, nil
}

// heldDays are the deliveries of which the unit has rows that wait.
func (u *unitClose) heldDays() []string {
	days := map[string]bool{}
	for d := range u.pass.tally[u.unit] {
		days[d.String()] = true
	}
	for d := range u.pass.tally[nationalFor(u.unit)] {
		days[d.String()] = true
	}
	return slices.Sorted(maps.Keys(days))
}

// tally is the unit's own statements that go into this certificate: none of those that wait. (Who
// finishes a claim has read up to its positions and no farther.)
func (u *unitClose) tally() tally {
	if u.claim.Held != nil && !u.found {
		return nil
	}
	return u.pass.tally[u.unit]
}

// approvalRefs are the approvals that let the ends happen, each with what it let end.
func approvalRefs(ends []MassEnd) []ApprovalRef {
	var all []ApprovalRef
	for _, e := range ends {
		a := e.approval
		if a == nil {
			continue
		}
		i := slices.IndexFunc(all, func(r ApprovalRef) bool { return r.Number == a.Number })
		if i < 0 {
			i = len(all)
			all = append(all, ApprovalRef{Number: a.Number, SHA256: a.hash, By: a.By,
				Reason: a.Reason, At: a.At})
		}
		all[i].Ends = append(all[i].Ends, e)
	}
	return all
}

// accountsAt are the journal positions by which days are judged.
func (c *Claim) accountsAt() Points {
	if c.Accounts != nil {
		return c.Accounts
	}
	return c.Points
}
