package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/transforms/cpr"
)

// The persons of this file are our own, with day+60 numbers: the published extract of layout B has
// only Greenland.
const (
	mover    = "6102650011" // four municipalities, one closed in 2007, one that he left and came back to
	parted   = "6203600012" // married, separated, divorced, married again
	newOne   = "6304700013" // holds the number that follows oldOne
	oldOne   = "6304700014"
	deadOne  = "6405400015"
	farOne   = "6506800016" // emigrated, with two citizenships before
	vague    = "6607900017" // unknown days and months, marks
	arctic   = "6708600018" // Greenland in the middle
	adopted  = "6809950019" // names that only a wide character set has
	doubled  = "6910850020" // a number that was made twice
	lastDay  = "2024-05-01"
	produced = "20240501"
)

// pairs are fields of a record, name and value in turn.
type pairs []string

// rec is one record of a layout, at its full length.
func rec(t *testing.T, l cpr.Layout, kind, pnr string, p pairs) string {
	t.Helper()
	f := map[string]string{"PNR": pnr}
	if pnr == "" {
		f = map[string]string{}
	}
	for i := 0; i < len(p); i += 2 {
		f[p[i]] = p[i+1]
	}
	text, err := cpr.Format(l, cpr.Record{Type: kind, Fields: f})
	require.NoError(t, err)
	return text
}

// extractB gathers records of layout B.
type extractB struct {
	t   *testing.T
	all []string
}

func (x *extractB) b(kind, pnr string, p ...string) {
	x.all = append(x.all, rec(x.t, cpr.B, kind, pnr, p))
}

func (x *extractB) person(pnr, status, since, born string, more ...string) {
	x.b(
		"001",
		pnr,
		append(pairs{"status", status, "statushaenstart", since, "status_ts", "199101010930", "koen", "K",
			"foed_dt", born}, more...)...)
}

func (x *extractB) address(pnr, kom, since string, more ...string) {
	x.b(
		"025",
		pnr,
		append(pairs{"komkod", kom, "vejkod", "1234", "husnr", "016B", "etage", "02", "sidedoer", "th",
			"adr_ts", "200001021503", "tilflydto", since}, more...)...)
}

func (x *extractB) before(pnr, kom, from, to string, more ...string) {
	x.b(
		"026",
		pnr,
		append(pairs{"komkod", kom, "vejkod", "4321", "husnr", "001", "adr_ts", "199505051000",
			"tilflydto", from, "fraflydto", to}, more...)...)
}

func (x *extractB) nation(pnr, land, since string) {
	x.b("040", pnr, "landekod", land, "stat_ts", "199001010000", "haenstart", since)
}

// peopleB is every person in layout B, a record an item.
func peopleB(t *testing.T) []string {
	x := &extractB{t: t}
	b, person, address, before, nation := x.b, x.person, x.address, x.before, x.nation
	person(mover, "01", "196502010000", "1965-02-01")
	b("005", mover, "start_mynkod", "0851", "fødested_ts", "197001010101")
	address(mover, "0101", "202001011200", "tilflykomdto", "202001011200", "fraflykomkod", "0573")
	before(mover, "0571", "199001011000", "200501011000")
	before(mover, "0573", "200501011000", "201001011000")
	before(mover, "0101", "201001011000", "201201011000")
	before(mover, "0573", "201201011000", "202001011200")
	before(mover, "0751", "201501010000", "201601010000", "annkor", "A")
	nation(mover, "5100", "196502010000")

	person(parted, "01", "196003020000", "1960-03-02")
	address(parted, "0751", "199001011000")
	b(
		"035",
		parted,
		"civ_ts",
		"201505051212",
		"civst",
		"G",
		"aegtepnr",
		mover,
		"haenstart",
		"201505051200",
	)
	b(
		"036",
		parted,
		"civ_ts",
		"199001011212",
		"civst",
		"U",
		"haenstart",
		"",
		"haenslut",
		"199001011200",
	)
	b(
		"036",
		parted,
		"civ_ts",
		"199001011213",
		"civst",
		"G",
		"aegtepnr",
		deadOne,
		"haenstart",
		"199001011200",
		"haenslut",
		"201001011200",
		"sep_henvis_ts",
		"200901011111",
	)
	b(
		"036",
		parted,
		"civ_ts",
		"201001011214",
		"civst",
		"F",
		"haenstart",
		"201001011200",
		"haenslut",
		"201505051200",
	)
	b("086", parted, "sep_henvis", "200901011111", "start_dt", "2009-01-01", "ts", "200901011111",
		"slut_dt", "2010-01-01")
	nation(parted, "5100", "196003020000")

	person(oldOne, "60", "201803010000", "1970-04-03", "pnrgaeld", newOne)
	before(oldOne, "0461", "201001011000", "201803010000")

	person(newOne, "01", "201803010000", "1970-04-03")
	address(newOne, "0461", "201001011000")
	b("065", newOne, "gammelt_pnr", oldOne, "start_dt", "1970-04-03", "slut_dt", "2018-03-01")
	b(
		"035",
		newOne,
		"civ_ts",
		"201001011212",
		"civst",
		"P",
		"aegtepnr",
		"0000000000",
		"haenstart",
		"201001011200",
		"sep_henvis_ts",
		"202202022222",
	)
	b("085", newOne, "sep_henvis", "202202022222", "start_dt", "2022-02-02", "ts", "202202022222")
	nation(newOne, "5104", "197004030000")

	return append(x.all, peopleGone(t)...)
}

// peopleGone is those who are dead, abroad, uncertain, or of a wide character set.
func peopleGone(t *testing.T) []string {
	x := &extractB{t: t}
	b, person, address, before, nation := x.b, x.person, x.address, x.before, x.nation
	person(deadOne, "90", "202301151030", "1940-05-04")
	before(deadOne, "0183", "197001011000", "202301151030")
	b("035", deadOne, "civ_ts", "202301151031", "civst", "D", "haenstart", "202301151030")
	b(
		"036",
		deadOne,
		"civ_ts",
		"199001011213",
		"civst",
		"G",
		"aegtepnr",
		parted,
		"haenstart",
		"199001011200",
		"haenslut",
		"202301151030",
	)
	nation(deadOne, "5100", "194005040000")

	person(farOne, "80", "", "1980-06-05")
	before(farOne, "0825", "198006051000", "201101011200")
	b("028", farOne, "udr_ts", "201101011313", "udr_landekod", "5180", "udrdto", "201101011200")
	nation(farOne, "5110", "200001011200")
	b("041", farOne, "landekod", "5100", "stat_ts", "198006050000", "haenstart", "198006050000",
		"haenslut", "199501011200")
	b("041", farOne, "landekod", "5106", "stat_ts", "199501020000", "haenstart", "199501011200",
		"haenslut", "200001011200")

	person(vague, "03", "201000000000", "1990-00-00", "foed_dt_umrk", "*")
	address(vague, "0101", "201005000000", "tilflydto_umrk", "*")
	before(vague, "0147", "", "201005000000")
	b("035", vague, "civst", "U", "haenstart", "000000000000")
	b("040", vague, "landekod", "5999", "haenstart", "201201011299", "haenstart_umrk", "*")

	person(arctic, "01", "196008070000", "1960-08-07")
	before(arctic, "0101", "196008071000", "198001011000")
	before(arctic, "0957", "198001011000", "199001011000")
	address(arctic, "0101", "199001011000", "vejkod", "9901")
	nation(arctic, "5100", "196008070000")

	person(adopted, "01", "199509080000", "1995-09-08")
	b(
		"020",
		adopted,
		"fornvn",
		"Åse Ægir Øllegård",
		"efternvn",
		"Sørensen-Düßeldorf",
		"nvn_ts",
		"199509080101",
	)
	address(adopted, "0461", "199509081000", "convn", "Østergård På Møn")
	b("035", adopted, "civ_ts", "199509080000", "civst", "U", "haenstart", "199509080000",
		"myntxt", "Køge Kirkebogsfører")
	nation(adopted, "5100", "199509080000")

	person(doubled, "50", "200001010000", "1985-10-09", "pnrgaeld", mover)
	return x.all
}

// inForm writes records as a file with its controls: lines, blanks at their ends trimmed, or a
// stream without newlines.
func inForm(t *testing.T, records []string, stream bool, enc cpr.Encoding) []byte {
	t.Helper()
	all := []string{rec(t, cpr.A, "000", "", pairs{"SORTFELT-10", strings.Repeat("0", 10),
		"OPGAVENR", "110901", "PRODDTO", produced})}
	all = append(all, records...)
	all = append(all, rec(t, cpr.A, "999", "", pairs{"SORTFELT-10", strings.Repeat("9", 10), "TAELLER",
		fmt.Sprintf("%08d", len(records))}))
	text := strings.Join(all, "")
	if !stream {
		for i := range all {
			all[i] = strings.TrimRight(all[i], " ")
		}
		text = strings.Join(all, "\n") + "\n"
	}
	b, err := cpr.Encode(text, enc)
	require.NoError(t, err)
	return b
}

// ownKommuner is the program's own list, as a reading takes it.
func ownKommuner(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "schemas", "codes", "kommune.csv"))
	require.NoError(t, err)
	return string(b)
}

// compareOwn feeds a file as a user would and compares every delivered row with the second reading
// of the same bytes.
func compareOwn(t *testing.T, layout cpr.Layout, data []byte) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "in")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	config := []byte("dir: .\nagreements: aftaler.yaml\nkafka: {partitions: 1}\n")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "flis.yaml"), config, 0o600))
	text := "format: 1\naftaler:\n"
	agreed := []string{"0101", "0147", "0183", "0461", "0573", "0751", "0825"}
	for _, k := range agreed {
		text += fmt.Sprintf(
			"  - {kommune: %q, omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n",
			k,
		)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "aftaler.yaml"), []byte(text), 0o600))
	mustFlis(t, "feed", "cpr", path, "--layout", string(layout), "--dir", dir)
	mustFlis(t, "run", "--once", "--dir", dir)
	require.Contains(t, mustFlis(t, "parked", "list", "--dir", dir), "nothing is parked")
	want := readCPR([]cprFile{{"own", data, string(layout), lastDay}},
		func(k string) bool { return slices.Contains(agreed, k) }, ownKommuner(t))
	require.Greater(t, len(want), 40)
	if layout == cpr.B {
		compareCPR(t, dir, want, "borger.haendelse")
	} else {
		compareCPR(t, dir, want)
	}
	mustFlis(t, "audit", "--dir", dir)
}

// TestLayoutB: persons of our own, in both line forms and both encodings, equal the second reading.
func TestLayoutB(t *testing.T) {
	t.Parallel()
	people := peopleB(t)
	for _, c := range []struct {
		enc    cpr.Encoding
		stream bool
	}{{cpr.Latin1, false}, {cpr.Latin1, true}, {cpr.UTF8, true}} {
		t.Run(fmt.Sprintf("%s stream=%v", c.enc, c.stream), func(t *testing.T) {
			compareOwn(t, cpr.B, inForm(t, people, c.stream, c.enc))
		})
	}
}

// TestLayoutAStream: layouts A and A-UUID without newlines.
func TestLayoutAStream(t *testing.T) {
	t.Parallel()
	for l, enc := range map[cpr.Layout]cpr.Encoding{cpr.A: cpr.Latin1, cpr.AUUID: cpr.UTF8} {
		t.Run(fmt.Sprintf("%s %s", l, enc), func(t *testing.T) {
			compareOwn(t, l, inForm(t, peopleA(t, l), true, enc))
		})
	}
}

// peopleA is persons in layout A or A-UUID; the clear address stands at the file's end.
func peopleA(t *testing.T, l cpr.Layout) []string {
	var all []string
	a := func(kind, pnr string, p ...string) { all = append(all, rec(t, l, kind, pnr, p)) }
	person := func(pnr, status, since, born string, more ...string) {
		a("001", pnr, append(pairs{"STATUS", status, "STATUSHAENSTART", since, "KOEN", "M",
			"FOED_DT", born}, more...)...)
	}
	home := pairs{
		"KOMKOD",
		"0101",
		"VEJKOD",
		"1234",
		"HUSNR",
		"016B",
		"ETAGE",
		"02",
		"SIDEDOER",
		"th",
		"TILFLYDTO",
		"202001011200",
		"TILFLYKOMDTO",
		"202001011200",
		"FRAFLYKOMKOD",
		"0573",
	}
	if l == cpr.AUUID {
		home = append(home, uuidField(t), "0a3f50b8-0000-32b8-e044-0003ba298018")
	}
	before := func(pnr, kom, from, to string, more ...string) {
		a(
			"023",
			pnr,
			append(
				pairs{"KOMKOD", kom, "VEJKOD", "4321", "HUSNR", "001", "TILFLYDTO", from, "FRAFLYDTO", to},
				more...)...)
	}
	person(mover, "01", "196502010000", "1965-02-01")
	a("002", mover, home...)
	a(
		"008",
		mover,
		"FORNVN",
		"Åse Ægir Øllegård",
		"EFTERNVN",
		"Sørensen-Düßeldorf",
		"NVNHAENSTART",
		"196502010000",
	)
	a("009", mover, "START_MYNKOD-FØDESTED", "0851")
	a("010", mover, "LANDEKOD", "5100", "HAENSTART-STATSBORGERSKAB", "196502010000")
	before(mover, "0571", "199001011000", "200501011000")
	before(mover, "0573", "200501011000", "202001011200")
	before(mover, "0751", "201501010000", "201601010000", "ANNKOR", "A")
	a("012", mover, "CIVST", "G", "AEGTEPNR", parted, "HAENSTART-CIVILSTAND", "199001011200")
	a(
		"029",
		mover,
		"CIVST",
		"U",
		"HAENSTART-CIVILSTAND",
		"000000000000",
		"HAENSLUT-CIVILSTAND",
		"199001011200",
	)
	for i := range 8 { // more than one holder and number
		pnr := fmt.Sprintf("%d03%02d%04d", 62+i, 60+i, 30+i)
		person(pnr, "90", "202301151030", fmt.Sprintf("19%02d-03-0%d", 60+i, 1+i))
		before(pnr, []string{"0183", "0461", "0825"}[i%3], "199001011000", "201001011000")
		before(pnr, []string{"0461", "0751", "0957"}[i%3], "201001011000", "202301151030")
		a("010", pnr, "LANDEKOD", "5100", "HAENSTART-STATSBORGERSKAB", "196001010000")
		a("012", pnr, "CIVST", "D", "HAENSTART-CIVILSTAND", "202301151030")
	}
	a("003", mover, "KOMKOD", "0101", "VEJKOD", "1234", "HUSNR", "016B", "POSTNR", "2100")
	return all
}

// uuidField is the name of the address's id in 002.
func uuidField(t *testing.T) string {
	t.Helper()
	for _, r := range cpr.RecordTypes(cpr.AUUID) {
		for _, f := range r.Fields {
			if r.Type == "002" && f.Len == 36 {
				return f.Name
			}
		}
	}
	t.Fatal("layout A-UUID has no id of an address")
	return ""
}
