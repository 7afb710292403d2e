package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCodes: the lists are listed, shown as of a day, checked with a municipality's own rows on top,
// and what an update would change is told before it is taken in.
func TestCodes(t *testing.T) {
	t.Parallel()
	says(t, mustFlis(t, "codes", "list"), "paragraf", "ministerierne", "part", "kommune", "CPR-kontoret")
	require.Contains(t, mustFlis(t, "codes", "show", "kommune", "--at", "2006-12-31"), "kode=0747")
	require.NotContains(t, mustFlis(t, "codes", "show", "kommune", "--at", "2007-01-01"), "kode=0747")
	says(t, mustFlis(t, "codes", "check"), "lists hold together")

	update := func(name, text string) string {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "codes"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "codes", name), []byte(text), 0o600))
		return dir
	}
	const heading = "kode;navn;gyldig_fra;gyldig_til;efterfoelger;kilde\n"
	good := update("koen.csv", heading+"X;Andet;2027-01-01;;;o\nM;Mandlig;;;;d\n")
	says(t, mustFlis(t, "codes", "diff", good), "+ koen  kode=X  navn=Andet", `navn: "Mand" → "Mandlig"`,
		"2 rows differ")
	mustFlis(t, "codes", "check", good)

	for name, x := range map[string]struct{ file, text, fault string }{
		"bad date":     {"koen.csv", heading + "X;Andet;2027-02-30;;;o\n", "koen.csv:2"},
		"no owner":     {"egen.csv", heading + "X;Andet;;;;o\n", "list egen: is not in codes/lister.csv"},
		"no successor": {"koen.csv", heading + "X;Andet;;;Q;o\n", "efterfoelger Q"},
		"no status":    {"lister.csv", "kode;navn;ejer;status;dateret;kilde\nkoen;Køn;x;lidt;nej;o\n", `"lidt"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, errOut, code := flis(t, "codes", "check", update(x.file, x.text))
			require.Equal(t, 3, code, errOut)
			require.Contains(t, errOut, x.fault)
		})
	}
	_, errOut, code := flis(t, "codes", "show", "ingen")
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "no such code list; there are art,")
	_, errOut, code = flis(t, "codes", "diff", t.TempDir())
	require.Equal(t, 2, code)
	require.Contains(t, errOut, "no codes/*.csv")
}
