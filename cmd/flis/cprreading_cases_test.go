package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Synthetic people: the day is 61 or more, so no number can be a real one.
const (
	anna = "6101700001"
	bent = "6201700002"
	carl = "6301700003"
)

// cprKommuner is a code list of our own: 0571 closed into 0573, Greenland and 0010 without holder.
const cprKommuner = `kode;navn;type;gyldig_fra;gyldig_til;efterfoelger
0010;Skat;administrativ;;;
0411;Christiansø;uden_kommune;;;
0571;Helle;kommune;;2007-01-01;0573
0573;Varde;kommune;;;
0851;Aalborg;kommune;;;
0901;Qasigiannguit;groenland;;2009-01-01;0959
0959;Qeqertalik;groenland;;;
`

// cprLine is one record: after type and number, pairs of position and text.
func cprLine(kind, pnr string, at ...any) string {
	line := []rune(kind + pnr)
	for i := 0; i < len(at); i += 2 {
		for j, r := range []rune(at[i+1].(string)) {
			for len(line) < at[i].(int)+j {
				line = append(line, ' ')
			}
			line[at[i].(int)+j-1] = r
		}
	}
	return strings.TrimRight(string(line), " ")
}

// cprMade is a file of layout A of one production day, its lines between 000 and 999.
func cprMade(day string, lines ...string) cprFile {
	first := "0000000000000110901" + strings.ReplaceAll(day, "-", "") + "20200101"
	all := append([]string{first}, lines...)
	all = append(all, "999999999999900000001")
	return cprFile{"made", []byte(strings.Join(all, "\n") + "\n"), "A", "1999-09-09"}
}

// a001 is a person born 1970-01-01 with a status and its start.
func a001(pnr, status, since string, more ...any) string {
	return cprLine("001", pnr, append([]any{
		24, status, 26, since, 39, "K", 40, "1970-01-01"}, more...)...)
}

func a002(pnr, komkod, since string, more ...any) string {
	return cprLine("002", pnr, append([]any{
		14, komkod, 18, "1234", 22, "016", 28, "  th", 70, since}, more...)...)
}

func a023(pnr, komkod, from, to string, more ...any) string {
	return cprLine("023", pnr, append([]any{
		15, komkod, 19, "1234", 23, "001A", 71, from, 84, to}, more...)...)
}

// cprText is a row as text: false is left out, and so is the file's production day 2024-05-01.
func cprText(r readRow) string {
	text := fmt.Sprintf("%s %s %s..%s", r.kommune, r.cols["cpr"], r.gyldigFra, r.gyldigTil)
	for _, name := range slices.Sorted(maps.Keys(r.cols)) {
		if name != "cpr" && r.cols[name] != "false" {
			text += fmt.Sprintf(" %s=%s", name, r.cols[name])
		}
	}
	if r.kildeRegistreret != "2024-04-30T22:00:00.000000Z" {
		text += " kendt=" + r.kildeRegistreret
	}
	return text
}

func everyKommune(string) bool { return true }

// cprWant compares the rows of one dataset with lines of text.
func cprWant(t *testing.T, files []cprFile, dataset string, want ...string) {
	t.Helper()
	var got []string
	for _, r := range readCPR(files, everyKommune, cprKommuner) {
		if r.dataset == dataset {
			got = append(got, cprText(r))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot:\n%s\nwant:\n%s", dataset,
			strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const cprBorn = " foedselsdato=1970-01-01 koen=K status="

func TestCPRReadingMoves(t *testing.T) {
	t.Parallel()
	files := []cprFile{cprMade("2024-05-01",
		a001(anna, "90", "202001010000"),
		a023(anna, "0851", "200505050800", "202001011200"),
		a023(anna, "0571", "197001010000", "200001010900"),
		a023(anna, "0573", "200001010900", "200301010000"),
		a023(anna, "0851", "200301010000", "200401010000"),
		cprLine("010", anna, 14, "5100", 18, "197001010000"),
		cprLine("012", anna, 14, "D", 71, "202001010000"),
		cprLine("029", anna, 15, "U", 85, "202001010000"),
		cprLine("009", anna, 14, "0851"))}
	home := " husnr=001A tilflytning_dato=%s tilflytning_kommune_dato=%s vejkode=1234"
	row := func(head, kommune, from, before, since string) string {
		return head + " bopaelskommune=" + kommune + before + fmt.Sprintf(home, from, since)
	}
	cprWant(t, files, "adresse",
		row("0573 "+anna+" 1970-01-01..2000-01-01", "0571", "1970-01-01", "", "1970-01-01"),
		row("0573 "+anna+" 2000-01-01..2003-01-01", "0573", "2000-01-01",
			" fraflytningskommune=0571", "2000-01-01"),
		row("0851 "+anna+" 2003-01-01..2004-01-01", "0851", "2003-01-01",
			" fraflytningskommune=0573", "2003-01-01"),
		row("0851 "+anna+" 2005-05-05..2020-01-01", "0851", "2005-05-05",
			" fraflytningskommune=0573", "2005-05-05"))
	born := " foedested_kode=0851" + cprBorn
	cprWant(t, files, "person",
		"0573 "+anna+" 1970-01-01..2003-01-01"+born+"01 status_udledt=true",
		"0851 "+anna+" 2003-01-01..2004-01-01"+born+"01 status_udledt=true",
		"0851 "+anna+" 2005-05-05..2020-01-01"+born+"01 status_udledt=true",
		"0851 "+anna+" 2020-01-01.."+born+"90")
	cprWant(t, files, "statsborgerskab",
		"0573 "+anna+" 1970-01-01..2003-01-01 landekode=5100",
		"0851 "+anna+" 2003-01-01..2004-01-01 landekode=5100",
		"0851 "+anna+" 2005-05-05..2020-01-01 landekode=5100")
	cprWant(t, files, "civilstand",
		"0573 "+anna+" 1970-01-01..2003-01-01 civilstand=U",
		"0851 "+anna+" 2003-01-01..2004-01-01 civilstand=U",
		"0851 "+anna+" 2005-05-05..2020-01-01 civilstand=U",
		"0851 "+anna+" 2020-01-01.. civilstand=D")
}

func TestCPRReadingLastHolder(t *testing.T) {
	t.Parallel()
	cprWant(t, []cprFile{cprMade("2024-05-01",
		a001(anna, "80", "000000000000"), a023(anna, "0851", "199001010000", "199501010000"),
		a001(bent, "90", "200001010000"), a023(bent, "0901", "199001010000", "199501010000"),
		a001(carl, "20", ""), a002(carl, "0010", "199001010000"))}, "person",
		"0851 "+anna+" 1990-01-01..1995-01-01"+cprBorn+"01 status_udledt=true",
		"0851 "+anna+" 1995-01-01.."+cprBorn+"80")
}

func TestCPRReadingNumbers(t *testing.T) {
	t.Parallel()
	oldBlock := []string{
		cprLine("001", anna, 14, bent, 24, "60", 26, "202006010000", 39, "K", 40, "1970-01-01"),
		a023(anna, "0573", "201001010000", "202006010000")}
	newBlock := []string{a001(bent, "01", ""), a002(bent, "0851", "202006010000"),
		cprLine("022", bent, 14, anna, 24, "1970-01-01", 35, "2020-05-01")}
	held := " aarsag=skiftet aktuelt_cpr=" + bent
	both := cprMade("2024-05-01", slices.Concat(newBlock, oldBlock)...)
	cprWant(t, []cprFile{both}, "personnummer",
		"0573 "+anna+" 2020-05-01.."+held, "0851 "+anna+" 2020-05-01.."+held)
	cprWant(t, []cprFile{both}, "person",
		"0573 "+anna+" 2020-06-01.."+cprBorn+"60", "0851 "+bent+" 2020-06-01.."+cprBorn+"01")
	cprWant(t, []cprFile{both}, "adresse",
		"0851 "+bent+" 2020-06-01.. bopaelskommune=0851 husnr=016"+
			" sidedoer=th tilflytning_dato=2020-06-01 vejkode=1234")
	cprWant(t, []cprFile{cprMade("2024-05-01", newBlock...)}, "personnummer",
		"0851 "+anna+" 2020-05-01.."+held)
	april := cprMade("2024-04-01", newBlock...)
	stamp := " kendt=2024-03-31T22:00:00.000000Z"
	cprWant(t, []cprFile{cprMade("2024-05-01", oldBlock...), april}, "personnummer",
		"0573 "+anna+" 2020-05-01.."+held+stamp, "0851 "+anna+" 2020-05-01.."+held+stamp)
	sameDay := cprMade("2024-04-01", newBlock[0], newBlock[1],
		cprLine("022", bent, 14, anna, 35, "2020-06-01"))
	cprWant(t, []cprFile{cprMade("2024-05-01", oldBlock...), sameDay}, "personnummer",
		"0573 "+anna+" 2020-06-01.."+held+stamp, "0851 "+anna+" 2020-06-01.."+held+stamp)
	oldBlock[0] = strings.Replace(oldBlock[0], "60202006", "50202006", 1)
	both = cprMade("2024-05-01", slices.Concat(newBlock, oldBlock)...)
	cprWant(t, []cprFile{both}, "personnummer",
		"0573 "+anna+" 2020-05-01..2020-06-01"+held,
		"0573 "+anna+" 2020-06-01.. aarsag=dublet aktuelt_cpr="+bent,
		"0851 "+anna+" 2020-05-01..2020-06-01"+held,
		"0851 "+anna+" 2020-06-01.. aarsag=dublet aktuelt_cpr="+bent)
	cprWant(t, []cprFile{cprMade("2024-05-01", a001(anna, "30", "202006010000", 14, bent),
		a023(anna, "0573", "201001010000", "202006010000"))}, "personnummer")
	cprWant(t, []cprFile{cprMade("2024-05-01", a001(anna, "30", "202006010000", 14, bent),
		a023(anna, "0573", "201001010000", "202006010000"))}, "person",
		"0573 "+anna+" 2020-06-01.."+cprBorn+"30")
}

func TestCPRReadingDates(t *testing.T) {
	t.Parallel()
	cprWant(t, []cprFile{cprMade("2024-05-01",
		a001(anna, "01", "", 40, "1970-00-00"), a002(anna, "0851", "197001010000"),
		cprLine("010", anna, 14, "5110", 18, "199003201299", 30, " "),
		cprLine("027", anna, 15, "5100", 19, "000000000000", 32, "198500001299"),
		cprLine("027", anna, 14, "A", 15, "5101", 19, "198601010000", 32, "198701010000"),
		cprLine("027", anna, 15, "5102", 19, "198803201000", 31, "*", 32, "198803201100"),
		cprLine("027", anna, 15, "5103", 19, "198803201100", 32, "199912310000"),
		cprLine("027", anna, 14, "K", 15, "5104", 19, "198901010000", 32, "199901010000"))},
		"statsborgerskab",
		"0851 "+anna+" 1970-01-01..1985-01-01 landekode=5100 usikker=true",
		"0851 "+anna+" 1988-03-20..1990-03-20 landekode=5103",
		"0851 "+anna+" 1990-03-20.. landekode=5110")
	cprWant(t, []cprFile{cprMade("2024-05-01",
		a001(anna, "01", ""), a002(anna, "0851", "197001010000"),
		cprLine("012", anna, 14, "U", 71, "000000000000", 83, "*"),
		a001(bent, "01", "", 40, "1970-05-00"), a002(bent, "0851", "197001010000"),
		cprLine("012", bent, 14, "F", 15, "0000000000"),
		cprLine("029", bent, 15, "G", 16, anna, 72, "199001010000", 85, "200001010000",
			98, "202401010101"),
		cprLine("030", bent, 15, "202401010101", 27, "1999-02-00", 38, "2000-01-01"))},
		"civilstand",
		"0851 "+anna+" 1970-01-01.. civilstand=U",
		"0851 "+bent+" 1990-01-01..2000-01-01 aegtefaelle_cpr="+anna+
			" civilstand=G separation_dato=1999-02-01",
		"0851 "+bent+" 2000-01-01.. civilstand=F usikker=true")
	cprWant(t, []cprFile{cprMade("2024-05-01", a001(bent, "01", "", 40, "1970-05-00"),
		a002(bent, "0851", "197001010000"))}, "person", "0851 "+bent+
		" 1970-05-01.. foedselsdato=1970-05-01 foedselsdato_usikker=true koen=K status=01")
}

func TestCPRReadingAddress(t *testing.T) {
	t.Parallel()
	post := func(pnr, husnr, postnr string) string {
		return cprLine("003", pnr, 184, postnr, 208, "0851", 212, "1234", 216, husnr)
	}
	file := cprMade("2024-05-01",
		a001(anna, "03", ""), a002(anna, "0851", "200001010000", 18, "9900", 83, "199901010000",
			96, "0573", 347, "a-uuid"),
		a001(bent, "01", ""), a002(bent, "0851", "200001010000", 82, "*", 83, "200101010000",
			96, "0573"),
		a001(carl, "01", ""), a002(carl, "0851", "200001010000", 83, "199901010000", 96, "0000"),
		post(bent, "016", "9000"), post(carl, "017", "9000"), post(anna, "016", "9000"))
	row := " bopaelskommune=0851%s husnr=016%s sidedoer=th tilflytning_dato=2000-01-01"
	with := func(pnr, before, postnr, after string) string {
		return "0851 " + pnr + " 2000-01-01.." + fmt.Sprintf(row, before, postnr) + after
	}
	want := []string{
		with(anna, " fraflytningskommune=0573", "", " tilflytning_kommune_dato=1999-01-01"+
			" uden_fast_bopael=true vejkode=9900"),
		with(bent, "", " postnr=9000", " usikker=true vejkode=1234"),
		with(carl, "", "", " tilflytning_kommune_dato=1999-01-01 vejkode=1234")}
	cprWant(t, []cprFile{file}, "adresse", want...)
	file.layout = "A-UUID"
	want[0] = strings.Replace(want[0], "bopael", "adresse_uuid=a-uuid bopael", 1)
	cprWant(t, []cprFile{file}, "adresse", want...)
	file.layout = "C"
	cprWant(t, []cprFile{file}, "adresse")
}

func TestCPRReadingLaterFileWins(t *testing.T) {
	t.Parallel()
	nation := cprLine("010", anna, 14, "5100", 18, "197001010000")
	first := cprMade("2024-04-01", a001(anna, "01", ""), nation, a002(anna, "0851", "197001010000"))
	moved := cprMade("2024-05-01", a001(anna, "01", ""), nation,
		a002(anna, "0573", "202404150000"), a023(anna, "0851", "197001010000", "202404150000"))
	taken := cprMade("2024-06-01", a001(anna, "01", ""), nation, a002(anna, "0573", "197001010000"))
	broken := cprMade("2024-07-01", a001(anna, "01", ""), a002(anna, "0851", "202402300000"))
	april, june := " kendt=2024-03-31T22:00:00.000000Z", " kendt=2024-05-31T22:00:00.000000Z"
	cprWant(t, []cprFile{moved, first}, "statsborgerskab",
		"0573 "+anna+" 2024-04-15.. landekode=5100",
		"0851 "+anna+" 1970-01-01..2024-04-15 landekode=5100"+april)
	for _, files := range [][]cprFile{{taken, moved, first}, {broken, first, taken, moved}} {
		cprWant(t, files, "statsborgerskab", "0573 "+anna+" 1970-01-01.. landekode=5100"+june)
	}
	cprWant(t, []cprFile{first, {"none", nil, "A", "2024-05-02"}, {
		"997", []byte("997" + anna + "202405012000A45\n000"), "A", "2024-05-03"}},
		"statsborgerskab", "0851 "+anna+" 1970-01-01.. landekode=5100"+april)
	again := cprMade("2024-08-01", a001(anna, "01", ""), nation, a002(anna, "0851", "197001010000"))
	cprWant(t, []cprFile{first, taken, again}, "statsborgerskab",
		"0851 "+anna+" 1970-01-01.. landekode=5100 kendt=2024-07-31T22:00:00.000000Z")
	rows := readCPR([]cprFile{moved}, func(k string) bool { return k == "0573" }, cprKommuner)
	for _, r := range rows {
		if r.kommune != "0573" {
			t.Errorf("row of a municipality without agreement: %s", cprText(r))
		}
	}
}

// The same records as lines, as a stream, in ISO-8859-1 and in UTF-8 give the same rows.
func TestCPRReadingForms(t *testing.T) {
	t.Parallel()
	lines := []string{"0000000000000110901" + "2024050120200101",
		a001(anna, "01", "", 73, "Søgræs"), a002(anna, "0851", "200001010000", 36, "c/o Ægæ"),
		cprLine("099", anna, 14, "202405011200A01"),
		cprLine("010", anna, 14, "5100", 18, "199001010000")}
	lengths, stream := cprLengths("A"), ""
	for _, line := range lines {
		stream += line + strings.Repeat(" ", lengths[line[:3]]-utf8.RuneCountInString(line))
	}
	uuid := strings.Replace(stream, " 099", strings.Repeat(" ", 77)+"099", 1)
	text := strings.Join(lines, "\n")
	latin := func(s string) []byte {
		var out []byte
		for _, r := range s {
			out = append(out, byte(r))
		}
		return out
	}
	want := []string{"0851 " + anna + " 2000-01-01.. bopaelskommune=0851 husnr=016 sidedoer=th" +
		" tilflytning_dato=2000-01-01 vejkode=1234"}
	for _, data := range [][]byte{[]byte(text), latin(text), []byte(stream), latin(stream)} {
		cprWant(t, []cprFile{{"form", data, "A", "2020-01-01"}}, "adresse", want...)
	}
	cprWant(t, []cprFile{{"form", []byte(uuid), "A-UUID", "2020-01-01"}}, "adresse", want...)
	cprWant(t, []cprFile{{"form", []byte(uuid), "A-UUID", "2020-01-01"}}, "statsborgerskab",
		"0851 "+anna+" 2000-01-01.. landekode=5100")
	if rows := readCPR([]cprFile{{"odd", []byte("777" + stream), "A", "2020-01-01"}},
		everyKommune, cprKommuner); len(rows) > 0 {
		t.Errorf("a stream of unknown records gave %d rows", len(rows))
	}
}

func TestCPRReadingLayoutB(t *testing.T) {
	t.Parallel()
	file := cprFile{"b", []byte(strings.Join([]string{
		cprLine("001", anna, 24, "202001010930", 36, "01", 38, "199501010000", 67, "M",
			68, "1970-01-01"),
		cprLine("005", anna, 14, "0851"),
		cprLine("025", anna, 18, "202002020800", 30, "0851", 34, "1234", 38, "016",
			98, "200001010000", 110, "*", 127, "199001010000", 140, "0573"),
		cprLine("026", anna, 19, "199107010099", 31, "0573", 35, "9950", 99, "197001010000",
			112, "199901010000"),
		cprLine("026", anna, 14, "K", 31, "0573", 99, "199901010000", 112, "200001010000"),
		cprLine("035", anna, 18, "000000000000", 30, "G", 31, bent, 87, "200501010000",
			155, "201001010000"),
		cprLine("036", anna, 31, "U", 101, "200501010000"),
		cprLine("085", anna, 14, "201001010000", 30, "2010-01-01"),
		cprLine("040", anna, 18, "199103201299", 30, "5100", 34, "197001010000"),
		cprLine("065", anna, 18, carl, 28, "1970-01-01", 39, "1980-02-03"),
	}, "\n")), "B", "2024-05-01"}
	ts := " kendt=2020-01-01T08:30:00.000000Z"
	born := " foedested_kode=0851 foedselsdato=1970-01-01 koen=M status=01"
	cprWant(t, []cprFile{file}, "person",
		"0573 "+anna+" 1970-01-01..1995-01-01"+born+" status_udledt=true"+ts,
		"0573 "+anna+" 1995-01-01..1999-01-01"+born+ts, "0851 "+anna+" 2000-01-01.."+born+ts)
	cprWant(t, []cprFile{file}, "adresse",
		"0573 "+anna+" 1970-01-01..1999-01-01 bopaelskommune=0573 tilflytning_dato=1970-01-01"+
			" tilflytning_kommune_dato=1970-01-01 uden_fast_bopael=true vejkode=9950"+
			" kendt=1991-06-30T22:00:00.000000Z",
		"0851 "+anna+" 2000-01-01.. bopaelskommune=0851 fraflytningskommune=0573 husnr=016"+
			" tilflytning_dato=2000-01-01 tilflytning_kommune_dato=2000-01-01 usikker=true"+
			" vejkode=1234 kendt=2020-02-02T07:00:00.000000Z")
	cprWant(t, []cprFile{file}, "civilstand",
		"0573 "+anna+" 1970-01-01..1999-01-01 civilstand=U",
		"0851 "+anna+" 2000-01-01..2005-01-01 civilstand=U",
		"0851 "+anna+" 2005-01-01.. aegtefaelle_cpr="+bent+
			" civilstand=G separation_dato=2010-01-01")
	ts = " kendt=1991-03-20T11:00:00.000000Z"
	cprWant(t, []cprFile{file}, "statsborgerskab",
		"0573 "+anna+" 1970-01-01..1999-01-01 landekode=5100"+ts,
		"0851 "+anna+" 2000-01-01.. landekode=5100"+ts)
	cprWant(t, []cprFile{file}, "personnummer",
		"0573 "+carl+" 1980-02-03.. aarsag=skiftet aktuelt_cpr="+anna,
		"0851 "+carl+" 1980-02-03.. aarsag=skiftet aktuelt_cpr="+anna)
}

// cprReal gives the real files in order of name and the code list; it skips where they are absent.
func cprReal(t *testing.T) (layoutA []cprFile, layoutB cprFile, kommuner string) {
	t.Helper()
	shared := os.Getenv("FLIS_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	list, err := os.ReadFile(filepath.Join(shared, "codes", "kommune.csv"))
	if err != nil {
		t.Skip("the real files are not here; set FLIS_SHARED")
	}
	names, _ := filepath.Glob(filepath.Join(shared, "real", "cpr", "*"))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal("read a real file: cannot open it")
		}
		if strings.HasPrefix(filepath.Base(name), "PNR_") {
			label := fmt.Sprintf("A%d", len(layoutA)+1)
			layoutA = append(layoutA, cprFile{label, data, "A", "2001-11-20"})
		} else {
			layoutB = cprFile{"B", data, "B", "2020-11-01"}
		}
	}
	return layoutA, layoutB, string(list)
}

func TestCPRReadingReal(t *testing.T) {
	t.Parallel()
	layoutA, layoutB, kommuner := cprReal(t)
	if len(layoutA) != 40 {
		t.Fatalf("real persons in layout A: %d, want 40", len(layoutA))
	}
	for i, f := range layoutA {
		rows, reasons := readCPRWithReasons([]cprFile{f}, everyKommune, kommuner)
		if len(rows) == 0 && len(reasons) == 0 {
			t.Errorf("real file %d: neither rows nor a reason", i+1)
		}
		for _, why := range reasons {
			t.Logf("real file %d: %s", i+1, why)
		}
	}
	rows := readCPR(layoutA, everyKommune, kommuner)
	cprCheckColumns(t, rows)
	persons := map[string]bool{}
	for _, r := range rows {
		persons[r.cols["cpr"]] = true
	}
	if len(persons) != 40 {
		t.Errorf("real persons with rows: %d, want 40", len(persons))
	}
	rows, reasons := readCPRWithReasons([]cprFile{layoutB}, everyKommune, kommuner)
	if len(rows) != 0 || len(reasons) != 34 {
		t.Errorf("Greenland: %d rows, %d reasons; want none and 34", len(rows), len(reasons))
	}
}

// cprCheckColumns holds rows to the domain schemas: no column of our own, none missing but null,
// and no two rows of a key that overlap.
func cprCheckColumns(t *testing.T, rows []readRow) {
	t.Helper()
	nullable := map[string]map[string]bool{}
	for i, r := range rows {
		if nullable[r.dataset] == nil {
			nullable[r.dataset] = cprSchema(t, r.dataset)
		}
		for name := range r.cols {
			if _, known := nullable[r.dataset][name]; !known {
				t.Errorf("%s: column %s is not in the schema", r.dataset, name)
			}
		}
		for name, null := range nullable[r.dataset] {
			if !null && r.cols[name] == "" {
				t.Errorf("%s: column %s is missing", r.dataset, name)
			}
		}
		if i == 0 {
			continue
		}
		before := rows[i-1]
		same := before.kommune == r.kommune && before.dataset == r.dataset &&
			before.cols["cpr"] == r.cols["cpr"] && r.dataset != "haendelse" &&
			cprMoreKey(r.dataset, before.cols) == cprMoreKey(r.dataset, r.cols)
		if same && (before.gyldigTil == "" || before.gyldigTil > r.gyldigFra) {
			t.Errorf("%s: row %d overlaps the one before it", r.dataset, i)
		}
	}
}

// cprSchema tells of each column of a dataset whether it may be null.
func cprSchema(t *testing.T, dataset string) map[string]bool {
	t.Helper()
	path := filepath.Join("..", "..", "schemas", "domain", "borger", dataset+".avsc")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("schema of %s is not here", dataset)
	}
	var schema struct {
		Fields []struct {
			Name string
			Type json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatalf("read schema of %s: %v", dataset, err)
	}
	nullable := map[string]bool{}
	for _, f := range schema.Fields {
		nullable[f.Name] = strings.HasPrefix(string(f.Type), `["null"`)
	}
	return nullable
}
