package cpr

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// Bounds of what many keys make of many residences, each with each. No person comes near.
const (
	keysMax = 1_000
	heldMax = 50_000
)

// budget rejects a block that goes beyond the bounds.
func budget(rec string, keys, rows int) *schemas.Finding {
	if keys <= keysMax && rows <= heldMax {
		return nil
	}
	return schemas.Reject(schemas.CodeBudget, rec, "order the person anew",
		"a block tells of at most %d types or relations, in %d rows", keysMax, heldMax)
}

// protectedRow is a protection as one municipality holds it.
type protectedRow struct {
	held
	*row
}

// spokenRow says from when the block speaks of a type of protection. Layout A has no history: the
// block speaks of a type from START_DT, of a type that it lacks from PRODDTO (Always = not known).
// Layout B tells all, and from is not read.
type spokenRow struct {
	kind string
	from schemas.Day
}

// unprotected is that of a block without protections.
func (b *block) unprotected() []spokenRow {
	produced := schemas.Always
	if b.produced.known {
		produced = b.produced.at.Day()
	}
	all := make([]spokenRow, len(b.Protections))
	for i, kind := range b.Protections {
		all[i] = spokenRow{kind, produced}
	}
	return all
}

// protections is each type's timeline, and from when it is told.
func (b *block) protections(stays []period) ([]spokenRow, []protectedRow, *schemas.Finding) {
	spoken := b.unprotected()
	rows, reject := b.read(b.protect)
	if reject != nil {
		return nil, nil, reject
	}
	var out []protectedRow
	groups := groupRows(rows, func(r *row) string { return r.value(beskyttype) })
	for _, g := range groups {
		if reject := budget(b.protect[0].rec, len(groups), len(out)); reject != nil {
			return nil, nil, reject
		}
		kind := g[0].value(beskyttype)
		i := slices.IndexFunc(spoken, func(s spokenRow) bool { return s.kind == kind })
		if i < 0 {
			i, spoken = len(spoken), append(spoken, spokenRow{kind: kind})
		}
		if reject := b.resolveStarts(g); reject != nil {
			return nil, nil, reject
		}
		spoken[i].from = slices.MinFunc(g, func(x, y row) int {
			return int(x.start.day) - int(y.start.day)
		}).start.day
		told := cut(currentFirst(g))
		for _, h := range holdRows(told, stays) {
			out = append(out, protectedRow{h, &told[h.row]})
		}
	}
	return spoken, out, nil
}

// groupRows parts rows by key, in the order in which keys come first.
func groupRows(rows []row, key func(*row) string) [][]row {
	var groups [][]row
	at := map[string]int{}
	for i := range rows {
		k := key(&rows[i])
		n, ok := at[k]
		if !ok {
			n = len(groups)
			at[k], groups = n, append(groups, nil)
		}
		groups[n] = append(groups[n], rows[i])
	}
	return groups
}
