package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms/cpr"
)

// resident is a person as both layouts can say it: since when where, and until when before that.
type resident struct {
	pnr, born, land, status string
	stays                   []residence
}

type residence struct{ kommune, from, to string } // moments of twelve digits; to "" = still

var residents = []resident{
	{mover, "1965-02-01", "5100", "01", []residence{{"0461", "199001011000", "200501011000"},
		{"0101", "200501011000", "202404101200"}, {"0461", "202404101200", ""}}},
	{parted, "1960-03-02", "5180", "01", []residence{{"0101", "199001011000", ""}}},
	{newOne, "1970-04-03", "5104", "01", []residence{{"0461", "201001011000", "202404201200"},
		{"0101", "202404201200", ""}}},
	{deadOne, "1940-05-04", "5100", "90", []residence{{"0101", "197001011000", "202403151030"}}},
	{adopted, "1995-09-08", "5100", "01", []residence{{"0461", "199509081000", ""}}},
}

// layoutA and layoutB are the residents in full, a record an item.
func layoutA(t *testing.T) (all []string) {
	for _, p := range residents {
		since := strings.ReplaceAll(p.born, "-", "") + "0000"
		if p.status == "90" {
			since = p.stays[len(p.stays)-1].to
		}
		all = append(all, rec(t, cpr.A, "001", p.pnr, pairs{"STATUS", p.status, "STATUSHAENSTART", since,
			"KOEN", "K", "FOED_DT", p.born}))
		for _, s := range p.stays {
			at := pairs{"KOMKOD", s.kommune, "VEJKOD", "1234", "HUSNR", "016B", "TILFLYDTO", s.from}
			if s.to == "" {
				all = append(all, rec(t, cpr.A, "002", p.pnr, append(at, "TILFLYKOMDTO", s.from)))
			} else {
				all = append(all, rec(t, cpr.A, "023", p.pnr, append(at, "FRAFLYDTO", s.to)))
			}
		}
		all = append(all, rec(t, cpr.A, "010", p.pnr, pairs{"LANDEKOD", p.land,
			"HAENSTART-STATSBORGERSKAB", "199601010000"}))
	}
	return all
}

func layoutB(t *testing.T) []string {
	x := &extractB{t: t}
	for _, p := range residents {
		since := strings.ReplaceAll(p.born, "-", "") + "0000"
		if p.status == "90" {
			since = p.stays[len(p.stays)-1].to
		}
		x.person(p.pnr, p.status, since, p.born)
		for _, s := range p.stays {
			at := pairs{"komkod", s.kommune, "vejkod", "1234", "husnr", "016B", "adr_ts", s.from,
				"tilflydto", s.from}
			if s.to == "" {
				x.b("025", p.pnr, append(at, "tilflykomdto", s.from)...)
			} else {
				x.b("026", p.pnr, append(at, "fraflydto", s.to)...)
			}
		}
		x.b("040", p.pnr, "landekod", p.land, "stat_ts", "199601010000", "haenstart", "199601010000")
	}
	return x.all
}

// extractOf is a first extract of its own chain, so a second of another task is a full reload.
func extractOf(t *testing.T, records []string, task, day string) string {
	text := string(inForm(t, records, false, cpr.Latin1))
	text = strings.Replace(text, "110901", task, 1)
	return strings.Replace(text, produced, day, 1)
}

type cprDelivery struct{ layout, text string }

// residentsWorld closes after each delivery.
func residentsWorld(t *testing.T, all ...cprDelivery) *badWorld {
	w := newBadWorld(t)
	text := "format: 1\naftaler:\n"
	for _, k := range []string{"0101", "0461"} {
		text += fmt.Sprintf(
			"  - {kommune: %q, omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n",
			k,
		)
	}
	w.write("aftaler.yaml", text)
	for i, d := range all {
		w.flis(0, "feed", "cpr", w.write(fmt.Sprint("in", i), d.text), "--layout", d.layout)
		w.run()
	}
	require.Contains(t, w.flis(0, "parked", "list"), "nothing is parked")
	return w
}

// population is what must not change with the layout: residents by age and citizenship on days
// (B), flows by month and kind (U), and what every row says.
func (w *badWorld) population(days ...schemas.Day) (all []string) {
	w.t.Helper()
	for _, k := range []string{"0101", "0461"} {
		rows := map[string][]map[string]string{}
		for _, d := range []string{"person", "adresse", "statsborgerskab", "haendelse"} {
			rows[d] = shown(w.t, w.dir, k, "borger."+d)
			for _, r := range rows[d] {
				all = append(all, d+" "+r["gyldig_fra"]+" "+r["gyldig_til"]+" "+said([]map[string]string{r})[0])
			}
		}
		count := map[string]int{}
		for _, day := range days {
			for _, a := range on(rows["adresse"], day) {
				var age, land string
				for _, p := range on(rows["person"], day) {
					if born, err := schemas.ParseDay(p["foedselsdato"]); err == nil && p["cpr"] == a["cpr"] {
						age = fmt.Sprint(int(day-born) / 365)
					}
				}
				for _, s := range on(rows["statsborgerskab"], day) {
					if s["cpr"] == a["cpr"] {
						land = s["landekode"]
					}
				}
				count[fmt.Sprintf("%s %s: age %s, citizens of %s", k, day, age, land)]++
			}
		}
		for _, h := range rows["haendelse"] {
			count[fmt.Sprintf("%s %s: %s", k, h["gyldig_fra"][:7], h["haendelsestype"])]++
		}
		for what, n := range count {
			all = append(all, fmt.Sprintf("%s: %d", what, n))
		}
	}
	slices.Sort(all)
	return all
}

// TestLayoutChange: VS9, CPR's layout A, then a full reload in layout B: the same answers as from
// either alone, and no new event.
func TestLayoutChange(t *testing.T) {
	t.Parallel()
	a := cprDelivery{"A", extractOf(t, layoutA(t), "110101", "20240501")}
	b := cprDelivery{"B", extractOf(t, layoutB(t), "110902", "20240502")}
	d := schemas.CivilDay(2024, 5, 2)
	days := []schemas.Day{d - 400, d - 30, d - 1, d, d + 30}
	want := residentsWorld(t, a).population(days...)
	require.Greater(t, len(want), 40, "the question must have an answer")
	sameAnswers(t, want, residentsWorld(t, b).population(days...))
	w := residentsWorld(t, a, b)
	sameAnswers(t, want, w.population(days...))
	for _, k := range []string{"0101", "0461"} {
		for _, dataset := range []string{"person", "adresse", "statsborgerskab", "haendelse"} {
			require.Empty(t, shown(t, w.dir, k, "borger."+dataset, "--table", "historik"),
				"%s %s: what is said again replaces nothing", k, dataset)
		}
	}
	moved := strings.ReplaceAll(b.text, "202404201200", "202404211200")
	require.NotEqual(t, b.text, moved)
	planted := residentsWorld(t, a, cprDelivery{"B", moved})
	require.NotEqual(t, want, planted.population(days...), "a stay that begins a day later is seen")
	for _, f := range planted.files("levering/bevis/*/borger/*.json") {
		text, err := os.ReadFile(filepath.Clean(f))
		require.NoError(t, err)
		require.NotContains(t, string(text), mover)
	}
}
