package cpr

import (
	"errors"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/codes"
)

// Holder gives the municipality that holds what is said of a municipality code: itself or its
// successor; false for Greenland, tax codes, Christiansoe and codes that the list lacks.
type Holder func(code string) (schemas.Kommunekode, bool)

// Rules is what the parser takes from code lists.
type Rules struct {
	Holder Holder
	// Protections is the types of which a block speaks also where it lacks them.
	Protections []string
	// BirthDays is how long after FOED_DT a first address still is that of a birth.
	BirthDays int
}

// RulesOf reads the rules: the lists kommune and beskyttelsestype, and of cpr_regel foedt_dage. A
// number of days that is none is an error.
func RulesOf(lists *codes.Lists) (Rules, error) {
	r := Rules{Holder: lists.Holder, Protections: lists.Codes("beskyttelsestype")}
	e, _ := lists.Lookup("cpr_regel", "foedt_dage", schemas.Open)
	if r.BirthDays = digits(e.Fields["vaerdi"]); e.Fields["vaerdi"] == "" || r.BirthDays < 0 {
		return r, errors.New("read code list cpr_regel: foedt_dage: want a vaerdi in whole days")
	}
	return r, nil
}

// NewParser makes the parser of raw.cpr.person: it turns a unit (Avro of flis/enhed.avsc) into a
// record (Avro of cpr/person.avsc). No unit of CPR is used in part, so parts is always nil. A
// reject parks the unit: DECODE, LAYOUT, DATE, BUDGET. The parser holds no state and may be called
// concurrently.
func NewParser(rules Rules) func([]byte) (record []byte, parts []*schemas.Finding,
	reject *schemas.Finding) {
	return func(b []byte) ([]byte, []*schemas.Finding, *schemas.Finding) {
		record, reject := parse(b, &rules)
		return record, nil, reject
	}
}

// parse is the parser; a reject leaves no record.
func parse(raw []byte, rules *Rules) ([]byte, *schemas.Finding) {
	u, err := readUnit(raw)
	if err != nil {
		return nil, schemas.Reject(schemas.CodeDecode, "", "send units as flis/enhed.avsc",
			"the unit is Avro of flis/enhed.avsc: %s", err.Error())
	}
	b, reject := newBlock(u, rules)
	if reject != nil {
		return nil, reject
	}
	if b.receipt {
		return b.encode(&facts{}), nil
	}
	f, reject := b.facts()
	if reject != nil {
		return nil, reject
	}
	return b.encode(f), nil
}

// block is the records of one unit.
type block struct {
	*plan
	*Rules
	pnr      string
	produced stamp             // PRODDTO at Danish midnight
	receipt  bool              // 997, not a block
	lines    map[string][]line // by record type, in the file's order; those that are read
	ignored  int64             // records of other types
	annulled int64             // rows with ANNKOR A or K
	born     moment            // FOED_DT
}

// newBlock checks the envelope and the frame of each record, and sorts records by type.
func newBlock(u unit, rules *Rules) (*block, *schemas.Finding) {
	b := &block{plan: plans[u.layout], Rules: rules, lines: map[string][]line{}}
	if b.plan == nil {
		return nil, schemas.Reject(schemas.CodeLayout, "layout", "feed the file with --layout",
			"the layout is A, A-UUID or B")
	}
	if u.encoding != Latin1 && u.encoding != UTF8 {
		return nil, schemas.Reject(schemas.CodeLayout, "tegnsaet",
			"feed the file with its encoding", "the encoding is %s or %s", Latin1, UTF8)
	}
	if u.produced != "" {
		d, err := schemas.ParseDay(u.produced)
		if err != nil {
			return nil, impossible("produceret")
		}
		b.produced = stamp{d.Midnight(), true}
	}
	for n, rest := 1, string(u.content); rest != ""; n++ {
		var text string
		text, rest, _ = strings.Cut(rest, "\n")
		if reject := b.add(strings.TrimRight(text, " \r"), u.encoding, n); reject != nil {
			return nil, reject
		}
	}
	if !b.receipt && len(b.lines["001"]) != 1 {
		return nil, schemas.Reject(schemas.CodeLayout, "001",
			"fetch the file again, or order the person anew",
			"a block has one record 001, this one %d", len(b.lines["001"]))
	}
	return b, nil
}

// add takes a record in; n is its number in the unit.
func (b *block) add(text string, enc Encoding, n int) *schemas.Finding {
	if text == "" {
		return nil
	}
	if len(text) < headerLen || pack(text[3:headerLen]) == 0 && text[:3] != "910" {
		return at(int64(n), "fetch the file again", "a record begins with type and personal number")
	}
	rec, pnr := text[:3], text[3:headerLen]
	switch {
	case rec == "910":
		return schemas.Reject(schemas.CodeLayout, rec,
			"correct the subscription's input; FEJLNR says why",
			"the register sends an error record of the subscription")
	case b.pnr != "" && pnr != b.pnr:
		return at(int64(n), "feed the file with flis feed",
			"the records of a unit are of one person")
	case rec == "997":
		b.receipt = true
	case !b.used[rec]:
		b.ignored++
	default:
		l := newLine(text, enc)
		if l.size() > b.table[rec].Len {
			return tooLong(b.layout, b.table[rec])
		}
		b.lines[rec] = append(b.lines[rec], l)
	}
	b.pnr = pnr
	return nil
}

// moment reads a date that is used.
func (b *block) moment(rec string, l line, f Field) (moment, *schemas.Finding) {
	m, ok := parseMoment(l.get(f))
	if !ok {
		return m, impossible(rec + "." + f.Name)
	}
	return m, nil
}

// impossible is the finding on a date; it names the field, never the date.
func impossible(path string) *schemas.Finding {
	return schemas.Reject(schemas.CodeDate, path,
		"correct the date in the register, or order the person anew",
		"a date is a day of the calendar, month and day 00 where not known")
}

// registered is the fact's own registration time, else PRODDTO.
func (b *block) registered(rec string, l line, ts Field) (stamp, *schemas.Finding) {
	m, reject := b.moment(rec, l, ts)
	if reject != nil || !m.known {
		return b.produced, reject
	}
	return stamp{m.instant(), true}, nil
}

// withdrawn says whether a row of history says nothing.
func (b *block) withdrawn(l line, annkor Field) bool {
	switch l.get(annkor) {
	case "A", "K":
		b.annulled++
		return true
	}
	return false
}
