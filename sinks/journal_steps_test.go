package sinks

import (
	"context"
	"fmt"
	"testing"

	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// Each step of a writer, with each fault: what it had acknowledged stands, what it had not stands
// whole or not at all, and the next writer goes on from there.
func TestJournalFaultAtEachStep(t *testing.T) {
	for name, fault := range map[string]store.Fault{"dies before": store.CrashBefore, "dies after": store.CrashAfter,
		"refused": store.Refuse, "request lost": store.LoseRequest, "answer lost": store.LoseAnswer} {
		t.Run(name, func(t *testing.T) {
			steps := 0
			for ; faultAt(t, steps, fault); steps++ {
			}
			require.Greater(t, steps, 10, "the steps of a writer of two entries")
		})
	}
}

// faultAt gives false when the writer was done before the step came.
func faultAt(t *testing.T, step int, fault store.Fault) (hit bool) {
	t.Helper()
	ctx := context.Background()
	base := store.NewMemory()
	n := 0
	acked := writeTwice(base.With(func(store.Op, string) store.Fault {
		if n++; n-1 == step {
			hit = true
			return fault
		}
		return store.Proceed
	}))
	j := openTest(t, base)
	next := j.Progress()[testStream].Next
	require.GreaterOrEqual(t, next, acked, "step %d", step)
	require.Zero(t, next%3, "step %d: an entry is whole", step)
	commit(t, j, "next", record(testStream, next, 1)...)
	a, err := j.Verify(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, a.Problems, "step %d", step)
	require.Equal(
		t,
		[]int64{next + 1, next + 1},
		[]int64{a.Records, a.Events},
		fmt.Sprint("step ", step),
	)
	return hit
}

// writeTwice makes two entries of three records and gives how many were acknowledged.
func writeTwice(st store.Store) (acked int64) {
	ctx := context.Background()
	j, err := OpenJournal(ctx, st, "cura")
	if err != nil {
		return 0
	}
	for range 2 {
		e := j.NewEntry("w")
		for o := acked; o < acked+3; o++ {
			if e.Add(record(testStream, o, 1)...) != nil {
				return acked
			}
		}
		if e.Commit(ctx) != nil {
			return acked
		}
		acked += 3
	}
	return acked
}
