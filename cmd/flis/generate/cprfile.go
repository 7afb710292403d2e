package generate

import (
	"fmt"
	"strconv"

	"github.com/flis-dk/flis/schemas"
)

// The records of layout A that the generator writes, by the public text (domain.md section 3.3):
// positions from 1, as there.

// opgavenr is the number of the subscription, in every file's name and start record.
const opgavenr = "980098"

// recordMax is longer than each record.
const recordMax = 306

// record is one line under construction.
type record struct{ buf []byte }

func newRecord(kind, pnr string) record {
	b := make([]byte, recordMax)
	for i := range b {
		b[i] = ' '
	}
	copy(b, kind)
	copy(b[3:], pnr)
	return record{b}
}

// at writes a value at a position.
func (r record) at(pos int, value string) record {
	copy(r.buf[pos-1:], value)
	return r
}

// stamp is a moment of 12 digits: noon of the day; blank for Always and Open.
func stamp(d schemas.Day) string {
	if d == schemas.Always || d == schemas.Open {
		return ""
	}
	return compact(d) + "1200"
}

func compact(d schemas.Day) string { return d.Civil().Format("20060102") }

// block is records of one person, or of a file's frame.
type block struct {
	text  []byte
	count int
}

func (b *block) add(r record) {
	end := len(r.buf)
	for end > 0 && r.buf[end-1] == ' ' {
		end--
	}
	b.text = append(append(b.text, r.buf[:end]...), '\n')
	b.count++
}

// startRecord is 000; previous is Always for the first file.
func startRecord(produced, previous schemas.Day) record {
	r := newRecord("000", "0000000000").at(14, opgavenr).at(20, compact(produced))
	if previous != schemas.Always {
		r.at(28, compact(previous))
	}
	return r
}

func endRecord(records int) record {
	return newRecord("999", "9999999999").at(14, fmt.Sprintf("%08d", records))
}

// person appends everything that CPR tells of a person who holds the number now.
func (b *block) person(l *life, events []*change) {
	rec := func(kind string) record { return newRecord(kind, l.cpr) }
	b.add(rec("001").at(24, l.status).at(26, stamp(l.since)).at(39, string(l.sex)).
		at(40, l.born.String()).at(51, l.born.String()))
	b.addresses(l)
	for _, p := range l.shield {
		if !l.silent || p.until == schemas.Open {
			b.add(rec("004").at(14, p.kind).at(18, p.from.String()).at(28, p.until.String()))
		}
	}
	b.add(rec("008").at(14, "Anonym").at(106, "Opdigtet").at(147, stamp(l.born)))
	b.add(rec("009").at(14, l.origin))
	for i, c := range l.lands {
		if i == len(l.lands)-1 {
			b.add(rec("010").at(14, c.land).at(18, stamp(c.from)))
			continue
		}
		b.add(rec("027").at(15, c.land).at(19, stamp(c.from)).at(32, stamp(l.lands[i+1].from)))
	}
	b.civils(l)
	b.relatives(l)
	b.absences(l)
	for _, f := range l.former {
		b.add(newRecord("022", l.cpr).at(14, f.cpr).at(24, f.from.String()).at(35, f.until.String()))
	}
	for _, e := range events {
		if e.event != "" {
			b.add(rec("099").at(14, stamp(e.happened)).at(26, e.event))
		}
	}
}

// former appends what CPR tells of a number that was changed.
func (b *block) former(l *life, f formerNumber) {
	b.add(newRecord("001", f.cpr).at(14, l.cpr).at(24, "60").at(26, stamp(f.until)).
		at(39, string(l.sex)).at(40, l.born.String()).at(51, f.from.String()).at(62, f.until.String()))
}

func (b *block) addresses(l *life) {
	for i := range l.stays {
		s := &l.stays[i]
		if s.until != schemas.Open {
			b.add(newRecord("023", l.cpr).at(15, string(s.kommune)).at(19, s.vej).at(23, s.husnr).
				at(27, s.etage).at(29, s.doer).at(71, stamp(s.from)).at(84, stamp(s.until)))
			continue
		}
		r := newRecord("002", l.cpr).at(14, string(s.kommune)).at(18, s.vej).at(22, s.husnr).
			at(26, s.etage).at(28, s.doer).at(70, stamp(s.from)).at(83, stamp(l.arrived(i)))
		if i > 0 && l.stays[i-1].until == s.from && l.stays[i-1].kommune != s.kommune {
			r.at(96, string(l.stays[i-1].kommune)).at(100, stamp(s.from))
		}
		b.add(r)
		if !s.homeless() {
			b.add(newRecord("003", l.cpr).at(184, s.postnr()).at(208, string(s.kommune)).
				at(212, s.vej).at(216, s.husnr).at(220, s.etage).at(222, s.doer))
		}
	}
}

// postnr is made up: one for each municipality.
func (s *stay) postnr() string {
	k, _ := strconv.Atoi(string(s.kommune))
	return strconv.Itoa(1000 + k*10)
}

// arrived is the first day of the unbroken stay in the municipality of a stay.
func (l *life) arrived(i int) schemas.Day {
	for i > 0 && l.stays[i-1].until == l.stays[i].from && l.stays[i-1].kommune == l.stays[i].kommune {
		i--
	}
	return l.stays[i].from
}

func (b *block) civils(l *life) {
	for i, c := range l.civil {
		henvis := stamp(c.separated)
		if i == len(l.civil)-1 {
			b.add(newRecord("012", l.cpr).at(14, c.kind).at(15, c.spouse).at(71, stamp(c.from)).
				at(84, henvis))
			if henvis != "" {
				b.add(newRecord("013", l.cpr).at(14, henvis).at(26, c.separated.String()))
			}
			continue
		}
		next := l.civil[i+1].from
		b.add(newRecord("029", l.cpr).at(15, c.kind).at(16, c.spouse).at(72, stamp(c.from)).
			at(85, stamp(next)).at(98, henvis))
		if henvis != "" {
			b.add(newRecord("030", l.cpr).at(15, henvis).at(27, c.separated.String()).
				at(38, next.String()))
		}
	}
}

func (b *block) relatives(l *life) {
	for _, c := range l.children {
		b.add(newRecord("014", l.cpr).at(14, c))
	}
	if l.mother == nil && l.father == nil {
		return
	}
	r := newRecord("015", l.cpr)
	grown := yearsAfter(l.born, 18).String()
	var custody []record
	if m := l.mother; m != nil {
		r.at(14, l.born.String()).at(25, m.cpr).at(35, m.born.String())
		custody = append(custody, newRecord("016", l.cpr).at(14, "0003"))
	}
	if f := l.father; f != nil {
		r.at(81, l.born.String()).at(92, f.cpr).at(102, f.born.String())
		custody = append(custody, newRecord("016", l.cpr).at(14, "0004"))
	}
	b.add(r)
	for _, c := range custody {
		b.add(c.at(18, l.born.String()).at(29, grown))
	}
}

func (b *block) absences(l *life) {
	if l.entry != schemas.Always {
		b.add(newRecord("024", l.cpr).at(32, l.entryLand).at(36, stamp(l.entry)))
	}
	for _, a := range l.away {
		switch {
		case a.kind == abroad && a.until == schemas.Open:
			b.add(newRecord("005", l.cpr).at(14, a.to).at(18, stamp(a.from)))
		case a.kind == abroad:
			b.add(newRecord("024", l.cpr).at(15, a.to).at(19, stamp(a.from)).at(32, a.back).
				at(36, stamp(a.until)))
		case a.until == schemas.Open:
			b.add(newRecord("007", l.cpr).at(14, stamp(a.from)))
		default:
			b.add(newRecord("025", l.cpr).at(15, stamp(a.from)).at(28, stamp(a.until)))
		}
	}
}
