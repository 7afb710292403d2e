package sinks

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// A record is: length of what follows, length of the key, the key, the row's fields. Lengths and
// numbers are varints, texts have their length before them; texts of few values are numbers of a
// fewTexts. It lives as long as a sort and has no format number.

// Keys compare as bytes. A text ends with 00 01, and a 00 in it is 00 FF, so that texts compare
// as Go compares them.
func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	for i := range len(s) {
		if s[i] == 0 {
			return appendNulls(b, s)
		}
	}
	return append(append(b, s...), 0, 1)
}

func appendNulls[T ~string | ~[]byte](b []byte, s T) []byte {
	for i := range len(s) {
		if b = append(b, s[i]); s[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return append(b, 0, 1)
}

func appendNumber[T ~int32 | ~int64](b []byte, n T) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(n)^1<<63)
}

const lengthBytes = 4

// fewTexts numbers texts that have few values in all rows of a sort.
type fewTexts struct {
	all  []string
	at   map[string]uint32
	last [fewFields]uint32 // by field: mostly that of the row before
}

func newFewTexts() *fewTexts { return &fewTexts{at: map[string]uint32{}} }

func (t *fewTexts) number(field int, s string) uint32 {
	if n := t.last[field]; int(n) < len(t.all) && t.all[n] == s {
		return n
	}
	n, ok := t.at[s]
	if !ok {
		n = uint32(len(t.all))
		s = strings.Clone(s)
		t.all = append(t.all, s)
		t.at[s] = n
	}
	t.last[field] = n
	return n
}

// recordSize is what a record may take at most.
func recordSize(key []byte, r *schemas.Row) int {
	n := lengthBytes + 1 + len(key) + len(r.Payload) + recordFields*binary.MaxVarintLen64
	for _, s := range recordTexts(r) {
		n += len(*s)
	}
	return n
}

func appendRecord(b, key []byte, r *schemas.Row, few *fewTexts) []byte {
	at := len(b)
	b = append(b, make([]byte, lengthBytes)...)
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	for i, s := range recordFew(r) {
		b = binary.AppendUvarint(b, uint64(few.number(i, *s)))
	}
	for _, s := range recordTexts(r) {
		b = binary.AppendUvarint(b, uint64(len(*s)))
		b = append(b, *s...)
	}
	for _, n := range recordNumbers(r) {
		b = binary.AppendVarint(b, n)
	}
	b = append(b, flags(r))
	b = append(b, r.Payload...)
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-lengthBytes))
	return b
}

const (
	flagBackground = 1 << iota
	flagPayload
)

func flags(r *schemas.Row) (f byte) {
	if r.Background {
		f |= flagBackground
	}
	if r.Payload != nil {
		f |= flagPayload
	}
	return f
}

const (
	fewFields    = 6
	recordFields = 24 // few, texts, numbers, and the length of the key
)

// recordFew are the fields that have few values; the id of a snapshot is not among them.
func recordFew(r *schemas.Row) [fewFields]*string {
	return [...]*string{(*string)(&r.Stream), (*string)(&r.System), (*string)(&r.Op),
		(*string)(&r.Kommune), (*string)(&r.Dataset), (*string)(&r.Absent)}
}

func recordTexts(r *schemas.Row) [4]*string {
	return [...]*string{&r.EventID, &r.Key, &r.Scope, &r.Snapshot}
}

func recordNumbers(r *schemas.Row) [11]int64 {
	return [...]int64{
		r.Offset,
		int64(r.Ordinal),
		int64(r.Generation),
		int64(r.Leverance),
		int64(r.From),
		int64(r.To),
		int64(r.Registered),
		int64(r.Stated),
		r.Sequence,
		r.Count,
		r.Digest,
	}
}

func recordKey(record []byte) []byte {
	n, used := binary.Uvarint(record[lengthBytes:])
	return record[lengthBytes+used : lengthBytes+used+int(n)]
}

// keyPlace is where the key of a record begins.
func keyPlace(record []byte) int {
	_, used := binary.Uvarint(record[lengthBytes:])
	return lengthBytes + used
}

var errRecord = errors.New("read sorted rows: a record is damaged")

// decodeRecord copies everything out of the record.
func decodeRecord(record []byte, few *fewTexts) (r schemas.Row, err error) {
	key := recordKey(record)
	rest := record[keyPlace(record)+len(key):]
	for _, s := range recordFew(&r) {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n >= uint64(len(few.all)) {
			return r, errRecord
		}
		*s, rest = few.all[n], rest[used:]
	}
	for _, s := range recordTexts(&r) {
		l, used := binary.Uvarint(rest)
		if used <= 0 || uint64(len(rest)-used) < l {
			return r, errRecord
		}
		*s, rest = string(rest[used:used+int(l)]), rest[used+int(l):]
	}
	var x [11]int64
	for i := range x {
		n, used := binary.Varint(rest)
		if used <= 0 {
			return r, errRecord
		}
		x[i], rest = n, rest[used:]
	}
	if len(rest) == 0 {
		return r, errRecord
	}
	r.Offset, r.Ordinal, r.Generation = x[0], int32(x[1]), int32(x[2])
	r.Leverance = schemas.Day(x[3])
	r.From, r.To, r.Registered = schemas.Day(x[4]), schemas.Day(x[5]), schemas.Instant(x[6])
	r.Stated, r.Sequence, r.Count, r.Digest = schemas.Instant(x[7]), x[8], x[9], x[10]
	r.Background = rest[0]&flagBackground != 0
	if rest[0]&flagPayload != 0 {
		r.Payload = append([]byte{}, rest[1:]...)
	}
	return r, nil
}
