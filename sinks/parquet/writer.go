package parquet

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/metadata"
)

// Meta is what is known of a written file.
type Meta struct {
	Rows, Bytes int64
	SHA256      string          // of all bytes, hex
	Stats       map[string]Stat // of the fields with Stats
}

// Writer writes one file. After an error every call returns that error, and the file is worth
// nothing.
type Writer struct {
	fields  []Field
	sink    *sink
	file    *file.Writer
	pending *Batch
	columns columns
	stats   []stat
	rows    int64
	groups  int
	err     error
}

// A batch of this size, in rows or bytes, is a row group of its own; smaller ones are gathered
// until they are.
const (
	groupRows  = 1 << 20
	groupBytes = 16 << 20
)

// NewWriter begins a file on w, which it neither buffers nor closes.
func NewWriter(w io.Writer, fields []Field) (_ *Writer, err error) {
	out := &sink{w: w, hash: sha256.New()}
	defer out.recovered(&err, "begin file")
	props := properties(fields)
	s, err := fileSchema(fields, props)
	if err != nil {
		return nil, err
	}
	return &Writer{
		fields: fields, sink: out, stats: make([]stat, len(fields)),
		file: file.NewParquetWriter(out, s.Root(), file.WithWriterProps(props)),
	}, nil
}

// Write adds the rows of b, which stays the caller's: it may be reset at once.
func (w *Writer) Write(b *Batch) error {
	if w.err == nil {
		w.err = w.write(b)
	}
	return w.err
}

// WriteGroup adds the rows of b as a row group of their own, whatever their size, without the copy
// that gathering takes: for a caller whose batch is the whole file. An empty batch adds nothing.
func (w *Writer) WriteGroup(b *Batch) error {
	if w.err == nil {
		w.err = b.check(w.fields)
	}
	if w.err == nil {
		w.err = w.flush()
	}
	if w.err == nil && b.Len() > 0 {
		w.err = w.group(b)
	}
	return w.err
}

func (w *Writer) write(b *Batch) error {
	if err := b.check(w.fields); err != nil {
		return err
	}
	if w.pending == nil || w.pending.Len() == 0 {
		if full(b) {
			return w.group(b)
		}
	}
	if w.pending == nil {
		w.pending = NewBatch(w.fields)
	}
	for i := range b.Len() {
		w.pending.AppendRow(b, i)
	}
	if full(w.pending) {
		return w.flush()
	}
	return nil
}

func full(b *Batch) bool { return b.Len() >= groupRows || b.Size() >= groupBytes }

func (w *Writer) flush() error {
	if w.pending == nil || w.pending.Len() == 0 {
		return nil
	}
	err := w.group(w.pending)
	w.pending.Reset()
	return err
}

// group writes a row group. Arrow keeps no reference to the batch after it.
func (w *Writer) group(b *Batch) (err error) {
	defer w.sink.recovered(&err, "write row group")
	g := w.file.AppendRowGroup()
	for i := range w.fields {
		c, err := g.NextColumn()
		if err != nil {
			return fmt.Errorf("write column %s: %w", w.fields[i].Name, err)
		}
		err = w.columns.write(c, &w.fields[i], b.Vectors[i])
		if err = errors.Join(err, c.Close(), w.sink.err); err != nil {
			return fmt.Errorf("write column %s: %w", w.fields[i].Name, err)
		}
		if w.fields[i].Stats {
			w.stats[i].add(&w.fields[i], b.Vectors[i])
		}
	}
	w.rows += int64(b.Len())
	w.groups++
	return errors.Join(g.Close(), w.sink.err)
}

// Close ends the file and reads its footer back: Arrow reports no error for a footer that was lost
// on the way.
func (w *Writer) Close() (*Meta, error) {
	if w.err == nil {
		w.err = w.flush()
	}
	if w.err == nil {
		w.err = w.close()
	}
	if w.err != nil {
		return nil, w.err
	}
	w.err = errors.New("write: the file is closed")
	m := &Meta{Rows: w.rows, Bytes: w.sink.n, SHA256: hex.EncodeToString(w.sink.hash.Sum(nil))}
	m.Stats = map[string]Stat{}
	for i, f := range w.fields {
		if f.Stats {
			m.Stats[f.Name] = w.stats[i].stat(&f)
		}
	}
	return m, nil
}

func (w *Writer) close() (err error) {
	defer w.sink.recovered(&err, "close file")
	w.sink.tail = &bytes.Buffer{}
	if err := errors.Join(w.file.Close(), w.sink.err); err != nil {
		return fmt.Errorf("close file: %w", err)
	}
	m, err := footer(w.sink.tail.Bytes())
	if err != nil {
		return fmt.Errorf("close file: %w", err)
	}
	if m.NumRows != w.rows || len(m.RowGroups) != w.groups {
		return fmt.Errorf("close file: the footer has %d rows in %d groups, written %d in %d",
			m.NumRows, len(m.RowGroups), w.rows, w.groups)
	}
	return nil
}

const magic = "PAR1"

// footer parses what stands behind the last row group: metadata, its length, the magic.
func footer(b []byte) (*metadata.FileMetaData, error) {
	end := len(b) - len(magic) - 4
	if end < 0 || string(b[end+4:]) != magic || int(binary.LittleEndian.Uint32(b[end:])) != end {
		return nil, errors.New("footer is damaged")
	}
	return metadata.NewFileMetaData(b[:end], nil)
}

// sink counts and hashes. Its error is sticky, for Arrow drops some.
type sink struct {
	w    io.Writer
	hash hash.Hash
	n    int64
	err  error
	tail *bytes.Buffer // what is written from Close on
}

func (s *sink) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.hash.Write(p[:n])
	s.n += int64(n)
	if s.tail != nil {
		s.tail.Write(p[:n])
	}
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	s.err = err
	return n, err
}

// recovered is for what writes: where the sink refused, that is the error, whatever Arrow made of
// it.
func (s *sink) recovered(err *error, doing string) {
	r := recover()
	switch {
	case r != nil && s.err != nil:
		*err = fmt.Errorf("%s: %w", doing, s.err)
	case r != nil:
		*err = fmt.Errorf("%s: arrow: %v", doing, r)
	}
}

// recovered turns a panic of Arrow into an error.
func recovered(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: arrow: %v", doing, r)
	}
}
