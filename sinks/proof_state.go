package sinks

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// States of a delivery day.
const (
	Provisional        = "foreloebig"
	Closed             = "lukket"
	ClosedWithReserves = "lukket_med_forbehold"
)

// calendarDays is how long a certificate carries the states of days on: longer than a delivery
// can be late.
const calendarDays = 62

// DayState is the state of a day as each certificate carries it on. Revised counts the closes
// that brought rows to a day, or gave it another state, after its final state. Missing is what
// the day lacks ("system: text", Danish, for people): empty where it is Closed, and never else.
type DayState struct {
	State   string   `json:"tilstand"`
	Revised int64    `json:"revideret"`
	Missing []string `json:"mangler,omitempty"`
}

func (s DayState) final() bool { return s.State == Closed || s.State == ClosedWithReserves }

func (s DayState) equal(o DayState) bool {
	return s.State == o.State && s.Revised == o.Revised && slices.Equal(s.Missing, o.Missing)
}

// follow makes a report by the accounts alone one of a day that was in a state before. A day that
// is closed stays closed: what comes later, be it before the day's deadline, revises it, and if
// it is proven no more it is closed with reserves.
func (r *DayReport) follow(was DayState, rows int64) {
	r.Revised = was.Revised
	if !was.final() {
		return
	}
	if r.State == Provisional {
		r.State = ClosedWithReserves
	}
	if r.Late = rows; rows > 0 || r.State != was.State {
		r.Revised++
	}
}

// dayState is what of a report each later certificate carries on.
func (r *DayReport) dayState() DayState {
	s := DayState{State: r.State, Revised: r.Revised}
	for _, x := range r.Sources {
		for _, m := range x.Missing {
			s.Missing = append(s.Missing, string(x.System)+": "+m)
		}
	}
	return s
}

// ClosedDay says whether a day has its final state by a certificate; nil has closed nothing. Days
// long gone are in no calendar: up to the one that is settled, they are closed.
func (c *Certificate) ClosedDay(d schemas.Day) bool {
	if c == nil {
		return false
	}
	if s, ok := c.Calendar[d.String()]; ok {
		return s.final()
	}
	settled, err := schemas.ParseDay(c.Settled)
	return err == nil && d <= settled
}
