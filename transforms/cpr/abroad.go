package cpr

import (
	"slices"
	"sort"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// Kinds of absence, of the list udlandsopholdstype.
const (
	awayAbroad = "udrejst"
	awayGone   = "forsvundet"
)

// abroadRow is an absence as one municipality holds it: whole.
type abroadRow struct {
	held
	*row
	kind string
}

// crossing is a way out of residence or into it. since and until bound the absence that it begins
// or ends.
type crossing struct {
	at           moment
	kind, land   string // kind of event
	registered   stamp
	since, until schemas.Day
}

// absences is the time away, and the ways out and in that it has.
type absences struct {
	rows      []abroadRow // without holders
	outs, ins []crossing
}

// absences reads emigration and disappearance. An entry without an emigration is a way in, and no
// row.
func (b *block) absences() (absences, *schemas.Finding) {
	var all absences
	rows, reject := b.read(b.abroad)
	if reject != nil {
		return all, reject
	}
	left := slices.Clone(rows)
	left = slices.DeleteFunc(left, func(r row) bool { return !r.start.known })
	for i := range rows {
		if r := &rows[i]; !r.start.known && r.end.known {
			all.ins = append(all.ins, crossing{r.end, evImmigrated, country(r.value(inLand)),
				r.registered, schemas.Always, r.end.day})
		}
	}
	if left, reject = b.settle(left); reject != nil {
		return all, reject
	}
	all.add(left, awayAbroad, evEmigrated, evImmigrated)
	gone, reject := b.timeline(b.gone)
	if reject != nil {
		return all, reject
	}
	all.add(gone, awayGone, evGone, evFound)
	return all, nil
}

// add takes a timeline in. An end that is but the next start is no way in.
func (a *absences) add(rows []row, kind, out, in string) {
	for i := range rows {
		r := &rows[i]
		a.rows = append(a.rows, abroadRow{row: r, kind: kind})
		a.outs = append(a.outs, crossing{r.start, out, country(r.value(outLand)), r.registered,
			r.from, r.to})
		if r.end.known && r.end.day == r.to {
			a.ins = append(a.ins, crossing{r.end, in, country(r.value(inLand)), r.registered,
				r.from, r.to})
		}
	}
}

// heldAbroad gives each absence whole to the holder of the last address begun before it and to
// that of the first that ends after it.
func (b *block) heldAbroad(rows []abroadRow, addresses []row) []abroadRow {
	var out []abroadRow
	for i := range rows {
		r := rows[i]
		before, after := lastBegun(addresses, r.row.from), firstEnding(addresses, r.row.to)
		last := schemas.Kommunekode("")
		if before >= 0 {
			last = b.holderOf(&addresses[before])
		}
		r.held = held{period{last, r.row.from, r.row.to}, i}
		if last != "" {
			out = append(out, r)
		}
		if after == len(addresses) {
			continue
		}
		if r.kommune = b.holderOf(&addresses[after]); r.kommune != "" && r.kommune != last {
			out = append(out, r)
		}
	}
	return out
}

// lastBegun is the last address begun before a day, -1 for none.
func lastBegun(addresses []row, d schemas.Day) int {
	return sort.Search(len(addresses), func(i int) bool { return addresses[i].from >= d }) - 1
}

// firstEnding is the first address that ends after a day, their number for none.
func firstEnding(addresses []row, d schemas.Day) int {
	return sort.Search(len(addresses), func(i int) bool { return addresses[i].to > d })
}

// country is a country code; blank and zeros are none.
func country(s string) string {
	if strings.Trim(s, "0 ") == "" {
		return ""
	}
	return strings.TrimSpace(s)
}
