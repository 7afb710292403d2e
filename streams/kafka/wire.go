package kafka

import "encoding/binary"

// encoder appends the protocol's primitives. flex chooses the compact forms of flexible versions.
type encoder struct {
	b    []byte
	flex bool
}

func (e *encoder) int8(v int8)   { e.b = append(e.b, byte(v)) }
func (e *encoder) int16(v int16) { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *encoder) int32(v int32) { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) int64(v int64) { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }
func (e *encoder) raw(b []byte)  { e.b = append(e.b, b...) }

func (e *encoder) str(s string) {
	if e.flex {
		e.b = binary.AppendUvarint(e.b, uint64(len(s))+1)
	} else {
		e.int16(int16(len(s)))
	}
	e.b = append(e.b, s...)
}

func (e *encoder) array(n int) {
	if e.flex {
		e.b = binary.AppendUvarint(e.b, uint64(n)+1)
	} else {
		e.int32(int32(n))
	}
}

// tags ends a structure of a flexible version: no tagged fields.
func (e *encoder) tags() {
	if e.flex {
		e.b = append(e.b, 0)
	}
}

// decoder reads the protocol's primitives. After a read beyond the end it is bad and gives zeros.
type decoder struct {
	b    []byte
	flex bool
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.b) {
		d.bad = true
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) int8() int8 {
	if v := d.take(1); v != nil {
		return int8(v[0])
	}
	return 0
}

func (d *decoder) int16() int16 {
	if v := d.take(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (d *decoder) int32() int32 {
	if v := d.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (d *decoder) int64() int64 {
	if v := d.take(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// size reads a compact length: -1 for null.
func (d *decoder) size() int {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > 1<<31 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return int(v) - 1
}

// str reads a string; null is empty.
func (d *decoder) str() string {
	n := 0
	if d.flex {
		n = d.size()
	} else {
		n = int(d.int16())
	}
	return string(d.take(max(n, 0)))
}

// array reads a count; null is 0. Each element takes at least one byte, so that a false count is
// found here.
func (d *decoder) array() int {
	n := 0
	if d.flex {
		n = d.size()
	} else {
		n = int(d.int32())
	}
	if n > len(d.b) {
		d.bad = true
		return 0
	}
	return max(n, 0)
}

// bytes reads a byte string without copying; null is nil.
func (d *decoder) bytes() []byte {
	n := 0
	if d.flex {
		n = d.size()
	} else {
		n = int(d.int32())
	}
	return d.take(max(n, 0))
}

// tags skips the tagged fields of a flexible version.
func (d *decoder) tags() {
	if !d.flex {
		return
	}
	for n := d.size() + 1; n > 0 && !d.bad; n-- {
		d.size()
		d.take(d.size() + 1)
	}
}
