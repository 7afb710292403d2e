package sinks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// UnitStatus is how far a unit is: what flis status shows. It is of the newest certificate, which
// alone proves it; what lies in the journals since is Lag.
type UnitStatus struct {
	Unit        schemas.Unit
	Certificate *Certificate             // newest; nil = never closed
	Day         schemas.Day              // newest day with a state; Always = none
	State       string                   // of that day
	Days        []UnitDay                // days that lack something or were revised, in order
	Rows        int64                    // of the current tables
	Parked      int64                    // records of its sources that are parked
	UnderWay    bool                     // a close is begun and not finished
	Held        *Held                    // what waits for approval; nil = nothing
	Lag         map[schemas.System]int64 // entries of the journal since the certificate
}

// UnitDay is a day that is not simply closed.
type UnitDay struct {
	Day schemas.Day
	DayState
}

// Status reads where units (none = all with an agreement) are. It reads the newest certificates
// and the heads of the journals, nothing else.
func Status(ctx context.Context, tables store.Store, all *schemas.Agreements,
	journal func(context.Context, schemas.System) (Events, error),
	units []schemas.Unit) ([]UnitStatus, error) {
	if len(units) == 0 {
		units = all.Certified()
	}
	versions := map[schemas.System]int64{}
	var out []UnitStatus
	for _, u := range units {
		s, err := unitStatus(ctx, tables, u)
		if err != nil {
			return nil, fmt.Errorf("read status of %s: %w", u, err)
		}
		for _, a := range all.Unit(u) {
			v, ok := versions[a.System]
			if !ok {
				j, err := journal(ctx, a.System)
				if err != nil {
					return nil, fmt.Errorf("open journal of %s: %w", a.System, err)
				}
				v = j.Version()
				versions[a.System] = v
			}
			at := int64(-1)
			if s.Certificate != nil {
				if p, ok := s.Certificate.Points[a.System]; ok {
					at = p.Version
				}
			}
			s.Lag[a.System] = v - at
		}
		out = append(out, *s)
	}
	return out, nil
}

func unitStatus(ctx context.Context, tables store.Store, u schemas.Unit) (*UnitStatus, error) {
	s := &UnitStatus{Unit: u, Day: schemas.Always, Lag: map[schemas.System]int64{}}
	c, err := Head(ctx, tables, u)
	if err != nil {
		return nil, err
	}
	next := int64(1)
	if c != nil {
		next = c.Number + 1
		s.describe(c)
	}
	switch _, _, err := ReadClaim(ctx, tables, u, next); {
	case err == nil:
		s.UnderWay = true
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	return s, nil
}

func (s *UnitStatus) describe(c *Certificate) {
	s.Certificate, s.Parked, s.Held = c, c.Counts.Parked, c.Held
	for _, d := range c.Tables {
		if d.Current != nil {
			s.Rows += d.Current.Rows
		}
	}
	if c.Basis != nil {
		s.Day = c.LeveranceDay() // its rows are of days, and it has no state of its own
	}
	for text, state := range c.Calendar {
		day, err := schemas.ParseDay(text)
		if err != nil {
			continue
		}
		if state.State != Closed || state.Revised > 0 {
			s.Days = append(s.Days, UnitDay{day, state})
		}
		if day > s.Day {
			s.Day, s.State = day, state.State
		}
	}
	slices.SortFunc(s.Days, func(a, b UnitDay) int { return cmp.Compare(a.Day, b.Day) })
}
