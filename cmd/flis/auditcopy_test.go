package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// copyOf is a folder with nothing but one municipality's own.
type copyOf struct {
	t   *testing.T
	dir string
}

func (w *badWorld) copyMunicipality(kommune string) *copyOf {
	w.t.Helper()
	c := &copyOf{t: w.t, dir: w.t.TempDir()}
	for _, folder := range []string{"bevis/" + kommune, "kommune=" + kommune} {
		from := filepath.Join(w.dir, "levering", folder)
		require.NoError(w.t, os.CopyFS(filepath.Join(c.dir, folder), os.DirFS(from)))
	}
	return c
}

func (c *copyOf) one(pattern string, i int) string {
	c.t.Helper()
	found, err := filepath.Glob(filepath.Join(c.dir, pattern))
	require.NoError(c.t, err)
	require.Greater(c.t, len(found), i, pattern)
	return found[i]
}

func (c *copyOf) audit(code int, more ...string) string {
	c.t.Helper()
	out, errOut, got := flis(c.t, append([]string{"audit", "--copy", c.dir}, more...)...)
	require.Equal(c.t, code, got, "%s\n%s", out, errOut)
	return out + errOut
}

// TestAuditOfCopy proves a copy of one municipality's folders, without an installation, and names
// what was changed in it.
func TestAuditOfCopy(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.feedPeople("2026-03-01", "", anna)
	w.run()
	w.feedPeople("2026-03-02", "2026-03-01", bent)
	w.run()
	older := w.copyMunicipality("0101")
	w.feedPeople("2026-03-03", "2026-03-02", carl)
	w.run()
	whole := w.copyMunicipality("0101")
	says(t, whole.audit(0), "0101/borger", "certificates 1 to 3", "5 tables", "unchanged")
	code := newestCode(t, whole)
	whole.audit(0, "--code", code)
	says(t, older.audit(1, "--code", code), "older than the control code")

	swap := func(a, b string) {
		x, err := os.ReadFile(a)
		require.NoError(t, err)
		y, err := os.ReadFile(b)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(a, y, 0o600))
		require.NoError(t, os.WriteFile(b, x, 0o600))
	}
	remove := func(path string) { require.NoError(t, os.Remove(path)) }
	const bevis, person = "bevis/0101/borger/", "kommune=0101/borger/person/"
	for name, f := range map[string]struct {
		harm func(c *copyOf)
		says []string
	}{
		"bit of a table's file": {func(c *copyOf) {
			for _, path := range c.all(person + "*.parquet") { // one is live, the others replaced
				flip(t, path)
			}
		}, []string{"DIFFERENCE", "borger/person"}},
		"bit of a Delta entry": {func(c *copyOf) { flip(t, c.one(person+"_delta_log/*.json", 1)) },
			[]string{"DIFFERENCE", "borger/person version 1"}},
		"bit of a certificate": {func(c *copyOf) { flip(t, c.one(bevis+"????????.json", 1)) },
			[]string{"DIFFERENCE", "00000002.json"}},
		"bit of a claim": {func(c *copyOf) { flip(t, c.one(bevis+"*.krav.json", 2)) },
			[]string{"DIFFERENCE", "certificate 3"}},
		"bit of a plain version": {func(c *copyOf) { flip(t, c.one(bevis+"*.txt", 0)) },
			[]string{"DIFFERENCE", "certificate 1", "plain version"}},
		"two plain versions swapped": {func(c *copyOf) {
			swap(c.one(bevis+"*.txt", 0), c.one(bevis+"*.txt", 1))
		}, []string{"DIFFERENCE", "tells of another certificate"}},
		"another table's file in its place": {func(c *copyOf) {
			for _, path := range c.all(person + "*.parquet") {
				swap(path, c.one("kommune=0101/borger/adresse/*.parquet", 0))
			}
		}, []string{"DIFFERENCE", "borger/person"}},
		"two certificates swapped": {func(c *copyOf) {
			swap(c.one(bevis+"????????.json", 0), c.one(bevis+"????????.json", 1))
		}, []string{"DIFFERENCE", "was moved"}},
		"a certificate taken away": {func(c *copyOf) { remove(c.one(bevis+"????????.json", 1)) },
			[]string{"DIFFERENCE", "certificate 2"}},
		"the newest taken away": {func(c *copyOf) { remove(c.one(bevis+"????????.json", 2)) },
			[]string{"open", "close 3 is begun and has no certificate"}},
		"the newest taken away with its claim": {func(c *copyOf) {
			remove(c.one(bevis+"????????.json", 2))
			remove(c.one(bevis+"*.krav.json", 2))
		}, []string{"DIFFERENCE", "is in no certificate"}},
		"an old certificate in the place of the newest": {func(c *copyOf) {
			old, err := os.ReadFile(c.one(bevis+"????????.json", 0))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(c.one(bevis+"????????.json", 2), old, 0o600))
		}, []string{"DIFFERENCE", "00000003.json", "was moved"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.in(t).copyMunicipality("0101")
			f.harm(c)
			want := 1
			if f.says[0] == "open" {
				want = 0
				says(t, c.audit(1, "--code", code), "DIFFERENCE", "certificate 3")
			}
			says(t, c.audit(want), f.says...)
		})
	}
	_, errOut, got := flis(t, "audit", "--copy", t.TempDir())
	require.Equal(t, 2, got)
	require.Contains(t, errOut, "no folder bevis")
	_, errOut, got = flis(t, "audit", "--copy", whole.dir, "--code", "0101/borger:3")
	require.Equal(t, 2, got)
	require.Contains(t, errOut, "control code")
}

func (c *copyOf) all(pattern string) []string {
	found, err := filepath.Glob(filepath.Join(c.dir, pattern))
	require.NoError(c.t, err)
	return found
}

// newestCode is the control code as the newest plain certificate tells it.
func newestCode(t *testing.T, c *copyOf) string {
	t.Helper()
	texts := c.all("bevis/0101/borger/*.txt")
	b, err := os.ReadFile(texts[len(texts)-1])
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(b), "BEVIS nr. 3 for kommune 0101, område borger\n"))
	return regexp.MustCompile(`0101/borger:3:[0-9a-f]{64}`).FindString(string(b))
}
