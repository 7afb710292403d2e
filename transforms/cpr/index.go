package cpr

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
)

// recordKind is what framing must know of a record.
type recordKind uint8

const (
	fact    recordKind = iota // of a person
	control                   // 910, 997: a unit of its own
	edge                      // 000, 999
)

// kindOf reads the record type, the first three bytes.
func kindOf(b []byte) recordKind {
	switch string(b[:3]) {
	case "000", "999":
		return edge
	case "910", "997":
		return control
	}
	return fact
}

// straggler is a run of one person's records that stands apart from an earlier one.
type straggler struct {
	key     uint64
	offset  int64
	records int32
	taken   bool // of a person's first one: their unit was yielded
}

// pack makes a number of ten digits or letters into 52 bits, 0 where it is none.
func pack(pnr string) uint64 {
	var n uint64
	for i := range len(pnr) {
		switch c := pnr[i]; {
		case c >= '0' && c <= '9':
			n = n*36 + uint64(c-'0')
		case c >= 'A' && c <= 'Z':
			n = n*36 + uint64(c-'A') + 10
		default:
			return 0
		}
	}
	return n + 1
}

// index is the first pass: controls, count, stragglers.
func (f *File) index(o Options) error {
	x := indexer{file: f, excerpt: o.Excerpt, seen: newSeen(f.size)}
	if err := x.scan(); err != nil {
		return err
	}
	return x.end()
}

// indexer is the state of the first pass.
type indexer struct {
	file    *File
	excerpt bool
	seen    seen
	last    uint64 // key of the run that the last record belongs to; 0 = none
	far     bool   // that run is a straggler
	count   int64  // of the end record
	ended   bool
	records int64 // all of them
}

// scan reads every record once and sorts what stands apart.
func (x *indexer) scan() error {
	f := x.file
	r := newReader(f.in, f.size, f.form)
	for {
		b, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = x.record(b, r)
		}
		if err != nil {
			return err
		}
	}
	x.records = r.nr
	slices.SortFunc(f.stragglers, func(a, b straggler) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.offset, b.offset))
	})
	return nil
}

// record checks one record and notes it where it stands apart from its person.
func (x *indexer) record(b []byte, r *reader) error {
	if x.ended {
		return at(r.nr, "feed each file by itself", "a record stands after the end record 999")
	}
	if err := checkType(b, r); err != nil {
		return err
	}
	switch kindOf(b) {
	case edge:
		x.last = 0
		return x.edge(b, r)
	case control:
		x.last = 0
		x.file.Records++
		return nil
	}
	x.file.Records++
	key := pack(string(b[3:headerLen]))
	if key == 0 {
		return at(r.nr, "fetch the file again, or correct the record",
			"positions 4 to 13 hold no personal number of ten digits")
	}
	if key == x.last {
		if x.far {
			x.file.stragglers[len(x.file.stragglers)-1].records++
		}
		return nil
	}
	x.last = key
	x.far = x.seen.add(key)
	if !x.far {
		return nil
	}
	if len(x.file.stragglers) == StragglersMax {
		return at(r.nr, "sort the file by personal number",
			"more than %d runs of records stand apart from their person", StragglersMax)
	}
	x.file.stragglers = append(x.file.stragglers, straggler{key: key, offset: r.start, records: 1})
	return nil
}

// checkType refuses what is no CPR record at all.
func checkType(b []byte, r *reader) error {
	for _, c := range b[:3] {
		if c < '0' || c > '9' {
			return at(r.nr, "fetch the file again, or feed it with its own layout and encoding",
				"positions 1 to 3 hold no record type of three digits")
		}
	}
	return nil
}

// edge reads 000 and 999. The start record was read before.
func (x *indexer) edge(b []byte, r *reader) error {
	if string(b[:3]) == "000" {
		if r.nr != 1 {
			return at(r.nr, "feed each file by itself", "the start record 000 is not the first")
		}
		return nil
	}
	x.ended = true
	text := newLine(string(b), r.encoding)
	n, err := strconv.ParseInt(strings.TrimSpace(text.get(tableA.field("999", "TAELLER"))), 10, 64)
	if err != nil && !x.excerpt {
		return at(r.nr, "fetch the file again", "TAELLER of the end record is no number")
	}
	x.count = n
	return nil
}

// end checks the file's own controls.
func (x *indexer) end() error {
	f := x.file
	switch {
	case x.excerpt:
		return nil
	case f.Header == nil && !x.ended:
		return nil // a file without control records: it proves nothing
	case !x.ended:
		return at(x.records, "fetch the file again; feed an excerpt with --excerpt",
			"the file has no end record 999 and is cut off")
	case f.Header == nil:
		return at(1, "fetch the file again; feed an excerpt with --excerpt",
			"the file has an end record 999 but no start record 000")
	case x.count != f.Records:
		return at(x.records, "fetch the file again; feed an excerpt with --excerpt",
			"the end record counts %d records, the file has %d", x.count, f.Records)
	}
	f.Proven = true
	return nil
}

// seen is a set of fixed size that may say yes wrongly: a person's first run is then kept as a
// straggler, which costs memory and changes no unit.
type seen struct {
	bits []uint64
}

func newSeen(size int64) seen {
	n := 1 << 10
	for int64(n)*8 < size/64 && n < 4<<20 {
		n *= 2
	}
	return seen{bits: make([]uint64, n)}
}

// add says whether the key was (perhaps) there, and puts it there.
func (s seen) add(key uint64) bool {
	there := true
	h := key * 0x9e3779b97f4a7c15
	h ^= h >> 29
	step := h*0xbf58476d1ce4e5b9 | 1
	for range 4 {
		h += step
		i := h % uint64(len(s.bits)*64)
		if s.bits[i/64]&(1<<(i%64)) == 0 {
			there = false
			s.bits[i/64] |= 1 << (i % 64)
		}
	}
	return there
}

// groups are the stragglers by person, in order of offset; each group is taken once.
type groups []straggler

// of is the person's stragglers.
func (g groups) of(key uint64) groups {
	i, found := slices.BinarySearchFunc(g, key, func(s straggler, k uint64) int {
		return cmp.Compare(s.key, k)
	})
	j := i
	for found && j < len(g) && g[j].key == key {
		j++
	}
	return g[i:j]
}

// taken says whether the person's unit was yielded; never for one without stragglers.
func (g groups) taken(key uint64) bool {
	found := g.of(key)
	return len(found) > 0 && found[0].taken
}

// take is of, and notes that the unit is yielded.
func (g groups) take(key uint64) groups {
	found := g.of(key)
	if len(found) > 0 {
		found[0].taken = true
	}
	return found
}

// reset lets the units be read again.
func (g groups) reset() {
	for i := range g {
		g[i].taken = false
	}
}
