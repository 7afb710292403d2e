package generate

import (
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// moment is when a vendor says something: in office hours, later for each next word of one day.
func moment(day schemas.Day, id int64, nr int) schemas.Instant {
	minute := 8*60 + int(id*7)%360 + nr
	return day.Midnight() + schemas.Instant(minute)*60_000_000
}

func entity(h *household, a owned, what string, id any) string {
	return fmt.Sprintf("h%08d/%s/%s%v", h.nr, a.system, what, id)
}

func (c *carer) grantStatement(h *household, x *care, a owned, e grantEdit, nr int) statement {
	s := statement{system: a.system, kommune: x.kommune, entity: entity(h, a, "g", e.id),
		event: "grant", id: fmt.Sprintf("grant-%d-%d", e.id, nr+1), day: e.day,
		at: moment(e.day, e.id, nr), rows: a.clipped(e.row(x, a.system))}
	render := nexusGrant
	if a.system == vitae {
		s.event, render = "visitation", vitaeVisitation
	}
	s.data = render(x.kommune, &e, false)
	if e.wrong {
		s.first = render(x.kommune, &e, true)
	}
	return s
}

func (c *carer) homeStatement(h *household, x *care, a owned, e homeEdit, nr int) statement {
	s := statement{system: a.system, kommune: x.kommune, entity: entity(h, a, "b", e.id),
		event: "housing", id: fmt.Sprintf("bolig-%d-%d", e.id, nr+1), day: e.day,
		at: moment(e.day, e.id, nr), rows: a.clipped(e.row(x))}
	if a.system == vitae {
		s.event, s.data = "bolig", vitaeBolig(x.kommune, &e)
	} else {
		s.data = nexusHousing(x.kommune, &e)
	}
	return s
}

func (c *carer) visitStatements(h *household, x *care, a owned) []statement {
	var all []statement
	for i := range x.visits {
		v := &x.visits[i]
		if v.day < a.from || v.day >= a.until {
			continue
		}
		s := statement{system: a.system, kommune: x.kommune, entity: entity(h, a, "v", v.id),
			event: "visit", id: fmt.Sprintf("visit-%d-1", v.id), day: v.day, at: v.end(),
			data: nexusVisit(x.kommune, v, "COMPLETED"), rows: a.clipped(v.row(x, a.system))}
		all = append(all, s)
		if v.undone && v.day < min(c.last(), a.until-1) {
			s.id, s.day, s.at = fmt.Sprintf("visit-%d-2", v.id), v.day+1, moment(v.day+1, v.id, 0)
			s.data, s.rows = nexusVisit(x.kommune, v, "DELETED"), nil
			all = append(all, s)
		}
	}
	return all
}

// documents are those of cura: on each day with news, the whole of the citizen. What was said under
// an old number is taken back by a document of nothing.
func (c *carer) documents(h *household, l *life, x *care, a owned) []statement {
	var all []statement
	first := max(c.From, a.from, x.from)
	for d := first; d <= c.last() && d < a.until; d++ {
		if !x.news(d, first) && l.number(d-1) == l.number(d) {
			continue
		}
		cpr, number := l.number(d), 0
		if cpr == l.cpr {
			number = len(l.former)
		}
		all = append(all, c.document(h, x, a, d, cpr, number, true))
		if old := l.number(d - 1); old != cpr && d > first {
			all = append(all, c.document(h, x, a, d, old, number-1, false))
		}
	}
	return all
}

// news says whether a day has something to tell; the first day has all.
func (x *care) news(d, first schemas.Day) bool {
	for _, g := range x.grants {
		for _, e := range g {
			if e.day == d || d == first && e.day < d {
				return true
			}
		}
	}
	for _, h := range x.homes {
		for _, e := range h {
			if e.day == d || d == first && e.day < d {
				return true
			}
		}
	}
	return slices.ContainsFunc(x.visits, func(v visit) bool {
		return v.day == d || v.undone && v.day == d-1
	})
}

// document is that of a day, under the person's number-th personal number.
func (c *carer) document(h *household, x *care, a owned, d schemas.Day, cpr string, number int,
	holds bool) statement {
	var gs []grantEdit
	var hs []homeEdit
	var vs []visit
	var rows []Row
	if holds {
		for _, edits := range x.grants {
			if e, ok := lastOf(edits, d, grantDay); ok {
				e.cpr = cpr
				gs, rows = append(gs, e), append(rows, e.row(x, a.system)...)
			}
		}
		for _, edits := range x.homes {
			if e, ok := lastOf(edits, d, homeDay); ok {
				e.cpr = cpr
				hs, rows = append(hs, e), append(rows, e.row(x)...)
			}
		}
		for _, v := range x.visits {
			if v.day <= d && v.day >= a.from-3 && !(v.undone && v.day < d) {
				v.cpr = cpr
				vs, rows = append(vs, v), append(rows, v.row(x, a.system)...)
			}
		}
	}
	version := int64(d - c.From + 1)
	who := fmt.Sprintf("%d-%s-%d", x.slot, x.kommune, number)
	return statement{system: a.system, kommune: x.kommune, entity: entity(h, a, "d", who),
		event: "borgerdokument", id: fmt.Sprintf("dok-%d-%s-%d", h.nr, who, version), day: d,
		at: moment(d, int64(h.nr), 300), data: curaDocument(x.kommune, cpr, version, gs, hs, vs),
		rows: a.clipped(rows)}
}
