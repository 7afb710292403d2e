package kafka

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAnchorOf: any other record has another hash, and the form stays what it is.
func TestAnchorOf(t *testing.T) {
	r := Record{Offset: 7, Time: 8, Key: []byte("k"), Value: []byte("v"),
		Headers: []Header{{"ce_id", []byte("1")}, {"x", nil}}}
	same := clone(r)
	same.Size, same.Span = 99, 1
	require.Equal(t, AnchorOf(r), AnchorOf(same))
	const written = "c5d3a66905ce811749f8e05c945728aaed18d92d1d7d7fe34df187cb4b806737"
	require.Equal(t, written, AnchorOf(r), "journals hold hashes of this form")
	seen := map[string]int{AnchorOf(r): 0}
	for i, change := range []func(*Record){
		func(r *Record) { r.Offset++ },
		func(r *Record) { r.Time++ },
		func(r *Record) { r.Key = nil },
		func(r *Record) { r.Key = []byte{} },
		func(r *Record) { r.Key, r.Value = []byte("kv"), []byte{} },
		func(r *Record) { r.Value = nil },
		func(r *Record) { r.Headers = nil },
		func(r *Record) { r.Headers[0].Name = "ce_ip" },
		func(r *Record) { r.Headers[0].Value = []byte("2") },
		func(r *Record) { r.Headers[1].Value = []byte{} },
		func(r *Record) { r.Oversized = true },
		func(r *Record) { r.Malformed = true },
	} {
		other := clone(r)
		change(&other)
		require.NotContains(t, seen, AnchorOf(other), i)
		seen[AnchorOf(other)] = i
	}
}
