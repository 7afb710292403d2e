package sinks

import (
	"context"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// run counts records of a fingerprint; of each hundred the first so many are parked. It gives the
// record at which the breaker stops, 0 = it does not.
func (t *Trial) run(print string, records, parkedOf100 int) int {
	for i := range records {
		if t.count(print, i%100 < parkedOf100) {
			return i + 1
		}
	}
	return 0
}

func TestTrial(t *testing.T) {
	for name, c := range map[string]struct {
		before, records, parked int
		first                   int // records of the fingerprint before
		stops                   bool
	}{
		"first, a fifth":                  {records: 3000, parked: 20},
		"first, more":                     {records: 3000, parked: 21, stops: true},
		"first, all bad but few":          {records: 200, parked: 100},
		"as before":                       {first: 5000, before: 3, records: 20000, parked: 3},
		"four times":                      {first: 5000, before: 3, records: 20000, parked: 12},
		"five times":                      {first: 5000, before: 3, records: 20000, parked: 15, stops: true},
		"all bad but few":                 {first: 5000, records: 99, parked: 100},
		"a hundred where none was before": {first: 5000, records: 100, parked: 100, stops: true},
		"most were parked before":         {first: 5000, before: 20, records: 20000, parked: 99},
		"little is known of before":       {first: 900, records: 3000, parked: 20},
	} {
		t.Run(name, func(t *testing.T) {
			var x Trial
			require.Zero(t, x.run("old", c.first, c.before))
			require.Equal(t, c.stops, x.run("new", c.records, c.parked) > 0)
		})
	}
}

// TestTrialIsNotForVendors: bad data under a fingerprint that has proved itself stops nobody.
func TestTrialIsNotForVendors(t *testing.T) {
	var x Trial
	require.Zero(t, x.run("old", 1000, 0))
	require.Zero(t, x.run("old", 50_000, 100))
	x = Trial{}
	require.Zero(t, x.run("old", 2000, 0))
	require.Zero(t, x.run("new", trialRecords, 0))
	require.Zero(t, x.run("new", 50_000, 100))
}

// TestTrialOfFewRecords: a fingerprint that came and went says little of what is usual.
func TestTrialOfFewRecords(t *testing.T) {
	var x Trial
	require.Zero(t, x.run("a", 5000, 2))
	require.Zero(t, x.run("b", 90, 100))
	require.Equal(t, int64(5090), func() int64 { x.count("c", false); return x.RecordsBefore }())
	require.NotZero(t, x.run("c", 20000, 40))
}

// trialRows are records judged by a fingerprint, all parked or none.
func trialRows(from, n int64, print string, o schemas.Outcome) (rows []schemas.Row) {
	for i := range n {
		r := record(testStream, from+i, 0)[0]
		r.Canonical, r.Outcome = print, o
		rows = append(rows, r)
	}
	return rows
}

// TestBreakerOutlivesRestarts: the counts stand in the journal, at checkpoints and gaps too; what
// stops a stream is not written; a person may go on.
func TestBreakerOutlivesRestarts(t *testing.T) {
	ctx := context.Background()
	st := store.NewMemory()
	j := openTest(t, st)
	j.every = 3
	commit(t, j, "w", trialRows(0, 1500, "old", schemas.Accepted)...)
	for i := range int64(9) {
		commit(t, j, "w", trialRows(1500+i*11, 11, "new", schemas.Parked)...)
		j = openTest(t, st)
		j.every = 3
	}
	require.NoError(t, j.CommitGap(ctx, "w", testStream, 1599, 1600, "lost"))
	j = openTest(t, st)
	e := j.NewEntry("w")
	err := e.Add(trialRows(1600, 5, "new", schemas.Parked)...)
	var stop *BreakerError
	require.ErrorAs(t, err, &stop)
	require.Equal(t, testStream, stop.Stream)
	require.ErrorContains(
		t,
		err,
		"stream c/raw.cura.borger.v1/0 is stopped: 100 of 100 records are parked",
	)
	require.ErrorContains(t, err, "before the change it was 0 of 1500")
	require.ErrorContains(t, err, "flis parked replay --system cura")
	require.ErrorIs(t, e.Commit(ctx), errSpent)
	require.Error(t, openTest(t, st).NewEntry("w").Add(trialRows(1600, 5, "new", schemas.Parked)...))

	mended := openTest(t, st).NewEntry("w")
	require.NoError(t, mended.Add(trialRows(1600, 50, "newer", schemas.Parked)...))

	e = j.NewEntry("w")
	e.AcceptParked("cura has said so")
	require.NoError(t, e.Add(trialRows(1600, 5, "new", schemas.Parked)...))
	require.NoError(t, e.Commit(ctx))
	in, err := (&generations{journal: j}).info(ctx, j.Version())
	require.NoError(t, err)
	require.Equal(t, "cura has said so", in.Reason)
	commit(t, openTest(t, st), "w", trialRows(1605, 200, "new", schemas.Parked)...)
	a, err := openTest(t, st).Verify(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, a.Problems)
}
