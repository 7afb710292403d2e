package fold

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// runs tells, leaf by leaf from the left, who first said what holds there: it goes through all that
// is said of the leaf, in order, and sees what holds after each. As long as that is equal, it is
// merely said again, or kept by another when somebody takes back, and the run goes on. Only where a
// segment begins it is asked, so the work is that of the statements that cover those leaves.
//
// What a record, or a snapshot over several, says of a leaf is said when the first of its members
// speaks of it: a snapshot or a replace does nothing before, so a daily snapshot breaks no run.
type runs struct {
	*group
	starts  []int32 // events by the leaf on which they begin
	began   int     // how many of starts have been reached
	active  []int32 // events that cover the leaf, least order first
	heads   []int32 // of each event its batch with a snapshot or replace, counted from 1; 0 = none
	batch   []batchAt
	kill    []int32 // of each scope the event that has taken back what it said before
	start   []int32 // of each event the first of the run that it went on with
	effects []bool  // of each active event, whether it does something in its own turn
	front   []entry // what is said and not covered, least order first
	back    []int32 // backgrounds, least order first
}

// batchAt is a batch on the leaf at hand; events count from 1, 0 = none.
type batchAt struct {
	snapshot int32 // is to take effect with the batch's next member
	replace  int32 // a replace with a member in the background
	speaks   bool  // a later event of it speaks of the leaf
	behind   bool  // and one in the background
}

// entry is a statement and its place in the order, which of a background that stands for its
// record's replace is the replace's.
type entry struct{ event, place int32 }

func newRuns(g *group) *runs {
	r := &runs{group: g, heads: make([]int32, len(g.events)), start: make([]int32, len(g.events))}
	numbers := map[batch]int32{}
	scopes := int32(0)
	for i := range g.events {
		e := &g.events[i]
		scopes = max(scopes, e.scope)
		r.starts = append(r.starts, int32(i))
		if e.snapshot() || e.row.Op == schemas.OpReplace {
			if b := batchOf(e.row); numbers[b] == 0 {
				numbers[b] = int32(len(numbers) + 1)
			}
		}
	}
	if len(numbers) > 0 {
		for i := range g.events {
			r.heads[i] = numbers[batchOf(g.events[i].row)]
		}
	}
	r.batch = make([]batchAt, len(numbers)+1)
	r.kill = make([]int32, scopes+1)
	slices.SortStableFunc(r.starts, func(a, b int32) int {
		return g.events[a].from - g.events[b].from
	})
	return r
}

// at moves to a leaf, which is right of those before.
func (r *runs) at(leaf int) {
	r.active = slices.DeleteFunc(r.active, func(i int32) bool { return r.events[i].to <= leaf })
	n := len(r.active)
	for ; r.began < len(r.starts) && r.events[r.starts[r.began]].from <= leaf; r.began++ {
		if i := r.starts[r.began]; r.events[i].to > leaf {
			r.active = append(r.active, i)
		}
	}
	if n = max(n, 1); len(r.active) > n && !slices.IsSorted(r.active[n-1:]) {
		slices.Sort(r.active)
	}
}

// begins says that the last of the active events, and no other, began the run: what plainly held
// before it is something else. It spares most leaves the walk.
func (r *runs) begins() bool {
	plain := func(e *event) bool {
		return !e.snapshot() && !e.row.Background && e.row.Op != schemas.OpReplace
	}
	n := len(r.active)
	if n == 0 || !plain(&r.events[r.active[n-1]]) {
		return false
	}
	if n == 1 {
		return true
	}
	last, before := &r.events[r.active[n-1]], &r.events[r.active[n-2]]
	return plain(before) && last.content != before.content
}

// first is the event that began the run which holds at the end of the leaf.
func (r *runs) first(leaf int) int32 {
	if r.at(leaf); r.begins() {
		return r.active[len(r.active)-1]
	}
	clear(r.kill)
	r.front, r.back = r.front[:0], r.back[:0]
	r.tell()
	content, first := nothing, int32(0)
	for k, i := range r.active {
		if r.start[i] = i; r.effects[k] {
			r.say(i)
		}
		w := r.holds()
		is := nothing
		if w >= 0 {
			is = r.events[w].content
		}
		switch {
		case is == content && w == i:
			r.start[i] = first
		case is != content && w >= 0:
			first = r.start[w]
		}
		content = is
	}
	return first
}

// tell finds which of the active events do something when their turn comes. A snapshot or replace
// of which its own record says more does nothing.
func (r *runs) tell() {
	r.effects = slices.Grow(r.effects[:0], len(r.active))[:len(r.active)]
	for _, i := range r.active {
		r.batch[r.heads[i]] = batchAt{}
	}
	for k, i := range slices.Backward(r.active) {
		e, b := &r.events[i], &r.batch[r.heads[i]]
		switch {
		case r.heads[i] == 0:
			r.effects[k] = true
		case e.snapshot():
			if r.effects[k] = !b.speaks; b.speaks {
				b.snapshot = max(b.snapshot, i+1)
			}
		case e.row.Op == schemas.OpReplace:
			if r.effects[k] = !b.speaks; b.behind && !e.row.Background {
				b.replace = i + 1
			}
		default:
			r.effects[k], b.speaks, b.behind = true, true, b.behind || e.row.Background
		}
	}
}

// say lets an event take its effect.
func (r *runs) say(i int32) {
	e, b := &r.events[i], &r.batch[r.heads[i]]
	if e.snapshot() {
		r.kill[e.scope] = max(r.kill[e.scope], i)
		return
	}
	if r.heads[i] > 0 && b.snapshot > 0 && b.snapshot-1 < i {
		r.kill[e.scope] = max(r.kill[e.scope], b.snapshot-1)
		b.snapshot = 0
	}
	switch {
	case !e.row.Background:
		r.front = append(r.front, entry{i, i})
	case r.heads[i] > 0 && b.replace > 0 && b.replace-1 < i && b.replace-1 >= r.kill[e.scope]:
		place := b.replace - 1
		b.replace = 0
		at := len(r.front)
		for at > 0 && r.front[at-1].place > place {
			at--
		}
		r.front = slices.Insert(r.front, at, entry{i, place})
	default:
		r.back = append(r.back, i)
	}
}

// holds is the event that holds now, -1 for none.
func (r *runs) holds() int32 {
	dead := func(event, place int32) bool { return place < r.kill[r.events[event].scope] }
	for n := len(r.front); n > 0; n-- {
		e := r.front[n-1]
		if !dead(e.event, e.place) {
			return e.event
		}
		r.front = r.front[:n-1]
		if !dead(e.event, e.event) { // its replace is taken back, and not it
			at, _ := slices.BinarySearch(r.back, e.event)
			r.back = slices.Insert(r.back, at, e.event)
		}
	}
	for len(r.back) > 0 && dead(r.back[0], r.back[0]) {
		r.back = r.back[1:]
	}
	if len(r.back) == 0 {
		return -1
	}
	return r.back[0]
}
