package transforms

import (
	"bytes"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/codes"
)

// unknown is the standard code of what a kept look-up does not know (design.md section 6, Mapping).
const unknown = "ukendt"

// code translates a vendor's code and checks the standard one, as of a day: `at` of the mapping
// where it is not null, else gyldig_fra. A start that is since ever asks for the code at any time.
// ok is false where the record is parked; a code that is kept is a warning.
func (m *machine) code(c *column, text []byte, at schemas.Day) ([]byte, bool) {
	if c.at != nil {
		d, null, ok := m.dayAt(&c.at.ref, c.at.form)
		if !ok {
			return nil, false
		}
		if !null {
			at = d
		}
	}
	if at == schemas.Always || c.anyDay {
		at = schemas.Open // the code at any time
	}
	if x, ok := m.codes[c][string(text)]; ok && (c.anyDay || x.from <= at && at < x.to) {
		return x.standard, true
	}
	x, known := m.ask(c, text, at)
	switch {
	case known:
		m.keepCode(c, text, x)
		return x.standard, true
	case !c.keep:
		m.park(schemas.CodeCode, c.path(), "send a code of the list, or have the code added to it",
			"is no code of "+listName(c)+" on that day"+m.otherDays(c, text, at))
		return nil, false
	}
	m.warned = true
	m.note(schemas.CodeCode, c.path(), "have the code added to the list",
		"is no code of "+listName(c)+", kept"+m.otherDays(c, text, at))
	if c.lookup != "" {
		return []byte(unknown), true
	}
	return text, true
}

// otherDays tells of a code that is not known when it would be: since when, or until when, a list
// has it. A standard code is named; the sender's own is a value, and is not.
func (m *machine) otherDays(c *column, text []byte, at schemas.Day) string {
	name, standard := "the code", string(text)
	if c.lookup != "" {
		key := m.localKey(c, text)
		own, now := m.lists.Lookup(local, key, at)
		if !now {
			if own, ok := m.lists.Lookup(local, key, schemas.Open); ok {
				return " (the code holds " + days(&own, at) + ")"
			}
			return ""
		}
		name, standard = own.Code, own.Code
	}
	if e, ok := m.lists.Lookup(c.target.List, standard, schemas.Open); ok {
		return " (" + name + " holds " + days(&e, at) + ")"
	}
	return ""
}

// days is when a row holds, seen from a day on which it does not.
func days(e *codes.Entry, at schemas.Day) string {
	if at < e.From {
		return "from " + e.From.String()
	}
	return "until " + e.To.String()
}

// local is the list of vendors' own codes.
const local = "lokal"

// localKey is a vendor's code as the list of them names it.
func (m *machine) localKey(c *column, text []byte) string {
	return strings.Join([]string{string(m.system), c.lookup, string(text)}, schemas.KeySeparator)
}

// listName is what a finding calls the list: the vendor's own and the standard one.
func listName(c *column) string {
	if c.lookup != "" {
		return c.lookup + " → " + c.target.List
	}
	return c.target.List
}

// ask looks a code up: translates it where the column says so, and checks the standard one.
func (m *machine) ask(c *column, text []byte, at schemas.Day) (known, bool) {
	x := known{standard: bytes.Clone(text), from: schemas.Always, to: schemas.Open}
	if c.lookup != "" {
		e, ok := m.lists.Lookup(local, m.localKey(c, text), at)
		if !ok {
			return x, false
		}
		x = known{[]byte(e.Code), e.From, e.To}
	}
	e, ok := m.lists.Lookup(c.target.List, string(x.standard), at)
	x.from, x.to = max(x.from, e.From), min(x.to, e.To)
	return x, ok
}

// keepCode remembers an answer: there are no more of them than codes in the lists.
func (m *machine) keepCode(c *column, text []byte, x known) {
	if m.codes[c] == nil {
		m.codes[c] = map[string]known{}
	}
	m.codes[c][string(text)] = x
}
