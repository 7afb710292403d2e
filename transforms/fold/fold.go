// Package fold is the pure function from a set of statements on one key to what holds of it, and
// when.
//
// At each instant of valid time the statement with the greatest order wins (schemas.CompareOrder),
// so neither the order of arrival nor batches nor repetition change a row. The package owns that
// rule and what follows from it: generations, snapshots that take back, deletes that hide,
// backgrounds, metadata of what is merely said again, equal neighbours. It refuses to know
// agreements, tables and where statements are kept.
//
//	for _, s := range fold.Key(schemas.State, statements, snapshots) {
//		fmt.Println(s.From, s.To, s.Row.EventID)
//	}
package fold

import (
	"cmp"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// Segment says that a content holds over [From, To); To is schemas.Open where no end is known. Row
// is the statement whose payload and metadata hold. Of a fact, From is the date of the winner and
// To is Open.
type Segment struct {
	From, To schemas.Day
	Row      *schemas.Row
}

// Key folds the statements of one key of one dataset and one system, over every scope that speaks
// of it, in any order; rows that are no statements (raw, seal, heartbeat, snapshot) are passed
// over. snapshots are those of the statements' scopes, and only such as are in force (Whole). The
// result is in order of From and empty where nothing holds; its rows point into statements, which
// the caller leaves alone.
//
// Only the highest generation of an event counts (Latest). Two rows of one event id, ordinal and
// content are one, at the lesser order. A scope takes back
// only what it said itself. Backgrounds hold where nothing else was said, the first of them. A
// replace says nothing of all time but what its own record says after it, background too.
func Key(kind schemas.Kind, statements, snapshots []schemas.Row) []Segment {
	statements, snapshots = Latest(statements), Latest(snapshots)
	if len(snapshots) == 0 && len(statements) == 1 {
		return single(kind, &statements[0])
	}
	if r, ok := replaced(statements); ok && len(snapshots) == 0 {
		return single(kind, r)
	}
	g := newGroup(kind, statements, snapshots)
	if len(g.events) == 0 {
		return nil
	}
	g.cut()
	return g.segments(g.winners())
}

func single(kind schemas.Kind, r *schemas.Row) []Segment {
	if r.Op != schemas.OpUpsert || kind == schemas.State && r.From >= r.To {
		return nil
	}
	if kind == schemas.Fact {
		return []Segment{{From: r.From, To: schemas.Open, Row: r}}
	}
	return []Segment{{From: r.From, To: r.To, Row: r}}
}

// replaced gives the one upsert of a key that was told once, as a replace; not where it is not so
// simple.
func replaced(rows []schemas.Row) (*schemas.Row, bool) {
	if len(rows) != 2 {
		return nil, false
	}
	all, r := &rows[0], &rows[1]
	if all.Op != schemas.OpReplace {
		all, r = r, all
	}
	return r, all.Op == schemas.OpReplace && r.Op == schemas.OpUpsert && !r.Background &&
		!all.Background && schemas.CompareOrder(all, r) < 0
}

// event is one statement or snapshot, in order. from, to and alive are leaves: the stretches of
// valid time between two neighbouring bounds of the group.
type event struct {
	row      *schemas.Row
	place    *schemas.Row // whose order counts: of a snapshot over several records, its first row
	from, to int
	alive    int   // the leaf from which its scope has taken it back, to where it has not
	content  int32 // equal contents have equal numbers; nothing = says nothing
	scope    int32
}

const nothing int32 = 0

func (e *event) snapshot() bool { return e.row.Op == schemas.OpSnapshot }

// group is one key's events, least order first.
type group struct {
	kind   schemas.Kind
	events []event
	bounds []schemas.Day // leaf i is [bounds[i], bounds[i+1])
}

func newGroup(kind schemas.Kind, statements, snapshots []schemas.Row) *group {
	rows := make([]*schemas.Row, 0, len(statements)+len(snapshots))
	for i := range statements {
		if r := &statements[i]; states(kind, r) {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return &group{kind: kind}
	}
	for i := range snapshots {
		if snapshots[i].Op == schemas.OpSnapshot {
			rows = append(rows, &snapshots[i])
		}
	}
	g := &group{kind: kind, events: order(distinct(rows))}
	g.number()
	g.measure()
	return g
}

func states(kind schemas.Kind, r *schemas.Row) bool {
	switch r.Op {
	case schemas.OpReplace:
		return true
	case schemas.OpUpsert, schemas.OpDelete:
		return kind == schemas.Fact || r.From < r.To
	}
	return false
}

// distinct drops what is the same row again and keeps the least order.
func distinct(rows []*schemas.Row) []*schemas.Row {
	slices.SortFunc(rows, func(a, b *schemas.Row) int {
		return cmp.Or(CompareIdentity(a, b), schemas.CompareOrder(a, b))
	})
	return slices.CompactFunc(
		rows,
		func(a, b *schemas.Row) bool { return CompareIdentity(a, b) == 0 },
	)
}

// order sorts by place. A snapshot over several records stands before the first of its rows and
// members, so that it never takes back a member of its own.
func order(rows []*schemas.Row) []event {
	firsts := map[batch]*schemas.Row{}
	for _, r := range rows {
		if b := batchOf(r); r.Snapshot != "" {
			if f := firsts[b]; f == nil || schemas.CompareOrder(r, f) < 0 {
				firsts[b] = r
			}
		}
	}
	events := make([]event, len(rows))
	for i, r := range rows {
		events[i] = event{row: r, place: r}
		if r.Op == schemas.OpSnapshot && r.Snapshot != "" {
			events[i].place = firsts[batchOf(r)]
		}
	}
	slices.SortFunc(events, func(a, b event) int {
		return cmp.Or(
			schemas.CompareOrder(a.place, b.place),
			-compareBool(a.snapshot(), b.snapshot()),
			cmp.Compare(a.row.From, b.row.From),
			schemas.CompareOrder(a.row, b.row),
		)
	})
	return slices.CompactFunc(events, func(a, b event) bool {
		return a.snapshot() && b.snapshot() && a.place == b.place && a.row.From == b.row.From
	})
}

// number gives equal contents and equal scopes equal numbers, by sorting: no map order, no hashing.
func (g *group) number() {
	index := make([]*event, len(g.events))
	for i := range g.events {
		index[i] = &g.events[i]
	}
	rank(index, func(a, b *event) int { return cmp.Compare(a.row.Scope, b.row.Scope) },
		func(e *event, n int32) { e.scope = n })
	upserts := slices.DeleteFunc(index, func(e *event) bool { return e.row.Op != schemas.OpUpsert })
	rank(upserts, func(a, b *event) int { return compareContent(a.row, b.row) },
		func(e *event, n int32) { e.content = n })
}

func rank(index []*event, compare func(a, b *event) int, set func(*event, int32)) {
	slices.SortFunc(index, compare)
	n := nothing
	for i, e := range index {
		if i == 0 || compare(index[i-1], e) != 0 {
			n++
		}
		set(e, n)
	}
}

// measure finds the leaves. The whole of a fact's key is one.
func (g *group) measure() {
	if g.kind == schemas.Fact {
		g.bounds = []schemas.Day{schemas.Always, schemas.Open}
		for i := range g.events {
			g.events[i].to = 1
		}
		return
	}
	for i := range g.events {
		from, to := reach(g.events[i].row)
		g.bounds = append(g.bounds, from, to)
	}
	slices.Sort(g.bounds)
	g.bounds = slices.Compact(g.bounds)
	for i := range g.events {
		from, to := reach(g.events[i].row)
		g.events[i].from, _ = slices.BinarySearch(g.bounds, from)
		g.events[i].to, _ = slices.BinarySearch(g.bounds, to)
	}
}

// reach is the valid time that a row speaks of.
func reach(r *schemas.Row) (from, to schemas.Day) {
	switch r.Op {
	case schemas.OpReplace:
		return schemas.Always, schemas.Open
	case schemas.OpSnapshot:
		return r.From, schemas.Open
	}
	return r.From, r.To
}

// cut finds how far each statement is alive: up to the earliest day from which a later snapshot of
// its scope speaks. A snapshot speaks to the end of time, so what is left is one interval.
func (g *group) cut() {
	speaks := map[int32]int{} // scope → first leaf that a later snapshot speaks of
	for i := len(g.events) - 1; i >= 0; i-- {
		e := &g.events[i]
		from, spoken := speaks[e.scope]
		switch {
		case !e.snapshot() && spoken:
			e.alive = min(e.to, from)
		case !e.snapshot():
			e.alive = e.to
		case !spoken || e.from < from:
			speaks[e.scope] = e.from
		}
	}
}

// winners gives the event that holds at each leaf, -1 for none. Greatest first, each fills what is
// still free; then the backgrounds, least first. Of a replace, see behind.
func (g *group) winners() []int32 {
	f := newFilling(len(g.bounds))
	carried := g.carried()
	for i := len(g.events) - 1; i >= 0; i-- {
		if e := &g.events[i]; !e.snapshot() && !e.row.Background {
			g.behind(i, carried, f)
			f.fill(e.from, e.alive, i)
		}
	}
	for i := range g.events {
		e := &g.events[i]
		switch {
		case e.snapshot() || !e.row.Background:
		case e.row.Op == schemas.OpReplace:
			g.lacking(i, carried, func(from, to int) { f.fill(from, min(to, e.alive), i) })
		default:
			f.fill(e.from, e.alive, i)
		}
	}
	return f.winners
}

// carried is what the records of replaces say beside them, where some of it is background: a
// replace says nothing but where its own record says what is.
func (g *group) carried() map[batch][]int {
	behind := func(e event) bool { return e.row.Background && !e.snapshot() }
	if !slices.ContainsFunc(g.events, behind) {
		return nil
	}
	return g.members()
}

// behind fills, where a replace holds, what its own record says in the background: what was said
// before is gone, and nobody has said more since.
func (g *group) behind(i int, carried map[batch][]int, f *filling) {
	e := &g.events[i]
	if e.row.Op != schemas.OpReplace {
		return
	}
	for _, m := range slices.Sorted(slices.Values(carried[batchOf(e.row)])) {
		if b := &g.events[m]; m > i && b.row.Background {
			f.fill(b.from, min(b.alive, e.alive), m)
		}
	}
}

// filling is who holds at each leaf, and the first free leaf at or after each, halved on the way.
type filling struct {
	winners []int32
	next    []int
}

func newFilling(bounds int) *filling {
	f := &filling{make([]int32, bounds-1), make([]int, bounds)}
	for i := range f.next {
		f.next[i] = i
	}
	for i := range f.winners {
		f.winners[i] = -1
	}
	return f
}

func (f *filling) fill(from, to, event int) {
	for l := free(f.next, from); l < to; l = free(f.next, l) {
		f.winners[l] = int32(event)
		f.next[l] = l + 1
	}
}

func free(next []int, l int) int {
	for next[l] != l {
		next[l] = next[next[l]]
		l = next[l]
	}
	return l
}

// segments joins neighbours of equal content; the first in valid time gives the metadata.
func (g *group) segments(winners []int32) []Segment {
	var out []Segment
	runs := newRuns(g)
	last := nothing
	for l, w := range winners {
		content := nothing
		if w >= 0 {
			content = g.events[w].content
		}
		switch {
		case content == nothing:
		case content == last:
			out[len(out)-1].To = g.bounds[l+1]
		default:
			s := Segment{From: g.bounds[l], To: g.bounds[l+1], Row: g.events[runs.first(l)].row}
			if g.kind == schemas.Fact {
				s.From = g.events[w].row.From
			}
			out = append(out, s)
		}
		last = content
	}
	return out
}
