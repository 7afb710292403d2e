package curated

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// Names of the headers of a record.
const (
	HeaderNumber   = "flis_bevis"
	HeaderSequence = "flis_loebenr"
)

// MarkerKey is the key of every marker. No entity has it: their keys have a slash.
const MarkerKey = "flis.bevis"

// Format is the number that markers carry.
const Format = 1

// frameBytes is the registry framing before a value's Avro: a zero and the schema's id.
const frameBytes = 5

// MunicipalityKey is the key of one municipality, made of the deployment's. Its subscribers may
// have it: it hides the entity keys of that municipality and of no other.
func MunicipalityKey(deployment []byte, k schemas.Kommunekode) []byte {
	mac := hmac.New(sha256.New, deployment)
	mac.Write([]byte("flis.kurateret/" + string(k)))
	return mac.Sum(nil)
}

// keyID names a municipality's key without telling it.
func keyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("flis.kurateret.noegle/"), key...))
	return hex.EncodeToString(sum[:8])
}

// EntityKey is the record key of an entity: "<dataset>/<first 16 bytes of HMAC-SHA-256, hex>". An
// entity has the same second part in each dataset that has the same key columns.
func EntityKey(key []byte, d schemas.DatasetName, entity string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(entity))
	return string(d) + "/" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// datasetOf is the first part of an entity's record key; not ok for the key of anything else.
func datasetOf(key string) (schemas.DatasetName, bool) {
	d, _, ok := strings.Cut(key, "/")
	return schemas.DatasetName(d), ok
}

// Split takes an entity's record apart: its dataset, and its value without the framing. Not ok for
// what is no entity of ours.
func Split(key string, value []byte) (d schemas.DatasetName, avro []byte, ok bool) {
	d, ok = datasetOf(key)
	if !ok || len(value) < frameBytes || value[0] != 0 {
		return "", nil, false
	}
	return d, value[frameBytes:], true
}

// Headers are the values of the two headers.
func (r *Record) Headers() (number, sequence []byte) {
	return strconv.AppendInt(nil, r.Number, 10), strconv.AppendInt(nil, r.Sequence, 10)
}

// SetHeader takes one header in; those of other names are passed over, and a number that is none
// leaves the record one that is not ours.
func (r *Record) SetHeader(name string, value []byte) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 0 {
		return
	}
	switch name {
	case HeaderNumber:
		r.Number = n
	case HeaderSequence:
		r.Sequence = n
	}
}

// frame puts the registry's framing before Avro.
func frame(id uint32, avro []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 1, frameBytes+len(avro)), id)
	return append(b, avro...)
}

// Digest fixes a set of entities, whatever their order: how many, and the exclusive or of the
// SHA-256 over key and Avro of each.
type Digest struct {
	Count int64
	Sum   [sha256.Size]byte
}

// add takes an entity in; count -1 takes it out again.
func (d *Digest) add(key string, avro []byte, count int64) {
	h := sha256.New()
	h.Write([]byte(key))
	h.Write([]byte{0})
	h.Write(avro)
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	for i := range sum {
		d.Sum[i] ^= sum[i]
	}
	d.Count += count
}

// Part is one dataset of a marker.
type Part struct {
	Dataset schemas.DatasetName
	Schema  string // fingerprint of the values' schema, 16 hex digits
	Digest
}

// Marker says that everything of certificate Number stands before it in the log.
type Marker struct {
	Unit        schemas.Unit
	Number      int64
	Certificate Certificate
	// Proven: no record of a greater number stands before this offset, and the last record of each
	// key that has none from here on is the entity as certificate Number has it.
	Proven int64
	KeyID  string // names the key of the HMACs
	Parts  []Part // in order of dataset; those without entities are there too
}

// Avro is the marker by schemas/systems/flis/markoer.avsc, without framing.
func (m *Marker) Avro() []byte {
	b := binary.AppendVarint(nil, Format)
	b = appendText(b, string(m.Unit.Kommune))
	b = appendText(b, string(m.Unit.Area))
	b = binary.AppendVarint(b, m.Number)
	b = appendText(b, m.Certificate.Hash)
	b = appendText(b, m.Certificate.Leverance)
	b = binary.AppendVarint(b, m.Proven)
	b = appendText(b, m.KeyID)
	if len(m.Parts) > 0 {
		b = binary.AppendVarint(b, int64(len(m.Parts)))
	}
	for _, p := range m.Parts {
		b = appendText(b, string(p.Dataset))
		b = appendText(b, p.Schema)
		b = binary.AppendVarint(b, p.Count)
		b = appendText(b, hex.EncodeToString(p.Sum[:]))
	}
	return append(b, 0)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

// errFormat: the marker is of a later format, which this program cannot go by.
var errFormat = errors.New("the topic's marker has a format that this program does not know; " +
	"use a newer build")

var errMarker = errors.New("no marker")

// partsMax bounds what a damaged marker may claim (invariant 11).
const partsMax = 1000

// ParseMarker reads the value of a marker.
func ParseMarker(value []byte) (*Marker, error) {
	if len(value) < frameBytes || value[0] != 0 {
		return nil, errMarker
	}
	r := &reader{b: value[frameBytes:]}
	if f := r.long(); f != Format {
		if r.bad || f < Format {
			return nil, errMarker
		}
		return nil, errFormat
	}
	m := &Marker{
		Unit:        schemas.Unit{Kommune: schemas.Kommunekode(r.text()), Area: schemas.Area(r.text())},
		Number:      r.long(),
		Certificate: Certificate{Hash: r.text(), Leverance: r.text()},
		Proven:      r.long(),
		KeyID:       r.text(),
	}
	for n := r.long(); n > 0 && n <= partsMax && !r.bad; n = r.long() {
		for range n {
			m.Parts = append(m.Parts, r.part())
		}
	}
	if r.bad || len(r.b) > 0 || m.Number < 1 || m.Proven < 0 {
		return nil, errMarker
	}
	return m, nil
}

// reader takes Avro apart; after a fault it gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) long() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.long()
	if n < 0 || n > int64(len(r.b)) {
		r.b, r.bad = nil, true
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) part() Part {
	p := Part{Dataset: schemas.DatasetName(r.text()), Schema: r.text(),
		Digest: Digest{Count: r.long()}}
	sum, err := hex.DecodeString(r.text())
	if err != nil || len(sum) != len(p.Sum) {
		r.bad = true
	}
	copy(p.Sum[:], sum)
	return p
}

// markerOf reads a record that has the marker's key. nil without an error is one that is no
// marker, or not of the number that its headers tell.
func markerOf(r *Record) (*Marker, error) {
	m, err := ParseMarker(r.Value)
	switch {
	case errors.Is(err, errFormat):
		return nil, fmt.Errorf("read the topic at offset %d: %w", r.Offset, err)
	case err != nil || m.Number != r.Number:
		return nil, nil
	}
	return m, nil
}

// digests are those of a marker by dataset.
type digests map[schemas.DatasetName]*Digest

func (d digests) of(name schemas.DatasetName) *Digest {
	if d[name] == nil {
		d[name] = &Digest{}
	}
	return d[name]
}

// equal compares what a copy holds with what a marker says; a dataset without entities counts as
// one that is not there.
func (d digests) equal(m *Marker) bool {
	there := 0
	for _, p := range m.Parts {
		if p.Count == 0 {
			continue
		}
		if got := d[p.Dataset]; got == nil || *got != p.Digest {
			return false
		}
		there++
	}
	for _, got := range d {
		if got.Count != 0 {
			there--
		}
	}
	return there == 0
}

// digests copies those of the marker.
func (m *Marker) digests() digests {
	d := digests{}
	for _, p := range m.Parts {
		*d.of(p.Dataset) = p.Digest
	}
	return d
}

// newestFirst is how many offsets at the end of a log are looked at first for a marker.
const newestFirst = 1000

// newestMarker gives the marker of the greatest number near the end of the log, nil where the log
// has none. Compaction keeps the last marker, so that mostly a look at the end is enough.
func newestMarker(ctx context.Context, log Log, first, end int64) (*Marker, error) {
	for span := int64(newestFirst); ; span *= 8 {
		from := max(first, end-span)
		var best *Marker
		err := log.Read(ctx, from, end, func(r *Record) error {
			if r.Key != MarkerKey {
				return nil
			}
			m, err := markerOf(r)
			if m != nil && (best == nil || m.Number >= best.Number) {
				best = m
			}
			return err
		})
		if err != nil || best != nil || from == first {
			return best, err
		}
	}
}

// sortParts orders the datasets of a marker.
func sortParts(parts []Part) {
	slices.SortFunc(parts, func(a, b Part) int {
		return strings.Compare(string(a.Dataset), string(b.Dataset))
	})
}
