package generate

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/flis-dk/flis/schemas"
)

// Row is one true row of a delivered table, by the texts of model.md sections 1, 2 and 3.2. Values
// are the dataset's columns in their order as text: days as yyyy-mm-dd, moments in RFC 3339 with
// microseconds in UTC, decimals with all digits of their scale, true and false, "" for null.
type Row struct {
	Kommune schemas.Kommunekode
	Dataset schemas.DatasetName
	From    schemas.Day
	Until   schemas.Day // Open for none; of facts always
	System  schemas.System
	Values  []string
}

// keyColumns is how many of a dataset's first values are its key.
func keyColumns(d schemas.DatasetName) int {
	switch d {
	case "borger.beskyttelse", "borger.udlandsophold":
		return 2
	case "borger.familierelation", "borger.haendelse", "aeldre.plejebolig":
		return 3
	}
	return 1
}

// period is an unbroken residence in one municipality.
type period struct {
	kommune     schemas.Kommunekode
	from, until schemas.Day
}

// periods joins stays that adjoin.
func (l *life) periods() []period {
	var all []period
	for _, s := range l.stays {
		n := len(all)
		if n > 0 && all[n-1].until == s.from && all[n-1].kommune == s.heldBy() {
			all[n-1].until = s.until
			continue
		}
		all = append(all, period{s.heldBy(), s.from, s.until})
	}
	return all
}

// teller collects the true rows of one person.
type teller struct {
	life    *life
	periods []period
	rows    []Row
}

// truthOf is the rows of borger that a life makes.
func truthOf(l *life) []Row {
	t := &teller{life: l, periods: l.periods()}
	t.person()
	t.addresses()
	for i, c := range l.civil {
		until := schemas.Open
		if i+1 < len(l.civil) {
			until = l.civil[i+1].from
		}
		t.held("borger.civilstand", c.from, until, c.kind, c.spouse, c.separated.String(), "false")
	}
	for i, c := range l.lands {
		until := schemas.Open
		if i+1 < len(l.lands) {
			until = l.lands[i+1].from
		}
		t.held("borger.statsborgerskab", c.from, until, c.land, "false")
	}
	for _, p := range l.shield {
		t.held("borger.beskyttelse", p.from, p.until, p.kind)
	}
	t.relatives()
	t.absences()
	t.events()
	t.numbers()
	return joined(t.rows)
}

// row adds a row of one municipality; the number comes before the values.
func (t *teller) row(k schemas.Kommunekode, d schemas.DatasetName, from, until schemas.Day,
	values ...string) {
	t.rows = append(t.rows, Row{k, d, from, until, "cpr",
		append([]string{t.life.cpr}, values...)})
}

// held cuts a row to the periods of residence; what begins when the last has ended goes whole to
// the last holder.
func (t *teller) held(d schemas.DatasetName, from, until schemas.Day, values ...string) {
	last := t.periods[len(t.periods)-1]
	if from >= last.until {
		t.row(last.kommune, d, from, until, values...)
		return
	}
	for _, p := range t.periods {
		if f, u := max(from, p.from), min(until, p.until); f < u {
			t.row(p.kommune, d, f, u, values...)
		}
	}
}

// person: the status, and status 01 derived for the time before it.
func (t *teller) person() {
	l := t.life
	tell := func(from, until schemas.Day, status, derived string) {
		t.held("borger.person", from, until, status, derived, string(l.sex), l.born.String(),
			"false", l.origin)
	}
	if l.born < l.since {
		tell(l.born, l.since, statusResident, "true")
	}
	tell(l.since, schemas.Open, l.status, "false")
}

// addresses: where from is the last other municipality, also across absences.
func (t *teller) addresses() {
	l := t.life
	from := ""
	for i := range l.stays {
		s := &l.stays[i]
		if i > 0 && l.stays[i-1].kommune != s.kommune {
			from = string(l.stays[i-1].kommune)
		}
		postnr := ""
		if s.until == schemas.Open && !s.homeless() {
			postnr = s.postnr()
		}
		t.row(s.heldBy(), "borger.adresse", s.from, s.until, string(s.kommune), s.vej, s.husnr,
			s.etage, s.doer, "", postnr, strconv.FormatBool(s.homeless()), s.from.String(),
			l.arrived(i).String(), from, "false")
	}
}

func (t *teller) relatives() {
	l := t.life
	kin := func(kind, number string, from, until schemas.Day) {
		t.held("borger.familierelation", from, until, kind, number, "false")
	}
	for _, c := range l.children {
		kin("barn", c, bornIn(c), schemas.Open)
	}
	grown := yearsAfter(l.born, 18)
	for _, p := range []struct {
		kind string
		*parent
	}{{"mor", l.mother}, {"far", l.father}} {
		if p.parent != nil {
			kin(p.kind, p.cpr, l.born, schemas.Open)
			kin("foraeldremyndighed", p.cpr, l.born, grown)
		}
	}
}

// bornIn is the date of birth in a number that the generator made.
func bornIn(cpr string) schemas.Day {
	n := func(s string) int { v, _ := strconv.Atoi(s); return v }
	year := 1900 + n(cpr[4:6])
	if cpr[6] >= '4' {
		year += 100
	}
	return schemas.CivilDay(year, time.Month(n(cpr[2:4])), n(cpr[:2])-60)
}

// absences go whole to who had the person before, and to who has them after.
func (t *teller) absences() {
	for _, a := range t.life.away {
		var holders []schemas.Kommunekode
		for _, s := range t.life.stays {
			before, after := s.until == a.from, s.from == a.until
			if (before || after) && !slices.Contains(holders, s.heldBy()) {
				holders = append(holders, s.heldBy())
			}
		}
		for _, k := range holders {
			t.row(k, "borger.udlandsophold", a.from, a.until, a.kind, a.to, a.back, "false")
		}
	}
}

// happened adds an event of a municipality on a day.
func (t *teller) happened(k schemas.Kommunekode, day schemas.Day, kind string,
	from, to schemas.Kommunekode, land string) {
	at := day.Midnight()
	if kind != "foedt" {
		y, m, d := day.Civil().Date()
		at = schemas.InstantOf(time.Date(y, m, d, 12, 0, 0, 0, schemas.Copenhagen))
	}
	t.row(k, "borger.haendelse", day, schemas.Open, kind, at.String(), string(from), string(to),
		land, strconv.Itoa(age(t.life.born, day)))
}

// events: each begin and each end of a stay has its cause.
func (t *teller) events() {
	l := t.life
	for i := range l.stays {
		s := &l.stays[i]
		if i > 0 && l.stays[i-1].until == s.from {
			t.moved(&l.stays[i-1], s)
		} else {
			kind, land := t.arrival(i)
			t.happened(s.heldBy(), s.from, kind, "", s.kommune, land)
		}
		if s.until == schemas.Open || i+1 < len(l.stays) && l.stays[i+1].from == s.until {
			continue
		}
		kind, land := "doed", ""
		for _, a := range l.away {
			if a.from == s.until {
				kind, land = "udvandring", a.to
				if a.kind == missing {
					kind = "forsvundet"
				}
			}
		}
		t.happened(s.heldBy(), s.until, kind, s.kommune, "", land)
	}
	if last := &l.stays[len(l.stays)-1]; l.status == statusDead && last.until != l.since {
		t.happened(last.heldBy(), l.since, "doed", "", "", "") // away: no stock changes
	}
}

// moved: two municipalities each have an event; a code that becomes its successor is none.
func (t *teller) moved(before, s *stay) {
	from, to := before.kommune, s.kommune
	switch {
	case before.heldBy() != s.heldBy():
		t.happened(before.heldBy(), s.from, "fraflytning", from, to, "")
		t.happened(s.heldBy(), s.from, "tilflytning", from, to, "")
	case from == to || to != s.heldBy():
		t.happened(s.heldBy(), s.from, "intern_flytning", from, to, "")
	}
}

// knownBirth is how long after the birth a first address is that of a birth (befolkning.md).
const knownBirth = 31

// arrival is why a stay began that follows no other.
func (t *teller) arrival(i int) (kind, land string) {
	l, from := t.life, t.life.stays[i].from
	for _, a := range l.away {
		switch {
		case a.until != from:
		case a.kind == missing:
			return "genfundet", ""
		default:
			return "indvandring", a.back
		}
	}
	switch {
	case l.entry != schemas.Always:
		return "indvandring", l.entryLand
	case from > l.born+knownBirth:
		return "foerste_bopael", ""
	}
	return "foedt", ""
}

// numbers: an old number is told to each municipality that holds the person.
func (t *teller) numbers() {
	for _, f := range t.life.former {
		var told []schemas.Kommunekode
		for _, r := range t.rows {
			if r.Dataset == "borger.person" && !slices.Contains(told, r.Kommune) {
				told = append(told, r.Kommune)
				t.rows = append(t.rows, Row{r.Kommune, "borger.personnummer", f.until, schemas.Open,
					"cpr", []string{f.cpr, t.life.cpr, "skiftet"}})
			}
		}
	}
}

// joined sorts rows and joins those of equal content that adjoin: a table never has two.
func joined(rows []Row) []Row {
	slices.SortFunc(rows, compareRows)
	out := rows[:0]
	for _, r := range rows {
		if n := len(out); n > 0 && out[n-1].Until == r.From && sameContent(&out[n-1], &r) {
			out[n-1].Until = r.Until
			continue
		}
		out = append(out, r)
	}
	return out
}

func compareRows(a, b Row) int {
	n := keyColumns(a.Dataset)
	return cmp.Or(cmp.Compare(a.Kommune, b.Kommune), cmp.Compare(a.Dataset, b.Dataset),
		cmp.Compare(a.System, b.System),
		slices.Compare(a.Values[:n], b.Values[:min(n, len(b.Values))]),
		cmp.Compare(a.From, b.From), cmp.Compare(a.Until, b.Until), slices.Compare(a.Values, b.Values))
}

func sameContent(a, b *Row) bool {
	return a.Kommune == b.Kommune && a.Dataset == b.Dataset && a.System == b.System &&
		slices.Equal(a.Values, b.Values)
}
