package sinks

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// sortedRows sorts any number of rows by a key of bytes, within a budget of memory: what does not
// fit goes to files that have no name, so that nothing of them outlives the process. Adding is
// for one goroutine; after sort any number of cursors may read side by side.
type sortedRows struct {
	dir    string
	budget int
	chunks [][]byte // records, none in two chunks; of each the length is what is used
	filled int      // chunks with records
	spans  []span
	held   int // bytes of chunks
	runs   []*run
	few    *fewTexts
	seen   int64
}

// span is a record in a chunk, and its key. word is bytes of the key that order compares: most
// comparisons then stay in the spans.
type span struct {
	word                         uint64
	chunk, from, to, key, keyEnd int32
}

const (
	spanBytes  = 32
	chunkBytes = 1 << 20
)

// newSortedRows keeps about budget bytes in memory and puts the rest below dir.
func newSortedRows(
	dir string,
	budget int,
) *sortedRows {
	return &sortedRows{dir: dir, budget: budget, few: newFewTexts()}
}

// add takes a copy of the row.
func (s *sortedRows) add(key []byte, r *schemas.Row) error {
	s.seen++
	c := s.chunk(recordSize(key, r))
	from := len(*c)
	*c = appendRecord(*c, key, r, s.few)
	at := from + keyPlace((*c)[from:])
	s.spans = append(
		s.spans,
		span{0, int32(s.filled - 1), int32(from), int32(len(*c)), int32(at), int32(at + len(key))},
	)
	if s.held+len(s.spans)*spanBytes < s.budget {
		return nil
	}
	return s.spill()
}

// chunk gives one with room for a record of at most so many bytes.
func (s *sortedRows) chunk(bytes int) *[]byte {
	if n := s.filled; n > 0 && cap(s.chunks[n-1])-len(s.chunks[n-1]) >= bytes {
		return &s.chunks[n-1]
	}
	if s.filled < len(s.chunks) &&
		cap(s.chunks[s.filled]) < bytes { // one that was filled before a spill, too small
		s.held -= cap(s.chunks[s.filled])
		s.chunks[s.filled] = nil
	}
	if s.filled == len(s.chunks) {
		s.chunks = append(s.chunks, nil)
	}
	if s.chunks[s.filled] == nil {
		s.chunks[s.filled] = make([]byte, 0, max(bytes, min(chunkBytes, s.budget)))
		s.held += cap(s.chunks[s.filled])
	}
	s.filled++
	return &s.chunks[s.filled-1]
}

func (s *sortedRows) record(x span) []byte { return s.chunks[x.chunk][x.from:x.to] }

func (s *sortedRows) key(x span) []byte { return s.chunks[x.chunk][x.key:x.keyEnd] }

func (s *sortedRows) spill() error {
	s.order()
	r, err := writeRun(s.dir, func(yield func(record []byte) error) error {
		for _, x := range s.spans {
			if err := yield(s.record(x)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("spill sorted rows: %w", err)
	}
	s.runs = append(s.runs, r)
	for i := range s.chunks {
		s.chunks[i] = s.chunks[i][:0]
	}
	s.spans, s.filled = s.spans[:0], 0
	return nil
}

// order keeps equal keys in the order in which they were added.
func (s *sortedRows) order() { s.orderFrom(s.spans, 0) }

const (
	wordBytes = 8
	orderFew  = 24 // so few are compared key by key
)

// orderFrom orders spans whose keys agree in the first bytes, word by word: by the word behind what
// all have in common, then each run of equal words by what lies behind it.
func (s *sortedRows) orderFrom(spans []span, agree int) {
	depth, ends := s.common(spans, agree)
	if ends || len(spans) <= orderFew {
		slices.SortFunc(spans, s.compare)
		return
	}
	for i := range spans {
		spans[i].word = wordAt(s.key(spans[i]), depth)
	}
	slices.SortFunc(spans, func(a, b span) int {
		if a.word != b.word {
			return cmp.Compare(a.word, b.word)
		}
		return compareAdded(a, b)
	})
	for from := 0; from < len(spans); {
		to := from + 1
		for to < len(spans) && spans[to].word == spans[from].word {
			to++
		}
		if to > from+1 {
			s.orderFrom(spans[from:to], depth+wordBytes)
		}
		from = to
	}
}

// common is how many bytes all keys have in common, at least agree; ends: one key has no more.
func (s *sortedRows) common(spans []span, agree int) (n int, ends bool) {
	if len(spans) <= orderFew {
		return agree, false
	}
	first := s.key(spans[0])
	n = len(first)
	shortest := n
	for _, x := range spans {
		k := s.key(x)
		if shortest = min(shortest, len(k)); shortest <= agree {
			return agree, true
		}
		if n = min(n, len(k)); !bytes.Equal(first[agree:n], k[agree:n]) {
			for n = agree; first[n] == k[n]; n++ {
			}
		}
	}
	return n, shortest <= n
}

// wordAt is the key from a byte on, as a number that compares as the bytes do; what the key lacks
// is zero.
func wordAt(key []byte, from int) uint64 {
	if len(key) >= from+wordBytes {
		return binary.BigEndian.Uint64(key[from:])
	}
	var w [wordBytes]byte
	copy(w[:], key[from:])
	return binary.BigEndian.Uint64(w[:])
}

func (s *sortedRows) compare(a, b span) int {
	if c := bytes.Compare(s.key(a), s.key(b)); c != 0 {
		return c
	}
	return compareAdded(a, b)
}

func compareAdded(a, b span) int {
	return cmp.Or(cmp.Compare(a.chunk, b.chunk), cmp.Compare(a.from, b.from))
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
	s.runs, s.chunks, s.spans = nil, nil, nil
	return err
}

// slice reads the rows whose key begins with prefix.
func (s *sortedRows) slice(prefix []byte) *rowCursor {
	c := &rowCursor{prefix: prefix, few: s.few}
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
		return bytes.Compare(m.rows.key(x), k)
	})
	return nil
}

func (m *memoryReader) next() ([]byte, error) {
	if m.at >= len(m.rows.spans) {
		return nil, nil
	}
	x := m.rows.spans[m.at]
	m.at++
	return m.rows.record(x), nil
}

// rowCursor merges sources. Its current row is heads[0]; it ends with prefix.
type rowCursor struct {
	prefix []byte
	heads  []head // a heap
	err    error
	few    *fewTexts
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
func (c *rowCursor) row() (schemas.Row, error) {
	return decodeRecord(c.heads[0].record, c.few)
}

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
	return cmp.Or(
		bytes.Compare(c.heads[i].key, c.heads[j].key),
		cmp.Compare(c.heads[i].rank, c.heads[j].rank),
	) < 0
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
