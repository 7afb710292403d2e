package sinks

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// sortedRows sorts any number of rows by a key of bytes, within a budget of memory: what does not fit goes to
// files that have no name, so that nothing of them outlives the process. Adding is for one goroutine; after sort
// any number of cursors may read side by side.
type sortedRows struct {
	dir    string
	budget int
	arena  []byte
	spans  []span
	runs   []*run
	seen   int64
}

// span is a record in the arena, and its key.
type span struct{ from, to, key, keyEnd int }

// newSortedRows keeps about budget bytes in memory and puts the rest below dir.
func newSortedRows(dir string, budget int) *sortedRows { return &sortedRows{dir: dir, budget: budget} }

// add takes a copy of the row.
func (s *sortedRows) add(key []byte, r *schemas.Row) error {
	s.seen++
	from := len(s.arena)
	s.arena = appendRecord(s.arena, key, r)
	k := len(recordKey(s.arena[from:]))
	at := from + keyPlace(s.arena[from:])
	s.spans = append(s.spans, span{from, len(s.arena), at, at + k})
	if len(s.arena)+len(s.spans)*spanBytes < s.budget {
		return nil
	}
	return s.spill()
}

func (s *sortedRows) spill() error {
	s.order()
	r, err := writeRun(s.dir, func(yield func(record []byte) error) error {
		for _, x := range s.spans {
			if err := yield(s.arena[x.from:x.to]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("spill sorted rows: %w", err)
	}
	s.runs = append(s.runs, r)
	s.arena, s.spans = s.arena[:0], s.spans[:0]
	return nil
}

const spanBytes = 32

// order keeps equal keys in the order in which they were added.
func (s *sortedRows) order() {
	slices.SortFunc(s.spans, func(a, b span) int {
		return cmp.Or(bytes.Compare(s.arena[a.key:a.keyEnd], s.arena[b.key:b.keyEnd]), cmp.Compare(a.from, b.from))
	})
}

// sort ends the adding. Many runs become few, so that a cursor needs few buffers.
func (s *sortedRows) sort() error {
	s.order()
	for len(s.runs) > runsMax {
		merged, err := s.mergeRuns(s.runs[:runsMax])
		if err != nil {
			return fmt.Errorf("merge sorted rows: %w", err)
		}
		for _, r := range s.runs[:runsMax] {
			if err := r.close(); err != nil {
				return err
			}
		}
		s.runs = append([]*run{merged}, s.runs[runsMax:]...)
	}
	return nil
}

// runsMax is how many runs a cursor reads at a time.
const runsMax = 32

func (s *sortedRows) mergeRuns(runs []*run) (*run, error) {
	c := &rowCursor{}
	for _, r := range runs {
		c.open(&runReader{run: r}, nil)
	}
	return writeRun(s.dir, func(yield func(record []byte) error) error {
		for ; len(c.heads) > 0; c.advance() {
			if err := yield(c.heads[0].record); err != nil {
				return err
			}
		}
		return c.err
	})
}

// close frees memory and files.
func (s *sortedRows) close() error {
	var err error
	for _, r := range s.runs {
		err = cmp.Or(err, r.close())
	}
	s.runs, s.arena, s.spans = nil, nil, nil
	return err
}

// slice reads the rows whose key begins with prefix.
func (s *sortedRows) slice(prefix []byte) *rowCursor {
	c := &rowCursor{prefix: prefix}
	for _, r := range s.runs {
		c.open(&runReader{run: r}, prefix)
	}
	if len(s.spans) > 0 {
		c.open(&memoryReader{rows: s}, prefix)
	}
	c.stop()
	return c
}

// source yields records in order of key.
type source interface {
	// seek goes to the first record whose key is not less.
	seek(key []byte) error
	// next gives a record that holds until the next call; nil at the end.
	next() ([]byte, error)
}

type memoryReader struct {
	rows *sortedRows
	at   int
}

func (m *memoryReader) seek(key []byte) error {
	m.at, _ = slices.BinarySearchFunc(m.rows.spans, key, func(x span, k []byte) int {
		return bytes.Compare(m.rows.arena[x.key:x.keyEnd], k)
	})
	return nil
}

func (m *memoryReader) next() ([]byte, error) {
	if m.at >= len(m.rows.spans) {
		return nil, nil
	}
	x := m.rows.spans[m.at]
	m.at++
	return m.rows.arena[x.from:x.to], nil
}

// rowCursor merges sources. Its current row is heads[0]; it ends with prefix.
type rowCursor struct {
	prefix  []byte
	heads   []head // a heap
	err     error
	strings internTable
}

type head struct {
	record, key []byte
	source      source
	rank        int // of the source, for a fixed order of equal keys
}

func (c *rowCursor) open(src source, from []byte) {
	h := head{source: src, rank: len(c.heads)}
	if err := src.seek(from); err != nil {
		c.err = cmp.Or(c.err, err)
	}
	c.fill(&h)
	if h.record != nil {
		c.heads = append(c.heads, h)
		c.up(len(c.heads) - 1)
	}
}

func (c *rowCursor) fill(h *head) {
	var err error
	if h.record, err = h.source.next(); err != nil {
		c.err, h.record = cmp.Or(c.err, err), nil
	}
	if h.record != nil {
		h.key = recordKey(h.record)
	}
}

// stop ends the cursor where the prefix ends.
func (c *rowCursor) stop() {
	if len(c.heads) > 0 && !bytes.HasPrefix(c.heads[0].key, c.prefix) || c.err != nil {
		c.heads = nil
	}
}

// done says that there is no current row; err tells whether that is the end.
func (c *rowCursor) done() bool { return len(c.heads) == 0 }

// key is the current row's, without the prefix; it holds until advance.
func (c *rowCursor) key() []byte { return c.heads[0].key[len(c.prefix):] }

// row is the current row, for good.
func (c *rowCursor) row() (schemas.Row, error) { return decodeRecord(c.heads[0].record, &c.strings) }

func (c *rowCursor) advance() {
	c.fill(&c.heads[0])
	if last := len(c.heads) - 1; c.heads[0].record == nil {
		c.heads[0] = c.heads[last]
		c.heads = c.heads[:last]
	}
	c.down(0)
	c.stop()
}

func (c *rowCursor) less(i, j int) bool {
	return cmp.Or(bytes.Compare(c.heads[i].key, c.heads[j].key), cmp.Compare(c.heads[i].rank, c.heads[j].rank)) < 0
}

func (c *rowCursor) up(i int) {
	for p := (i - 1) / 2; i > 0 && c.less(i, p); i, p = p, (p-1)/2 {
		c.heads[i], c.heads[p] = c.heads[p], c.heads[i]
	}
}

func (c *rowCursor) down(i int) {
	for {
		k := 2*i + 1
		if k+1 < len(c.heads) && c.less(k+1, k) {
			k++
		}
		if k >= len(c.heads) || !c.less(k, i) {
			return
		}
		c.heads[i], c.heads[k] = c.heads[k], c.heads[i]
		i = k
	}
}
