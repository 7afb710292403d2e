package parquet

import (
	"bytes"
	"unsafe"
)

// Vector is one column of a Batch: values that were appended, in flat memory. A value of the wrong
// form (AppendBytes to an Int64) is our own bug and panics when it is read or written.
type Vector struct {
	bytes, dict bool
	n, nulls    int
	valid       []byte // bitmap; nil while there is no null
	spare       []byte // memory of an earlier valid

	ints []int64  // values, or distinct values
	ends []uint32 // ends of values in data, or of distinct values
	data []byte

	index   []int32 // dict: of each row, its distinct value
	intAt   map[int64]int32
	bytesAt map[string]int32
	last    int32 // the distinct value that was appended last; -1 = none
}

func newVector(f *Field) *Vector {
	v := &Vector{bytes: f.bytes(), dict: f.inDictionary(), last: -1}
	switch {
	case v.dict && v.bytes:
		v.bytesAt = map[string]int32{}
	case v.dict:
		v.intAt = map[int64]int32{}
	}
	return v
}

// AppendInt adds a value of any kind but String and Binary; of a Bool 0 or 1.
func (v *Vector) AppendInt(x int64) {
	v.mark(true)
	if !v.dict {
		v.ints = append(v.ints, x)
		return
	}
	if v.last < 0 || v.ints[v.last] != x {
		at, ok := v.intAt[x]
		if !ok {
			at = int32(len(v.ints))
			v.ints = append(v.ints, x)
			v.intAt[x] = at
		}
		v.last = at
	}
	v.index = append(v.index, v.last)
}

// AppendBytes adds a copy of b.
func (v *Vector) AppendBytes(b []byte) {
	v.mark(true)
	if !v.dict {
		v.data = append(v.data, b...)
		v.ends = append(v.ends, uint32(len(v.data)))
		return
	}
	if v.last < 0 || !bytes.Equal(v.distinct(v.last), b) {
		at, ok := v.bytesAt[string(b)]
		if !ok {
			at = int32(len(v.ends))
			v.data = append(v.data, b...)
			v.ends = append(v.ends, uint32(len(v.data)))
			v.bytesAt[string(b)] = at
		}
		v.last = at
	}
	v.index = append(v.index, v.last)
}

// AppendString adds a copy of s.
func (v *Vector) AppendString(s string) {
	v.AppendBytes(
		unsafe.Slice(unsafe.StringData(s), len(s)),
	) // AppendBytes neither keeps nor changes it
}

// AppendNull adds a null.
func (v *Vector) AppendNull() {
	v.mark(false)
	switch {
	case v.dict:
		v.index = append(v.index, 0)
	case v.bytes:
		v.ends = append(v.ends, uint32(len(v.data)))
	default:
		v.ints = append(v.ints, 0)
	}
}

// mark counts a row and notes whether it has a value.
func (v *Vector) mark(value bool) {
	i := v.n
	v.n++
	if value && v.valid == nil {
		return
	}
	if v.valid == nil {
		v.valid = v.spare[:0]
		for range i / 8 {
			v.valid = append(v.valid, 0xff)
		}
		if i%8 != 0 {
			v.valid = append(v.valid, 1<<(i%8)-1)
		}
	}
	if i%8 == 0 {
		v.valid = append(v.valid, 0)
	}
	if value {
		v.valid[i/8] |= 1 << (i % 8)
	} else {
		v.nulls++
	}
}

// Null says whether row i is null.
func (v *Vector) Null(i int) bool { return v.valid != nil && v.valid[i/8]&(1<<(i%8)) == 0 }

// Int is the value of row i; 0 of a null.
func (v *Vector) Int(i int) int64 {
	switch {
	case !v.dict:
		return v.ints[i]
	case v.Null(i):
		return 0
	}
	return v.ints[v.index[i]]
}

// Bytes is the value of row i, empty of a null. It holds until the batch is reset and must not be
// changed.
func (v *Vector) Bytes(i int) []byte {
	switch {
	case !v.dict:
		return v.distinct(int32(i))
	case v.Null(i):
		return nil
	}
	return v.distinct(v.index[i])
}

func (v *Vector) distinct(i int32) []byte {
	from := uint32(0)
	if i > 0 {
		from = v.ends[i-1]
	}
	return v.data[from:v.ends[i]:v.ends[i]]
}

// size is the memory that the rows take, in bytes.
func (v *Vector) size() int {
	n := len(v.ints)*8 + len(v.ends)*4 + len(v.data) + len(v.index)*4 + len(v.valid)
	if v.dict {
		n += (len(v.ints)+len(v.ends))*mapEntry + len(v.data)
	}
	return n
}

// mapEntry is about what an entry of a dictionary's map takes, in bytes, beside a string's own.
const mapEntry = 32

func (v *Vector) reset() {
	if v.valid != nil {
		v.spare = v.valid
	}
	v.n, v.nulls, v.valid, v.last = 0, 0, nil, -1
	v.ints, v.ends, v.data, v.index = v.ints[:0], v.ends[:0], v.data[:0], v.index[:0]
	clear(v.intAt)
	clear(v.bytesAt)
}

// copyRow adds row i of src, a vector of the same kind.
func (v *Vector) copyRow(src *Vector, i int) {
	switch {
	case src.Null(i):
		v.AppendNull()
	case v.bytes:
		v.AppendBytes(src.Bytes(i))
	default:
		v.AppendInt(src.Int(i))
	}
}
