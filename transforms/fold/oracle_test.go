package fold_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms/fold"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The oracle knows no intervals: it asks, day by day, who of the whole set holds.

// days is the valid time of the generated sets, [0, days), beside what lies before and after.
const days = 12

type oracle struct {
	kind       schemas.Kind
	statements []*schemas.Row
	snapshots  []*schemas.Row
	place      map[*schemas.Row]*schemas.Row
}

func newOracle(kind schemas.Kind, statements, snapshots []schemas.Row) *oracle {
	o := &oracle{kind: kind, place: map[*schemas.Row]*schemas.Row{}}
	all := slices.Concat(statements, snapshots)
	o.statements, o.snapshots = distinct(said(statements, all)), distinct(said(snapshots, all))
	for _, s := range o.snapshots {
		o.place[s] = s
		for _, r := range slices.Concat(o.statements, o.snapshots) {
			if ofOneBatch(s, r) && s.Snapshot != "" && schemas.CompareOrder(r, o.place[s]) < 0 {
				o.place[s] = r
			}
		}
	}
	return o
}

// said leaves out what an event has said otherwise in a later generation or in an earlier record of
// that generation, and withdrawals. Snapshots are apart, by scope: all are of one group's.
func said(rows, all []schemas.Row) []schemas.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r schemas.Row) bool {
		return r.Op == schemas.OpWithdrawn || slices.ContainsFunc(all, func(o schemas.Row) bool {
			if o.EventID != r.EventID || o.OfSnapshot() != r.OfSnapshot() ||
				r.OfSnapshot() && o.Scope != r.Scope {
				return false
			}
			return o.Generation > r.Generation ||
				o.Generation == r.Generation && recordOf(&o) < recordOf(&r)
		})
	})
}

// recordOf spells the order of records; all its numbers have few digits.
func recordOf(r *schemas.Row) string {
	return fmt.Sprintf("%03d %03d %s %03d", r.Stated, r.Sequence, r.Stream, r.Offset)
}

func distinct(rows []schemas.Row) []*schemas.Row {
	least := map[string]*schemas.Row{}
	for i := range rows {
		r := &rows[i]
		id := fmt.Sprint(
			r.EventID,
			r.Ordinal,
			r.Op,
			r.From,
			r.To,
			r.Scope,
			"/",
			r.Snapshot,
			r.Background,
			r.Payload,
		)
		if l := least[id]; l == nil || schemas.CompareOrder(r, l) < 0 {
			least[id] = r
		}
	}
	var out []*schemas.Row
	for _, r := range least {
		out = append(out, r)
	}
	slices.SortFunc(out, schemas.CompareOrder)
	return out
}

func ofOneBatch(a, b *schemas.Row) bool {
	if a.Scope != b.Scope || a.Snapshot != b.Snapshot {
		return false
	}
	return a.Snapshot != "" || a.Stream == b.Stream && a.Offset == b.Offset
}

func (o *oracle) covers(r *schemas.Row, d schemas.Day) bool {
	switch {
	case o.kind == schemas.Fact:
		return true
	case r.Op == schemas.OpReplace:
		return true
	case r.Op == schemas.OpSnapshot:
		return r.From <= d
	}
	return r.From <= d && d < r.To
}

func (o *oracle) before(s, r *schemas.Row) bool {
	if s.Op == schemas.OpSnapshot && s.Snapshot != "" {
		return schemas.CompareOrder(o.place[s], r) <= 0
	}
	return schemas.CompareOrder(s, r) < 0
}

func (o *oracle) takenBack(r *schemas.Row, d schemas.Day) bool {
	return slices.ContainsFunc(o.snapshots, func(s *schemas.Row) bool {
		return s.Scope == r.Scope && !o.before(s, r) && o.covers(s, d)
	})
}

func (o *oracle) winner(d schemas.Day) *schemas.Row {
	var front, back *schemas.Row
	for _, r := range o.statements {
		switch {
		case !o.covers(r, d) || o.takenBack(r, d):
		case r.Background && r.Op == schemas.OpReplace && !o.lacks(r, false, d):
		case r.Background && back == nil:
			back = r
		case !r.Background:
			front = r
		}
	}
	switch {
	case front == nil:
		return back
	case front.Op == schemas.OpReplace:
		return cmp.Or(o.behind(front, d), front)
	}
	return front
}

// behind is the first that a replace's own record says in the background of the day.
func (o *oracle) behind(s *schemas.Row, d schemas.Day) *schemas.Row {
	for _, m := range o.statements {
		if m.Background && m.Op != schemas.OpReplace && ofOneBatch(s, m) && o.before(s, m) &&
			o.covers(m, d) && !o.takenBack(m, d) {
			return m
		}
	}
	return nil
}

// lacks says whether no member of the snapshot's or replace's own batch speaks of the day after it.
func (o *oracle) lacks(s *schemas.Row, background bool, d schemas.Day) bool {
	return !slices.ContainsFunc(o.statements, func(m *schemas.Row) bool {
		return m.Op != schemas.OpReplace && (!background || m.Background) && ofOneBatch(s, m) &&
			o.before(s, m) && m != s && o.covers(m, d)
	})
}

// first is who began the run that holds at the day. It looks at what holds after each statement and
// snapshot in turn: while that is equal, the row keeps who it had; what was hidden and holds
// again is as it was.
func (o *oracle) first(d schemas.Day) *schemas.Row {
	var holds, first *schemas.Row
	began := map[*schemas.Row]*schemas.Row{}
	all := o.inOrder()
	for i, r := range all {
		if !o.covers(r, d) {
			continue
		}
		began[r] = r
		w := o.upTo(all[:i+1], d).winner(d)
		switch same := says(w) == says(holds); {
		case same && w == r:
			began[r] = first
		case !same && w != nil:
			first = began[w]
		}
		holds = w
	}
	return first
}

// upTo knows what was said so far. A snapshot or replace, of which a member speaks of the day, is
// said with the first of them.
func (o *oracle) upTo(said []*schemas.Row, d schemas.Day) *oracle {
	p := &oracle{kind: o.kind, place: o.place}
	for _, r := range said {
		head := r.Op == schemas.OpSnapshot || r.Op == schemas.OpReplace
		if head && !o.lacks(r, false, d) && p.and(said).lacks(r, false, d) {
			continue
		}
		if r.Op == schemas.OpSnapshot {
			p.snapshots = append(p.snapshots, r)
		} else {
			p.statements = append(p.statements, r)
		}
	}
	return p
}

// and knows the statements of rows, and no snapshots.
func (o *oracle) and(rows []*schemas.Row) *oracle {
	statements := slices.DeleteFunc(
		slices.Clone(rows),
		func(r *schemas.Row) bool { return r.Op == schemas.OpSnapshot },
	)
	return &oracle{kind: o.kind, place: o.place, statements: statements}
}

func (o *oracle) inOrder() []*schemas.Row {
	all := slices.Concat(o.snapshots, o.statements)
	at := func(r *schemas.Row) *schemas.Row { return cmp.Or(o.place[r], r) }
	slices.SortStableFunc(all, func(a, b *schemas.Row) int {
		return schemas.CompareOrder(at(a), at(b))
	})
	return all
}

// says is the content that a statement gives, "" for nothing.
func says(r *schemas.Row) string {
	if r == nil || r.Op != schemas.OpUpsert {
		return ""
	}
	return string(r.Payload)
}

func (o *oracle) rows() []string {
	var out []string
	var from schemas.Day
	var last, first *schemas.Row
	end := func(d schemas.Day) {
		if last != nil {
			out = append(out, line(from, d, first))
		}
	}
	all := []schemas.Day{schemas.Always}
	for d := range schemas.Day(days + 1) {
		all = append(all, d)
	}
	if o.kind == schemas.Fact {
		all = all[:1]
	}
	for _, d := range all {
		w := o.winner(d)
		if w != nil && w.Op != schemas.OpUpsert {
			w = nil
		}
		if w != nil && last != nil && string(w.Payload) == string(last.Payload) {
			continue
		}
		end(d)
		if last = w; w != nil {
			from, first = d, o.first(d)
			if o.kind == schemas.Fact {
				from = w.From
			}
		}
	}
	end(schemas.Open)
	return out
}

func line(from, to schemas.Day, r *schemas.Row) string {
	return fmt.Sprintf("[%d,%d) %s of %s/%d/%d", from, to, r.Payload, r.Stream, r.Offset, r.Ordinal)
}

func lines(segments []fold.Segment) []string {
	var out []string
	for _, s := range segments {
		out = append(out, line(s.From, s.To, s.Row))
	}
	return out
}

// set is what landed of one key, in order of arrival.
type set struct {
	kind schemas.Kind
	rows []schemas.Row
}

func (s set) statements() []schemas.Row {
	return slices.DeleteFunc(
		slices.Clone(s.rows),
		func(r schemas.Row) bool { return r.OfSnapshot() },
	)
}

// snapshots is those that count and are in force, or all.
func (s set) snapshots(whole bool) []schemas.Row {
	all := slices.DeleteFunc(
		slices.Clone(s.rows),
		func(r schemas.Row) bool { return !r.OfSnapshot() },
	)
	if !whole {
		return all
	}
	return slices.DeleteFunc(
		said(all, all),
		func(r schemas.Row) bool { return !fold.Whole(&r, s.rows) },
	)
}

func (s set) String() string {
	var b strings.Builder
	for _, r := range s.rows {
		fmt.Fprintf(
			&b,
			"\n%s %s/%d/%d.%d t%d #%d %s [%d,%d) scope %q snapshot %q/%d %s",
			r.EventID,
			r.Stream,
			r.Offset,
			r.Ordinal,
			r.Generation,
			r.Stated,
			r.Sequence,
			r.Op,
			r.From,
			r.To,
			r.Scope,
			r.Snapshot,
			r.Count,
			r.Payload,
		)
		if r.Background {
			b.WriteString(" background")
		}
	}
	return b.String()
}

var sets = rapid.Custom(func(t *rapid.T) set {
	s := set{
		kind: rapid.SampledFrom(
			[]schemas.Kind{schemas.State, schemas.State, schemas.Fact},
		).Draw(
			t,
			"kind",
		),
	}
	for n := range rapid.IntRange(1, 7).Draw(t, "records") {
		record := drawRecord(t, n)
		s.rows = append(s.rows, record...)
		for g := range int32(max(0, rapid.IntRange(-2, 2).Draw(t, "replays"))) {
			s.rows = append(s.rows, drawReplay(t, n, g+1)...)
		}
		if rapid.IntRange(0, 5).Draw(t, "again") == 0 {
			s.rows = append(s.rows, drawAgain(t, n, record)...)
		}
	}
	return s
})

// drawAgain is a record sent once more, before or after a mapping has changed.
func drawAgain(t *rapid.T, n int, record []schemas.Row) []schemas.Row {
	again, later := slices.Clone(record), rapid.Int64Range(-1, 3).Draw(t, "later")
	if len(record) > 0 && rapid.Bool().Draw(t, "otherwise") {
		again = drawRecord(t, n)
		for i := range again {
			again[i].Stated = record[0].Stated
			again[i].Sequence = record[0].Sequence
		}
	}
	for i := range again {
		again[i].Offset += 100
		again[i].Sequence = max(0, again[i].Sequence+later)
	}
	return again
}

// drawReplay is another generation of a record: it says something else, or withdraws all.
func drawReplay(t *rapid.T, n int, generation int32) (rows []schemas.Row) {
	if rapid.IntRange(0, 2).Draw(t, "withdrawn") > 0 {
		rows = drawRecord(t, n)
	}
	gone := schemas.Row{Stream: "a", Offset: int64(n), EventID: fmt.Sprint("e", n), Ordinal: 10,
		Op: schemas.OpWithdrawn, From: schemas.Always, To: schemas.Open, Arrived: schemas.Instant(n)}
	rows = append(rows, gone)
	for _, scope := range []string{"", "S", "T"} {
		snapshot := gone
		snapshot.Absent, snapshot.Scope = schemas.AbsentGone, scope
		rows = append(rows, snapshot)
	}
	for i := range rows {
		rows[i].Generation = generation
	}
	return rows
}

func drawRecord(t *rapid.T, n int) []schemas.Row {
	small := func(label string, most int64) int64 {
		return rapid.Int64Range(0, most).Draw(t, label)
	}
	base := schemas.Row{
		Stream:  "a",
		Offset:  int64(n),
		EventID: fmt.Sprint("e", n),
		Arrived: schemas.Instant(n),
		Stated: schemas.Instant(
			small("stated", 3),
		),
		Sequence: small("sequence", 2),
		From:     schemas.Always,
		To:       schemas.Open,
		Scope:    rapid.SampledFrom([]string{"", "S", "S", "T"}).Draw(t, "scope"),
	}
	var rows []schemas.Row
	add := func(r schemas.Row) {
		r.Ordinal = int32(len(rows) + 1)
		rows = append(rows, r)
	}
	switch head := small("head", 5); {
	case head == 0:
		base.Op, base.Background = schemas.OpReplace, small("behind", 1) == 0
		add(base)
	case head <= 2 && base.Scope != "":
		base.Op = schemas.OpSnapshot
		if small("speaks", 1) == 1 {
			base.From = schemas.Day(small("from", days-1))
		}
		if small("several", 1) == 1 {
			base.Snapshot, base.Count = "id", 2
		}
		add(base)
		base.Count = 0
	}
	for range small("rows", 3) {
		r := base
		r.Op = rapid.SampledFrom(
			[]schemas.Op{schemas.OpUpsert, schemas.OpUpsert, schemas.OpUpsert, schemas.OpDelete},
		).Draw(
			t,
			"op",
		)
		r.From = schemas.Day(small("from", days-1))
		r.To = r.From + schemas.Day(small("length", days))
		if r.To > days {
			r.To = schemas.Open
		}
		if small("always", 5) == 0 {
			r.From = schemas.Always
		}
		r.Background = small("background", 3) == 0
		if r.Op == schemas.OpUpsert {
			r.Payload = []byte{"abc"[small("payload", 2)]}
		}
		add(r)
	}
	return rows
}

func TestKeyIsWhatTheOracleSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := sets.Draw(t, "set")
		want := newOracle(s.kind, s.statements(), s.snapshots(true)).rows()
		require.Equal(t, want, lines(fold.Key(s.kind, s.statements(), s.snapshots(true))), "%s", s)
	})
}

func TestKeyDoesNotDependOnOrderOrRepetition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := sets.Draw(t, "set")
		want := lines(fold.Key(s.kind, s.statements(), s.snapshots(true)))
		rows := append(
			slices.Clone(s.rows),
			s.rows[:rapid.IntRange(0, len(s.rows)).Draw(t, "doubled")]...)
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(
			rand.NewPCG(seed, 0),
		).Shuffle(
			len(rows),
			func(i, j int) { rows[i], rows[j] = rows[j], rows[i] },
		)
		mixed := set{s.kind, rows}
		require.Equal(
			t,
			want,
			lines(fold.Key(s.kind, mixed.statements(), mixed.snapshots(true))),
			"%s",
			s,
		)
	})
}
