package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spells are a person's rows of a dataset in a municipality: valid time, and the columns asked for.
func spells(t *testing.T, dir, kommune, dataset, cpr string, columns ...string) []string {
	t.Helper()
	var all []string
	for _, r := range shownOf(t, dir, kommune, dataset, cpr) {
		text := r["gyldig_fra"] + ".." + r["gyldig_til"]
		for _, c := range columns {
			text += " " + r[c]
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// TestHistoryFollowsOwnership is one citizen over five deliveries: a municipality that was merged,
// a move, a new personal number, a death. Each municipality has the time in which the citizen was
// its own, and finds the whole history under both numbers.
func TestHistoryFollowsOwnership(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	agreements := "format: 1\naftaler:\n"
	for _, k := range []string{"0101", "0183", "0190"} {
		agreements += "  - {kommune: \"" + k +
			"\", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n"
	}
	w.write("aftaler.yaml", agreements)
	today := time.Now()
	day := func(n int) string { return today.AddDate(0, 0, n).Format(time.DateOnly) }
	stamp := func(n int) string { return today.AddDate(0, 0, n).Format("20060102") + "1200" }
	previous := ""
	deliver := func(n int, lines ...string) {
		file := w.write("cpr", cprExtract(day(n), previous, lines...))
		previous = day(n)
		w.flis(0, "feed", "cpr", file, "--layout", "A")
		w.run()
	}
	const born, merged = "199001011200", "0189" // Vaerloese, which Furesoe took over in 2007
	since := func(pnr, kommune, from string) string { return a002(pnr, kommune, from) }

	deliver(-4, a001(anna, "01", "197001011200"), since(anna, merged, born))
	require.Equal(t, []string{"1990-01-01.. 0189"},
		spells(t, w.dir, "0190", "borger.adresse", anna, "bopaelskommune"))

	deliver(-3, a001(anna, "01", "197001011200"), since(anna, "0190", born))
	require.Equal(t, []string{"1990-01-01.. 0190"},
		spells(t, w.dir, "0190", "borger.adresse", anna, "bopaelskommune"))
	require.NotContains(t, fmt.Sprint(spells(t, w.dir, "0190", "borger.haendelse", anna,
		"haendelsestype")), "flytning", "a merger is no move")

	moved := []string{a001(anna, "01", "197001011200"), since(anna, "0101", stamp(-2)),
		a023(anna, "0190", born, stamp(-2))}
	deliver(-2, moved...)
	require.Equal(t, []string{"1990-01-01.." + day(-2)},
		spells(t, w.dir, "0190", "borger.adresse", anna))
	require.Equal(t, []string{day(-2) + ".."}, spells(t, w.dir, "0101", "borger.adresse", anna))
	require.Contains(t, spells(t, w.dir, "0190", "borger.haendelse", anna, "haendelsestype",
		"til_kommune"), day(-2)+".. fraflytning 0101")
	require.Contains(t, spells(t, w.dir, "0101", "borger.haendelse", anna, "haendelsestype",
		"fra_kommune"), day(-2)+".. tilflytning 0190")

	renumbered := slices.Concat(
		[]string{cprLine("001", anna, 14, bent, 24, "60", 26, stamp(-1), 39, "K", 40, "1970-01-01")},
		strings.Split(strings.ReplaceAll(strings.Join(moved, "\n"), anna, bent), "\n"))
	deliver(-1, renumbered...)
	for kommune, want := range map[string]string{"0190": "1990-01-01.." + day(-2), "0101": day(-2) + ".."} {
		require.Equal(t, []string{want}, spells(t, w.dir, kommune, "borger.adresse", bent),
			"the history is the new number's")
		require.Empty(t, spells(t, w.dir, kommune, "borger.adresse", anna))
		require.Equal(t, []string{day(-1) + ".. skiftet " + bent},
			spells(t, w.dir, kommune, "borger.personnummer", anna, "aarsag", "aktuelt_cpr"))
	}
	require.Empty(t, shownOf(t, w.dir, "0183", "borger.personnummer", anna))

	dead := []string{a001(bent, "90", stamp(0)), a023(bent, "0190", born, stamp(-2)),
		a023(bent, "0101", stamp(-2), stamp(0))}
	deliver(0, dead...)
	require.Equal(t, []string{day(-2) + ".." + day(0)},
		spells(t, w.dir, "0101", "borger.adresse", bent))
	require.Contains(t, spells(t, w.dir, "0101", "borger.person", bent, "status"), day(0)+".. 90",
		"the dead belong where they lived last")
	require.Equal(
		t,
		[]string{"1990-01-01.." + day(-2)},
		spells(t, w.dir, "0190", "borger.adresse", bent),
	)
	w.quiet(anna, bent)
}
