package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

// The stories of this file are made from a seed: what kmd-nexus and CPR tell of a few persons over
// some days, late, twice, corrected, back-dated, deleted.
const (
	storyDays    = 6
	storyKommune = "0101"
	storySOR     = "99901011000016"
)

// told is one event; its time is its own, whenever it is sent.
type told struct {
	kind, id string
	at       time.Time
	day      schemas.Day // leverance
	data     map[string]any
}

func (e *told) line() string {
	b, err := json.Marshal(map[string]any{"specversion": "1.0", "id": e.id, "type": e.kind,
		"source": "//kmd-nexus/" + storySOR, "time": e.at.UTC().Format(time.RFC3339),
		"flis_leverance": e.day.String(), "data": e.data})
	if err != nil {
		panic("encode event: " + err.Error()) // of plain values
	}
	return string(b) + "\n"
}

// events of a story in the order of their times, no two alike.
func toldEvents(r *rand.Rand, first schemas.Day) (all []told) {
	pnr := func() string { n := r.IntN(5); return fmt.Sprintf("61%02d40-%04d", n+1, n+1) }
	day := func(d int) string {
		return (first + schemas.Day(d)).Midnight().Time().In(schemas.Copenhagen).Format(time.RFC3339)
	}
	for d := range storyDays {
		for i := range 4 + r.IntN(8) {
			delivered := first + schemas.Day(max(0, d-r.IntN(3))) // some for a day before
			e := told{day: delivered, at: (first + schemas.Day(d)).Midnight().Time().Add(
				time.Duration(10*3600+60*i) * time.Second), id: fmt.Sprintf("e-%d-%d", d, i)}
			switch r.IntN(4) {
			case 0:
				start := day(d - r.IntN(4))
				e.kind, e.data = "visit", map[string]any{"visitId": r.IntN(6), "patientIdentifier": pnr(),
					"organisationSor": storySOR, "start": start, "end": start, "grantIds": []int{},
					"state": []string{"COMPLETED", "PLANNED", "DELETED"}[r.IntN(3)]}
			case 1:
				e.kind, e.data = "housing", map[string]any{"housingId": fmt.Sprint(r.IntN(3)),
					"patientIdentifier": pnr(), "organisationSor": storySOR, "kind": "NURSING_HOME",
					"state": []string{"ACTIVE", "ACTIVE", "CANCELLED"}[r.IntN(3)], "assessedOn": day(-r.IntN(9)),
					"movedInOn": day(r.IntN(4))}
			default:
				e.kind, e.data = "grant", map[string]any{"grantId": r.IntN(6), "patientIdentifier": pnr(),
					"organisationSor": storySOR, "paragraph": map[string]any{"law": "SEL", "section": "83"},
					"catalogCode":   []string{"PERSONLIG", "PRAKTISK"}[r.IntN(2)],
					"workflowState": []string{"ACTIVE", "ACTIVE", "ACTIVE", "DELETED"}[r.IntN(4)],
					"validity":      map[string]any{"from": day(-r.IntN(20)), "to": nil},
					"amount":        map[string]any{"minutes": 15 * (1 + r.IntN(4)), "every": "WEEK"},
					"supplier":      map[string]any{"cvr": nil, "kind": "MUNICIPAL"}}
			}
			all = append(all, e)
		}
	}
	return all
}

// cprOf is CPR's file of a day: where each of five persons has lived since when, as is known that
// day; a stay may be moved back or never have been.
func cprOf(r *rand.Rand, day schemas.Day, n int) string {
	line := func(kind, pnr string, at ...any) string {
		b := []byte(fmt.Sprintf("%-200s", kind+pnr))
		for i := 0; i < len(at); i += 2 {
			copy(b[at[i].(int)-1:], at[i+1].(string))
		}
		return strings.TrimRight(string(b), " ") + "\n"
	}
	compact := func(d schemas.Day) string { return d.Civil().Format("20060102") }
	previous, body, count := compact(day-1), "", 0
	if n == 0 {
		previous = "        "
	}
	for i := range 5 {
		if n > 0 && r.IntN(2) == 0 {
			continue
		}
		pnr := fmt.Sprintf("61%02d40%04d", i+1, i+1)
		since := compact(day-schemas.Day(r.IntN(60))) + "1200"
		home := []string{"0101", "0101", "0751"}[r.IntN(3)]
		body += line("001", pnr, 24, "01", 26, "194001010000", 39, "K", 40, "1940-01-01") +
			line("002", pnr, 14, home, 18, "0222", 22, "009", 70, since, 83, since) +
			line("010", pnr, 14, "5100", 18, "194001010000") + line("012", pnr, 14, "U", 71, "194001010000")
		count += 4
	}
	return "000" + strings.Repeat("0", 10) + "110101" + compact(day) + previous + "\n" + body +
		"999" + strings.Repeat("9", 10) + fmt.Sprintf("%08d\n", count)
}

// theatre is an installation inside the test's process, with a clock of its own.
type theatre struct {
	t      *testing.T
	in     *installation
	closer *sinks.Closer
	cl     *cluster
	now    time.Time
	out    bytes.Buffer
	files  int
}

func newTheatre(t *testing.T) *theatre {
	x := &theatre{t: t, now: time.Now()}
	dir := t.TempDir()
	text := "format: 1\naftaler:\n" +
		"  - {kommune: \"0101\", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n" +
		"  - {kommune: \"0751\", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n" +
		"  - {kommune: \"0101\", omraade: aeldre, system: kmd-nexus, bevis: ingen, leverer: dagligt}\n"
	agreements := filepath.Join(dir, "aftaler.yaml")
	require.NoError(t, os.WriteFile(agreements, []byte(text), 0o600))
	cfg := &config{Dir: dir, Agreements: agreements, Key: filepath.Join(dir, "noegle")}
	require.NoError(t, os.WriteFile(cfg.Key, []byte(newKey()), 0o600))
	cfg.Kafka.Partitions = 1
	c := &cobra.Command{}
	c.SetContext(t.Context())
	c.SetOut(&x.out)
	c.SetErr(&x.out)
	var err error
	x.in, err = newInstallation(c, cfg, func() time.Time { return x.now })
	require.NoError(t, err)
	x.cl, err = x.in.connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { x.cl.Close() })
	x.closer, err = x.in.newCloser()
	require.NoError(t, err)
	return x
}

func (x *theatre) feed(system schemas.System, text, layout string) {
	x.t.Helper()
	if text == "" {
		return
	}
	x.files++
	path := filepath.Join(x.t.TempDir(), fmt.Sprint(x.files))
	require.NoError(x.t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(x.t, x.in.feedFiles(x.t.Context(), x.cl, system, []string{path},
		feedFlags{layout: layout}))
}

// close works everything through at a moment.
func (x *theatre) close(at time.Time) {
	x.t.Helper()
	x.now = at
	require.NoError(x.t, x.in.normaliseAll(x.t.Context(), x.cl, true))
	require.NoError(x.t, x.in.closeRound(x.t.Context(), x.closer, nil))
}

// shown is what flis show prints of a dataset, a line a row.
func (x *theatre) shown(dataset string, f showFlags) []string {
	x.t.Helper()
	f.format = "json"
	o, err := f.options()
	require.NoError(x.t, err)
	x.out.Reset()
	require.NoError(x.t, x.in.show(x.t.Context(), storyKommune, dataset, o, f.format))
	var rows []map[string]any
	dec := json.NewDecoder(&x.out)
	dec.UseNumber()
	require.NoError(x.t, dec.Decode(&rows))
	lines := make([]string, len(rows))
	for i, r := range rows {
		if f.knownAt != "" {
			r["registreret_til"] = nil // says what has become of it since
		}
		b, err := json.Marshal(r)
		require.NoError(x.t, err)
		lines[i] = string(b)
	}
	return lines
}

func (x *theatre) datasets() (all []string) {
	for d := range x.in.datasets {
		all = append(all, string(d))
	}
	slices.Sort(all)
	return all
}

// play tells a story day by day, with one to three closes a day, some after midnight; kept is, for
// each day of delivery, the rows as flis show gave them when that day's last close had been made.
func (x *theatre) play(seed uint64) (first schemas.Day, kept map[schemas.Day]map[string][]string) {
	r := rand.New(rand.NewPCG(seed, 3))
	first = schemas.DayOf(time.Now()) - storyDays
	events := toldEvents(r, first)
	kept = map[schemas.Day]map[string][]string{}
	for d := range storyDays {
		day := first + schemas.Day(d)
		evening := day.Midnight().Time().Add(20 * time.Hour)
		x.feed("cpr", cprOf(r, day, d), "A")
		parts := 1 + r.IntN(3)
		for part := range parts {
			var text strings.Builder
			for i := range events {
				e := &events[i]
				told := schemas.DayOf(e.at) == day && i%parts == part
				if told || e.at.Before(evening) && r.IntN(12) == 0 { // once more
					text.WriteString(e.line())
				}
			}
			x.feed("kmd-nexus", text.String(), "")
			x.close(evening.Add(time.Duration(part*(1+r.IntN(5))) * time.Hour))
			x.keep(kept)
		}
	}
	x.close((first + storyDays).Midnight().Time().Add(12 * time.Hour)) // deadlines pass
	x.keep(kept)
	return first, kept
}

// keep notes what is delivered now under the day of the newest certificate of each area.
func (x *theatre) keep(kept map[schemas.Day]map[string][]string) {
	x.t.Helper()
	for _, d := range x.datasets() {
		u := schemas.Unit{Kommune: storyKommune, Area: schemas.DatasetName(d).Area()}
		c, err := sinks.FindCertificate(x.t.Context(), x.in.delivered, u, 0)
		require.NoError(x.t, err)
		day := c.LeveranceDay()
		if kept[day] == nil {
			kept[day] = map[string][]string{}
		}
		kept[day][d] = x.shown(d, showFlags{})
	}
}

// TestKnownAt: what was delivered on each day of a story can be had again afterwards, exactly.
func TestKnownAt(t *testing.T) {
	t.Parallel()
	changed := 0
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			x := newTheatre(t)
			first, kept := x.play(seed)
			last := map[string][]string{}
			for day := first; day <= first+storyDays; day++ {
				for _, d := range x.datasets() {
					if rows, ok := kept[day][d]; ok {
						if last[d] != nil && !slices.Equal(last[d], rows) {
							changed++
						}
						last[d] = rows
					}
					got := x.shown(d, showFlags{knownAt: day.String()})
					require.ElementsMatch(t, last[d], got, "%s as known on %s", d, day)
				}
			}
			require.Greater(t, len(kept), storyDays/2)
		})
	}
	require.Greater(t, changed, 20, "the stories must change what is known")
}

// TestOrderDoesNotMatter: the deliveries of a story in other orders, doubled, divided otherwise,
// with other closes between: the same rows, but for when we knew.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			var want map[string][]string
			for way := range uint64(4) {
				got := toldInOrder(t, seed, way)
				if want == nil {
					want = got
					require.Greater(t, len(want["aeldre.visiteret_tid"]), 2)
					continue
				}
				require.Equal(t, want, got, "way %d", way)
			}
		})
	}
}

// toldInOrder tells a story in one of many ways. 0: as it happened, closed once. The moment of each
// event is its own in all of them.
func toldInOrder(t *testing.T, seed, way uint64) map[string][]string {
	r := rand.New(rand.NewPCG(seed, 3))
	first := schemas.DayOf(time.Now()) - storyDays
	events := toldEvents(r, first)
	var files []string // CPR's chain has one order
	for d := range storyDays {
		files = append(files, cprOf(r, first+schemas.Day(d), d))
	}
	x := newTheatre(t)
	how := rand.New(rand.NewPCG(seed, 1000+way))
	if way > 0 {
		how.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		events = append(events, events[:len(events)/3]...) // a third is told twice
	}
	for len(events)+len(files) > 0 {
		n, cpr := len(events), len(files)
		if way > 0 {
			n, cpr = min(n, 1+how.IntN(30)), min(cpr, how.IntN(3))
		}
		var text strings.Builder
		for i := range events[:n] {
			text.WriteString(events[i].line())
		}
		x.feed("kmd-nexus", text.String(), "")
		for _, f := range files[:cpr] {
			x.feed("cpr", f, "A")
		}
		if way > 0 && cpr > 0 && how.IntN(2) == 0 {
			x.feed("cpr", files[0], "A") // the same file again
		}
		events, files = events[n:], files[cpr:]
		x.close(x.now)
	}
	rows := map[string][]string{}
	for _, d := range x.datasets() {
		if d == string(schemas.StatusDataset) {
			continue // tells of the closes, which differ
		}
		for _, l := range x.shown(d, showFlags{}) {
			var row map[string]any
			require.NoError(t, json.Unmarshal([]byte(l), &row))
			maps.DeleteFunc(row, func(k string, _ any) bool { return strings.HasPrefix(k, "registreret") })
			b, err := json.Marshal(row)
			require.NoError(t, err)
			rows[d] = append(rows[d], string(b))
		}
		slices.Sort(rows[d])
	}
	return rows
}
