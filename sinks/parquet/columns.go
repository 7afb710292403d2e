package parquet

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

// columns hands vectors to Arrow's column writers: values without the nulls, and a definition level
// for each row. Its memory is used again for each column.
type columns struct {
	levels []int16
	ints   []int64
	int32s []int32
	bools  []bool
	slices []parquet.ByteArray
	fixed  []parquet.FixedLenByteArray
	buf    []byte
}

func (c *columns) write(w file.ColumnChunkWriter, f *Field, v *Vector) error {
	var levels []int16
	if f.Nullable {
		levels = c.definition(v)
	}
	if v.dict && len(v.ints)+len(v.ends) > 0 {
		return c.dictionary(w, f, v, levels)
	}
	var err error
	switch w := w.(type) {
	case *file.Int64ColumnChunkWriter:
		_, err = w.WriteBatch(c.dense(v), levels, nil)
	case *file.Int32ColumnChunkWriter:
		if c.int32s, err = narrow(c.int32s[:0], c.dense(v)); err == nil {
			_, err = w.WriteBatch(c.int32s, levels, nil)
		}
	case *file.BooleanColumnChunkWriter:
		c.bools = c.bools[:0]
		for _, x := range c.dense(v) {
			c.bools = append(c.bools, x != 0)
		}
		_, err = w.WriteBatch(c.bools, levels, nil)
	case *file.ByteArrayColumnChunkWriter:
		_, err = w.WriteBatch(c.byteArrays(v), levels, nil)
	case *file.FixedLenByteArrayColumnChunkWriter:
		if err = c.decimals(v, f); err == nil {
			_, err = w.WriteBatch(c.fixed, levels, nil)
		}
	default:
		err = fmt.Errorf("no way to write a %T", w)
	}
	return err
}

func (c *columns) definition(v *Vector) []int16 {
	c.levels = c.levels[:0]
	for i := range v.n {
		l := int16(1)
		if v.Null(i) {
			l = 0
		}
		c.levels = append(c.levels, l)
	}
	return c.levels
}

// dense is the values of the rows that are not null.
func (c *columns) dense(v *Vector) []int64 {
	if v.nulls == 0 {
		return v.ints
	}
	c.ints = c.ints[:0]
	for i := range v.n {
		if !v.Null(i) {
			c.ints = append(c.ints, v.Int(i))
		}
	}
	return c.ints
}

func narrow(dst []int32, xs []int64) ([]int32, error) {
	for _, x := range xs {
		if x < math.MinInt32 || x > math.MaxInt32 {
			return dst, fmt.Errorf("a value does not fit 32 bits")
		}
		dst = append(dst, int32(x))
	}
	return dst, nil
}

func (c *columns) byteArrays(v *Vector) []parquet.ByteArray {
	c.slices = c.slices[:0]
	for i := range v.n {
		if !v.Null(i) {
			c.slices = append(c.slices, v.Bytes(i))
		}
	}
	return c.slices
}

// decimals makes big-endian two's complement of the length that the precision has in Parquet.
func (c *columns) decimals(v *Vector, f *Field) error {
	size := int(pqarrow.DecimalSize(int32(f.Precision)))
	limit := int64(1)
	for range f.Precision {
		limit *= 10
	}
	xs := c.dense(v)
	c.buf, c.fixed = c.buf[:0], c.fixed[:0]
	for _, x := range xs {
		if x <= -limit || x >= limit {
			return fmt.Errorf("a value does not fit decimal(%d,%d)", f.Precision, f.Scale)
		}
		c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(x))
	}
	for i := range xs {
		c.fixed = append(c.fixed, c.buf[8*i+8-size:8*i+8])
	}
	return nil
}

// dictionary writes our own indices and distinct values. Arrow asks for a dictionary of the
// physical type.
func (c *columns) dictionary(w file.ColumnChunkWriter, f *Field, v *Vector, levels []int16) error {
	values, err := c.distinct(f, v)
	if err != nil {
		return err
	}
	defer values.Release()
	var valid *memory.Buffer
	if v.nulls > 0 {
		valid = memory.NewBufferBytes(v.valid)
	}
	t := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: values.DataType()}
	index := array.NewData(
		arrow.PrimitiveTypes.Int32,
		v.n,
		[]*memory.Buffer{
			valid,
			memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(v.index)),
		},
		nil,
		v.nulls,
		0,
	)
	defer index.Release()
	indices := array.NewInt32Data(index)
	defer indices.Release()
	a := array.NewDictionaryArray(t, indices, values)
	defer a.Release()
	props := pqarrow.DefaultWriterProps()
	ctx := pqarrow.NewArrowWriteContext(context.Background(), &props)
	return pqarrow.WriteArrowToColumn(ctx, w, a, levels, nil, f.Nullable)
}

func (c *columns) distinct(f *Field, v *Vector) (arrow.Array, error) {
	bufs := []*memory.Buffer{nil}
	var t arrow.DataType
	n := len(v.ints)
	switch {
	case v.bytes:
		t, n = arrow.BinaryTypes.String, len(v.ends)
		offsets := append(c.int32s[:0], 0)
		for _, e := range v.ends {
			offsets = append(offsets, int32(e))
		}
		c.int32s = offsets
		bufs = append(bufs, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets)),
			memory.NewBufferBytes(v.data))
	case f.Kind == Int32 || f.Kind == Date:
		var err error
		if c.int32s, err = narrow(c.int32s[:0], v.ints); err != nil {
			return nil, err
		}
		t = arrow.PrimitiveTypes.Int32
		bufs = append(bufs, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.int32s)))
	default:
		t = arrow.PrimitiveTypes.Int64
		bufs = append(bufs, memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(v.ints)))
	}
	d := array.NewData(t, n, bufs, nil, 0, 0)
	defer d.Release()
	return array.MakeFromData(d), nil
}
