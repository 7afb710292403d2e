package cpr

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/codes"
)

// signs is the column fortegn of befolkningshaendelse: what an event does to the stock.
func signs(t require.TestingT) map[string]int {
	lists, err := codes.Load(schemas.Builtin)
	require.NoError(t, err)
	m := map[string]int{}
	for _, kind := range lists.Codes("befolkningshaendelse") {
		e, _ := lists.Lookup("befolkningshaendelse", kind, schemas.Open)
		m[kind] = map[string]int{"+": 1, "-": -1, "0": 0}[e.Fields["fortegn"]]
	}
	require.Len(t, m, 10)
	return m
}

// sign is that of one event: the residence that it begins or ends is there.
func (e *event) sign(of map[string]int) int {
	s := of[e.kind]
	if s > 0 && e.to == "" || s < 0 && e.from == "" {
		return 0
	}
	return s
}

// stock is who holds an address on a day.
func (f *facts) stock(d schemas.Day) map[schemas.Kommunekode]int {
	n := map[schemas.Kommunekode]int{}
	for i := range f.address {
		if a := &f.address[i]; a.held.from <= d && d < a.held.to {
			n[a.kommune]++
		}
	}
	return n
}

// requireFlows: over each span, the signed events are the difference of stocks, per municipality.
// born moves a birth to the first day of residence, which FOED_DT may lie before.
func requireFlows(t require.TestingT, f *facts, of map[string]int, days []schemas.Day, born bool) {
	for i := 1; i < len(days); i++ {
		want := f.stock(days[i])
		for k, n := range f.stock(days[i-1]) {
			want[k] -= n
		}
		got := map[schemas.Kommunekode]int{}
		for j := range f.events {
			e := &f.events[j]
			day := e.day
			if born && e.kind == evBorn {
				day = f.address[0].held.from
			}
			// The change of a day is between its stock and that of the day before.
			if days[i-1] < day && day <= days[i] {
				got[e.kommune] += e.sign(of)
			}
		}
		for _, m := range []map[schemas.Kommunekode]int{got, want} {
			for k, n := range m {
				require.Equal(t, got[k], want[k], "%s to %s, %s: %d", days[i-1], days[i], k, n)
			}
		}
	}
}

// yearStarts is each 1 January of some years. A change on the day itself is of the year before.
func yearStarts(from, to int) []schemas.Day {
	var all []schemas.Day
	for y := from; y <= to; y++ {
		all = append(all, schemas.CivilDay(y, 1, 1)-1)
	}
	return all
}

// life is a made-up person as the register tells it, and what happened to the population.
type life struct {
	t      *rapid.T
	lines  []string
	want   []string // "day kind kommune from to"
	day    schemas.Day
	komkod string // of the present residence, "" = none
	since  schemas.Day
	where  string // abroad, gone, dead, "" = at home
	left   schemas.Day
	road   int
}

func (l *life) stamp(d schemas.Day) string { return d.Civil().Format("20060102") + "0000" }

// pass lets time go by, some days at least.
func (l *life) pass() { l.day += schemas.Day(rapid.IntRange(1, 900).Draw(l.t, "days")) }

func (l *life) draw(not string) string {
	all := slices.DeleteFunc([]string{"0101", "0157", "0217", "0740", "0955", "0010"},
		func(s string) bool { return s == not })
	return rapid.SampledFrom(all).Draw(l.t, "komkod")
}

func (l *life) happen(d schemas.Day, kind, kommune, from, to string) {
	if k, ok := testHolder(kommune); ok {
		l.want = append(l.want, fmt.Sprintf("%s %s %s %s>%s", d, kind, k, from, to))
	}
}

// settle begins a residence, end ends it.
func (l *life) settle(komkod string) { l.komkod, l.since = komkod, l.day }

func (l *life) end() {
	l.road++
	l.lines = append(l.lines, fmt.Sprintf("023 KOMKOD=%s VEJKOD=%04d TILFLYDTO=%s FRAFLYDTO=%s",
		l.komkod, l.road, l.stamp(l.since), l.stamp(l.day)))
}

func (l *life) step() {
	l.pass()
	kind := rapid.SampledFrom([]string{"move", "intern", "emigrate", "vanish"}).Draw(l.t, "what")
	out := map[string]string{"emigrate": evEmigrated, "vanish": evGone}[kind]
	switch {
	case l.where == "abroad":
		l.returns("024 UDR_LANDEKOD=5120 UDRDTO=%s INDR_LANDEKOD=5130 INDRDTO=%s", evImmigrated)
	case l.where == "gone":
		l.returns("025 FORSVINDDTO=%s GENFINDDTO=%s", evFound)
	case kind == "move":
		l.end()
		to := l.draw(l.komkod)
		l.happen(l.day, evMovedOut, l.komkod, l.komkod, to)
		l.happen(l.day, evMovedIn, to, l.komkod, to)
		l.settle(to)
	case kind == "intern":
		l.end()
		l.happen(l.day, evMoved, l.komkod, l.komkod, l.komkod)
		l.settle(l.komkod)
	default:
		l.end()
		l.happen(l.day, out, l.komkod, l.komkod, "")
		l.where, l.left = map[string]string{"emigrate": "abroad", "vanish": "gone"}[kind], l.day
	}
}

func (l *life) returns(record, kind string) {
	l.lines = append(l.lines, fmt.Sprintf(record, l.stamp(l.left), l.stamp(l.day)))
	to := l.draw("")
	l.happen(l.day, kind, to, "", to)
	l.where = ""
	l.settle(to)
}

// genLife draws a whole life: begun by birth, entry or where nothing is known, ended or not.
func genLife(t *rapid.T) (*life, string) {
	l := &life{t: t, day: schemas.CivilDay(1980, 1, 1)}
	born := l.day
	first := l.draw("")
	switch rapid.SampledFrom([]string{evBorn, evImmigrated, evFirst}).Draw(t, "begin") {
	case evBorn:
		l.happen(l.day, evBorn, first, "", first)
	case evImmigrated:
		l.day += 40
		l.lines = append(l.lines, "024 INDR_LANDEKOD=5130 INDRDTO="+l.stamp(l.day))
		l.happen(l.day, evImmigrated, first, "", first)
	default:
		l.day += 40
		l.happen(l.day, evFirst, first, "", first)
	}
	l.settle(first)
	for range rapid.IntRange(0, 8).Draw(t, "steps") {
		l.step()
	}
	status, since := "01", ""
	switch {
	case l.where == "abroad":
		status = statusEmigrated
		l.lines = append(l.lines, "005 UDR_LANDEKOD=5120 UDRDTO="+l.stamp(l.left))
	case l.where == "gone":
		status = statusGone
		l.lines = append(l.lines, "007 FORSVINDDTO="+l.stamp(l.left))
	case rapid.Bool().Draw(t, "dead"):
		l.pass()
		l.end()
		l.happen(l.day, evDied, l.komkod, l.komkod, "")
		status, since = statusDead, " STATUSHAENSTART="+l.stamp(l.day)
	default:
		l.lines = append(l.lines, fmt.Sprintf("002 KOMKOD=%s TILFLYDTO=%s", l.komkod,
			l.stamp(l.since)))
	}
	lines := rapid.Permutation(l.lines).Draw(t, "order")
	return l, "001 STATUS=" + status + since + " KOEN=K FOED_DT=" + born.String() + "\n" +
		strings.Join(lines, "\n") + "\n"
}

// namesB are layout B's records and fields for those of A.
var namesB = strings.NewReplacer("002 ", "025 ", "023 ", "026 ", "005 ", "028 ", "024 ", "029 ",
	"007 ", "030 ", "025 ", "031 ", "KOMKOD", "komkod", "VEJKOD", "vejkod", "TILFLYDTO", "tilflydto",
	"FRAFLYDTO", "fraflydto", "UDR_LANDEKOD", "udr_landekod", "UDRDTO", "udrdto",
	"INDR_LANDEKOD", "indr_landekod", "INDRDTO", "indrdto", "FORSVINDDTO", "forsvinddto",
	"GENFINDDTO", "genfinddto", "STATUSHAENSTART", "statushaenstart", "STATUS", "status",
	"KOEN", "koen", "FOED_DT", "foed_dt")

func factsOf(t require.TestingT, l Layout, text []byte) *facts {
	b, reject := newBlock(unit{layout: l, encoding: Latin1, content: text}, &testRules)
	require.Nil(t, reject)
	f, reject := b.facts()
	require.Nil(t, reject)
	return f
}

// TestFlowsAddUp: the events of a life, told in A or B in any order of records, are what happened,
// and those of each year add up to the stocks of each municipality.
func TestFlowsAddUp(t *testing.T) {
	of := signs(t)
	years := yearStarts(1979, 2010)
	rapid.Check(t, func(rt *rapid.T) {
		l, text := genLife(rt)
		layout := rapid.SampledFrom([]Layout{A, AUUID, B}).Draw(rt, "layout")
		if layout == B {
			text = namesB.Replace(text)
		}
		f := factsOf(rt, layout, []byte(formatRecords(t, layout, text)))
		var got []string
		for _, e := range f.events {
			got = append(got, fmt.Sprintf("%s %s %s %s>%s", e.day, e.kind, e.kommune, e.from, e.to))
		}
		slices.Sort(got)
		slices.Sort(l.want)
		require.Equal(rt, l.want, got)
		requireFlows(rt, f, of, years, false)
	})
}

// TestFlowsOfAnything: whatever a block says, the events of each day are what the stocks of each
// municipality change by.
func TestFlowsOfAnything(t *testing.T) {
	of := signs(t)
	var days []schemas.Day
	for d := schemas.CivilDay(1989, 12, 1); d < schemas.CivilDay(1990, 6, 1); d++ {
		days = append(days, d)
	}
	rapid.Check(t, func(rt *rapid.T) {
		day := func(label string) string {
			n := rapid.IntRange(-1, 60).Draw(rt, label)
			if n < 0 {
				return "000000000000"
			}
			d := schemas.CivilDay(1990, 1, 1) + schemas.Day(n)
			return d.Civil().Format("20060102") + rapid.SampledFrom([]string{"0000", "1200"}).Draw(rt, "hour")
		}
		komkod := rapid.SampledFrom([]string{"0101", "0217", "0740", "0743", "0955"})
		lines := []string{"001 STATUS=" + rapid.SampledFrom([]string{"01", "80", "90", "30"}).
			Draw(rt, "status") + " STATUSHAENSTART=" + day("since") + " FOED_DT=1990-01-05"}
		for range rapid.IntRange(0, 5).Draw(rt, "addresses") {
			lines = append(lines, fmt.Sprintf("023 KOMKOD=%s TILFLYDTO=%s FRAFLYDTO=%s",
				komkod.Draw(rt, "komkod"), day("in"), day("out")))
		}
		if rapid.Bool().Draw(rt, "present") {
			lines = append(lines, fmt.Sprintf("002 KOMKOD=%s TILFLYDTO=%s",
				komkod.Draw(rt, "komkod"), day("in")))
		}
		for _, record := range []string{"005 UDRDTO=%s", "007 FORSVINDDTO=%s"} {
			if rapid.Bool().Draw(rt, "away") {
				lines = append(lines, fmt.Sprintf(record, day("left")))
			}
		}
		for range rapid.IntRange(0, 4).Draw(rt, "absences") {
			record := rapid.SampledFrom([]string{"024 UDRDTO=%s INDRDTO=%s",
				"025 FORSVINDDTO=%s GENFINDDTO=%s"}).Draw(rt, "record")
			lines = append(lines, fmt.Sprintf(record, day("left"), day("back")))
		}
		f := factsOf(rt, A, []byte(formatRecords(t, A, strings.Join(lines, "\n"))))
		requireFlows(rt, f, of, days, true)
		keys := map[string]bool{}
		for _, e := range f.events {
			key := fmt.Sprint(e.kommune, e.kind, e.at.instant())
			require.False(rt, keys[key], "the key is there twice")
			keys[key] = true
		}
	})
}

// TestFlowsOfReal: the same of the persons in the real files, with the built-in lists.
func TestFlowsOfReal(t *testing.T) {
	shared := os.Getenv("FLIS_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	files, err := filepath.Glob(filepath.Join(shared, "real", "cpr", "*"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no real CPR files: set FLIS_SHARED to the folder that has real/cpr")
	}
	lists, err := codes.Load(schemas.Builtin)
	require.NoError(t, err)
	rules, err := RulesOf(lists)
	require.NoError(t, err)
	of := signs(t)
	count := map[string]int{}
	for _, name := range files {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		layout := A
		if !strings.HasPrefix(filepath.Base(name), "PNR_") {
			layout = B
		}
		file, err := Open(bytes.NewReader(content), int64(len(content)),
			Options{Layout: layout, Excerpt: true})
		require.NoError(t, err)
		require.NoError(t, file.Units(func(u *Unit) error {
			b, reject := newBlock(unit{layout: layout, encoding: file.Encoding, content: u.Content},
				&rules)
			require.Nil(t, reject)
			f, reject := b.facts()
			require.Nil(t, reject)
			requireFlows(t, f, of, yearStarts(1900, 2025), false)
			for _, e := range f.events {
				count[e.kind]++
			}
			for _, k := range f.kin {
				count[k.kind]++
			}
			for _, a := range f.abroad {
				count[a.kind+"_ophold"]++
			}
			count["beskyttelse"] += len(f.protected)
			return nil
		}))
	}
	t.Logf("%v", count)
	for _, kind := range []string{evBorn, evMovedIn, evMovedOut, evMoved, evImmigrated, evEmigrated,
		evGone, evFound, evDied, evFirst, kinChild, kinMother, kinFather, kinCustody,
		"beskyttelse", "udrejst_ophold", "forsvundet_ophold"} {
		require.Positive(t, count[kind], kind)
	}
}
