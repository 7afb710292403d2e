package sinks

import (
	"time"

	"github.com/flis-dk/flis/schemas"
)

// Delivers says whether a source with this calendar delivers on a day.
func Delivers(c schemas.Calendar, d schemas.Day) bool {
	day, monthly := c.MonthDay()
	switch {
	case monthly:
		return workday(d) && monthDue(d, day)
	case c == schemas.Weekdays:
		return workday(d)
	case c == schemas.MonthlyFirst:
		return workday(d) && monthDue(d, 1)
	case c == schemas.MonthlyLast:
		next := nextWorkday(d + 1)
		return workday(d) && next.Civil().Month() != d.Civil().Month()
	}
	return true
}

// monthDue says whether a working day is the first from a day of a month on: that of its own
// month, or of the month before.
func monthDue(d schemas.Day, day int) bool {
	y, m, _ := d.Civil().Date()
	return nextWorkday(schemas.CivilDay(y, m, day)) == d ||
		nextWorkday(schemas.CivilDay(y, m-1, day)) == d
}

// workday is Monday to Friday but for public holidays.
func workday(d schemas.Day) bool {
	switch d.Civil().Weekday() {
	case time.Saturday, time.Sunday:
		return false
	}
	return !Holiday(d)
}

// nextWorkday is the first working day from d on.
func nextWorkday(d schemas.Day) schemas.Day {
	for !workday(d) {
		d++
	}
	return d
}

// lastPrayerDay is the last year with Store Bededag as a holiday (Act 214 of 2023).
const lastPrayerDay = 2023

// Holiday says whether a day is a Danish public holiday by law. 1 May, 5 June, 24 and 31 December
// are none.
func Holiday(d schemas.Day) bool {
	y, m, day := d.Civil().Date()
	switch {
	case m == time.January && day == 1, m == time.December && (day == 25 || day == 26):
		return true
	}
	switch d - easter(y) {
	case -3, -2, 0, 1, 39, 49, 50:
		return true
	case 26:
		return y <= lastPrayerDay
	}
	return false
}

// easter is Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher).
func easter(y int) schemas.Day {
	a, b, c := y%19, y/100, y%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	month := (h + l - 7*m + 114) / 31
	return schemas.CivilDay(y, time.Month(month), (h+l-7*m+114)%31+1)
}

// deadlineOf is the moment at which a day is closed whatever is missing: minutes after Danish
// midnight of the day after, by the clock on the wall.
func deadlineOf(d schemas.Day, minutes int) schemas.Instant {
	y, m, day := d.Civil().Date()
	return schemas.InstantOf(time.Date(y, m, day+1, 0, minutes, 0, 0, schemas.Copenhagen))
}
