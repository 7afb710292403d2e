package curated

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// A copy is one file: a line that names the format; the entities as length and key, length and
// value, in order of the key's FNV-1a and the key; the state as JSON, which holds the CRC-32C of
// the entities; the state's length in 8 bytes and the CRC-32C of state and length in 4, big-endian.
// It is replaced whole: entities and progress are always of one moment.

const (
	copyName   = "kopi.flis"
	copyFirst  = "flis-kopi 1\n"
	tailBytes  = 8 + crc32.Size
	stateMost  = 1 << 20
	entityMost = 64 << 20
	// scratchPrefix begins the names of files that an earlier process may have left.
	scratchPrefix = "flis-kladde-"
)

// State is what a copy holds and how far it has read.
type State struct {
	Format    int         `json:"format"`
	Topic     string      `json:"emne"`
	Number    int64       `json:"bevis"` // the certificate that the copy equals; 0 = no copy yet
	Hash      string      `json:"bevis_sha256"`
	Leverance string      `json:"leverance"`
	Next      int64       `json:"naeste"` // offset to read from
	Parts     []StatePart `json:"datasaet"`
	Body      uint32      `json:"crc32c"` // of the entities as they are written
}

// StatePart is one dataset of a copy.
type StatePart struct {
	Dataset schemas.DatasetName `json:"navn"`
	Count   int64               `json:"antal"`
	Sum     string              `json:"aftryk"`
}

// Copy is a copy on disk as it was when it was opened. Safe for concurrent use.
type Copy struct {
	State
	dir  string
	body int64 // bytes before the state
}

// ErrCopy: the file is no copy, or was changed. Removing it makes the consumer begin anew.
var ErrCopy = errors.New("the copy is damaged: remove it, it is made anew")

// OpenCopy reads the state of the copy in a folder; a folder without one is a copy of nothing.
func OpenCopy(dir string) (*Copy, error) {
	c := &Copy{dir: dir}
	f, err := os.Open(filepath.Join(dir, copyName))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open copy: %w", err)
	}
	defer f.Close()
	if err := c.readState(f); err != nil {
		return nil, fmt.Errorf("open copy in %s: %w", dir, err)
	}
	return c, nil
}

func (c *Copy) readState(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	first := make([]byte, len(copyFirst))
	var last [tailBytes]byte
	if _, err := f.ReadAt(first, 0); err != nil || string(first) != copyFirst {
		return ErrCopy
	}
	if _, err := f.ReadAt(last[:], info.Size()-tailBytes); err != nil {
		return ErrCopy
	}
	n := binary.BigEndian.Uint64(last[:])
	if n > stateMost || int64(n) > info.Size()-tailBytes-int64(len(copyFirst)) {
		return ErrCopy
	}
	b := make([]byte, n)
	c.body = info.Size() - tailBytes - int64(n)
	if _, err := f.ReadAt(b, c.body); err != nil || !bytes.Equal(last[:], tailOf(b)) {
		return ErrCopy
	}
	if err := json.Unmarshal(b, &c.State); err != nil {
		return ErrCopy
	}
	if c.Format != Format {
		return fmt.Errorf("format %d, this program knows %d: use a newer build", c.Format, Format)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// tailOf is the end of a copy with this state.
func tailOf(state []byte) []byte {
	tail := binary.BigEndian.AppendUint64(nil, uint64(len(state)))
	sum := crc32.Update(crc32.Checksum(state, castagnoli), castagnoli, tail)
	return binary.BigEndian.AppendUint32(tail, sum)
}

// Entities hands fn every entity of the copy, in the file's order; the value is in registry framing
// and holds until fn returns.
func (c *Copy) Entities(fn func(key string, value []byte) error) error {
	in, err := c.open()
	if err != nil {
		return err
	}
	defer in.close()
	for {
		e, err := in.next()
		if err != nil || e == nil {
			return err
		}
		if err := fn(e.key, e.value); err != nil {
			return err
		}
	}
}

// Equal says whether the copy is what a set of entities is, as the digests of a marker tell it.
func (c *Copy) Equal(m *Marker) bool {
	d := digests{}
	for _, p := range c.Parts {
		sum, err := hex.DecodeString(p.Sum)
		if err != nil || len(sum) != len(Digest{}.Sum) {
			return false
		}
		d[p.Dataset] = &Digest{Count: p.Count, Sum: [32]byte(sum)}
	}
	return d.equal(m)
}

// entity is one of a copy.
type entity struct {
	place uint64 // FNV-1a of the key
	key   string
	value []byte
}

func placeOf(key string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, key) // never fails
	return h.Sum64()
}

func (e *entity) compare(o *entity) int {
	return cmp.Or(cmp.Compare(e.place, o.place), strings.Compare(e.key, o.key))
}

// copyReader reads the entities of a copy.
type copyReader struct {
	file *os.File // nil = the copy is empty
	in   *bufio.Reader
	sum  hash.Hash32 // of what in has read
	want uint32
	last entity
}

func (c *Copy) open() (*copyReader, error) {
	if c.Number == 0 {
		return &copyReader{}, nil
	}
	f, err := os.Open(filepath.Join(c.dir, copyName))
	if err != nil {
		return nil, fmt.Errorf("read copy: %w", err)
	}
	from := int64(len(copyFirst))
	section := io.NewSectionReader(f, from, c.body-from)
	sum := crc32.New(castagnoli)
	in := bufio.NewReaderSize(io.TeeReader(section, sum), 1<<18)
	return &copyReader{file: f, in: in, sum: sum, want: c.Body}, nil
}

func (r *copyReader) close() {
	if r.file != nil {
		_ = r.file.Close() // was only read
	}
}

// next gives the next entity, which holds until the one after it; nil at the end, where it is known
// that all were as they were written.
func (r *copyReader) next() (*entity, error) {
	if r.file == nil {
		return nil, nil
	}
	n, err := binary.ReadUvarint(r.in)
	if errors.Is(err, io.EOF) {
		if r.sum.Sum32() != r.want {
			return nil, ErrCopy
		}
		return nil, nil
	}
	key, err := r.bytes(n, err)
	if err != nil {
		return nil, err
	}
	e := entity{key: string(key), place: placeOf(string(key))}
	n, err = binary.ReadUvarint(r.in)
	if e.value, err = r.bytes(n, err); err != nil {
		return nil, err
	}
	if r.last.key != "" && r.last.compare(&e) >= 0 {
		return nil, ErrCopy
	}
	r.last = e
	return &r.last, nil
}

func (r *copyReader) bytes(n uint64, err error) ([]byte, error) {
	if err != nil || n > entityMost {
		return nil, ErrCopy
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.in, b); err != nil {
		return nil, ErrCopy
	}
	return b, nil
}

// copyWriter writes a copy beside the one that stands.
type copyWriter struct {
	file *os.File
	out  *bufio.Writer
	sums digests
	body hash.Hash32
	room []byte
}

func newCopyWriter(dir string) (*copyWriter, error) {
	f, err := os.CreateTemp(dir, scratchPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("write copy: %w", err)
	}
	w := &copyWriter{file: f, out: bufio.NewWriterSize(f, 1<<18), sums: digests{},
		body: crc32.New(castagnoli)}
	_, _ = w.out.WriteString(copyFirst) // Flush tells
	return w, nil
}

func (w *copyWriter) put(e *entity) {
	d, _ := datasetOf(e.key)
	w.sums.of(d).add(e.key, e.value[min(frameBytes, len(e.value)):], 1)
	w.room = append(binary.AppendUvarint(w.room[:0], uint64(len(e.key))), e.key...)
	w.room = append(binary.AppendUvarint(w.room, uint64(len(e.value))), e.value...)
	_, _ = w.body.Write(w.room) // never fails
	_, _ = w.out.Write(w.room)  // Flush tells
}

// drop forgets what was written.
func (w *copyWriter) drop() {
	_ = w.file.Close()
	_ = os.Remove(w.file.Name()) // else the next start does
}

// commit puts the copy in the place of the one before: durable before it is seen.
func (w *copyWriter) commit(dir string, s State, sync bool) (*Copy, error) {
	s.Format, s.Parts, s.Body = Format, nil, w.body.Sum32()
	for d, sum := range w.sums {
		s.Parts = append(s.Parts, StatePart{d, sum.Count, hex.EncodeToString(sum.Sum[:])})
	}
	slices.SortFunc(s.Parts, func(a, b StatePart) int {
		return strings.Compare(string(a.Dataset), string(b.Dataset))
	})
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	_, _ = w.out.Write(append(bytes.Clone(b), tailOf(b)...))
	err = w.out.Flush()
	if err == nil && sync {
		err = w.file.Sync()
	}
	info, infoErr := w.file.Stat()
	if err = errors.Join(err, infoErr, w.file.Close()); err == nil {
		err = os.Rename(w.file.Name(), filepath.Join(dir, copyName))
	}
	if err == nil && sync {
		err = syncFolder(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write copy: %w", err), removed(w.file.Name()))
	}
	return &Copy{State: s, dir: dir, body: info.Size() - tailBytes - int64(len(b))}, nil
}

func removed(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
