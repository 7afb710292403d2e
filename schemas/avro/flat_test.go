package avro_test

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
)

const table = `{"type":"record","name":"proeve","namespace":"dk.flis.domaene.x","doc":"d",
  "slags":"tilstand","skriv":"hel",
 "ejer":"handle","noegle":["s"],"klasse":"A","slettefrist":"P1D","fields":[
 {"name":"s","doc":"d","type":"string"},{"name":"n","doc":"d","type":["null","string"],
  "default":null},
 {"name":"i","doc":"d","type":"int"},{"name":"b","doc":"d","type":["null","boolean"],
  "default":null},
 {"name":"d","doc":"d","type":{"type":"int","logicalType":"date"}},
 {"name":"t","doc":"d","type":["null",{"type":"long","logicalType":"timestamp-micros"}],
  "default":null},
 {"name":"m","doc":"d","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}}]}`

func newTable(t testing.TB) (*schemas.Dataset, *goavro.Codec) {
	d, err := schemas.ParseDataset("x/proeve.avsc", []byte(table))
	require.NoError(t, err)
	c, err := goavro.NewCodec(table)
	require.NoError(t, err)
	return d, c
}

// TestFlatIsGoavro: Append writes what goavro reads as the same values, and Read is its inverse.
func TestFlatIsGoavro(t *testing.T) {
	d, codec := newTable(t)
	flat := avro.NewFlat(d)
	rapid.Check(t, func(t *rapid.T) {
		const limit = 1_000_000_000_000_000_000
		values := []avro.Value{
			{Bytes: []byte(rapid.String().Draw(t, "s"))}, {Null: true},
			{Int: int64(rapid.Int32().Draw(t, "i"))}, {Null: true},
			{Int: int64(rapid.Int32Range(-200_000, 2_932_896).Draw(t, "d"))},
			{Int: rapid.Int64Range(-1<<50, 1<<52).Draw(t, "t")}, {Int: rapid.Int64Range(-limit+1,
				limit-1).Draw(t, "m")}}
		if rapid.Bool().Draw(t, "has") {
			values[1], values[3] = avro.Value{Bytes: []byte("n")}, avro.Value{Int: 1}
		}
		data, err := flat.Append(nil, values)
		require.NoError(t, err)
		native, rest, err := codec.NativeFromBinary(data)
		require.NoError(t, err)
		require.Empty(t, rest)
		m := native.(map[string]any)
		require.Equal(t, string(values[0].Bytes), m["s"])
		require.EqualValues(t, values[2].Int, m["i"])
		require.Equal(t, time.Unix(values[4].Int*86400, 0).UTC(), m["d"])
		require.Equal(t, time.UnixMicro(values[5].Int).UTC(),
			m["t"].(map[string]any)["long.timestamp-micros"])
		require.Zero(t, big.NewRat(values[6].Int, 100).Cmp(m["m"].(*big.Rat)))
		again := make([]avro.Value, flat.Len())
		require.NoError(t, flat.Read(data, again))
		for i := range values {
			require.Equal(t, values[i].Null, again[i].Null)
			require.Equal(t, values[i].Int, again[i].Int)
			require.Equal(t, string(values[i].Bytes), string(again[i].Bytes))
		}
		require.Error(t, flat.Read(data[:len(data)-1], again))
		require.Error(t, flat.Read(append(data, 0), again))
	})
}

func TestFlatRefuses(t *testing.T) {
	d, _ := newTable(t)
	flat := avro.NewFlat(d)
	good := func() []avro.Value {
		return []avro.Value{{Bytes: []byte("s")}, {Null: true}, {}, {Null: true}, {}, {Null: true},
			{Int: math.MinInt64}}
	}
	_, err := flat.Append(nil, good())
	require.NoError(t, err)
	for name, spoil := range map[string]func(v []avro.Value) []avro.Value{
		"null":     func(v []avro.Value) []avro.Value { v[0].Null = true; return v },
		"great":    func(v []avro.Value) []avro.Value { v[2].Int = 1 << 31; return v },
		"no UTF-8": func(v []avro.Value) []avro.Value { v[0].Bytes = []byte{0xff}; return v },
		"count":    func(v []avro.Value) []avro.Value { return v[1:] },
	} {
		_, err := flat.Append(nil, spoil(good()))
		require.Error(t, err, name)
	}
}

func TestFlatDoesNotAllocate(t *testing.T) {
	d, _ := newTable(t)
	flat := avro.NewFlat(d)
	values := make([]avro.Value, flat.Len())
	values[0].Bytes = []byte("text")
	buf := make([]byte, 0, 256)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b, err := flat.Append(buf[:0], values)
		if err != nil || flat.Read(b, values) != nil {
			t.Fatal("cannot happen")
		}
	}))
}
