package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
)

// Want says what a scan is after.
type Want struct {
	Events  bool // ordinals from 1
	Raw     bool // ordinal 0
	Payload bool // else Payload, Headers and RawKey are nil, and cost nothing
	// Datasets limits the events to these and to snapshots of their whole areas; rows that name
	// no dataset (seals, heartbeats, parked parts) always come. None = no limit.
	Datasets []schemas.DatasetName
	// Columns limits what is read of a row to these columns of the format; the rest of it is
	// zero, and costs nothing. None = no limit.
	Columns []string
}

func (w *Want) takes(r *schemas.Row) bool {
	if len(w.Datasets) == 0 || r.Dataset == "" || r.Ordinal == 0 {
		return true
	}
	return slices.ContainsFunc(w.Datasets, func(d schemas.DatasetName) bool {
		return d == r.Dataset || string(r.Dataset) == string(d.Area())
	})
}

// Scan hands fn each row of the entries in (from, to], in the order in which they were written:
// entry, then raw records before events, then as added. A file is read whole, its SHA-256
// compared, and only then opened (invariant 7; ErrDamaged): memory is that of one file of a kind.
// The row is valid until fn returns: CloneRow keeps it; its strings may be kept as they are. An
// error of fn ends the scan and is returned as it is.
func (j *Journal) Scan(ctx context.Context, from, to int64, want Want,
	fn func(*schemas.Row) error) error {
	return j.ScanEntries(ctx, from, to, want, func(_ int64, r *schemas.Row) error { return fn(r) })
}

// coverFrom is the length of a scan from which the journal's snapshot is read first, to take
// made files instead of many small ones.
const coverFrom = 100

// ScanEntries is Scan that also tells the entry of each row.
func (j *Journal) ScanEntries(ctx context.Context, from, to int64, want Want,
	fn func(entry int64, r *schemas.Row) error) error {
	s := j.scanner(want)
	s.short = to-from < coverFrom
	var err error
	if s.short {
		s.cover = j.knownCover()
	} else if s.cover, err = j.cover(ctx, false); err != nil {
		return fmt.Errorf("scan journal %s: %w", j.system, err)
	}
	for v := from + 1; v <= to; v++ {
		err := s.entry(ctx, v, func(r *schemas.Row) error { return fn(v, r) })
		var st scanStopped
		if errors.As(err, &st) {
			return st.err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CloneRow copies a row so that it outlives the scan.
func CloneRow(r *schemas.Row) schemas.Row {
	c := *r
	c.Payload, c.Headers = bytes.Clone(r.Payload), bytes.Clone(r.Headers)
	c.RawKey = bytes.Clone(r.RawKey)
	return c
}

// journalScanner reads files one after the other, with the same memory.
type journalScanner struct {
	j      *Journal
	want   Want
	fields []parquet.Field
	un     *rowUnpacker
	buf    []byte
	cover  *journalCover          // nil = not looked for yet
	loaded map[string]*loadedFile // by kind; of a scan that is not short
	short  bool
}

func (j *Journal) scanner(want Want) *journalScanner {
	cols := columnsOf(&want)
	return &journalScanner{j: j, want: want, fields: fieldsOf(cols),
		un: newRowUnpacker(cols), loaded: map[string]*loadedFile{}}
}

// scanStopped carries an error of fn past the layers that would wrap it.
type scanStopped struct{ err error }

func (s scanStopped) Error() string { return s.err.Error() }

// file reads one file; an error of fn comes back as scanStopped.
func (s *journalScanner) file(ctx context.Context, a *delta.Add,
	fn func(*schemas.Row) error) error {
	data, err := s.read(ctx, a)
	if err != nil {
		return fmt.Errorf("scan journal %s: file %s: %w", s.j.system, a.Path, err)
	}
	in := bytes.NewReader(data)
	err = s.j.files.scan(in, in.Size(), s.fields, func(b *parquet.Batch) error {
		return s.un.each(b, func(r *schemas.Row) error {
			if !s.want.takes(r) {
				return nil
			}
			if err := fn(r); err != nil {
				return scanStopped{err}
			}
			return nil
		})
	})
	var st scanStopped
	if errors.As(err, &st) {
		return st
	}
	if err != nil {
		return fmt.Errorf("scan journal %s: file %s: %w", s.j.system, a.Path, err)
	}
	return nil
}

// read gives a file's bytes after they were checked, in a buffer that the next read reuses.
func (s *journalScanner) read(ctx context.Context, a *delta.Add) ([]byte, error) {
	o, err := s.j.st.Open(ctx, s.j.prefix+"/"+a.Path)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if o.Size() != a.Size {
		return nil, fmt.Errorf("%w: %d bytes, its entry says %d", ErrDamaged, o.Size(), a.Size)
	}
	s.buf = slices.Grow(s.buf[:0], int(a.Size))[:a.Size]
	if n, err := o.ReadAt(s.buf, 0); err != nil && (!errors.Is(err, io.EOF) || n < len(s.buf)) {
		return nil, err
	}
	if hashOf(s.buf) != a.Tags[delta.TagSHA256] {
		return nil, fmt.Errorf("%w: its SHA-256 is not that of its entry", ErrDamaged)
	}
	return s.buf, nil
}
