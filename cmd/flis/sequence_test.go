package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

// sequenceWorld is a vendor that numbers what it sends, and says each day how far it has come.
type sequenceWorld struct{ *badWorld }

// line is an event of the day that is some days ago; number 0 = none.
func (w *sequenceWorld) line(ago int, id, kind string, number int, data map[string]any) string {
	var e map[string]any
	require.NoError(w.t, json.Unmarshal([]byte(eventLine(w.t, id, vitae0615, kind, data)), &e))
	e["flis_leverance"] = w.day(ago)
	if number > 0 {
		e["sequence"] = fmt.Sprint(number)
	}
	b, err := json.Marshal(e)
	require.NoError(w.t, err)
	return string(b) + "\n"
}

func (w *sequenceWorld) day(ago int) string {
	return (schemas.InstantOf(time.Now()).Day() - schemas.Day(ago)).String()
}

func (w *sequenceWorld) event(ago, number int, change map[string]any) string {
	id := fmt.Sprint(number)
	return w.line(ago, "e-"+id, "visitation", number,
		vitaeVisitation(mixed(change, map[string]any{"VISID": id})))
}

func (w *sequenceWorld) beat(ago, antal int, last any) string {
	return w.line(ago, "hjerteslag-"+w.day(ago), "kontrol", 0,
		map[string]any{"slags": "hjerteslag", "antal": antal, "sekvens": last})
}

func (w *sequenceWorld) take(lines ...string) string {
	w.flis(0, "feed", "vitae", w.write("a.jsonl", strings.Join(lines, "")))
	w.run()
	return w.flis(0, "status")
}

func newSequenceWorld(t *testing.T) *sequenceWorld {
	w := &sequenceWorld{newVitaeWorld(t)}
	w.write("aftaler.yaml", "format: 1\naftaler:\n  - {kommune: \"0615\", omraade: aeldre, "+
		"system: vitae, bevis: sekvens, leverer: dagligt, opdatering: 15m}\n")
	return w
}

// TestSequenceFromFeedToStatus: a whole day, a hole, the hole filled later, and silence.
func TestSequenceFromFeedToStatus(t *testing.T) {
	t.Parallel()
	w := newSequenceWorld(t)
	status := w.take(w.event(6, 2, nil), w.event(6, 1, nil), w.beat(6, 2, 2))
	require.NotContains(t, status, w.day(6), "closed, and lacks nothing")
	says(t, status, "0615 aeldre  "+w.day(3)+" lukket_med_forbehold  vitae: intet hjerteslag")

	hole := " lukket_med_forbehold  vitae: sekvens til 5: mangler 1, den første er 4"
	status = w.take(w.event(5, 3, nil), w.event(5, 5, nil), w.event(5, 3, nil), w.beat(5, 3, 5),
		w.beat(4, 0, 5))
	says(t, status, "mangler    0615 aeldre  "+w.day(5)+hole, "mangler    0615 aeldre  "+w.day(4)+hole)

	status = w.take(w.event(5, 4, nil), w.event(3, 6, nil))
	require.NotContains(t, status, "den første er 4")
	says(
		t,
		status,
		"revideret  0615 aeldre  "+w.day(5)+" lukket",
		"revideret  0615 aeldre  "+w.day(4)+" lukket",
		"0615 aeldre  "+w.day(3)+" lukket_med_forbehold  vitae: intet hjerteslag",
		"0615 aeldre  "+w.day(2)+" lukket_med_forbehold  vitae: intet modtaget",
	)
	require.Len(t, shown(t, w.dir, "0615", "aeldre.visiteret_tid"), 6)
}

// TestSequenceThatIsParked: a parked number is missing until it is mended; a heartbeat that
// contradicts itself is no statement.
func TestSequenceThatIsParked(t *testing.T) {
	t.Parallel()
	w := newSequenceWorld(t)
	file := w.write("bad.jsonl", w.beat(6, 3, 2))
	says(t, w.flis(3, "check", "vitae", file), "sekvens", "less than the day's antal")
	w.flis(0, "feed", "vitae", file)
	status := w.take(w.event(6, 1, nil), w.event(6, 2, map[string]any{"KOMNR": "x"}))
	says(t, status, w.day(6)+" lukket_med_forbehold  vitae: intet hjerteslag", "vitae: 1 parkeret")
	status = w.take(w.event(6, 2, nil), w.beat(6, 2, 2))
	says(t, status, "revideret  0615 aeldre  "+w.day(6)+" lukket ")
}

// TestAgreementWords: calendars, deadlines and updates that are refused say what is wanted.
func TestAgreementWords(t *testing.T) {
	t.Parallel()
	w := newVitaeWorld(t)
	for right, words := range map[string][]string{
		`leverer: maanedlig 10`:                                nil,
		`leverer: maanedlig sidste-hverdag, frist: "3d 12:00"`: nil,
		`leverer: dagligt, opdatering: time`:                   nil,
		`leverer: maanedlig 31`:                                {"maanedlig 31", "from 1 to 28", "sidste-hverdag"},
		`leverer: maanedlig 010`:                               {"from 1 to 28"},
		`leverer: maanedlig`:                                   {"maanedlig foerste-hverdag"},
		`leverer: ugentligt`:                                   {"ugentligt", "dagligt, hverdage"},
		`leverer: dagligt, opdatering: 10m`:                    {"10m", "dagligt, time or 15m"},
		`leverer: dagligt, frist: "99d 05:30"`:                 {"1d to 31d"},
		`leverer: dagligt, frist: "2d 5:30"`:                   {"hh:mm"},
	} {
		w.write("aftaler.yaml", "format: 1\naftaler:\n  - {kommune: \"0615\", omraade: aeldre, "+
			"system: vitae, bevis: sekvens, "+right+"}\n")
		code := 0
		if words != nil {
			code = 2
		}
		says(t, w.flis(code, "run", "--once"), words...)
	}
}
