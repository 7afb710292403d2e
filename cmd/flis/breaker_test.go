package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// badCodes is a delivery of which a code is in no list of ours.
func (w *replayWorld) badCodes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(w.visitation(fmt.Sprint(i), map[string]any{"LEVTYPE": "Q"}))
	}
	return b.String()
}

const codeQ = "system;liste;kode;standard;gyldig_fra;gyldig_til;kilde\n" +
	"vitae;leverandoertype;Q;privat;;;o\n"

// TestBreakerStopsOneStream: a first mapping that parks everything stops its stream before anything
// of it is written, over restarts; the other streams, and the close, go on. Mended, all is there.
func TestBreakerStopsOneStream(t *testing.T) {
	t.Parallel()
	w := newReplayWorld(t)
	bolig := w.event("b-1", "bolig", map[string]any{"BOLID": "7", "KOMNR": "615", "CPRNR": anna,
		"TYPE": 1, "VISDATO": "10-01-2026", "INDDATO": "01-02-2026", "STATUS": "A"})
	w.flis(0, "feed", "vitae", w.write("a.jsonl", w.badCodes(300)+bolig+w.seal(301)))
	for range 2 {
		out := w.flis(1, "run", "--once")
		says(t, out, "raw.vitae.visitation.v1/0 is stopped: 201 of 201 records are parked",
			"these are its first records", "flis parked replay --system vitae", "--accept-parked")
	}
	says(t, w.flis(0, "parked", "list"), "nothing is parked")
	require.Len(t, shown(t, w.dir, "0615", "aeldre.plejebolig"), 2, "another stream goes on")
	w.write("katalog/codes/lokal.csv", codeQ)
	w.run()
	require.Len(t, w.rows(), 300)
	says(t, w.flis(0, "status"), "lukket")
	w.quiet(anna)
}

// TestBreakerAccepted: the records are bad and not our change; a person says so, once.
func TestBreakerAccepted(t *testing.T) {
	t.Parallel()
	w := newReplayWorld(t)
	w.flis(0, "feed", "vitae", w.write("a.jsonl", w.badCodes(250)))
	w.flis(1, "run", "--once")
	w.flis(0, "run", "--once", "--accept-parked", "vitae has been told")
	says(t, w.flis(0, "parked", "list"), "250 records parked: CODE 250")
	w.flis(0, "feed", "vitae", w.write("b.jsonl", strings.ReplaceAll(w.badCodes(60), "e-", "f-")))
	w.run()
	w.write("katalog/codes/lokal.csv", codeQ)
	says(t, w.flis(0, "parked", "replay"), "parkeret → accepteret  310 records",
		"generation 1 of 310 records is written")
	w.run()
	require.Len(t, w.rows(), 250)

	w.write("katalog/codes/lokal.csv", strings.Replace(codeQ, ";Q;", ";W;", 1))
	out := w.flis(1, "replay", "vitae")
	says(t, out, "accepteret → parkeret  310 records",
		"310 records would be parked, now it is 0 of the 310 judged", "--accept-parked")
	require.Len(t, w.rows(), 250, "our own bad change stops itself")
	says(t, w.flis(0, "replay", "vitae", "--accept-parked", "a test"), "waits 0615/aeldre")
	require.Len(t, w.rows(), 250, "that the records may be parked does not yet end their rows")
	digest := digestLine.FindStringSubmatch(w.flis(0, "approve", "0615", "aeldre"))[1]
	w.flis(0, "approve", "0615", "aeldre", "--digest", digest, "--by", "Inge", "--reason", "a test")
	w.run()
	require.Empty(t, w.rows())
	says(t, w.flis(0, "parked", "list"), "310 records parked")
	says(t, w.flis(0, "parked", "show", "vitae", "raw.vitae.visitation.v1/0/7"), "CODE  LEVTYPE",
		"outcome    parkeret")
	w.run()
}
