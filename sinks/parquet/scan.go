package parquet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/schema"
)

// scanRows is the greatest batch that Scan hands out.
const scanRows = 4096

// Scan reads the fields' columns, in order of rows. fn gets a batch that is used again after it
// returns; its error ends the scan and is returned as it is. A nullable field that the file lacks
// is all null (a column that came later); any other difference of name or type is an error before
// the first batch.
//
// Memory is bounded by the compressed row group and one page of each column. The caller has checked
// the file's SHA-256: damage is not always seen here.
func Scan(r io.ReaderAt, size int64, fields []Field, fn func(*Batch) error) error {
	s := &scan{fields: plain(fields)}
	if err := s.open(io.NewSectionReader(r, 0, size)); err != nil {
		return err
	}
	s.batch = NewBatch(s.fields)
	for g := range s.file.NumRowGroups() {
		left, err := s.group(g)
		if err != nil {
			return err
		}
		for left > 0 {
			n := min(left, scanRows)
			if err := s.fill(n); err != nil {
				return err
			}
			if err := fn(s.batch); err != nil {
				return err
			}
			left -= n
		}
	}
	return nil
}

// plain drops the dictionaries: to find the distinct values again would cost and serve nobody.
func plain(fields []Field) []Field {
	fs := make([]Field, len(fields))
	for i, f := range fields {
		f.Dictionary = false
		fs[i] = f
	}
	return fs
}

type scan struct {
	fields  []Field
	file    *file.Reader
	at      []int // of each field, its column in the file; -1 = none
	readers []file.ColumnChunkReader
	batch   *Batch

	levels []int16
	ints   []int64
	int32s []int32
	bools  []bool
	slices []parquet.ByteArray
	fixed  []parquet.FixedLenByteArray
}

func (s *scan) open(r *io.SectionReader) (err error) {
	defer recovered(&err, "open file")
	want, err := fileSchema(s.fields, properties(s.fields))
	if err != nil {
		return err
	}
	if s.file, err = file.NewParquetReader(r); err != nil {
		return fmt.Errorf("open file: %w", err)
	}
	have := s.file.MetaData().Schema
	for i, f := range s.fields {
		at := have.ColumnIndexByName(f.Name)
		if at < 0 && !f.Nullable {
			return fmt.Errorf("open file: column %s is missing", f.Name)
		}
		if at >= 0 {
			if err := same(&f, want.Column(i), have.Column(at)); err != nil {
				return err
			}
		}
		s.at = append(s.at, at)
	}
	s.readers = make([]file.ColumnChunkReader, len(s.fields))
	s.levels, s.ints, s.int32s = make(
		[]int16,
		scanRows,
	), make(
		[]int64,
		scanRows,
	), make(
		[]int32,
		scanRows,
	)
	s.bools, s.slices = make([]bool, scanRows), make([]parquet.ByteArray, scanRows)
	s.fixed = make([]parquet.FixedLenByteArray, scanRows)
	return nil
}

func same(f *Field, want, have *schema.Column) error {
	switch {
	case have.PhysicalType() != want.PhysicalType(), !have.LogicalType().Equals(want.LogicalType()),
		f.Kind == Decimal && have.TypeLength() != want.TypeLength(),
		have.MaxRepetitionLevel() != 0, have.MaxDefinitionLevel() > 1:
		return fmt.Errorf("open file: column %s is %s %s, want %s %s", f.Name,
			have.PhysicalType(), have.LogicalType(), want.PhysicalType(), want.LogicalType())
	}
	return nil
}

// group opens a row group and gives its rows.
func (s *scan) group(g int) (rows int, err error) {
	defer recovered(&err, "open row group")
	rg := s.file.RowGroup(g)
	for i, at := range s.at {
		if at < 0 {
			continue
		}
		if s.readers[i], err = rg.Column(at); err != nil {
			return 0, fmt.Errorf("open column %s: %w", s.fields[i].Name, err)
		}
	}
	return int(rg.NumRows()), nil
}

func (s *scan) fill(n int) (err error) {
	defer recovered(&err, "read rows")
	s.batch.Reset()
	for i := range s.fields {
		if err := s.column(i, n); err != nil {
			return fmt.Errorf("read column %s: %w", s.fields[i].Name, err)
		}
	}
	return nil
}

func (s *scan) column(i, n int) error {
	v, f := s.batch.Vectors[i], &s.fields[i]
	for v.n < n {
		if s.at[i] < 0 {
			v.AppendNull()
			continue
		}
		rows, err := s.read(v, s.readers[i], n-v.n)
		if err != nil {
			return err
		}
		if rows == 0 {
			return fmt.Errorf("%d rows of %d: %w", v.n, n, io.ErrUnexpectedEOF)
		}
	}
	if v.nulls > 0 && !f.Nullable {
		return fmt.Errorf("has nulls and may have none")
	}
	return nil
}

func (s *scan) read(v *Vector, r file.ColumnChunkReader, n int) (int, error) {
	levels := s.levels[:n]
	if r.Descriptor().MaxDefinitionLevel() == 0 {
		levels = nil
	}
	var rows int64
	var values int
	var err error
	var add func(i int)
	switch r := r.(type) {
	case *file.Int64ColumnChunkReader:
		rows, values, err = r.ReadBatch(int64(n), s.ints, levels, nil)
		add = func(i int) { v.AppendInt(s.ints[i]) }
	case *file.Int32ColumnChunkReader:
		rows, values, err = r.ReadBatch(int64(n), s.int32s, levels, nil)
		add = func(i int) { v.AppendInt(int64(s.int32s[i])) }
	case *file.BooleanColumnChunkReader:
		rows, values, err = r.ReadBatch(int64(n), s.bools, levels, nil)
		add = func(i int) { v.AppendInt(bit(s.bools[i])) }
	case *file.ByteArrayColumnChunkReader:
		rows, values, err = r.ReadBatch(int64(n), s.slices, levels, nil)
		add = func(i int) { v.AppendBytes(s.slices[i]) }
	case *file.FixedLenByteArrayColumnChunkReader:
		rows, values, err = r.ReadBatch(int64(n), s.fixed, levels, nil)
		add = func(i int) { v.AppendInt(unscaled(s.fixed[i])) }
	default:
		return 0, fmt.Errorf("no way to read a %T", r)
	}
	if err != nil {
		return 0, err
	}
	return int(rows), spread(v, int(rows), values, levels, add)
}

// spread puts the nulls back between the values.
func spread(v *Vector, rows, values int, levels []int16, add func(int)) error {
	next := 0
	for row := range rows {
		switch {
		case levels != nil && levels[row] == 0:
			v.AppendNull()
		case next >= values:
			return fmt.Errorf("fewer values than levels: %w", io.ErrUnexpectedEOF)
		default:
			add(next)
			next++
		}
	}
	return nil
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// unscaled reads big-endian two's complement of 1 to 8 bytes.
func unscaled(b []byte) int64 {
	var w [8]byte
	if len(b) > 0 && b[0]&0x80 != 0 {
		w = [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	copy(w[8-len(b):], b)
	return int64(binary.BigEndian.Uint64(w[:]))
}
