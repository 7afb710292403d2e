package sinks

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// scopeRow is who belongs to a scope, or a snapshot of it.
func scopeRow(i int, op schemas.Op) *schemas.Row {
	scope := fmt.Sprintf("s%03d", i)
	r := &schemas.Row{System: "cpr", Scope: scope, Op: op, Offset: int64(i), Ordinal: 1}
	if op == opMember {
		r.Key = scope
	}
	return r
}

func scopesSorted(t *testing.T, rows ...*schemas.Row) *rowCursor {
	t.Helper()
	s := newSortedRows(t.TempDir(), 1<<20)
	t.Cleanup(func() { require.NoError(t, s.close()) })
	for _, r := range rows {
		require.NoError(t, s.add(appendOrder(appendGroup(nil, partScopes, r), r), r))
	}
	require.NoError(t, s.sort())
	return s.slice(nil)
}

// TestPassiveRowsReachWhatTheStateHas: whatever files the state lies in, each of its groups, and each
// that another cursor has, sees its passive rows; the others are gone past.
func TestPassiveRowsReachWhatTheStateHas(t *testing.T) {
	ctx := context.Background()
	m := &stateMerge{files: files{st: store.NewMemory(), folder: "f", dir: t.TempDir()},
		part: partScopes, limit: 1500,
		fn: func(g *group) ([]schemas.Row, bool, error) { return g.new, true, nil }}
	var held, own, country []*schemas.Row
	want := map[string]int{}
	for i := range 300 {
		country = append(country, scopeRow(i, schemas.OpSnapshot))
		switch {
		case i%7 == 0:
			held = append(held, scopeRow(i, opMember))
			want[scopeRow(i, opMember).Scope] = 1
		case i%31 == 0:
			own = append(own, scopeRow(i, opMember))
			want[scopeRow(i, opMember).Scope] = 2
		}
	}
	state, err := m.run(ctx, nil, &newRows{cursors: []*rowCursor{scopesSorted(t, held...)}})
	require.NoError(t, err)
	require.Greater(t, len(state), 3, "the state lies in several files")
	seen := map[string]int{}
	m.fn = func(g *group) ([]schemas.Row, bool, error) {
		if len(g.new) > 0 {
			seen[g.new[0].Scope] = len(g.new)
		}
		return g.old, false, nil
	}
	_, err = m.run(ctx, state, &newRows{cursors: []*rowCursor{scopesSorted(t, own...)},
		passive: scopesSorted(t, country...)})
	require.NoError(t, err)
	require.Equal(t, want, seen)
}
