package fold_test

import (
	"slices"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms/fold"
	"github.com/stretchr/testify/require"
)

// mutants are planted mistakes. Each must be told from the fold by the generated sets, or the
// properties could not see it.
var mutants = map[string]func(set) []string{
	"end what is overlapped in order of arrival": arrivalAlgebra,
	"last arrival wins": changed(func(r *schemas.Row) {
		r.Stated, r.Sequence = r.Arrived, r.Offset
	}),
	"first wins": changed(func(r *schemas.Row) {
		r.Stated, r.Sequence, r.Ordinal = -r.Stated, -r.Sequence, -r.Ordinal
	}),
	"snapshot before it is whole": func(s set) []string {
		return lines(fold.Key(s.kind, s.statements(), s.snapshots(false)))
	},
	"deletes not kept": func(s set) []string {
		var held []schemas.Row
		for _, r := range s.rows {
			held = slices.DeleteFunc(
				held,
				func(h schemas.Row) bool {
					return h.Op == schemas.OpDelete && h.EventID != r.EventID
				},
			)
			held = append(held, r)
		}
		return lines(fold.Key(s.kind, set{s.kind, held}.statements(), s.snapshots(true)))
	},
	"background wins": changed(func(r *schemas.Row) { r.Background = false }),
	"scope ignored":   changed(func(r *schemas.Row) { r.Scope = "S" }),
	"metadata of the last of a run": func(s set) []string {
		o := newOracle(s.kind, s.statements(), s.snapshots(true))
		var out []string
		for _, g := range fold.Key(s.kind, s.statements(), s.snapshots(true)) {
			out = append(out, line(g.From, g.To, o.winner(max(g.From, schemas.Always))))
		}
		return out
	},
	"neighbours not joined": func(s set) []string {
		var out []string
		for _, g := range fold.Key(s.kind, s.statements(), s.snapshots(true)) {
			for _, r := range s.rows {
				if g.From < r.From && r.From < g.To && s.kind == schemas.State {
					out = append(out, line(g.From, r.From, g.Row))
					g.From = r.From
				}
			}
			out = append(out, line(g.From, g.To, g.Row))
		}
		return out
	},
	"repetition counts anew": changed(func(r *schemas.Row) { r.EventID += string(rune(r.Offset)) }),
	"both copies count": changed(func(r *schemas.Row) {
		if r.Offset >= 100 {
			r.Digest++
		}
	}),
	"the last copy counts": func(s set) []string {
		rows := slices.DeleteFunc(slices.Clone(s.rows), func(r schemas.Row) bool {
			return r.Generation == 0 && slices.ContainsFunc(s.rows, func(o schemas.Row) bool {
				return o.EventID == r.EventID && recordOf(&o) > recordOf(&r)
			})
		})
		m := set{s.kind, rows}
		return lines(fold.Key(s.kind, m.statements(), m.snapshots(true)))
	},
	"generation ignored": changed(func(r *schemas.Row) { r.Generation = 0 }),
	"withdrawn key kept": func(s set) []string {
		rows := slices.DeleteFunc(slices.Clone(s.rows), func(r schemas.Row) bool {
			return r.Op == schemas.OpWithdrawn
		})
		kept := set{s.kind, rows}
		return lines(fold.Key(s.kind, kept.statements(), kept.snapshots(true)))
	},
	"the first generation stays": changed(func(r *schemas.Row) { r.Generation = 2 - r.Generation }),
	"a replace hides its own background": changed(func(r *schemas.Row) {
		if r.Op == schemas.OpReplace {
			r.Scope += "?" // so that it is of another batch than the rows of its record
		}
	}),
	"a replace forgets what was": func(s set) []string {
		rows := slices.DeleteFunc(
			s.statements(),
			func(r schemas.Row) bool { return r.Op == schemas.OpReplace },
		)
		return lines(fold.Key(s.kind, rows, s.snapshots(true)))
	},
}

// changed folds rows that a mistake has altered, and shows them as they were.
func changed(alter func(*schemas.Row)) func(set) []string {
	return func(s set) []string {
		type id struct {
			offset  int64
			ordinal int32
			payload string
		}
		rows := slices.Clone(s.rows)
		was := map[id]*schemas.Row{}
		for i := range rows {
			alter(&rows[i])
			was[id{rows[i].Offset, rows[i].Ordinal, string(rows[i].Payload)}] = &s.rows[i]
		}
		m := set{s.kind, rows}
		var out []string
		for _, g := range fold.Key(s.kind, m.statements(), m.snapshots(true)) {
			out = append(
				out,
				line(g.From, g.To, was[id{g.Row.Offset, g.Row.Ordinal, string(g.Row.Payload)}]),
			)
		}
		return out
	}
}

// arrivalAlgebra cuts what a new statement overlaps, one after the other.
func arrivalAlgebra(s set) []string {
	var held []fold.Segment
	for i := range s.rows {
		r := &s.rows[i]
		from, to := r.From, r.To
		if s.kind == schemas.Fact {
			from, to = schemas.Always, schemas.Open
		}
		var next []fold.Segment
		for _, h := range held {
			if h.From < min(h.To, from) {
				next = append(next, fold.Segment{From: h.From, To: min(h.To, from), Row: h.Row})
			}
			if max(h.From, to) < h.To {
				next = append(next, fold.Segment{From: max(h.From, to), To: h.To, Row: h.Row})
			}
		}
		if held = next; r.Op == schemas.OpUpsert && from < to {
			held = append(held, fold.Segment{From: from, To: to, Row: r})
		}
	}
	slices.SortFunc(held, func(a, b fold.Segment) int { return int(int64(a.From) - int64(b.From)) })
	return lines(held)
}

func TestPlantedMistakesAreCaught(t *testing.T) {
	for name, mutant := range mutants {
		t.Run(name, func(t *testing.T) {
			caught := 0
			for seed := range 400 {
				s := sets.Example(seed)
				if !slices.Equal(
					mutant(s),
					newOracle(s.kind, s.statements(), s.snapshots(true)).rows(),
				) {
					caught++
				}
			}
			require.Positive(t, caught, "no generated set tells the mistake from the fold")
		})
	}
}
