package sinks

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

// BenchmarkReadChanges reads what a first certificate of 100,000 visits changed: all of them.
func BenchmarkReadChanges(b *testing.B) {
	const visits = 100_000
	c, now := loadedCloser(b, 1, visits)
	_, err := c.Round(b.Context(), now, nil)
	require.NoError(b, err)
	u := schemas.Unit{Kommune: "0101", Area: "aeldre"}
	head, err := Head(b.Context(), c.deps.Tables, u)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		seen := 0
		err := ReadChanges(b.Context(), c.deps.Tables, c.deps.Datasets[simFact], u, nil, head, b.TempDir(),
			func(*EntityChange) error { seen++; return nil })
		require.NoError(b, err)
		require.Equal(b, visits, seen)
	}
	b.ReportMetric(visits*float64(b.N)/b.Elapsed().Seconds(), "entities/s")
}
