package sinks

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

// TestPaceOfStatus: a status is closed with its areas, however they are paced; alone, always.
func TestPaceOfStatus(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	status := s.statusUnit()
	both := NewPace(s.closer, []schemas.Unit{s.unit, status})
	due, err := both.Due(s.ctx, s.w.now)
	require.NoError(t, err)
	require.Equal(t, []schemas.Unit{s.unit}, due)
	due, err = both.Due(s.ctx, s.w.now)
	require.NoError(t, err)
	require.Empty(t, due)

	alone := NewPace(s.closer, []schemas.Unit{status})
	for range 2 {
		due, err = alone.Due(s.ctx, s.w.now)
		require.NoError(t, err)
		require.Equal(t, []schemas.Unit{status}, due)
	}
}

// TestPaceCountsFromASnapshot: who looks first what can be closed reads no journal from entry 0
// either.
func TestPaceCountsFromASnapshot(t *testing.T) {
	t.Parallel()
	s := newSnapshotScene(t, 3*snapshotEntries)
	s.round()
	c := s.round()
	s.w.step()
	clear(c.accounts)
	clear(s.read)
	_, err := c.viewNow(context.Background(), simVendor)
	require.NoError(t, err)
	require.Greater(t, s.read[simVendor], int64(snapshotEntries-1))
	require.Equal(t, encodedAccounts(t, s.counted(simVendor)), encodedAccounts(t, c.accounts[simVendor]))
}
