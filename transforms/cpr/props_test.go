package cpr

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestTables checks the layouts against the totals of their source: fields lie side by side and
// fill the length.
func TestTables(t *testing.T) {
	for _, l := range []Layout{A, AUUID, B} {
		for _, r := range RecordTypes(l) {
			names := map[string]bool{}
			pos := 4
			for _, f := range r.Fields {
				require.Equal(t, pos, f.Pos, "%s %s %s", l, r.Type, f.Name)
				require.False(t, names[f.Name], "%s %s %s twice", l, r.Type, f.Name)
				names[f.Name] = true
				pos += f.Len
			}
			if r.Type != "021" || l == B { // its fields are not public
				require.Equal(t, r.Len, pos-1, "%s %s", l, r.Type)
			}
		}
	}
	require.Len(t, RecordTypes(A), 38)
	require.Equal(t, 382, tableAUUID["002"].Len)
	require.Equal(t, 306, tableA["002"].Len)
	require.Nil(t, RecordTypes("C"))
}

// genRecord draws a record of a layout whose values fill no more than their fields.
func genRecord(t *rapid.T, l Layout, letters []rune) Record {
	types := RecordTypes(l)
	rt := types[rapid.IntRange(0, len(types)-1).Draw(t, "type")]
	r := Record{Type: rt.Type, Fields: map[string]string{}}
	for _, f := range rt.Fields {
		v := rapid.StringOfN(rapid.RuneFrom(letters), 0, f.Len, -1).Draw(t, f.Name)
		if v = strings.TrimRight(v, " "); v != "" {
			r.Fields[f.Name] = v
		}
	}
	return r
}

// TestParseFormat: parse∘format = id, in every layout and encoding, trimmed or at full length.
func TestParseFormat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom([]Layout{A, AUUID, B}).Draw(t, "layout")
		enc := rapid.SampledFrom([]Encoding{Latin1, UTF8}).Draw(t, "encoding")
		letters := []rune(" 01Aæøåÿ\u0085")
		if enc == UTF8 {
			letters = append(letters, 'ł', '語', '😀')
		}
		r := genRecord(t, l, letters)
		text, err := Format(l, r)
		require.NoError(t, err)
		require.Equal(t, tableOf(l)[r.Type].Len, utf8.RuneCountInString(text))
		if rapid.Bool().Draw(t, "trimmed") {
			text = strings.TrimRight(text, " ")
		}
		b, err := Encode(text, enc)
		require.NoError(t, err)
		got, err := ParseRecord(l, enc, b)
		require.NoError(t, err)
		require.Equal(t, r, got)
	})
}

func TestFormatRefuses(t *testing.T) {
	for name, r := range map[string]Record{
		"type":     {Type: "888"},
		"field":    {Type: "001", Fields: map[string]string{"KOMKOD": "0101"}},
		"long":     {Type: "001", Fields: map[string]string{"STATUS": "011"}},
		"line end": {Type: "001", Fields: map[string]string{"STILLING": "a\nb"}},
		"no UTF-8": {Type: "001", Fields: map[string]string{"STILLING": "\xe6"}},
	} {
		_, err := Format(A, r)
		require.Error(t, err, name)
	}
	_, err := Format("C", Record{Type: "001"})
	require.Error(t, err)
	_, err = Encode("語", Latin1)
	require.Error(t, err)
	_, err = ParseRecord(A, Latin1, []byte("888"))
	require.ErrorContains(t, err, "no such record type")
	_, err = ParseRecord(A, Latin1, []byte("007"+strings.Repeat("x", 30)))
	require.ErrorContains(t, err, "at most 26 characters")
}

// TestSplitAnyOrder: however the records of a file are mixed, each unit has its person's records
// in the file's order, and nothing is lost or doubled.
func TestSplitAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owners := rapid.SliceOfN(rapid.IntRange(1, 5), 1, 40).Draw(t, "owners")
		var file strings.Builder
		want := map[string]string{}
		for i, o := range owners {
			pnr := fmt.Sprintf("61017000%02d", o)
			record := fmt.Sprintf("%03d%s %d", rapid.IntRange(1, 99).Draw(t, "type"), pnr, i)
			file.WriteString(record + "\n")
			want[pnr] = strings.TrimPrefix(want[pnr]+"\n"+record, "\n")
		}
		got := map[string]string{}
		n := int64(0)
		f, err := Split(strings.NewReader(file.String()), int64(file.Len()), Options{Layout: A},
			func(u *Unit) error {
				n++
				require.Equal(t, n, u.Nr)
				require.NotContains(t, got, u.PNR)
				got[u.PNR] = string(u.Content)
				require.Equal(t, u.Size, int64(len(u.Content)))
				return nil
			})
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, int64(len(owners)), f.Records)
	})
}

// TestSeenFull: a set that says yes to everything costs memory and changes no unit.
func TestSeenFull(t *testing.T) {
	text := formatRecords(t, A,
		"001\npnr 6101700002\n001\npnr 6101700001\n003\npnr 6101700003\n001")
	f, err := Open(strings.NewReader(text), int64(len(text)), Options{Layout: A})
	require.NoError(t, err)
	require.Len(t, f.stragglers, 1)
	want := unitsOf(t, f)
	full := newSeen(0)
	for i := range full.bits {
		full.bits[i] = ^uint64(0)
	}
	x := indexer{file: f, seen: full}
	f.stragglers = nil
	require.NoError(t, x.scan())
	require.Len(t, f.stragglers, 4)
	require.Equal(t, want, unitsOf(t, f))
}

func unitsOf(t *testing.T, f *File) []Unit {
	var us []Unit
	require.NoError(t, f.Units(func(u *Unit) error { us = append(us, *u); return nil }))
	return us
}
