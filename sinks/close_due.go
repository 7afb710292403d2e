package sinks

import (
	"context"
	"slices"
	"time"

	"github.com/flis-dk/flis/schemas"
)

// nightHour is when tables of UpdateDaily are brought up to date, on the wall: an hour that every
// Danish day has once.
const nightHour = 1

// slotBegan is the newest moment, up to now, from which on an update of this kind is due.
func slotBegan(u schemas.Update, now time.Time) time.Time {
	switch u {
	case schemas.UpdateQuarter:
		return now.Truncate(15 * time.Minute)
	case schemas.UpdateHourly: // Denmark is whole hours from UTC
		return now.Truncate(time.Hour)
	}
	y, m, d := now.In(schemas.Copenhagen).Date()
	night := time.Date(y, m, d, nightHour, 0, 0, 0, schemas.Copenhagen)
	if night.After(now) {
		night = time.Date(y, m, d-1, nightHour, 0, 0, 0, schemas.Copenhagen)
	}
	return night
}

// dueSince is the newest of those moments over a unit's agreements: the most frequent decides.
func dueSince(all []schemas.Agreement, now time.Time) time.Time {
	since := slotBegan(schemas.UpdateDaily, now)
	for _, a := range all {
		if t := slotBegan(a.Update, now); !a.Shadow && a.To > schemas.DayOf(now) && t.After(since) {
			since = t
		}
	}
	return since
}

// Pace says which units a process that closes round after round is to close now: each as often as
// its agreements' opdatering says, and at once where a day can get its final state, or another
// one. What it remembers is of this process: the first answer is every unit. Not safe for
// concurrent use, nor beside a Round of its closer.
type Pace struct {
	closer *Closer
	units  []schemas.Unit
	tried  map[schemas.Unit]time.Time // when a unit was last due
}

// NewPace paces the units (none = all) of a closer. A round brings the status of each municipality
// that it closes; only where it has no other unit here is a status paced, and then always due.
func NewPace(c *Closer, units []schemas.Unit) *Pace {
	if len(units) == 0 {
		units = c.deps.Agreements.Units()
	}
	areas := map[schemas.Kommunekode]bool{}
	for _, u := range units {
		areas[u.Kommune] = areas[u.Kommune] || !isStatus(u)
	}
	units = slices.DeleteFunc(slices.Clone(units), func(u schemas.Unit) bool {
		return isStatus(u) && areas[u.Kommune]
	})
	return &Pace{closer: c, units: units, tried: map[schemas.Unit]time.Time{}}
}

// Due is the units to close at a moment, in order. A unit whose journals cannot be read is one of
// them: its close says why.
func (p *Pace) Due(ctx context.Context, now time.Time) ([]schemas.Unit, error) {
	views := map[schemas.System]*View{}
	var due []schemas.Unit
	for _, u := range p.units {
		agreements := p.closer.deps.Agreements.Unit(u)
		tried, ok := p.tried[u]
		if !ok || isStatus(u) || tried.Before(dueSince(agreements, now)) || p.closer.waits(u) ||
			p.settles(ctx, u, agreements, views, now) {
			due = append(due, u)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, u := range due {
		p.tried[u] = now
	}
	return due, nil
}

// waits: an approval can come at any time, and nothing in a journal tells of it.
func (c *Closer) waits(u schemas.Unit) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := c.heads[u]
	return c.holds[u] != nil || head != nil && head.Held != nil
}

// settles says whether a close would give any day of a unit a final state that it does not have.
func (p *Pace) settles(ctx context.Context, u schemas.Unit, agreements []schemas.Agreement,
	views map[schemas.System]*View, now time.Time) bool {
	for _, a := range agreements {
		if _, ok := views[a.System]; ok {
			continue
		}
		v, err := p.closer.viewNow(ctx, a.System)
		if err != nil {
			return true
		}
		views[a.System] = v
	}
	j, err := newJudge(u, agreements, views, schemas.InstantOf(now), p.closer.head(u), nil)
	if err != nil {
		return true
	}
	j.older = func(schemas.Day) (DayState, error) { return DayState{}, nil }
	v, err := j.judge()
	return err != nil || slices.ContainsFunc(v.reports, func(r DayReport) bool {
		return r.dayState().final()
	})
}

// viewNow counts what a system's journal has since it was last read.
func (c *Closer) viewNow(ctx context.Context, s schemas.System) (*View, error) {
	journal, err := c.deps.Journal(ctx, s)
	if err != nil {
		return nil, err
	}
	a := c.accounts[s]
	end := journal.Version()
	if a == nil {
		a = c.loadAccounts(ctx, journal, s, end)
		c.accounts[s] = a
	}
	if end > a.Version {
		err := journal.Rows(ctx, a.Version, end, false, func(r *schemas.Row) error {
			a.Add(r)
			return nil
		})
		if err != nil {
			delete(c.accounts, s) // half of it is counted
			return nil, err
		}
		a.Version = end
		a.Forget()
	}
	return a.View(), nil
}
