package kafka

import (
	"errors"

	"github.com/flis-dk/flis/schemas"
)

// Header is one header of a record.
type Header struct {
	Name  string
	Value []byte // nil = null
}

// Record is one record of a log, or a mark that stands for what could not be handed out whole.
// Key, Value and Headers are valid until the next Poll of the Fetcher that gave them.
type Record struct {
	Offset  int64
	Time    schemas.Instant // append time where the topic has LogAppendTime, else the producer's
	Key     []byte          // nil = null
	Value   []byte          // nil = null
	Headers []Header
	Size    int // bytes, decoded

	// Oversized: larger than a limit once decoded; there is no key and no value. To be parked
	// BUDGET.
	Oversized bool
	// Malformed: the batch's sum is right but these are no records; Value is the batch's content as
	// it came, compressed or not. To be parked DECODE.
	Malformed bool
	// Span is the number of offsets that the record stands for: 1, but for marks of a whole rest of
	// a batch.
	Span int64
}

// headersMax bounds the headers of a record: each costs more memory than its two bytes on the wire.
const headersMax = 10_000

// overhead and headerOverhead are the memory that a record and a header take beside their bytes.
const (
	overhead       = 160
	headerOverhead = 40
)

// scan reads the records of one batch, one by one.
type scan struct {
	batch
	in    payload
	index int32 // of the next record
	least int64 // offset that the next record has at least
	ended bool
}

// openScan prepares the records of b. The scan before it is no longer valid.
func openScan(b batch, c *codecs) *scan {
	s := &scan{batch: b, least: b.base}
	src, err := c.open(b.attrs&attrCodec, b.payload)
	if src == nil {
		s.in = payload{rest: b.payload, err: err}
		return s
	}
	if c.window == nil {
		c.window = make([]byte, windowSize)
	}
	s.in = payload{src: src, window: c.window, left: decodedMax, err: err}
	return s
}

// next gives the next record or mark; false at the end.
func (s *scan) next(a *arena, limit int) (Record, bool) {
	if s.ended {
		return Record{}, false
	}
	if s.index == 0 && (s.count < 0 || s.in.src == nil && s.in.err != nil) {
		return s.rest(), true
	}
	if s.index == s.count {
		s.ended = true
		if s.count == 0 && !s.in.ended() {
			return s.rest(), true
		}
		return Record{}, false
	}
	n, ok := s.in.varint()
	if !ok || n < 0 {
		return s.rest(), true
	}
	r, ok := s.record(n, a, limit)
	if !ok {
		return s.rest(), true
	}
	s.index++
	if s.index == s.count && !s.in.ended() {
		return s.rest(), true
	}
	s.least = r.Offset + 1
	return r, true
}

// rest marks all that is left of the batch: no record can be told from another in it.
func (s *scan) rest() Record {
	s.ended = true
	r := Record{Offset: s.least, Span: s.last - s.least + 1, Time: s.at(0), Size: len(s.payload)}
	if r.Oversized = errors.Is(s.in.err, errTooLarge); !r.Oversized {
		r.Malformed, r.Value = true, s.payload
	}
	return r
}

// record reads a record of n bytes.
func (s *scan) record(n int64, a *arena, limit int) (Record, bool) {
	if n > int64(limit) {
		return s.oversized(n)
	}
	b, ok := s.in.next(int(n), a)
	if !ok {
		return Record{}, false
	}
	p := payload{rest: b}
	r, ok := s.prefix(&p)
	if !ok {
		return r, false
	}
	r.Size = int(n)
	if r.Key, ok = p.field(); !ok {
		return r, false
	}
	if r.Value, ok = p.field(); !ok {
		return r, false
	}
	count, ok := p.varint()
	if !ok || count < 0 || count > int64(len(p.rest)) {
		return r, false
	}
	if count > headersMax {
		return Record{Offset: r.Offset, Time: r.Time, Size: r.Size, Span: 1, Oversized: true}, true
	}
	r.Headers, ok = p.headers(int(count), a)
	return r, ok && len(p.rest) == 0
}

// prefix reads what comes before the key: attributes, time and offset.
func (s *scan) prefix(p *payload) (Record, bool) {
	if len(p.rest) < 1 {
		return Record{}, false
	}
	p.rest = p.rest[1:]
	ms, ok := p.varint()
	if !ok {
		return Record{}, false
	}
	delta, ok := p.varint()
	// Each of the records to come needs an offset of its own.
	if !ok || delta < s.least-s.base || delta > s.last-s.base-int64(s.count-1-s.index) {
		return Record{}, false
	}
	return Record{Offset: s.base + delta, Time: s.at(ms), Span: 1}, true
}

// oversized passes over a record of n bytes without holding it.
func (s *scan) oversized(n int64) (Record, bool) {
	const prefixMax = 32
	s.in.fill(int(min(n, prefixMax)))
	p := payload{rest: s.in.rest[:min(int64(len(s.in.rest)), n)]}
	r, ok := s.prefix(&p)
	if !ok || !s.in.skip(n) {
		return Record{}, false
	}
	r.Oversized, r.Size = true, int(n)
	return r, true
}

// field reads a length and as many bytes; nil for length -1.
func (p *payload) field() ([]byte, bool) {
	n, ok := p.varint()
	if !ok || n < -1 || n > int64(len(p.rest)) {
		return nil, false
	}
	if n < 0 {
		return nil, true
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b, true
}

func (p *payload) headers(count int, a *arena) ([]Header, bool) {
	if count == 0 {
		return nil, true
	}
	from := len(a.headers)
	for i := range count {
		name, ok := p.field()
		if !ok || name == nil {
			return nil, false
		}
		value, ok := p.field()
		if !ok {
			return nil, false
		}
		a.headers = append(a.headers, Header{Name: a.name(i, name), Value: value})
	}
	a.last = a.headers[from:len(a.headers):len(a.headers)]
	return a.last, true
}
