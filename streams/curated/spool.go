package curated

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// spool is the records that a consumer has read and not yet applied: a file without a name, as it
// holds personal data and is of no use to the next process, which reads the topic again.
type spool struct {
	dir   string
	file  *os.File
	out   *bufio.Writer
	size  int64
	count int64
	room  []byte
}

// spooled is a record of a spool.
type spooled struct {
	entity // value nil = the entity is gone
	number int64
	offset int64
}

func newSpool(dir string) *spool { return &spool{dir: dir} }

// add keeps a copy of the record.
func (s *spool) add(key string, value []byte, number, offset int64) error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, scratchPrefix+"*")
		if err != nil {
			return fmt.Errorf("keep record: %w", err)
		}
		_ = os.Remove(f.Name()) // where the system keeps the name, the next start removes it
		s.file, s.out = f, bufio.NewWriterSize(f, 1<<18)
	}
	b := binary.AppendVarint(s.room[:0], number)
	b = binary.AppendVarint(b, offset)
	b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	if value == nil {
		b = append(b, 0)
	} else {
		b = append(binary.AppendUvarint(b, uint64(len(value))+1), value...)
	}
	s.room = b
	s.size += int64(len(b))
	s.count++
	if _, err := s.out.Write(b); err != nil {
		return fmt.Errorf("keep record: %w", err)
	}
	return nil
}

// each hands fn every record, in the order in which they were added; a record holds for good.
func (s *spool) each(fn func(*spooled) error) error {
	if s.file == nil {
		return nil
	}
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("keep record: %w", err)
	}
	in := bufio.NewReaderSize(io.NewSectionReader(s.file, 0, s.size), 1<<18)
	for range s.count {
		e, err := readSpooled(in)
		if err != nil {
			return fmt.Errorf("read kept record: %w", err)
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

func readSpooled(in *bufio.Reader) (*spooled, error) {
	var e spooled
	var errs [4]error
	e.number, errs[0] = binary.ReadVarint(in)
	e.offset, errs[1] = binary.ReadVarint(in)
	n, err := binary.ReadUvarint(in)
	errs[2] = err
	if err := errors.Join(errs[:]...); err != nil || n > entityMost {
		return nil, errors.Join(ErrCopy, err)
	}
	key := make([]byte, n)
	_, errs[0] = io.ReadFull(in, key)
	n, errs[1] = binary.ReadUvarint(in)
	if err := errors.Join(errs[0], errs[1]); err != nil || n > entityMost {
		return nil, errors.Join(ErrCopy, err)
	}
	e.key, e.place = string(key), placeOf(string(key))
	if n == 0 {
		return &e, nil
	}
	e.value = make([]byte, n-1)
	_, err = io.ReadFull(in, e.value)
	return &e, err
}

// newest gives, of the keys whose place is in [from, to], the record that tells what the entity is
// by certificate number: of those not above it the one of the greatest number. Sorted.
func (s *spool) newest(from, to uint64, number int64) ([]*spooled, error) {
	best := map[string]*spooled{}
	err := s.each(func(e *spooled) error {
		if e.number > number || e.place < from || e.place > to {
			return nil
		}
		if old := best[e.key]; old == nil || e.number >= old.number {
			best[e.key] = e
		}
		return nil
	})
	all := make([]*spooled, 0, len(best))
	for _, e := range best {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *spooled) int { return a.compare(&b.entity) })
	return all, err
}

// after gives a spool of what is above a number, and the least offset in it, -1 where it is empty.
func (s *spool) after(number int64) (*spool, int64, error) {
	rest, least := newSpool(s.dir), int64(-1)
	err := s.each(func(e *spooled) error {
		if e.number <= number {
			return nil
		}
		if least < 0 || e.offset < least {
			least = e.offset
		}
		return rest.add(e.key, e.value, e.number, e.offset)
	})
	return rest, least, err
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // is of no use any more
		s.file = nil
	}
}

// merge writes what a copy is after the records up to a number. It keeps about budget bytes of
// records in memory, by going over the spool once for each part of the key's places.
func (s *spool) merge(base *Copy, w *copyWriter, number int64, budget int64) error {
	in, err := base.open()
	if err != nil {
		return err
	}
	defer in.close()
	old, err := in.next()
	if err != nil {
		return err
	}
	parts := uint64(s.size/budget) + 1
	step := ^uint64(0)/parts + 1 // 0 where there is one part
	for i := range parts {
		from, to := i*step, (i+1)*step-1
		if i == parts-1 {
			to = ^uint64(0)
		}
		all, err := s.newest(from, to, number)
		if err != nil {
			return err
		}
		for _, e := range all {
			for ; old != nil && old.compare(&e.entity) < 0 && err == nil; old, err = in.next() {
				w.put(old)
			}
			if err == nil && old != nil && old.key == e.key {
				old, err = in.next()
			}
			if err != nil {
				return err
			}
			if e.value != nil {
				w.put(&e.entity)
			}
		}
	}
	for ; old != nil && err == nil; old, err = in.next() {
		w.put(old)
	}
	return err
}
