package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/flis-dk/flis/schemas"
)

// Flat reads and writes the records of one dataset: Avro of its .avsc without framing, columns in
// order. Read-only, safe for concurrent use; neither way allocates.
type Flat struct {
	columns []flatColumn
}

// flatColumn is what reading and writing one column takes.
type flatColumn struct {
	kind     schemas.Type
	nullable bool
	name     string
}

// NewFlat makes the codec of a dataset.
func NewFlat(ds *schemas.Dataset) *Flat {
	f := &Flat{}
	for _, c := range ds.Columns {
		f.columns = append(f.columns, flatColumn{c.Type, c.Nullable, c.Name})
	}
	return f
}

// Len is the number of columns.
func (f *Flat) Len() int { return len(f.columns) }

// Read fills dst, which has Len values: dates as days, timestamps in microseconds, decimals
// unscaled, booleans 0 or 1 in Int; text in Bytes, which point into payload.
func (f *Flat) Read(payload []byte, dst []Value) error {
	w := walker{data: payload}
	if err := f.read(&w, dst); err != nil {
		return err
	}
	if w.pos != len(payload) {
		return errors.New("read record: bytes are left over")
	}
	return nil
}

// read takes one record from where the walker stands.
func (f *Flat) read(w *walker, dst []Value) error {
	for i := range f.columns {
		c := &f.columns[i]
		if c.nullable {
			branch, ok := w.long()
			if !ok || branch < 0 || branch > 1 {
				return fmt.Errorf("read column %s: the union has no such branch", c.name)
			}
			if branch == 0 {
				dst[i] = Value{Null: true}
				continue
			}
		}
		if !w.flat(c.kind, &dst[i]) {
			return fmt.Errorf("read column %s: %s", c.name, w.fault.Rule)
		}
	}
	return nil
}

// flat reads one value that is not null.
func (w *walker) flat(kind schemas.Type, v *Value) bool {
	*v = Value{}
	var ok bool
	switch kind {
	case schemas.String:
		v.Bytes, ok = w.text(true)
	case schemas.Boolean:
		b, have := w.take(1)
		if !have || b[0] > 1 {
			return have && w.fail("a boolean is 0 or 1")
		}
		v.Int, ok = int64(b[0]), true
	case schemas.Decimal:
		b, have := w.text(false)
		if !have || len(b) > 8 {
			return have && w.fail("a decimal has more than 18 digits")
		}
		v.Int, ok = unscaled(b), true
	case schemas.Timestamp:
		v.Int, ok = w.long()
	default:
		v.Int, ok = w.long()
		if ok && int64(int32(v.Int)) != v.Int {
			return w.fail("an int has 32 bits")
		}
	}
	return ok
}

// unscaled reads a big-endian two's complement of at most 8 bytes.
func unscaled(b []byte) int64 {
	var v int64
	if len(b) > 0 && b[0] >= 0x80 {
		v = -1
	}
	for _, x := range b {
		v = v<<8 | int64(x)
	}
	return v
}

// Append writes values, one per column, behind dst.
func (f *Flat) Append(dst []byte, values []Value) ([]byte, error) {
	if len(values) != len(f.columns) {
		return dst, fmt.Errorf("write record: %d values, %d columns", len(values), len(f.columns))
	}
	for i := range f.columns {
		c, v := &f.columns[i], &values[i]
		if v.Null && !c.nullable {
			return dst, fmt.Errorf("write column %s: null", c.name)
		}
		if c.nullable {
			if v.Null {
				dst = append(dst, 0)
				continue
			}
			dst = append(dst, 2)
		}
		var err error
		if dst, err = appendFlat(dst, c.kind, v); err != nil {
			return dst, fmt.Errorf("write column %s: %w", c.name, err)
		}
	}
	return dst, nil
}

// appendFlat writes one value that is not null.
func appendFlat(dst []byte, kind schemas.Type, v *Value) ([]byte, error) {
	switch kind {
	case schemas.String:
		if !utf8.Valid(v.Bytes) {
			return dst, errors.New("text is not UTF-8")
		}
		return append(binary.AppendVarint(dst, int64(len(v.Bytes))), v.Bytes...), nil
	case schemas.Boolean:
		return append(dst, byte(v.Int&1)), nil
	case schemas.Decimal:
		return appendDecimal(dst, v.Int), nil
	case schemas.Timestamp:
		return binary.AppendVarint(dst, v.Int), nil
	}
	if v.Int < math.MinInt32 || v.Int > math.MaxInt32 {
		return dst, errors.New("an int has 32 bits")
	}
	return binary.AppendVarint(dst, v.Int), nil
}

// appendDecimal writes the least number of bytes of the two's complement, at least one.
func appendDecimal(dst []byte, v int64) []byte {
	n := 1
	for n < 8 && (v>>(8*n-1)) != 0 && (v>>(8*n-1)) != -1 {
		n++
	}
	dst = append(dst, byte(2*n)) // the length as a zigzag varint
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(v>>(8*i)))
	}
	return dst
}
