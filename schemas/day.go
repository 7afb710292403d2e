package schemas

import (
	"fmt"
	"math"
	"time"
	_ "time/tzdata" // the Danish day must not depend on what the machine has installed
)

// Day is a civil day in Europe/Copenhagen, counted from 1970-01-01.
type Day int32

// Bounds of valid time. Intervals are half-open: [from, to).
const (
	// Always is the start of time: an interval from Always has no known start.
	Always Day = math.MinInt32
	// Open is the end of time: delivered as NULL.
	Open Day = math.MaxInt32
)

// Instant is a moment in microseconds since 1970-01-01 UTC.
type Instant int64

// Copenhagen is the zone of every day in the system.
var Copenhagen = func() *time.Location {
	l, err := time.LoadLocation("Europe/Copenhagen")
	if err != nil {
		panic("schemas: load Europe/Copenhagen: " + err.Error()) // embedded by time/tzdata
	}
	return l
}()

const secondsPerDay = 86400

// DayOf is the Danish day of a moment.
func DayOf(t time.Time) Day {
	y, m, d := t.In(Copenhagen).Date()
	return CivilDay(y, m, d)
}

// CivilDay is the day of a calendar date; out-of-range parts roll over as in time.Date.
func CivilDay(y int, m time.Month, d int) Day {
	return Day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
}

// ParseDay reads "2006-01-02" and refuses days that the calendar does not have.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("day %q: want yyyy-mm-dd", s)
	}
	return floorDay(t.Unix()), nil
}

func floorDay(unix int64) Day {
	d := unix / secondsPerDay
	if unix%secondsPerDay < 0 {
		d--
	}
	return Day(d)
}

// Civil is the day as midnight UTC, for its calendar parts only.
func (d Day) Civil() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// Midnight is the moment at which the day begins in Denmark.
func (d Day) Midnight() Instant {
	y, m, dd := d.Civil().Date()
	return InstantOf(time.Date(y, m, dd, 0, 0, 0, 0, Copenhagen))
}

// String is "2006-01-02"; empty for Always and Open.
func (d Day) String() string {
	if d == Always || d == Open {
		return ""
	}
	return d.Civil().Format(time.DateOnly)
}

// InstantOf cuts to microseconds.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMicro()) }

// Time is the moment in UTC.
func (i Instant) Time() time.Time { return time.UnixMicro(int64(i)).UTC() }

// Day is the Danish day of the moment.
func (i Instant) Day() Day { return DayOf(i.Time()) }

// String is RFC 3339 with microseconds.
func (i Instant) String() string { return i.Time().Format("2006-01-02T15:04:05.000000Z") }
