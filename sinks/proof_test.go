package sinks

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

func onDay(t *testing.T, s string) schemas.Day {
	t.Helper()
	d, err := schemas.ParseDay(s)
	require.NoError(t, err)
	return d
}

func TestHolidays(t *testing.T) {
	t.Parallel()
	holidays := "2023-05-05 2024-03-28 2024-03-29 2024-03-31 2024-04-01 2024-05-09 2024-05-19 " +
		"2024-05-20 " +
		"2026-01-01 2026-04-02 2026-04-03 2026-04-05 2026-04-06 2026-05-14 2026-05-24 2026-05-25 " +
		"2026-12-25 2026-12-26 " +
		"2038-04-25"
	for _, s := range strings.Fields(holidays) {
		require.True(t, Holiday(onDay(t, s)), s)
	}
	work := "2024-04-26 2026-05-01 2026-06-05 2026-12-24 2026-12-31 2026-04-04 2026-04-07 2026-01-02"
	for _, s := range strings.Fields(work) {
		require.False(t, Holiday(onDay(t, s)), s)
	}
	require.False(t, Delivers(schemas.Weekdays, onDay(t, "2026-03-07")), "Saturday")
	require.True(t, Delivers(schemas.Weekdays, onDay(t, "2026-03-09")))
	require.True(t, Delivers(schemas.Daily, onDay(t, "2026-12-25")))
}

func TestDeadlineOnTheWall(t *testing.T) {
	t.Parallel()
	for d, want := range map[string]string{
		"2026-03-03": "2026-03-04T04:30:00.000000Z",
		"2026-03-28": "2026-03-29T03:30:00.000000Z", // the day after has 23 hours
		"2026-10-24": "2026-10-25T04:30:00.000000Z", // 25 hours
		"2028-02-28": "2028-02-29T04:30:00.000000Z",
	} {
		require.Equal(t, want, deadlineOf(onDay(t, d), 330).String(), d)
	}
}

// proofScene is one unit's evidence, in words: rows of one journal, then what is judged.
type proofScene struct {
	t        *testing.T
	accounts *Accounts
	offset   int64
	all      []schemas.Agreement
	before   *Certificate
	rows     map[schemas.Day]int64
}

const sceneDay = "2026-03-03" // a Tuesday

func newScene(t *testing.T, p schemas.Proof) *proofScene {
	return &proofScene{t: t, accounts: NewAccounts(), rows: map[schemas.Day]int64{},
		all: []schemas.Agreement{{
			Kommune: "0101", Area: "aeldre", System: "cura", From: schemas.Always,
			To: schemas.Open, Proof: p,
			Calendar: schemas.Weekdays, Deadline: 330}}}
}

func (s *proofScene) add(r schemas.Row) {
	s.offset++
	r.Offset, r.System = s.offset, "cura"
	if r.Kommune == "" {
		r.Kommune = "0101"
	}
	if r.Leverance == 0 {
		r.Leverance = onDay(s.t, sceneDay)
	}
	s.accounts.Add(&r)
}

func (s *proofScene) record(id string, o schemas.Outcome) {
	s.add(schemas.Row{EventID: id, Event: "besoeg", Outcome: o, Op: schemas.OpRaw})
}

func (s *proofScene) seal(file string, n int64) {
	s.add(schemas.Row{Op: schemas.OpSeal, Ordinal: 1, Event: schemas.ControlEvent, Key: file, Count: n,
		Stated: schemas.Instant(s.offset)})
}

func (s *proofScene) judge(now string) *verdict {
	s.t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", now, schemas.Copenhagen)
	require.NoError(s.t, err)
	u := schemas.Unit{Kommune: "0101", Area: "aeldre"}
	j, err := newJudge(u, s.all, map[schemas.System]*View{"cura": s.accounts.View()},
		schemas.InstantOf(at), s.before, s.rows)
	require.NoError(s.t, err)
	j.older = func(schemas.Day) (DayState, error) { return DayState{}, nil }
	v, err := j.judge()
	require.NoError(s.t, err)
	return v
}

// certify makes the verdict what the next one goes on from.
func (s *proofScene) certify(v *verdict) {
	s.before = &Certificate{Calendar: v.calendar, Settled: v.settled.String(), Began: v.began}
	s.rows = map[schemas.Day]int64{}
}

func (v *verdict) text() string {
	var b strings.Builder
	for _, r := range v.reports {
		fmt.Fprintf(&b, "%s %s %d", r.Day, r.State, r.Revised)
		for _, s := range r.Sources {
			fmt.Fprintf(&b, " [%s]", strings.Join(s.Missing, "; "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// stateCase is what was said, and what the days are at a moment.
type stateCase struct {
	proof schemas.Proof
	said  func(s *proofScene)
	now   string
	want  string
}

func countStates() map[string]stateCase {
	return map[string]stateCase{
		"count agrees": {schemas.ProofCount, func(s *proofScene) {
			s.record("a", schemas.Accepted)
			s.record("b", schemas.Ignored)
			s.record("a", schemas.Accepted)
			s.seal("", 2)
		}, "2026-03-03 20:00", "2026-03-03 lukket 0 []\n"},
		"one is missing": {schemas.ProofCount, func(s *proofScene) {
			s.record("a", schemas.Accepted)
			s.seal("", 2)
		}, "2026-03-03 20:00", "2026-03-03 foreloebig 0 [forseglet 2, modtaget 1]\n"},
		"one is missing at the deadline": {schemas.ProofCount, func(s *proofScene) {
			s.record("a", schemas.Accepted)
			s.seal("", 2)
		}, "2026-03-04 05:30", "2026-03-03 lukket_med_forbehold 0 [forseglet 2, modtaget 1]\n"},
		"one too many": {schemas.ProofCount, func(s *proofScene) {
			s.record("a", schemas.Accepted)
			s.record("b", schemas.Accepted)
			s.seal("", 1)
		}, "2026-03-04 05:29", "2026-03-03 foreloebig 0 [forseglet 1, modtaget 2]\n"},
		"zero is a statement": {schemas.ProofCount, func(s *proofScene) { s.seal("", 0) },
			"2026-03-03 20:00", "2026-03-03 lukket 0 []\n"},
		"heartbeat alone seals nothing": {schemas.ProofCount, func(s *proofScene) {
			s.add(schemas.Row{Op: schemas.OpHeartbeat, Ordinal: 1, Event: schemas.ControlEvent})
		}, "2026-03-04 06:00", "2026-03-03 lukket_med_forbehold 0 [intet segl]\n"},
		"parked is never closed": {schemas.ProofCount, func(s *proofScene) {
			s.record("a", schemas.PartlyParked)
			s.seal("", 1)
		}, "2026-03-04 06:00", "2026-03-03 lukket_med_forbehold 0 [1 parkeret]\n"},
		"parked and then mended under its id": {schemas.ProofCount, func(s *proofScene) {
			s.record("a", schemas.Parked)
			s.record("a", schemas.Accepted)
			s.seal("", 1)
		}, "2026-03-03 20:00", "2026-03-03 lukket 0 []\n"},
		"silence is not zero": {schemas.ProofCount, func(s *proofScene) {
			s.record("a", schemas.Accepted)
			s.seal("", 1)
		}, "2026-03-05 06:00",
			"2026-03-03 lukket 0 []\n2026-03-04 lukket_med_forbehold 0 [intet modtaget]\n"},
		"the last seal counts": {schemas.ProofCount, func(s *proofScene) {
			s.record("a", schemas.Accepted)
			s.seal("", 7)
			s.seal("", 1)
		}, "2026-03-03 20:00", "2026-03-03 lukket 0 []\n"},
		"no proof is closed at the deadline": {schemas.ProofNone, func(s *proofScene) {
			s.record("a", schemas.Accepted)
			s.seal("", 1)
		}, "2026-03-04 06:00", "2026-03-03 lukket_med_forbehold 0 [ingen bevis]\n"},
		"days before the first data owe nothing, nor does a weekend": {schemas.ProofCount,
			func(s *proofScene) {
				s.add(schemas.Row{EventID: "a", Outcome: schemas.Accepted, Leverance: onDay(s.t, "2026-03-06")})
				s.add(schemas.Row{Op: schemas.OpSeal, Ordinal: 1, Count: 1,
					Leverance: onDay(s.t, "2026-03-06")})
			}, "2026-03-09 12:00", "2026-03-06 lukket 0 []\n"},
		"an agreement that never began owes nothing": {schemas.ProofCount, func(*proofScene) {},
			"2026-03-09 12:00", ""},
	}
}

func fileStates() map[string]stateCase {
	file := strings.Repeat("ab", 32)
	other := strings.Repeat("cd", 32)
	return map[string]stateCase{
		"whole file": {schemas.ProofFile, func(s *proofScene) {
			s.record("//cura|"+file+"-1", schemas.Accepted)
			s.record("//cura|"+file+"-2", schemas.Ignored)
			s.seal(file, 2)
		}, "2026-03-03 20:00", "2026-03-03 lukket 0 []\n"},
		"national file": {schemas.ProofFile, func(s *proofScene) {
			s.add(schemas.Row{EventID: "//cura|" + file + "-1", Kommune: schemas.National,
				Outcome: schemas.Accepted})
			s.add(schemas.Row{Op: schemas.OpSeal, Ordinal: 1, Key: file, Count: 1,
				Kommune: schemas.National})
		}, "2026-03-03 20:00", "2026-03-03 lukket 0 []\n"},
		"one file of two": {schemas.ProofFile, func(s *proofScene) {
			s.record("//cura|"+file+"-1", schemas.Accepted)
			s.seal(file, 1)
			s.seal(other, 1)
		}, "2026-03-03 20:00", "2026-03-03 foreloebig 0 [fil cdcdcdcdcdcd: forseglet 1, modtaget 0]\n"},
		"file without a seal": {schemas.ProofFile, func(s *proofScene) {
			s.record("//cura|"+file+"-1", schemas.Accepted)
		}, "2026-03-03 20:00", "2026-03-03 foreloebig 0 [fil abababababab: intet segl]\n"},
		"an excerpt proves nothing": {schemas.ProofFile, func(s *proofScene) {
			s.record("//cura|"+file+"-1", schemas.Accepted)
			s.add(schemas.Row{Op: schemas.OpSeal, Ordinal: 1, Key: file, Count: 1, Background: true})
		}, "2026-03-04 06:00", "2026-03-03 lukket_med_forbehold 0 [ingen hel fil]\n"},
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	cases := countStates()
	maps.Copy(cases, fileStates())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.proof)
			c.said(s)
			require.Equal(t, c.want, s.judge(c.now).text())
		})
	}
}

// TestRevised: what comes to a day that had its final state is told, once.
func TestRevised(t *testing.T) {
	t.Parallel()
	s := newScene(t, schemas.ProofCount)
	s.record("a", schemas.Accepted)
	s.seal("", 2)
	v := s.judge("2026-03-04 06:00")
	require.Equal(t, "2026-03-03 lukket_med_forbehold 0 [forseglet 2, modtaget 1]\n", v.text())
	s.certify(v)
	require.Empty(t, s.judge("2026-03-04 07:00").text())

	s.record("b", schemas.Accepted)
	s.rows[onDay(t, sceneDay)] = 1
	v = s.judge("2026-03-04 08:00")
	require.Equal(t, "2026-03-03 lukket 1 []\n", v.text(), "late and whole")
	require.Equal(t, int64(1), v.late)
	s.certify(v)

	s.record("c", schemas.Parked)
	v = s.judge("2026-03-04 09:00")
	require.Equal(t, "2026-03-03 lukket_med_forbehold 2 [forseglet 2, modtaget 3; 1 parkeret]\n",
		v.text())
	require.Equal(t, int64(1), v.parked)
	s.certify(v)
	require.Empty(t, s.judge("2026-03-04 09:30").text())
}

// TestVendorChange: at the day of the switch the old source owes nothing more, the new one from
// then on.
func TestVendorChange(t *testing.T) {
	t.Parallel()
	s := newScene(t, schemas.ProofCount)
	next := s.all[0]
	next.System, next.From = "vitae", onDay(t, "2026-03-04")
	s.all[0].To = next.From
	s.all = append(s.all, next)
	s.record("a", schemas.Accepted)
	s.seal("", 1)
	require.Equal(t, "2026-03-03 lukket 0 []\n2026-03-04 lukket_med_forbehold 0 [intet modtaget]\n",
		s.judge("2026-03-05 06:00").text())
}

// TestAccountsAreOfTheRows: counting in any number of steps gives the same.
func TestAccountsAreOfTheRows(t *testing.T) {
	t.Parallel()
	first := onDay(t, "2026-01-01")
	var rows []schemas.Row
	for i := range 30_000 {
		rows = append(rows, schemas.Row{EventID: fmt.Sprint("//a|", i%9000), Kommune: "0101",
			Outcome:   schemas.Accepted,
			Leverance: first + schemas.Day(i/300), Digest: int64(i / 20_000)})
	}
	whole, parts := NewAccounts(), NewAccounts()
	for i := range rows {
		whole.Add(&rows[i])
		parts.Add(&rows[i])
		if i%777 == 0 {
			parts.Forget()
		}
	}
	whole.Forget()
	parts.Forget()
	require.Equal(t, whole.View(), parts.View())
	sum := &Account{}
	for _, d := range whole.View().Days("0101") {
		a := whole.View().Of("0101", d)
		sum.Accepted += a.Accepted
		sum.Duplicates += a.Duplicates
		sum.Conflicts += a.Conflicts
	}
	require.Equal(t, int64(30_000), sum.Accepted+sum.Duplicates)
	require.Positive(t, sum.Conflicts)
	require.Greater(t, sum.Accepted, int64(9000), "after 35 days an id is a new one")
}
