// Package avro holds schemas, compiled codecs and the registry client: the one place that knows
// Avro libraries.
//
// It owns admission (no recursion, no items of zero width, bounded depth and size), fingerprints,
// resolution of a writer's schema against ours, and walks over bytes that cost no more than a
// budget. It refuses to guess: bytes that are left over, text that is no UTF-8, a JSON key that the
// schema does not have are faults. No fault holds a value.
//
//	writer, err := avro.Admit(text)
//	scan, err := avro.NewScan(writer, reader, []string{"grantId", "validity.from"})
//	err = scan.Run(data, values)
package avro

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	twmb "github.com/twmb/avro"
)

// Limits of a schema; limits of data are MaxItems and MaxBytes.
const (
	maxDepth      = 16
	maxNodes      = 5000
	maxSchemaSize = 256 << 10
	maxFixed      = 1 << 20
)

// Kind is an Avro type.
type Kind uint8

// The kinds. Null is the zero value.
const (
	Null Kind = iota
	Boolean
	Int
	Long
	Float
	Double
	Bytes
	String
	Fixed
	Enum
	Record
	Array
	Map
	Union
)

// kinds is the names of the kinds, by Kind.
func kinds() []string {
	return []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string", "fixed",
		"enum",
		"record", "array", "map", "union"}
}

// String is the name that schemas use.
func (k Kind) String() string { return kinds()[k] }

// Type is one node of an admitted schema: a tree, every name resolved. Read-only.
type Type struct {
	Kind             Kind
	Name             string // full name of record, enum, fixed
	Logical          string
	Precision, Scale int
	Size             int // of a fixed
	Symbols          []string
	EnumDefault      string
	Fields           []Field
	Items            *Type   // of array and map
	Branches         []*Type // of a union
}

// Field is one field of a record.
type Field struct {
	Name    string
	Aliases []string
	Type    *Type
	// nil, bool, int32, int64, float32, float64, string, []byte, []any, map[string]any
	Default    any
	HasDefault bool
}

// Field finds a record's field by name or by one of the names in aliases; nil where there is none.
func (t *Type) Field(name string, aliases ...string) *Field {
	i := slices.IndexFunc(t.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		i = slices.IndexFunc(t.Fields, func(f Field) bool {
			return slices.Contains(aliases,
				f.Name)
		})
	}
	if i < 0 {
		return nil
	}
	return &t.Fields[i]
}

// Core is the type beneath a union with null: the type itself where it is no union. ok is false for
// a union of several types.
func (t *Type) Core() (core *Type, nullable, ok bool) {
	if t.Kind != Union {
		return t, false, true
	}
	for _, b := range t.Branches {
		switch {
		case b.Kind == Null:
			nullable = true
		case core != nil:
			return nil, nullable, false
		default:
			core = b
		}
	}
	return core, nullable, core != nil
}

// Schema is an admitted schema. Read-only, safe for concurrent use.
type Schema struct {
	Root        *Type
	JSON        string
	Fingerprint uint64 // CRC-64-AVRO of the parsing canonical form
	parsed      *twmb.Schema
}

// Print is the fingerprint in 16 hex digits, as journal rows carry it.
func (s *Schema) Print() string { return fmt.Sprintf("%016x", s.Fingerprint) }

// Admit parses a schema and refuses what could make hostile data expensive.
func Admit(text string) (*Schema, error) {
	if len(text) > maxSchemaSize {
		return nil, fmt.Errorf("admit schema: %d bytes, the limit is %d", len(text), maxSchemaSize)
	}
	if err := jsonForm(text); err != nil {
		return nil, err
	}
	p, err := twmb.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse schema: %w", err)
	}
	h := twmb.NewRabin()
	p.Fingerprint(h)
	s := &Schema{JSON: text, Fingerprint: h.Sum64(), parsed: p}
	a := admission{}
	if s.Root, err = a.node(p.Root().ExpandReferences(), 1); err != nil {
		return nil, fmt.Errorf("admit schema: %w", err)
	}
	return s, nil
}

// jsonForm names the line of a fault of JSON: a schema is written by hand.
func jsonForm(text string) error {
	var any json.RawMessage
	var fault *json.SyntaxError
	if err := json.Unmarshal([]byte(text), &any); errors.As(err, &fault) {
		line := 1 + strings.Count(text[:min(int(fault.Offset), len(text))], "\n")
		return fmt.Errorf("line %d is no JSON: %w", line, err)
	}
	return nil
}

// admission counts the types of a schema as it copies them.
type admission struct{ nodes int }

// node copies one type with all that hangs on it. A name that is left is one of a recursion, or of
// a schema too large to be written out.
func (a *admission) node(n *twmb.SchemaNode, depth int) (*Type, error) {
	if a.nodes++; a.nodes > maxNodes || depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d or larger than %d types", maxDepth, maxNodes)
	}
	k := slices.Index(kinds(), n.Type)
	if k < 0 {
		return nil, fmt.Errorf("type %s is recursive or unknown", n.Type)
	}
	t := &Type{Kind: Kind(k), Logical: n.LogicalType, Precision: n.Precision, Scale: n.Scale,
		Size:    n.Size,
		Symbols: n.Symbols, EnumDefault: n.EnumDefault, Name: n.Name}
	if n.Namespace != "" {
		t.Name = n.Namespace + "." + n.Name
	}
	if t.Kind == Fixed && t.Size > maxFixed {
		return nil, fmt.Errorf("%s: a fixed of %d bytes, the limit is %d", t.Name, t.Size, maxFixed)
	}
	return t, a.children(t, n, depth)
}

// children copies the types below one.
func (a *admission) children(t *Type, n *twmb.SchemaNode, depth int) error {
	for _, f := range n.Fields {
		ft, err := a.node(&f.Type, depth+1)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		t.Fields = append(t.Fields, Field{Name: f.Name, Aliases: f.Aliases, Type: ft,
			Default:    f.Default,
			HasDefault: f.HasDefault})
	}
	for i := range n.Branches {
		b, err := a.node(&n.Branches[i], depth+1)
		if err != nil {
			return err
		}
		t.Branches = append(t.Branches, b)
	}
	if t.Kind != Array && t.Kind != Map {
		return nil
	}
	var err error
	if t.Items, err = a.node(cmp.Or(n.Items, n.Values), depth+1); err != nil {
		return err
	}
	if t.Kind == Array && t.Items.width() == 0 {
		return errors.New(
			"items of an array take no bytes: five bytes could claim any number of them")
	}
	return nil
}

// width is the least number of bytes that a value of the type takes.
func (t *Type) width() int {
	switch t.Kind {
	case Null:
		return 0
	case Fixed:
		return t.Size
	case Float:
		return 4
	case Double:
		return 8
	case Record:
		sum := 0
		for _, f := range t.Fields {
			sum += f.Type.width()
		}
		return sum
	}
	return 1
}

// Readable says whether data of the writer can be read by the reader's schema, by Avro's rules of
// resolution.
func Readable(writer, reader *Schema) error {
	return twmb.CheckCompatibility(writer.parsed, reader.parsed)
}

// FullTransitive checks versions of one schema, oldest first: each must read and be read by each
// other.
func FullTransitive(versions []*Schema) error {
	for i, a := range versions {
		for j, b := range versions {
			if err := Readable(a, b); err != nil {
				return fmt.Errorf("version %d cannot be read by version %d: %w", i+1, j+1, err)
			}
		}
	}
	return nil
}
