package parquet

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

// Checkpoint is the state of a Delta table as its checkpoint file holds it: the protocol is 1/2.
type Checkpoint struct {
	ID, Schema       string // Schema is the schemaString
	PartitionColumns []string
	Configuration    map[string]string
	Txns             map[string]int64
	Files            []CheckpointFile
}

// CheckpointFile is an add action. A nil partition value is null.
type CheckpointFile struct {
	Path           string
	Partition      map[string]*string
	Size, Modified int64
	Stats          string // "" = none
	Tags           map[string]string
}

// The protocol that every checkpoint names, as int32: with int64 no other reader opens it.
const (
	checkpointReader int32 = 1
	checkpointWriter int32 = 2
)

func checkpointSchema() *arrow.Schema {
	text, long := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64
	m := arrow.MapOf(text, text)
	group := func(name string, fs ...arrow.Field) arrow.Field {
		return arrow.Field{Name: name, Type: arrow.StructOf(fs...), Nullable: true}
	}
	field := func(name string, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true}
	}
	return arrow.NewSchema([]arrow.Field{
		group("txn", field("appId", text), field("version", long)),
		group("add", field("path", text), field("partitionValues", m), field("size", long),
			field("modificationTime", long), field("dataChange", arrow.FixedWidthTypes.Boolean),
			field("stats", text), field("tags", m)),
		group(
			"metaData",
			field("id", text),
			field("format", arrow.StructOf(field("provider", text), field("options", m))),
			field(
				"schemaString",
				text,
			),
			field("partitionColumns", arrow.ListOf(text)),
			field("configuration", m),
		),
		group("protocol", field("minReaderVersion", arrow.PrimitiveTypes.Int32),
			field("minWriterVersion", arrow.PrimitiveTypes.Int32)),
	}, nil)
}

// The columns of checkpointSchema.
const (
	colTxn = iota
	colAdd
	colMetadata
	colProtocol
)

// WriteCheckpoint makes the file's bytes, the same for the same state: protocol, metadata, txns,
// then files, sorted.
func WriteCheckpoint(c *Checkpoint) (_ []byte, err error) {
	defer recovered(&err, "write checkpoint")
	b := &checkpointBuilder{array.NewRecordBuilder(memory.DefaultAllocator, checkpointSchema())}
	defer b.Release()
	b.row(colProtocol, func(s *array.StructBuilder) {
		s.FieldBuilder(0).(*array.Int32Builder).Append(checkpointReader)
		s.FieldBuilder(1).(*array.Int32Builder).Append(checkpointWriter)
	})
	b.row(colMetadata, func(s *array.StructBuilder) { metadataRow(s, c) })
	for _, app := range slices.Sorted(maps.Keys(c.Txns)) {
		b.row(colTxn, func(s *array.StructBuilder) {
			text(s.FieldBuilder(0), app)
			long(s.FieldBuilder(1), c.Txns[app])
		})
	}
	for i := range c.Files {
		b.row(colAdd, func(s *array.StructBuilder) { addRow(s, &c.Files[i]) })
	}
	rec := b.NewRecord()
	defer rec.Release()
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(rec.Schema(), &out, properties(nil), pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, fmt.Errorf("write checkpoint: %w", err)
	}
	if err := w.Write(rec); err != nil {
		return nil, fmt.Errorf("write checkpoint: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write checkpoint: %w", err)
	}
	return out.Bytes(), nil
}

type checkpointBuilder struct{ *array.RecordBuilder }

func (b *checkpointBuilder) row(col int, fill func(*array.StructBuilder)) {
	for i, f := range b.Fields() {
		if i != col {
			f.AppendNull()
			continue
		}
		s := f.(*array.StructBuilder)
		s.Append(true)
		fill(s)
	}
}

func metadataRow(s *array.StructBuilder, c *Checkpoint) {
	text(s.FieldBuilder(0), c.ID)
	format := s.FieldBuilder(1).(*array.StructBuilder)
	format.Append(true)
	text(format.FieldBuilder(0), "parquet")
	texts(format.FieldBuilder(1), nil)
	text(s.FieldBuilder(2), c.Schema)
	list := s.FieldBuilder(3).(*array.ListBuilder)
	list.Append(true)
	for _, p := range c.PartitionColumns {
		text(list.ValueBuilder(), p)
	}
	texts(s.FieldBuilder(4), pointers(c.Configuration))
}

func addRow(s *array.StructBuilder, f *CheckpointFile) {
	text(s.FieldBuilder(0), f.Path)
	texts(s.FieldBuilder(1), f.Partition)
	long(s.FieldBuilder(2), f.Size)
	long(s.FieldBuilder(3), f.Modified)
	s.FieldBuilder(4).(*array.BooleanBuilder).Append(false) // a checkpoint changes no data
	if f.Stats == "" {
		s.FieldBuilder(5).AppendNull()
	} else {
		text(s.FieldBuilder(5), f.Stats)
	}
	texts(s.FieldBuilder(6), pointers(f.Tags))
}

func text(b array.Builder, s string) { b.(*array.StringBuilder).Append(s) }

func long(b array.Builder, x int64) { b.(*array.Int64Builder).Append(x) }

func texts(b array.Builder, m map[string]*string) {
	mb := b.(*array.MapBuilder)
	mb.Append(true)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		text(mb.KeyBuilder(), k)
		if m[k] == nil {
			mb.ItemBuilder().AppendNull()
		} else {
			text(mb.ItemBuilder(), *m[k])
		}
	}
}

func pointers(m map[string]string) map[string]*string {
	p := make(map[string]*string, len(m))
	for k, v := range m {
		p[k] = &v
	}
	return p
}

// ReadCheckpoint reads what WriteCheckpoint made. The caller has checked the bytes' SHA-256.
func ReadCheckpoint(b []byte) (_ *Checkpoint, err error) {
	defer recovered(&err, "read checkpoint")
	f, err := file.NewParquetReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	r := &checkpointReading{file: f, rows: int(f.NumRows())}
	for g := range f.NumRowGroups() {
		r.groups = append(r.groups, f.RowGroup(g))
	}
	c, err := r.checkpoint()
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return c, nil
}

type checkpointReading struct {
	file   *file.Reader
	groups []*file.RowGroupReader
	rows   int
	err    error
}

func (r *checkpointReading) checkpoint() (*Checkpoint, error) {
	reader, writer := r.leaf("protocol.minReaderVersion"), r.leaf("protocol.minWriterVersion")
	app, version := r.leaf("txn.appId"), r.leaf("txn.version")
	id, schema := r.leaf("metaData.id"), r.leaf("metaData.schemaString")
	partition := r.leaf("metaData.partitionColumns.list.element")
	config := r.textMaps("metaData.configuration")
	path, size, modified := r.leaf("add.path"), r.leaf("add.size"), r.leaf("add.modificationTime")
	values, stats, tags := r.textMaps(
		"add.partitionValues",
	), r.leaf(
		"add.stats",
	), r.textMaps(
		"add.tags",
	)
	c := &Checkpoint{Txns: map[string]int64{}}
	for i := 0; i < r.rows && r.err == nil; i++ {
		switch {
		case reader[i].some():
			if reader[i].int() != int64(checkpointReader) || writer[i].int() != int64(checkpointWriter) {
				return nil, fmt.Errorf("protocol %d/%d, want 1/2", reader[i].int(), writer[i].int())
			}
		case id[i].some():
			c.ID, c.Schema, c.Configuration = id[i].text(), schema[i].text(), plainTexts(config[i])
			for _, p := range partition[i] {
				if s, ok := p.(string); ok {
					c.PartitionColumns = append(c.PartitionColumns, s)
				}
			}
		case app[i].some():
			c.Txns[app[i].text()] = version[i].int()
		case path[i].some():
			c.Files = append(c.Files, CheckpointFile{
				Path: path[i].text(), Partition: values[i], Size: size[i].int(),
				Modified: modified[i].int(), Stats: stats[i].text(), Tags: plainTexts(tags[i])})
		}
	}
	return c, r.err
}

func plainTexts(m map[string]*string) map[string]string {
	p := make(map[string]string, len(m))
	for k, v := range m {
		if v != nil {
			p[k] = *v
		}
	}
	return p
}

// cell is the values of one row of a leaf column: int64, string, bool, or nil for what is null at
// any depth.
type cell []any

func (c cell) some() bool { return len(c) > 0 && c[0] != nil }

func (c cell) text() string {
	if !c.some() {
		return ""
	}
	s, _ := c[0].(string)
	return s
}

func (c cell) int() int64 {
	if !c.some() {
		return 0
	}
	x, _ := c[0].(int64)
	return x
}

func (r *checkpointReading) textMaps(path string) []map[string]*string {
	keys, values := r.leaf(path+".key_value.key"), r.leaf(path+".key_value.value")
	maps := make([]map[string]*string, r.rows)
	for i := range maps {
		maps[i] = map[string]*string{}
		for j, k := range keys[i] {
			if k, ok := k.(string); ok && j < len(values[i]) {
				maps[i][k] = nil
				if v, ok := values[i][j].(string); ok {
					maps[i][k] = &v
				}
			}
		}
	}
	return maps
}

// leaf reads a whole column. A missing one, or one that ends early, is the reading's error.
func (r *checkpointReading) leaf(path string) []cell {
	cells := make([]cell, 0, r.rows)
	at := r.file.MetaData().Schema.ColumnIndexByName(path)
	if at < 0 {
		r.fail(fmt.Errorf("column %s is missing", path))
	}
	for _, g := range r.groups {
		if r.err != nil {
			break
		}
		c, err := g.Column(at)
		if err == nil {
			cells, err = leafCells(cells, c)
		}
		r.fail(err)
	}
	if len(cells) != r.rows && r.err == nil {
		r.fail(fmt.Errorf("column %s: %d rows of %d: %w", path, len(cells), r.rows, io.ErrUnexpectedEOF))
	}
	return append(cells, make([]cell, max(0, r.rows-len(cells)))...)
}

func (r *checkpointReading) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func leafCells(cells []cell, c file.ColumnChunkReader) ([]cell, error) {
	top := c.Descriptor().MaxDefinitionLevel()
	for {
		defs, reps := make([]int16, scanRows), make([]int16, scanRows)
		n, values, err := leafBatch(c, defs, reps)
		if err != nil || n == 0 {
			return cells, err
		}
		if c.Descriptor().MaxRepetitionLevel() == 0 {
			clear(reps)
		}
		next := 0
		for i := range n {
			if reps[i] == 0 {
				cells = append(cells, nil)
			}
			var x any
			if defs[i] == top && next < len(values) {
				x = values[next]
				next++
			}
			cells[len(cells)-1] = append(cells[len(cells)-1], x)
		}
	}
}

func leafBatch(c file.ColumnChunkReader, defs, reps []int16) (rows int64, values []any, err error) {
	n := 0
	switch c := c.(type) {
	case *file.ByteArrayColumnChunkReader:
		xs := make([]parquet.ByteArray, scanRows)
		rows, n, err = c.ReadBatch(scanRows, xs, defs, reps)
		for _, x := range xs[:n] {
			values = append(values, string(x))
		}
	case *file.Int64ColumnChunkReader:
		xs := make([]int64, scanRows)
		rows, n, err = c.ReadBatch(scanRows, xs, defs, reps)
		for _, x := range xs[:n] {
			values = append(values, x)
		}
	case *file.Int32ColumnChunkReader:
		xs := make([]int32, scanRows)
		rows, n, err = c.ReadBatch(scanRows, xs, defs, reps)
		for _, x := range xs[:n] {
			values = append(values, int64(x))
		}
	default:
		err = fmt.Errorf("no way to read a %T", c)
	}
	return rows, values, err
}
