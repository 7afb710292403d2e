package transforms

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
)

// maxFindings bounds what is said of one record: a document of 10,000 bad items is told of eight,
// and the journal's row stays small (invariant 11).
const maxFindings = 8

// machine runs a program over one record. It holds scratch space and is used by one goroutine at a
// time.
type machine struct {
	lists    *codes.Lists
	system   schemas.System
	record   []avro.Value
	item     []avro.Value
	values   []avro.Value // of the columns
	text     []byte       // texts made for the record; grown, never moved
	lookup   []byte
	findings []*schemas.Finding
	warned   bool
	parked   bool
	array    string // the item that is being read, for paths
	index    int
	lever    schemas.Day
	sender   sender
	codes    map[*column]map[string]known
}

// known is a code's answer and the days for which it holds.
type known struct {
	standard []byte
	from, to schemas.Day
}

// reset forgets the last record; the space and the answers of code lists are kept.
func (m *machine) reset() {
	m.text, m.findings = m.text[:0], m.findings[:0]
	m.warned, m.parked, m.array, m.index = false, false, "", 0
}

// park notes why the record cannot be used.
func (m *machine) park(code schemas.Code, r ref, mend, rule string) {
	m.parked = true
	m.note(code, r, mend, rule)
}

// note tells of a fault or a warning, each once.
func (m *machine) note(code schemas.Code, r ref, mend, rule string) {
	f := schemas.Finding{Code: code, Path: m.path(r), Mend: mend, Rule: rule}
	for _, x := range m.findings {
		if *x == f {
			return
		}
	}
	if len(m.findings) < maxFindings {
		m.findings = append(m.findings, &f)
	}
}

// path is the field's place in the source's own names, items by index from 0: ydelser[2].lov.
func (m *machine) path(r ref) string {
	if !r.item {
		return r.path
	}
	p := m.array + "[" + strconv.Itoa(m.index) + "]"
	if r.path == "*" {
		return p
	}
	return p + "." + r.path
}

// get is the value of a bound path, null where the record has none. It holds until the next item.
func (m *machine) get(r *ref) *avro.Value {
	if r.item {
		return &m.item[r.slot]
	}
	return &m.record[r.slot]
}

// textOf is a value as text: of an integer its digits, of a boolean true or false; nil of a null.
func (m *machine) textOf(r *ref) []byte {
	v := m.get(r)
	switch {
	case v.Null:
		return nil
	case r.class == avro.Long:
		return m.grow(func(b []byte) []byte { return strconv.AppendInt(b, v.Int, 10) })
	case r.class == avro.Boolean:
		return m.grow(func(b []byte) []byte { return strconv.AppendBool(b, v.Int == 1) })
	case v.Bytes == nil:
		return []byte{}
	}
	return v.Bytes
}

// grow makes a text that stays until the next record. A full buffer is left behind, so earlier
// texts do not move.
func (m *machine) grow(write func([]byte) []byte) []byte {
	if cap(m.text)-len(m.text) < 64 {
		m.text = make([]byte, 0, 1024)
	}
	start := len(m.text)
	grown := write(m.text[start:start:cap(m.text)])
	if cap(grown) == cap(m.text)-start {
		m.text = m.text[:start+len(grown)]
	}
	return grown[:len(grown):len(grown)]
}

// test says whether a condition holds; that without fields always does, so a target without `when`
// takes every record.
func (m *machine) test(t test) bool {
	for i := range t {
		if !m.equal(&t[i]) {
			return false
		}
	}
	return true
}

// fires is a test that is there and holds.
func (m *machine) fires(t test) bool { return t != nil && m.test(t) }

// equal compares a value's text with the set. Null is equal to nothing.
func (m *machine) equal(e *equality) bool {
	v := m.get(&e.ref)
	if v.Null {
		return false
	}
	text := v.Bytes
	if e.ref.class != avro.String {
		text = m.textOf(&e.ref)
	}
	for _, w := range e.want {
		if string(text) == w {
			return true
		}
	}
	return false
}

// dayAt reads a day. null: the source has none, or any form of 9999-12-31.
func (m *machine) dayAt(r *ref, form string) (d schemas.Day, null, ok bool) {
	v := m.get(r)
	if v.Null {
		return 0, true, true
	}
	text := v.Bytes
	if form == formYMD && r.class == avro.Long {
		text = m.textOf(r)
	}
	d, open, ok := parseDay(form, text, v.Int)
	if !ok {
		m.park(schemas.CodeDate, *r, "send a day of the calendar in the agreed form",
			"is no date of the form "+form)
	}
	return d, open, ok
}

// instantAt reads a moment as dayAt reads a day; 9999-12-31 has no meaning here.
func (m *machine) instantAt(r *ref, form string) (i schemas.Instant, null, ok bool) {
	v := m.get(r)
	if v.Null {
		return 0, true, true
	}
	if i, ok = parseInstant(form, v.Bytes, v.Int); !ok {
		m.park(schemas.CodeDate, *r, "send a moment in the agreed form",
			"is no moment of the form "+form)
	}
	return i, false, ok
}

// moment reads a point in time. Null is midnight of the delivery's day where the mapping says so,
// else parked.
func (m *machine) moment(x *momentRef) (schemas.Instant, bool) {
	var i schemas.Instant
	var null, ok bool
	if x.date {
		var d schemas.Day
		if d, null, ok = m.dayAt(&x.ref, x.form); ok && !null {
			i = d.Midnight()
		}
	} else {
		i, null, ok = m.instantAt(&x.ref, x.form)
	}
	if ok && null && x.leverance {
		return m.lever.Midnight(), true
	}
	if ok && null {
		m.missing(x.ref)
	}
	return i, ok && !null
}

// missing parks the record for a field that the mapping needs.
func (m *machine) missing(r ref) {
	m.park(schemas.CodeMapping, r, "send the field", "is missing and needed")
}

// number reads a value as an exact number. A double is taken by its shortest decimal text: what the
// sender wrote, not what binary made of it. Minutes below zero are no time (named).
func (m *machine) number(c *column, r *ref) (n number, null, ok bool) {
	v := m.get(r)
	if v.Null {
		return n, true, true
	}
	switch r.class {
	case avro.Long:
		n, ok = number{mantissa: v.Int}, true
	case avro.Double:
		n, ok = parseNumber(numberDot, strconv.AppendFloat(nil, v.Float(), 'f', -1, 64))
	default:
		n, ok = parseNumber(c.form, v.Bytes)
	}
	if !ok {
		m.park(schemas.CodeMapping, *r, "send a number in the agreed form",
			"is no number of the agreed form")
	}
	if ok && c.duration && n.mantissa < 0 {
		m.park(schemas.CodeMapping, *r, "send a length of time of zero or more", "is below zero")
		ok = false
	}
	return n, false, ok
}

// eval makes a column's value; at is gyldig_fra, for dated look-ups. After a fault the value is
// null and noted.
func (m *machine) eval(c *column, at schemas.Day) avro.Value {
	v, ok := m.raw(c, at)
	if ok && v.Null && c.preset != nil {
		return *c.preset
	}
	if ok && v.Null && !c.target.Nullable {
		m.missing(c.path())
	}
	return v
}

// raw makes a column's value by the type that the column wants. ok is false after a fault; a null
// value is none.
func (m *machine) raw(c *column, at schemas.Day) (avro.Value, bool) {
	null := avro.Value{Null: true}
	switch {
	case c.source == fromNothing:
		return null, true
	case c.source == fromConstant:
		return c.constant, true
	case c.target.Type == schemas.String:
		return m.evalText(c, at)
	case c.target.Type == schemas.Date:
		d, none, ok := m.dayAt(&c.refs[0], c.form)
		if !ok || none {
			return null, ok
		}
		return avro.Value{Int: int64(d) + int64(c.days)}, true
	case c.target.Type == schemas.Timestamp:
		i, none, ok := m.instantAt(&c.refs[0], c.form)
		if !ok || none {
			return null, ok
		}
		return avro.Value{Int: int64(i)}, true
	case c.target.Type == schemas.Boolean:
		return m.evalBoolean(c)
	}
	return m.evalNumber(c)
}

// evalBoolean takes the source's own truth, or that of a code; null stays null.
func (m *machine) evalBoolean(c *column) (avro.Value, bool) {
	v := *m.get(&c.refs[0])
	if c.boolean == nil || v.Null {
		return v, true
	}
	b, ok := c.boolean[string(v.Bytes)]
	if !ok {
		m.park(schemas.CodeCode, c.refs[0], "send one of the agreed codes",
			"is no code for true or false")
		return avro.Value{Null: true}, false
	}
	v = avro.Value{}
	if b {
		v.Int = 1
	}
	return v, true
}

// evalNumber multiplies exactly and rounds once, to the column's decimals. A unit that the mapping
// does not know is a code that is not known.
func (m *machine) evalNumber(c *column) (avro.Value, bool) {
	null := avro.Value{Null: true}
	n, none, ok := m.sum(c)
	if !ok || none {
		return null, ok
	}
	factor := c.factor
	if c.by.bound {
		f, known := c.factors[string(m.textOf(&c.by))]
		if !known {
			m.park(schemas.CodeCode, c.by, "send one of the agreed codes",
				"is no unit that the mapping knows")
			return null, false
		}
		factor = factor.times(f)
	}
	scale, limit := c.target.Scale, pow10(c.target.Precision)
	if c.target.Type == schemas.Int {
		scale, limit = 0, 1<<31
	}
	v, fits := n.times(factor, scale)
	if !fits || v >= limit || v <= -limit {
		m.park(schemas.CodeMapping, c.path(), "send a smaller number", "is too large a number")
		return null, false
	}
	return avro.Value{Int: v}, true
}

// sum adds the fields of a column: one, several, or the minutes between two moments. A null field
// makes null.
func (m *machine) sum(c *column) (total number, null, ok bool) {
	if c.source == fromMinutes {
		return m.minutes(c)
	}
	for i := range c.refs {
		r := &c.refs[i]
		n, none, ok := m.number(c, r)
		if !ok || none {
			return total, none, ok
		}
		if i == 0 {
			total = n
			continue
		}
		if total, ok = total.plus(n); !ok {
			m.park(schemas.CodeMapping, *r, "send smaller numbers", "makes too large a sum")
			return total, false, false
		}
	}
	return total, false, true
}

// minutes is the whole minutes between two moments, rounded down.
func (m *machine) minutes(c *column) (n number, null, ok bool) {
	from, none, ok := m.instantAt(&c.refs[0], c.form)
	to, none2, ok2 := m.instantAt(&c.refs[1], c.form)
	if !ok || !ok2 || none || none2 {
		return n, none || none2, ok && ok2
	}
	if to < from {
		m.park(schemas.CodeDate, c.refs[1], "send an end that is not before the start",
			"is before the start")
		return n, false, false
	}
	const minute = 60_000_000
	return number{mantissa: (int64(to) - int64(from)) / minute}, false, true
}

// evalText makes a text: taken or joined, checked as a personal number, looked up, given the
// system's name, in this order. An empty text is a text; only null is none.
func (m *machine) evalText(c *column, at schemas.Day) (avro.Value, bool) {
	null := avro.Value{Null: true}
	text := m.textOf(&c.refs[0])
	if len(c.refs) > 1 {
		text = m.join(c)
	}
	if text == nil {
		return null, true
	}
	if c.cpr {
		text = m.cpr(text)
		if text == nil {
			m.park(schemas.CodeCode, c.refs[0],
				"send the number, ten characters, with or without hyphen",
				"is no personal number")
			return null, false
		}
	}
	if c.target.List != "" {
		var ok bool
		if text, ok = m.code(c, text, at); !ok {
			return null, false
		}
	}
	if c.prefix != "" {
		inner := text
		text = m.grow(func(b []byte) []byte { return append(append(b, c.prefix...), inner...) })
	}
	return avro.Value{Bytes: text}, true
}

// join puts the fields together; a null field makes null.
func (m *machine) join(c *column) []byte {
	parts := make([][]byte, 0, 4)
	for i := range c.refs {
		part := m.textOf(&c.refs[i])
		if part == nil {
			return nil
		}
		parts = append(parts, part)
	}
	return m.grow(func(b []byte) []byte {
		for i, part := range parts {
			if i > 0 {
				b = append(b, c.with...)
			}
			b = append(b, part...)
		}
		return b
	})
}

// cprLength is that of a personal number without hyphen (model.md section 1, Person key).
const cprLength = 10

// cpr drops the hyphen and checks ^[0-9A-Z]{10}$; nil where it does not hold, or the number is all
// zeros. No check digit and no date: numbers of today have none, and eCPR has letters (model.md
// section 1, Person key).
func (m *machine) cpr(text []byte) []byte {
	if len(text) == cprLength+1 && text[6] == '-' {
		with := text
		text = m.grow(func(b []byte) []byte { return append(append(b, with[:6]...), with[7:]...) })
	}
	if len(text) != cprLength || string(text) == "0000000000" {
		return nil
	}
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return nil
		}
	}
	return text
}

// appendKey joins key columns; false where a text holds the separator or is no UTF-8.
func appendKey(b []byte, d *dataset, values []avro.Value) ([]byte, bool) {
	for i, k := range d.key {
		if i > 0 {
			b = append(b, schemas.KeySeparator...)
		}
		v := &values[k]
		switch d.Columns[k].Type {
		case schemas.String:
			if bytes.Contains(v.Bytes, []byte(schemas.KeySeparator)) || !utf8.Valid(v.Bytes) {
				return b, false
			}
			b = append(b, v.Bytes...)
		case schemas.Date:
			b = appendDay(b, schemas.Day(v.Int))
		case schemas.Timestamp:
			b = append(b, schemas.Instant(v.Int).String()...)
		case schemas.Boolean:
			b = strconv.AppendBool(b, v.Int != 0)
		default:
			b = strconv.AppendInt(b, v.Int, 10)
		}
	}
	return b, true
}

// appendDay writes yyyy-mm-dd.
func appendDay(b []byte, d schemas.Day) []byte { return d.Civil().AppendFormat(b, "2006-01-02") }
