package cpr

import (
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// facts is what a block says, resolved; each row as it is held.
type facts struct {
	person      []personRow
	numbers     []numberRow
	address     []addressRow
	civil       []civilRow
	citizenship []citizenRow
	spoken      []spokenRow
	protected   []protectedRow
	kin         []kinRow
	abroad      []abroadRow
	events      []event
}

// personRow is a status as one municipality holds it.
type personRow struct {
	held
	registered   stamp
	status       string
	derived      bool        // of the time before STATUSHAENSTART
	sex          string      // M, K; "" = not told
	born         schemas.Day // Always = not known
	bornUnsure   bool
	birthKommune string // authority that registered the birth; "" = not told
}

// numberRow is an old number from the day it was given up, for good.
type numberRow struct {
	from       schemas.Day
	registered stamp
	background bool // yields to what the block of the old number says
	old, now   string
	cause      string // of the list nummerskift
}

// addressRow is an address as one municipality holds it. held has the time as held, row that of
// the register.
type addressRow struct {
	held
	*row
	postnr  string
	since   schemas.Day // of the unbroken stay in KOMKOD; Always = not known
	cameOut string      // the last other KOMKOD before it
}

// civilRow is a civil status as one municipality holds it.
type civilRow struct {
	held
	*row
	separated schemas.Day // Always = not known
}

// citizenRow is a citizenship as one municipality holds it.
type citizenRow struct {
	held
	*row
}

// Statuses that the rules name (domain.md section 3.5, STATUS).
const (
	statusActive    = "01"
	statusAnnulled  = "30"
	statusDuplicate = "50"
	statusRenumber  = "60"
	statusGone      = "70"
	statusEmigrated = "80"
	statusDead      = "90"
)

// facts resolves the block. A block of an old number (status 50, 60) gives only person and
// personnummer: the rest comes from the block of the number that holds now.
func (b *block) facts() (*facts, *schemas.Finding) {
	l := b.lines["001"][0]
	var reject *schemas.Finding
	if b.born, reject = b.moment("001", l, b.foedt); reject != nil {
		return nil, reject
	}
	addresses, reject := b.timeline(b.address)
	if reject != nil {
		return nil, reject
	}
	stays := b.residence(addresses)
	since, reject := b.statusStart(l, stays)
	if reject != nil {
		return nil, reject
	}
	f := &facts{}
	if f.person, reject = b.persons(l, since, stays); reject != nil {
		return nil, reject
	}
	if f.numbers, reject = b.numbers(l, since); reject != nil {
		return nil, reject
	}
	if s := l.get(b.status); s == statusDuplicate || s == statusRenumber {
		f.spoken = b.unprotected()
		return f, nil
	}
	if f.address, reject = b.addresses(addresses, stays); reject != nil {
		return nil, reject
	}
	if f.civil, reject = b.civils(stays); reject != nil {
		return nil, reject
	}
	citizenships, reject := b.timeline(b.citizen)
	for _, h := range holdRows(citizenships, stays) {
		f.citizenship = append(f.citizenship, citizenRow{h, &citizenships[h.row]})
	}
	if reject != nil {
		return f, reject
	}
	return f, b.rest(f, l, since, addresses, stays)
}

// rest adds what is told of protection, relatives and time abroad, and what follows from all.
func (b *block) rest(f *facts, l line, since schemas.Day, addresses []row,
	stays []period) *schemas.Finding {
	var reject *schemas.Finding
	if f.spoken, f.protected, reject = b.protections(stays); reject != nil {
		return reject
	}
	if f.kin, reject = b.relatives(stays); reject != nil {
		return reject
	}
	away, reject := b.absences()
	if reject != nil {
		return reject
	}
	f.abroad = b.heldAbroad(away.rows, addresses)
	if reject = b.death(&away, l, since); reject != nil {
		return reject
	}
	f.events = b.happenings(&away, addresses)
	return nil
}

// holdRows cuts a timeline to who holds its rows.
func holdRows(rows []row, stays []period) []held {
	return hold(len(rows), func(i int) (schemas.Day, schemas.Day) {
		return rows[i].from, rows[i].to
	}, stays)
}

// statusStart is STATUSHAENSTART, else the end of the last residence (gone, emigrated, dead),
// else FOED_DT.
func (b *block) statusStart(l line, stays []period) (schemas.Day, *schemas.Finding) {
	m, reject := b.moment("001", l, b.since)
	if reject != nil {
		return 0, reject
	}
	if m.known {
		return m.day, nil
	}
	switch l.get(b.status) {
	case statusGone, statusEmigrated, statusDead:
		if n := len(stays); n > 0 && stays[n-1].to != schemas.Open {
			return stays[n-1].to, nil
		}
	}
	if !b.born.known {
		return 0, schemas.Reject(schemas.CodeDate, "001."+b.since.Name, "order the person anew",
			"a status without a start begins at FOED_DT, which is missing")
	}
	return b.born.day, nil
}

// persons is the present status and, from FOED_DT to it, one derived row of status 01.
func (b *block) persons(l line, since schemas.Day, stays []period) ([]personRow, *schemas.Finding) {
	p := personRow{status: l.get(b.status), sex: l.get(b.koen), born: schemas.Always}
	if b.born.known {
		p.born = b.born.day
		p.bornUnsure = b.born.partial || l.get(b.foedtUnk) == "*"
	}
	for _, birth := range b.lines[b.birth] { // one at most
		p.birthKommune = birth.get(b.birthKod)
	}
	var reject *schemas.Finding
	if p.registered, reject = b.registered("001", l, b.statusTS); reject != nil {
		return nil, reject
	}
	rows := []personRow{p}
	spans := []period{{from: since, to: schemas.Open}}
	if derives(p.status) && b.born.known && b.born.day < since {
		before := p
		before.status, before.derived = statusActive, true
		rows = []personRow{before, p}
		spans = []period{{from: b.born.day, to: since}, spans[0]}
	}
	var out []personRow
	span := func(i int) (schemas.Day, schemas.Day) { return spans[i].from, spans[i].to }
	for _, h := range hold(len(spans), span, stays) {
		r := rows[h.row]
		r.held = h
		out = append(out, r)
	}
	return out, nil
}

// derives says whether the time before a status is told as 01: not for a number that is no
// person's any more.
func derives(status string) bool {
	return status != statusAnnulled && status != statusDuplicate && status != statusRenumber
}

// numbers is the old numbers that the block knows: its own (status 50, 60) and its earlier ones,
// which are background to what the old number's own block says.
func (b *block) numbers(l line, since schemas.Day) ([]numberRow, *schemas.Finding) {
	var out []numberRow
	registered, reject := b.registered("001", l, b.statusTS)
	if reject != nil {
		return nil, reject
	}
	own := numberRow{from: since, registered: registered, old: b.pnr,
		now: number10(l.get(b.pnrgaeld))}
	switch l.get(b.status) {
	case statusRenumber:
		own.cause = "skiftet"
	case statusDuplicate:
		own.cause = "dublet"
	}
	if own.cause != "" && own.now != "" {
		out = append(out, own)
	}
	before := b.born // of an unknown end: the end of the row before it, else FOED_DT
	for _, l := range b.lines[b.old.rec] {
		end, reject := b.moment(b.old.rec, l, b.old.end)
		if reject != nil {
			return nil, reject
		}
		if end.known {
			before = end
		}
		if !before.known {
			return nil, schemas.Reject(schemas.CodeDate, b.old.rec+"."+b.old.end.Name,
				"order the person anew",
				"an old number without an end begins at FOED_DT, which is missing")
		}
		old := number10(l.get(b.old.old))
		if old == "" || old == b.pnr {
			continue
		}
		out = append(out, numberRow{from: before.day, registered: b.produced, background: true,
			old: old, now: b.pnr, cause: "skiftet"})
	}
	return out, nil
}

// number10 is a personal number; blank and zeros are none.
func number10(s string) string {
	if strings.Trim(s, "0 ") == "" {
		return ""
	}
	return strings.TrimSpace(s)
}

// addresses adds what follows from the order of addresses: the stay in the municipality, where it
// came from.
func (b *block) addresses(rows []row, stays []period) ([]addressRow, *schemas.Finding) {
	all := make([]addressRow, len(rows))
	for i := range rows {
		a := &all[i]
		a.row, a.since = &rows[i], rows[i].from
		if i == 0 {
			continue
		}
		before := &all[i-1]
		switch same := before.value(komkod) == a.value(komkod); {
		case same && before.row.to == a.row.from:
			a.since, a.cameOut = before.since, before.cameOut
		case same:
			a.cameOut = before.cameOut
		default:
			a.cameOut = before.value(komkod)
		}
	}
	// What 023 tells of earlier stays is more than 002 repeats of the last one.
	if len(all) == 1 && all[0].src.current {
		if reject := b.withoutHistory(&all[0]); reject != nil {
			return nil, reject
		}
	}
	var out []addressRow
	for _, h := range holdRows(rows, stays) {
		a := all[h.row]
		a.held = h
		if a.src.current {
			a.postnr = b.postnr(a.row)
		}
		out = append(out, a)
	}
	return out, nil
}

// withoutHistory takes the stay from the current record, where it says something possible.
func (b *block) withoutHistory(a *addressRow) *schemas.Finding {
	m, reject := b.moment(a.src.rec, a.line, a.src.values[tilflykomdto])
	if reject != nil {
		return reject
	}
	a.since, a.cameOut = schemas.Always, ""
	if m.known && m.day <= a.row.from {
		a.since = m.day
		a.cameOut = strings.Trim(a.value(fraflykomkod), " ")
		if strings.Trim(a.cameOut, "0") == "" {
			a.cameOut = ""
		}
	}
	return nil
}

// postnr is that of 003 where 003 is of the same road and house.
func (b *block) postnr(a *row) string {
	if b.clear == nil {
		return ""
	}
	same := func(l line, f Field, want int) bool {
		return strings.TrimSpace(l.get(f)) == strings.TrimSpace(a.value(want))
	}
	for _, l := range b.lines["003"] {
		if same(l, b.clear[0], komkod) && same(l, b.clear[1], vejkod) &&
			same(l, b.clear[2], husnr) {
			if p := strings.TrimSpace(l.get(b.clear[3])); strings.Trim(p, "0") != "" {
				return p
			}
		}
	}
	return ""
}

// civils joins each civil status with its separation.
func (b *block) civils(stays []period) ([]civilRow, *schemas.Finding) {
	rows, reject := b.timeline(b.civil)
	if reject != nil {
		return nil, reject
	}
	separated, reject := b.separations()
	if reject != nil {
		return nil, reject
	}
	var out []civilRow
	for _, h := range holdRows(rows, stays) {
		r := civilRow{held: h, row: &rows[h.row], separated: schemas.Always}
		if day, ok := separated[henvis(r.value(sepHenvis))]; ok {
			r.separated = day
		}
		out = append(out, r)
	}
	return out, nil
}

// henvis is the key that joins; blank and zeros are none.
func henvis(s string) string {
	if strings.Trim(s, "0 ") == "" {
		return ""
	}
	return s
}

// separations is the day of each separation by its key; the current record beats history.
func (b *block) separations() (map[string]schemas.Day, *schemas.Finding) {
	days := map[string]schemas.Day{}
	for _, s := range b.parted {
		for _, l := range b.lines[s.rec] {
			key := henvis(l.get(s.henvis))
			if _, told := days[key]; b.withdrawn(l, s.annkor) || told || key == "" {
				continue
			}
			m, reject := b.moment(s.rec, l, s.start)
			if reject != nil {
				return nil, reject
			}
			if m.known {
				days[key] = m.day
			}
		}
	}
	return days, nil
}
