package sinks

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// tableMutants are planted mistakes in what a close puts in or takes out. The checks of play must
// see each.
var tableMutants = map[string]func(*tableWorld){
	"history row forgotten": func(w *tableWorld) {
		w.bend = func(r *FoldResult) {
			r.Tables = slices.DeleteFunc(r.Tables, func(c TableChange) bool { return c.History })
		}
	},
	"rows that leave stay": func(w *tableWorld) {
		w.bend = func(r *FoldResult) {
			for i := range r.Tables {
				r.Tables[i].Commit.Removes = nil
			}
		}
	},
	"clip forgotten": func(w *tableWorld) {
		w.mend = func(in *FoldInput) {
			in.Agreements = slices.Clone(in.Agreements)
			for i := range in.Agreements {
				in.Agreements[i].From, in.Agreements[i].To = schemas.Always, schemas.Open
			}
		}
	},
	"history begins too early": func(w *tableWorld) {
		w.mend = func(in *FoldInput) {
			in.Agreements = slices.Clone(in.Agreements)
			for i := range in.Agreements {
				in.Agreements[i].Since = schemas.Always
			}
		}
	},
	"national snapshots of earlier closes not looked up": func(w *tableWorld) {
		w.mend = func(in *FoldInput) {
			if in.Before != nil && in.National != nil {
				state, err := readState(w.ctx, w.mem, nationalOf(in.Unit.Area), in.National)
				require.NoError(w.t, err)
				for n, d := range state.Datasets {
					d = d.clone()
					d.Scopes = nil
					state.Datasets[n] = d
				}
				c := *in.National
				c.State, err = state.write(w.ctx, w.mem, nationalOf(in.Unit.Area))
				require.NoError(w.t, err)
				in.National = &c
			}
		}
	},
	"generation ignored": func(w *tableWorld) {
		w.feed = func(r *schemas.Row) bool { r.Generation = 0; return true }
	},
	"withdrawn key kept": func(w *tableWorld) {
		w.feed = func(r *schemas.Row) bool { return r.Op != schemas.OpWithdrawn }
	},
	"rows that stay are known anew": func(w *tableWorld) { w.renews = true },
	"the versions of two closers are both kept": func(w *tableWorld) {
		w.bend = func(r *FoldResult) {
			for _, c := range r.Tables {
				for _, a := range c.Commit.Adds {
					prefix := schemas.TablePrefix("0101", c.Dataset, c.History)
					b, err := store.ReadAll(w.ctx, w.mem, prefix+"/"+a.Path)
					if err != nil {
						continue // the other municipality's
					}
					a.Path = strings.TrimSuffix(a.Path, ".parquet") + "-other.parquet"
					require.NoError(w.t, store.CreateBytes(w.ctx, w.mem, prefix+"/"+a.Path, b))
					c.Commit.Adds = append(c.Commit.Adds, a)
				}
			}
		}
	},
}

func TestPlantedMistakesInTablesAreCaught(t *testing.T) {
	sets := builtinDatasets(t)
	draw := rapid.Custom(func(t *rapid.T) *history { return drawHistory(t, sets) })
	for name, plant := range tableMutants {
		t.Run(name, func(t *testing.T) {
			for seed := range 120 {
				w := newTableWorld(t, t.TempDir())
				plant(w)
				if caught(w, draw.Example(seed)) {
					return
				}
			}
			t.Fatal("no history tells the mistake from what is right")
		})
	}
}

// caught says whether a play goes wrong, be it by a refusal.
func caught(w *tableWorld, h *history) (is bool) {
	w.t = refusal{}
	defer func() {
		if r := recover(); r != nil {
			is = true
		}
	}()
	return play(w, h, false) != nil
}

type refusal struct{}

func (refusal) Errorf(string, ...any) {}
func (refusal) FailNow()              { panic(errors.New("refused")) }
