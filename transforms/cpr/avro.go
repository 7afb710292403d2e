package cpr

import (
	"encoding/binary"
	"errors"

	"github.com/flis-dk/flis/schemas"
)

// unit is a record of schemas/systems/flis/enhed.avsc.
type unit struct {
	layout   Layout
	encoding Encoding
	produced string // yyyy-mm-dd; "" = not known
	content  []byte // of the record's own bytes
}

var errShort = errors.New("bytes end inside the record")

// readUnit reads Avro of enhed.avsc. Claimed lengths cost nothing: they are checked against what
// is there.
func readUnit(b []byte) (unit, error) {
	r := avroReader{b: b}
	r.bytes() // fil
	r.long()  // nr
	u := unit{layout: Layout(r.bytes()), encoding: Encoding(r.bytes())}
	if r.long() == 1 {
		u.produced = string(r.bytes())
	}
	r.take(1) // udsnit
	u.content = r.bytes()
	if r.err == nil && len(r.b) > 0 {
		r.err = errors.New("bytes after the end of the record")
	}
	return u, r.err
}

// avroReader takes values off the front; after an error every value is empty.
type avroReader struct {
	b   []byte
	err error
}

func (r *avroReader) long() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.err = errShort
		r.b = nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *avroReader) bytes() []byte { return r.take(r.long()) }

func (r *avroReader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.b)) {
		r.err = errShort
		r.b = nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// avroWriter appends Avro binary.
type avroWriter []byte

func (w *avroWriter) long(n int64) { *w = binary.AppendVarint(*w, n) }

// text writes a string or bytes.
func (w *avroWriter) text(s string) {
	w.long(int64(len(s)))
	*w = append(*w, s...)
}

func (w *avroWriter) boolean(v bool) {
	if v {
		*w = append(*w, 1)
		return
	}
	*w = append(*w, 0)
}

func (w *avroWriter) day(d schemas.Day) { w.long(int64(d)) }

// textOrNull writes a union of null and string; empty is null.
func (w *avroWriter) textOrNull(s string) {
	if s == "" {
		w.long(0)
		return
	}
	w.long(1)
	w.text(s)
}

// dayOrNull writes a union of null and date; Always and Open are null.
func (w *avroWriter) dayOrNull(d schemas.Day) {
	if d == schemas.Always || d == schemas.Open {
		w.long(0)
		return
	}
	w.long(1)
	w.day(d)
}

// stamp is a moment that may not be known.
type stamp struct {
	at    schemas.Instant
	known bool
}

// millis writes a union of null and timestamp-millis.
func (w *avroWriter) millis(s stamp) {
	if !s.known {
		w.long(0)
		return
	}
	w.long(1)
	w.long(int64(s.at) / 1000)
}

// array writes n items as one block.
func (w *avroWriter) array(n int, item func(i int)) {
	if n > 0 {
		w.long(int64(n))
		for i := range n {
			item(i)
		}
	}
	w.long(0)
}
