package cpr

import (
	"math"
	"strings"
	"time"

	"github.com/flis-dk/flis/schemas"
)

// moment is a date of the register as valid time (domain.md section 3.2).
type moment struct {
	day     schemas.Day
	minute  int  // of the day, for the order of two changes on one day
	known   bool // false: blank, zeros or any form of 9999-12-31
	partial bool // month or day is 00: the first of the period stands for it
}

// order is the moment on one scale.
func (m moment) order() int64 { return int64(m.day)*1440 + int64(m.minute) }

// never is later than every moment.
const never = math.MaxInt64

// parseMoment reads YYYY-MM-DD and YYYYMMDDHHMM. Not ok: a date or time that no calendar has.
func parseMoment(s string) (m moment, ok bool) {
	if strings.Trim(s, "0 -") == "" {
		return moment{}, true
	}
	var y, mo, d, hh, mm int
	switch {
	case len(s) == 10 && s[4] == '-' && s[7] == '-':
		y, mo, d = digits(s[:4]), digits(s[5:7]), digits(s[8:])
	case len(s) == 12:
		y, mo, d = digits(s[:4]), digits(s[4:6]), digits(s[6:8])
		hh, mm = digits(s[8:10]), digits(s[10:])
	default:
		return moment{}, false
	}
	// An end that is never: model.md section 1, Dates.
	if y == 9999 && mo == 12 && d == 31 {
		return moment{}, true
	}
	if mm == 99 { // minute not known
		mm = 0
	}
	if y < 1 || mo < 0 || mo > 12 || d < 0 || hh < 0 || hh > 23 || mm < 0 || mm > 59 {
		return moment{}, false
	}
	m = moment{known: true, partial: mo == 0 || d == 0, minute: hh*60 + mm}
	if d > daysIn(y, max(mo, 1)) {
		return moment{}, false
	}
	if mo == 0 {
		mo, d = 1, 1
	}
	m.day = schemas.CivilDay(y, time.Month(mo), max(d, 1))
	return m, true
}

// digits is the number, -1 where a character is no digit.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

func daysIn(y, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// instant is the moment on the clock of Denmark.
func (m moment) instant() schemas.Instant {
	y, mo, d := m.day.Civil().Date()
	hh, mm := m.minute/60, m.minute%60
	return schemas.InstantOf(time.Date(y, mo, d, hh, mm, 0, 0, schemas.Copenhagen))
}

// age is the whole years from a birth to a day; -1 where the birth is not known or not yet.
func (m moment) age(at schemas.Day) int {
	if !m.known || at < m.day {
		return -1
	}
	y, mo, d := m.day.Civil().Date()
	y2, mo2, d2 := at.Civil().Date()
	if mo2 < mo || mo2 == mo && d2 < d {
		y2--
	}
	return y2 - y
}

// birthIn is the date of birth in a personal number; a day of 61 to 91 is that of a replacement
// number. Not known: letters, or a date that no calendar has. The century is by the seventh digit
// (domain.md section 3.6).
func birthIn(pnr string) moment {
	if len(pnr) != 10 || digits(pnr) < 0 {
		return moment{}
	}
	d, mo, y, c := digits(pnr[:2]), digits(pnr[2:4]), digits(pnr[4:6]), digits(pnr[6:7])
	switch {
	case c <= 3:
		y += 1900
	case (c == 4 || c == 9) && y <= 36, c >= 5 && c <= 8 && y <= 57:
		y += 2000
	case c == 4 || c == 9:
		y += 1900
	default:
		y += 1800
	}
	if d > 60 {
		d -= 60
	}
	if mo < 1 || mo > 12 || d < 1 || d > daysIn(y, mo) {
		return moment{}
	}
	return moment{day: schemas.CivilDay(y, time.Month(mo), d), known: true}
}
