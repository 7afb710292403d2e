package fold

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// paint finds, for the leaves that an event of one class (background or not) has won, the first
// event of the unbroken run of equal contents that ends with the winner. It lays the statements
// over each other in order, where a background won only backgrounds; what finds its own content
// there changes nothing: what a background said first, another merely says again. A run is
// broken by another content, by a delete, and by a snapshot of the scope that spoke last, where it
// lacks the key.
func (g *group) paint(background bool, winners, first []int32) {
	won := g.won(background, winners)
	if len(won) == 0 {
		return
	}
	members := g.members(background)
	c := newCanvas(len(winners))
	for i := range g.events {
		e := &g.events[i]
		switch {
		case e.snapshot():
			g.lacking(i, members, func(from, to int) { c.close(from, to, e.scope) })
		case background && !e.row.Background:
			continue
		case e.row.Op == schemas.OpReplace:
			g.lacking(
				i,
				members,
				func(from, to int) { c.paint(from, to, nothing, e.scope, int32(i)) },
			)
		default:
			c.paint(e.from, e.to, e.content, e.scope, int32(i))
		}
		for ; len(won) > 0 && winners[won[0]] == int32(i); won = won[1:] {
			first[won[0]] = c.first(won[0])
		}
	}
}

// won is the leaves that the class's statements won, in order of the winner.
func (g *group) won(background bool, winners []int32) []int {
	var won []int
	for l, w := range winners {
		if w >= 0 && g.events[w].content != nothing && g.events[w].row.Background == background {
			won = append(won, l)
		}
	}
	slices.SortStableFunc(won, func(a, b int) int { return int(winners[a] - winners[b]) })
	return won
}

// batch is what is said at one time by one scope: a record, or the records of one snapshot.
type batch struct {
	stream          schemas.Stream
	offset          int64
	snapshot, scope string
}

func batchOf(r *schemas.Row) batch {
	if r.Snapshot != "" {
		return batch{snapshot: r.Snapshot, scope: r.Scope}
	}
	return batch{stream: r.Stream, offset: r.Offset, scope: r.Scope}
}

// members is the events of each batch that holds a snapshot or a replace, in order of valid time.
func (g *group) members(background bool) map[batch][]int {
	var m map[batch][]int
	for i := range g.events {
		if e := &g.events[i]; e.snapshot() || e.row.Op == schemas.OpReplace {
			if m == nil {
				m = map[batch][]int{}
			}
			m[batchOf(e.row)] = nil
		}
	}
	for i := range g.events {
		e := &g.events[i]
		if e.snapshot() || e.row.Op == schemas.OpReplace || background && !e.row.Background {
			continue
		}
		if b := batchOf(e.row); len(m) > 0 {
			if list, ok := m[b]; ok {
				m[b] = append(list, i)
			}
		}
	}
	for _, list := range m {
		slices.SortStableFunc(
			list,
			func(a, b int) int { return g.events[a].from - g.events[b].from },
		)
	}
	return m
}

// lacking yields the stretches of a snapshot or a replace of which no later member of its own batch
// speaks.
func (g *group) lacking(i int, members map[batch][]int, yield func(from, to int)) {
	e := &g.events[i]
	at := e.from
	for _, m := range members[batchOf(e.row)] {
		if m < i {
			continue
		}
		if from := g.events[m].from; from > at {
			yield(at, min(from, e.to))
		}
		at = max(at, g.events[m].to)
	}
	if at < e.to {
		yield(at, e.to)
	}
}

// canvas is a binary tree over the leaves. A node that is not mixed has one content and one last
// scope all over, and is passed in one step, so that n strokes cost n log n in all.
type canvas struct{ nodes []node }

type node struct {
	mixed   bool
	content int32
	scope   int32  // that spoke last; of a mixed node without meaning
	start   int32  // the event that began the run all over; -1: the children know
	scopes  uint64 // which scopes hold below, by number modulo 64
}

func newCanvas(leaves int) *canvas {
	size := 1
	for size < leaves {
		size *= 2
	}
	return &canvas{nodes: make([]node, 2*size)}
}

// paint lays a content over [from, to).
func (c *canvas) paint(from, to int, content, scope, event int32) {
	c.stroke(1, 0, len(c.nodes)/2, from, to, func(n *node) bool {
		if n.mixed {
			return false
		}
		if n.content != content || content == nothing {
			n.start = event
		}
		n.content, n.scope, n.scopes = content, scope, 0
		if content != nothing {
			n.scopes = 1 << (scope % 64)
		}
		return true
	})
}

// close ends the runs over [from, to) of which the scope spoke last.
func (c *canvas) close(from, to int, scope int32) {
	c.stroke(1, 0, len(c.nodes)/2, from, to, func(n *node) bool {
		if n.scopes&(1<<(scope%64)) == 0 {
			return true
		}
		if !n.mixed && n.scope == scope {
			n.content, n.scope, n.scopes = nothing, 0, 0
		}
		return !n.mixed
	})
}

// stroke calls do for the nodes that cover [from, to); where it declines, for the node's children.
func (c *canvas) stroke(n, low, high, from, to int, do func(*node) bool) {
	if to <= low || high <= from {
		return
	}
	if from <= low && high <= to && do(&c.nodes[n]) {
		return
	}
	c.push(n)
	middle := (low + high) / 2
	c.stroke(2*n, low, middle, from, to, do)
	c.stroke(2*n+1, middle, high, from, to, do)
	c.pull(n)
}

func (c *canvas) push(n int) {
	p := &c.nodes[n]
	if p.mixed {
		return
	}
	for k := 2 * n; k <= 2*n+1; k++ {
		child := &c.nodes[k]
		if p.start >= 0 {
			child.start = p.start
		}
		child.mixed, child.content, child.scope, child.scopes = false, p.content, p.scope, p.scopes
	}
}

func (c *canvas) pull(n int) {
	l, r := &c.nodes[2*n], &c.nodes[2*n+1]
	p := &c.nodes[n]
	p.mixed = l.mixed || r.mixed || l.content != r.content || l.scope != r.scope
	p.content, p.scope, p.scopes, p.start = l.content, l.scope, l.scopes|r.scopes, -1
	if l.start == r.start {
		p.start = l.start
	}
}

// first is the event that began the run at a leaf.
func (c *canvas) first(leaf int) int32 {
	n, low, high := 1, 0, len(c.nodes)/2
	for c.nodes[n].mixed || c.nodes[n].start < 0 {
		middle := (low + high) / 2
		if leaf < middle {
			n, high = 2*n, middle
		} else {
			n, low = 2*n+1, middle
		}
	}
	return c.nodes[n].start
}
