package main_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const vitae0183 = "//vitae/183"

// reporterAgreements: Ishoej's installation of vitae sends for Vallensbaek too.
const reporterAgreements = `format: 1
aftaler:
  - {kommune: "0183", omraade: aeldre, system: vitae, bevis: kontroltal, leverer: dagligt}
  - {kommune: "0187", omraade: aeldre, system: vitae, indberetter: "0183", bevis: kontroltal, leverer: dagligt}
  - {kommune: "0187", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}
`

func newReporterWorld(t *testing.T) *badWorld {
	w := newBadWorld(t)
	w.write("aftaler.yaml", reporterAgreements)
	return w
}

// forKommune names the municipality of an event by its header.
func forKommune(line, kommune string) string {
	return strings.Replace(line, `{`, `{"flis_kommune":"`+kommune+`",`, 1)
}

func reported(t *testing.T, id, komnr string, change map[string]any) string {
	all := map[string]any{"KOMNR": komnr, "VISID": id}
	for k, x := range change {
		all[k] = x
	}
	return eventLine(t, "v-"+id, vitae0183, "visitation", vitaeVisitation(all))
}

func sealLine(t *testing.T, id string, n int) string {
	return eventLine(t, "segl-"+id, vitae0183, "kontrol", map[string]any{"slags": "segl", "antal": n})
}

// TestReporterIsNotTheMunicipality: records, seals and counts of one for whom another reports are
// its own; each of the two is proven by itself.
func TestReporterIsNotTheMunicipality(t *testing.T) {
	t.Parallel()
	w := newReporterWorld(t)
	w.flis(0, "feed", "vitae", w.write("a.jsonl", reported(t, "1", "183", nil)+
		reported(t, "2", "183", nil)+reported(t, "3", "187", nil)+
		sealLine(t, "a", 2)+forKommune(sealLine(t, "b", 1), "0187")))
	w.run()
	require.Len(t, shown(t, w.dir, "0183", "aeldre.visiteret_tid"), 2)
	require.Len(t, shown(t, w.dir, "0187", "aeldre.visiteret_tid"), 1)
	status := w.flis(0, "status")
	require.Equal(t, 2, strings.Count(status, " lukket "), status)
	require.NotContains(t, status, "mangler")

	w.flis(0, "feed", "vitae", w.write("b.jsonl", reported(t, "4", "187", nil)))
	w.run()
	says(t, w.flis(0, "status"), "mangler    0187 aeldre", "forseglet 1, modtaget 2")
	require.NotContains(t, w.flis(0, "status"), "mangler    0183")
}

// TestMendedRecordOfAReporter: what cannot be read is the reporter's; mended, it is whose it says,
// and the reporter lacks nothing.
func TestMendedRecordOfAReporter(t *testing.T) {
	t.Parallel()
	w := newReporterWorld(t)
	bad := reported(t, "1", "x87", nil)
	w.flis(0, "feed", "vitae", w.write("a.jsonl", bad+reported(t, "2", "183", nil)+
		sealLine(t, "a", 1)+forKommune(sealLine(t, "b", 1), "0187")))
	w.run()
	w.parked("0183", "CODE KOMNR")
	says(t, w.flis(0, "status"), "mangler    0183 aeldre", "1 parkeret", "mangler    0187 aeldre")
	w.flis(0, "feed", "vitae", w.write("b.jsonl", strings.Replace(bad, "x87", "187", 1)))
	w.run()
	require.Len(t, shown(t, w.dir, "0187", "aeldre.visiteret_tid"), 1)
	status := w.flis(0, "status")
	require.NotContains(t, status, "mangler")
	says(t, w.flis(0, "parked", "list"), "1 mended since")
}

// TestWhoMayNotReport: a neighbour, another system, an area without indberetter, and headers that
// contradict the record; nothing of them is a row.
func TestWhoMayNotReport(t *testing.T) {
	t.Parallel()
	w := newReporterWorld(t)
	file := w.write(
		"a.jsonl",
		eventLine(
			t,
			"n-1",
			"//vitae/0615",
			"visitation",
			vitaeVisitation(map[string]any{"KOMNR": "187"}),
		)+
			reported(
				t,
				"2",
				"615",
				nil,
			)+
			forKommune(
				reported(t, "3", "187", nil),
				"0615",
			)+
			forKommune(
				reported(t, "4", "183", nil),
				"0187",
			)+
			forKommune(
				sealLine(t, "5", 1),
				"0615",
			),
	)
	says(t, w.flis(3, "check", "vitae", file), "TENANT")
	w.flis(0, "feed", "vitae", file)
	w.flis(
		0,
		"feed",
		"kmd-nexus",
		w.write("n.jsonl", eventLine(t, "k-1", "//kmd-nexus/"+sor0183, grantType,
			nexusGrant(1, anna, map[string]any{"organisationSor": sor0183}))),
	)
	w.run()
	list := w.flis(0, "parked", "list")
	says(t, list, "6 records parked: TENANT 6",
		"ce_source: the system has no agreement with this municipality",
		"KOMNR: names another municipality than ce_source",
		"flis_kommune: names another municipality than ce_source",
		"KOMNR: names another municipality than flis_kommune")
	w.quiet(anna)
}

// TestReportersThatAreRefused: an agreement's indberetter is another open municipality's code.
func TestReportersThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newReporterWorld(t)
	for _, c := range [][3]string{
		{`indberetter: "0183"`, `indberetter: "183"`, "want four digits"},
		{`indberetter: "0183"`, `indberetter: "0999"`, "indberetter 0999 is not an open municipality"},
		{`kommune: "0187", omraade: aeldre`, `kommune: alle, omraade: aeldre`, "not of alle"},
	} {
		w.write("aftaler.yaml", strings.Replace(reporterAgreements, c[0], c[1], 1))
		says(t, w.flis(2, "doctor"), "aftaler.yaml:4", "entry 2", c[2])
	}
}
