package sinks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// errFile: a file of tables or close state is not what was written.
var errFile = errors.New("file is damaged")

// files is a folder of a store in which immutable files are named by content.
type files struct {
	st     store.Store
	folder string
	dir    string // of scratch files
}

// open gives a file whose SHA-256 was checked (invariant 7). The caller closes it.
func (f files) open(ctx context.Context, ref *FileRef) (_ store.Object, err error) {
	o, err := f.st.Open(ctx, f.folder+"/"+ref.Path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref.Path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(o, 0, o.Size())); err != nil {
		return nil, fmt.Errorf("read %s: %w", ref.Path, err)
	}
	if hex.EncodeToString(h.Sum(nil)) != ref.SHA256 || o.Size() != ref.Bytes {
		return nil, fmt.Errorf("read %s: %w: not the bytes that were written", ref.Path, errFile)
	}
	return o, nil
}

// scan yields the batches of a file; each holds until the next.
func (f files) scan(
	ctx context.Context,
	ref *FileRef,
	fields []parquet.Field,
) iter.Seq2[*parquet.Batch, error] {
	return func(yield func(*parquet.Batch, error) bool) {
		o, err := f.open(ctx, ref)
		if err != nil {
			yield(nil, err)
			return
		}
		stopped := errors.New("stopped")
		err = parquet.Scan(o, o.Size(), fields, func(b *parquet.Batch) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !yield(b, nil) {
				return stopped
			}
			return nil
		})
		if err = errors.Join(err, o.Close()); err != nil && !errors.Is(err, stopped) {
			yield(nil, fmt.Errorf("read %s: %w", ref.Path, err))
		}
	}
}

// put makes the bytes of a finished scratch file durable under a name of their own. A file that
// is there is this one: the name is the SHA-256. A lost answer is asked again.
func (f files) put(ctx context.Context, s *scratch, path string, m *parquet.Meta) (FileRef, error) {
	ref := FileRef{Path: path, SHA256: m.SHA256, Bytes: m.Bytes, Rows: m.Rows}
	var err error
	for range createTries {
		err = f.st.Create(ctx, f.folder+"/"+path, func(w io.Writer) error {
			_, err := io.Copy(w, io.NewSectionReader(s, 0, m.Bytes))
			return err
		})
		if !errors.Is(err, store.ErrUnknown) {
			break
		}
	}
	if errors.Is(err, store.ErrExists) {
		var o store.Object
		if o, err = f.open(ctx, &ref); err == nil {
			err = o.Close()
		}
	}
	if err != nil {
		return ref, fmt.Errorf("write %s: %w", path, err)
	}
	return ref, nil
}

// rangeWriter writes sorted groups into files of a bounded size.
type rangeWriter struct {
	files
	fields    []parquet.Field
	limit     int    // bytes of rows in memory form; a file is smaller
	prefix    string // of file names: the period of a fact
	partition string

	spare       *spareBatch // may be nil
	batch       *parquet.Batch
	scratch     *scratch
	writer      *parquet.Writer
	written     int
	first, last []byte
	out         []rangeFile
	metas       []*parquet.Meta
}

// batchBytes is how many bytes of rows are gathered before they are written: a row group, so that
// they are copied once.
const batchBytes = 16 << 20

// begin names the group of the rows that follow. Only here a new file begins.
func (w *rangeWriter) begin(ctx context.Context, group []byte) error {
	if w.batch == nil {
		w.batch = w.spare.take(w.fields)
	}
	if w.first != nil && bytes.Equal(group, w.last) {
		return nil
	}
	if w.first != nil && w.written+w.batch.Size() >= w.limit {
		if err := w.finish(ctx); err != nil {
			return err
		}
	}
	if w.first == nil {
		w.first = append([]byte{}, group...)
	}
	w.last = append(w.last[:0], group...)
	return nil
}

// row tells that a row was appended to batch.
func (w *rangeWriter) row() error {
	if w.batch.Len()%512 != 0 || w.batch.Size() < batchBytes {
		return nil
	}
	return w.flush()
}

// flush writes the batch as a row group: that of a file's end is small, and gathering would only
// copy it.
func (w *rangeWriter) flush() (err error) {
	if w.scratch == nil {
		if w.scratch, err = newScratch(w.dir); err != nil {
			return err
		}
		if w.writer, err = parquet.NewWriter(w.scratch, w.fields); err != nil {
			return err
		}
	}
	w.written += w.batch.Size()
	err = w.writer.WriteGroup(w.batch)
	w.batch.Reset()
	return err
}

// finish ends the current file, if there is one with rows.
func (w *rangeWriter) finish(ctx context.Context) (err error) {
	if w.batch == nil || w.batch.Len() == 0 && w.scratch == nil {
		w.first = nil
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	m, err := w.writer.Close()
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	ref, err := w.put(ctx, w.scratch, w.prefix+m.SHA256+".parquet", m)
	if err = errors.Join(err, w.scratch.Close()); err != nil {
		return err
	}
	w.out = append(
		w.out,
		rangeFile{
			FileRef:   ref,
			First:     w.first,
			Last:      append([]byte{}, w.last...),
			Partition: w.partition,
		},
	)
	w.metas = append(w.metas, m)
	w.scratch, w.writer, w.written, w.first = nil, nil, 0, nil
	return nil
}

// spareBatch is the memory of a batch between one writer and the next of the same columns.
type spareBatch struct{ batch *parquet.Batch }

func (s *spareBatch) take(fields []parquet.Field) *parquet.Batch {
	if s == nil || s.batch == nil {
		return parquet.NewBatch(fields)
	}
	b := s.batch
	s.batch = nil
	b.Reset()
	return b
}

// abandon drops what was not finished, and gives the memory back.
func (w *rangeWriter) abandon() {
	if w.spare != nil && w.batch != nil {
		w.spare.batch, w.batch = w.batch, nil
	}
	if w.scratch != nil {
		_ = w.scratch.Close() // it holds nothing that matters
		w.scratch = nil
	}
}
