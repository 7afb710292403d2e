package transforms

import (
	"slices"
	"time"

	"github.com/flis-dk/flis/schemas"
)

// Date and time forms.
const (
	formISO         = "iso"          // 2024-03-01
	formISOOffset   = "iso-offset"   // 2024-03-01T00:00:00+01:00: the moment's Danish day
	formYMD         = "yyyymmdd"     // 20240301, text or integer
	formDMYDash     = "dd-mm-yyyy"   // 01-03-2024
	formDMYDot      = "dd.mm.yyyy"   // 01.03.2024
	formEpochDays   = "epoch-days"   // integer
	formEpochMillis = "epoch-millis" // integer: the moment's Danish day
	formEpochMicros = "epoch-micros" // integer: the moment's Danish day
)

// dateForms is the closed set of `date`.
func dateForms() []string {
	return []string{formISO, formISOOffset, formYMD, formDMYDash, formDMYDot, formEpochDays,
		formEpochMillis,
		formEpochMicros}
}

// timeForms is the closed set of `time`.
func timeForms() []string { return []string{formISOOffset, formEpochMillis, formEpochMicros} }

// numeric says whether the form is of an integer.
func numericForm(form string) bool {
	return slices.Contains([]string{formEpochDays, formEpochMillis, formEpochMicros}, form)
}

// What a date may be: older ones are mistakes, and the last day is how sources write "open".
var (
	firstDay = schemas.CivilDay(1500, 1, 1)
	lastDay  = schemas.CivilDay(9999, 12, 31)
)

// parseDay reads a date; open is any form of 9999-12-31. Days that the calendar does not have are
// refused.
func parseDay(form string, text []byte, n int64) (d schemas.Day, open, ok bool) {
	switch form {
	case formEpochDays:
		if n < int64(firstDay) || n > int64(lastDay) {
			return 0, false, false
		}
		d, ok = schemas.Day(n), true
	case formISOOffset, formEpochMillis, formEpochMicros:
		i, iok := parseInstant(form, text, n)
		if !iok {
			return 0, false, false
		}
		d, ok = danishDay(i), true
	default:
		d, ok = parseCivil(form, text)
	}
	if d > lastDay { // the last evening of 9999 in another zone
		d = lastDay
	}
	return d, d == lastDay, ok && d >= firstDay
}

// parseCivil reads the four forms of a written day.
func parseCivil(form string, b []byte) (schemas.Day, bool) {
	var y, m, d int
	switch {
	case form == formISO && len(b) == 10 && b[4] == '-' && b[7] == '-':
		y, m, d = digits(b[:4]), digits(b[5:7]), digits(b[8:])
	case form == formYMD && len(b) == 8:
		y, m, d = digits(b[:4]), digits(b[4:6]), digits(b[6:])
	case form == formDMYDash && len(b) == 10 && b[2] == '-' && b[5] == '-',
		form == formDMYDot && len(b) == 10 && b[2] == '.' && b[5] == '.':
		y, m, d = digits(b[6:]), digits(b[3:5]), digits(b[:2])
	default:
		return 0, false
	}
	if y < 0 || m < 1 || m > 12 || d < 1 || d > daysIn(y, m) {
		return 0, false
	}
	return civil(y, m, d), true
}

// digits reads a text of digits only; -1 where it is not.
func digits(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// daysIn is the length of a month of the Gregorian calendar.
func daysIn(y, m int) int {
	switch {
	case m == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0):
		return 29
	case m == 2:
		return 28
	case m == 4 || m == 6 || m == 9 || m == 11:
		return 30
	}
	return 31
}

// civil counts the days of the proleptic Gregorian calendar (the days-from-civil algorithm, era of
// 400 years).
func civil(y, m, d int) schemas.Day {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	return schemas.Day(era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468)
}

// parseInstant reads a moment; the years are those of a date.
func parseInstant(form string, b []byte, n int64) (schemas.Instant, bool) {
	switch form {
	case formEpochMillis:
		const most = 1 << 52 // further than year 9999, and × 1000 fits
		if n > most || n < -most {
			return 0, false
		}
		n *= 1000
	case formISOOffset:
		var ok bool
		if n, ok = parseOffset(b); !ok {
			return 0, false
		}
	}
	const day = 86_400_000_000
	return schemas.Instant(n), n >= int64(firstDay)*day && n < (int64(lastDay)+1)*day
}

// parseOffset reads RFC 3339: seconds and offset must be there; a leap second is refused, as
// time.Parse does.
func parseOffset(b []byte) (micros int64, ok bool) {
	if len(b) < len("2006-01-02T15:04:05Z") || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	d, ok := parseCivil(formISO, b[:10])
	hh, mm, ss := digits(b[11:13]), digits(b[14:16]), digits(b[17:19])
	if !ok || hh < 0 || hh > 23 || mm < 0 || mm > 59 || ss < 0 || ss > 59 {
		return 0, false
	}
	micros = (int64(d)*86400 + int64(hh*3600+mm*60+ss)) * 1_000_000
	b = b[19:]
	if b[0] == '.' {
		unit := int64(100_000)
		for b = b[1:]; len(b) > 0 && b[0] >= '0' && b[0] <= '9'; b = b[1:] {
			micros += int64(b[0]-'0') * unit
			unit /= 10
		}
	}
	offset, ok := parseZone(b)
	return micros - offset*1_000_000, ok
}

// parseZone reads "Z" or "+01:00" to seconds.
func parseZone(b []byte) (int64, bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) != 6 || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	hh, mm := digits(b[1:3]), digits(b[4:])
	if hh < 0 || hh > 23 || mm < 0 || mm > 59 {
		return 0, false
	}
	s := int64(hh*3600 + mm*60)
	if b[0] == '-' {
		s = -s
	}
	return s, true
}

// danishDay is Instant.Day with a short cut: since 1980 Denmark is one or two hours before UTC, so
// most moments need no look into the zone.
func danishDay(i schemas.Instant) schemas.Day {
	const hour, day = int64(time.Hour / time.Microsecond), 24 * int64(time.Hour/time.Microsecond)
	n := int64(i)
	if n < 10*365*day {
		return i.Day()
	}
	winter, summer := (n+hour)/day, (n+2*hour)/day
	if winter != summer {
		return i.Day()
	}
	return schemas.Day(winter)
}
