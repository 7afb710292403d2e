package sinks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
)

// tableShape is how one dataset's rows lie in a delivered table.
type tableShape struct {
	dataset *schemas.Dataset
	kommune schemas.Kommunekode
	fields  []parquet.Field
	keys    []int // places of the key columns in fields
	// places of the standard columns
	from, registered, known, gone, system int
	text, want, have                      []byte // room for keys: one goroutine has the shape
}

func newTableShape(d *schemas.Dataset, k schemas.Kommunekode) *tableShape {
	s := &tableShape{dataset: d, kommune: k}
	s.fields = append(
		s.fields,
		parquet.Field{Name: "kommunekode", Kind: parquet.String, Dictionary: true, Stats: true},
	)
	for i := range d.Columns {
		s.fields = append(s.fields, columnField(&d.Columns[i]))
	}
	for _, k := range d.Key {
		s.keys = append(s.keys, 1+d.Column(k))
	}
	s.from = len(s.fields)
	s.registered, s.known, s.gone, s.system = s.from+2, s.from+3, s.from+4, s.from+5
	s.fields = append(
		s.fields,
		parquet.Field{Name: "gyldig_fra", Kind: parquet.Date, Stats: true},
		parquet.Field{Name: "gyldig_til", Kind: parquet.Date, Nullable: true, Stats: true},
		parquet.Field{Name: "kilde_registreret", Kind: parquet.Timestamp, Stats: true},
		parquet.Field{Name: "registreret_fra", Kind: parquet.Date, Dictionary: true, Stats: true},
		parquet.Field{
			Name:       "registreret_til",
			Kind:       parquet.Date,
			Nullable:   true,
			Dictionary: true,
			Stats:      true,
		},
		parquet.Field{Name: "kilde_system", Kind: parquet.String, Dictionary: true, Stats: true},
		parquet.Field{Name: "leverance", Kind: parquet.Date, Dictionary: true, Stats: true},
		parquet.Field{Name: "haendelse_id", Kind: parquet.String},
	)
	return s
}

// columnField gives no statistics of what names a person (invariant 10).
func columnField(c *schemas.Column) parquet.Field {
	f := parquet.Field{
		Name:       c.Name,
		Kind:       columnKinds[c.Type],
		Nullable:   c.Nullable,
		Precision:  c.Precision,
		Scale:      c.Scale,
		Dictionary: c.List != "" || c.Type == schemas.Boolean,
		Stats:      !c.Personal && c.Name != "cpr" && !strings.HasSuffix(c.Name, "_cpr"),
	}
	return f
}

var columnKinds = map[schemas.Type]parquet.Kind{
	schemas.String: parquet.String, schemas.Int: parquet.Int32, schemas.Boolean: parquet.Bool,
	schemas.Date: parquet.Date, schemas.Timestamp: parquet.Timestamp,
	schemas.Decimal: parquet.Decimal,
}

// metadata is the table's, with a name of its own made of the prefix.
func (s *tableShape) metadata(history bool) *delta.Metadata {
	sum := hashOf([]byte(schemas.TablePrefix(s.kommune, s.dataset.Name, history)))
	id := []string{sum[:8], sum[8:12], "5" + sum[13:16], "8" + sum[17:20], sum[20:32]}
	m := &delta.Metadata{ID: strings.Join(id, "-"), Schema: delta.Columns(s.fields)}
	for i, c := range s.dataset.Columns {
		m.Schema[1+i].Comment = c.Doc
	}
	return m
}

// digest tells one form of the columns from another.
func (s *tableShape) digest(history bool) string {
	b, err := delta.Canonical(s.metadata(history))
	if err != nil {
		return err.Error()
	}
	return hashOf(b)[:16]
}

// earliest stands for a beginning that nobody knows. Every reader has this day; years before 1583
// some refuse.
var earliest = schemas.CivilDay(1800, 1, 1)

func shownFrom(d schemas.Day) schemas.Day { return max(d, earliest) }

// period is the month or year whose files hold a fact, "" of a state. It stands in the file's name
// and is no Delta partition: Polars takes the folder kommune=<code> for a partition as soon as a
// table has one, and then opens nothing. Readers prune by the statistics of gyldig_fra instead.
func (s *tableShape) period(from schemas.Day) string {
	switch s.dataset.Period {
	case schemas.Month:
		return shownFrom(from).Civil().Format("2006-01")
	case schemas.Year:
		return shownFrom(from).Civil().Format("2006")
	}
	return ""
}

// rowKey orders the rows of a table: system, key, begin.
func rowKey[T ~string | ~[]byte](b []byte, system, key T, from schemas.Day) []byte {
	return appendNumber(appendText(appendText(b, system), key), shownFrom(from))
}

// changeKey orders changes by period, then as the rows; what leaves comes before what enters.
// The key holds until the next call.
func (s *tableShape) changeKey(r *schemas.Row) []byte {
	b := rowKey(appendText(s.want[:0], s.period(r.From)), string(r.System), r.Key, r.From)
	s.want = b
	if r.Op == schemas.OpUpsert {
		return append(b, 1)
	}
	return append(b, 0)
}

// keyAt is the rowKey of a row of the table.
func (s *tableShape) keyAt(dst []byte, b *parquet.Batch, i int) []byte {
	s.text = s.appendKey(s.text[:0], b, i)
	return rowKey(
		dst,
		b.Vectors[s.system].Bytes(i),
		s.text,
		schemas.Day(b.Vectors[s.from].Int(i)),
	)
}

// keyText is the key that a row's columns spell.
func (s *tableShape) keyText(b *parquet.Batch, i int) string {
	return string(s.appendKey(nil, b, i))
}

func (s *tableShape) appendKey(key []byte, b *parquet.Batch, i int) []byte {
	for n, k := range s.keys {
		if n > 0 {
			key = append(key, schemas.KeySeparator...)
		}
		key = s.appendKeyText(key, k, b.Vectors[k], i)
	}
	return key
}

// equalRows compares all that a row says, but when we knew it.
func (s *tableShape) equalRows(a *parquet.Batch, i int, b *parquet.Batch, k int) bool {
	for c := range s.fields {
		x, y := a.Vectors[c], b.Vectors[c]
		switch {
		case c == s.known || c == s.gone:
		case x.Null(i) != y.Null(k):
			return false
		case x.Null(i):
		case s.fields[c].Kind == parquet.String:
			if !bytes.Equal(x.Bytes(i), y.Bytes(k)) {
				return false
			}
		case x.Int(i) != y.Int(k):
			return false
		}
	}
	return true
}

// appendKeyText spells a column as it stands in a key.
func (s *tableShape) appendKeyText(b []byte, column int, v *parquet.Vector, i int) []byte {
	switch s.fields[column].Kind {
	case parquet.String:
		return append(b, v.Bytes(i)...)
	case parquet.Date:
		return append(b, schemas.Day(v.Int(i)).String()...)
	case parquet.Timestamp:
		return append(b, schemas.Instant(v.Int(i)).String()...)
	case parquet.Bool:
		return strconv.AppendBool(b, v.Int(i) != 0)
	}
	return strconv.AppendInt(b, v.Int(i), 10)
}

// appendRow writes a row that enters the table on the day known. Its key columns must spell its
// key.
func (s *tableShape) appendRow(b *parquet.Batch, r *schemas.Row, known schemas.Day) error {
	b.Vectors[0].AppendString(string(s.kommune))
	rest := r.Payload
	for i := range s.dataset.Columns {
		var err error
		if rest, err = appendValue(b.Vectors[1+i], &s.dataset.Columns[i], rest); err != nil {
			return fmt.Errorf(
				"read payload of %s/%d/%d: column %s: %w",
				r.Stream,
				r.Offset,
				r.Ordinal,
				s.dataset.Columns[i].Name,
				err,
			)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf(
			"read payload of %s/%d/%d: bytes are left over",
			r.Stream,
			r.Offset,
			r.Ordinal,
		)
	}
	v := b.Vectors[s.from:]
	v[0].AppendInt(int64(shownFrom(r.From)))
	if r.To == schemas.Open {
		v[1].AppendNull()
	} else {
		v[1].AppendInt(int64(r.To))
	}
	v[2].AppendInt(int64(r.Registered))
	v[3].AppendInt(int64(known))
	v[4].AppendNull()
	v[5].AppendString(string(r.System))
	v[6].AppendInt(int64(r.Leverance))
	v[7].AppendString(r.EventID)
	s.want = rowKey(s.want[:0], string(r.System), r.Key, r.From)
	s.have = s.keyAt(s.have[:0], b, b.Len()-1)
	if !bytes.Equal(s.want, s.have) {
		return fmt.Errorf(
			"payload of %s/%d/%d: its key columns do not spell its key",
			r.Stream,
			r.Offset,
			r.Ordinal,
		)
	}
	return nil
}

// appendValue reads one Avro value of a domain record. A nullable column that a payload ends
// before is null: it was added to the schema later.
func appendValue(v *parquet.Vector, c *schemas.Column, b []byte) ([]byte, error) {
	if c.Nullable {
		if len(b) == 0 {
			v.AppendNull()
			return b, nil
		}
		branch := b[0]
		b = b[1:]
		switch branch {
		case 0:
			v.AppendNull()
			return b, nil
		case 2: // zigzag of 1
		default:
			return nil, fmt.Errorf("no branch %d of a union", branch)
		}
	}
	switch c.Type {
	case schemas.Boolean:
		if len(b) == 0 || b[0] > 1 {
			return nil, fmt.Errorf("is no boolean")
		}
		v.AppendInt(int64(b[0]))
		return b[1:], nil
	case schemas.String, schemas.Decimal:
		n, used := binary.Varint(b)
		if used <= 0 || n < 0 || n > int64(len(b)-used) {
			return nil, fmt.Errorf("length is not that of the bytes")
		}
		value := b[used : used+int(n)]
		if c.Type == schemas.String {
			v.AppendBytes(value)
		} else if x, ok := unscaled(value); ok {
			v.AppendInt(x)
		} else {
			return nil, fmt.Errorf("a decimal of %d bytes", n)
		}
		return b[used+int(n):], nil
	}
	n, used := binary.Varint(b)
	if used <= 0 {
		return nil, fmt.Errorf("is no number")
	}
	v.AppendInt(n)
	return b[used:], nil
}

// unscaled reads two's complement, most significant byte first.
func unscaled(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	x := int64(int8(b[0]))
	for _, c := range b[1:] {
		x = x<<8 | int64(c)
	}
	return x, true
}
