package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const vitae0615 = "//vitae/615"

// vitaeVisitation is a visitation of vitae, with what a case changes.
func vitaeVisitation(change map[string]any) map[string]any {
	v := map[string]any{"VISID": "4711", "KOMNR": "615", "CPRNR": anna, "PARAGRAF": "083 01 01",
		"MIN_MA": 30, "MIN_TI": 0, "MIN_ON": 30, "MIN_TO": 0, "MIN_FR": 30, "MIN_LO": 0, "MIN_SO": 15,
		"LEVTYPE": "K", "STARTDATO": "01-02-2026", "SLUTDATO": nil, "STATUS": "A"}
	for k, x := range change {
		v[k] = x
	}
	return v
}

func newVitaeWorld(t *testing.T) *badWorld {
	w := newBadWorld(t)
	w.write("aftaler.yaml", "format: 1\naftaler:\n"+
		"  - {kommune: \"0615\", omraade: aeldre, system: vitae, bevis: kontroltal, leverer: dagligt}\n")
	return w
}

// TestCheckShowsRows: --rows prints what a mapping makes of each record, for a person and a
// program.
func TestCheckShowsRows(t *testing.T) {
	t.Parallel()
	w := newVitaeWorld(t)
	file := w.write("v.jsonl", eventLine(t, "v-1", vitae0615, "visitation", vitaeVisitation(nil))+
		eventLine(t, "v-2", vitae0615, "visitation", vitaeVisitation(map[string]any{"STATUS": "S"}))+
		eventLine(
			t,
			"b-1",
			vitae0615,
			"bolig",
			map[string]any{"BOLID": "7", "KOMNR": "615", "CPRNR": anna,
				"TYPE": 1, "VISDATO": "10-01-2026", "INDDATO": "01-02-2026", "STATUS": "A"},
		))
	out := w.flis(0, "check", "vitae", file, "--rows")
	says(
		t,
		out,
		"line 1     accepteret",
		"replace aeldre.visiteret_tid  kommunekode 0615  gyldig_fra always",
		"upsert aeldre.visiteret_tid  kommunekode 0615  gyldig_fra 2026-02-01  gyldig_til open",
		"* visitation_id = vitae:4711",
		"  minutter_pr_uge = 105.0000",
		"  slutdato = null",
		"delete aeldre.visiteret_tid",
		"gyldig_til open  scope vitae:7",
		"  fase = bor",
	)
	require.NotContains(t, w.flis(0, "check", "vitae", file, "--all"), anna)
	var report struct {
		Verdicts []struct {
			Rows []struct {
				Op, Dataset, Kommunekode string
				From                     *string `json:"gyldig_fra"`
				To                       *string `json:"gyldig_til"`
				Key                      map[string]string
				Values                   map[string]*string
			}
		}
	}
	require.NoError(
		t,
		json.Unmarshal([]byte(w.flis(0, "check", "vitae", file, "--rows", "--format", "json")), &report),
	)
	row := report.Verdicts[0].Rows[1]
	require.Equal(t, "vitae:4711", row.Key["visitation_id"])
	require.Equal(t, "2026-02-01", *row.From)
	require.Nil(t, row.To)
	require.Equal(t, "105.0000", *row.Values["minutter_pr_uge"])
	require.Nil(t, row.Values["slutdato"])
	require.Contains(t, row.Values, "slutdato")
	require.Equal(t, "vitae:4711", report.Verdicts[1].Rows[0].Key["visitation_id"])
}

// TestOneVerdict: what check, feed and run say of data that the schema does not take is one
// finding.
func TestOneVerdict(t *testing.T) {
	t.Parallel()
	w := newVitaeWorld(t)
	file := w.write("v.jsonl", eventLine(t, "v-1", vitae0615, "visitation",
		vitaeVisitation(map[string]any{"MIN_MA": "30"}))+
		eventLine(t, "v-2", vitae0615, "visit", vitaeVisitation(nil)))
	const encoding = "data.MIN_MA: want an integer of 32 bits"
	const event = "ce_type: is missing or not the event of this topic"
	says(
		t,
		w.flis(3, "check", "vitae", file),
		"DECODE  "+encoding,
		"ENVELOPE  "+event,
		"bolig, visitation, kontrol",
	)
	says(t, w.flis(3, "feed", "vitae", file), "DECODE line 1 "+encoding, "ENVELOPE line 2 "+event)
	w.run()
	w.parked("DECODE " + encoding)
	w.parked("ENVELOPE " + event)
}

// TestTheWayBack: a parked record that is sent again, mended, under its id is the event; the day
// that waited for it is whole.
func TestTheWayBack(t *testing.T) {
	t.Parallel()
	w := newVitaeWorld(t)
	bad := eventLine(
		t,
		"v-1",
		vitae0615,
		"visitation",
		vitaeVisitation(map[string]any{"LEVTYPE": "X"}),
	)
	seal := eventLine(t, "segl-1", vitae0615, "kontrol", map[string]any{"slags": "segl", "antal": 1})
	w.flis(0, "feed", "vitae", w.write("a.jsonl", bad+seal))
	w.run()
	says(t, w.flis(0, "parked", "list"), "CODE LEVTYPE", "1 record parked: CODE 1")
	w.flis(0, "feed", "vitae", w.write("b.jsonl", strings.Replace(bad, `"X"`, `"P"`, 1)))
	w.run()
	says(t, w.flis(0, "parked", "list"), "; mended since", "1 record parked (1 mended since)")
	require.Len(t, shown(t, w.dir, "0615", "aeldre.visiteret_tid"), 1)
	says(t, w.flis(0, "status"), "0615", "lukket")
	require.NotContains(t, w.flis(0, "status"), "parkeret")
}

// TestCatalogsThatAreRefused: a file of an overlay that cannot be used is named with its line.
func TestCatalogsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newVitaeWorld(t)
	w.write("flis.yaml", "dir: .\nagreements: aftaler.yaml\ncatalog: katalog\n")
	file := w.write("v.jsonl", "")
	builtin, err := os.ReadFile(filepath.Join("..", "..", "schemas", "systems", "vitae", "bolig.avsc"))
	require.NoError(t, err)
	for name, c := range map[string][2]string{
		"systems/vitae/bolig.avsc": {strings.Replace(string(builtin), `"entity id, the topic's key"},`,
			`"entity id"},,`, 1), "systems/vitae/bolig.avsc: line 5 is no JSON"},
		"codes/lokal.csv": {"vitae;lov;1;SEL-83;;;o\n", "codes/lokal.csv:1: the first line is no heading"},
		"mappings/vitae/bolig.yaml": {"system: vita\nevent: bolig\n",
			"mappings/vitae/bolig.yaml:1: system: vita does not fit the folder: want system: vitae"},
	} {
		require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "katalog")))
		require.NoError(t, os.MkdirAll(filepath.Join(w.dir, "katalog", filepath.Dir(name)), 0o700))
		w.write("katalog/"+name, c[0])
		says(t, w.flis(2, "check", "vitae", file), c[1])
	}
}

// TestAgreementFilesLoad: the example of docs/agreements.md, and the agreements of the cases.
func TestAgreementFilesLoad(t *testing.T) {
	t.Parallel()
	w := newVitaeWorld(t)
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "agreements.md"))
	require.NoError(t, err)
	_, example, _ := strings.Cut(string(doc), "```yaml\n")
	example, _, found := strings.Cut(example, "```")
	require.True(t, found)
	cases, err := os.ReadFile(filepath.Join("..", "..", "testdata", "cases", "aftaler.yaml"))
	require.NoError(t, err)
	file := w.write("v.jsonl", eventLine(t, "v-1", vitae0615, "visitation", vitaeVisitation(nil)))
	for _, text := range []string{example, string(cases)} {
		w.write("aftaler.yaml", text)
		w.flis(0, "check", "vitae", file)
	}
}
