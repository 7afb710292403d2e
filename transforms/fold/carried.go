package fold

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

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

// members is the events of each batch that holds a replace, in order of valid time.
func (g *group) members() map[batch][]int {
	var m map[batch][]int
	for i := range g.events {
		if e := &g.events[i]; e.row.Op == schemas.OpReplace {
			if m == nil {
				m = map[batch][]int{}
			}
			m[batchOf(e.row)] = nil
		}
	}
	for i := range g.events {
		e := &g.events[i]
		if e.snapshot() || e.row.Op == schemas.OpReplace {
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

// lacking yields the stretches of a replace of which no later member of its own batch speaks.
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
