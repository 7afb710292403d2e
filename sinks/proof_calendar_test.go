package sinks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

// TestMonthlyRules: over weekends, holidays, February and the turn of the year.
func TestMonthlyRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, from, to, want string }{
		{"maanedlig 10", "2026-04-01", "2026-06-30", "2026-04-10 2026-05-11 2026-06-10"},
		{"maanedlig 28", "2026-02-01", "2026-04-30", "2026-03-02 2026-03-30 2026-04-28"},
		{"maanedlig 28", "2024-02-20", "2024-04-05", "2024-02-28 2024-04-02"}, // Easter
		{"maanedlig 25", "2026-12-01", "2027-01-31", "2026-12-28 2027-01-25"},
		{"maanedlig 1", "2025-12-15", "2026-05-05", "2026-01-02 2026-02-02 2026-03-02 2026-04-01 2026-05-01"},
		{"maanedlig foerste-hverdag", "2025-12-15", "2026-02-10", "2026-01-02 2026-02-02"},
		{"maanedlig sidste-hverdag", "2026-01-01", "2026-05-31",
			"2026-01-30 2026-02-27 2026-03-31 2026-04-30 2026-05-29"},
		{"maanedlig sidste-hverdag", "2024-02-01", "2024-03-31", "2024-02-29 2024-03-27"},
		{"maanedlig sidste-hverdag", "2026-12-01", "2027-01-05", "2026-12-31"},
	} {
		rule, err := schemas.ParseCalendar(c.rule)
		require.NoError(t, err)
		var got string
		for d := onDay(t, c.from); d <= onDay(t, c.to); d++ {
			if Delivers(rule, d) {
				got += " " + d.String()
			}
		}
		require.Equal(t, " "+c.want, got, "%s %s", c.rule, c.from)
	}
	require.Equal(t, "2026-03-06T04:30:00.000000Z",
		deadlineOf(onDay(t, "2026-03-03"), 2*24*60+330).String())
}

// TestSlots: a daily update is due once on a day of 23 and of 25 hours, and hours are the day's.
func TestSlots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		day                    string
		hours, quarters, daily int
	}{{"2026-03-28", 24, 96, 1}, {"2026-03-29", 23, 92, 1}, {"2026-10-25", 25, 100, 1}} {
		begin := onDay(t, c.day).Midnight().Time()
		end := (onDay(t, c.day) + 1).Midnight().Time()
		count := func(u schemas.Update) (n int) {
			last := slotBegan(u, begin.Add(-time.Second))
			for now := begin; now.Before(end); now = now.Add(time.Minute) {
				if s := slotBegan(u, now); s.After(last) {
					require.False(t, s.After(now))
					n, last = n+1, s
				}
			}
			return n
		}
		require.Equal(t, c.hours, count(schemas.UpdateHourly), c.day)
		require.Equal(t, c.quarters, count(schemas.UpdateQuarter), c.day)
		require.Equal(t, c.daily, count(schemas.UpdateDaily), c.day)
		require.Equal(
			t,
			1,
			slotBegan(schemas.UpdateDaily, end.Add(-time.Hour)).In(schemas.Copenhagen).Hour(),
		)
	}
}
