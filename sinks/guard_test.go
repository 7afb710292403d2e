package sinks

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

const waitText = "masseafslutning venter på flis approve 0101 aeldre"

// loaded is a world in which ten grants are delivered, and the day is closed.
func loaded(t *testing.T) *guardWorld {
	w := newGuardWorld(t, guardMistake{})
	w.say(w.grants(schemas.OpUpsert, 0, 10)...)
	w.seal()
	w.round()
	require.Equal(t, 10, w.open(guardUnit, guardGrants), "a first load has no rows to end")
	require.Equal(t, Closed, w.head(guardUnit).Calendar[w.today().String()].State)
	w.tomorrow()
	return w
}

// TestMassEndWaits: the tables stay, days say so before and after their deadline, and a day that
// comes after is no success either; when it is approved the same rows end, and the days are whole.
func TestMassEndWaits(t *testing.T) {
	t.Parallel()
	w := loaded(t)
	w.say(w.grants(schemas.OpDelete, 0, 4)...)
	w.seal()
	day := w.today().String()
	report := w.round()
	require.Contains(t, report.Held, guardUnit)
	c := w.head(guardUnit)
	require.NotNil(t, c.Held)
	require.Equal(t, []string{day}, c.Held.Days)
	require.Equal(
		t,
		[]EndCause{{Op: schemas.OpDelete, Leverance: day, Rows: 4}},
		c.Held.Ends[0].Causes,
	)
	require.Equal(t, int64(10), c.Held.Ends[0].Open)
	require.Equal(t, 10, w.open(guardUnit, guardGrants))
	require.Equal(t, Provisional, c.Calendar[day].State)
	require.Contains(t, c.Calendar[day].Missing[0], waitText)
	require.NoError(t, w.audited())
	require.Empty(t, w.round().Closed, "nothing new, no certificate")
	w.closer = w.process(w.shared.With(nil))
	require.Empty(t, w.round().Closed, "another process finds the same")

	w.tomorrow()
	w.seal()
	w.round()
	c = w.head(guardUnit)
	require.Equal(t, ClosedWithReserves, c.Calendar[day].State)
	require.Equal(t, Provisional, c.Calendar[w.today().String()].State, "its tables are older")
	require.Equal(t, int64(2), c.Held.Since)
	require.NoError(t, w.audited())

	w.approve(guardUnit)
	w.round()
	c = w.head(guardUnit)
	require.Nil(t, c.Held)
	require.Equal(t, 6, w.open(guardUnit, guardGrants))
	require.Equal(t, Closed, c.Calendar[day].State)
	require.Equal(t, int64(1), c.Calendar[day].Revised)
	require.Equal(t, Closed, c.Calendar[w.today().String()].State)
	require.Equal(t, "Inge", c.Approvals[0].By)
	require.Equal(t, w.guard, c.Guard)
	require.NoError(t, w.audited())
	require.NoError(t, w.guarded(guardUnit, guardGrants))
}

// TestApprovalIsOfOneWait: rows that come back and end again wait again.
func TestApprovalIsOfOneWait(t *testing.T) {
	t.Parallel()
	w := loaded(t)
	w.say(w.grants(schemas.OpDelete, 0, 4)...)
	w.round()
	w.approve(guardUnit)
	w.round()
	w.say(w.grants(schemas.OpUpsert, 0, 4)...)
	w.round()
	require.Equal(t, 10, w.open(guardUnit, guardGrants))
	w.say(w.grants(schemas.OpDelete, 0, 4)...)
	for range 2 { // the approval that is there is of another wait
		w.round()
		require.NotNil(t, w.head(guardUnit).Held)
		require.Equal(t, 10, w.open(guardUnit, guardGrants))
	}
}

// TestApprovalCoversASubset: more than was approved waits anew, less goes on.
func TestApprovalCoversASubset(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then schemas.Op
		key  int
		open int
	}{"more": {schemas.OpDelete, 7, 10}, "less": {schemas.OpUpsert, 2, 6}} {
		w := loaded(t)
		w.say(w.grants(schemas.OpDelete, 0, 5)...)
		w.round()
		w.approve(guardUnit)
		w.say(w.grants(c.then, c.key, 1)...)
		w.round()
		require.Equal(t, c.open, w.open(guardUnit, guardGrants), name)
		require.NoError(t, w.audited())
		if w.head(guardUnit).Held != nil {
			w.approve(guardUnit)
			w.round()
			require.Equal(t, 4, w.open(guardUnit, guardGrants))
		}
		require.NoError(t, w.guarded(guardUnit, guardGrants))
	}
}

// TestMendedWaitDissolves: what would have ended is said again; nothing waits, nothing ends.
func TestMendedWaitDissolves(t *testing.T) {
	t.Parallel()
	w := loaded(t)
	w.say(w.list("bad", 2, 0, 2)...)
	w.round()
	require.Equal(t, int64(8), w.head(guardUnit).Held.Ends[0].Ended)
	require.Equal(t, "bad", w.head(guardUnit).Held.Ends[0].Causes[0].Snapshot)
	w.say(w.list("good", 10, 0, 10)...)
	w.round()
	c := w.head(guardUnit)
	require.Nil(t, c.Held)
	require.Empty(t, c.Approvals)
	require.Equal(t, 10, w.open(guardUnit, guardGrants))
	require.NoError(t, w.audited())
}

// TestFewEndsPass: below either limit nothing waits.
func TestFewEndsPass(t *testing.T) {
	t.Parallel()
	for _, g := range []Guard{{Percent: 40, Rows: 3}, {Percent: 20, Rows: 5}} {
		w := loaded(t)
		w.guard = &g
		w.closer = w.process(w.shared.With(nil))
		w.say(w.grants(schemas.OpDelete, 0, 4)...)
		w.round()
		require.Nil(t, w.head(guardUnit).Held)
		require.Equal(t, 6, w.open(guardUnit, guardGrants))
	}
}

// TestNationalBlocksAreGuarded: persons whom CPR's blocks take away wait too.
func TestNationalBlocksAreGuarded(t *testing.T) {
	t.Parallel()
	w := newGuardWorld(t, guardMistake{})
	w.blocks(0, 10, true)
	w.round()
	require.Equal(t, 10, w.open(guardCitizen, guardPersons))
	w.tomorrow()
	w.blocks(0, 4, false)
	w.round()
	require.NotNil(t, w.head(guardCitizen).Held)
	require.Equal(t, 10, w.open(guardCitizen, guardPersons))
	require.Equal(t, w.head(nationalOf("borger")).Number, int64(2), "the country goes on")
	require.NoError(t, w.audited())
	w.blocks(20, 1, true)
	w.round()
	require.Equal(t, 10, w.open(guardCitizen, guardPersons))
	require.NoError(t, w.audited())
	w.approve(guardCitizen)
	w.round()
	require.Equal(t, 7, w.open(guardCitizen, guardPersons))
	require.NoError(t, w.audited())
}

// TestVendorChangeAndTheGuard: what agreements end is announced and waits for nobody; a mass end
// that comes with a change, or before one that is planned, is seen.
func TestVendorChangeAndTheGuard(t *testing.T) {
	t.Parallel()
	change := schemas.Day(20600)
	for name, c := range map[string]struct {
		until schemas.Day // of the agreement, from the second close on
		ends  bool        // rows end in that close too
		held  bool
	}{
		"a planned change":                      {change, false, false},
		"a change whose day is past":            {20001, false, false},
		"a mass end on the day of a change":     {change, true, true},
		"a mass end after the vendor's own day": {schemas.Open, true, true},
	} {
		w := loaded(t)
		w.all[0].To = c.until
		w.closer = w.process(w.shared.With(nil))
		w.say(w.grants(schemas.OpUpsert, 50, 1)...)
		if c.ends {
			w.say(w.grants(schemas.OpDelete, 0, 4)...)
		}
		w.round()
		require.Equal(t, c.held, w.head(guardUnit).Held != nil, name)
		require.NoError(t, w.audited(), name)
		if c.held {
			continue
		}
		w.say(w.grants(schemas.OpDelete, 0, 4)...)
		w.round()
		require.NotNil(t, w.head(guardUnit).Held, "%s: the old vendor's rows are guarded still", name)
		require.NoError(t, w.audited(), name)
	}
}

// TestApprovalsThatAreNone: of another wait, changed, or where nothing waits.
func TestApprovalsThatAreNone(t *testing.T) {
	t.Parallel()
	w := loaded(t)
	_, err := Approve(w.ctx, w.shared, guardUnit, "000000000000", Approval{By: "x", Reason: "y"})
	require.ErrorIs(t, err, ErrNothingWaits)
	w.say(w.grants(schemas.OpDelete, 0, 4)...)
	w.round()
	_, err = Approve(w.ctx, w.shared, guardUnit, "000000000000", Approval{By: "x", Reason: "y"})
	require.ErrorContains(t, err, "what waits now has the digest")
	a := w.approve(guardUnit)
	again, err := Approve(w.ctx, w.shared, guardUnit, a.Digest, Approval{By: "Ole", Reason: "nej"})
	require.NoError(t, err)
	require.Equal(t, "Inge", again.By, "the first stands")

	key := ApprovalKey(guardUnit, a.Number)
	good, err := store.ReadAll(w.ctx, w.shared, key)
	require.NoError(t, err)
	for name, change := range map[string]func(*Approval){
		"another certificate": func(a *Approval) { a.Certificate = hashOf(nil) },
		"another list":        func(a *Approval) { a.Digest = hashOf(nil) },
		"another unit":        func(a *Approval) { a.Unit = "0147/aeldre" },
		"another kind":        func(a *Approval) { a.Kind = KindClose },
	} {
		bad := *a
		change(&bad)
		b, err := Canonical(&bad)
		require.NoError(t, err)
		require.NoError(t, w.shared.Replace(w.ctx, key, b))
		report, err := w.closer.Round(w.ctx, w.now, nil)
		require.NoError(t, err)
		require.ErrorContains(t, report.Failed[guardUnit], key, name)
		require.Equal(t, 10, w.open(guardUnit, guardGrants), name)
	}
	require.NoError(t, w.shared.Replace(w.ctx, key, good))
	w.round()
	require.Equal(t, 6, w.open(guardUnit, guardGrants))
	require.NoError(t, w.shared.Delete(w.ctx, key))
	require.ErrorContains(t, w.audited(), "read its approval")
}

// TestWaitSurvivesEachFault: whatever happens to a closer at any one of its store operations, be it
// while it makes the close wait or while it lets it go on, the next one comes to the same end.
func TestWaitSurvivesEachFault(t *testing.T) {
	t.Parallel()
	stride := 4
	if testing.Short() {
		stride = 9
	}
	for i, approved := range []bool{false, true} {
		w := loaded(t)
		w.say(w.grants(schemas.OpDelete, 0, 4)...)
		if approved {
			w.round()
			w.approve(guardUnit)
		}
		before := w.shared
		for _, fault := range []store.Fault{store.CrashBefore, store.CrashAfter, store.Refuse,
			store.LoseRequest, store.LoseAnswer} {
			for k, done := 1+i%stride, false; !done; k += stride {
				w.shared = before.Clone()
				n := 0
				w.closer = w.process(w.shared.With(func(store.Op, string) store.Fault {
					if n++; n == k {
						return fault
					}
					return store.Proceed
				}))
				report, err := w.closer.Round(w.ctx, w.now, nil)
				require.True(t, err == nil || errors.Is(err, store.ErrCrashed) || report != nil)
				done = n < k
				w.closer = w.process(w.shared.With(nil))
				w.round()
				require.Equal(t, !approved, w.head(guardUnit).Held != nil, "fault %d at %d", fault, k)
				require.NoError(t, w.guarded(guardUnit, guardGrants), "fault %d at %d", fault, k)
				if k%9 == 0 {
					require.NoError(t, w.audited(), "fault %d at %d", fault, k)
				}
			}
		}
	}
}
