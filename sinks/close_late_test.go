package sinks

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

// lateScene plays deliveries of one vendor by hand, and closes after each.
type lateScene struct {
	*realClose
	unit   schemas.Unit
	closer *Closer
}

func newLateScene(t *testing.T) *lateScene {
	r := newRealClose(t, 1)
	r.w.now = time.Date(2026, 3, 3, 21, 0, 0, 0, schemas.Copenhagen)
	s := &lateScene{realClose: r, unit: schemas.Unit{Kommune: "0101", Area: "aeldre"}}
	s.closer = NewCloser(r.deps(r.mem))
	return s
}

// records are delivered for a day, with one statement each unless they are parked.
func (s *lateScene) records(day schemas.Day, o schemas.Outcome, ids ...string) {
	for _, id := range ids {
		s.w.offset++
		raw := schemas.Row{Offset: s.w.offset, Event: "e", Leverance: day,
			EventID: fmt.Sprintf("//leverandoer/%s|%s", s.unit.Kommune, id),
			Kommune: s.unit.Kommune, Op: schemas.OpRaw, Outcome: o,
			Arrived: schemas.InstantOf(s.w.now)}
		e := raw
		e.Ordinal, e.Op, e.Dataset, e.Key, e.Payload = 1, schemas.OpUpsert, simFact, id, []byte("v")
		rows := []schemas.Row{raw, e}
		if o == schemas.Parked {
			rows = rows[:1]
		}
		s.w.append(simVendor, rows...)
	}
}

func (s *lateScene) seal(day schemas.Day, n int64) {
	s.w.offset++
	raw := schemas.Row{Offset: s.w.offset, EventID: fmt.Sprint("seal|", s.w.offset),
		Event: schemas.ControlEvent, Leverance: day, Kommune: s.unit.Kommune, Op: schemas.OpRaw,
		Outcome: schemas.Accepted}
	e := raw
	e.Ordinal, e.Op, e.Count, e.Stated = 1, schemas.OpSeal, n, schemas.Instant(s.w.offset)
	s.w.append(simVendor, raw, e)
}

// close makes the next certificate, and has the audit recount it.
func (s *lateScene) close() *Certificate {
	s.t.Helper()
	s.flush()
	report, err := s.closer.Round(s.ctx, s.w.now, []schemas.Unit{s.unit})
	require.NoError(s.t, err)
	require.Empty(s.t, report.Failed)
	audit := s.audit()
	require.Empty(s.t, audit.Problems)
	if c := report.Closed[s.unit]; c != nil {
		require.Positive(s.t, audit.Days)
	}
	return report.Closed[s.unit]
}

// status is what flis status says of the unit's days.
func (s *lateScene) status() string {
	s.t.Helper()
	all, err := Status(s.ctx, s.mem, s.all, JournalEvents(s.mem), []schemas.Unit{s.unit})
	require.NoError(s.t, err)
	require.Len(s.t, all, 1)
	var b strings.Builder
	for _, d := range all[0].Days {
		fmt.Fprintf(&b, "%s %s %d %s\n", d.Day, d.State, d.Revised, strings.Join(d.Missing, "; "))
	}
	return b.String()
}

// TestLateBeforeDeadline: a day that is closed stays closed, though its deadline is yet to come;
// the audit, which folds from nothing, agrees at each step.
func TestLateBeforeDeadline(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	day := s.w.today()
	s.records(day, schemas.Accepted, "a", "b", "c")
	s.seal(day, 3)
	require.Equal(t, Closed, s.close().Calendar[day.String()].State)
	require.Empty(t, s.status())

	s.w.now = s.w.now.Add(time.Hour)
	s.records(day, schemas.Accepted, "d")
	c := s.close()
	require.Len(t, c.Days, 1)
	require.Equal(t, int64(1), c.Days[0].Late)
	require.Equal(t, "2026-03-03 lukket_med_forbehold 1 leverandoer: forseglet 3, modtaget 4\n",
		s.status())

	s.seal(day, 4)
	require.Equal(t, Closed, s.close().Calendar[day.String()].State)
	require.Equal(t, "2026-03-03 lukket 2 \n", s.status())
}

// TestEachCertificateTellsWhatIsMissing: what a day lacks is in the newest certificate, whichever
// day that one is about.
func TestEachCertificateTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	day := s.w.today()
	s.records(day, schemas.Accepted, "a")
	require.NotNil(t, s.close())
	open := "2026-03-03 foreloebig 0 leverandoer: intet segl\n"
	require.Equal(t, open, s.status())

	s.records(day, schemas.Accepted, "b")
	require.Empty(t, s.close().Days, "nothing new of any day")
	require.Equal(t, open, s.status())

	s.seal(day, 3)
	require.NotNil(t, s.close(), "the day lacks something else now")
	require.Equal(t, "2026-03-03 foreloebig 0 leverandoer: forseglet 3, modtaget 2\n", s.status())
	require.Nil(t, s.close())

	s.records(day, schemas.Parked, "c")
	require.Equal(t, int64(1), s.close().Counts.Parked)
	require.Equal(t, "2026-03-03 foreloebig 0 leverandoer: 1 parkeret\n", s.status())

	s.w.now = s.w.now.Add(24 * time.Hour)
	s.records(day+1, schemas.Accepted, "d")
	s.seal(day+1, 1)
	require.NotNil(t, s.close())
	s.records(day+1, schemas.Accepted, "e")
	s.seal(day+1, 2)
	require.NotNil(t, s.close())
	require.Equal(t, "2026-03-03 lukket_med_forbehold 0 leverandoer: 1 parkeret\n"+
		"2026-03-04 lukket 1 \n", s.status())
}

// forged makes certificates of a closer say something else of days than was judged.
func (s *lateScene) forged(how func(v *verdict)) {
	publish := s.closer.rules.publish
	s.closer.rules.publish = func(ctx context.Context, u *unitClose) error {
		if !isStatus(u.unit) {
			how(u.verdict)
		}
		return publish(ctx, u)
	}
}

// TestAuditSeesForgedDays: certificates whole in themselves that say of days what the journal
// does not.
func TestAuditSeesForgedDays(t *testing.T) {
	t.Parallel()
	const day = "2026-03-03"
	set := func(v *verdict, s DayState) {
		v.calendar[day] = s
		v.reports[0].State, v.reports[0].Revised = s.State, s.Revised
	}
	cases := map[string]struct {
		how  func(v *verdict)
		want string
	}{
		"said closed": {func(v *verdict) {
			set(v, DayState{State: Closed})
			v.reports[0].Sources[0].Missing = nil
		}, "the journal gives foreloebig"},
		"revision made up": {func(v *verdict) { set(v, DayState{State: Provisional, Revised: 2}) },
			"(revideret 2)"},
		"lack left out": {func(v *verdict) { v.calendar[day] = DayState{State: Provisional} },
			"which no certificate reports"},
		"day not reported": {func(v *verdict) { v.reports = nil }, "is not reported"},
		"day left out": {func(v *verdict) { v.reports, v.calendar = nil, map[string]DayState{} },
			"its calendar of days"},
		"other counts":    {func(v *verdict) { v.reports[0].Sources[0].Accepted++ }, "its counts"},
		"parked left out": {func(v *verdict) { v.parked = 7 }, "7 parked"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLateScene(t)
			s.records(s.w.today(), schemas.Accepted, "a")
			s.forged(c.how)
			s.flush()
			_, err := s.closer.Round(s.ctx, s.w.now, []schemas.Unit{s.unit})
			require.NoError(t, err)
			require.Contains(t, strings.Join(s.audit().Problems, "\n"), c.want)
		})
	}
}

// TestAuditSeesDamagedState: a file of the close state counts as the index does.
func TestAuditSeesDamagedState(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*realClose, string){
		"changed": func(r *realClose, key string) { r.change(key, flip) },
		"removed": func(r *realClose, key string) { require.NoError(r.t, r.mem.Delete(r.ctx, key)) },
	} {
		s := newLateScene(t)
		s.records(s.w.today(), schemas.Accepted, "a")
		require.NotNil(t, s.close())
		require.Positive(t, s.audit().StateFiles)
		for _, key := range s.keys(schemas.StatePrefix(s.unit), ".parquet") {
			damage(s.realClose, key)
		}
		require.Contains(t, strings.Join(s.audit().Problems, "\n"), "close state", name)
	}
}

// countedEvents counts how many entries are read.
type countedEvents struct {
	Events
	entries *int64
}

func (c countedEvents) Rows(ctx context.Context, from, to int64, all bool,
	fn func(*schemas.Row) error) error {
	*c.entries += max(to-from, 0)
	return c.Events.Rows(ctx, from, to, all, fn)
}

// TestAuditReadsJournalsOnce: units that were last closed at different times cost one reading of
// the journal, and one of what came between their two newest certificates.
func TestAuditReadsJournalsOnce(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	day := s.w.today()
	for i := range 12 {
		s.unit.Kommune = simKommuner[i%2]
		s.records(day, schemas.Accepted, fmt.Sprint("r", i))
		s.flush()
		_, err := s.closer.Round(s.ctx, s.w.now, []schemas.Unit{s.unit})
		require.NoError(t, err)
	}
	s.records(day, schemas.Accepted, "seen by nobody")
	s.flush()
	var entries int64
	deps := s.auditDeps()
	journal := deps.Journal
	deps.Journal = func(ctx context.Context, system schemas.System) (Events, error) {
		e, err := journal(ctx, system)
		return countedEvents{e, &entries}, err
	}
	report, err := Audit(s.ctx, deps, nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.Equal(t, 2, report.Refolded)
	heads := map[int64]bool{}
	for _, k := range simKommuner {
		c, err := Head(s.ctx, s.mem, schemas.Unit{Kommune: k, Area: "aeldre"})
		require.NoError(t, err)
		heads[c.Points[simVendor].Version] = true
	}
	require.Len(t, heads, 2, "they rest on different entries")
	require.LessOrEqual(t, entries, int64(12+4))
}
