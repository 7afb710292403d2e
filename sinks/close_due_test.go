package sinks

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

// paceScene closes what is due, by a clock of its own, from 21:00 on a Tuesday.
type paceScene struct {
	*lateScene
	pace *Pace
}

func newPaceScene(t *testing.T, u schemas.Update) *paceScene {
	s := newLateScene(t)
	all := slices.Clone(simAgreements().All())
	for i := range all {
		all[i].Update = u
	}
	agreements, err := schemas.NewAgreements(all)
	require.NoError(t, err)
	s.all = agreements
	d := s.deps(s.mem)
	d.Agreements = agreements
	s.closer = NewCloser(d)
	return &paceScene{s, NewPace(s.closer, []schemas.Unit{s.unit})}
}

// at is a look at a moment of the wall; what is due is closed. It says the state of the first day
// where a certificate was made, else "-", and "" where nothing was due.
func (s *paceScene) at(clock string) string {
	s.t.Helper()
	now, err := time.ParseInLocation("2006-01-02 15:04", clock, schemas.Copenhagen)
	require.NoError(s.t, err)
	s.w.now = now
	s.flush()
	due, err := s.pace.Due(s.ctx, now)
	require.NoError(s.t, err)
	if len(due) == 0 {
		return ""
	}
	require.Equal(s.t, []schemas.Unit{s.unit}, due)
	if c := s.close(); c != nil {
		return c.Calendar[sceneDay].State
	}
	return "-"
}

func TestPaceDaily(t *testing.T) {
	t.Parallel()
	s := newPaceScene(t, schemas.UpdateDaily)
	day := s.w.today()
	s.records(day, schemas.Accepted, "a")
	require.Equal(t, Provisional, s.at("2026-03-03 21:00"), "the first look is of all")
	s.records(day, schemas.Accepted, "b")
	require.Empty(t, s.at("2026-03-03 21:01"))
	require.Empty(t, s.at("2026-03-03 23:59"))
	require.Equal(t, Provisional, s.at("2026-03-04 01:00"), "once in the night")
	require.Empty(t, s.at("2026-03-04 01:01"))
	s.seal(day, 3)
	require.Empty(t, s.at("2026-03-04 02:00"), "sealed, and not whole")
	s.records(day, schemas.Accepted, "c")
	require.Equal(t, Closed, s.at("2026-03-04 02:01"), "the day is whole: at once")
	require.Empty(t, s.at("2026-03-04 02:02"))
	require.Empty(t, s.at("2026-03-05 00:59"))
	require.Equal(t, "-", s.at("2026-03-05 01:00"), "due, and nothing is new")
}

func TestPaceDeadline(t *testing.T) {
	t.Parallel()
	s := newPaceScene(t, schemas.UpdateDaily)
	s.records(s.w.today(), schemas.Accepted, "a")
	require.Equal(t, Provisional, s.at("2026-03-03 21:00"))
	require.Equal(t, "-", s.at("2026-03-04 05:29"), "the night went by")
	require.Equal(t, ClosedWithReserves, s.at("2026-03-04 05:30"))
	require.Empty(t, s.at("2026-03-04 05:31"))
	s.records(s.w.today()-1, schemas.Accepted, "b")
	require.Empty(t, s.at("2026-03-04 06:00"), "late, and the day stays what it is")
	s.seal(s.w.today()-1, 2)
	require.Equal(t, Closed, s.at("2026-03-04 06:01"))
}

// TestPaceOften: tables are seen in between, also in the hour that is doubled or left out.
func TestPaceOften(t *testing.T) {
	t.Parallel()
	s := newPaceScene(t, schemas.UpdateQuarter)
	require.Equal(t, "-", s.at("2026-03-03 21:07"))
	s.records(s.w.today(), schemas.Accepted, "a")
	require.Empty(t, s.at("2026-03-03 21:14"))
	require.Equal(t, Provisional, s.at("2026-03-03 21:15"))
	s.records(s.w.today(), schemas.Accepted, "b")
	require.Equal(t, Provisional, s.at("2026-03-03 21:31"))
	require.Empty(t, s.at("2026-03-03 21:44"))

	hourly := newPaceScene(t, schemas.UpdateHourly)
	require.Equal(t, "-", hourly.at("2026-10-25 01:30"))
	for _, hour := range []int{0, 1, 2} { // 02:00, again 02:00, 03:00
		hourly.w.now = time.Date(2026, 10, 25, hour, 0, 0, 0, time.UTC)
		due, err := hourly.pace.Due(hourly.ctx, hourly.w.now)
		require.NoError(t, err)
		require.Len(t, due, 1)
	}
}
