package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Value is one value of a datum, without its type: Int holds int, long, boolean (0, 1), the bits of
// a double, the unscaled decimal of a Flat; Bytes holds string, bytes, fixed, enum symbol, or the
// encoded items of an array. Bytes points into the data.
type Value struct {
	Null  bool
	Int   int64
	Bytes []byte
}

// Float is the value of a float or double.
func (v Value) Float() float64 { return math.Float64frombits(uint64(v.Int)) }

// Scan steps over data of a writer's schema once, checks all of it, and picks values by the paths
// of the reader's schema. Read-only after it is made; safe for concurrent use.
type Scan struct {
	root   node
	preset []Value // null, or the reader's default for what the writer does not have
	arrays map[string]*arrayPair
}

// arrayPair is an array's items in both schemas; writer nil = the writer has no such array.
type arrayPair struct{ writer, reader *Type }

// node is a type of the writer's schema, with the slot that its value goes to (-1: stepped over).
type node struct {
	kind     Kind
	slot     int
	size     int
	toFloat  bool // the reader has a float where the writer has an integer
	names    []string
	symbols  [][]byte
	children []node
}

// convert makes of a float, or of an integer where the reader has a float, the bits of a double.
func (n *node) convert(v *Value) {
	switch {
	case n.kind == Float:
		f := math.Float32frombits(binary.LittleEndian.Uint32(v.Bytes))
		*v = Value{Int: int64(math.Float64bits(float64(f)))}
	case n.kind == Double:
		*v = Value{Int: int64(binary.LittleEndian.Uint64(v.Bytes))}
	case n.toFloat:
		*v = Value{Int: int64(math.Float64bits(float64(v.Int)))}
	}
}

// NewScan resolves the writer's schema against the reader's and binds the paths ("a.b"; nullable
// records are stepped into). An array is picked whole; Items goes through it. An error means that
// the writer's schema cannot be used.
func NewScan(writer, reader *Schema, paths []string) (*Scan, error) {
	if writer.Root.Kind != Record || writer.Root.Name != reader.Root.Name {
		return nil, fmt.Errorf("resolve schema: it is %s, want %s", writer.Root.Name,
			reader.Root.Name)
	}
	if err := Readable(writer, reader); err != nil {
		return nil, fmt.Errorf("resolve schema: %w", err)
	}
	return newScan(writer.Root, reader.Root, paths)
}

// Items makes the scan of one item of an array that this scan picks. Path "*" is the item itself.
func (s *Scan) Items(array string, paths []string) (*Scan, error) {
	p, ok := s.arrays[array]
	if !ok {
		return nil, fmt.Errorf("%s is no array of this scan", array)
	}
	if p.writer == nil {
		return newScan(p.reader, p.reader, paths)
	}
	return newScan(p.writer, p.reader, paths)
}

// newScan binds paths of one record, or of one item.
func newScan(writer, reader *Type, paths []string) (*Scan, error) {
	s := &Scan{root: newNode(writer), preset: make([]Value, len(paths)),
		arrays: map[string]*arrayPair{}}
	for i, p := range paths {
		s.preset[i].Null = true
		steps := strings.Split(p, ".")
		if p == "*" {
			steps = nil
		}
		if err := s.bind(i, p, &s.root, writer, reader, steps); err != nil {
			return nil, fmt.Errorf("field %s: %w", p, err)
		}
	}
	return s, nil
}

// newNode is the writer's type with nothing picked.
func newNode(t *Type) node {
	n := node{kind: t.Kind, slot: -1, size: t.Size}
	switch t.Kind {
	case Float:
		n.size = 4
	case Double:
		n.size = 8
	case Enum:
		for _, s := range t.Symbols {
			n.symbols = append(n.symbols, []byte(s))
		}
	case Array, Map:
		n.children = []node{newNode(t.Items)}
	}
	for _, f := range t.Fields {
		n.names = append(n.names, f.Name)
		n.children = append(n.children, newNode(f.Type))
	}
	for _, b := range t.Branches {
		n.children = append(n.children, newNode(b))
	}
	return n
}

// bind walks writer and reader side by side along the steps and marks the writer's nodes with the
// slot.
func (s *Scan) bind(slot int, path string, n *node, writer, reader *Type, steps []string) error {
	core, _, ok := reader.Core()
	if !ok {
		return errors.New("a union of several types cannot be used")
	}
	if writer.Kind == Union {
		for i, b := range writer.Branches {
			if b.Kind == Null {
				continue
			}
			if err := s.bind(slot, path, &n.children[i], b, core, steps); err != nil {
				return err
			}
		}
		return nil
	}
	if len(steps) == 0 {
		return s.bindLeaf(slot, path, n, writer, core)
	}
	if core.Kind != Record || writer.Kind != Record {
		return errors.New("goes into what is no record")
	}
	f := core.Field(steps[0])
	if f == nil {
		return errors.New("the schema has no such field")
	}
	wf := writer.Field(f.Name, f.Aliases...)
	if wf == nil {
		return s.absent(slot, path, f.Type, f.Default, steps[1:])
	}
	for i := range n.names {
		if n.names[i] == wf.Name {
			return s.bind(slot, path, &n.children[i], wf.Type, f.Type, steps[1:])
		}
	}
	return nil
}

// bindLeaf marks the node at a path's end. A type that Avro lets be promoted is converted as it is
// read; a logical type that differs means another thing and is refused.
func (s *Scan) bindLeaf(slot int, path string, n *node, writer, reader *Type) error {
	wc, rc := writer.Class(), reader.Class()
	n.toFloat = wc == Long && rc == Double
	switch {
	case rc == Record || rc == Map:
		return fmt.Errorf("is a %s: name a field of it", reader.Kind)
	case wc != rc && !n.toFloat:
		return fmt.Errorf("the writer has a %s where we have a %s", writer.Kind, reader.Kind)
	case writer.Logical != reader.Logical || writer.Scale != reader.Scale:
		return fmt.Errorf("the writer means another thing by it: %q, we mean %q", writer.Logical,
			reader.Logical)
	}
	n.slot = slot
	if rc == Array {
		s.arrays[path] = &arrayPair{writer.Items, reader.Items}
	}
	if reader.Kind == Enum && writer.Kind == Enum {
		for i, symbol := range writer.Symbols {
			if !contains(reader.Symbols, symbol) {
				n.symbols[i] = []byte(reader.EnumDefault)
			}
		}
	}
	return nil
}

// contains says whether s is one of all.
func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

// Class lumps the kinds that a Value holds alike: Long, Double and String stand for all of their
// sort.
func (t *Type) Class() Kind {
	switch t.Kind {
	case Int, Long:
		return Long
	case Float, Double:
		return Double
	case Bytes, String, Fixed, Enum:
		return String
	}
	return t.Kind
}

// absent presets the reader's default for a field that the writer does not have.
func (s *Scan) absent(slot int, path string, t *Type, value any, steps []string) error {
	core, _, ok := t.Core()
	if !ok {
		return errors.New("a union of several types cannot be used")
	}
	if core.Kind == Array && len(steps) == 0 {
		s.arrays[path] = &arrayPair{nil, core.Items}
	}
	switch v := value.(type) {
	case nil:
	case map[string]any:
		if len(steps) == 0 || core.Field(steps[0]) == nil {
			return errors.New("its default has no such field")
		}
		return s.absent(slot, path, core.Field(steps[0]).Type, v[steps[0]], steps[1:])
	case bool:
		s.preset[slot] = Value{}
		if v {
			s.preset[slot].Int = 1
		}
	case int32:
		s.preset[slot] = Value{Int: int64(v)}
	case int64:
		s.preset[slot] = Value{Int: v}
	case float32:
		s.preset[slot] = Value{Int: int64(math.Float64bits(float64(v)))}
	case float64:
		s.preset[slot] = Value{Int: int64(math.Float64bits(v))}
	case string:
		s.preset[slot] = Value{Bytes: []byte(v)}
	case []byte:
		s.preset[slot] = Value{Bytes: v}
	case []any:
		if len(v) > 0 {
			return errors.New("a default with items cannot be used")
		}
		s.preset[slot] = Value{Bytes: []byte{0}}
	}
	return nil
}

// Len is the number of values that Run writes: one per path.
func (s *Scan) Len() int { return len(s.preset) }

// Run checks all of data and writes the picked values to dst, which has Len values. The error is a
// *Fault.
func (s *Scan) Run(data []byte, dst []Value) error {
	if len(data) > MaxBytes {
		return &Fault{Rule: "is larger than 16 MiB", Budget: true}
	}
	copy(dst, s.preset)
	w := walker{data: data, dst: dst}
	if !w.node(&s.root) {
		f := w.fault
		return &f
	}
	if w.pos != len(data) {
		return &Fault{Rule: "bytes are left over after the record"}
	}
	return nil
}

// Cursor goes through the items of an array that a Scan has picked and checked.
type Cursor struct {
	w    walker
	left int64
}

// NewCursor starts before the first item. A null array has no items.
func NewCursor(array Value) Cursor { return Cursor{w: walker{data: array.Bytes}} }

// Next reads one item's values to dst; false after the last.
func (c *Cursor) Next(item *Scan, dst []Value) bool {
	if len(c.w.data) == 0 {
		return false
	}
	if c.left == 0 {
		count, _, ok := c.w.block()
		if !ok || count == 0 {
			return false
		}
		c.left = count
	}
	c.left--
	copy(dst, item.preset)
	c.w.dst = dst
	return c.w.node(&item.root)
}

// Check says whether data is one datum of the schema, within the budget. The error is a *Fault.
func (s *Schema) Check(data []byte) error {
	scan := Scan{root: newNode(s.Root)}
	return scan.Run(data, nil)
}
