package main_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cprDatasets are those that the second reading judges.
var cprDatasets = []string{"borger.person", "borger.personnummer", "borger.adresse",
	"borger.civilstand", "borger.statsborgerskab", "borger.beskyttelse", "borger.familierelation",
	"borger.udlandsophold", "borger.haendelse"}

// TestCPRRealFiles takes the public test persons through feed and run as a user would, and compares
// every delivered row with the second reading of the same files.
func TestCPRRealFiles(t *testing.T) {
	t.Parallel()
	layoutA, layoutB, kommuner := cprReal(t)
	dir := t.TempDir()
	feedReal(t, dir, "A", layoutA...)
	out := mustFlis(t, "run", "--once", "--dir", dir)
	require.Contains(t, out, "CPR is taken for all 98 municipalities")
	compareCPR(t, dir, readCPR(layoutA, everyKommune, kommuner))
	mustFlis(t, "audit", "--dir", dir)

	feedReal(t, dir, "B", layoutB)
	mustFlis(t, "run", "--once", "--dir", dir)
	compareCPR(t, dir, readCPR(append(layoutA, layoutB), everyKommune, kommuner))
	mustFlis(t, "audit", "--dir", dir)
}

func feedReal(t *testing.T, dir, layout string, files ...cprFile) {
	t.Helper()
	args := []string{"feed", "cpr", "--dir", dir, "--layout", layout, "--excerpt"}
	in := t.TempDir()
	for _, f := range files {
		path := filepath.Join(in, f.name)
		require.NoError(t, os.WriteFile(path, f.data, 0o600))
		args = append(args, path)
	}
	mustFlis(t, args...)
}

// compareCPR wants exactly the rows that the reading says, in every municipality. Of the datasets
// named loose, kilde_registreret is not compared: an event of layout B is derived from two facts,
// and the text leaves open whose stamp it has.
func compareCPR(t *testing.T, dir string, want []readRow, loose ...string) {
	t.Helper()
	type table struct{ kommune, dataset string }
	wanted := map[table][]string{}
	for _, r := range want {
		k := table{r.kommune, "borger." + strings.TrimPrefix(r.dataset, "borger.")}
		if slices.Contains(loose, k.dataset) {
			r.kildeRegistreret = ""
		}
		wanted[k] = append(wanted[k], rowText(r.cols, r.gyldigFra, r.gyldigTil, r.kildeRegistreret))
	}
	kommuner := map[string]bool{}
	for k := range wanted {
		kommuner[k.kommune] = true
	}
	require.NotEmpty(t, kommuner)
	folders, err := filepath.Glob(filepath.Join(dir, "levering", "kommune=*"))
	require.NoError(t, err)
	for _, f := range folders { // also what nobody expected
		kommuner[strings.TrimPrefix(filepath.Base(f), "kommune=")] = true
	}
	for _, kommune := range slices.Sorted(maps.Keys(kommuner)) {
		for _, dataset := range cprDatasets {
			var got []string
			for _, row := range shown(t, dir, kommune, dataset) {
				cols := maps.Clone(row)
				for _, c := range []string{"kommunekode", "gyldig_fra", "gyldig_til", "kilde_registreret", "registreret_fra",
					"registreret_til", "kilde_system", "leverance", "haendelse_id"} {
					delete(cols, c)
				}
				if slices.Contains(loose, dataset) {
					row["kilde_registreret"] = ""
				}
				got = append(got, rowText(cols, row["gyldig_fra"], row["gyldig_til"], row["kilde_registreret"]))
			}
			expected := wanted[table{kommune, dataset}]
			slices.Sort(got)
			slices.Sort(expected)
			if !slices.Equal(expected, got) {
				t.Errorf("%s %s\nonly the reading:\n  %s\nonly the tables:\n  %s", kommune, dataset,
					strings.Join(minus(expected, got), "\n  "), strings.Join(minus(got, expected), "\n  "))
			}
		}
	}
}

func minus(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(x string) bool { return slices.Contains(b, x) })
}

func rowText(cols map[string]string, from, to, registered string) string {
	var b strings.Builder
	b.WriteString(from + ".." + to + " " + registered)
	for _, k := range slices.Sorted(maps.Keys(cols)) {
		b.WriteString(" " + k + "=" + cols[k])
	}
	return b.String()
}
