package sinks

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/flis-dk/flis/schemas"
)

// Suspects remembers, over the death of the process, which records were being judged: a record
// that kills the process twice while it is judged alone is to be parked (POISON). A process that
// died over a chunk judges it again record by record; that costs time only, so that a death with
// another cause does no harm.
//
//	from, to, ok, err := sus.Range(stream) // ok: judge [from, to) one by one,
//	                                       // Alone before each and Survived after it
//	err = sus.Chunk(stream, from, to)      // before any other chunk is judged
//
// A note is one small write to a local file without fsync: it costs microseconds and outlives the
// process, not the machine, and no record kills a machine. The folder belongs to one process at a
// time and must be there when the process starts anew; without it nothing is parked as poison,
// and nothing else is lost. Safe for concurrent use.
type Suspects struct {
	dir string

	mu   sync.Mutex
	open map[schemas.Stream]*suspect
}

// suspect is the note on one stream.
type suspect struct {
	f       *os.File
	at      note
	foreign bool // at is of a process that died
}

// note is what a file holds: the chunk [From, To), the record in it that is being judged alone,
// and how often a process died over records of it that it judged alone.
type note struct {
	From   int64         `json:"from"`
	To     int64         `json:"to"`
	Alone  int64         `json:"alone"` // -1 = none
	Deaths map[int64]int `json:"deaths,omitempty"`
}

// PoisonDeaths is the number of deaths over one record, judged alone, after which it is parked.
const PoisonDeaths = 2

// OpenSuspects makes the folder if need be.
func OpenSuspects(dir string) (*Suspects, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open suspects: %w", err)
	}
	return &Suspects{dir: dir, open: map[schemas.Stream]*suspect{}}, nil
}

// Range is the chunk that a process died over; ok is false where none did. Once the stream's
// progress is past to, it says nothing.
func (s *Suspects) Range(stream schemas.Stream) (from, to int64, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.of(stream)
	if err != nil {
		return 0, 0, false, err
	}
	return x.at.From, x.at.To, x.foreign && x.at.To > x.at.From, nil
}

// Chunk notes that the records of [from, to) are about to be judged.
func (s *Suspects) Chunk(stream schemas.Stream, from, to int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.of(stream)
	if err != nil {
		return err
	}
	x.foreign = false
	return x.write(note{From: from, To: to, Alone: -1})
}

// Alone notes that the record is about to be judged by itself, and gives how often a process died
// over it. At PoisonDeaths it notes nothing: the caller parks the record unread.
func (s *Suspects) Alone(stream schemas.Stream, offset int64) (deaths int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.of(stream)
	if err != nil {
		return 0, err
	}
	n := x.at
	n.Alone = offset
	if n.Deaths[offset] >= PoisonDeaths {
		n.Alone = -1 // what dies now has another cause
	}
	return n.Deaths[offset], x.write(n)
}

// Survived notes that the record judged alone did not end the process: a death from now on, before
// the chunk is in the journal, is not its doing.
func (s *Suspects) Survived(stream schemas.Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.of(stream)
	if err != nil {
		return err
	}
	n := x.at
	n.Alone = -1
	return x.write(n)
}

// Clear notes that nothing is being judged: after a clean stop, or when the chunk is in the
// journal.
func (s *Suspects) Clear(stream schemas.Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.of(stream)
	if err != nil {
		return err
	}
	x.foreign = false
	return x.write(note{Alone: -1})
}

// Close gives the files back; what is noted stays.
func (s *Suspects) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, x := range s.open {
		errs = append(errs, x.f.Close())
	}
	clear(s.open)
	return errors.Join(errs...)
}

// of opens the stream's file, whose name is a hash: a stream's own has slashes.
func (s *Suspects) of(stream schemas.Stream) (*suspect, error) {
	if x, ok := s.open[stream]; ok {
		return x, nil
	}
	name := filepath.Join(s.dir, hashOf([]byte(stream))[:hashPart])
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open suspects of %s: %w", stream, pathless(err))
	}
	x := &suspect{f: f}
	if x.at, x.foreign, err = readNote(f); err == nil {
		err = x.write(x.at) // the death is counted once
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open suspects of %s: %w", stream, pathless(err)), f.Close())
	}
	s.open[stream] = x
	return x, nil
}

// pathless is the cause of a file error; the stream says which file.
func pathless(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// crcBytes is the checksum in hex that leads a note; the note ends with its line.
const crcBytes = 8

// write replaces the note. A shorter one leaves the end of a longer one behind its line, unread.
func (x *suspect) write(n note) error {
	b, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("note suspects: %w", err)
	}
	line := fmt.Appendf(nil, "%08x%s\n", crc32.ChecksumIEEE(b), b)
	if _, err := x.f.WriteAt(line, 0); err != nil {
		return fmt.Errorf("note suspects: %w", pathless(err))
	}
	x.at = n
	return nil
}

// readNote takes a note that is torn as none. A record that was alone when the process died has
// one death more.
func readNote(f io.Reader) (note, bool, error) {
	none := note{Alone: -1}
	line, err := bufio.NewReader(f).ReadBytes('\n')
	if errors.Is(err, io.EOF) || err == nil && len(line) <= crcBytes {
		return none, false, nil
	}
	if err != nil {
		return none, false, err
	}
	body := line[crcBytes : len(line)-1]
	var n note
	sum := fmt.Sprintf("%08x", crc32.ChecksumIEEE(body))
	if string(line[:crcBytes]) != sum || json.Unmarshal(body, &n) != nil {
		return none, false, nil
	}
	if n.Alone >= 0 {
		if n.Deaths == nil {
			n.Deaths = map[int64]int{}
		}
		n.Deaths[n.Alone]++
		n.Alone = -1
	}
	return n, true, nil
}
