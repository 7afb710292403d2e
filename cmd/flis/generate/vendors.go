package generate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// The elder-care vendors, in the order of their numbers in streams of chance.
const (
	nexus = schemas.System("kmd-nexus")
	cura  = schemas.System("cura")
	vitae = schemas.System("vitae")
)

// Vendors are the systems that the generator can speak as.
func Vendors() []schemas.System { return []schemas.System{nexus, cura, vitae} }

// owned is the valid time that a system owns in a municipality.
type owned struct {
	system      schemas.System
	from, until schemas.Day
}

// market is who keeps the elder care of each municipality: one vendor, or one until a day and
// another from it.
type market map[schemas.Kommunekode][]owned

func newMarket(o *Options, d *denmark) market {
	m := market{}
	for _, k := range d.kommuner {
		r := newRandom(o.Seed, 3, kommuneNr(k))
		i := r.intN(len(o.Vendors))
		if o.share(r) {
			i = 0
		}
		a := owned{o.Vendors[i], schemas.Always, schemas.Open}
		if len(o.Vendors) == 1 || o.Days < 6 || o.Quiet || !r.chance(4) {
			m[k] = []owned{a}
			continue
		}
		b := owned{o.Vendors[(i+1+r.intN(len(o.Vendors)-1))%len(o.Vendors)],
			o.From + schemas.Day(o.Days/3+r.intN(o.Days/3)), schemas.Open}
		a.until = b.from
		m[k] = []owned{a, b}
	}
	return m
}

// share gives the first vendor more than its part of the market.
func (o *Options) share(r *random) bool { return r.chance(4) }

func kommuneNr(k schemas.Kommunekode) uint64 {
	n := uint64(0)
	for _, c := range []byte(k) {
		n = n*10 + uint64(c-'0')
	}
	return n
}

// agreements is the installation's agreements file.
func (m market) agreements() string {
	var b strings.Builder
	b.WriteString("# Who speaks for whom in this generated Denmark.\nformat: 1\naftaler:\n")
	var codes []schemas.Kommunekode
	for k := range m {
		codes = append(codes, k)
	}
	slices.Sort(codes)
	for _, k := range codes {
		fmt.Fprintf(&b, "  - {kommune: %q, omraade: borger, system: cpr, bevis: fil, "+
			"leverer: hverdage}\n", string(k))
		for _, a := range m[k] {
			when := ""
			if a.from != schemas.Always {
				when = fmt.Sprintf(", fra: %q", a.from)
			}
			if a.until != schemas.Open {
				when += fmt.Sprintf(", til: %q", a.until)
			}
			fmt.Fprintf(&b, "  - {kommune: %q, omraade: aeldre, system: %s, bevis: kontroltal, "+
				"leverer: dagligt%s}\n", string(k), a.system, when)
		}
	}
	return b.String()
}

// source is the municipality as each vendor names it: SOR and GLN are made-up keys of the list
// organisationsnoegle, KOM3 is three digits.
func source(s schemas.System, k schemas.Kommunekode) string {
	switch s {
	case nexus:
		return sor(k)
	case cura:
		return gln(k)
	}
	return string(k[1:])
}

func sor(k schemas.Kommunekode) string { return "999" + string(k) + "1000016" }

func gln(k schemas.Kommunekode) string {
	digits := "57980" + string(k) + "000"
	sum := 0
	for i, c := range []byte(digits) {
		sum += int(c-'0') * (1 + i%2*2) // the last of twelve counts three times
	}
	return digits + string('0'+byte((10-sum%10)%10))
}

// group of help: its law, its code with each vendor, its columns in the standard model.
type group struct {
	section, catalog, cura, vitae string
	law, name                     string
}

func groups() []group {
	return []group{
		{"83", "PERSONLIG", "§83,1,1", "083 01 01", "SEL-83-1-1", "personlig"},
		{"83", "PRAKTISK", "§83,1,2", "083 01 02", "SEL-83-1-2", "praktisk"},
		{"83", "MADSERVICE", "§83,1,3", "083 01 03", "SEL-83-1-3", "mad"},
		{"83a", "REHAB", "§83a,1", "083A 01", "SEL-83a", "rehabilitering"},
		{"86", "VEDLIGEHOLD", "§86,2", "086 02", "SEL-86-2", "traening"},
	}
}

func isoDay(d schemas.Day) string {
	return d.Midnight().Time().In(schemas.Copenhagen).Format("2006-01-02T15:04:05Z07:00")
}

func isoTime(i schemas.Instant) string {
	return i.Time().In(schemas.Copenhagen).Format("2006-01-02T15:04:05Z07:00")
}

func danishDay(d schemas.Day) string { return d.Civil().Format("02-01-2006") }

func millis(i schemas.Instant) int64 { return int64(i) / 1000 }

// orNull quotes a text, or is null.
func orNull(there bool, text string) string {
	if !there {
		return "null"
	}
	return `"` + text + `"`
}

// nexusGrant is kmd-nexus's event grant; bad: with a law that no one has.
func nexusGrant(k schemas.Kommunekode, g *grantEdit, bad bool) []byte {
	state, section, every, minutes := "ACTIVE", g.group.section, "WEEK", g.minutes
	switch {
	case g.gone:
		state = "CANCELLED"
	case g.last != schemas.Open:
		state = "FINISHED"
	case g.from > g.day:
		state = "PLANNED"
	}
	if bad {
		section = "999"
	}
	if minutes%7 == 0 {
		every, minutes = "DAY", minutes/7
	}
	kind := "MUNICIPAL"
	if g.private {
		kind = "PRIVATE"
	}
	return fmt.Appendf(nil, `{"grantId":%d,"patientIdentifier":"%s-%s","organisationSor":"%s",`+
		`"paragraph":{"law":"SEL","section":"%s"},"catalogCode":"%s","workflowState":"%s",`+
		`"validity":{"from":"%s","to":%s},"amount":{"minutes":%d,"every":"%s"},`+
		`"supplier":{"cvr":null,"kind":"%s"}}`,
		g.id, g.cpr[:6], g.cpr[6:], sor(k), section, g.group.catalog, state, isoDay(g.from),
		orNull(g.last != schemas.Open, isoDay(g.last)), minutes, every, kind)
}

func nexusHousing(k schemas.Kommunekode, h *homeEdit) []byte {
	return fmt.Appendf(nil, `{"housingId":"b%d","patientIdentifier":"%s-%s","organisationSor":"%s",`+
		`"kind":"%s","assessedOn":"%s","movedInOn":%s,"state":"ACTIVE"}`,
		h.id, h.cpr[:6], h.cpr[6:], sor(k), homes()[h.kind].nexus, isoDay(h.assessed),
		orNull(h.moved != schemas.Open, isoDay(h.moved)))
}

func nexusVisit(k schemas.Kommunekode, v *visit, state string) []byte {
	return fmt.Appendf(nil, `{"visitId":%d,"patientIdentifier":"%s-%s","organisationSor":"%s",`+
		`"start":"%s","end":"%s","grantIds":[],"state":"%s"}`,
		v.id, v.cpr[:6], v.cpr[6:], sor(k), isoTime(v.start), isoTime(v.end()), state)
}

func vitaeVisitation(k schemas.Kommunekode, g *grantEdit, bad bool) []byte {
	law, status, party := g.group.vitae, "A", "K"
	if g.gone {
		status = "S"
	} else if g.from > g.day {
		status = "P"
	}
	if g.private {
		party = "P"
	}
	if bad {
		law = "999 01"
	}
	each := g.minutes / 7
	return fmt.Appendf(nil, `{"VISID":"%d","KOMNR":"%s","CPRNR":"%s","PARAGRAF":"%s","MIN_MA":%d,`+
		`"MIN_TI":%d,"MIN_ON":%d,"MIN_TO":%d,"MIN_FR":%d,"MIN_LO":%d,"MIN_SO":%d,"LEVTYPE":"%s",`+
		`"STARTDATO":"%s","SLUTDATO":%s,"STATUS":"%s"}`,
		g.id, k[1:], g.cpr, law, g.minutes-6*each, each, each, each, each, each, each, party,
		danishDay(g.from), orNull(g.last != schemas.Open, danishDay(g.last)), status)
}

func vitaeBolig(k schemas.Kommunekode, h *homeEdit) []byte {
	return fmt.Appendf(nil, `{"BOLID":"b%d","KOMNR":"%s","CPRNR":"%s","TYPE":%d,"VISDATO":"%s",`+
		`"INDDATO":%s,"STATUS":"A"}`, h.id, k[1:], h.cpr, h.kind+1, danishDay(h.assessed),
		orNull(h.moved != schemas.Open, danishDay(h.moved)))
}

// curaDocument is all that cura knows of a citizen; without help, a document of nothing.
func curaDocument(k schemas.Kommunekode, cpr string, version int64, gs []grantEdit, hs []homeEdit,
	vs []visit) []byte {
	b := fmt.Appendf(nil, `{"borgerCpr":"%s","kommuneGln":"%s","version":%d,"ydelser":[`, cpr,
		gln(k), version)
	n := 0
	comma := func() {
		if n > 0 {
			b = append(b, ',')
		}
		n++
	}
	for i := range gs {
		g := &gs[i]
		if g.gone {
			continue
		}
		comma()
		party, until := 1, "null"
		if g.private {
			party = 2
		}
		if g.last != schemas.Open {
			until = fmt.Sprint(millis((g.last + 1).Midnight()))
		}
		b = fmt.Appendf(b, `{"noegle":"%d","lov":"%s","timerPrUge":"%d,%02d","leverandoer":%d,`+
			`"fraMs":%d,"tilMs":%s}`, g.id, g.group.cura, g.minutes/60, g.minutes%60*100/60, party,
			millis(g.from.Midnight()), until)
	}
	b, n = append(b, `],"boliger":[`...), 0
	for _, h := range hs {
		comma()
		moved := "null"
		if h.moved != schemas.Open {
			moved = fmt.Sprint(millis(h.moved.Midnight()))
		}
		b = fmt.Appendf(b, `{"type":%d,"visiteretMs":%d,"indflytMs":%s}`, h.kind+1,
			millis(h.assessed.Midnight()), moved)
	}
	b, n = append(b, `],"besoeg":[`...), 0
	for i := range vs {
		comma()
		b = fmt.Appendf(b, `{"id":"%d","startMs":%d,"slutMs":%d}`, vs[i].id, millis(vs[i].start),
			millis(vs[i].end()))
	}
	return append(b, `],"leveret":[]}`...)
}

// homeKind is a kind of housing with kmd-nexus, and in the standard model.
type homeKind struct{ nexus, name string }

func homes() []homeKind {
	return []homeKind{{"NURSING_HOME", "plejebolig"}, {"SENIOR_HOUSING", "aeldrebolig"},
		{"TEMPORARY", "midlertidig"}}
}
