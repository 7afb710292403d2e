package cpr

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// row is one record as a stretch of valid time.
type row struct {
	line       line
	src        *rowSource
	start, end moment      // as the record says; an unknown end is open
	unsureFrom bool        // _UMRK *, 00 or an unknown start
	unsureTo   bool        // _UMRK * or 00 of the end, or what the start that cuts it has
	from, to   schemas.Day // [from, to), set by cut
	registered stamp
	nr         int // in the order of record types, then of the file: the last tie
}

// value is a field of the dataset, trailing blanks cut off.
func (r *row) value(i int) string { return r.line.get(r.src.values[i]) }

// unsure is the column usikker.
func (r *row) unsure() bool { return r.unsureFrom || r.unsureTo }

// endOrder is the row's end on the scale of moments.
func (r *row) endOrder() int64 {
	if !r.end.known {
		return never
	}
	return r.end.order()
}

// timeline is a person's rows of one dataset: in order of valid time, disjoint, none without
// length.
func (b *block) timeline(sources []rowSource) ([]row, *schemas.Finding) {
	rows, reject := b.read(sources)
	if reject != nil {
		return nil, reject
	}
	return b.settle(rows)
}

// read is the records of some types as rows, as they stand.
func (b *block) read(sources []rowSource) ([]row, *schemas.Finding) {
	var rows []row
	for i := range sources {
		for _, l := range b.lines[sources[i].rec] {
			if b.withdrawn(l, sources[i].annkor) {
				continue
			}
			r, reject := b.row(&sources[i], l)
			if reject != nil {
				return nil, reject
			}
			r.nr = len(rows)
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// settle makes rows of one key a timeline.
func (b *block) settle(rows []row) ([]row, *schemas.Finding) {
	if reject := b.resolveStarts(rows); reject != nil {
		return nil, reject
	}
	return cut(currentFirst(rows)), nil
}

// row reads the times of a record. Fields that nothing is read from are not looked at: an
// impossible date there parks nothing.
func (b *block) row(src *rowSource, l line) (row, *schemas.Finding) {
	r := row{line: l, src: src}
	var reject *schemas.Finding
	if r.start, reject = b.moment(src.rec, l, src.start); reject != nil {
		return r, reject
	}
	if r.end, reject = b.moment(src.rec, l, src.end); reject != nil {
		return r, reject
	}
	if !r.end.known {
		if r.end, reject = b.moment(src.rec, l, src.endElse); reject != nil {
			return r, reject
		}
	}
	if r.registered, reject = b.registered(src.rec, l, src.ts); reject != nil {
		return r, reject
	}
	r.unsureFrom = !r.start.known || r.start.partial || l.get(src.startMark) == "*"
	r.unsureTo = r.end.partial || l.get(src.endMark) == "*"
	return r, nil
}

// resolveStarts gives a row without a start the end of the row before it, else FOED_DT.
func (b *block) resolveStarts(rows []row) *schemas.Finding {
	ends := make([]moment, 0, len(rows))
	for i := range rows {
		if rows[i].end.known {
			ends = append(ends, rows[i].end)
		}
	}
	byOrder := func(m moment, order int64) int { return cmp.Compare(m.order(), order) }
	slices.SortFunc(ends, func(x, y moment) int { return byOrder(x, y.order()) })
	for i := range rows {
		r := &rows[i]
		if r.start.known {
			continue
		}
		before, _ := slices.BinarySearchFunc(ends, r.endOrder(), byOrder)
		switch {
		case before > 0:
			r.start = ends[before-1]
		case b.born.known:
			r.start = b.born
			if r.isUnmarried() {
				r.unsureFrom = false // U from FOED_DT is certain
			}
		default:
			return schemas.Reject(schemas.CodeDate,
				strings.TrimSuffix(r.src.rec+"."+r.src.start.Name, "."), "order the person anew",
				"a row without a start begins at FOED_DT, which is missing")
		}
	}
	return nil
}

// isUnmarried says whether the row is a civil status U.
func (r *row) isUnmarried() bool {
	return (r.src.rec == "012" || r.src.rec == "029" || r.src.rec == "035" || r.src.rec == "036") &&
		r.value(civst) == "U"
}

// currentFirst sorts by valid time and drops the history that begins where a current record
// already speaks.
func currentFirst(rows []row) []row {
	speaks := int64(never)
	for i := range rows {
		if rows[i].src.current {
			speaks = min(speaks, rows[i].start.order())
		}
	}
	rows = slices.DeleteFunc(rows, func(r row) bool {
		return !r.src.current && r.start.order() >= speaks
	})
	slices.SortFunc(rows, func(x, y row) int {
		return cmp.Or(cmp.Compare(x.start.order(), y.start.order()),
			cmp.Compare(x.endOrder(), y.endOrder()), cmp.Compare(x.nr, y.nr))
	})
	return rows
}

// cut ends each row at the next start and drops rows without length: of two changes on one day
// the last holds.
func cut(rows []row) []row {
	kept := rows[:0]
	for i := range rows {
		r := rows[i]
		r.from, r.to = r.start.day, schemas.Open
		if r.end.known {
			r.to = r.end.day
		}
		if i+1 < len(rows) && rows[i+1].start.day < r.to {
			r.to, r.unsureTo = rows[i+1].start.day, rows[i+1].unsureFrom
		}
		if r.from < r.to {
			kept = append(kept, r)
		}
	}
	return kept
}

// period is an unbroken stay with one holder.
type period struct {
	kommune  schemas.Kommunekode // "" = no holder
	from, to schemas.Day
}

// residence joins the addresses of adjoining time and one holder.
func (b *block) residence(addresses []row) []period {
	var ps []period
	for i := range addresses {
		a := &addresses[i]
		k := b.holderOf(a)
		if n := len(ps); n > 0 && ps[n-1].to == a.from && ps[n-1].kommune == k {
			ps[n-1].to = a.to
			continue
		}
		ps = append(ps, period{k, a.from, a.to})
	}
	return ps
}

// holderOf is who holds an address, "" for none.
func (b *block) holderOf(a *row) schemas.Kommunekode {
	if k, ok := b.Holder(a.value(komkod)); ok {
		return k
	}
	return ""
}

// held is a part of a row as one municipality holds it.
type held struct {
	period
	row int // index
}

// hold cuts rows, disjoint and in order, to the municipalities' periods of residence. What begins
// when residence has ended goes whole to the last holder.
func hold(n int, span func(i int) (from, to schemas.Day), stays []period) []held {
	if len(stays) == 0 {
		return nil
	}
	parts := make([]held, 0, n+len(stays))
	last := stays[len(stays)-1]
	// Rows and stays are both in order, so the cost is that of the two together.
	first := 0 // stays before it end before every row that is left
	for i := range n {
		from, to := span(i)
		if from >= last.to {
			parts = appendHeld(parts, period{last.kommune, from, to}, i)
			continue
		}
		for first < len(stays) && stays[first].to <= from {
			first++
		}
		for _, s := range stays[first:] {
			if s.from >= to {
				break
			}
			parts = appendHeld(parts, period{s.kommune, max(from, s.from), min(to, s.to)}, i)
		}
	}
	return parts
}

// appendHeld leaves out what no municipality holds: Greenland, tax codes, Christiansoe, unknown
// codes.
func appendHeld(parts []held, p period, row int) []held {
	if p.kommune == "" {
		return parts
	}
	return append(parts, held{p, row})
}
