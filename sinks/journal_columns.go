package sinks

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/parquet"
)

// journalColumn is one column of the journal: how it is stored, and where it lies in a row.
// Exactly one pair of functions is set. null says which value is stored as null, and is nil where
// none is.
type journalColumn struct {
	name  string
	kind  parquet.Kind
	dict  bool // few values
	stats bool // never on a column that could name a person

	num  func(*schemas.Row) int64
	setN func(*schemas.Row, int64)
	null func(int64) bool
	nil  int64 // the value that null stands for

	text func(*schemas.Row) string
	setT func(*schemas.Row, string)

	blob func(*schemas.Row) []byte // nil is null
	setB func(*schemas.Row, []byte)
}

// heavy are the columns that only a scan with payload reads.
func (c *journalColumn) heavy() bool { return c.blob != nil }

// field is the column as Parquet and Delta have it. Bytes may be null, for a null value is not an
// empty one; a number only where a value of it stands for an infinity.
func (c *journalColumn) field() parquet.Field {
	return parquet.Field{Name: c.name, Kind: c.kind, Nullable: c.null != nil || c.blob != nil,
		Dictionary: c.dict, Stats: c.stats}
}

// validText keeps hostile bytes from making a file that foreign readers refuse: a string column
// is UTF-8.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// put appends the row's value; the vector copies it.
func (c *journalColumn) put(v *parquet.Vector, r *schemas.Row) {
	switch {
	case c.text != nil:
		v.AppendString(validText(c.text(r)))
	case c.num != nil:
		if n := c.num(r); c.null == nil || !c.null(n) {
			v.AppendInt(n)
		} else {
			v.AppendNull()
		}
	default:
		if b := c.blob(r); b != nil {
			v.AppendBytes(b)
		} else {
			v.AppendNull()
		}
	}
}

// journalColumns is the order and the names of format 1 (docs/decisions/0002-journal.md).
func journalColumns() []journalColumn {
	type row = schemas.Row
	const codes, plain = true, false
	return []journalColumn{
		textColumn("stroem", codes, true, func(r *row) *schemas.Stream { return &r.Stream }),
		numberColumn("stroem_offset", parquet.Int64, true, func(r *row) *int64 { return &r.Offset }),
		numberColumn("loebenr", parquet.Int32, true, func(r *row) *int32 { return &r.Ordinal }),
		numberColumn("generation", parquet.Int32, true, func(r *row) *int32 { return &r.Generation }),
		textColumn("kilde_system", codes, true, func(r *row) *schemas.System { return &r.System }),
		textColumn("haendelse_id", plain, false, func(r *row) *string { return &r.EventID }),
		textColumn("haendelse", codes, true, func(r *row) *string { return &r.Event }),
		numberColumn("ankommet", parquet.Timestamp, true,
			func(r *row) *schemas.Instant { return &r.Arrived }),
		numberColumn("leverance", parquet.Date, true, func(r *row) *schemas.Day { return &r.Leverance }),
		textColumn("udfald", codes, true, func(r *row) *schemas.Outcome { return &r.Outcome }),
		textColumn("fund", codes, false, func(r *row) *string { return &r.Finding }),
		textColumn("kommunekode", codes, true, func(r *row) *schemas.Kommunekode { return &r.Kommune }),
		textColumn("datasaet", codes, true, func(r *row) *schemas.DatasetName { return &r.Dataset }),
		textColumn("noegle", plain, false, func(r *row) *string { return &r.Key }),
		textColumn("omfang", plain, false, func(r *row) *string { return &r.Scope }),
		textColumn("operation", codes, true, func(r *row) *schemas.Op { return &r.Op }),
		boundColumn("gyldig_fra", schemas.Always, func(r *row) *schemas.Day { return &r.From }),
		boundColumn("gyldig_til", schemas.Open, func(r *row) *schemas.Day { return &r.To }),
		numberColumn("kilde_registreret", parquet.Timestamp, false,
			func(r *row) *schemas.Instant { return &r.Registered }),
		numberColumn("udsagt", parquet.Timestamp, false,
			func(r *row) *schemas.Instant { return &r.Stated }),
		numberColumn("sekvens", parquet.Int64, false, func(r *row) *int64 { return &r.Sequence }),
		flagColumn("baggrund", func(r *row) *bool { return &r.Background }),
		textColumn("oejebliksbillede", codes, false, func(r *row) *string { return &r.Snapshot }),
		numberColumn("antal", parquet.Int64, false, func(r *row) *int64 { return &r.Count }),
		textColumn("fravaer", codes, false, func(r *row) *schemas.Absent { return &r.Absent }),
		numberColumn("aftryk", parquet.Int64, false, func(r *row) *int64 { return &r.Digest }),
		blobColumn("indhold", func(r *row) *[]byte { return &r.Payload }),
		blobColumn("headere", func(r *row) *[]byte { return &r.Headers }),
		blobColumn("raa_noegle", func(r *row) *[]byte { return &r.RawKey }),
		textColumn("skema", codes, false, func(r *row) *string { return &r.Schema }),
		textColumn("grundlag", codes, false, func(r *row) *string { return &r.Canonical }),
		reservedColumn("noegle_id"),
	}
}

// textColumn is never null: empty text is "none".
func textColumn[T ~string](name string, dict, stats bool, at func(*schemas.Row) *T) journalColumn {
	return journalColumn{name: name, kind: parquet.String, dict: dict, stats: stats,
		text: func(r *schemas.Row) string { return string(*at(r)) },
		setT: func(r *schemas.Row, s string) { *at(r) = T(s) }}
}

// numberColumn is never null; zero is a value.
func numberColumn[T ~int32 | ~int64](name string, k parquet.Kind, stats bool,
	at func(*schemas.Row) *T) journalColumn {
	return journalColumn{name: name, kind: k, stats: stats,
		num:  func(r *schemas.Row) int64 { return int64(*at(r)) },
		setN: func(r *schemas.Row, n int64) { *at(r) = T(n) }}
}

// boundColumn is a bound of valid time: its infinity is null, which foreign readers can show.
func boundColumn(name string, infinity schemas.Day,
	at func(*schemas.Row) *schemas.Day) journalColumn {
	c := numberColumn(name, parquet.Date, false, at)
	c.null, c.nil = func(n int64) bool { return n == int64(infinity) }, int64(infinity)
	return c
}

func flagColumn(name string, at func(*schemas.Row) *bool) journalColumn {
	return journalColumn{name: name, kind: parquet.Bool,
		num: func(r *schemas.Row) int64 {
			if *at(r) {
				return 1
			}
			return 0
		},
		setN: func(r *schemas.Row, n int64) { *at(r) = n != 0 }}
}

// blobColumn has neither a dictionary nor statistics: payloads hold personal data.
func blobColumn(name string, at func(*schemas.Row) *[]byte) journalColumn {
	return journalColumn{name: name, kind: parquet.Binary,
		blob: func(r *schemas.Row) []byte { return *at(r) },
		setB: func(r *schemas.Row, b []byte) { *at(r) = b }}
}

// reservedColumn is a column that is always null in this format.
func reservedColumn(name string) journalColumn {
	return journalColumn{name: name, kind: parquet.String, dict: true,
		num: func(*schemas.Row) int64 { return 0 }, setN: func(*schemas.Row, int64) {},
		null: func(int64) bool { return true }}
}

func fieldsOf(cols []journalColumn) []parquet.Field {
	fs := make([]parquet.Field, len(cols))
	for i := range cols {
		fs[i] = cols[i].field()
	}
	return fs
}

// columnsOf keeps the order of the format; a scan reads only what is in it.
func columnsOf(w *Want) []journalColumn {
	return slices.DeleteFunc(journalColumns(), func(c journalColumn) bool {
		return !w.Payload && c.heavy() || len(w.Columns) > 0 && !slices.Contains(w.Columns, c.name)
	})
}

// writeParquet makes one row group of the batch: an entry's size bounds it already.
func writeParquet(w io.Writer, b *parquet.Batch) (*parquet.Meta, error) {
	pw, err := parquet.NewWriter(w, b.Fields)
	if err != nil {
		return nil, err
	}
	if err := pw.WriteGroup(b); err != nil {
		return nil, err
	}
	return pw.Close()
}

// blockRows is how many rows are taken out of their columns at a time: small enough to stay in
// the cache.
const blockRows = 512

// rowUnpacker turns columns into rows. Strings of its rows may be kept for ever, byte slices
// until the next block.
type rowUnpacker struct {
	cols []journalColumn
	seen []internTable
	rows [blockRows]schemas.Row
}

func newRowUnpacker(cols []journalColumn) *rowUnpacker {
	return &rowUnpacker{cols: cols, seen: make([]internTable, len(cols))}
}

// each hands every row of the batch to fn.
func (u *rowUnpacker) each(b *parquet.Batch, fn func(*schemas.Row) error) error {
	for lo := 0; lo < b.Len(); lo += blockRows {
		n := min(blockRows, b.Len()-lo)
		for k := range u.cols {
			if err := u.load(k, b.Vectors[k], lo, n); err != nil {
				return err
			}
		}
		for i := range n {
			if err := fn(&u.rows[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// load takes rows [lo, lo+n) of column k. A null where the format has none is damage.
func (u *rowUnpacker) load(k int, v *parquet.Vector, lo, n int) error {
	c := &u.cols[k]
	switch {
	case c.num != nil:
		for i := range n {
			x := c.nil
			if !v.Null(lo + i) {
				x = v.Int(lo + i)
			} else if c.null == nil {
				return fmt.Errorf("%w: column %s has a null", ErrDamaged, c.name)
			}
			c.setN(&u.rows[i], x)
		}
	case c.blob != nil:
		for i := range n {
			c.setB(&u.rows[i], blobAt(v, lo+i))
		}
	case c.dict:
		for i := range n {
			c.setT(&u.rows[i], u.seen[k].string(v.Bytes(lo+i)))
		}
	default:
		u.loadText(c, v, lo, n)
	}
	return nil
}

// blobAt tells null from empty, as a row does.
func blobAt(v *parquet.Vector, i int) []byte {
	if v.Null(i) {
		return nil
	}
	if b := v.Bytes(i); b != nil {
		return b
	}
	return []byte{}
}

// loadText makes one string of the block's values and cuts it: one allocation per column and
// block.
func (u *rowUnpacker) loadText(c *journalColumn, v *parquet.Vector, lo, n int) {
	size := 0
	for i := range n {
		size += len(v.Bytes(lo + i))
	}
	var all strings.Builder
	all.Grow(size)
	for i := range n {
		all.Write(v.Bytes(lo + i))
	}
	rest := all.String()
	for i := range n {
		l := len(v.Bytes(lo + i))
		c.setT(&u.rows[i], rest[:l])
		rest = rest[l:]
	}
}

// internTable gives equal bytes the same string. It forgets all when it holds internMax values.
type internTable struct {
	last string
	all  map[string]string
}

const internMax = 4096

func (t *internTable) string(b []byte) string {
	if string(b) == t.last {
		return t.last
	}
	s, ok := t.all[string(b)]
	if !ok {
		if t.all == nil || len(t.all) >= internMax {
			t.all = map[string]string{}
		}
		s = string(b)
		t.all[s] = s
	}
	t.last = s
	return s
}
