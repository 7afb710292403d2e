package main_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/scenario"
	"github.com/flis-dk/flis/schemas"
)

// TestVendorChangeIsNoEvent plays the same facts three times: told by the old vendor only, by the
// new one only, and by the old one until the switch and the new one after it. What a municipality
// asks has the same answer in all three.
func TestVendorChangeIsNoEvent(t *testing.T) {
	asked := map[scenario.Vendors][]string{}
	for _, v := range []scenario.Vendors{scenario.OnlyOld, scenario.OnlyNew, scenario.Switch} {
		dir, s := story(t, "", v)
		for _, d := range s.Days {
			feedDay(t, dir, d)
		}
		mustFlis(t, "run", "--once", "--dir", dir)
		change := s.Days[1].Day
		for _, day := range []int{-30, -1, 0, 1, 30} {
			asked[v] = append(asked[v], weeklyHelp(t, dir, (change+schemas.Day(day)).String())...)
		}
		asked[v] = append(asked[v], visitsByDay(t, dir)...)
		asked[v] = append(asked[v], nursingHomes(t, dir, (change+30).String())...)
	}
	require.Greater(t, len(asked[scenario.Switch]), 100, "the question must have an answer")
	require.Equal(t, asked[scenario.OnlyOld], asked[scenario.OnlyNew])
	require.Equal(t, asked[scenario.OnlyOld], asked[scenario.Switch])
}

// weeklyHelp is the minutes of help a week per citizen and group, on a day.
func weeklyHelp(t *testing.T, dir, day string) []string {
	t.Helper()
	var all []string
	for _, r := range shown(t, dir, string(scenario.Changing), "aeldre.visiteret_tid", "--as-of", day) {
		all = append(all, fmt.Sprint(day, " ", r["cpr"], " ", r["ydelsesgruppe"], " ", r["paragraf"], " ",
			r["minutter_pr_uge"], " ", r["leverandoertype"], " ", r["startdato"], " ", r["slutdato"]))
	}
	slices.Sort(all)
	return all
}

func visitsByDay(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	for _, r := range shown(t, dir, string(scenario.Changing), "aeldre.besoeg") {
		all = append(
			all,
			fmt.Sprint(r["dato"], " ", r["cpr"], " ", r["start"], " ", r["minutter"], " ", r["status"]),
		)
	}
	slices.Sort(all)
	return all
}

func nursingHomes(t *testing.T, dir, day string) []string {
	t.Helper()
	var all []string
	for _, r := range shown(t, dir, string(scenario.Changing), "aeldre.plejebolig", "--as-of", day) {
		all = append(
			all,
			fmt.Sprint(r["cpr"], " ", r["boligtype"], " ", r["visiteret_dato"], " ", r["fase"], " ",
				r["indflyttet_dato"]),
		)
	}
	slices.Sort(all)
	return all
}
