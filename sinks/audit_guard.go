package sinks

import (
	"context"
	"fmt"

	"github.com/flis-dk/flis/schemas"
)

// accountsAt are the journal positions by which days were judged.
func (c *Certificate) accountsAt() Points {
	if c.Accounts != nil {
		return c.Accounts
	}
	return c.Points
}

// sameWait says whether a certificate waits for, and was approved by, what its claim says.
func sameWait(k *Claim, c *Certificate) bool {
	a, errA := Canonical([]any{k.Guard, k.Approvals, k.Held, k.Accounts})
	b, errB := Canonical([]any{c.Guard, c.Approvals, c.Held, c.Accounts})
	return errA == nil && errB == nil && string(a) == string(b)
}

// approvals checks that the approvals that a certificate names are there, are what was approved,
// and were given of the wait that the certificate ended.
func (a *audit) approvals(ctx context.Context, u schemas.Unit, c *Certificate) error {
	for _, r := range c.Approvals {
		is, err := readApproval(ctx, a.deps.Tables, u, r.Number)
		if err != nil {
			err = fmt.Errorf("read its approval: %w", err)
			if err := a.stored(ctx, u, c.Number, err); err != nil {
				return err
			}
			continue
		}
		switch {
		case is.hash != r.SHA256 || is.By != r.By || is.Reason != r.Reason || is.At != r.At:
			a.problem(u, c.Number, "its approval %s was changed since: restore it from a copy",
				ApprovalKey(u, r.Number))
		case r.Number >= c.Number:
			a.problem(u, c.Number, "names an approval of certificate %d, which came later", r.Number)
		}
		for i := range r.Ends {
			covered, err := a.covered(ctx, u, is.held.of(&r.Ends[i]), &r.Ends[i])
			if err != nil {
				if err := a.stored(ctx, u, c.Number, err); err != nil {
					return err
				}
			} else if !covered {
				a.problem(u, c.Number, "lets rows of %s end that its approval does not name",
					r.Ends[i].Dataset)
			}
		}
	}
	return nil
}

// covered says whether an approval names all that a close let end: as far as the lists can be
// seen, row by row.
func (a *audit) covered(ctx context.Context, u schemas.Unit, approved, ended *MassEnd,
) (bool, error) {
	if approved == nil || ended.Ended > approved.Ended {
		return false, nil
	}
	if a.deps.State == nil {
		return true, nil
	}
	in := files{st: a.deps.State, folder: schemas.StatePrefix(u)}
	return coversAll(ctx, in, &approved.List, &ended.List)
}

// lists checks the lists of what waits.
func (a *audit) lists(ctx context.Context, u schemas.Unit, c *Certificate, in files) error {
	if c.Held == nil {
		return nil
	}
	for i := range c.Held.Ends {
		o, err := in.open(ctx, &c.Held.Ends[i].List)
		if err == nil {
			err = o.Close()
		}
		if err != nil {
			if err := a.changedState(ctx, u, c, err); err != nil {
				return err
			}
			continue
		}
		a.report.StateFiles++
	}
	return nil
}
