package sinks

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// AccountsFormat is the format of a snapshot of accounts. It is raised with each field that is
// added, and with each change of what Accounts count: a snapshot of another format is not used.
const AccountsFormat = 1

// snapshotField writes and reads one part of Accounts (docs/decisions/0012-regnskab.md). Fields
// stand in the order of snapshotFields, each behind its tag.
type snapshotField struct {
	tag uint64
	put func(*Accounts, *snapshotWriter)
	get func(*Accounts, *snapshotReader)
}

func snapshotFields() []snapshotField {
	return []snapshotField{
		{1, putNewest, getNewest},
		{2, putCounts, getCounts},
		{3, putIDs, getIDs},
		{4, putParked, getParked},
	}
}

// snapshotEnd is the tag behind the last field.
const snapshotEnd = 0

var (
	errSnapshot       = errors.New("it is damaged")
	errSnapshotFormat = errors.New("it is of another format")
)

// encode writes the accounts' fields: the same bytes for the same rows.
func (a *Accounts) encode(out io.Writer) error {
	a.Forget()
	w := &snapshotWriter{out: bufio.NewWriterSize(out, snapshotBuffer)}
	for _, f := range snapshotFields() {
		w.uint(f.tag)
		f.put(a, w)
	}
	w.uint(snapshotEnd)
	return w.out.Flush()
}

const snapshotBuffer = 1 << 18

// decodeAccounts reads what encode wrote; size bounds what is made room for.
func decodeAccounts(in io.Reader, size int64) (*Accounts, error) {
	a := NewAccounts()
	r := &snapshotReader{in: bufio.NewReaderSize(in, snapshotBuffer), size: uint64(size)}
	for _, f := range snapshotFields() {
		if r.uint() != f.tag {
			r.fail()
		}
		if r.err == nil {
			f.get(a, r)
		}
	}
	if r.uint() != snapshotEnd {
		r.fail()
	}
	if _, err := r.in.ReadByte(); err != io.EOF {
		r.fail()
	}
	return a, r.err
}

// snapshotWriter writes to a buffer, which keeps the first error for its Flush.
type snapshotWriter struct {
	out *bufio.Writer
	buf [2 * binary.MaxVarintLen64]byte
}

func (w *snapshotWriter) uint(x uint64) {
	_, _ = w.out.Write(binary.AppendUvarint(w.buf[:0], x))
}

func (w *snapshotWriter) int(x int64) {
	_, _ = w.out.Write(binary.AppendVarint(w.buf[:0], x))
}

func (w *snapshotWriter) text(s string) {
	w.uint(uint64(len(s)))
	_, _ = w.out.WriteString(s)
}

// id is an event id with what is held of it: 16 bytes.
func (w *snapshotWriter) id(e idEntry) {
	b := binary.LittleEndian.AppendUint64(w.buf[:0], e.id)
	_, _ = w.out.Write(binary.LittleEndian.AppendUint64(b, uint64(e.info)))
}

// snapshotReader gives zeros after the first error.
type snapshotReader struct {
	in   *bufio.Reader
	size uint64
	err  error
	buf  [idBytes]byte
}

const idBytes = 16

func (r *snapshotReader) fail() {
	if r.err == nil {
		r.err = errSnapshot
	}
}

func (r *snapshotReader) uint() uint64 {
	x, err := binary.ReadUvarint(r.in)
	if err != nil {
		r.fail()
	}
	if r.err != nil {
		return 0
	}
	return x
}

func (r *snapshotReader) int() int64 {
	x, err := binary.ReadVarint(r.in)
	if err != nil {
		r.fail()
	}
	if r.err != nil {
		return 0
	}
	return x
}

// length is the number of things that follow, of so many bytes at least each.
func (r *snapshotReader) length(each uint64) int {
	n := r.uint()
	if n > r.size/each {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *snapshotReader) text() string {
	b := make([]byte, r.length(1))
	if _, err := io.ReadFull(r.in, b); err != nil {
		r.fail()
	}
	return string(b)
}

func (r *snapshotReader) id() idEntry {
	if _, err := io.ReadFull(r.in, r.buf[:]); err != nil {
		r.fail()
	}
	return idEntry{binary.LittleEndian.Uint64(r.buf[:]),
		idInfo(binary.LittleEndian.Uint64(r.buf[8:]))}
}

func (r *snapshotReader) day() schemas.Day { return schemas.Day(r.int()) }

func (r *snapshotReader) kommune() schemas.Kommunekode { return schemas.Kommunekode(r.text()) }

func putNewest(a *Accounts, w *snapshotWriter) { w.int(int64(a.newest)) }

func getNewest(a *Accounts, r *snapshotReader) { a.newest = r.day() }

func putCounts(a *Accounts, w *snapshotWriter) {
	w.uint(uint64(len(a.accounts)))
	for _, k := range slices.SortedFunc(maps.Keys(a.accounts), compareAccountKeys) {
		w.text(string(k.kommune))
		w.int(int64(k.day))
		a.accounts[k].put(w)
	}
}

func getCounts(a *Accounts, r *snapshotReader) {
	for range r.length(1) {
		if r.err != nil {
			return
		}
		k := accountKey{kommune: r.kommune(), day: r.day()}
		a.accounts[k] = getAccount(r)
	}
}

// numbers are the counts, in the order in which a snapshot has them.
func (a *Account) numbers() []*int64 {
	return []*int64{&a.Accepted, &a.Ignored, &a.Parked, &a.Duplicates, &a.Conflicts, &a.Heartbeat}
}

func (a *Account) put(w *snapshotWriter) {
	for _, n := range a.numbers() {
		w.int(*n)
	}
	w.uint(uint64(len(a.Seals)))
	for _, f := range slices.Sorted(maps.Keys(a.Seals)) {
		s := a.Seals[f]
		w.text(f)
		w.int(s.Count)
		w.int(int64(boolInt(s.Excerpt)))
		w.int(int64(s.order.Stated))
		w.int(s.order.Sequence)
		w.int(int64(s.order.Ordinal))
		w.text(string(s.order.Stream))
		w.int(s.order.Offset)
	}
	w.uint(uint64(len(a.Files)))
	for _, f := range slices.Sorted(maps.Keys(a.Files)) {
		w.text(f)
		w.int(a.Files[f])
	}
}

func getAccount(r *snapshotReader) *Account {
	a := &Account{Seals: map[string]Seal{}, Files: map[string]int64{}}
	for _, n := range a.numbers() {
		*n = r.int()
	}
	for n := r.length(1); n > 0 && r.err == nil; n-- {
		s := Seal{File: r.text(), Count: r.int(), Excerpt: r.int() != 0}
		s.order.Stated, s.order.Sequence = schemas.Instant(r.int()), r.int()
		s.order.Ordinal = int32(min(r.int(), math.MaxInt32))
		s.order.Stream, s.order.Offset = schemas.Stream(r.text()), r.int()
		a.Seals[s.File] = s
	}
	for n := r.length(1); n > 0 && r.err == nil; n-- {
		f := r.text()
		a.Files[f] = r.int()
	}
	return a
}

// putIDs follows a Forget, which leaves all ids in the sorted parts.
func putIDs(a *Accounts, w *snapshotWriter) {
	w.uint(uint64(len(a.ids)))
	for _, k := range slices.Sorted(maps.Keys(a.ids)) {
		w.text(string(k))
		w.uint(uint64(len(a.ids[k].sorted)))
		for _, e := range a.ids[k].sorted {
			w.id(e)
		}
	}
}

func getIDs(a *Accounts, r *snapshotReader) {
	for range r.length(1) {
		set := a.idsOf(r.kommune())
		set.sorted = make([]idEntry, r.length(idBytes))
		for i := range set.sorted {
			set.sorted[i] = r.id()
			if r.err != nil || i > 0 && set.sorted[i].id <= set.sorted[i-1].id {
				r.fail()
				return
			}
		}
	}
}

func putParked(a *Accounts, w *snapshotWriter) {
	w.uint(uint64(len(a.parked)))
	for _, id := range slices.Sorted(maps.Keys(a.parked)) {
		w.uint(id)
		w.text(string(a.parked[id]))
	}
}

func getParked(a *Accounts, r *snapshotReader) {
	for range r.length(1) {
		id, k := r.uint(), r.kommune()
		if r.err != nil || a.ids[k] == nil {
			r.fail()
			return
		}
		a.parked[id] = k
	}
}
