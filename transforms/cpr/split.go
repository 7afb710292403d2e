package cpr

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/flis-dk/flis/schemas"
)

// Limits of Open and Units.
const (
	// UnitMax is the largest unit in bytes that is handed on with its content (design.md section
	// 6, Feed).
	UnitMax = 16 << 20
	// StragglersMax is how many runs of records may stand apart from the rest of their person;
	// each costs 24 bytes of memory for as long as the file is open.
	StragglersMax = 4_000_000
)

// Options say what the file itself does not.
type Options struct {
	Layout   Layout            // told; "" = by the file's OPGAVENR
	Layouts  map[string]Layout // OPGAVENR → layout
	Encoding Encoding          // told; "" = found by the bytes, see Open
	Excerpt  bool              // an excerpt of another file: its controls prove nothing
}

// Header is what the start record 000 tells.
type Header struct {
	Task     string      // OPGAVENR
	Produced schemas.Day // PRODDTO
	Previous schemas.Day // PRODDTOFORRIG; Always = blank: the file begins a chain
}

// Unit is all records of one person in the file, or one record 910 or 997.
type Unit struct {
	Nr      int64  // running number in the file, from 1
	PNR     string // whose the unit is; a personal number: never in a key or an error
	Control bool   // 910 or 997: on the subscription, not the person
	Content []byte // records separated by LF, in the file's encoding; nil where Size > UnitMax
	Size    int64  // bytes of the content
	SHA256  [sha256.Size]byte
}

// File is a delivered file whose own controls hold. Not safe for concurrent use.
type File struct {
	Layout   Layout
	Encoding Encoding
	Header   *Header // nil: the file has no start record
	Proven   bool    // the end record's count holds; never of an excerpt
	Records  int64   // records but 000 and 999

	in         io.ReaderAt
	size       int64
	form       form
	stragglers groups
}

// Open reads the whole file once: it decides the layout, checks start, end and count, and notes
// which records stand apart from their person. Nothing of a file that Open refuses should be
// sent. Errors are *schemas.Finding of code LAYOUT that say which record and how to mend, or the
// reader's own. Memory: 24 bytes for each run of records that stands apart, StragglersMax at
// most, and a set of 1/64 of the file's size, 32 MiB at most.
func Open(r io.ReaderAt, size int64, o Options) (*File, error) {
	f := &File{in: r, size: size}
	var err error
	if f.form, err = probe(r, size, o); err != nil {
		return nil, err
	}
	f.Encoding = f.form.encoding
	first := newReader(r, size, form{encoding: f.Encoding, stream: f.form.stream, table: tableA})
	if f.Header, err = readHeader(first); err != nil {
		return nil, err
	}
	if f.Layout, err = chooseLayout(f.Header, o); err != nil {
		return nil, err
	}
	f.form.table = tableOf(f.Layout)
	if err := f.index(o); err != nil {
		return nil, err
	}
	return f, nil
}

// Split opens a file and yields its units.
func Split(r io.ReaderAt, size int64, o Options, yield func(*Unit) error) (*File, error) {
	f, err := Open(r, size, o)
	if err != nil {
		return nil, err
	}
	return f, f.Units(yield)
}

// readHeader reads 000 where the file begins with it; its form is the same in every layout.
func readHeader(r *reader) (*Header, error) {
	b, err := r.next()
	if errors.Is(err, io.EOF) {
		return nil, at(1, "fetch the file again", "the file is empty")
	}
	if string(b) == "" || string(b[:3]) != "000" {
		if r.stream {
			err = nil // of a length that only the layout tells
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	text := newLine(string(b), r.encoding)
	h := &Header{Task: strings.TrimSpace(text.get(tableA.field("000", "OPGAVENR")))}
	var ok bool
	h.Produced, ok = compactDay(text.get(tableA.field("000", "PRODDTO")))
	if !ok || h.Produced == schemas.Always {
		return nil, at(1, "fetch the file again", "PRODDTO is no day (yyyymmdd)")
	}
	if h.Previous, ok = compactDay(text.get(tableA.field("000", "PRODDTOFORRIG"))); !ok {
		return nil, at(1, "fetch the file again", "PRODDTOFORRIG is no day (yyyymmdd)")
	}
	return h, nil
}

// compactDay reads yyyymmdd; blank and zeros are Always.
func compactDay(s string) (schemas.Day, bool) {
	if strings.Trim(s, "0 ") == "" {
		return schemas.Always, true
	}
	t, err := time.Parse("20060102", s)
	if err != nil {
		return 0, false
	}
	return schemas.DayOf(t), true
}

// chooseLayout takes the layout told, else that of the OPGAVENR; lengths say nothing.
func chooseLayout(h *Header, o Options) (Layout, error) {
	if o.Layout != "" {
		return ParseLayout(string(o.Layout))
	}
	if h == nil {
		return "", at(1, "name the layout: --layout A, A-UUID or B",
			"the file has no start record, so nothing tells its layout")
	}
	l, ok := o.Layouts[h.Task]
	if !ok {
		return "", at(1, "name the layout of OPGAVENR "+strconv.Quote(h.Task)+
			" in the configuration, or --layout A, A-UUID or B", "nothing tells the file's layout")
	}
	return ParseLayout(string(l))
}

func recordPath(nr int64) string { return fmt.Sprintf("record %d", nr) }

// Units yields the file's units in order of their first record. yield may keep the unit. An error
// of yield ends it.
func (f *File) Units(yield func(*Unit) error) error {
	r := newReader(f.in, f.size, f.form)
	f.stragglers.reset()
	u := unitWriter{file: f, yield: yield, hash: sha256.New(),
		side: &reader{form: f.form, in: bufio.NewReaderSize(nil, recordBuffer)}}
	for {
		b, err := r.next()
		if errors.Is(err, io.EOF) {
			return u.flush()
		}
		if err == nil {
			err = u.record(b, r.start)
		}
		if err != nil {
			return err
		}
	}
}

// unitWriter gathers the current run of one person's records. A run whose person was yielded
// before is skipped: its records went with the first.
type unitWriter struct {
	file  *File
	yield func(*Unit) error
	side  *reader // reads stragglers
	nr    int64
	unit  *Unit // nil between runs
	key   uint64
	skip  bool  // the run was yielded with an earlier one
	start int64 // of the run
	hash  hash.Hash
}

// record takes the next record of the file; offset is where it begins.
func (w *unitWriter) record(b []byte, offset int64) error {
	switch kind := kindOf(b); {
	case kind == edge:
		return w.flush()
	case kind == control:
		if err := w.flush(); err != nil {
			return err
		}
		w.begin(b, offset)
		w.unit.Control = true
		w.add(b)
		return w.flush()
	}
	key := pack(string(b[3:headerLen]))
	if w.unit != nil && w.key != key {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if w.unit == nil {
		w.begin(b, offset)
		w.key = key
		w.skip = w.file.stragglers.taken(key)
	}
	if !w.skip {
		w.add(b)
	}
	return nil
}

// begin starts a run at the record that b is.
func (w *unitWriter) begin(b []byte, offset int64) {
	w.unit = &Unit{PNR: string(b[3:headerLen])}
	w.start, w.skip, w.key = offset, false, 0
	w.hash.Reset()
}

// add puts a record behind those of the unit.
func (w *unitWriter) add(b []byte) {
	u := w.unit
	if u.Size > 0 {
		w.write([]byte{'\n'})
	}
	w.write(b)
}

// write counts and hashes every byte, and keeps those of a unit within UnitMax.
func (w *unitWriter) write(b []byte) {
	u := w.unit
	_, _ = w.hash.Write(b) // never fails
	if u.Size += int64(len(b)); u.Size > UnitMax {
		u.Content = nil
		return
	}
	u.Content = append(u.Content, b...)
}

// flush yields the run with what else the file has of its person.
func (w *unitWriter) flush() error {
	if w.unit == nil || w.skip {
		w.unit = nil
		return nil
	}
	if !w.unit.Control {
		for _, s := range w.file.stragglers.take(w.key) {
			if s.offset == w.start {
				continue
			}
			if err := w.far(s); err != nil {
				return err
			}
		}
	}
	u := w.unit
	w.unit = nil
	w.nr++
	u.Nr = w.nr
	w.hash.Sum(u.SHA256[:0])
	return w.yield(u)
}

// far adds the records of a run that stands elsewhere.
func (w *unitWriter) far(s straggler) error {
	w.side.in.Reset(io.NewSectionReader(w.file.in, s.offset, w.file.size-s.offset))
	for range s.records {
		b, err := w.side.next()
		if err != nil {
			return err
		}
		w.add(b)
	}
	return nil
}
