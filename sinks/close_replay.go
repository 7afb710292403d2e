package sinks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// ReplayRef is what a close took in of one replay: statements that a journal's raw records give by
// another mapping, schema, code list, agreement or build than before.
type ReplayRef struct {
	System     schemas.System `json:"system"`
	Generation int32          `json:"generation"`
	Rows       int64          `json:"haendelser"` // with withdrawals of earlier ones
	// by day that had its final state: how often it is revised with this close
	Revises map[string]int64 `json:"reviderer,omitempty"`
}

// replayTallies counts statements of replays by unit and day.
type replayTallies map[schemas.Unit]map[replayOf]tally

type replayOf struct {
	system     schemas.System
	generation int32
}

func (t replayTallies) add(u schemas.Unit, r *schemas.Row) {
	if r.Generation == 0 {
		return
	}
	if t[u] == nil {
		t[u] = map[replayOf]tally{}
	}
	k := replayOf{r.System, r.Generation}
	if t[u][k] == nil {
		t[u][k] = tally{}
	}
	t[u][k][r.Leverance]++
}

// join adds counts of a unit.
func (t replayTallies) join(u schemas.Unit, more map[replayOf]tally) {
	for k, by := range more {
		if t[u] == nil {
			t[u] = map[replayOf]tally{}
		}
		if t[u][k] == nil {
			t[u][k] = tally{}
		}
		for d, n := range by {
			t[u][k][d] += n
		}
	}
}

// refs names the replays of a unit, with the days that the close revises of those they touch.
func (t replayTallies) refs(u schemas.Unit, days []DayReport) []ReplayRef {
	var refs []ReplayRef
	for k, by := range t[u] {
		ref := ReplayRef{System: k.system, Generation: k.generation, Rows: by.sum()}
		for i := range days {
			d, err := schemas.ParseDay(days[i].Day)
			if err != nil || by[d] == 0 || days[i].Revised == 0 {
				continue
			}
			if ref.Revises == nil {
				ref.Revises = map[string]int64{}
			}
			ref.Revises[days[i].Day] = days[i].Revised
		}
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(a, b ReplayRef) int {
		return cmp.Or(cmp.Compare(a.System, b.System), cmp.Compare(a.Generation, b.Generation))
	})
	return refs
}

// replays tells, in the plain version, what a close took in of replays.
func (t *certificateText) replays() {
	if len(t.c.Replays) == 0 {
		return
	}
	var rows [][]string
	for _, r := range t.c.Replays {
		var days []string
		for _, d := range slices.Sorted(maps.Keys(r.Revises)) {
			days = append(days, fmt.Sprintf("%s (revideret %d)", d, r.Revises[d]))
		}
		text := "ingen lukket dag er ændret"
		if len(days) > 0 {
			text = "reviderer " + strings.Join(days, ", ")
		}
		rows = append(rows, []string{string(r.System) + ", generation " +
			strconv.Itoa(int(r.Generation)), fmt.Sprintf("%d hændelser", r.Rows), text})
	}
	t.section("Genafledninger: de samme poster, læst på ny med rettede regler", rows)
}
