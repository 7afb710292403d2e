package parquet

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/stretchr/testify/require"
)

// types gives physical and logical type of each column by its path.
func types(t *testing.T, b []byte) (map[string]string, *file.Reader) {
	t.Helper()
	r, err := file.NewParquetReader(bytes.NewReader(b))
	require.NoError(t, err)
	all := map[string]string{}
	s := r.MetaData().Schema
	for i := range s.NumColumns() {
		c := s.Column(i)
		all[c.Path()] = c.PhysicalType().String() + " " + c.LogicalType().String()
	}
	return all, r
}

// Foreign readers lose digits, or fail in filters or altogether, with any other time stamp: micros,
// adjusted to UTC.
func TestFileTypes(t *testing.T) {
	fields := []Field{
		{Name: "t", Kind: Timestamp},
		{Name: "b", Kind: Decimal, Precision: 18, Scale: 2},
		{
			Name: "d",
			Kind: Date,
		},
		{Name: "s", Kind: String},
		{Name: "n", Kind: Int32},
		{Name: "l", Kind: Int64},
	}
	b, _ := write(t, fields, NewBatch(fields))
	got, _ := types(t, b)
	require.Equal(t, map[string]string{
		"t": "INT64 Timestamp(isAdjustedToUTC=true, timeUnit=microseconds, " +
			"is_from_converted_type=false, force_set_converted_type=false)",
		"b": "FIXED_LEN_BYTE_ARRAY Decimal(precision=18, scale=2)",
		"d": "INT32 Date",
		"s": "BYTE_ARRAY String",
		"n": "INT32 Int(bitWidth=32, isSigned=true)",
		"l": "INT64 Int(bitWidth=64, isSigned=true)",
	}, got)
}

// Foreign readers open no checkpoint whose protocol is of int64, that lacks the options' map, or
// whose actions may not be null.
func TestCheckpointTypes(t *testing.T) {
	b, err := WriteCheckpoint(&Checkpoint{ID: "id", Schema: `{"type":"struct"}`})
	require.NoError(t, err)
	got, r := types(t, b)
	require.Contains(t, got["protocol.minReaderVersion"], "INT32")
	require.Contains(t, got["protocol.minWriterVersion"], "INT32")
	options := 0
	for path := range got {
		if strings.HasPrefix(path, "metaData.format.options.") {
			options++
		}
	}
	require.Equal(t, 2, options, "key and value")
	root := r.MetaData().Schema.Root()
	for i := range root.NumFields() {
		require.Equal(
			t,
			parquet.Repetitions.Optional,
			root.Field(i).RepetitionType(),
			root.Field(i).Name(),
		)
	}
}
