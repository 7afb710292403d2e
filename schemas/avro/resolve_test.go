package avro_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
	twmb "github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/flis-dk/flis/schemas/avro"
)

// field is one of a drawn schema, with a value for it.
type field struct {
	name  string
	typ   any
	def   any // the reader's default; nil = none
	value any
}

func (f field) schema() map[string]any {
	m := map[string]any{"name": f.name, "type": f.typ}
	if f.def != nil {
		m["default"] = f.def
	}
	return m
}

// drawField draws what the reader has, and what a writer may have in its place.
func drawField(t *rapid.T, i int) (reader, writer field) {
	name := fmt.Sprintf("f%d", i)
	n := rapid.Int32().Draw(t, name)
	text := rapid.StringMatching(`[a-zæø]{0,6}`).Draw(t, name)
	choices := []struct{ reader, writer field }{
		{field{name, "long", 7, nil}, field{name, "int", nil, n}},
		{field{name, "double", 1.5, nil}, field{name, "long", nil, n}},
		{field{name, "double", 1.5, nil}, field{name, "float", nil, 0.25}},
		{field{name, "string", "d", nil}, field{name, "string", nil, text}},
		{field{name, []any{"null", "string"}, nil, nil}, field{name, "string", nil, text}},
		{field{name, []any{"null", "long"}, nil, nil}, field{name, []any{"int", "null"}, nil, n}},
		{field{name, []any{"null", "long"}, nil, nil}, field{name, []any{"null", "int", "long"},
			nil, nil}},
		{field{name, "boolean", true, nil}, field{name, "boolean", nil, false}},
		{field{name, "string", "d", nil}, field{name, "bytes", nil, "abc"}},
	}
	c := rapid.SampledFrom(choices).Draw(t, "kind of "+name)
	return c.reader, c.writer
}

func recordOf(t require.TestingT, fields []field) (schema string, value []byte) {
	fs := []any{}
	values := map[string]any{}
	for _, f := range fields {
		fs = append(fs, f.schema())
		values[f.name] = f.value
	}
	s, err := json.Marshal(map[string]any{"type": "record", "name": "r", "namespace": "n",
		"fields": fs})
	require.NoError(t, err)
	v, err := json.Marshal(values)
	require.NoError(t, err)
	return string(s), v
}

// TestEveryVersionIsRead: fields added, dropped, moved and narrowed by the writer give what twmb's
// resolution gives.
func TestEveryVersionIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ours, theirs []field
		var paths []string
		for i := range rapid.IntRange(1, 8).Draw(t, "fields") {
			r, w := drawField(t, i)
			ours, paths = append(ours, r), append(paths, r.name)
			if _, union := r.typ.([]any); union || rapid.Bool().Draw(t, "kept") {
				theirs = append(theirs, w)
			}
		}
		if rapid.Bool().Draw(t, "added") {
			theirs = append(theirs, field{"extra", map[string]any{"type": "array",
				"items": "string"}, nil,
				[]string{"x", "y"}})
		}
		rand.New(rand.NewSource(int64(rapid.Int().Draw(t, "order")))).Shuffle(len(theirs), func(i,
			j int) {
			theirs[i], theirs[j] = theirs[j], theirs[i]
		})
		readerText, _ := recordOf(t, ours)
		writerText, values := recordOf(t, theirs)
		reader, err := avro.Admit(readerText)
		require.NoError(t, err)
		writer, err := avro.Admit(writerText)
		require.NoError(t, err)
		data, err := avro.EncodeJSON(writer, values)
		require.NoError(t, err)
		scan, err := avro.NewScan(writer, reader, paths)
		require.NoError(t, err)
		got := make([]avro.Value, len(paths))
		require.NoError(t, scan.Run(data, got))

		w, err := twmb.Parse(writerText)
		require.NoError(t, err)
		r, err := twmb.Parse(readerText)
		require.NoError(t, err)
		both, err := twmb.Resolve(w, r)
		require.NoError(t, err)
		var want any
		_, err = both.Decode(data, &want)
		require.NoError(t, err)
		for i, f := range ours {
			requireSame(t, want.(map[string]any)[f.name], got[i], f.name)
		}
	})
}

func requireSame(t require.TestingT, want any, got avro.Value, name string) {
	switch v := want.(type) {
	case nil:
		require.True(t, got.Null, name)
	case int64:
		require.Equal(t, v, got.Int, name)
	case float64:
		require.Equal(t, v, got.Float(), name)
	case string:
		require.Equal(t, v, string(got.Bytes), name)
	case bool:
		require.Equal(t, v, got.Int == 1, name)
	default:
		require.Fail(t, "a type that was not drawn", "%T", want)
	}
}
