package avro

import (
	"encoding/json"
	"math"
	"strconv"
)

// AppendJSON writes a datum of the schema as plain JSON, for a person to read: fields in the
// schema's order, unions without tags. The data is checked first; the error is a *Fault.
func AppendJSON(dst []byte, s *Schema, data []byte) ([]byte, error) {
	if err := s.Check(data); err != nil {
		return dst, err
	}
	p := printer{w: walker{data: data}, out: dst}
	p.value(s.Root)
	return p.out, nil
}

// printer goes over data that Check has passed, so it meets no fault.
type printer struct {
	w   walker
	out []byte
}

// value prints one value.
func (p *printer) value(t *Type) {
	switch t.Kind {
	case Record:
		p.record(t)
	case Union:
		i, _ := p.w.long()
		p.value(t.Branches[i])
	case Array, Map:
		p.blocks(t)
	case Null:
		p.out = append(p.out, "null"...)
	default:
		p.leaf(t)
	}
}

// record prints the fields in the schema's order.
func (p *printer) record(t *Type) {
	p.out = append(p.out, '{')
	for i, f := range t.Fields {
		if i > 0 {
			p.out = append(p.out, ',')
		}
		p.text(f.Name)
		p.out = append(p.out, ':')
		p.value(f.Type)
	}
	p.out = append(p.out, '}')
}

// blocks prints an array or a map, whatever the blocks it came in.
func (p *printer) blocks(t *Type) {
	brackets := "[]"
	if t.Kind == Map {
		brackets = "{}"
	}
	p.out = append(p.out, brackets[0])
	for first := true; ; {
		count, _, _ := p.w.block()
		if count == 0 {
			break
		}
		for range count {
			if !first {
				p.out = append(p.out, ',')
			}
			first = false
			if t.Kind == Map {
				key, _ := p.w.text(true)
				p.text(string(key))
				p.out = append(p.out, ':')
			}
			p.value(t.Items)
		}
	}
	p.out = append(p.out, brackets[1])
}

// leaf prints a value without children.
func (p *printer) leaf(t *Type) {
	n := newNode(t)
	n.slot = 0
	var v [1]Value
	p.w.dst = v[:]
	p.w.node(&n)
	switch t.Kind {
	case Boolean:
		p.out = strconv.AppendBool(p.out, v[0].Int == 1)
	case Int, Long:
		p.out = strconv.AppendInt(p.out, v[0].Int, 10)
	case Float, Double:
		p.float(v[0].Float())
	case Bytes, Fixed:
		p.bytes(v[0].Bytes)
	default:
		p.text(string(v[0].Bytes))
	}
}

// bytes writes one character for each byte, all but ASCII escaped.
func (p *printer) bytes(data []byte) {
	const hex = "0123456789abcdef"
	p.out = append(p.out, '"')
	for _, b := range data {
		if b < ' ' || b > '~' || b == '"' || b == '\\' {
			p.out = append(p.out, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			continue
		}
		p.out = append(p.out, b)
	}
	p.out = append(p.out, '"')
}

// float prints a number; what JSON cannot write is a text.
func (p *printer) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		p.text(strconv.FormatFloat(f, 'g', -1, 64))
		return
	}
	p.out = strconv.AppendFloat(p.out, f, 'g', -1, 64)
}

// text prints a JSON text.
func (p *printer) text(s string) {
	b, err := json.Marshal(s)
	if err != nil {
		panic("avro: marshal text: " + err.Error()) // a string always marshals
	}
	p.out = append(p.out, b...)
}
