package cpr

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flis-dk/flis/schemas"
)

// Layout names a record layout.
type Layout string

// The layouts. A file's layout is told or found by its OPGAVENR, never by the length of its
// records.
const (
	A     Layout = "A"      // P12170, daily extracts
	AUUID Layout = "A-UUID" // A with road name and DAR id in 002
	B     Layout = "B"      // etableringsudtraek
)

// ParseLayout accepts "A", "A-UUID" and "B".
func ParseLayout(s string) (Layout, error) {
	if tableOf(Layout(s)) == nil {
		return "", fmt.Errorf("layout %q: want A, A-UUID or B", s)
	}
	return Layout(s), nil
}

// Field is one field of a record type.
type Field struct {
	Name     string
	Pos, Len int // in characters, from 1
}

// RecordType is the layout of one type of record. Fields lie side by side from position 4.
type RecordType struct {
	Type   string // three digits, at position 1
	Len    int    // characters, without the line end
	Fields []Field
}

// table is a layout: its record types by their three digits. Read-only after it is made.
type table map[string]*RecordType

// tableOf is nil for an unknown layout.
func tableOf(l Layout) table {
	switch l {
	case A:
		return tableA
	case AUUID:
		return tableAUUID
	case B:
		return tableB
	}
	return nil
}

// RecordTypes is every record type of a layout, in order; nil for an unknown layout. The caller
// does not change it.
func RecordTypes(l Layout) []*RecordType {
	t := tableOf(l)
	return slices.SortedFunc(maps.Values(t), func(a, b *RecordType) int {
		return strings.Compare(a.Type, b.Type)
	})
}

// newTable reads the text form of a layout. It panics: the tables are part of the program.
func newTable(text string) table {
	t := table{}
	var r *RecordType
	words := strings.Fields(text)
	for i := 0; i+1 < len(words); i += 2 {
		pos, length, isField := strings.Cut(words[i+1], "/")
		if !isField {
			r = &RecordType{Type: words[i], Len: number(words[i+1])}
			t[r.Type] = r
			continue
		}
		r.Fields = append(r.Fields, Field{Name: words[i], Pos: number(pos), Len: number(length)})
	}
	return t
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("cpr: layout table: " + err.Error())
	}
	return n
}

// with is the table with some record types replaced.
func (t table) with(text string) table {
	t = maps.Clone(t)
	maps.Copy(t, newTable(text))
	return t
}

// field finds a field by name. It panics: the parser asks for fields of its own tables only.
func (t table) field(rec, name string) Field {
	for _, f := range t[rec].Fields {
		if f.Name == name {
			return f
		}
	}
	panic("cpr: no field " + name + " in record " + rec)
}

// line is one record's text, addressed by character.
type line struct {
	text string
	wide []rune // nil while every character is one byte
}

// newLine reads ISO-8859-1 or UTF-8 bytes.
func newLine(s string, enc Encoding) line {
	if isASCII(s) {
		return line{text: s}
	}
	if enc == UTF8 {
		return line{wide: []rune(s)}
	}
	wide := make([]rune, len(s))
	for i := range len(s) {
		wide[i] = rune(s[i])
	}
	return line{wide: wide}
}

// isASCII says whether every character is one byte in both encodings.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// get cuts a field out; a trimmed line is as if filled with blanks. Trailing blanks are
// cut off; the zero field is empty.
func (l line) get(f Field) string {
	if f.Len == 0 {
		return ""
	}
	from, to := f.Pos-1, f.Pos-1+f.Len
	if l.wide != nil {
		n := len(l.wide)
		return strings.TrimRight(string(l.wide[min(from, n):min(to, n)]), " ")
	}
	n := len(l.text)
	return strings.TrimRight(l.text[min(from, n):min(to, n)], " ")
}

// size is the number of characters up to the last that is not blank.
func (l line) size() int {
	if l.wide == nil {
		return len(strings.TrimRight(l.text, " "))
	}
	n := len(l.wide)
	for n > 0 && l.wide[n-1] == ' ' {
		n--
	}
	return n
}

// recordType is the three characters at position 1.
func (l line) recordType() string { return l.get(Field{Pos: 1, Len: 3}) }

// Record is one record as text: its type, and its fields by the names of the layout, trailing
// blanks cut off.
type Record struct {
	Type   string
	Fields map[string]string
}

// Format writes a record at its full length, blanks included, as UTF-8. A field that the record
// does not name is blank. An unknown type or field, a value longer than its field or one with a
// line end is an error.
func Format(l Layout, r Record) (string, error) {
	t := tableOf(l)[r.Type]
	if t == nil {
		return "", fmt.Errorf("format record: layout %q has no type %q", l, r.Type)
	}
	var b strings.Builder
	b.WriteString(r.Type)
	known := 0
	for _, f := range t.Fields {
		v, named := r.Fields[f.Name]
		if named {
			known++
		}
		n := utf8.RuneCountInString(v)
		if n > f.Len || strings.ContainsAny(v, "\n\r") || !utf8.ValidString(v) {
			return "", fmt.Errorf("format record %s: %s does not fit in %d characters of one line",
				r.Type, f.Name, f.Len)
		}
		b.WriteString(v)
		b.WriteString(strings.Repeat(" ", f.Len-n))
	}
	if known != len(r.Fields) {
		return "", fmt.Errorf("format record %s: it names a field that layout %s lacks", r.Type, l)
	}
	b.WriteString(strings.Repeat(" ", max(0, t.Len-t.end())))
	return b.String(), nil
}

// end is the position of the last character of a known field.
func (t *RecordType) end() int {
	last := t.Fields[len(t.Fields)-1]
	return last.Pos + last.Len - 1
}

// ParseRecord reads one record, given as bytes without line end: every field of the layout,
// trailing blanks cut off. A type that the layout lacks, or text beyond its length, is an error.
func ParseRecord(l Layout, enc Encoding, b []byte) (Record, error) {
	text := newLine(string(b), enc)
	r := Record{Type: text.recordType(), Fields: map[string]string{}}
	t := tableOf(l)[r.Type]
	if t == nil {
		return Record{}, schemas.Reject(schemas.CodeLayout, "", "feed the file with its own layout",
			"layout %s has no such record type", l)
	}
	if text.size() > t.Len {
		return Record{}, tooLong(l, t)
	}
	for _, f := range t.Fields {
		if v := text.get(f); v != "" {
			r.Fields[f.Name] = v
		}
	}
	return r, nil
}

func tooLong(l Layout, t *RecordType) *schemas.Finding {
	return schemas.Reject(schemas.CodeLayout, t.Type,
		"feed the file with its own layout: A-UUID where 002 names the road and the address's id",
		"record %s of layout %s is at most %d characters", t.Type, l, t.Len)
}
