package avro

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// EncodeJSON turns the data of a structured CloudEvent into Avro: plain JSON, unions without tags
// (the first branch that takes the value), bytes as one character per byte, dates and instants as
// the schema's integers. A key that the schema does not have, a key said twice, a missing field
// without default are faults. The error is a *Fault.
func EncodeJSON(s *Schema, text []byte) ([]byte, error) {
	if len(text) > MaxBytes {
		return nil, &Fault{Rule: "is larger than 16 MiB", Budget: true}
	}
	e := encoder{}
	if !json.Valid(text) {
		return nil, &Fault{Rule: "is no JSON"}
	}
	if f := e.value(s.Root, bytes.TrimSpace(text)); f != nil {
		return nil, f
	}
	if err := s.Check(e.out); err != nil {
		return nil, err
	}
	return e.out, nil
}

// encoder writes Avro by walking the schema; what it has written is checked once more at the end.
type encoder struct{ out []byte }

// want is the fault of a value of another kind.
func want(what string) *Fault { return &Fault{Rule: "want " + what} }

// at puts a step before the path of a fault; nil stays nil.
func at(step string, f *Fault) *Fault {
	switch {
	case f == nil:
		return nil
	case f.Path == "":
		f.Path = step
	case f.Path[0] == '[':
		f.Path = step + f.Path
	default:
		f.Path = step + "." + f.Path
	}
	return f
}

// value writes one value. The text is valid JSON without blanks around it.
func (e *encoder) value(t *Type, text []byte) *Fault {
	switch t.Kind {
	case Record:
		return e.record(t, text)
	case Array:
		return e.array(t, text)
	case Map:
		return e.table(t, text)
	case Union:
		return e.union(t, text)
	case Null:
		if string(text) != "null" {
			return want("null")
		}
		return nil
	case Boolean:
		if s := string(text); s != "true" && s != "false" {
			return want("true or false")
		}
		e.out = append(e.out, byte(len("false")-len(text))) // true is one shorter
		return nil
	}
	return e.scalar(t, text)
}

// scalar writes a number or a text. A number in quotes is no number.
func (e *encoder) scalar(t *Type, text []byte) *Fault {
	switch t.Kind {
	case Int, Long:
		bits := 64
		if t.Kind == Int {
			bits = 32
		}
		i, err := strconv.ParseInt(string(text), 10, bits)
		if err != nil {
			return want(fmt.Sprintf("an integer of %d bits", bits))
		}
		e.out = binary.AppendVarint(e.out, i)
		return nil
	case Float, Double:
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return want("a number")
		}
		e.float(t.Kind, f)
		return nil
	}
	var s string
	if text[0] != '"' || json.Unmarshal(text, &s) != nil {
		return want("a text in quotes")
	}
	return e.text(t, s)
}

// float writes the four or eight bytes, little-endian.
func (e *encoder) float(k Kind, f float64) {
	if k == Float {
		e.out = binary.LittleEndian.AppendUint32(e.out, math.Float32bits(float32(f)))
		return
	}
	e.out = binary.LittleEndian.AppendUint64(e.out, math.Float64bits(f))
}

// text writes a string, an enum's symbol, or bytes given as one character each.
func (e *encoder) text(t *Type, s string) *Fault {
	switch t.Kind {
	case Enum:
		for i, symbol := range t.Symbols {
			if s == symbol {
				e.out = binary.AppendVarint(e.out, int64(i))
				return nil
			}
		}
		return want("one of the enum's symbols")
	case String:
		e.out = append(binary.AppendVarint(e.out, int64(len(s))), s...)
		return nil
	}
	var b []byte
	for _, r := range s {
		if r > 0xff {
			return want("bytes: one character below U+0100 for each")
		}
		b = append(b, byte(r))
	}
	if t.Kind == Fixed {
		if len(b) != t.Size {
			return want(fmt.Sprintf("%d bytes", t.Size))
		}
		e.out = append(e.out, b...)
		return nil
	}
	e.out = append(binary.AppendVarint(e.out, int64(len(b))), b...)
	return nil
}

// union takes the first branch that the value fits; the fault told is that of the last branch that
// is not null.
func (e *encoder) union(t *Type, text []byte) *Fault {
	var last *Fault
	for i, b := range t.Branches {
		mark := len(e.out)
		e.out = binary.AppendVarint(e.out, int64(i))
		f := e.value(b, text)
		if f == nil {
			return nil
		}
		e.out = e.out[:mark]
		if b.Kind != Null || last == nil {
			last = f
		}
	}
	return last
}

// array writes all items as one block.
func (e *encoder) array(t *Type, text []byte) *Fault {
	var items []json.RawMessage
	if text[0] != '[' || json.Unmarshal(text, &items) != nil {
		return want("a list")
	}
	if len(items) > 0 {
		e.out = binary.AppendVarint(e.out, int64(len(items)))
	}
	for i, item := range items {
		if f := e.value(t.Items, item); f != nil {
			return at("["+strconv.Itoa(i)+"]", f)
		}
	}
	e.out = append(e.out, 0)
	return nil
}

// table writes a map as one block, in the order in which its keys stand.
func (e *encoder) table(t *Type, text []byte) *Fault {
	members, f := object(text)
	if f != nil {
		return f
	}
	if len(members) > 0 {
		e.out = binary.AppendVarint(e.out, int64(len(members)))
	}
	for _, m := range members {
		e.out = append(binary.AppendVarint(e.out, int64(len(m.key))), m.key...)
		if f := e.value(t.Items, m.value); f != nil {
			return at("[*]", f)
		}
	}
	e.out = append(e.out, 0)
	return nil
}

// record writes the fields in the schema's order, whatever the order of the keys. An unknown key is
// told by its place: the key itself may be a value.
func (e *encoder) record(t *Type, text []byte) *Fault {
	members, f := object(text)
	if f != nil {
		return f
	}
	byKey := make(map[string]json.RawMessage, len(members))
	for _, m := range members {
		if t.Field(m.key) == nil {
			return &Fault{Rule: "has a key that the schema does not have (member " +
				strconv.Itoa(len(byKey)+1) + ")"}
		}
		byKey[m.key] = m.value
	}
	for _, x := range t.Fields {
		value, ok := byKey[x.Name]
		switch {
		case ok:
			f = e.value(x.Type, value)
		case x.HasDefault:
			err := e.preset(x.Type, x.Default)
			if err != nil {
				f = &Fault{Rule: err.Error()}
			}
		default:
			f = &Fault{Rule: "is missing and has no default"}
		}
		if f != nil {
			return at(x.Name, f)
		}
	}
	return nil
}

// member is one key of an object with its value.
type member struct {
	key   string
	value json.RawMessage
}

// object reads the members in the order in which they stand.
func object(text []byte) ([]member, *Fault) {
	if text[0] != '{' {
		return nil, want("an object")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	_, _ = dec.Token() // the brace: the text is valid JSON
	seen := map[string]bool{}
	var all []member
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok || seen[key] {
			return nil, &Fault{Rule: "says a key twice"}
		}
		seen[key] = true
		m := member{key: key}
		if err := dec.Decode(&m.value); err != nil {
			return nil, &Fault{Rule: "is no JSON"}
		}
		all = append(all, m)
	}
	return all, nil
}

// preset writes a field's default.
func (e *encoder) preset(t *Type, v any) error {
	switch v := v.(type) {
	case nil:
		if t.Kind == Union {
			return e.presetNull(t)
		}
		return nil
	case []any, map[string]any:
		text, err := json.Marshal(v)
		if err != nil {
			return errors.New("its default cannot be written")
		}
		if f := e.value(t, text); f != nil {
			return f
		}
		return nil
	case []byte:
		runes := make([]rune, len(v))
		for i, b := range v {
			runes[i] = rune(b)
		}
		return e.presetJSON(t, string(runes))
	}
	return e.presetJSON(t, v)
}

// presetJSON writes a default by way of its JSON.
func (e *encoder) presetJSON(t *Type, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return errors.New("its default cannot be written")
	}
	if f := e.value(t, text); f != nil {
		return f
	}
	return nil
}

// presetNull writes the null branch of a union.
func (e *encoder) presetNull(t *Type) error {
	for i, b := range t.Branches {
		if b.Kind == Null {
			e.out = binary.AppendVarint(e.out, int64(i))
			return nil
		}
	}
	return errors.New("its default null is of no branch")
}
