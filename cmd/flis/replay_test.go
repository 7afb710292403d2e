package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

// replayWorld is a municipality whose day of yesterday is closed: two visitations by a mapping of
// ours, one of them parked for a code that our list lacks, if wanted.
type replayWorld struct {
	*badWorld
	day schemas.Day
}

func newReplayWorld(t *testing.T) *replayWorld {
	w := &replayWorld{newVitaeWorld(t), schemas.InstantOf(time.Now()).Day() - 1}
	w.write(
		"flis.yaml",
		"dir: .\nagreements: aftaler.yaml\ncatalog: katalog\nkafka:\n  partitions: 1\n",
	)
	for _, d := range []string{"mappings/vitae", "codes"} {
		require.NoError(t, os.MkdirAll(filepath.Join(w.dir, "katalog", d), 0o700))
	}
	return w
}

// event is a line of yesterday's delivery.
func (w *replayWorld) event(id, kind string, data map[string]any) string {
	var e map[string]any
	require.NoError(w.t, json.Unmarshal([]byte(eventLine(w.t, id, vitae0615, kind, data)), &e))
	e["flis_leverance"] = w.day.String()
	b, err := json.Marshal(e)
	require.NoError(w.t, err)
	return string(b) + "\n"
}

func (w *replayWorld) visitation(id string, change map[string]any) string {
	return w.event("e-"+id, "visitation", vitaeVisitation(mixed(change, map[string]any{"VISID": id})))
}

func mixed(a, b map[string]any) map[string]any {
	all := map[string]any{}
	for _, m := range []map[string]any{a, b} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

func (w *replayWorld) seal(n int) string {
	return w.event("segl", "kontrol", map[string]any{"slags": "segl", "antal": n,
		"leverance": w.day.String()})
}

func (w *replayWorld) take(lines ...string) {
	w.flis(0, "feed", "vitae", w.write("a.jsonl", strings.Join(lines, "")))
	w.run()
}

// mapping puts a mapping in the overlay: the built-in one with some texts replaced.
func (w *replayWorld) mapping(changes ...string) {
	file := filepath.Join("..", "..", "transforms", "mappings", "vitae", "visitation.yaml")
	text, err := os.ReadFile(file)
	require.NoError(w.t, err)
	w.write("katalog/mappings/vitae/visitation.yaml",
		strings.NewReplacer(changes...).Replace(string(text)))
}

// journal is every file of the journal, by name.
func (w *replayWorld) journal() []string {
	all, err := filepath.Glob(filepath.Join(w.dir, "intern", "journal", "vitae", "_delta_log", "*"))
	require.NoError(w.t, err)
	return all
}

func (w *replayWorld) rows(more ...string) map[string]string {
	all := map[string]string{}
	for _, r := range shown(w.t, w.dir, "0615", "aeldre.visiteret_tid", more...) {
		all[r["visitation_id"]] = r["minutter_pr_uge"]
	}
	return all
}

func (w *replayWorld) certificate() string {
	all, err := filepath.Glob(filepath.Join(w.dir, "levering", "bevis", "0615", "aeldre",
		"????????.txt"))
	require.NoError(w.t, err)
	text, err := os.ReadFile(all[len(all)-1])
	require.NoError(w.t, err)
	return string(text)
}

// TestReplayOfAnotherMapping: a column, the keys, and rows that go; what was delivered is kept.
func TestReplayOfAnotherMapping(t *testing.T) {
	t.Parallel()
	w := newReplayWorld(t)
	w.take(w.visitation("1", nil), w.visitation("2", map[string]any{"MIN_MA": 10}), w.seal(2))
	day := w.day.String()
	require.Equal(t, map[string]string{"vitae:1": "105.0000", "vitae:2": "85.0000"}, w.rows())
	says(t, w.flis(0, "replay", "vitae", "--dry-run"), "2 records judged, 0 give other rows",
		"nothing is written")

	w.mapping("[MIN_MA, MIN_TI, ", "[MIN_MA, MIN_MA, MIN_TI, ")
	before := w.journal()
	out := w.flis(0, "replay", "vitae", "--dry-run")
	says(t, out, "2 give other rows", "aeldre.visiteret_tid  0615: 2 rows change (minutter_pr_uge)",
		"0615/aeldre  revises 1 closed day: "+day, "nothing is written")
	require.Equal(t, before, w.journal())
	require.NotContains(t, out, anna)
	says(t, w.flis(0, "replay", "vitae", "--from", (w.day+1).String(), "--dry-run"),
		"0 records judged")

	says(t, w.flis(0, "replay", "vitae"), "generation 1 of 2 records is written", "closed 2 units")
	require.Equal(t, map[string]string{"vitae:1": "135.0000", "vitae:2": "95.0000"}, w.rows())
	require.Equal(t, map[string]string{"vitae:1": "105.0000", "vitae:2": "85.0000"},
		w.rows("--known-at", day))
	w.run()
	says(t, w.flis(0, "status"), "lukket", "revideret  0615 aeldre  "+day+" lukket  1")
	says(t, w.certificate(), "Genafledninger", "vitae, generation 1",
		"reviderer "+day+" (revideret 1)")
	says(t, w.flis(0, "replay", "vitae"), "0 give other rows", "nothing is written")

	w.mapping("visitation_id: {field: VISID, id: true}", "visitation_id: {field: PARAGRAF, id: true}",
		"kommune: {", "unused: [VISID]\nkommune: {")
	says(t, w.flis(0, "replay", "vitae", "--dry-run"), "2 rows appear, 2 rows vanish")
	w.flis(0, "replay", "vitae")
	require.Len(t, w.rows(), 1, "both visitations have one key now")
	w.flis(0, "audit")

	w.mapping(
		"STATUS: [A, P, S]",
		"STATUS: [P, S]",
		"kommune: {",
		"ignore: [{STATUS: [A]}]\nkommune: {",
	)
	says(t, w.flis(0, "replay", "vitae"), "accepteret → ignoreret", "2 rows vanish")
	require.Empty(t, w.rows())
	w.mapping()
	w.flis(0, "replay", "vitae")
	require.Equal(t, map[string]string{"vitae:1": "105.0000", "vitae:2": "85.0000"}, w.rows())
	require.Equal(t, map[string]string{"vitae:1": "105.0000", "vitae:2": "85.0000"},
		w.rows("--known-at", day))
	w.run()
	w.quiet(anna)
}

// TestParkedReplay: a code that our list lacked. The day that waited is revised and whole.
func TestParkedReplay(t *testing.T) {
	t.Parallel()
	w := newReplayWorld(t)
	w.take(w.visitation("1", nil), w.visitation("2", map[string]any{"LEVTYPE": "Q"}),
		w.event("e-3", "visitation", mixed(vitaeVisitation(nil), map[string]any{"STARTDATO": "x"})),
		w.seal(3))
	says(t, w.flis(0, "parked", "list"), "2 records parked")
	says(t, w.flis(0, "parked", "replay", "--dry-run"), "2 records judged, 0 give other rows")

	w.write("katalog/codes/lokal.csv", "system;liste;kode;standard;gyldig_fra;gyldig_til;kilde\n"+
		"vitae;leverandoertype;Q;privat;;;o\n")
	const one = "parkeret → accepteret  1 record"
	says(t, w.flis(0, "parked", "replay", "--dry-run"), one, "0615: 1 row appears",
		"0615/aeldre  revises 1 closed day", "nothing is written")
	for _, none := range [][]string{{"--reason", "DATE"}, {"--kommune", "0101"}, {"--system", "cpr"}} {
		says(t, w.flis(0, append([]string{"parked", "replay"}, none...)...), "nothing is written")
	}
	says(t, w.flis(0, "parked", "replay", "--system", "vitae", "--reason", "CODE", "--kommune",
		"0615"), one, "generation 1 of 1 records is written")
	require.Len(t, w.rows(), 2)
	w.run()
	out := w.flis(0, "parked", "list")
	says(t, out, "1 record parked")
	require.NotContains(t, out, "LEVTYPE")
	says(t, w.flis(0, "status"), "lukket_med_forbehold", "1 parkeret")
	says(t, w.flis(0, "explain", "0615", "aeldre.visiteret_tid", "vitae:2"), "generation 1")
}

// TestReplayOfSnapshots: CPR's blocks are snapshots that reach every municipality. A mapping of ours
// forgot them for addresses; mended and replayed, all is as if it had been right from the first.
func TestReplayOfSnapshots(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "transforms", "mappings", "cpr", "person.yaml")
	right, err := os.ReadFile(file)
	require.NoError(t, err)
	wrong := strings.Replace(string(right), "    - borger.adresse\n", "", 1)
	require.NotEqual(t, string(right), wrong)
	tables := func(mapping string, replay bool) (all []map[string]string) {
		w := newReplayWorld(t)
		w.write("aftaler.yaml", "format: 1\naftaler:\n"+
			"  - {kommune: \"0101\", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n"+
			"  - {kommune: \"0183\", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n")
		require.NoError(t, os.MkdirAll(filepath.Join(w.dir, "katalog", "mappings", "cpr"), 0o700))
		w.write("katalog/mappings/cpr/person.yaml", mapping)
		for i, kommune := range []string{"0101", "0183"} {
			days := []string{"", "2026-03-01", "2026-03-02"}
			w.flis(0, "feed", "cpr", w.write("f", cprExtract(days[i+1], days[i],
				append(cprResident(anna, kommune, "202001011200"),
					cprResident(bent, "0101", "202001011200")...)...)), "--layout", "A")
			w.run()
		}
		if replay {
			w.write("katalog/mappings/cpr/person.yaml", string(right))
			says(t, w.flis(0, "replay", "cpr", "--dry-run"), "4 records judged, 4 give other rows",
				"borger.adresse  0000: 4 other statements")
			w.flis(0, "replay", "cpr")
			w.run()
		}
		for _, k := range []string{"0101", "0183"} {
			for _, d := range []string{"borger.person", "borger.adresse", "borger.haendelse"} {
				for _, r := range shown(t, w.dir, k, d) {
					delete(r, "registreret_fra")
					all = append(all, r)
				}
			}
		}
		w.quiet(anna, bent)
		return all
	}
	want, bad := tables(string(right), false), tables(wrong, false)
	require.NotEmpty(t, want)
	require.NotEqual(t, want, bad, "the mistake must show")
	require.Equal(t, want, tables(wrong, true))
}
