package transforms

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/yamlfile"
)

// Logical types of sources that need no form.
const (
	logicalDate   = "date"
	logicalMillis = "timestamp-millis"
	logicalMicros = "timestamp-micros"
)

// atAlways is the `at` of a look-up that asks no date.
const atAlways = "always"

// day compiles a bound of valid time; end is the word that needs `ende`, "" for a start. Sources
// differ in whether their last day is inside (model.md section 1, Dates), so an end never goes
// without it.
func (s scope) day(m *daySpec, end string) *dayRef {
	if m == nil {
		return nil
	}
	d := &dayRef{ref: s.ref(m.Pos, m.Field)}
	d.form = s.dateForm(m.Pos, m.Date, d.ref)
	missing := []string{"always", "leverance", "park"}
	if end != "" {
		missing = []string{"always", "park"}
	}
	if m.Missing != "" && s.c.oneOf(m.Pos, "missing", m.Missing, missing) {
		d.always, d.leverance = m.Missing == "always", m.Missing == "leverance"
	}
	switch {
	case end == "" && m.Ende != "":
		s.c.fail(m.Pos, "ende is said of an end only")
	case end != "" && s.c.oneOf(m.Pos, "ende", m.Ende, []string{"inclusive", "exclusive"}):
		d.inclusive = m.Ende == "inclusive"
	}
	return d
}

// dateForm checks a form against the source's type; "" where the source's logical type says it.
func (s scope) dateForm(pos yamlfile.Pos, form string, r ref) string {
	if r.typ == nil {
		return form
	}
	switch r.typ.Logical {
	case logicalDate, logicalMillis, logicalMicros:
		if form != "" {
			s.c.fail(pos, "date %q: the source field is a %s and needs no form", form,
				r.typ.Logical)
		}
		return map[string]string{logicalDate: formEpochDays, logicalMillis: formEpochMillis,
			logicalMicros: formEpochMicros}[r.typ.Logical]
	}
	if s.c.oneOf(pos, "date", form, dateForms()) {
		s.formClass(pos, form, r)
	}
	return form
}

// timeForm checks a form of a moment against the source's type, as dateForm does. Only forms with
// an offset are known: a local time is no moment, twice a year not even one of two.
func (s scope) timeForm(pos yamlfile.Pos, form string, r ref) string {
	if r.typ == nil {
		return form
	}
	switch r.typ.Logical {
	case logicalMillis, logicalMicros:
		if form != "" {
			s.c.fail(pos, "time %q: the source field is a %s and needs no form", form,
				r.typ.Logical)
		}
		return map[string]string{logicalMillis: formEpochMillis,
			logicalMicros: formEpochMicros}[r.typ.Logical]
	}
	if s.c.oneOf(pos, "time", form, timeForms()) {
		s.formClass(pos, form, r)
	}
	return form
}

// formClass says that the source's type can be of the form: epoch forms are of integers, yyyymmdd
// of either, the rest of texts.
func (s scope) formClass(pos yamlfile.Pos, form string, r ref) {
	switch {
	case numericForm(form):
		s.needs(pos, form, r, avro.Long)
	case form == formYMD && r.typ.Class() == avro.Long:
	default:
		s.needs(pos, form, r, avro.String)
	}
}

// moment compiles a point in time: from a moment, or from a day at whose Danish midnight it lies.
// nil where the mapping has none: then ce_time, else the arrival.
func (s scope) moment(m *momentSpec) *momentRef {
	if m == nil {
		return nil
	}
	x := &momentRef{ref: s.ref(m.Pos, m.Field), date: m.Date != ""}
	if m.Missing != "" && s.c.oneOf(m.Pos, "missing", m.Missing, []string{"leverance", "park"}) {
		x.leverance = m.Missing == "leverance"
	}
	switch {
	case m.Date != "" && m.Time != "":
		s.c.fail(m.Pos, "date and time exclude each other")
	case m.Date != "" || x.ref.typ != nil && x.ref.typ.Logical == logicalDate:
		x.date, x.form = true, s.dateForm(m.Pos, m.Date, x.ref)
	default:
		x.form = s.timeForm(m.Pos, m.Time, x.ref)
	}
	return x
}

// column compiles one line: where the value comes from, then what is done with it, by the type
// wanted. A column with a fault is compiled as far as it goes; the program is thrown away then.
func (s scope) column(name string, target schemas.Column, m *columnSpec) column {
	col := column{name: name, target: target, factor: ratio{1, 1}, days: m.Days, with: m.With}
	s.source(&col, m)
	if col.source == fromNothing {
		return col
	}
	s.verbs(&col, m)
	s.named(&col, m)
	if m.Default != "" {
		v, err := constantOf(target, m.Default)
		if err != nil {
			s.c.fail(m.Pos, "default: %s", err)
		}
		col.preset = &v
	}
	return col
}

// source finds the one place that a column's value comes from, and binds its fields. A constant is
// made here, once, and checked as a value of the column.
func (s scope) source(col *column, m *columnSpec) {
	sources := 0
	for _, x := range []struct {
		given bool
		from  source
		paths []string
	}{{m.Field != "", fromField, []string{m.Field}}, {len(m.Join) > 0, fromJoin, m.Join},
		{len(m.Sum) > 0, fromSum, m.Sum}, {len(m.Minutes) > 0, fromMinutes, m.Minutes},
		{m.Constant != "", fromConstant, nil}} {
		if x.given {
			sources++
			col.source, col.refs = x.from, s.refs(m.Pos, x.paths)
		}
	}
	if sources != 1 {
		s.c.fail(m.Pos, "column %s: want one of field, constant, join, sum, minutes", col.name)
		col.source = fromNothing
		return
	}
	if col.source == fromConstant {
		v, err := constantOf(col.target, m.Constant)
		if err != nil {
			s.c.fail(m.Pos, "column %s: %s", col.name, err)
		}
		col.constant = v
		s.constantCode(col, m)
	}
	if col.source == fromMinutes && len(m.Minutes) != 2 {
		s.c.fail(m.Pos, "minutes: want the start and the end")
	}
}

// constantCode checks a constant against its list: it needs no look-up per record. The code's last
// row counts: a constant is of no date.
func (s scope) constantCode(col *column, m *columnSpec) {
	if list := col.target.List; list != "" {
		if _, ok := s.c.lists.Lookup(list, m.Constant, schemas.Open); !ok {
			s.c.fail(m.Pos, "constant %q is no code of the list %s", m.Constant, list)
		}
	}
}

// verbs checks that each verb fits the type wanted and the type of the source. A verb that would be
// passed over is an error: its author meant something by it.
func (s scope) verbs(col *column, m *columnSpec) {
	typ := col.target.Type
	number := typ == schemas.Int || typ == schemas.Decimal
	for _, x := range []struct {
		given bool
		verb  string
		fits  bool
	}{
		{m.Date != "", "date", typ == schemas.Date || m.At != ""}, {m.Days != 0, "days",
			typ == schemas.Date},
		{m.Time != "", "time", typ == schemas.Timestamp || col.source == fromMinutes},
		{m.Number != "", "number", number}, {m.Factor != "", "factor", number},
		{m.FactorBy != nil, "factor_by", number}, {len(m.Sum) > 0, "sum", number},
		{len(m.Minutes) > 0, "minutes", number}, {m.Boolean != nil, "boolean",
			typ == schemas.Boolean},
		{m.CPR, "cpr", typ == schemas.String}, {m.ID, "id", typ == schemas.String},
		{m.Lookup != "", "lookup", typ == schemas.String && col.target.List != ""},
		{len(m.Join) > 0, "join", typ == schemas.String},
		{m.With != "", "with", len(m.Join) > 0}, {m.At != "", "at", col.target.List != ""},
		{m.Ukendt != "", "ukendt", col.target.List != ""},
	} {
		if x.given && !x.fits {
			s.c.fail(m.Pos, "column %s: %s does not fit here", col.name, x.verb)
		}
	}
	if col.source == fromConstant {
		return
	}
	s.texts(col, m)
	s.numbers(col, m)
	switch {
	case col.source == fromMinutes:
		for _, r := range col.refs {
			col.form = s.timeForm(m.Pos, m.Time, r)
		}
	case typ == schemas.Date:
		col.form = s.dateForm(m.Pos, m.Date, col.refs[0])
	case typ == schemas.Timestamp:
		col.form = s.timeForm(m.Pos, m.Time, col.refs[0])
	case typ == schemas.Boolean:
		s.booleans(col, m)
	}
}

// texts compiles the verbs of a text: what may be looked up, prefixed or checked as a personal
// number. Bytes are no text; the digits of an integer are.
func (s scope) texts(col *column, m *columnSpec) {
	if col.target.Type != schemas.String {
		return
	}
	for _, r := range col.refs {
		if r.typ != nil && r.typ.Class() != avro.String && r.typ.Class() != avro.Long {
			s.c.fail(m.Pos, "column %s: field %s is a %s, want text or integer", col.name, r.path,
				r.typ.Kind)
		}
		if r.typ != nil && r.typ.Kind != avro.String && r.typ.Class() == avro.String &&
			r.typ.Kind != avro.Enum {
			s.c.fail(m.Pos, "column %s: field %s is of bytes, want text", col.name, r.path)
		}
	}
	col.cpr, col.lookup = m.CPR, m.Lookup
	if m.ID {
		col.prefix = string(s.c.p.system) + ":"
	}
	list := col.target.List
	if list != "" && !s.c.lists.Has(list) {
		s.c.fail(m.Pos, "column %s: there is no code list %s", col.name, list)
	}
	s.translations(col, m)
	if m.Ukendt != "" && s.c.oneOf(m.Pos, "ukendt", m.Ukendt, []string{"park", "behold"}) {
		col.keep = m.Ukendt == "behold"
	}
	if col.anyDay = m.At == atAlways; m.At != "" && !col.anyDay {
		r := s.ref(m.Pos, m.At)
		col.at = &dayRef{ref: r, form: s.dateForm(m.Pos, m.Date, r)}
	}
}

// translations checks the rows of lokal that a column reads: there are some, and each leads to a
// code that the column's own list has on some day.
func (s scope) translations(col *column, m *columnSpec) {
	if m.Lookup == "" {
		return
	}
	system, list := s.c.p.system, col.target.List
	rows := s.c.lists.Locals(system, m.Lookup)
	if len(rows) == 0 {
		s.c.fail(m.Pos, `lookup %s: the list lokal has no rows for %s: add rows `+
			`"%s;%s;<code>;<standard>;;;o" to codes/lokal.csv`, m.Lookup, system, system, m.Lookup)
	}
	for _, row := range rows {
		if _, ok := s.c.lists.Lookup(list, row.Code, schemas.Open); !ok && s.c.lists.Has(list) {
			s.c.errs = append(s.c.errs, fmt.Errorf(
				"%s: standard %q is no code of the list %s on any day (%s, lookup %s)", row.Place,
				row.Code, list, m.Pos, m.Lookup))
		}
	}
}

// named checks the verbs that a column's name asks for (model.md section 1, Person key and Local
// ids): every cpr and *_cpr is a personal number, every *_id a local id.
func (s scope) named(col *column, m *columnSpec) {
	text := col.target.Type == schemas.String
	switch name := col.name; {
	case text && !m.CPR && (name == "cpr" || strings.HasSuffix(name, "_cpr")):
		s.c.fail(m.Pos, "column %s is a personal number: want cpr: true", name)
	case text && !m.ID && strings.HasSuffix(name, "_id"):
		s.c.fail(m.Pos, "column %s is a local id, <system>:<id>: want id: true", name)
	}
	number := col.target.Type == schemas.Int || col.target.Type == schemas.Decimal
	col.duration = number && (col.name == "minutter" || strings.HasPrefix(col.name, "minutter_"))
}

// numbers compiles the verbs of a number. A text needs a form, a number of the source has none;
// minutes between two moments are a number already.
func (s scope) numbers(col *column, m *columnSpec) {
	if t := col.target.Type; t != schemas.Int && t != schemas.Decimal || col.source == fromMinutes {
		return
	}
	for _, r := range col.refs {
		switch {
		case r.typ == nil:
		case r.typ.Class() == avro.String && r.typ.Kind == avro.String:
			s.c.oneOf(m.Pos, "number", m.Number, numberForms())
		case r.typ.Class() != avro.Long && r.typ.Class() != avro.Double:
			s.c.fail(m.Pos, "column %s: field %s is a %s, want a number", col.name, r.path,
				r.typ.Kind)
		case m.Number != "":
			s.c.fail(m.Pos, "number: field %s is a %s and needs no form", r.path, r.typ.Kind)
		}
	}
	col.form = m.Number
	if m.Factor != "" {
		col.factor = s.ratio(m.Pos, m.Factor)
	}
	if m.FactorBy == nil {
		return
	}
	col.by, col.factors = s.ref(m.FactorBy.Pos, m.FactorBy.Field), map[string]ratio{}
	for code, f := range m.FactorBy.Factors {
		col.factors[code] = s.ratio(m.FactorBy.Pos, f)
	}
	if len(col.factors) == 0 {
		s.c.fail(m.FactorBy.Pos, "factors are missing")
	}
}

// ratio reads a factor of the file, exact: a decimal fraction would round before the value does.
func (s scope) ratio(pos yamlfile.Pos, text string) ratio {
	r, ok := parseRatio(text)
	if !ok {
		s.c.fail(pos, `factor %q: want a number or a fraction, as "60" or "12/52"`, text)
	}
	return r
}

// booleans compiles a truth: of the source's own, or of two sets of codes. A code of neither set
// parks the record; there is no "else".
func (s scope) booleans(col *column, m *columnSpec) {
	r := col.refs[0]
	if len(m.Boolean) == 0 {
		s.needs(m.Pos, "column "+col.name, r, avro.Boolean)
		return
	}
	s.needs(m.Pos, "boolean", r, avro.String)
	col.boolean = map[string]bool{}
	for code, v := range m.Boolean {
		if s.c.oneOf(m.Pos, "boolean", v, []string{"true", "false"}) {
			col.boolean[code] = v == "true"
		}
	}
}

// constantOf is a constant as the column's type: a code or text as it stands, a whole number, true
// or false, yyyy-mm-dd, a decimal with a dot. The error says what is wrong, without place.
func constantOf(target schemas.Column, text string) (avro.Value, error) {
	switch target.Type {
	case schemas.String:
		return avro.Value{Bytes: []byte(text)}, nil
	case schemas.Int:
		i, err := constantInt(text)
		return avro.Value{Int: i}, err
	case schemas.Boolean:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return avro.Value{}, yamlFault("constant " + text + " is neither true nor false")
		}
		if b {
			return avro.Value{Int: 1}, nil
		}
		return avro.Value{}, nil
	case schemas.Date:
		d, err := schemas.ParseDay(text)
		return avro.Value{Int: int64(d)}, err
	case schemas.Decimal:
		n, ok := parseNumber(numberDot, []byte(text))
		v, fits := n.times(ratio{1, 1}, target.Scale)
		if !ok || !fits {
			return avro.Value{}, yamlFault("constant " + text + " is no number")
		}
		return avro.Value{Int: v}, nil
	}
	return avro.Value{}, yamlFault("a time has no constant")
}

// yamlFault is a fault of a mapping's text.
type yamlFault string

// Error is the fault.
func (f yamlFault) Error() string { return string(f) }
