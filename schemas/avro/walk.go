package avro

import (
	"encoding/binary"
	"unicode/utf8"
)

// Limits of one datum.
const (
	// MaxItems is how many items all arrays and maps of a datum may hold together.
	MaxItems = 100_000
	// MaxBytes is the greatest datum: the limit of a topic's records.
	MaxBytes = 16 << 20
)

// Fault says why bytes are not what the schema says. It holds no value of the data.
type Fault struct {
	Path   string // of the writer's schema, items by [*]
	Rule   string
	Budget bool // larger than a limit, else malformed
}

// Error is "path: rule".
func (f *Fault) Error() string {
	if f.Path == "" {
		return f.Rule
	}
	return f.Path + ": " + f.Rule
}

// walker steps over data by the nodes of a Scan. ok is false from the first fault on.
type walker struct {
	data  []byte
	pos   int
	items int
	dst   []Value
	fault Fault
}

// fail notes the rule that is broken; within adds where.
func (w *walker) fail(rule string) bool {
	w.fault.Rule = rule
	return false
}

// within puts a step before the fault's path on the way out; it costs nothing while all is well.
func (w *walker) within(step string, ok bool) bool {
	if !ok {
		switch {
		case w.fault.Path == "":
			w.fault.Path = step
		case w.fault.Path[0] == '[':
			w.fault.Path = step + w.fault.Path
		default:
			w.fault.Path = step + "." + w.fault.Path
		}
	}
	return ok
}

// long reads an int or long: zigzag, at most ten bytes. Most are one byte long.
func (w *walker) long() (int64, bool) {
	if w.pos < len(w.data) && w.data[w.pos] < 0x80 {
		b := w.data[w.pos]
		w.pos++
		return int64(b>>1) ^ -int64(b&1), true
	}
	v, n := binary.Varint(w.data[w.pos:])
	if n <= 0 {
		return 0, w.fail("ends within a number, or the number is longer than 64 bits")
	}
	w.pos += n
	return v, true
}

// take reads so many bytes, without a copy.
func (w *walker) take(n int) ([]byte, bool) {
	if n > len(w.data)-w.pos {
		return nil, w.fail("ends too early")
	}
	b := w.data[w.pos : w.pos+n : w.pos+n]
	w.pos += n
	return b, true
}

// node steps over one value and picks it where a path leads to it. Recursion is bounded: schemas
// are admitted without recursion and at most 16 deep.
func (w *walker) node(n *node) bool {
	switch n.kind {
	case Record:
		for i := range n.children {
			if !w.node(&n.children[i]) {
				return w.within(n.names[i], false)
			}
		}
		return true
	case String, Bytes:
		b, ok := w.text(n.kind == String)
		if ok && n.slot >= 0 {
			v := &w.dst[n.slot]
			v.Null, v.Bytes = false, b
		}
		return ok
	case Int, Long:
		i, ok := w.long()
		if ok && n.kind == Int && int64(int32(i)) != i {
			return w.fail("an int has 32 bits")
		}
		if ok && n.slot >= 0 {
			w.dst[n.slot] = Value{Int: i}
			n.convert(&w.dst[n.slot])
		}
		return ok
	case Union:
		i, ok := w.long()
		if !ok || uint64(i) >= uint64(len(n.children)) {
			return ok && w.fail("the union has no such branch")
		}
		return w.node(&n.children[i])
	case Array, Map:
		start := w.pos
		ok := w.within("[*]", w.blocks(n))
		if ok && n.slot >= 0 {
			w.dst[n.slot] = Value{Bytes: w.data[start:w.pos:w.pos]}
		}
		return ok
	case Null:
		return true
	}
	return w.rare(n)
}

// rare is the kinds that vendors seldom use.
func (w *walker) rare(n *node) bool {
	var v Value
	var ok bool
	switch n.kind {
	case Boolean:
		b, have := w.take(1)
		if have && b[0] > 1 {
			return w.fail("a boolean is 0 or 1")
		}
		if ok = have; ok {
			v.Int = int64(b[0])
		}
	case Enum:
		v.Int, ok = w.long()
		if ok && uint64(v.Int) >= uint64(len(n.symbols)) {
			return w.fail("the enum has no such symbol")
		}
		if ok {
			v.Bytes = n.symbols[v.Int]
		}
	default: // Float, Double, Fixed
		v.Bytes, ok = w.take(n.size)
	}
	if ok && n.slot >= 0 {
		n.convert(&v)
		w.dst[n.slot] = v
	}
	return ok
}

// text reads a length and so many bytes. The length is compared with what is left before anything
// is made.
func (w *walker) text(utf bool) ([]byte, bool) {
	n, ok := w.long()
	if !ok || uint64(n) > uint64(len(w.data)-w.pos) {
		return nil, ok && w.fail("a length claims more bytes than there are")
	}
	end := w.pos + int(n)
	b := w.data[w.pos:end:end]
	w.pos = end
	if utf && !utf8.Valid(b) {
		return nil, w.fail("text is not UTF-8")
	}
	return b, true
}

// blocks steps over the items of an array or a map.
func (w *walker) blocks(n *node) bool {
	for {
		count, end, ok := w.block()
		if !ok || count == 0 {
			return ok
		}
		for range count {
			if n.kind == Map {
				if _, ok := w.text(true); !ok {
					return false
				}
			}
			if !w.node(&n.children[0]) {
				return false
			}
		}
		if end >= 0 && w.pos != end {
			return w.fail("a block has another size than it says")
		}
	}
}

// block reads the head of a block of items: its count within the budget, and where it ends (-1: not
// told).
func (w *walker) block() (count int64, end int, ok bool) {
	end = -1
	if count, ok = w.long(); !ok {
		return 0, 0, false
	}
	if count < 0 {
		size, ok := w.long()
		if !ok || size < 0 || size > int64(len(w.data)-w.pos) {
			return 0, 0, ok && w.fail("a length claims more bytes than there are")
		}
		count, end = -count, w.pos+int(size)
	}
	if count < 0 || count > int64(MaxItems-w.items) { // the least int64 has no positive
		w.fault.Budget = true
		return 0, 0, w.fail("holds more items than the limit of 100000")
	}
	if count > int64(len(w.data)-w.pos) {
		return 0, 0, w.fail("claims more items than there are bytes")
	}
	w.items += int(count)
	return count, end, true
}
