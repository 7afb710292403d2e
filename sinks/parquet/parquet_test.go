package parquet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// every is a field of each kind, plain and nullable and by dictionary.
func every() []Field {
	var fs []Field
	for k := Bool; k <= Binary; k++ {
		for _, nullable := range []bool{false, true} {
			for _, dictionary := range []bool{false, true} {
				f := Field{Name: fmt.Sprintf("k%d_%t_%t", k, nullable, dictionary), Kind: k, Nullable: nullable,
					Dictionary: dictionary, Stats: true}
				if k == Decimal {
					f.Precision, f.Scale = 18, 2
				}
				fs = append(fs, f)
			}
		}
	}
	fs = append(
		fs,
		Field{Name: "andel", Kind: Decimal, Precision: 9, Scale: 4, Nullable: true, Stats: true},
	)
	return fs
}

func write(t require.TestingT, fields []Field, bs ...*Batch) ([]byte, *Meta) {
	var out bytes.Buffer
	w, err := NewWriter(&out, fields)
	require.NoError(t, err)
	for _, b := range bs {
		require.NoError(t, w.Write(b))
	}
	m, err := w.Close()
	require.NoError(t, err)
	return out.Bytes(), m
}

// rows is a batch as values: int64, string or nil.
func rows(b *Batch) [][]any {
	all := make([][]any, b.Len())
	for i := range all {
		for c, v := range b.Vectors {
			switch {
			case v.Null(i):
				all[i] = append(all[i], nil)
			case b.Fields[c].bytes():
				all[i] = append(all[i], string(v.Bytes(i)))
			default:
				all[i] = append(all[i], v.Int(i))
			}
		}
	}
	return all
}

func scanAll(t require.TestingT, file []byte, fields []Field) [][]any {
	var all [][]any
	require.NoError(t, Scan(bytes.NewReader(file), int64(len(file)), fields, func(b *Batch) error {
		require.LessOrEqual(t, b.Len(), scanRows)
		all = append(all, rows(b)...)
		return nil
	}))
	return all
}

func value(f *Field) *rapid.Generator[any] {
	switch f.Kind {
	case Bool:
		return rapid.Map(rapid.Int64Range(0, 1), func(x int64) any { return x })
	case Int32, Date:
		return rapid.Map(rapid.Int32(), func(x int32) any { return int64(x) })
	case Decimal:
		limit := int64(math.Pow10(f.Precision)) - 1
		return rapid.Map(rapid.Int64Range(-limit, limit), func(x int64) any { return x })
	case String:
		return rapid.Map(
			rapid.SampledFrom([]string{"", "Æblegård", "B", "ø\u0000", "x" + strings.Repeat("Å", 40)}),
			func(x string) any { return x },
		)
	case Binary:
		return rapid.Map(rapid.SliceOf(rapid.Byte()), func(x []byte) any { return string(x) })
	}
	return rapid.Map(rapid.Int64(), func(x int64) any { return x })
}

func appendValue(v *Vector, x any) {
	switch x := x.(type) {
	case nil:
		v.AppendNull()
	case string:
		v.AppendString(x)
	case int64:
		v.AppendInt(x)
	}
}

func TestRoundTrip(t *testing.T) {
	fields := every()
	rapid.Check(t, func(t *rapid.T) {
		var b *Batch
		var batches []*Batch
		var want [][]any
		for range rapid.IntRange(0, 3).Draw(t, "batches") {
			b = NewBatch(fields)
			nulls := rapid.IntRange(0, 100).Draw(t, "percent of nulls")
			for range rapid.IntRange(0, 40).Draw(t, "rows") {
				for i, f := range fields {
					x := value(&f).Draw(t, f.Name)
					if f.Nullable && rapid.IntRange(1, 100).Draw(t, "null") <= nulls {
						x = nil
					}
					appendValue(b.Vectors[i], x)
				}
			}
			batches = append(batches, b)
			want = append(want, rows(b)...)
		}
		file, m := write(t, fields, batches...)
		require.Equal(t, int64(len(want)), m.Rows)
		require.Equal(t, int64(len(file)), m.Bytes)
		sum := sha256.Sum256(file)
		require.Equal(t, hex.EncodeToString(sum[:]), m.SHA256)
		require.Equal(t, want, scanAll(t, file, fields))
		checkStats(t, fields, want, m)
	})
}

func checkStats(t require.TestingT, fields []Field, rows [][]any, m *Meta) {
	for c, f := range fields {
		var s Stat
		for _, r := range rows {
			x := r[c]
			text, isText := x.(string)
			upper := text
			if len(text) > statBytes && f.Kind == String {
				text = text[:statBytes-1] // a rune of two bytes lies over the limit
				x, upper = text, text+"\U0010FFFF"
			}
			switch {
			case x == nil:
				s.Nulls++
			case f.Kind == Bool || f.Kind == Binary:
			case s.Min == nil && isText:
				s.Min, s.Max = text, upper
			case s.Min == nil:
				s.Min, s.Max = x, x
			case isText:
				s.Min, s.Max = min(s.Min.(string), text), max(s.Max.(string), upper)
			default:
				s.Min, s.Max = min(s.Min.(int64), x.(int64)), max(s.Max.(int64), x.(int64))
			}
		}
		require.Equal(t, s, m.Stats[f.Name], f.Name)
	}
}

// Beyond one page, one scan batch and one row group, with a dictionary of a hundred thousand.
func TestLarge(t *testing.T) {
	fields := []Field{
		{Name: "tal", Kind: Int64, Stats: true},
		{Name: "tekst", Kind: String, Nullable: true},
		{
			Name:       "stor",
			Kind:       String,
			Dictionary: true,
		},
		{Name: "dag", Kind: Date, Dictionary: true, Nullable: true},
	}
	const n = 1_200_000
	b, out := NewBatch(fields), bytes.Buffer{}
	w, err := NewWriter(&out, fields)
	require.NoError(t, err)
	for i := range int64(n) {
		b.Vectors[0].AppendInt(i)
		if i%3 == 0 {
			b.Vectors[1].AppendNull()
		} else {
			b.Vectors[1].AppendString(fmt.Sprint("række ", i))
		}
		b.Vectors[2].AppendString(fmt.Sprint(i % 100_000))
		b.Vectors[3].AppendInt(-i % 5000)
		if b.Len() == 50_000 {
			require.NoError(t, w.Write(b))
			b.Reset()
		}
	}
	require.NoError(t, w.Write(b))
	m, err := w.Close()
	require.NoError(t, err)
	require.Equal(t, Stat{Min: int64(0), Max: int64(n - 1)}, m.Stats["tal"])
	i := int64(0)
	require.NoError(
		t,
		Scan(bytes.NewReader(out.Bytes()), int64(out.Len()), fields, func(b *Batch) error {
			for r := range b.Len() {
				text := ""
				if i%3 != 0 {
					text = fmt.Sprint("række ", i)
				}
				if b.Vectors[0].Int(r) != i || b.Vectors[1].Null(r) != (i%3 == 0) ||
					string(b.Vectors[1].Bytes(r)) != text ||
					string(b.Vectors[2].Bytes(r)) != fmt.Sprint(i%100_000) || b.Vectors[3].Int(r) != -i%5000 {
					return fmt.Errorf("row %d differs", i)
				}
				i++
			}
			return nil
		}),
	)
	require.Equal(t, int64(n), i)
}

func TestScanProjects(t *testing.T) {
	fields := []Field{{Name: "a", Kind: Int64}, {Name: "b", Kind: String}}
	b := NewBatch(fields)
	b.Vectors[0].AppendInt(7)
	b.Vectors[1].AppendString("x")
	file, _ := write(t, fields, b)
	got := scanAll(
		t,
		file,
		[]Field{{Name: "b", Kind: String}, {Name: "ny", Kind: Date, Nullable: true}},
	)
	require.Equal(t, [][]any{{"x", nil}}, got)
	got = scanAll(t, file, []Field{{Name: "a", Kind: Int64, Nullable: true}})
	require.Equal(t, [][]any{{int64(7)}}, got)
}

func TestScanRefuses(t *testing.T) {
	fields := []Field{
		{Name: "a", Kind: Int64, Nullable: true},
		{Name: "d", Kind: Decimal, Precision: 18, Scale: 2},
	}
	b := NewBatch(fields)
	b.Vectors[0].AppendNull()
	b.Vectors[1].AppendInt(-1)
	file, _ := write(t, fields, b)
	never := func(*Batch) error { return nil }
	for _, c := range []struct {
		field Field
		err   string
	}{
		{Field{Name: "z", Kind: Int64}, "column z is missing"},
		{Field{Name: "a", Kind: Timestamp, Nullable: true}, "column a is INT64"},
		{Field{Name: "a", Kind: Int32, Nullable: true}, "column a is INT64"},
		{Field{Name: "a", Kind: Int64}, "may have none"},
		{Field{Name: "d", Kind: Decimal, Precision: 18, Scale: 3}, "column d is"},
		{Field{Name: "d", Kind: Decimal, Precision: 9, Scale: 2}, "column d is"},
	} {
		err := Scan(bytes.NewReader(file), int64(len(file)), []Field{c.field}, never)
		require.ErrorContains(t, err, c.err)
	}
	stop := errors.New("stop")
	require.ErrorIs(
		t,
		Scan(bytes.NewReader(file), int64(len(file)), fields, func(*Batch) error { return stop }),
		stop,
	)
}

// Damage must end as an error or as other values, never as a panic: the SHA-256 is the guard
// against the second.
func TestScanSurvivesDamage(t *testing.T) {
	fields := every()
	b := NewBatch(fields)
	for i := range int64(50) {
		for c, f := range fields {
			if f.bytes() {
				b.Vectors[c].AppendString(fmt.Sprint("værdi ", i%7))
			} else {
				b.Vectors[c].AppendInt(i % 2)
			}
		}
	}
	file, _ := write(t, fields, b)
	failed := 0
	for at := 0; at < len(file); at += 11 {
		bad := bytes.Clone(file)
		bad[at] ^= 0x55
		if Scan(bytes.NewReader(bad), int64(len(bad)), fields, func(*Batch) error { return nil }) != nil {
			failed++
		}
	}
	require.Positive(t, failed)
	require.Error(t, Scan(bytes.NewReader(file[:100]), 100, fields, func(*Batch) error { return nil }))
	require.Error(t, Scan(bytes.NewReader(nil), 0, fields, func(*Batch) error { return nil }))
}

func TestWriterRefuses(t *testing.T) {
	fields := []Field{
		{Name: "a", Kind: Int32},
		{Name: "d", Kind: Decimal, Precision: 9, Scale: 4, Nullable: true},
	}
	for _, c := range []struct {
		name string
		fill func(*Batch)
		err  string
	}{
		{"null", func(b *Batch) { b.Vectors[0].AppendNull(); b.Vectors[1].AppendNull() }, "column a has 1 nulls"},
		{"uneven", func(b *Batch) { b.Vectors[0].AppendInt(1) }, "has 1 rows"},
		{"too large", func(b *Batch) { b.Vectors[0].AppendInt(1 << 31); b.Vectors[1].AppendNull() }, "32 bits"},
		{"decimal", func(b *Batch) { b.Vectors[0].AppendInt(1); b.Vectors[1].AppendInt(1e9) }, "decimal(9,4)"},
		{"decimal below", func(b *Batch) { b.Vectors[0].AppendInt(1); b.Vectors[1].AppendInt(-1e9) }, "decimal(9,4)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := NewWriter(&bytes.Buffer{}, fields)
			require.NoError(t, err)
			b := NewBatch(fields)
			c.fill(b)
			err = w.Write(b)
			_, closing := w.Close()
			require.ErrorContains(t, errors.Join(err, closing), c.err)
			_, again := w.Close()
			require.Error(t, again)
		})
	}
	w, err := NewWriter(&bytes.Buffer{}, fields)
	require.NoError(t, err)
	require.ErrorContains(t, w.Write(NewBatch(fields[:1])), "columns")
	for _, f := range []Field{{Name: "", Kind: Int32}, {Name: "a"}, {Name: "a", Kind: Decimal, Precision: 19}} {
		_, err := NewWriter(&bytes.Buffer{}, []Field{f})
		require.Error(t, err)
	}
	_, err = NewWriter(&bytes.Buffer{}, []Field{fields[0], fields[0]})
	require.ErrorContains(t, err, "twice")
}

// breaking loses every byte from the n-th on, with or without an error.
type breaking struct {
	left   int
	silent bool
}

var errFull = errors.New("no space left on device")

func (b *breaking) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		if b.silent {
			return 0, nil
		}
		return 0, errFull
	}
	return len(p), nil
}

func TestWriterSeesLostBytes(t *testing.T) {
	fields := every()
	b := NewBatch(fields)
	for i := range int64(100) {
		for c, f := range fields {
			switch {
			case f.Nullable && i%3 == 0:
				b.Vectors[c].AppendNull()
			case f.bytes():
				b.Vectors[c].AppendString(fmt.Sprint("værdi ", i))
			default:
				b.Vectors[c].AppendInt(i % 2)
			}
		}
	}
	file, _ := write(t, fields, b)
	for _, silent := range []bool{false, true} {
		for left := 0; left < len(file); left += 37 {
			w, err := NewWriter(&breaking{left, silent}, fields)
			if err == nil {
				_ = w.Write(b)
				_, err = w.Close()
			}
			require.Error(t, err, "%d bytes written, silent %t", left, silent)
		}
	}
}

func TestBatchReset(t *testing.T) {
	fields := every()
	b := NewBatch(fields)
	for round := range 3 {
		for c := range fields {
			for range round + 9 {
				if fields[c].Nullable && round == 1 {
					b.Vectors[c].AppendNull()
				} else if fields[c].bytes() {
					b.Vectors[c].AppendString(fmt.Sprint(round))
				} else {
					b.Vectors[c].AppendInt(int64(round) % 2)
				}
			}
		}
		require.Equal(t, round+9, b.Len())
		require.Positive(t, b.Size())
		file, _ := write(t, fields, b)
		require.Equal(t, rows(b), scanAll(t, file, fields))
		b.Reset()
		require.Zero(t, b.Len())
		require.Zero(t, b.Size())
	}
}

func BenchmarkWrite(b *testing.B) {
	fields := []Field{
		{Name: "kommunekode", Kind: String, Dictionary: true},
		{Name: "id", Kind: String},
		{
			Name:       "paragraf",
			Kind:       String,
			Dictionary: true,
		},
		{Name: "beloeb", Kind: Decimal, Precision: 18, Scale: 2},
		{Name: "fra", Kind: Date},
		{Name: "til", Kind: Date, Nullable: true},
		{Name: "registreret", Kind: Timestamp},
		{Name: "leverance", Kind: Date, Dictionary: true},
		{Name: "antal", Kind: Int32, Nullable: true},
		{Name: "aktiv", Kind: Bool},
		{Name: "system", Kind: String, Dictionary: true},
		{Name: "haendelse", Kind: String},
	}
	const n = 200_000
	batch := NewBatch(fields)
	id := make([]byte, 0, 40)
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset()
		w, err := NewWriter(discard{}, fields)
		if err != nil {
			b.Fatal(err)
		}
		for i := range int64(n) {
			id = fmt.Appendf(id[:0], "%032d", i*7919)
			v := batch.Vectors
			v[0].AppendString("0101")
			v[1].AppendBytes(id)
			v[2].AppendBytes(id[29:31])
			v[3].AppendInt(i * 100)
			v[4].AppendInt(20000 + i%100)
			v[5].AppendNull()
			v[6].AppendInt(i * 1e6)
			v[7].AppendInt(20500)
			v[8].AppendInt(i % 5)
			v[9].AppendInt(i & 1)
			v[10].AppendString("kmd-nexus")
			v[11].AppendBytes(id)
		}
		if err := w.Write(batch); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkScan(b *testing.B) {
	fields := []Field{
		{Name: "kommunekode", Kind: String, Dictionary: true},
		{Name: "id", Kind: String},
		{Name: "beloeb", Kind: Decimal, Precision: 18, Scale: 2},
		{Name: "fra", Kind: Date},
		{Name: "til", Kind: Date, Nullable: true},
		{Name: "registreret", Kind: Timestamp},
	}
	const n = 200_000
	batch := NewBatch(fields)
	for i := range int64(n) {
		batch.Vectors[0].AppendString("0101")
		batch.Vectors[1].AppendString(fmt.Sprintf("%032d", i*7919))
		batch.Vectors[2].AppendInt(i)
		batch.Vectors[3].AppendInt(i % 9000)
		batch.Vectors[4].AppendNull()
		batch.Vectors[5].AppendInt(i * 1e6)
	}
	file, _ := write(b, fields, batch)
	b.ReportAllocs()
	for b.Loop() {
		rows := 0
		err := Scan(bytes.NewReader(file), int64(len(file)), fields, func(b *Batch) error {
			rows += b.Len()
			return nil
		})
		if err != nil || rows != n {
			b.Fatal(rows, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// failing refuses everything after so many bytes, as a full disk does.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

// TestWriterKeepsTheCause: wherever the disk is full, the error says so.
func TestWriterKeepsTheCause(t *testing.T) {
	fields := []Field{{Name: "a", Kind: String}, {Name: "b", Kind: Int64}}
	b := NewBatch(fields)
	for i := range 1000 {
		b.Vectors[0].AppendString(strconv.Itoa(i))
		b.Vectors[1].AppendInt(int64(i))
	}
	write := func(room int) error {
		w, err := NewWriter(&failing{room}, fields)
		if err != nil {
			return err
		}
		if err := w.WriteGroup(b); err != nil {
			return err
		}
		_, err = w.Close()
		return err
	}
	room := 0
	for ; ; room += 97 {
		err := write(room)
		if err == nil {
			break
		}
		require.ErrorIs(t, err, syscall.ENOSPC, "room for %d bytes", room)
	}
	require.Greater(t, room, 1000)
}
