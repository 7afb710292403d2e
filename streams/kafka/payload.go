package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	// windowSize is how much is decompressed at a time.
	windowSize = 64 << 10
	// decodedMax bounds what one batch may decode to, and with it the time it may take.
	decodedMax = 1 << 30
	// slabSize is the unit in which an arena grows.
	slabSize = 1 << 20
)

// payload reads the records of one batch: from memory, or through a decompressor as far as left
// allows.
type payload struct {
	rest   []byte // read from the source and not yet consumed
	src    io.Reader
	window []byte
	left   int64
	err    error // of src; io.EOF at its end
}

// fill makes n bytes available where the source has them. n is at most windowSize.
func (p *payload) fill(n int) bool {
	if len(p.rest) >= n {
		return true
	}
	if p.src == nil || p.err != nil {
		return false
	}
	p.rest = p.window[:copy(p.window, p.rest)]
	for len(p.rest) < n && p.err == nil {
		k := p.read(p.window[len(p.rest):])
		p.rest = p.window[:len(p.rest)+k]
	}
	return len(p.rest) >= n
}

// read decompresses. A panic of a decompressor on hostile bytes is an error of the bytes.
func (p *payload) read(b []byte) (n int) {
	defer func() {
		if r := recover(); r != nil {
			n, p.err = 0, fmt.Errorf("decompress: %v", r)
		}
	}()
	if p.left <= 0 {
		p.err = errTooLarge
		return 0
	}
	n, p.err = p.src.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n
}

// varint reads a signed integer as the record format writes it.
func (p *payload) varint() (int64, bool) {
	if len(p.rest) > 0 && p.rest[0] < 0x80 { // nearly all are one byte
		v := int64(p.rest[0]>>1) ^ -int64(p.rest[0]&1)
		p.rest = p.rest[1:]
		return v, true
	}
	p.fill(binary.MaxVarintLen64)
	v, n := binary.Varint(p.rest)
	if n <= 0 {
		return 0, false
	}
	p.rest = p.rest[n:]
	return v, true
}

// next gives n bytes in one piece: of memory as they lie, else copied to the arena.
func (p *payload) next(n int, a *arena) ([]byte, bool) {
	if n <= len(p.rest) && p.src == nil {
		b := p.rest[:n:n]
		p.rest = p.rest[n:]
		return b, true
	}
	if p.src == nil {
		return nil, false
	}
	if int64(n) > p.left+int64(len(p.rest)) {
		p.err = errTooLarge
		return nil, false
	}
	b := a.alloc(n)
	for got := 0; ; {
		k := copy(b[got:], p.rest)
		p.rest, got = p.rest[k:], got+k
		if got == n {
			return b, true
		}
		if !p.fill(1) {
			return nil, false
		}
	}
}

// skip passes over n bytes.
func (p *payload) skip(n int64) bool {
	for n > int64(len(p.rest)) {
		n -= int64(len(p.rest))
		if p.rest = nil; !p.fill(1) {
			return false
		}
	}
	p.rest = p.rest[n:]
	return true
}

// ended says whether all has been consumed and the source ends there.
func (p *payload) ended() bool {
	return !p.fill(1) && (p.src == nil || p.err == io.EOF)
}

// arena hands out memory that is taken back all at once.
type arena struct {
	slabs   [][]byte
	free    []byte
	used    int // slabs in use
	headers []Header
	last    []Header // of the record before: the next one has the same names, as a rule
	names   map[string]string
}

func (a *arena) reset() {
	a.used, a.free, a.headers, a.last = 0, nil, a.headers[:0], nil
}

func (a *arena) alloc(n int) []byte {
	if n > slabSize/4 {
		return make([]byte, n)
	}
	if n > len(a.free) {
		if a.used == len(a.slabs) {
			a.slabs = append(a.slabs, make([]byte, slabSize))
		}
		a.free = a.slabs[a.used]
		a.used++
	}
	b := a.free[:n:n]
	a.free = a.free[n:]
	return b
}

// namesMax and nameMax bound the table of header names, which are few and come again and again.
const (
	namesMax = 1024
	nameMax  = 64
)

// name gives the string of the i-th header's name, one copy of each.
func (a *arena) name(i int, b []byte) string {
	if i < len(a.last) && a.last[i].Name == string(b) {
		return a.last[i].Name
	}
	if s, ok := a.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(s) <= nameMax && len(a.names) < namesMax {
		if a.names == nil {
			a.names = map[string]string{}
		}
		a.names[s] = s
	}
	return s
}
