package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const liste0615 = "//liste/0615"

// listeWorld is an installation with the system liste in its overlay.
type listeWorld struct {
	*badWorld
	sent int
}

func newListeWorld(t *testing.T) *listeWorld {
	w := &listeWorld{badWorld: newBadWorld(t)}
	require.NoError(t, os.CopyFS(filepath.Join(w.dir, "katalog"), os.DirFS("../../testdata/liste")))
	for name, text := range map[string]string{
		"flis.yaml": "dir: .\nagreements: aftaler.yaml\ncatalog: katalog\nkafka:\n  partitions: 1\n",
		"aftaler.yaml": "format: 1\naftaler:\n  - {kommune: \"0615\", omraade: aeldre, system: liste, " +
			"bevis: ingen, leverer: dagligt}\n",
	} {
		w.write(name, text)
	}
	return w
}

// list sends so many records of a list that says it has count, grants numbered from the first.
func (w *listeWorld) list(id string, count, first, records int) {
	w.t.Helper()
	var b strings.Builder
	for i := first; i < first+records; i++ {
		w.sent++
		b.WriteString(eventLine(w.t, fmt.Sprint("e", w.sent), liste0615, "bevilling", map[string]any{
			"nr": fmt.Sprint("g", i), "kom": "0615", "cpr": anna, "liste": id, "antal": count,
			"dag": time.Now().Format(time.DateOnly), "fra": "2026-01-01"}))
	}
	w.flis(0, "feed", "liste", w.write(id+".jsonl", b.String()))
}

// open is how many grants have no end.
func (w *listeWorld) open() (n int) {
	for _, r := range shown(w.t, w.dir, "0615", "aeldre.visiteret_tid") {
		if r["gyldig_til"] == "" {
			n++
		}
	}
	return n
}

func (w *listeWorld) certificate() (c struct {
	Number    int64 `json:"nr"`
	Approvals []struct {
		By string `json:"af"`
	} `json:"godkendelser"`
	Held *struct{} `json:"venter"`
}) {
	w.t.Helper()
	files := w.files("levering/bevis/0615/aeldre/[0-9]*[0-9].json")
	b, err := os.ReadFile(files[len(files)-1])
	require.NoError(w.t, err)
	require.NoError(w.t, json.Unmarshal(b, &c))
	return c
}

var digestLine = regexp.MustCompile(`--digest ([0-9a-f]{12})`)

// TestListSaidAgainChangesNothing: a whole list over several records that says what the one before
// said leaves each row as it was, with who said it first, and no history.
func TestListSaidAgainChangesNothing(t *testing.T) {
	w := newListeWorld(t)
	mapping, err := os.ReadFile("../../testdata/liste/mappings/liste/bevilling.yaml")
	require.NoError(t, err)
	w.write(
		"katalog/mappings/liste/bevilling.yaml",
		strings.NewReplacer("absent: ended", "absent: gone",
			"  fra: {field: dag, date: iso}\n  id", "  id", "snapshot:", "unused: [dag]\nsnapshot:").
			Replace(string(mapping)),
	)
	w.list("a", 3, 1, 3)
	w.run()
	was := shown(t, w.dir, "0615", "aeldre.visiteret_tid", "--history")
	require.Len(t, was, 3)
	w.list("b", 3, 1, 2)
	w.run()
	w.list("b", 3, 3, 1)
	w.run()
	require.Equal(t, was, shown(t, w.dir, "0615", "aeldre.visiteret_tid", "--history"))
	w.list("c", 2, 1, 2)
	w.run()
	require.Equal(t, 2, w.open(), "what the next list lacks is gone")
}

// TestListsGuardThemselves: a list of which a part is missing has no effect and is named; one that
// is whole and ends most of a table waits, is shown without keys, and goes on when it is approved.
func TestListsGuardThemselves(t *testing.T) {
	t.Parallel()
	w := newListeWorld(t)
	w.list("a", 150, 1, 150)
	w.run()
	require.Equal(t, 150, w.open())

	w.list("b", 41, 1, 40)
	w.run()
	require.Equal(t, 150, w.open(), "a part of a list has no effect")
	says(t, w.flis(0, "status"), "ufuldstaendigt 0615 aeldre  snapshots of aeldre.visiteret_tid: 1")
	says(t, w.flis(0, "approve", "0615", "aeldre"), "nothing waits")

	w.list("b", 41, 41, 1)
	says(
		t,
		w.flis(0, "run", "--once"),
		"waits 0615/aeldre: aeldre.visiteret_tid from liste: 109 of 150",
	)
	w.flis(0, "audit")
	require.Equal(t, 150, w.open(), "the tables stay")
	require.NotNil(t, w.certificate().Held)
	n := w.certificate().Number
	w.run()
	require.Equal(t, n, w.certificate().Number, "nothing new, no certificate")
	status := w.flis(0, "status")
	says(t, status, "venter     0615 aeldre  aeldre.visiteret_tid from liste: 109 of 150",
		"masseafslutning venter på flis approve 0615 aeldre")
	require.NotContains(t, status, "ufuldstaendigt")
	show := w.flis(0, "approve", "0615", "aeldre")
	says(t, show, "109 of 150 open rows would end", "109 by snapshot", "snapshot b",
		"tables stay at journal entry")
	require.NotContains(t, show, "liste:g")
	list := w.flis(0, "approve", "0615", "aeldre", "--list", "visiteret_tid")
	require.Equal(t, 109, strings.Count(list, "\n"))
	says(t, list, "liste\tliste:g100\t"+time.Now().Format(time.DateOnly))

	digest := digestLine.FindStringSubmatch(show)[1]
	w.refusals(digest)
	approve := []string{"approve", "0615", "aeldre", "--digest", digest, "--reason", "lukket afdeling",
		"--by"}
	says(
		t,
		w.flis(0, append(approve, "Inge")...),
		"approved what certificate",
		"the next close goes on",
	)
	says(t, w.flis(0, append(approve, "Ole")...), "approved already, by Inge")
	w.run()
	require.Equal(t, 41, w.open())
	c := w.certificate()
	require.Nil(t, c.Held)
	require.Len(t, c.Approvals, 1)
	require.Equal(t, "Inge", c.Approvals[0].By)
	says(t, w.flis(0, "approve", "0615", "aeldre"), "nothing waits")
	require.NotContains(t, w.flis(0, "status"), "venter")
	approval := fmt.Sprintf("%08d.godkendelse.json", n)
	part := w.copyMunicipality("0615")
	part.audit(0)
	text, err := os.ReadFile(part.one("bevis/0615/aeldre/*.txt", int(c.Number)-1))
	require.NoError(t, err)
	says(t, string(text), "Masseafslutning, der er godkendt", "af Inge", "lukket afdeling",
		"109 af 150")
	flip(t, part.one("bevis/0615/aeldre/"+approval, 0))
	says(t, part.audit(1), approval)
	require.NoError(t, os.Remove(filepath.Join(w.dir, "levering/bevis/0615/aeldre", approval)))
	says(t, w.flis(1, "audit"), "read its approval")
	w.quiet(anna)
}

// refusals are the ways in which an approval is not one.
func (w *listeWorld) refusals(digest string) {
	w.t.Helper()
	full := []string{"--by", "Inge", "--reason", "x"}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "needs --digest, --by and --reason", full},
		{2, "needs --digest, --by and --reason", []string{"--digest", digest}},
		{1, "what waits now has the digest " + digest, append(full, "--digest", "000000000000")},
		{1, "what waits now has the digest " + digest, append(full, "--digest", digest[:4])},
		{1, "may be a personal number", []string{"--by", "Inge", "--reason", "om " + anna, "--digest", digest}},
		{2, "one line each", []string{"--by", "a\nb", "--reason", "x", "--digest", digest}},
		{2, "nothing of that table waits", []string{"--list", "besoeg"}},
	} {
		says(w.t, w.flis(c.code, append([]string{"approve", "0615", "aeldre"}, c.args...)...), c.want)
	}
	says(w.t, w.flis(2, "approve", "0616", "aeldre"), "no agreement fits")
	says(w.t, w.flis(2, "approve", "0615"), "accepts 2 arg")
}

// TestMendedListEndsTheWait: the vendor sends the whole list; nothing waits, and nothing ended.
func TestMendedListEndsTheWait(t *testing.T) {
	t.Parallel()
	w := newListeWorld(t)
	w.list("a", 150, 1, 150)
	w.run()
	w.list("b", 30, 1, 30)
	w.run()
	says(t, w.flis(0, "status"), "venter")
	digest := digestLine.FindStringSubmatch(w.flis(0, "approve", "0615", "aeldre"))[1]
	w.list("c", 20, 1, 20)
	w.run()
	says(
		t,
		w.flis(1, "approve", "0615", "aeldre", "--digest", digest, "--by", "Inge", "--reason", "x"),
		"what waits now has the digest",
	)
	w.list("d", 160, 1, 160)
	w.run()
	require.Equal(t, 160, w.open())
	require.NotContains(t, w.flis(0, "status"), "venter")
	c := w.certificate()
	require.Nil(t, c.Held)
	require.Empty(t, c.Approvals)
}

// TestGuardLimits: the limits are the installation's; ones that cannot be are refused.
func TestGuardLimits(t *testing.T) {
	t.Parallel()
	w := newListeWorld(t)
	const plain = "dir: .\nagreements: aftaler.yaml\ncatalog: katalog\nkafka:\n  partitions: 1\n"
	for _, bad := range []string{"percent: -1", "percent: 101", "rows: 0", "rows: mange", "antal: 3"} {
		w.write("flis.yaml", plain+"guard:\n  "+bad+"\n")
		says(t, w.flis(2, "status"), "flis.yaml")
	}
	w.write("flis.yaml", plain+"guard: {percent: 80, rows: 5}\n")
	w.list("a", 20, 1, 20)
	w.run()
	w.list("b", 4, 1, 4)
	w.run()
	require.Equal(t, 4, w.open(), "16 of 20 are not more than 80 percent")
	w.write("flis.yaml", plain+"guard: {percent: 20, rows: 3}\n")
	w.list("c", 1, 1, 1)
	w.run()
	require.Equal(t, 4, w.open())
	says(t, w.flis(0, "status"), "3 of 4 open rows would end")
}
