package avro

import (
	"errors"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

const timelineDataset = `{"type": "record", "name": "ydelse", "namespace": "dk.flis.domaene.borger",
  "doc": "En ydelse", "slags": "tilstand", "skriv": "hel", "ejer": "bopael", "noegle": ["id"],
  "klasse": "C", "slettefrist": "P10Y", "fields": [
  {"name": "id", "doc": "id", "type": "string", "personoplysning": true},
  {"name": "beloeb", "doc": "beløb", "type": ["null",
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}], "default": null},
  {"name": "aktiv", "doc": "aktiv", "type": "boolean"}MORE]}`

func timelineOf(t *testing.T, more string) *Timeline {
	t.Helper()
	ds, err := schemas.ParseDataset("borger/ydelse.avsc",
		[]byte(strings.Replace(timelineDataset, "MORE", more, 1)))
	require.NoError(t, err)
	line, err := NewTimeline(ds)
	require.NoError(t, err)
	return line
}

func timelineRows() [][]Value {
	text := func(s string) Value { return Value{Bytes: []byte(s)} }
	row := func(id string, amount Value, to Value) []Value {
		return []Value{text(id), amount, {Int: 1}, {Int: 19000}, to, {Int: 1_700_000_000_000_000},
			{Int: 20000}, text("cpr"), {Int: 20001}, text("//cpr|1")}
	}
	return [][]Value{
		row("a", Value{Int: -12345}, Value{Int: 19100}),
		row("æ", Value{Null: true}, Value{Null: true}),
	}
}

func TestTimelineRoundTrip(t *testing.T) {
	line := timelineOf(t, "")
	require.Equal(t, "dk.flis.kurateret.borger.ydelse", line.Subject())
	b, err := line.Append(nil, timelineRows())
	require.NoError(t, err)
	var got [][]Value
	require.NoError(t, line.Read(b, func(row []Value) error {
		got = append(got, append([]Value{}, row...))
		return nil
	}))
	require.Len(t, got, 2)
	for i, want := range timelineRows() {
		for c := range want {
			require.Equal(t, want[c].Null, got[i][c].Null, "row %d column %d", i, c)
			require.Equal(t, want[c].Int, got[i][c].Int, "row %d column %d", i, c)
			require.Equal(t, string(want[c].Bytes), string(got[i][c].Bytes), "row %d column %d", i, c)
		}
	}
}

// TestTimelineOracle: another library reads the value by the schema that is registered.
func TestTimelineOracle(t *testing.T) {
	line := timelineOf(t, "")
	b, err := line.Append(nil, timelineRows())
	require.NoError(t, err)
	codec, err := goavro.NewCodec(line.Schema.JSON)
	require.NoError(t, err)
	native, rest, err := codec.NativeFromBinary(b)
	require.NoError(t, err)
	require.Empty(t, rest)
	rows := native.(map[string]any)["raekker"].([]any)
	require.Len(t, rows, 2)
	first := rows[0].(map[string]any)
	require.Equal(t, "a", first["id"])
	require.Equal(t, true, first["aktiv"])
	require.Equal(t, "cpr", first["kilde_system"])
	require.Nil(t, rows[1].(map[string]any)["gyldig_til"])
	require.NotContains(t, first, "kommunekode")
	require.NotContains(t, first, "registreret_til")
}

// TestTimelineEvolves: a dataset may get a column that may be null, as its own schema may.
func TestTimelineEvolves(t *testing.T) {
	before := timelineOf(t, "")
	after := timelineOf(t,
		`,{"name": "ny", "doc": "ny", "type": ["null", "string"], "default": null}`)
	require.NoError(t, FullTransitive([]*Schema{before.Schema, after.Schema}))
	require.NotEqual(t, before.Schema.Print(), after.Schema.Print())
}

func TestTimelineBad(t *testing.T) {
	line := timelineOf(t, "")
	_, err := line.Append(nil, nil)
	require.ErrorContains(t, err, "no rows")
	bad := timelineRows()
	bad[0][0].Null = true
	_, err = line.Append(nil, bad)
	require.ErrorContains(t, err, "column id: null")
	good, err := line.Append(nil, timelineRows())
	require.NoError(t, err)
	none := func([]Value) error { return nil }
	for n := range good {
		require.Error(t, line.Read(good[:n], none), "cut at %d", n)
	}
	require.ErrorContains(t, line.Read(append(good, 0), none), "left over")
	require.Error(t, line.Read([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, none), "claims too many rows")
	stop := errors.New("stop")
	require.ErrorIs(t, line.Read(good, func([]Value) error { return stop }), stop)
}

// TestTimelinesOfTheModel: every dataset of the model has a schema of its own.
func TestTimelinesOfTheModel(t *testing.T) {
	all, err := schemas.LoadDatasets(schemas.Builtin, "domain")
	require.NoError(t, err)
	registry, err := NewLocal(schemas.Builtin)
	require.NoError(t, err)
	for _, ds := range all {
		line, err := NewTimeline(ds)
		require.NoError(t, err)
		_, err = registry.Register(t.Context(), line.Subject(), line.Schema.JSON)
		require.NoError(t, err, "no two schemas of one id")
	}
}
