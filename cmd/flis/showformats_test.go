package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

var formatColumns = []schemas.Column{
	{Name: "tekst", Type: schemas.String, Nullable: true}, {Name: "tal", Type: schemas.Int},
	{Name: "sand", Type: schemas.Boolean}, {Name: "dag", Type: schemas.Date, Nullable: true},
	{Name: "tid", Type: schemas.Timestamp}, {Name: "beloeb", Type: schemas.Decimal, Precision: 18,
		Scale: 2},
}

var formatRows = [][]sinks.Cell{
	{{Text: "Åse \"x\", y"}, {Int: -3}, {Int: 1}, {Int: 0}, {Int: 1_500_000},
		{Int: 123456789012345678}},
	{{Null: true}, {Int: 0}, {Int: 0}, {Null: true}, {Int: 0}, {Int: -5}},
	{{Text: "a\x1b[31m\nb"}, {Int: 1}, {Int: 0}, {Null: true}, {Int: 0}, {Int: 0}},
}

func written(t *testing.T, w rowWriter) {
	for _, r := range formatRows {
		require.NoError(t, w.row(r))
	}
	require.NoError(t, w.end())
}

func TestShowCSV(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	written(t, newCSV(&out, formatColumns))
	require.True(t, strings.HasPrefix(out.String(), "tekst,tal,sand,dag,tid,beloeb\r\n"+
		"\"Åse \"\"x\"\", y\",-3,true,1970-01-01,"+
		"1970-01-01T00:00:01.500000Z,1234567890123456.78\r\n"+
		",0,false,,1970-01-01T00:00:00.000000Z,-0.05\r\n"), out.String())
	rows, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+len(formatRows))
	require.Equal(t, "a\x1b[31m\nb", rows[3][0])
}

func TestShowJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	written(t, newJSON(&out, formatColumns))
	dec := json.NewDecoder(&out)
	dec.UseNumber()
	var rows []map[string]any
	require.NoError(t, dec.Decode(&rows))
	require.Equal(t, map[string]any{"tekst": "Åse \"x\", y", "tal": json.Number("-3"), "sand": true,
		"dag": "1970-01-01",
		"tid": "1970-01-01T00:00:01.500000Z", "beloeb": json.Number("1234567890123456.78")},
		rows[0])
	require.Equal(t, map[string]any{"tekst": nil, "tal": json.Number("0"), "sand": false,
		"dag": nil,
		"tid": "1970-01-01T00:00:00.000000Z", "beloeb": json.Number("-0.05")}, rows[1])

	out.Reset()
	require.NoError(t, newJSON(&out, formatColumns).end())
	require.Equal(t, "[]\n", out.String())
}

func TestShowTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	written(t, newAligned(&out, formatColumns, "heading"))
	lines := strings.Split(out.String(), "\n")
	require.Equal(t, "heading", lines[0])
	require.Equal(t, strings.Index(lines[2], "tal"), len([]rune(lines[3][:strings.Index(lines[3],
		"-3")])),
		"columns must stand below their names")
	require.Contains(t, out.String(), "a\uFFFD[31m\uFFFDb",
		"what a source sent must not steer the terminal")
	require.True(t, strings.HasSuffix(out.String(), "\n\n3 rows\n"))

	out.Reset()
	require.NoError(t, newAligned(&out, formatColumns, "heading").end())
	require.Equal(t, "heading\n\n0 rows\n", out.String())
}

func TestShowTableStreams(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := newAligned(&out, formatColumns[:1], "heading")
	for range alignedFirst + 20_000 {
		require.NoError(t, w.row([]sinks.Cell{{Text: "x"}}))
	}
	require.Empty(t, w.first, "rows must not gather")
	require.Greater(t, out.Len(), 20_000)
	require.NoError(t, w.end())
	require.Contains(t, out.String(), "21000 rows")
}

// A reader that has gone away ends the verb without a word; a full disk does not.
func TestShowBrokenPipe(t *testing.T) {
	t.Parallel()
	r, out, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	w := newCSV(out, formatColumns)
	for err == nil {
		err = w.row(formatRows[0])
	}
	require.ErrorIs(t, err, syscall.EPIPE)
	require.NoError(t, quiet(fmt.Errorf("show: %w", err)))
	full := errors.New("no space left")
	require.Equal(t, full, quiet(full))
}

func TestDecimalText(t *testing.T) {
	t.Parallel()
	for want, x := range map[string]struct {
		unscaled int64
		scale    int
	}{"0": {0, 0}, "0.00": {0, 2}, "-0.01": {-1, 2}, "0.1000": {1000, 4}, "-12": {-12, 0},
		"100.5": {1005, 1}} {
		require.Equal(t, want, decimalText(x.unscaled, x.scale))
	}
}

func TestParseFindings(t *testing.T) {
	t.Parallel()
	all := []schemas.Finding{
		{Code: schemas.CodeMapping, Path: "ydelser[2].lov", Rule: "is missing",
			Mend: "send it (as text)"},
		{Code: schemas.CodeDate, Rule: "no day: 2026-02-30 or the like"},
		{Code: schemas.CodeEnvelope, Path: "ce_id", Rule: "is missing; or empty",
			Mend: "send the event's id"},
		{Code: schemas.CodeLayout, Path: "record 17", Rule: "has 3 bytes (want 4)",
			Mend: "fetch the file again"},
	}
	var texts []string
	for _, f := range all {
		texts = append(texts, f.Error())
		require.Equal(t, []schemas.Finding{f}, parseFindings(f.Error()))
	}
	require.Equal(t, all, parseFindings(strings.Join(texts, findingSeparator)))
	require.Nil(t, parseFindings(""))
	require.Equal(t, []schemas.Finding{{Rule: "something else"}}, parseFindings("something else"))
}

func TestFileText(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0123456789abcdef", 4)
	require.Equal(t, "0123456789ab, unit 17", fileText("//cpr|"+sum+"-17"))
	require.Equal(t, "0123456789ab, line 3", fileText("//cura|"+sum+"-linje-3"))
	require.Equal(t, "sent by the source as //cura/0101|a-1", fileText("//cura/0101|a-1"))
}

func TestParsePlace(t *testing.T) {
	t.Parallel()
	stream, offset, err := parsePlace("raw.cura.borgerdokument.v1/0/17#3")
	require.NoError(t, err)
	require.Equal(t, "raw.cura.borgerdokument.v1/0", stream)
	require.EqualValues(t, 17, offset)
	for _, bad := range []string{"", "17", "/17", "a/b", "a/-1", "a/1x"} {
		_, _, err := parsePlace(bad)
		require.Error(t, err, bad)
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	one := &schemas.Dataset{Name: "borger.adresse", Key: []string{"cpr"}}
	two := &schemas.Dataset{Name: "borger.personnummer", Key: []string{"cpr", "dato"}}
	key, err := parseKey(one, "a,b")
	require.NoError(t, err)
	require.Equal(t, "a,b", key)
	key, err = parseKey(two, "a,2026-01-31")
	require.NoError(t, err)
	require.Equal(t, "a"+schemas.KeySeparator+"2026-01-31", key)
	_, err = parseKey(two, "a")
	require.ErrorContains(t, err, "CPR,DATO")
	_, err = parseKey(one, "")
	require.Error(t, err)
}
