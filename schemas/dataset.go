package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Kind says how a dataset's rows live.
type Kind string

// The kinds: State rows are intervals of valid time of a key; Fact rows stand once per key.
const (
	State Kind = "tilstand"
	Fact  Kind = "haendelse"
)

// Period partitions a fact table (skriv: periode) by gyldig_fra.
type Period string

// The periods. Whole (skriv: hel) is one unpartitioned table.
const (
	Whole Period = ""
	Month Period = "maaned"
	Year  Period = "aar"
)

// Type is the type of a delivered column.
type Type uint8

// The column types of the standard model.
const (
	String    Type = iota + 1
	Int            // 32 bits
	Boolean        //
	Date           // Day
	Timestamp      // Instant
	Decimal        // unscaled int64, 18 digits at most; Column.Scale
)

// Column is one column of a dataset, in the domain record's order.
type Column struct {
	Name             string
	Type             Type
	Nullable         bool
	Precision, Scale int
	List             string // code list; "" = none
	Personal         bool   // names a person or could: no statistics, no dictionary in footers
	Pseudo           bool   // null in the pseudonym profile (¤ in model.md)
	Doc              string // Danish
}

// Dataset is one table of the standard model, as its .avsc defines it.
type Dataset struct {
	Name    DatasetName
	Kind    Kind
	Period  Period
	Owner   string // bopael, betaling, handle, finansiering, aftale
	Key     []string
	Natural []string // sammenlign: what tells rows apart in every system; none = Key
	Class   string   // A, C, D
	Expiry  string   // slettefrist, ISO 8601 period
	Doc     string   // Danish: what a row is
	Columns []Column // without kommunekode and the standard columns
	Schema  []byte   // the .avsc itself
}

// Column gives the index of a column by name, or -1.
func (d *Dataset) Column(name string) int {
	return slices.IndexFunc(d.Columns, func(c Column) bool { return c.Name == name })
}

type avroRecord struct {
	Type, Name, Namespace, Doc string
	Slags                      Kind
	Skriv                      string
	Periode                    Period
	Ejer, Klasse, Slettefrist  string
	Noegle, Sammenlign         []string
	Fields                     []avroField
}

type avroField struct {
	Name, Doc, Kodeliste       string
	Type                       json.RawMessage
	Default                    json.RawMessage
	Personoplysning, Pseudonym bool
}

type avroLogical struct {
	Type, LogicalType string
	Precision, Scale  int
}

// ParseDataset reads a domain schema strictly: a property or a type that the model does not have is
// an error.
func ParseDataset(file string, schema []byte) (*Dataset, error) {
	var r avroRecord
	dec := json.NewDecoder(bytes.NewReader(schema))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("parse %s: %w", file, err)
	}
	area := r.Namespace[strings.LastIndexByte(r.Namespace, '.')+1:]
	d := &Dataset{
		Name:    DatasetName(area + "." + r.Name),
		Kind:    r.Slags,
		Period:  r.Periode,
		Owner:   r.Ejer,
		Key:     r.Noegle,
		Natural: r.Sammenlign,
		Class:   r.Klasse,
		Expiry:  r.Slettefrist,
		Doc:     r.Doc,
		Schema:  schema,
	}
	for _, f := range r.Fields {
		c, err := parseColumn(f)
		if err != nil {
			return nil, fmt.Errorf("parse %s: field %s: %w", file, f.Name, err)
		}
		d.Columns = append(d.Columns, c)
	}
	if err := d.check(r.Skriv); err != nil {
		return nil, fmt.Errorf("parse %s: %w", file, err)
	}
	return d, nil
}

func parseColumn(f avroField) (Column, error) {
	c := Column{
		Name:     f.Name,
		List:     f.Kodeliste,
		Personal: f.Personoplysning,
		Pseudo:   f.Pseudonym,
		Doc:      f.Doc,
	}
	if f.Doc == "" {
		return c, fmt.Errorf("has no doc")
	}
	raw := f.Type
	var union []json.RawMessage
	if json.Unmarshal(raw, &union) == nil {
		if len(union) != 2 || string(union[0]) != `"null"` || string(f.Default) != "null" {
			return c, fmt.Errorf("a union must be [\"null\", T] with default null")
		}
		c.Nullable, raw = true, union[1]
	}
	var l avroLogical
	if json.Unmarshal(raw, &l.Type) != nil {
		if err := json.Unmarshal(raw, &l); err != nil {
			return c, err
		}
	}
	c.Precision, c.Scale = l.Precision, l.Scale
	var ok bool
	if c.Type, ok = columnTypes[l.Type+"/"+l.LogicalType]; !ok {
		return c, fmt.Errorf("type %s/%s is not of the model", l.Type, l.LogicalType)
	}
	return c, nil
}

var columnTypes = map[string]Type{
	"string/": String, "int/": Int, "boolean/": Boolean, "int/date": Date,
	"long/timestamp-micros": Timestamp, "bytes/decimal": Decimal,
}

func (d *Dataset) check(write string) error {
	switch {
	case d.Kind != State && d.Kind != Fact:
		return fmt.Errorf("slags %q: want tilstand or haendelse", d.Kind)
	case d.Kind == State && (write != "hel" || d.Period != Whole):
		return fmt.Errorf("a state is written skriv: hel")
	case d.Kind == Fact && (write != "periode" || d.Period != Month && d.Period != Year):
		return fmt.Errorf("a fact is written skriv: periode, by maaned or aar")
	case !slices.Contains([]string{"bopael", "betaling", "handle", "finansiering", "aftale"}, d.Owner):
		return fmt.Errorf("ejer %q is no role", d.Owner)
	case !slices.Contains([]string{"A", "C", "D"}, d.Class):
		return fmt.Errorf("klasse %q: want A, C or D", d.Class)
	case d.Doc == "" || d.Expiry == "" || len(d.Key) == 0:
		return fmt.Errorf("doc, slettefrist and noegle must be there")
	}
	for _, k := range d.Key {
		if i := d.Column(k); i < 0 || d.Columns[i].Nullable {
			return fmt.Errorf("key column %s is missing or nullable", k)
		}
	}
	for _, k := range d.Natural {
		if d.Column(k) < 0 || LocalColumn(k) {
			return fmt.Errorf("sammenlign: %s is no column that all systems share", k)
		}
	}
	return nil
}

// LoadDatasets reads every .avsc below root, in order of name.
func LoadDatasets(files fs.FS, root string) ([]*Dataset, error) {
	var all []*Dataset
	err := fs.WalkDir(files, root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || path.Ext(p) != ".avsc" {
			return err
		}
		b, err := fs.ReadFile(files, p)
		if err != nil {
			return err
		}
		d, err := ParseDataset(p, b)
		if err != nil {
			return err
		}
		if want := string(d.Name.Area()) + "/" + d.Name.Short() + ".avsc"; !strings.HasSuffix(p, want) {
			return fmt.Errorf("parse %s: names %s, which belongs in %s", p, d.Name, want)
		}
		all = append(all, d)
		return nil
	})
	return all, err
}
