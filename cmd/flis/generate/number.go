package generate

import (
	"fmt"
	"time"

	"github.com/flis-dk/flis/schemas"
)

// numbers gives each person a personal number with 60 added to the day (domain.md section 3.6): no
// real person has such a one. They are handed out in the order of persons, one counter for each
// date of birth and sex, so that millions cost 200 KiB.
type numbers struct {
	next map[birth]uint16
}

type birth struct {
	day schemas.Day
	sex byte
}

func newNumbers() *numbers { return &numbers{map[birth]uint16{}} }

// Serial numbers of a date: the seventh digit tells the century, the tenth the sex.
const (
	serialStep = 787 // has no factor in common with the sizes, so that each number comes once
	perDate19  = 2000
	perDate20  = 2500
)

// take is the next number of a date; false when the date has no more.
func (n *numbers) take(day schemas.Day, sex byte) (string, bool) {
	b := birth{day, sex}
	i := int(n.next[b])
	n.next[b]++
	y, m, d := day.Civil().Date()
	odd := 0
	if sex == 'M' {
		odd = 1
	}
	first, size := 0, perDate19 // 0000 to 3999
	if y >= 2000 {
		first, size = 4000, perDate20 // 4000 to 8999; 9000 to 9999 stay free
	}
	if i >= size {
		return "", false
	}
	serial := first + 2*((i*serialStep+d*31+int(m)*7)%size) + odd
	return fmt.Sprintf("%02d%02d%02d%04d", d+60, int(m), y%100, serial), true
}

// birthday is the day of an age in years, and some days more.
func birthday(at schemas.Day, years, days int) schemas.Day {
	y, m, d := at.Civil().Date()
	return schemas.CivilDay(y-years, m, min(d, 28)) - schemas.Day(days)
}

// yearsAfter is the day some years on; 29 February becomes 1 March.
func yearsAfter(d schemas.Day, years int) schemas.Day {
	y, m, dd := d.Civil().Date()
	return schemas.CivilDay(y+years, m, dd)
}

// age is whole years.
func age(born, at schemas.Day) int {
	y, m, d := born.Civil().Date()
	y2, m2, d2 := at.Civil().Date()
	if m2 < m || m2 == m && d2 < d {
		y2--
	}
	return y2 - y
}

func weekday(d schemas.Day) time.Weekday { return d.Civil().Weekday() }

// nextWeekday is the day itself, on Saturdays and Sundays the Monday after.
func nextWeekday(d schemas.Day) schemas.Day {
	switch weekday(d) {
	case time.Saturday:
		return d + 2
	case time.Sunday:
		return d + 1
	}
	return d
}
