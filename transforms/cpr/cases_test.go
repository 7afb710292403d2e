package cpr

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/flis-dk/flis/schemas"
)

var update = flag.Bool("update", false, "rewrite the cases' wants")

// testHolder knows a few municipalities; 0743 became 0740, 0217 became 0101's neighbour 0217.
func testHolder(code string) (schemas.Kommunekode, bool) {
	switch code {
	case "0101", "0157", "0217", "0740", "0851":
		return schemas.Kommunekode(code), true
	case "0743":
		return "0740", true
	}
	return "", false // 0411, 0955, 0010, what no list has
}

// testRules is the built-in rules, but for the municipalities.
var testRules = Rules{Holder: testHolder, BirthDays: 31,
	Protections: []string{"0001", "0002", "0003", "0004", "0005"}}

// TestParse runs testdata/parse: settings above, records as "type NAME=value …", rows or a reject
// wanted. "typer" is the types of protection of which the block speaks also where it lacks them.
func TestParse(t *testing.T) {
	runCases(t, "testdata/parse/*.txtar", func(t *testing.T, set settingsOf, in string) string {
		content := formatRecords(t, Layout(set["layout"]), in)
		if b, err := Encode(content, Encoding(set["tegnsaet"])); err == nil {
			content = string(b)
		}
		u := testUnit(set["layout"], set["tegnsaet"], set["produceret"], content)
		rules := testRules
		rules.Protections = strings.Fields(set["typer"])
		record, parts, reject := NewParser(rules)(u)
		require.Nil(t, parts)
		if reject != nil {
			require.Nil(t, record)
			return reject.Error() + "\n"
		}
		return recordText(t, record)
	})
}

// runCases feeds each case's "in" to fn and compares with its "want".
func runCases(t *testing.T, pattern string, fn func(*testing.T, settingsOf, string) string) {
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			require.NoError(t, err)
			require.Len(t, a.Files, 2)
			got := fn(t, settings(string(a.Comment)), string(a.Files[0].Data))
			if *update {
				a.Files[1].Data = []byte(got)
				require.NoError(t, os.WriteFile(name, txtar.Format(a), 0o644))
				return
			}
			require.Equal(t, string(a.Files[1].Data), got)
		})
	}
}

// settingsOf is a case's settings by name.
type settingsOf map[string]string

// settings reads the lines "name: value" of a case's comment.
func settings(comment string) settingsOf {
	set := settingsOf{"layout": "A", "tegnsaet": string(Latin1)}
	for line := range strings.Lines(comment) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.Contains(k, " ") {
			set[k] = v
		}
	}
	return set
}

// formatRecords makes fixed-width lines of "type NAME=value …"; "pnr X" sets PNR of the lines
// after it, a line that begins with ">" stands as it is, "_" in a value is a blank.
func formatRecords(t testing.TB, l Layout, text string) string {
	var out strings.Builder
	pnr := "6101700001"
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if raw, ok := strings.CutPrefix(line, ">"); ok {
			out.WriteString(raw + "\n")
			continue
		}
		words := strings.Fields(line)
		if len(words) == 0 {
			out.WriteString("\n")
			continue
		}
		if words[0] == "pnr" {
			pnr = words[1]
			continue
		}
		out.WriteString(formatRecord(t, l, pnr, words) + "\n")
	}
	return out.String()
}

func formatRecord(t testing.TB, l Layout, pnr string, words []string) string {
	r := Record{Type: words[0], Fields: map[string]string{}}
	require.NotNil(t, tableOf(l)[r.Type], "record %s", r.Type)
	r.Fields[tableOf(l)[r.Type].Fields[0].Name] = pnr
	for _, w := range words[1:] {
		k, v, ok := strings.Cut(w, "=")
		require.True(t, ok, w)
		r.Fields[k] = strings.ReplaceAll(v, "_", " ")
	}
	s, err := Format(l, r)
	require.NoError(t, err)
	return strings.TrimRight(s, " ")
}

// testUnit writes Avro of flis/enhed.avsc.
func testUnit(layout, encoding, produced, content string) []byte {
	var w avroWriter
	w.text(strings.Repeat("0", 64))
	w.long(1)
	w.text(layout)
	w.text(encoding)
	w.textOrNull(produced)
	w.boolean(false)
	w.text(content)
	return w
}

// recordText shows a record as the avsc reads it: one line per row, without nulls and false.
func recordText(t *testing.T, b []byte) string {
	schema, err := os.ReadFile("../../schemas/systems/cpr/person.avsc")
	require.NoError(t, err)
	var s any
	require.NoError(t, json.Unmarshal(schema, &s))
	d := avroText{t: t, b: b}
	var out strings.Builder
	for _, f := range s.(map[string]any)["fields"].([]any) {
		f := f.(map[string]any)
		name := f["name"].(string)
		if kind, ok := f["type"].(map[string]any); ok && kind["type"] == "array" {
			for range d.long() {
				out.WriteString(name + " " + d.record(kind["items"].(map[string]any)) + "\n")
				d.items++
			}
			if d.items > 0 {
				require.Zero(t, d.long(), "end of array")
				d.items = 0
			}
			continue
		}
		if v := d.value(f["type"]); v != "" && v != "0" && v != "person" {
			out.WriteString(name + " " + v + "\n")
		}
	}
	require.Empty(t, d.b, "bytes after the record")
	return out.String()
}

type avroText struct {
	t     *testing.T
	b     []byte
	items int
}

func (d *avroText) long() int64 {
	n, size := binary.Varint(d.b)
	require.Positive(d.t, size)
	d.b = d.b[size:]
	return n
}

func (d *avroText) record(s map[string]any) string {
	var words []string
	for _, f := range s["fields"].([]any) {
		f := f.(map[string]any)
		name, v := f["name"].(string), d.value(f["type"])
		switch {
		case v == "" && name != "til", v == "false":
		case name == "til":
			words[len(words)-1] += ".." + v
		case name == "kommune", name == "fra":
			words = append(words, v)
		case v == "true":
			words = append(words, name)
		default:
			words = append(words, name+"="+v)
		}
	}
	return strings.Join(words, " ")
}

func (d *avroText) value(s any) string {
	switch s := s.(type) {
	case []any:
		i := d.long()
		require.Less(d.t, i, int64(len(s)))
		return d.value(s[i])
	case map[string]any:
		switch n := s["logicalType"]; n {
		case "date":
			return schemas.Day(d.long()).String()
		case "timestamp-millis":
			return time.UnixMilli(d.long()).UTC().Format("2006-01-02T15:04Z")
		}
	case string:
		switch s {
		case "null":
			return ""
		case "string":
			n := d.long()
			require.LessOrEqual(d.t, n, int64(len(d.b)))
			v := string(d.b[:n])
			d.b = d.b[n:]
			return v
		case "long", "int":
			return fmt.Sprint(d.long())
		case "boolean":
			v := d.b[0] == 1
			d.b = d.b[1:]
			return fmt.Sprint(v)
		}
	}
	d.t.Fatalf("type %v", s)
	return ""
}
