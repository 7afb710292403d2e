package broker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams/kafka"
)

// TestNothingExpires: what the cleaner does once there is a compacted topic takes no old record
// away, but for those of the compacted topic that later ones follow.
func TestNothingExpires(t *testing.T) {
	b, err := Start(t.TempDir(), Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	c, err := kafka.Dial(t.Context(), []string{b.Addr()}, kafka.Options{})
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.EnsureTopic(t.Context(), "raw.cura.borger.v1", 1, kafka.RawConfigs()))
	require.NoError(t, c.EnsureTopic(t.Context(), "kommune.0101.borger.v1", 1,
		map[string]string{"cleanup.policy": "compact"}))
	old := schemas.InstantOf(time.Now().AddDate(-1, 0, 0))
	p := kafka.NewProducer(c)
	for _, topic := range []string{"raw.cura.borger.v1", "kommune.0101.borger.v1"} {
		for _, key := range []string{"a", "b", "a", "c"} {
			require.NoError(t, p.Send(t.Context(), []kafka.Message{{Topic: topic, Key: []byte(key),
				Value: []byte("x"), Time: old}}))
		}
	}
	b.cluster.Compact()
	b.cluster.ApplyRetention()
	require.Equal(t, []int64{0, 1, 2, 3}, offsets(t, c, "raw.cura.borger.v1"))
	require.Equal(t, []int64{1, 2, 3}, offsets(t, c, "kommune.0101.borger.v1"))
}

func offsets(t *testing.T, c *kafka.Client, topic string) (all []int64) {
	t.Helper()
	first, end, err := c.Bounds(t.Context(), topic, 0)
	require.NoError(t, err)
	f := kafka.NewFetcher(c, []kafka.Assignment{{Topic: topic, Next: first}}, kafka.FetchOptions{})
	for next := first; next < end; {
		chunks, err := f.Poll(t.Context())
		require.NoError(t, err)
		for _, ch := range chunks {
			require.NoError(t, ch.Err)
			for _, r := range ch.Records {
				all = append(all, r.Offset)
			}
			next = ch.Next
		}
	}
	return all
}
