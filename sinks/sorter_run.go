package sinks

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// scratch is a file of our own that holds personal data for as long as it is open. Only the
// process can read it, and where the system allows it the file has no name from the start.
type scratch struct {
	*os.File
	name string // "" = has none any more
}

// scratchPattern names files that an earlier process may have left where they could not lose
// their name at once.
const scratchPattern = "flis-scratch-*"

func newScratch(dir string) (*scratch, error) {
	f, err := os.CreateTemp(dir, scratchPattern) // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make scratch file: %w", err)
	}
	s := &scratch{File: f, name: f.Name()}
	if removed(s.name) == nil {
		s.name = ""
	}
	return s, nil
}

// removed takes a file's name away; that another process was faster is as good.
func removed(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *scratch) Close() error {
	err := s.File.Close()
	if s.name != "" {
		err = errors.Join(err, removed(s.name))
	}
	return err
}

// run is sorted records in a scratch file, with the key and place of one record in each block.
type run struct {
	file   *scratch
	size   int64
	blocks []block
}

type block struct {
	key []byte
	at  int64
}

const blockBytes = 64 << 10

func writeRun(dir string, records func(yield func([]byte) error) error) (_ *run, err error) {
	f, err := newScratch(dir)
	if err != nil {
		return nil, err
	}
	r := &run{file: f}
	w := bufio.NewWriterSize(f, blockBytes)
	err = records(func(record []byte) error {
		if len(r.blocks) == 0 || r.size-r.blocks[len(r.blocks)-1].at >= blockBytes {
			r.blocks = append(r.blocks, block{bytes.Clone(recordKey(record)), r.size})
		}
		r.size += int64(len(record))
		_, err := w.Write(record)
		return err
	})
	if err = errors.Join(err, w.Flush()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

func (r *run) close() error { return r.file.Close() }

// runReader reads one run; readers of one run are independent.
type runReader struct {
	run    *run
	in     *bufio.Reader
	record []byte
	again  bool // next gives the record once more
}

func (r *runReader) seek(key []byte) error {
	i, _ := slices.BinarySearchFunc(
		r.run.blocks,
		key,
		func(b block, k []byte) int { return bytes.Compare(b.key, k) },
	)
	at := int64(0)
	if i > 0 {
		// records of the key may end the block before, even where this one begins with it
		at = r.run.blocks[i-1].at
	}
	r.in = bufio.NewReaderSize(io.NewSectionReader(r.run.file, at, r.run.size-at), blockBytes)
	for {
		record, err := r.next()
		if err != nil || record == nil {
			return err
		}
		if bytes.Compare(recordKey(record), key) >= 0 {
			r.again = true
			return nil
		}
	}
}

func (r *runReader) next() ([]byte, error) {
	if r.again {
		r.again = false
		return r.record, nil
	}
	var head [lengthBytes]byte
	if _, err := io.ReadFull(r.in, head[:]); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read sorted rows: %w", err)
	}
	n := int(binary.LittleEndian.Uint32(head[:]))
	if int64(n) > r.run.size {
		return nil, errRecord
	}
	r.record = append(slices.Grow(r.record[:0], lengthBytes+n), head[:]...)[:lengthBytes+n]
	if _, err := io.ReadFull(r.in, r.record[lengthBytes:]); err != nil {
		return nil, fmt.Errorf("read sorted rows: %w", err)
	}
	return r.record, nil
}
