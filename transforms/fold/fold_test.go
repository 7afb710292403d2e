package fold_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms/fold"
	"github.com/stretchr/testify/require"
)

// say makes a statement: its order is its number n, its event id too.
func say(n int64, op schemas.Op, from, to schemas.Day, content string) schemas.Row {
	return schemas.Row{
		Stream:  "s",
		Offset:  n,
		Ordinal: 1,
		EventID: fmt.Sprint(n),
		Stated:  schemas.Instant(n),
		Op:      op,
		From:    from,
		To:      to,
		Payload: []byte(content),
	}
}

func inScope(scope string, r schemas.Row) schemas.Row {
	r.Scope = scope
	return r
}

func ofList(id string, r schemas.Row) schemas.Row {
	r.Snapshot = id
	return r
}

func behind(r schemas.Row) schemas.Row {
	r.Background = true
	return r
}

func lookAt(n int64, scope, id string, count int64) schemas.Row {
	r := say(n, schemas.OpSnapshot, schemas.Always, schemas.Open, "")
	r.Ordinal, r.Scope, r.Snapshot, r.Count = 0, scope, id, count
	return r
}

const (
	up      = schemas.OpUpsert
	away    = schemas.OpDelete
	anew    = schemas.OpReplace
	forever = schemas.Open
)

type rows = []schemas.Row

// keyCases are statements, snapshots, and what holds: [from,to) content of stream/offset/ordinal.
var keyCases = map[string]struct {
	statements, snapshots rows
	want                  []string
}{
	"nothing said": {},
	"a back-dated correction": {
		rows{say(1, up, 0, forever, "a"), say(2, up, 10, forever, "b"), say(3, up, 5, 10, "c")}, nil,
		[]string{"[0,5) a of s/1/1", "[5,10) c of s/3/1", "[10,open) b of s/2/1"}},
	"said again keeps its metadata": {
		rows{say(1, up, 0, forever, "a"), say(2, up, 0, forever, "a")}, nil,
		[]string{"[0,open) a of s/1/1"}},
	"said again after another does not": {
		rows{say(1, up, 0, 9, "a"), say(2, up, 0, 9, "b"), say(3, up, 0, 9, "a")}, nil,
		[]string{"[0,9) a of s/3/1"}},
	"said again after a delete does not": {
		rows{say(1, up, 0, 9, "a"), say(2, away, 0, 9, ""), say(3, up, 0, 9, "a")}, nil,
		[]string{"[0,9) a of s/3/1"}},
	"neighbours are joined": {
		rows{say(1, up, 5, 10, "a"), say(2, up, 0, 5, "a")}, nil,
		[]string{"[0,10) a of s/2/1"}},
	"a delete hides what comes late": {
		rows{say(5, away, 3, 7, ""), say(1, up, 0, 10, "a")}, nil,
		[]string{"[0,3) a of s/1/1", "[7,10) a of s/1/1"}},
	"no length, no row": {
		rows{say(1, up, 5, 5, "a"), say(2, up, 7, 3, "b")}, nil, nil},
	"a replace is the whole": {
		rows{say(1, up, 0, 9, "a"), say(2, anew, 0, 0, ""), upsertOf(2, 5, 9, "b")}, nil,
		[]string{"[5,9) b of s/2/2"}},
	"a replace that says the same": {
		rows{say(1, up, 5, 9, "b"), say(2, anew, 0, 0, ""), upsertOf(2, 5, 9, "b")}, nil,
		[]string{"[5,9) b of s/1/1"}},
	"a replace in the background delivers its row": {
		rows{behind(say(1, anew, 0, 0, "")), behind(upsertOf(1, 5, 9, "b"))}, nil,
		[]string{"[5,9) b of s/1/2"}},
	"a replace in the background takes nothing back": {
		rows{say(1, up, 0, 7, "a"), behind(say(2, anew, 0, 0, "")), behind(upsertOf(2, 5, 9, "b"))},
		nil, []string{"[0,7) a of s/1/1", "[7,9) b of s/2/2"}},
	"of two in the background the first is the whole": {
		rows{behind(say(1, anew, 0, 0, "")), behind(upsertOf(1, 5, 9, "a")),
			behind(say(2, anew, 0, 0, "")), behind(upsertOf(2, 0, 12, "b"))},
		nil, []string{"[5,9) a of s/1/2"}},
	"a replace keeps its own background": {
		rows{say(1, up, 0, 9, "a"), say(2, anew, 0, 0, ""), behind(upsertOf(2, 5, 9, "b"))}, nil,
		[]string{"[5,9) b of s/2/2"}},
	"a snapshot takes back its own scope only": {
		rows{inScope("S", say(1, up, 0, 5, "a")), inScope("T", say(2, up, 5, 9, "b"))},
		rows{lookAt(3, "S", "", 0)}, []string{"[5,9) b of s/2/1"}},
	"a snapshot reveals what another scope says": {
		rows{inScope("T", say(1, up, 0, 9, "a")), inScope("S", say(2, up, 0, 9, "b"))},
		rows{lookAt(3, "S", "", 0)}, []string{"[0,9) a of s/1/1"}},
	"a daily snapshot changes nothing": {
		rows{inScope("S", say(1, up, 0, 5, "a")), inScope("S", say(2, up, 0, 5, "a"))},
		rows{lookAt(1, "S", "", 0), lookAt(2, "S", "", 0)}, []string{"[0,5) a of s/1/1"}},
	"a snapshot over two records that says the same changes nothing": {
		rows{inScope("S", say(1, up, 0, 5, "a")), ofList("y", inScope("S", say(4, up, 0, 5, "a")))},
		rows{lookAt(2, "S", "y", 2), lookAt(4, "S", "y", 2)}, []string{"[0,5) a of s/1/1"}},
	"a snapshot over two records takes back what was said before its first": {
		rows{inScope("S", say(1, up, 0, 5, "a")), inScope("S", say(3, up, 5, 9, "b")),
			ofList("y", inScope("S", say(4, up, 9, 12, "c")))},
		rows{lookAt(2, "S", "y", 2), lookAt(4, "S", "y", 2)},
		[]string{"[5,9) b of s/3/1", "[9,12) c of s/4/1"}},
	"properly, then in the background": {
		rows{inScope("S", say(1, up, 0, 5, "a")), inScope("S", behind(say(2, up, 0, 5, "a")))},
		rows{lookAt(1, "S", "", 0), lookAt(2, "S", "", 0)}, []string{"[0,5) a of s/1/1"}},
	"a background that never held breaks no run": {
		rows{say(1, up, 0, 5, "a"), behind(say(2, up, 0, 5, "b")), say(3, up, 0, 5, "a")}, nil,
		[]string{"[0,5) a of s/1/1"}},
	"another scope says the same and takes it back": {
		rows{inScope("S", say(1, up, 0, 5, "a")), inScope("T", say(2, up, 0, 5, "a")),
			inScope("S", say(4, up, 0, 5, "a"))},
		rows{lookAt(3, "T", "", 0), lookAt(4, "S", "", 0)}, []string{"[0,5) a of s/1/1"}},
	"what holds again is as it was": {
		rows{inScope("S", say(1, up, 0, 5, "a")), inScope("S", say(2, up, 0, 5, "a")),
			inScope("T", say(3, up, 0, 5, "b")), inScope("S", say(5, up, 0, 5, "a"))},
		rows{lookAt(4, "T", "", 0)}, []string{"[0,5) a of s/1/1"}},
	"a snapshot that lacks it breaks the run": {
		rows{inScope("S", say(1, up, 0, 5, "a")), inScope("S", say(3, up, 0, 5, "a"))},
		rows{lookAt(1, "S", "", 0), lookAt(2, "S", "", 0), lookAt(3, "S", "", 0)},
		[]string{"[0,5) a of s/3/1"}},
	"a background fills and the first holds": {
		rows{say(1, up, 5, 9, "a"), behind(say(2, up, 0, 9, "b")), behind(say(3, up, 0, 12, "c"))},
		nil, []string{"[0,5) b of s/2/1", "[5,9) a of s/1/1", "[9,12) c of s/3/1"}},
}

func TestKey(t *testing.T) {
	for name, c := range keyCases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range fold.Key(schemas.State, c.statements, c.snapshots) {
				to := fmt.Sprint(int32(s.To))
				if s.To == schemas.Open {
					to = "open"
				}
				got = append(got, fmt.Sprintf("[%d,%s) %s of %s/%d/%d", s.From, to, s.Row.Payload,
					s.Row.Stream, s.Row.Offset, s.Row.Ordinal))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func upsertOf(n int64, from, to schemas.Day, content string) schemas.Row {
	r := say(n, up, from, to, content)
	r.Ordinal = 2
	return r
}

func TestFactIsOneInstant(t *testing.T) {
	moved := []schemas.Row{say(1, up, 3, 0, "a"), say(2, up, 8, 0, "b")}
	got := fold.Key(schemas.Fact, moved, nil)
	require.Len(t, got, 1)
	require.Equal(t, schemas.Day(8), got[0].From)
	require.Equal(t, schemas.Open, got[0].To)
	require.Empty(
		t,
		fold.Key(schemas.Fact, append(moved, say(3, away, 3, 4, "")), nil),
		"a delete of a day is of the key",
	)
}

func TestWholeCountsDistinctEvents(t *testing.T) {
	head := lookAt(1, "S", "x", 3)
	member := func(n int64, id, scope string) schemas.Row {
		r := inScope(scope, say(n, up, 0, 1, "a"))
		r.Snapshot = id
		return r
	}
	rows := []schemas.Row{
		head,
		member(2, "x", "S"),
		member(2, "x", "S"),
		member(3, "y", "S"),
		member(4, "x", "T"),
	}
	require.False(t, fold.Whole(&head, rows))
	require.True(t, fold.Whole(&head, append(rows, member(5, "x", "S"))))
	alone := lookAt(1, "S", "", 3)
	require.True(t, fold.Whole(&alone, nil))
}

func BenchmarkFold(b *testing.B) {
	for _, n := range []int{1, 4, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rows, looks := long(n)
			b.ReportAllocs()
			for b.Loop() {
				fold.Key(schemas.State, rows, looks)
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkFoldSegments: each statement ends the one before, so each leaves a segment.
func BenchmarkFoldSegments(b *testing.B) {
	var rows []schemas.Row
	for i := range int64(10_000) {
		rows = append(rows, say(i, up, schemas.Day(i), forever, string(rune('a'+i%3))))
	}
	for b.Loop() {
		fold.Key(schemas.State, rows, nil)
	}
}

// long is a key whose every statement overlaps every other, under a snapshot now and then: the
// worst shape.
func long(n int) (rows, snapshots []schemas.Row) {
	for i := range int64(n) {
		from := schemas.Day(i * 7919 % int64(n))
		rows = append(rows, inScope("S", say(i, up, from, forever, string(rune('a'+i%3)))))
		if i%100 == 50 {
			snapshots = append(snapshots, lookAt(i, "S", "", 0))
		}
	}
	return rows, snapshots
}

// TestSameIDOtherContent: a record that comes again under its id with other content is another
// record, and what it lacks is taken back.
func TestSameIDOtherContent(t *testing.T) {
	snapshot := func(offset, digest int64) schemas.Row {
		return schemas.Row{
			System:   "cura",
			EventID:  "a",
			Stream:   "c/t/0",
			Offset:   offset,
			Sequence: offset,
			Ordinal:  1,
			Digest:   digest,
			Op:       schemas.OpSnapshot,
			Scope:    "p",
			From:     schemas.Always,
			To:       schemas.Open,
		}
	}
	member := schemas.Row{
		System:   "cura",
		EventID:  "a",
		Stream:   "c/t/0",
		Offset:   1,
		Sequence: 1,
		Ordinal:  2,
		Digest:   7,
		Op:       schemas.OpUpsert,
		Scope:    "p",
		Key:      "k",
		From:     10,
		To:       schemas.Open,
		Payload:  []byte("x"),
	}
	again := member
	again.Offset, again.Sequence = 2, 2
	require.Len(
		t,
		fold.Key(
			schemas.State,
			[]schemas.Row{member, again},
			[]schemas.Row{snapshot(1, 7), snapshot(2, 7)},
		),
		1,
		"sent again",
	)
	require.Empty(
		t,
		fold.Key(schemas.State, []schemas.Row{member}, []schemas.Row{snapshot(1, 7), snapshot(2, 8)}),
		"the second lacks the key",
	)
}

// TestSentAgainUnderAnotherMapping: the second record of an event counts as the first, whatever a
// mapping that has changed meanwhile makes of it, and in whatever order they came.
func TestSentAgainUnderAnotherMapping(t *testing.T) {
	ended, member := lookAt(1, "S", "", 0), inScope("S", upsertOf(1, 0, 9, "a"))
	ended.From = 9
	gone, again := lookAt(2, "S", "", 0), inScope("S", upsertOf(2, 3, 9, "b"))
	other := inScope("S", say(0, up, 0, 5, "o"))
	for _, r := range []*schemas.Row{&ended, &member, &gone, &again} {
		r.EventID, r.Digest = "e", 7
	}
	for _, late := range []bool{false, true} {
		statements, snapshots := rows{other, member, again}, rows{ended, gone}
		if late {
			slices.Reverse(statements)
			slices.Reverse(snapshots)
		}
		got := fold.Key(schemas.State, statements, snapshots)
		require.Equal(t, []string{"[0,9) a of s/1/2"}, lines(got))
	}
}

// TestBackgroundSaidFirst: what a background said first is merely said again by another; the
// other's word counts, the background's metadata hold. A background that never held breaks no run.
func TestBackgroundSaidFirst(t *testing.T) {
	background := func(n int64, content string) schemas.Row {
		r := say(n, schemas.OpUpsert, 10, schemas.Open, content)
		r.Background = true
		return r
	}
	segments := fold.Key(
		schemas.State,
		[]schemas.Row{background(1, "x"), say(2, schemas.OpUpsert, 10, schemas.Open, "x")},
		nil,
	)
	require.Len(t, segments, 1)
	require.Equal(t, "1", segments[0].Row.EventID)
	segments = fold.Key(schemas.State, []schemas.Row{background(1, "x"), background(2, "y"),
		say(3, schemas.OpUpsert, 10, schemas.Open, "x")}, nil)
	require.Len(t, segments, 1)
	require.Equal(t, "1", segments[0].Row.EventID)
}
