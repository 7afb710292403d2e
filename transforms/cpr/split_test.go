package cpr

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSplit runs testdata/split: settings above, records as in TestParse, units or an error
// wanted.
func TestSplit(t *testing.T) {
	runCases(t, "testdata/split/*.txtar", func(t *testing.T, set settingsOf, in string) string {
		o := Options{Layout: Layout(set["told"]), Encoding: Encoding(set["encoding"]),
			Excerpt: set["excerpt"] == "true",
			Layouts: map[string]Layout{"123456": A, "654321": AUUID}}
		text := formatRecords(t, Layout(set["layout"]), in)
		if set["form"] == "stream" {
			text = asStream(t, Layout(set["layout"]), text)
		}
		b, err := Encode(text, Encoding(set["tegnsaet"]))
		require.NoError(t, err)
		if cut := set["cut"]; cut != "" {
			var n int
			_, err := fmt.Sscan(cut, &n)
			require.NoError(t, err)
			b = b[:len(b)-n]
		}
		return splitText(b, o)
	})
}

// asStream fills each line to its length and takes the line ends away.
func asStream(t *testing.T, l Layout, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		rt := tableOf(l)[line[:3]]
		require.NotNil(t, rt)
		out.WriteString(line + strings.Repeat(" ", rt.Len-len([]rune(line))))
	}
	return out.String()
}

func splitText(b []byte, o Options) string {
	var out strings.Builder
	f, err := Split(bytes.NewReader(b), int64(len(b)), o, func(u *Unit) error {
		fmt.Fprintf(&out, "unit %d %s", u.Nr, u.PNR)
		if u.Control {
			out.WriteString(" control")
		}
		for line := range bytes.Lines(u.Content) {
			fmt.Fprintf(&out, " %s:%d", line[:3], len(bytes.TrimRight(line, "\n")))
		}
		out.WriteString("\n")
		return nil
	})
	if err != nil {
		return "error " + err.Error() + "\n"
	}
	head := fmt.Sprintf("layout %s %s records %d proven %t\n", f.Layout, f.Encoding, f.Records,
		f.Proven)
	if h := f.Header; h != nil {
		head += fmt.Sprintf("task %s produced %s previous %s\n", h.Task, h.Produced, h.Previous)
	}
	return head + out.String()
}

// TestReal feeds inputs that no one in this project wrote: each becomes accepted units.
func TestReal(t *testing.T) {
	shared := os.Getenv("FLIS_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	files, err := filepath.Glob(filepath.Join(shared, "real", "cpr", "*"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no real CPR files: set FLIS_SHARED to the folder that has real/cpr")
	}
	parse := NewParser(testRules)
	for i, name := range files {
		layout, want := A, 1
		if !strings.HasPrefix(filepath.Base(name), "PNR_") {
			layout, want = B, 34
		}
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		units := 0
		f, err := Split(bytes.NewReader(b), int64(len(b)), Options{Layout: layout, Excerpt: true},
			func(u *Unit) error {
				units++
				unit := testUnit(string(layout), encodingOf(b), "2001-11-19", string(u.Content))
				_, _, reject := parse(unit)
				require.Nil(t, reject, "file %d unit %d", i, u.Nr)
				return nil
			})
		require.NoError(t, err, "file %d", i)
		require.Equal(t, want, units, "file %d", i)
		require.Equal(t, encodingOf(b), string(f.Encoding), "file %d", i)
		if layout == A {
			require.Equal(t, "2001-11-19", f.Header.Produced.String())
			_, err = Open(bytes.NewReader(b), int64(len(b)), Options{Layout: A})
			require.ErrorContains(t, err, "the end record counts 1098 records", "file %d", i)
		}
	}
}

func encodingOf(b []byte) string {
	var d detector
	d.write(b)
	return string(d.encoding())
}

// TestSplitUnitMax shows that a unit beyond the limit costs no memory and is still named by size
// and hash.
func TestSplitUnitMax(t *testing.T) {
	one := formatRecords(t, A, "019 NOTATNR=01 NOTATLINIE=x")
	b := []byte(strings.Repeat(one, UnitMax/len(one)+2))
	var got *Unit
	_, err := Split(bytes.NewReader(b), int64(len(b)), Options{Layout: A}, func(u *Unit) error {
		got = u
		return nil
	})
	require.NoError(t, err)
	require.Nil(t, got.Content)
	require.Equal(t, int64(len(b)-1), got.Size)
	require.NotZero(t, got.SHA256)
}

// TestUnitsTwice shows that units may be read again, and that an error of yield ends the reading.
func TestUnitsTwice(t *testing.T) {
	b := []byte(formatRecords(t, A, "001\npnr 6101700002\n001\npnr 6101700001\n003"))
	f, err := Open(bytes.NewReader(b), int64(len(b)), Options{Layout: A})
	require.NoError(t, err)
	for range 2 {
		n := 0
		require.NoError(t, f.Units(func(*Unit) error { n++; return nil }))
		require.Equal(t, 2, n)
	}
	n := 0
	err = f.Units(func(*Unit) error { n++; return io.ErrClosedPipe })
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.Equal(t, 1, n)
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(formatRecords(f, A, "000 OPGAVENR=123456 PRODDTO=20240301\n001\n003")), "", false)
	f.Add([]byte("\xef\xbb\xbf0016101700001 \xc3\xa6\n"), "B", true)
	f.Fuzz(func(t *testing.T, b []byte, layout string, excerpt bool) {
		o := Options{Layout: Layout(layout), Excerpt: excerpt,
			Layouts: map[string]Layout{"123456": A}}
		bytesOut := 0
		file, err := Split(bytes.NewReader(b), int64(len(b)), o, func(u *Unit) error {
			bytesOut += len(u.Content) + 1
			return nil
		})
		if err == nil && file.Records > 0 {
			require.LessOrEqual(t, bytesOut, len(b)+1)
		}
	})
}

// TestStreamAsLines: a file says the same in both line forms, in every layout and encoding.
func TestStreamAsLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom([]Layout{A, AUUID, B}).Draw(t, "layout")
		enc := rapid.SampledFrom([]Encoding{Latin1, UTF8}).Draw(t, "encoding")
		var lines, stream strings.Builder
		for range rapid.IntRange(2, 8).Draw(t, "records") {
			r := genRecord(t, l, []rune(" 01Aæø\u0085"))
			first := tableOf(l)[r.Type].Fields[0].Name
			r.Fields[first] = rapid.SampledFrom([]string{"6101700001", "6101700002"}).Draw(t, "pnr")
			if r.Type == "000" || r.Type == "999" {
				continue
			}
			text, err := Format(l, r)
			require.NoError(t, err)
			lines.WriteString(strings.TrimRight(text, " ") + "\n")
			stream.WriteString(text)
		}
		o := Options{Layout: l, Encoding: enc}
		want, err := Encode(lines.String(), enc)
		require.NoError(t, err)
		got, err := Encode(stream.String(), enc)
		require.NoError(t, err)
		if !isStream(got, l) {
			t.Skip("one record is a line, not a stream")
		}
		require.Equal(t, splitText(want, o), splitText(got, o))
	})
}
