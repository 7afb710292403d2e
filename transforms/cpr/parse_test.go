package cpr

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/flis-dk/flis/schemas"
)

// TestHold compares with a reading day by day: a row is held by who the person lives with on the
// day, and whole by the last holder where it begins when residence has ended.
func TestHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stays := genPeriods(t, "stay", []schemas.Kommunekode{"0101", "0157", ""})
		rows := genPeriods(t, "row", []schemas.Kommunekode{""})
		span := func(i int) (schemas.Day, schemas.Day) { return rows[i].from, rows[i].to }
		got := map[string]bool{}
		for _, h := range hold(len(rows), span, stays) {
			require.Less(t, h.from, h.to)
			for d := h.from; d < min(h.to, lastDay); d++ {
				key := fmt.Sprint(h.row, h.kommune, d)
				require.False(t, got[key], "twice on a day")
				got[key] = true
			}
		}
		want := map[string]bool{}
		for i, r := range rows {
			for d := r.from; d < min(r.to, lastDay); d++ {
				if k := holderOn(d, r.from, stays); k != "" {
					want[fmt.Sprint(i, k, d)] = true
				}
			}
		}
		require.Equal(t, want, got)
	})
}

const lastDay = 60

// holderOn is who holds, on a day, a row that begins on from.
func holderOn(d, from schemas.Day, stays []period) schemas.Kommunekode {
	if n := len(stays); n > 0 && from >= stays[n-1].to {
		return stays[n-1].kommune
	}
	for _, s := range stays {
		if s.from <= d && d < s.to {
			return s.kommune
		}
	}
	return ""
}

// genPeriods draws disjoint periods in order, the last perhaps open.
func genPeriods(t *rapid.T, label string, names []schemas.Kommunekode) []period {
	days := rapid.IntRange(0, lastDay-10)
	cuts := rapid.SliceOfNDistinct(days, 0, 8, rapid.ID[int]).Draw(t, label)
	at := map[int]bool{}
	for _, c := range cuts {
		at[c] = true
	}
	var ps []period
	from := -1
	for d := range lastDay {
		if !at[d] {
			continue
		}
		if from >= 0 && rapid.Bool().Draw(t, label+" there") {
			name := rapid.SampledFrom(names).Draw(t, label+" name")
			ps = append(ps, period{name, schemas.Day(from), schemas.Day(d)})
		}
		from = d
	}
	if from >= 0 && rapid.Bool().Draw(t, label+" open") {
		ps = append(ps, period{names[0], schemas.Day(from), schemas.Open})
	}
	return ps
}

// TestTimelineDisjoint: whatever history says, a person's rows of a dataset are in order,
// disjoint and of some length.
func TestTimelineDisjoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := &block{plan: plans[A], born: moment{day: 0, known: true}, lines: map[string][]line{}}
		stamp := rapid.SampledFrom([]string{"000000000000", "199001010000", "199001011200",
			"199006150800", "199100000000", "199201010000", "199301010000", "199301012359"})
		for range rapid.IntRange(0, 6).Draw(t, "history") {
			annkor := rapid.SampledFrom([]string{" ", " ", " ", "A", "K"}).Draw(t, "annkor")
			text := "0236101700001" + annkor + "0101" + strings.Repeat(" ", 52) +
				stamp.Draw(t, "start") + " " + stamp.Draw(t, "end")
			b.lines["023"] = append(b.lines["023"], line{text: text})
		}
		if rapid.Bool().Draw(t, "current") {
			text := "00261017000010101" + strings.Repeat(" ", 52) + stamp.Draw(t, "moved in")
			b.lines["002"] = append(b.lines["002"], line{text: text})
		}
		rows, reject := b.timeline(b.address)
		require.Nil(t, reject)
		for i, r := range rows {
			require.Less(t, r.from, r.to)
			if i > 0 {
				require.LessOrEqual(t, rows[i-1].to, r.from)
			}
		}
		if len(b.lines["002"]) == 1 {
			require.NotEmpty(t, rows)
			last := rows[len(rows)-1]
			require.True(t, last.src.current)
			require.Equal(t, schemas.Open, last.to)
		}
	})
}

// TestManyRecords: a block of a hundred thousand records is read in one go, not each against
// each.
func TestManyRecords(t *testing.T) {
	const n = 50_000
	var text strings.Builder
	text.WriteString("0016101700001          01             K1900-01-10\n")
	for i := range n {
		from, to := dayText(i), dayText(i+1)
		komkod := []string{"0101", "0217"}[i%2]
		fmt.Fprintf(&text, "0236101700001 %s%52s%s %s\n", komkod, "", from, to)
		fmt.Fprintf(&text, "0276101700001 5100%s %s\n", from, to)
	}
	u := unit{layout: A, encoding: UTF8, content: []byte(text.String())}
	b, reject := newBlock(u, &testRules)
	require.Nil(t, reject)
	f, reject := b.facts()
	require.Nil(t, reject)
	require.Len(t, f.address, n)
	require.Len(t, f.citizenship, n)
	require.NotEmpty(t, b.encode(f))
}

// TestManyKeys: relations and types that each would cross every residence are refused, not tried.
func TestManyKeys(t *testing.T) {
	var stays strings.Builder
	stays.WriteString("0016101700001          01             K1900-01-10\n")
	for i := range 20_000 {
		komkod := []string{"0101", "0217"}[i%2]
		fmt.Fprintf(&stays, "0236101700001 %s%52s%s %s\n", komkod, "", dayText(i), dayText(i+1))
	}
	for name, more := range map[string]func(i int) string{
		"children": func(i int) string { return fmt.Sprintf("0146101700001610100%04d", i) },
		"types":    func(i int) string { return fmt.Sprintf("0046101700001%04d1900-01-10", i) },
	} {
		for _, n := range []int{4, 9_999} {
			keys := make([]string, n)
			for i := range n {
				keys[i] = more(i)
			}
			text := stays.String() + strings.Join(keys, "\n")
			_, reject := parse(testUnit("A", "UTF-8", "", text), &testRules)
			require.NotNil(t, reject, name)
			require.Equal(t, schemas.CodeBudget, reject.Code, name)
		}
	}
}

func dayText(i int) string { return (schemas.Day(i) - 25000).Civil().Format("200601021504") }

func TestUnitTruncated(t *testing.T) {
	whole := testUnit("A", "UTF-8", "2024-03-01",
		"0016101700001          01             K1970-01-10")
	_, reject := parse(whole, &testRules)
	require.Nil(t, reject)
	for i := range whole {
		_, reject := parse(whole[:i], &testRules)
		require.NotNil(t, reject, "%d bytes", i)
		require.Equal(t, schemas.CodeDecode, reject.Code, "%d bytes", i)
	}
	_, reject = parse(append(whole, 0), &testRules)
	require.Equal(t, schemas.CodeDecode, reject.Code)
	_, reject = parse(testUnit("A", "UTF-8", "2024-02-30", ""), &testRules)
	require.Equal(t, schemas.CodeDate, reject.Code)
}

// TestFindingsHoldNoValue: no finding of a case names a personal number or a date of the block.
func TestFindingsHoldNoValue(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	require.NoError(t, err)
	for _, name := range files {
		a, err := txtar.ParseFile(name)
		require.NoError(t, err)
		want := string(a.Files[1].Data)
		if strings.HasPrefix(want, "LAYOUT") || strings.HasPrefix(want, "DATE") ||
			strings.HasPrefix(want, "error") {
			require.NotRegexp(t, `\d{10}|\d{4}-\d\d-\d\d|\d{12}`, want, name)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/parse/*.txtar")
	require.NoError(f, err)
	for _, name := range files {
		a, err := txtar.ParseFile(name)
		require.NoError(f, err)
		set := settings(string(a.Comment))
		if tableOf(Layout(set["layout"])) == nil {
			continue
		}
		text := formatRecords(f, Layout(set["layout"]), string(a.Files[0].Data))
		f.Add(testUnit(set["layout"], "UTF-8", set["produceret"], text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		record, reject := parse(b, &testRules)
		if reject != nil {
			require.Nil(t, record)
			require.NotEmpty(t, reject.Rule)
			return
		}
		_ = recordText(t, record) // is what the schema says
	})
}

func BenchmarkParseCPR(b *testing.B) {
	text := formatRecords(b, A, benchBlock)
	unit := testUnit("A", string(Latin1), "2024-03-01", text)
	parser := NewParser(testRules)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, _, reject := parser(unit); reject != nil {
			b.Fatal(reject)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkSplit(b *testing.B) {
	var file strings.Builder
	const persons = 2000
	for i := range persons {
		file.WriteString(formatRecords(b, A, fmt.Sprintf("pnr 61017%05d\n%s", i, benchBlock)))
	}
	in := strings.NewReader(file.String())
	b.ReportAllocs()
	b.SetBytes(in.Size())
	for b.Loop() {
		_, err := Split(in, in.Size(), Options{Layout: A}, func(*Unit) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(persons*float64(b.N)/b.Elapsed().Seconds(), "persons/s")
}

const benchBlock = `001 STATUS=01 KOEN=K FOED_DT=1970-01-10 STILLING=Designer
002 KOMKOD=0101 VEJKOD=1234 HUSNR=007B ETAGE=01 TILFLYDTO=200001010800 TILFLYKOMDTO=200001010800
004 BESKYTTYPE=0001 START_DT-BESKYTTELSE=1997-12-31
008 FORNVN=Anna EFTERNVN=Madsen NVNHAENSTART=197001100000 ADRNVN=Anna_Madsen
009 START_MYNKOD-FØDESTED=8401
010 LANDEKOD=5100 HAENSTART-STATSBORGERSKAB=199103201299
011 FKIRK=F START_DT-FOLKEKIRKE=1970-01-10
012 CIVST=G AEGTEPNR=6202700002 HAENSTART-CIVILSTAND=199505050000
014 PNR-BARN=6103990001
015 MOR_DT=1970-01-10 PNRMOR=6101400002 FAR_DT=1970-01-10 PNRFAR=6101400001
023 KOMKOD=0217 VEJKOD=0001 HUSNR=001 TILFLYDTO=199001010000 FRAFLYDTO=200001010800
023 KOMKOD=0851 VEJKOD=0002 HUSNR=012 TILFLYDTO=197001100000 FRAFLYDTO=199001010000
026 FORNVN=Anna EFTERNVN=Hansen NVNHAENSTART=197001100000 NVNHAENSLUT=199505050000
029 CIVST=U HAENSLUT-CIVILSTAND=199505050000
099 TIMESTAMPU=202402281230 HAENDELSE=A01
003 STANDARDADR=Svinget_7B POSTNR=2100 KOMKOD=0101 VEJKOD=1234 HUSNR=007B ETAGE=01
`
