package sinks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sort"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// journalCover is the made files of a snapshot: where the rows of an entry are when its own files
// are gone. It stays right when later entries replace these files, as long as the files are there.
type journalCover struct {
	live  map[string]delta.Add
	kinds map[string][]coverFile // by kind, ascending, no two overlap
}

type coverFile struct {
	fileRange
	add delta.Add
}

var errOverlap = fmt.Errorf("%w: two files hold the rows of one entry", ErrDamaged)

func newCover(s *delta.Snapshot) (*journalCover, error) {
	c := &journalCover{kinds: map[string][]coverFile{}, live: s.Files}
	for path, a := range s.Files {
		if r, ok := rangeOf(&a); ok && r.made {
			c.kinds[kindOf(path)] = append(c.kinds[kindOf(path)], coverFile{r, a})
		}
	}
	for kind, fs := range c.kinds {
		slices.SortFunc(fs, func(a, b coverFile) int { return cmp.Compare(a.from, b.from) })
		for i := 1; i < len(fs); i++ {
			if fs[i].from <= fs[i-1].to {
				return nil, fmt.Errorf("%w: %s, entry %d", errOverlap, kind, fs[i].from)
			}
		}
	}
	return c, nil
}

// find is the made file that holds the entry's rows of the kind; nil = none. c may be nil.
func (c *journalCover) find(kind string, entry int64) *coverFile {
	if c == nil {
		return nil
	}
	fs := c.kinds[kind]
	i := sort.Search(len(fs), func(i int) bool { return fs[i].to >= entry })
	if i < len(fs) && fs[i].from <= entry {
		return &fs[i]
	}
	return nil
}

// cover reads which files were made; anew when the caller says so, as when a file is gone.
func (j *Journal) cover(ctx context.Context, anew bool) (*journalCover, error) {
	c := j.knownCover()
	if c != nil && !anew {
		return c, nil
	}
	s, err := j.snapshot(ctx)
	if err != nil || s == nil {
		return nil, err
	}
	if c, err = newCover(s); err != nil {
		return nil, err
	}
	j.mu.Lock()
	j.rewritten = c
	j.mu.Unlock()
	return c, nil
}

func (j *Journal) knownCover() *journalCover {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.rewritten
}

// placedRow is a row with where it was written.
type placedRow struct {
	entry, place int64
	row          schemas.Row
}

func (p *placedRow) compare(o *placedRow) int {
	return cmp.Or(cmp.Compare(p.entry, o.entry), cmp.Compare(p.place, o.place))
}

// partBits leaves room for the rows of one file.
const partBits = 32

// placed reads a whole file. Of an entry's own file the rows lie as they were added.
func (s *journalScanner) placed(ctx context.Context, a *delta.Add) ([]placedRow, error) {
	r, ok := rangeOf(a)
	if !ok {
		return nil, fmt.Errorf("file %s does not say whose rows it holds", a.Path)
	}
	data, err := s.read(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("scan journal %s: file %s: %w", s.j.system, a.Path, err)
	}
	rows, err := s.unpack(data, r)
	if err != nil {
		return nil, fmt.Errorf("scan journal %s: file %s: %w", s.j.system, a.Path, err)
	}
	return rows, nil
}

// unpack gives the rows in the order of their entries.
func (s *journalScanner) unpack(data []byte, r fileRange) ([]placedRow, error) {
	var rows []placedRow
	in := bytes.NewReader(data)
	fields := append(s.fields[:len(s.fields):len(s.fields)], placeFields()...)
	err := s.j.files.scan(in, in.Size(), fields, func(b *parquet.Batch) error {
		entries, places := b.Vectors[len(s.fields)], b.Vectors[len(s.fields)+1]
		i := -1
		return s.un.each(b, func(row *schemas.Row) error {
			i++
			p := placedRow{r.from, r.part<<partBits + int64(len(rows)), CloneRow(row)}
			if r.made {
				if entries.Null(i) || places.Null(i) {
					return fmt.Errorf("%w: a row does not say where it was written", ErrDamaged)
				}
				p.entry, p.place = entries.Int(i), places.Int(i)
			}
			if p.entry < r.from || p.entry > r.to {
				return fmt.Errorf("%w: a row is of entry %d, the file of %d to %d",
					ErrDamaged, p.entry, r.from, r.to)
			}
			rows = append(rows, p)
			return nil
		})
	})
	slices.SortFunc(rows, func(a, b placedRow) int { return a.compare(&b) })
	return rows, err
}

// loadedFile is a made file in memory; it is not changed.
type loadedFile struct {
	path   string
	fields []parquet.Field // what was read of the rows
	rows   []placedRow
}

// recentMade is how many made files stay in memory for scans of few entries, which come in rows:
// of records without values, with them, and of events.
const recentMade = 3

// load gives a made file's rows as the scan wants them.
func (s *journalScanner) load(ctx context.Context, kind string,
	f *coverFile) (*loadedFile, error) {
	if l := s.loaded[kind]; l != nil && l.path == f.add.Path {
		return l, nil
	}
	if l := s.recent(f.add.Path); l != nil {
		return l, nil
	}
	rows, err := s.placed(ctx, &f.add)
	if err != nil {
		return nil, err
	}
	l := &loadedFile{f.add.Path, s.fields, rows}
	if !s.short {
		s.loaded[kind] = l
		return l, nil
	}
	s.j.mu.Lock()
	defer s.j.mu.Unlock()
	s.j.made = append(s.j.made, l)
	if n := len(s.j.made) - recentMade; n > 0 {
		s.j.made = slices.Delete(s.j.made, 0, n)
	}
	return l, nil
}

func (s *journalScanner) recent(path string) *loadedFile {
	s.j.mu.Lock()
	defer s.j.mu.Unlock()
	for _, l := range s.j.made {
		if s.short && l.path == path && slices.Equal(l.fields, s.fields) {
			return l
		}
	}
	return nil
}

// made hands fn the entry's rows of a made file, from a place on.
func (s *journalScanner) made(ctx context.Context, kind string, f *coverFile, entry, place int64,
	fn func(*schemas.Row) error) error {
	l, err := s.load(ctx, kind, f)
	if err != nil {
		return err
	}
	at := placedRow{entry: entry, place: place}
	i := sort.Search(len(l.rows), func(i int) bool { return l.rows[i].compare(&at) >= 0 })
	for ; i < len(l.rows) && l.rows[i].entry == entry; i++ {
		r := l.rows[i].row
		if !s.want.takes(&r) {
			continue
		}
		if err := fn(&r); err != nil {
			return scanStopped{err}
		}
	}
	return nil
}

// kindsWanted in the order in which an entry names its files.
func (w *Want) kinds() []string {
	var ks []string
	if w.Raw {
		ks = append(ks, filesRaw)
	}
	if w.Events {
		ks = append(ks, filesEvents)
	}
	return ks
}

// entry hands fn the rows of one entry: from made files where it has them, else from its own.
func (s *journalScanner) entry(ctx context.Context, v int64, fn func(*schemas.Row) error) error {
	var c *delta.Commit
	for _, kind := range s.want.kinds() {
		if f := s.cover.find(kind, v); f != nil {
			if err := s.made(ctx, kind, f, v, 0, fn); !errors.Is(err, store.ErrNotFound) {
				if err != nil {
					return err
				}
				continue
			}
			if err := s.again(ctx); err != nil { // replaced and deleted since it was looked for
				return err
			}
			if f = s.cover.find(kind, v); f != nil {
				if err := s.made(ctx, kind, f, v, 0, fn); err != nil {
					return err
				}
				continue
			}
		}
		if c == nil {
			var err error
			if c, err = s.j.readEntry(ctx, v); err != nil {
				return err
			}
		}
		if err := s.own(ctx, kind, v, c, fn); err != nil {
			return err
		}
	}
	return nil
}

// own reads the entry's own files of a kind. One that is gone was replaced: its rows are elsewhere.
// Files that only move rows are passed over.
func (s *journalScanner) own(ctx context.Context, kind string, v int64, c *delta.Commit,
	fn func(*schemas.Row) error) error {
	for i := range c.Adds {
		a := &c.Adds[i]
		if made(a) || kindOf(a.Path) != kind {
			continue
		}
		err := s.file(ctx, a, fn)
		if !errors.Is(err, store.ErrNotFound) {
			if err != nil {
				return err
			}
			continue
		}
		if anew := s.again(ctx); anew != nil {
			return errors.Join(err, anew)
		}
		f := s.cover.find(kind, v)
		if f == nil {
			return err
		}
		r, _ := rangeOf(a) // the parts before it were read
		return s.made(ctx, kind, f, v, r.part<<partBits, fn)
	}
	return nil
}

func (s *journalScanner) again(ctx context.Context) (err error) {
	s.cover, err = s.j.cover(ctx, true)
	return err
}

// readEntry is one entry of this journal.
func (j *Journal) readEntry(ctx context.Context, v int64) (*delta.Commit, error) {
	c, _, err := j.log.Entry(ctx, v)
	if err == nil {
		_, err = readInfo(c.Info)
	}
	if err != nil {
		return nil, fmt.Errorf("scan journal %s: read entry %d: %w", j.system, v, err)
	}
	return c, nil
}

// contentSum is a SHA-256 over rows as the format stores them, in their order.
type contentSum struct {
	cols []journalColumn
	h    hash.Hash
	buf  []byte
}

func newContentSum() *contentSum { return &contentSum{cols: journalColumns(), h: sha256.New()} }

func (s *contentSum) add(r *schemas.Row) {
	s.buf = s.buf[:0]
	for i := range s.cols {
		c := &s.cols[i]
		switch {
		case c.text != nil:
			t := validText(c.text(r))
			s.buf = append(binary.AppendUvarint(s.buf, uint64(len(t))), t...)
		case c.num != nil:
			s.buf = binary.AppendVarint(s.buf, c.num(r))
		default:
			b := c.blob(r)
			n := uint64(len(b)) + 1
			if b == nil {
				n = 0
			}
			s.buf = append(binary.AppendUvarint(s.buf, n), b...)
		}
	}
	s.h.Write(s.buf)
}

func (s *contentSum) String() string { return hex.EncodeToString(s.h.Sum(nil)) }
