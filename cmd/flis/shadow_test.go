package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shadowed is a municipality that has the old vendor and tries the new one out beside it, from D
// on.
func (v *vendorChange) shadowed(t *testing.T) *badWorld {
	return v.world(t, agreed(v.old, ""), agreed(v.new, fmt.Sprintf(", fra: %q, skygge: true", v.day)))
}

// TestShadowIsNeverDelivered: with a shadow everything that a municipality is given is what it is
// without; the shadow has certificates of its own, which the audit proves.
func TestShadowIsNeverDelivered(t *testing.T) {
	t.Parallel()
	v := newVendorChange("kmd-nexus", "cura", lastWednesday())
	with, without := v.shadowed(t), v.world(t, agreed(v.old, ""))
	for i := range deliveries {
		v.send(with, v.old, i, i == 0)
		v.send(with, v.new, i, false)
		v.send(without, v.old, i, i == 0)
	}
	require.Contains(t, with.flis(0, "run", "--once"), "closed 1 units of the shadow cura")
	with.flis(0, "close", "--once")
	without.run()
	require.Equal(t, without.promised(), with.promised())
	require.Equal(t, without.unitStates(), with.unitStates())
	for _, f := range with.files("levering/*/*/*/*") {
		if b, err := os.ReadFile(filepath.Clean(f)); err == nil {
			require.NotContains(t, string(b), "cura", f)
		}
	}
	require.Contains(t, with.flis(0, "audit"), "shadow   cura: 1 certificates")
	broken := with.files("intern/skygge/cura/kommune=0751/aeldre/visiteret_tid/*.parquet")[0]
	with.whileFlipped(broken, func(w *badWorld) {
		says(w.t, w.flis(1, "audit"), "DIFFERENCE  shadow cura", filepath.Base(broken))
		says(w.t, w.flis(1, "diff", changing, "aeldre"), filepath.Base(broken), "nothing of it was read")
		mustFlis(w.t, "show", changing, "aeldre.visiteret_tid", "--dir", w.dir)
	})
	with.quiet(citizen(1), citizen(3))
}

// promised is the names of the delivered files, which are those of their content, and what the
// newest certificate says but for the moment and the maker.
func (w *badWorld) promised() string {
	w.t.Helper()
	var c map[string]any
	all := w.files("levering/bevis/0751/aeldre/????????.json")
	b, err := os.ReadFile(filepath.Clean(all[len(all)-1]))
	require.NoError(w.t, err)
	require.NoError(w.t, json.Unmarshal(b, &c))
	tables := []string{fmt.Sprint(len(all))}
	for _, f := range w.files("levering/kommune=0751/aeldre/*/*.parquet") {
		tables = append(tables, filepath.Base(filepath.Dir(f))+"/"+filepath.Base(f))
	}
	text, err := json.Marshal([]any{tables, c["antal"], c["dage"], c["kalender"], c["leverance"],
		c["tilslutninger"]})
	require.NoError(w.t, err)
	return string(text)
}

func (w *badWorld) unitStates() string {
	w.t.Helper()
	var s map[string]any
	require.NoError(w.t, json.Unmarshal([]byte(w.flis(0, "status", "--format", "json")), &s))
	for _, u := range s["enheder"].([]any) {
		delete(u.(map[string]any), "nye_indgange")
	}
	text, err := json.Marshal(s["enheder"])
	require.NoError(w.t, err)
	return string(text)
}

// TestDiff: what would change if the shadow took over: nothing, while both say the same; else it is
// counted by key and column, in every form; the codes of exit tell the two apart.
func TestDiff(t *testing.T) {
	t.Parallel()
	v := newVendorChange("vitae", "kmd-nexus", lastWednesday())
	w := v.shadowed(t)
	says(t, w.flis(1, "diff", changing, "aeldre"), "there is nothing in")
	last := deliveries - 1
	v.send(w, v.old, last, true)
	v.send(w, v.new, last, true)
	w.run()
	visits := "aeldre.besoeg, parret på cpr, dato, start; fra " + v.day.String() +
		"\n  nøgler   0 i begge, 0 kun i nuværende, 9 kun i skygge\n" // vitae tells none
	said := w.flis(4, "diff", changing, "aeldre")
	says(t, said, "Hvis kmd-nexus overtog aeldre i 0751 Aarhus\n  nuværende  vitae: bevis ", visits,
		"aeldre.visiteret_tid, parret på cpr, paragraf, ydelsesgruppe; fra "+v.day.String()+"\n"+
			"  nøgler   5 i begge, 0 kun i nuværende, 0 kun i skygge\n"+
			"  rækker   6 ens, 0 ændret, 0 kun i nuværende, 0 kun i skygge\n"+
			"  udeladt  visitation_id, kilde_registreret",
		"I alt ville 0 rækker blive ændret, 0 falde bort og 9 komme til.")
	agreedWithout := agreed(v.new, fmt.Sprintf(", fra: %q, skygge: true, "+
		"datasaet: [visiteret_tid, plejebolig]", v.day))
	w.write("aftaler.yaml", "format: 1\naftaler:\n"+agreed(v.old, "")+agreedWithout)
	w.flis(0, "run", "--once")
	says(t, w.flis(0, "diff", changing, "aeldre"), "Ingen forskel")

	v.facts = careFacts{grants: []grantFact{ // another time, a later begin, and one of its own
		{id: 1, pnr: citizen(1), minutes: 225, from: v.day - 400, last: v.day + 400},
		{id: 7, pnr: citizen(4), group: 2, minutes: 120, from: v.day + 3, last: v.day + 9},
		{id: 99, pnr: citizen(8), minutes: 30, from: v.day + 1, last: v.day + 20}},
		homes: []homeFact{{id: 23, pnr: citizen(8), assessed: v.day - 8, moved: v.day}}}
	v.first++
	v.send(w, v.new, last, true)
	w.flis(0, "run", "--once")
	w.checkDiffForms(v)
	w.quiet(citizen(1), citizen(4), citizen(8))
}

// checkDiffForms compares counts, rows and choices of time with what was planted.
func (w *badWorld) checkDiffForms(v *vendorChange) {
	t := w.t
	counts := w.diffLines(4)
	for maal, n := range map[string]string{"noegler_begge": "5", "noegler_kun_nuvaerende": "0",
		"noegler_kun_skygge": "1", "raekker_ens": "4", "raekker_aendret": "2",
		"raekker_kun_skygge": "1", "raekker_kun_nuvaerende": "0", "kolonne minutter_pr_uge": "1",
		"kolonne gyldig_fra": "1", "kolonne gyldig_til": "2", "kolonne startdato": "1",
		"kolonne slutdato": "2"} {
		require.Contains(t, counts, "aeldre.visiteret_tid,cpr paragraf ydelsesgruppe,"+maal+","+n)
	}
	require.Contains(
		t,
		counts,
		"aeldre.plejebolig,cpr boligtype visiteret_dato,noegler_kun_nuvaerende,1",
	)
	require.Contains(t, counts, "aeldre.plejebolig,cpr boligtype visiteret_dato,noegler_kun_skygge,1")
	rows, _, code := flis(t, "diff", changing, "aeldre", "--rows", "--format", "csv", "--dir", w.dir)
	require.Equal(t, 4, code)
	says(t, rows, "aeldre.visiteret_tid,aendret,cpr="+citizen(1)+" paragraf=SEL-83-1-1 "+
		"ydelsesgruppe=personlig,"+v.day.String()+",,minutter_pr_uge,210.0000,225.0000",
		"kun_skygge,cpr="+citizen(8), "startdato,,"+(v.day+1).String())
	table, _, _ := flis(t, "diff", changing, "aeldre", "--rows", "--dir", w.dir)
	says(
		t,
		table,
		"minutter_pr_uge",
		"I alt ville 2 rækker blive ændret, 1 falde bort og 2 komme til.",
	)
	var all []map[string]any
	text, _, _ := flis(t, "diff", changing, "aeldre", "--format", "json", "--dir", w.dir)
	require.NoError(t, json.Unmarshal([]byte(text), &all))
	require.InDelta(t, 2, all[slices.IndexFunc(all, func(o map[string]any) bool {
		return o["datasaet"] == "aeldre.visiteret_tid" && o["maal"] == "raekker_aendret"
	})]["antal"], 0)

	require.Contains(t, w.diffLines(4, "--day", (v.day+21).String()),
		"aeldre.visiteret_tid,cpr paragraf ydelsesgruppe,raekker_kun_skygge,0", "it ended before")
	says(t, w.flis(2, "diff", changing, "aeldre", "--system", "cura"), "no shadow of 0751/aeldre")
	says(t, w.flis(2, "diff", "0101", "aeldre"), "has no shadow", "skygge: true")
	says(t, w.flis(2, "diff", "751", "aeldre"), "want four digits")
	says(t, w.flis(2, "diff", changing, "aeldre", "--format", "xml"), "want table, csv or json")
	says(t, w.flis(2, "diff", changing, "aeldre", "--day", "2026-02-30"), "want yyyy-mm-dd")
}

func (w *badWorld) diffLines(code int, more ...string) []string {
	w.t.Helper()
	text := w.flis(code, append([]string{"diff", changing, "aeldre", "--format", "csv"}, more...)...)
	return strings.Split(text, "\r\n")
}

// TestShadowsThatOverlap: two shadow agreements of one system for the same time are refused; those
// of two systems are not, and diff wants to know which is meant.
func TestShadowsThatOverlap(t *testing.T) {
	t.Parallel()
	v := newVendorChange("vitae", "kmd-nexus", lastWednesday())
	w := v.world(t, agreed("vitae", ""), agreed("cura", ", skygge: true"),
		agreed("kmd-nexus", ", skygge: true"), agreed("kmd-nexus", `, fra: "2026-01-01", skygge: true`))
	says(t, w.flis(2, "run", "--once"), "own the same datasets at the same time", "aftaler.yaml:6")
	w.write(
		"aftaler.yaml",
		"format: 1\naftaler:\n"+agreed("vitae", "")+agreed("cura", ", skygge: true")+
			agreed("kmd-nexus", ", skygge: true"),
	)
	v.send(w, "vitae", 0, true)
	v.send(w, "cura", 0, true)
	w.flis(0, "run", "--once")
	says(t, w.flis(2, "diff", changing, "aeldre"), "several shadows", "[cura kmd-nexus]")
	w.flis(4, "diff", changing, "aeldre", "--system", "cura")
	says(t, w.flis(1, "diff", changing, "aeldre", "--system", "kmd-nexus"), "has never been closed")
}

// TestTwoClosersOfAShadow: closers beside each other make one chain of a shadow too.
func TestTwoClosersOfAShadow(t *testing.T) {
	t.Parallel()
	v := newVendorChange("kmd-nexus", "cura", lastWednesday())
	w := v.shadowed(t)
	for i := range 3 {
		v.send(w, v.old, i, i == 0)
		v.send(w, v.new, i, false)
		w.flis(0, "normalise", "--once")
		codes := make(chan int, 3)
		for range cap(codes) {
			go func() {
				_, _, code := flis(t, "close", "--once", "--dir", w.dir)
				codes <- code
			}()
		}
		for range cap(codes) {
			require.Zero(t, <-codes)
		}
	}
	says(t, w.flis(0, "audit"), "shadow   cura: 3 certificates", "no difference")
	w.flis(0, "diff", changing, "aeldre")
}

// TestShadowThatCannotBeClosed stops nothing of what is delivered.
func TestShadowThatCannotBeClosed(t *testing.T) {
	t.Parallel()
	v := newVendorChange("kmd-nexus", "cura", lastWednesday())
	w := v.shadowed(t)
	v.send(w, v.old, 0, true)
	v.send(w, v.new, 0, false)
	w.flis(0, "run", "--once")
	chain := w.files("intern/skygge/cura/bevis/0751/aeldre/00000001.json")
	w.whileFlipped(chain[0], func(w *badWorld) {
		v.send(w, v.old, 1, false)
		says(
			w.t,
			w.flis(0, "run", "--once"),
			"flis: shadow cura: ",
			"what is delivered goes on without it",
		)
		require.Len(w.t, w.files("levering/bevis/0751/aeldre/????????.json"), 2)
	})
}
