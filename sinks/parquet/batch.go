package parquet

import (
	"fmt"
	"math"
)

// Batch is rows in columns. Every vector must have the same number of rows when the batch is
// written.
type Batch struct {
	Fields  []Field
	Vectors []*Vector
}

// NewBatch makes an empty batch; fields must not be changed afterwards.
func NewBatch(fields []Field) *Batch {
	b := &Batch{Fields: fields, Vectors: make([]*Vector, len(fields))}
	for i := range fields {
		b.Vectors[i] = newVector(&fields[i])
	}
	return b
}

// Len is the number of whole rows.
func (b *Batch) Len() int {
	if len(b.Vectors) == 0 {
		return 0
	}
	return b.Vectors[len(b.Vectors)-1].n
}

// Size is the memory that the rows take, in bytes.
func (b *Batch) Size() int {
	n := 0
	for _, v := range b.Vectors {
		n += v.size()
	}
	return n
}

// Reset takes all rows away and keeps the memory; what Bytes returned is no longer valid.
func (b *Batch) Reset() {
	for _, v := range b.Vectors {
		v.reset()
	}
}

// AppendRow adds row i of src, a batch of the same columns in the same order (Dictionary and Stats
// may differ).
func (b *Batch) AppendRow(src *Batch, i int) {
	for c, v := range b.Vectors {
		v.copyRow(src.Vectors[c], i)
	}
}

// check says whether the batch can be a row group of these fields.
func (b *Batch) check(fields []Field) error {
	if len(b.Fields) != len(fields) {
		return fmt.Errorf("write batch: %d columns, the file has %d", len(b.Fields), len(fields))
	}
	for i, f := range fields {
		g := &b.Fields[i]
		switch {
		case g.Name != f.Name || g.Kind != f.Kind || g.Precision != f.Precision || g.Scale != f.Scale:
			return fmt.Errorf("write batch: column %d is %s of kind %d, the file has %s of kind %d",
				i, g.Name, g.Kind, f.Name, f.Kind)
		case b.Vectors[i].n != b.Len():
			return fmt.Errorf(
				"write batch: column %s has %d rows, others %d",
				f.Name,
				b.Vectors[i].n,
				b.Len(),
			)
		case len(b.Vectors[i].data) > math.MaxInt32:
			return fmt.Errorf("write batch: column %s has more than 2 GiB", f.Name)
		case b.Vectors[i].nulls > 0 && !f.Nullable:
			return fmt.Errorf(
				"write batch: column %s has %d nulls and may have none",
				f.Name,
				b.Vectors[i].nulls,
			)
		}
	}
	return nil
}
