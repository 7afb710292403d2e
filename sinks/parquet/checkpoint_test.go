package parquet

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckpointRoundTrip(t *testing.T) {
	year := "2024"
	for _, files := range []int{0, 1, 9000} {
		c := &Checkpoint{
			ID:            "id",
			Schema:        `{"type":"struct"}`,
			Configuration: map[string]string{"a": "b", "c": ""},
			Txns:          map[string]int64{"x/0": 7, "y/1": 1 << 40},
		}
		if files > 0 {
			c.PartitionColumns = []string{"aar", "art"}
		}
		for i := range files {
			f := CheckpointFile{Path: fmt.Sprint("f", i), Size: int64(i), Modified: 1,
				Tags: map[string]string{"sha256": "x"}, Partition: map[string]*string{"aar": &year, "art": nil}}
			if i%2 == 0 {
				f.Stats, f.Partition, f.Tags = `{"numRecords":1}`, map[string]*string{}, map[string]string{}
			}
			c.Files = append(c.Files, f)
		}
		b, err := WriteCheckpoint(c)
		require.NoError(t, err)
		again, err := WriteCheckpoint(c)
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, again))
		got, err := ReadCheckpoint(b)
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
}

func TestCheckpointRefuses(t *testing.T) {
	fields := []Field{{Name: "add", Kind: Int64}}
	file, _ := write(t, fields, NewBatch(fields))
	_, err := ReadCheckpoint(file)
	require.ErrorContains(t, err, "is missing")
	_, err = ReadCheckpoint([]byte("PAR1"))
	require.Error(t, err)
}
