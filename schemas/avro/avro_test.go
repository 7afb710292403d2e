package avro_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"
	twmb "github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/flis-dk/flis/schemas/avro"
)

// rich has every kind that a source may use.
const rich = `{"type": "record", "name": "rich", "namespace": "dk.flis.raw.test", "fields": [
  {"name": "b", "type": "boolean"},
  {"name": "i", "type": "int"},
  {"name": "l", "type": "long"},
  {"name": "f", "type": "float"},
  {"name": "d", "type": "double"},
  {"name": "s", "type": "string"},
  {"name": "y", "type": "bytes"},
  {"name": "x", "type": {"type": "fixed", "name": "four", "size": 4}},
  {"name": "e", "type": {"type": "enum", "name": "suit", "symbols": ["A", "B", "C"]}},
  {"name": "n", "type": ["null", "string"], "default": null},
  {"name": "r", "type": ["null", {"type": "record", "name": "inner", "fields": [
    {"name": "p", "type": "long"}, {"name": "q", "type": ["null", "int"], "default": null}]}],
  "default": null},
  {"name": "a", "type": {"type": "array", "items": {"type": "record", "name": "item", "fields": [
    {"name": "k", "type": "string"}, {"name": "v", "type": ["null", "long"], "default": null}]}}},
  {"name": "m", "type": {"type": "map", "values": "long"}}]}`

func admit(t testing.TB, text string) *avro.Schema {
	s, err := avro.Admit(text)
	require.NoError(t, err)
	return s
}

func drawRich(t *rapid.T) map[string]any {
	text := rapid.StringOf(rapid.RuneFrom([]rune("aæ0 \"\\\n€")))
	m := map[string]any{
		"b": rapid.Bool().Draw(t, "b"), "i": rapid.Int32().Draw(t, "i"),
		"l": rapid.Int64().Draw(t, "l"), "f": float32(rapid.IntRange(-1000, 1000).Draw(t, "f")) / 8,
		"d": rapid.Float64Range(-1e9, 1e9).Draw(t, "d"), "s": text.Draw(t, "s"),
		"y": rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "y"), "x": rapid.SliceOfN(rapid.Byte(), 4,
			4).Draw(t, "x"),
		"e": rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "e"), "n": nil, "r": nil,
	}
	if rapid.Bool().Draw(t, "has n") {
		m["n"] = goavro.Union("string", text.Draw(t, "n"))
	}
	if rapid.Bool().Draw(t, "has r") {
		m["r"] = goavro.Union("dk.flis.raw.test.inner", map[string]any{"p": rapid.Int64().Draw(t,
			"p"), "q": nil})
	}
	items := []any{}
	for range rapid.IntRange(0, 4).Draw(t, "items") {
		items = append(items, map[string]any{"k": text.Draw(t, "k"), "v": goavro.Union("long",
			rapid.Int64().Draw(t, "v"))})
	}
	m["a"] = items
	m["m"] = map[string]any{"only": rapid.Int64().Draw(t, "m")}
	return m
}

// TestGoavroIsTheOracle: what goavro writes passes, reads as the same JSON, and comes back from
// JSON as the same bytes.
func TestGoavroIsTheOracle(t *testing.T) {
	s := admit(t, rich)
	codec, err := goavro.NewCodecForStandardJSONFull(rich)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		data, err := codec.BinaryFromNative(nil, drawRich(t))
		require.NoError(t, err)
		require.NoError(t, s.Check(data))
		text, err := avro.AppendJSON(nil, s, data)
		require.NoError(t, err)
		native, _, err := codec.NativeFromTextual(text)
		require.NoError(t, err)
		again, err := codec.BinaryFromNative(nil, native)
		require.NoError(t, err)
		require.Equal(t, data, again)
		bytes, err := avro.EncodeJSON(s, text)
		require.NoError(t, err)
		require.Equal(t, data, bytes)
		// Nothing shorter passes, and nothing longer.
		require.Error(t, s.Check(data[:len(data)-1]))
		require.ErrorContains(t, s.Check(append(data, 0)), "left over")
	})
}

func TestAdmission(t *testing.T) {
	deep := strings.Repeat(`{"type":"array","items":`, 20) + `"int"` + strings.Repeat("}", 20)
	for name, c := range map[string][2]string{
		"recursion": {`{"type":"record","name":"r","fields":[{"name":"x","type":["null","r"]}]}`,
			"recursive"},
		"null item": {`{"type":"array","items":"null"}`, "no bytes"},
		"empty record item": {`{"type":"array","items":{"type":"record","name":"r",
  "fields":[{"name":"n","type":"null"}]}}`,
			"no bytes"},
		"deep":        {deep, "nested deeper than 16"},
		"great fixed": {`{"type":"fixed","name":"f","size":2000000}`, "the limit is"},
		"no schema":   {`{"type":"strin"}`, "parse schema"},
		"great": {`{"type":"record","name":"r","doc":"` + strings.Repeat("x", 300<<10) +
			`","fields":[]}`, "the limit is"},
	} {
		_, err := avro.Admit(c[0])
		require.ErrorContains(t, err, c[1], name)
	}
	s := admit(t, `{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"record",
  "name":"p","fields":[
		{"name":"x","type":"int"}]}},{"name":"b","type":"p"}]}`)
	require.Equal(t, avro.Int, s.Root.Fields[1].Type.Fields[0].Type.Kind,
		"a name that is used twice is resolved")
}

func TestFingerprintIsTheStandards(t *testing.T) {
	// The Avro specification's own example: CRC-64-AVRO of "int".
	require.Equal(t, uint64(0x7275d51a3f395c8f), admit(t, `"int"`).Fingerprint)
	a, b := admit(t, rich), admit(t, strings.Replace(rich, `"fields": [`, `"doc": "x", "fields": [`,
		1))
	require.Equal(t, a.Fingerprint, b.Fingerprint, "docs do not count")
	require.Len(t, a.Print(), 16)
	require.Less(t, a.ID(), uint32(1<<31))
}

func TestHostileBytes(t *testing.T) {
	wrap := func(typ string) string {
		return `{"type":"record","name":"r","fields":[{"name":"x","type":` + typ + `}]}`
	}
	strs, ints := wrap(`{"type":"array","items":"string"}`), wrap(`{"type":"array","items":"int"}`)
	for name, c := range map[string]struct {
		schema string
		data   []byte
		rule   string
		budget bool
	}{
		"2^31 items": {strs, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f},
			"more items than the limit", true},
		"least count": {strs, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0x01, 0}, "more items", true},
		"items than bytes": {ints, []byte{200, 1, 0}, "more items than there are bytes", false},
		"map": {wrap(`{"type":"map","values":"null"}`), []byte{0xfe, 0xff, 0xff,
			0x0f}, "more items", true},
		"long text": {wrap(`"string"`), []byte{0xfe, 0xff, 0xff, 0xff, 0x0f},
			"more bytes than there are", false},
		"negative text":   {wrap(`"string"`), []byte{0x01}, "more bytes than there are", false},
		"no UTF-8":        {wrap(`"string"`), []byte{2, 0xff}, "not UTF-8", false},
		"branch":          {wrap(`["null","int"]`), []byte{4}, "no such branch", false},
		"negative branch": {wrap(`["null","int"]`), []byte{1}, "no such branch", false},
		"boolean":         {wrap(`"boolean"`), []byte{2}, "0 or 1", false},
		"symbol": {wrap(`{"type":"enum","name":"e","symbols":["A"]}`), []byte{2},
			"no such symbol", false},
		"int of 33 bits": {wrap(`"int"`), []byte{0x80, 0x80, 0x80, 0x80, 0x20}, "32 bits",
			false},
		"endless number": {wrap(`"long"`), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xff, 1}, "64 bits", false},
		"cut number":         {wrap(`"long"`), []byte{0xff}, "ends within", false},
		"block of wrong len": {ints, []byte{0x03, 0x06, 2, 2, 2, 0}, "another size", false},
		"block beyond": {ints, []byte{0x03, 0x7e, 2, 2, 0}, "more bytes than there are",
			false},
		"left over": {wrap(`"int"`), []byte{0, 0}, "left over", false},
		"fixed": {wrap(`{"type":"fixed","name":"f","size":3}`), []byte{1, 2},
			"too early", false},
	} {
		var fault *avro.Fault
		require.ErrorAs(t, admit(t, c.schema).Check(c.data), &fault, name)
		require.Contains(t, fault.Rule, c.rule, name)
		require.Equal(t, c.budget, fault.Budget, name)
	}
	require.NoError(t, admit(t, ints).Check([]byte{0x03, 0x04, 2, 2, 0}),
		"a block that tells its size")
	many := append([]byte{0xa0, 0x9c, 0x01}, make([]byte, 10_001)...)
	require.NoError(t, admit(t, ints).Check(many), "exactly the budget")
}

func TestJSONIsStrict(t *testing.T) {
	s := admit(t, `{"type":"record","name":"r","fields":[
		{"name":"i","type":"int"},{"name":"n","type":["null","string"],"default":null},
		{"name":"e","type":{"type":"enum","name":"e","symbols":["A"]},"default":"A"},
		{"name":"a","type":{"type":"array","items":"long"},"default":[]},
		{"name":"o","type":["null",{"type":"record","name":"p","fields":[{"name":"x","type":"int"}]}],
  "default":null}]}`)
	good, err := avro.EncodeJSON(s, []byte(`{"o": {"x": -1}, "i": 1}`))
	require.NoError(t, err)
	text, err := avro.AppendJSON(nil, s, good)
	require.NoError(t, err)
	require.JSONEq(t, `{"i":1,"n":null,"e":"A","a":[],"o":{"x":-1}}`, string(text))
	for text, want := range map[string]string{
		`{"i":1,"secret":2}`:         "has a key that the schema does not have",
		`{"i":1,"i":2}`:              "says a key twice",
		`{}`:                         "i: is missing and has no default",
		`{"i":"1"}`:                  "i: want an integer of 32 bits",
		`{"i":1.5}`:                  "i: want an integer",
		`{"i":2147483648}`:           "i: want an integer of 32 bits",
		`{"i":1,"n":3}`:              "n: want a text",
		`{"i":1,"e":"B"}`:            "e: want one of the enum's symbols",
		`{"i":1,"a":[1,"2"]}`:        "a[1]: want an integer",
		`{"i":1,"o":{"x":1,"y":2}}`:  "o: has a key",
		`{"i":1,"o":{"x":null}}`:     "o.x: want an integer",
		`{"i":1} {}`:                 "is no JSON",
		`[]`:                         "want an object",
		``:                           "is no JSON",
		`{"i":1,"n":"\ud800 secret"`: "is no JSON",
	} {
		_, err := avro.EncodeJSON(s, []byte(text))
		var fault *avro.Fault
		require.ErrorAs(t, err, &fault, text)
		require.Contains(t, err.Error(), want, text)
		require.NotContains(t, err.Error(), "secret", "no value and no foreign key in an error")
	}
}

// TestResolutionIsTheStandards compares picked values with twmb's decoding by resolution.
func TestResolutionIsTheStandards(t *testing.T) {
	reader := admit(t, `{"type":"record","name":"r","namespace":"n","fields":[
		{"name":"a","type":"long"},{"name":"b","type":["null","string"],"default":null},
		{"name":"c","type":"double"},{"name":"new","type":"string","default":"x"},
		{"name":"in","type":{"type":"record","name":"in","fields":[{"name":"x","type":"long"},
			{"name":"y","type":"int","default":7}]}},
		{"name":"now","aliases":["old"],"type":"string"},
		{"name":"list","type":{"type":"array","items":{"type":"record","name":"it","fields":[
			{"name":"v","type":"long"},{"name":"w","type":"boolean","default":true}]}}}]}`)
	writerText := `{"type":"record","name":"r","namespace":"n","fields":[
		{"name":"gone","type":{"type":"map","values":"string"}},
		{"name":"b","type":"string"},{"name":"a","type":"int"},{"name":"c","type":"int"},{"name":"old",
  "type":"bytes"},
		{"name":"in","type":{"type":"record","name":"in","fields":[{"name":"x","type":"int"}]}},
		{"name":"list","type":{"type":"array","items":{"type":"record","name":"it",
  "fields":[{"name":"v","type":"int"}]}}}]}`
	writer := admit(t, writerText)
	data, err := avro.EncodeJSON(writer, []byte(`{"gone":{"k":"v"},"b":"bb","a":-5,"c":3,
  "old":"gammel","in":{"x":9},
		"list":[{"v":1},{"v":2}]}`))
	require.NoError(t, err)

	paths := []string{"a", "b", "c", "new", "in.x", "in.y", "now", "list"}
	scan, err := avro.NewScan(writer, reader, paths)
	require.NoError(t, err)
	got := make([]avro.Value, len(paths))
	require.NoError(t, scan.Run(data, got))

	w, err := twmb.Parse(writerText)
	require.NoError(t, err)
	r, err := twmb.Parse(reader.JSON)
	require.NoError(t, err)
	both, err := twmb.Resolve(w, r)
	require.NoError(t, err)
	var want any
	_, err = both.Decode(data, &want)
	require.NoError(t, err)
	m := want.(map[string]any)
	require.Equal(t, m["a"], got[0].Int)
	require.Equal(t, m["b"], string(got[1].Bytes))
	require.Equal(t, m["c"], got[2].Float())
	require.Equal(t, m["new"], string(got[3].Bytes))
	require.Equal(t, m["in"].(map[string]any)["x"], got[4].Int)
	require.EqualValues(t, m["in"].(map[string]any)["y"], got[5].Int)
	require.Equal(t, m["now"], string(got[6].Bytes))

	items, err := scan.Items("list", []string{"v", "w"})
	require.NoError(t, err)
	var vs []int64
	item := make([]avro.Value, 2)
	for c := avro.NewCursor(got[7]); c.Next(items, item); {
		vs = append(vs, item[0].Int)
		require.EqualValues(t, 1, item[1].Int, "the reader's default")
	}
	require.Equal(t, []int64{1, 2}, vs)
}

func TestForeignSchemasAreRefused(t *testing.T) {
	schema := func(name, typ string) *avro.Schema {
		return admit(t,
			`{"type":"record","name":"`+name+`","fields":[{"name":"a","type":`+typ+`}]}`)
	}
	reader := schema("r", `"int"`)
	for name, w := range map[string]*avro.Schema{
		"other name": schema("q", `"int"`), "other type": schema("r", `"string"`),
		"wider":         schema("r", `"long"`),
		"no field":      admit(t, `{"type":"record","name":"r","fields":[]}`),
		"no record":     admit(t, `"int"`),
		"other meaning": schema("r", `{"type":"int","logicalType":"date"}`),
	} {
		_, err := avro.NewScan(w, reader, []string{"a"})
		require.Error(t, err, name)
	}
	_, err := avro.NewScan(reader, reader, []string{"b"})
	require.ErrorContains(t, err, "no such field")
}

func TestFullTransitive(t *testing.T) {
	v1 := admit(t, `{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}`)
	v2 := admit(t,
		`{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"b","type":"int",
  "default":0}]}`)
	bad := admit(t,
		`{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}`)
	require.NoError(t, avro.FullTransitive([]*avro.Schema{v1, v2}))
	require.ErrorContains(t, avro.FullTransitive([]*avro.Schema{v1, v2, bad}),
		"version 1 cannot be read by version 3")
}

func TestFloatsOfOtherPeople(t *testing.T) {
	s := admit(t, `{"type":"record","name":"r","fields":[{"name":"d","type":"double"}]}`)
	b := make([]byte, 8)
	for i, bits := 0, math.Float64bits(math.NaN()); i < 8; i++ {
		b[i] = byte(bits >> (8 * i))
	}
	text, err := avro.AppendJSON(nil, s, b)
	require.NoError(t, err)
	require.True(t, json.Valid(text))
}

// FuzzCheck: whatever passes, goavro reads to the end; nothing kills the process.
func FuzzCheck(f *testing.F) {
	s := admit(f, rich)
	codec, err := goavro.NewCodecForStandardJSONFull(rich)
	require.NoError(f, err)
	seed, err := avro.EncodeJSON(s, []byte(`{"b":true,"i":1,"l":2,"f":1.5,"d":2.5,"s":"s","y":"y",
  "x":"abcd","e":"B",
		"n":"n","r":{"p":1,"q":2},"a":[{"k":"k","v":3}],"m":{"a":1}}`))
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		if s.Check(data) != nil {
			return
		}
		_, rest, err := codec.NativeFromBinary(data)
		require.NoError(t, err)
		require.Empty(t, rest)
		text, err := avro.AppendJSON(nil, s, data)
		require.NoError(t, err)
		require.True(t, json.Valid(text))
	})
}
