package main_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// cprMoreColumns are the columns of the four datasets (model.md 2.1); ? is nullable.
var cprMoreColumns = map[string]string{
	"beskyttelse":     "cpr beskyttelsestype",
	"familierelation": "cpr relationstype relateret_cpr usikker",
	"udlandsophold":   "cpr type udrejse_land? indrejse_land? usikker",
	"haendelse": "cpr haendelsestype haendelse_tid fra_kommune? til_kommune? land?" +
		" alder_aar?",
}

// cprFlow is what an event adds to the population of the municipality that holds it.
var cprFlow = map[string]int{
	"tilflytning": 1, "indvandring": 1, "genfundet": 1, "foedt": 1, "foerste_bopael": 1,
	"fraflytning": -1, "udvandring": -1, "forsvundet": -1, "doed": -1, "intern_flytning": 0,
}

func a024(pnr, from, to string, more ...any) string {
	return cprLine("024", pnr, append([]any{15, "5120", 19, from, 32, "5150", 36, to}, more...)...)
}

// cprWantEvents compares haendelse, one line a row: municipality, person's last digit, type, time
// in UTC, codes, country and age.
func cprWantEvents(t *testing.T, kommuner string, files []cprFile, want ...string) {
	t.Helper()
	var got []string
	for _, r := range readCPR(files, everyKommune, kommuner) {
		if r.dataset != "haendelse" {
			continue
		}
		c := r.cols
		text := fmt.Sprintf("%s %s %s %s %s>%s %s %s", r.kommune, c["cpr"][9:],
			c["haendelsestype"], strings.TrimSuffix(c["haendelse_tid"], ":00.000000Z"),
			c["fra_kommune"], c["til_kommune"], c["land"], c["alder_aar"])
		if r.gyldigTil != "" {
			text += " til=" + r.gyldigTil
		}
		if r.kildeRegistreret != "2024-04-30T22:00:00.000000Z" {
			text += " kendt=" + r.kildeRegistreret
		}
		got = append(got, strings.Join(strings.Fields(text), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("haendelse:\ngot:\n%s\nwant:\n%s",
			strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCPRReadingProtection(t *testing.T) {
	t.Parallel()
	guard := func(kind, from, to string) string {
		return cprLine("004", anna, 14, kind, 18, from, 28, to)
	}
	unit := func(day string, more ...string) cprFile {
		return cprMade(day, append(more, a001(anna, "01", ""),
			a002(anna, "0851", "200001010000"))...)
	}
	april := " kendt=2024-03-31T22:00:00.000000Z"
	row := func(from, to, kind string) string {
		return "0851 " + anna + " " + from + ".." + to + " beskyttelsestype=" + kind
	}
	first := unit("2024-04-01", guard("0001", "2023-01-01", ""),
		guard("0002", "1999-05-00", "9999-12-31"), guard("0003", "2023-01-01", "2023-06-01"),
		guard("0004", "", "2101-10-22"), guard("0099", "2023-01-01", ""))
	cprWant(t, []cprFile{first}, "beskyttelse", row("2023-01-01", "", "0001")+april,
		row("2000-01-01", "", "0002")+april, row("2023-01-01", "2023-06-01", "0003")+april,
		row("2000-01-01", "2101-10-22", "0004")+april)
	second := unit("2024-05-01", guard("0002", "2023-02-01", "2024-04-10"),
		guard("0003", "2023-03-01", ""), guard("0003", "2024-02-01", "2024-02-01"))
	cprWant(t, []cprFile{second, first}, "beskyttelse",
		row("2023-01-01", "2024-05-01", "0001")+april,
		row("2000-01-01", "2024-04-10", "0002")+april,
		row("2023-01-01", "2024-02-01", "0003")+april,
		row("2000-01-01", "2024-05-01", "0004")+april)
	corrected := unit("2024-05-01", guard("0001", "2022-01-01", ""))
	cprWant(t, []cprFile{first, corrected}, "beskyttelse", row("2022-01-01", "", "0001"),
		row("2000-01-01", "2024-05-01", "0002")+april,
		row("2023-01-01", "2023-06-01", "0003")+april,
		row("2000-01-01", "2024-05-01", "0004")+april)
	again := unit("2024-06-01", guard("0001", "2024-05-20", ""))
	cprWant(t, []cprFile{first, unit("2024-05-01"), again}, "beskyttelse",
		row("2023-01-01", "2024-05-01", "0001")+april,
		row("2024-05-20", "", "0001")+" kendt=2024-05-31T22:00:00.000000Z",
		row("2000-01-01", "2024-05-01", "0002")+april,
		row("2023-01-01", "2023-06-01", "0003")+april,
		row("2000-01-01", "2024-05-01", "0004")+april)
	cprWant(t, []cprFile{unit("2024-05-01"), {"broken", []byte("x"), "A", "2024-06-01"}},
		"beskyttelse")
}

func TestCPRReadingProtectionMoves(t *testing.T) {
	t.Parallel()
	guard := cprLine("004", anna, 14, "0001", 18, "1990-01-01")
	first := cprMade("2024-04-01", a001(anna, "01", ""), a002(anna, "0851", "198001010000"), guard)
	moved := cprMade("2024-05-01", a001(anna, "01", ""), a002(anna, "0573", "200001010000"),
		a023(anna, "0851", "198001010000", "200001010000"))
	cprWant(t, []cprFile{first, moved}, "beskyttelse",
		"0573 "+anna+" 2000-01-01..2024-05-01 beskyttelsestype=0001"+
			" kendt=2024-03-31T22:00:00.000000Z",
		"0851 "+anna+" 1990-01-01..2000-01-01 beskyttelsestype=0001"+
			" kendt=2024-03-31T22:00:00.000000Z")
	died := cprMade("2024-05-01", a001(anna, "90", "202001010000"),
		a023(anna, "0851", "198001010000", "202001010000"), guard,
		cprLine("004", anna, 14, "0002", 18, "2020-01-01", 28, "2021-01-01"))
	cprWant(t, []cprFile{died}, "beskyttelse",
		"0851 "+anna+" 1990-01-01..2020-01-01 beskyttelsestype=0001",
		"0851 "+anna+" 2020-01-01..2021-01-01 beskyttelsestype=0002")
	layoutB := cprFile{"b", []byte(strings.Join([]string{
		cprLine("001", anna, 24, "202001010930", 36, "01", 67, "K", 68, "1970-01-01"),
		cprLine("025", anna, 30, "0851", 98, "198001010000"),
		cprLine("015", anna, 14, "0001", 22, "202002020800", 34, "2020-02-02"),
		cprLine("016", anna, 14, "0001", 22, "199902020800", 34, "1999-02-02", 47, "2001-01-01",
			73, "2000-01-01"),
		cprLine("016", anna, 14, "0003", 34, "1999-02-02", 47, "2001-01-01", 73, "0000-00-00"),
	}, "\n")), "B", "2024-05-01"}
	cprWant(t, []cprFile{first, layoutB}, "beskyttelse",
		"0851 "+anna+" 1999-02-02..2000-01-01 beskyttelsestype=0001"+
			" kendt=2024-03-31T22:00:00.000000Z",
		"0851 "+anna+" 2020-02-02.. beskyttelsestype=0001 kendt=2024-03-31T22:00:00.000000Z",
		"0851 "+anna+" 1999-02-02..2001-01-01 beskyttelsestype=0003")
	cprWant(t, []cprFile{layoutB}, "beskyttelse",
		"0851 "+anna+" 1999-02-02..2000-01-01 beskyttelsestype=0001"+
			" kendt=1999-02-02T07:00:00.000000Z",
		"0851 "+anna+" 2020-02-02.. beskyttelsestype=0001 kendt=2020-02-02T07:00:00.000000Z",
		"0851 "+anna+" 1999-02-02..2001-01-01 beskyttelsestype=0003")
}

func TestCPRReadingFamily(t *testing.T) {
	t.Parallel()
	file := cprMade("2024-05-01", a001(anna, "01", ""), a002(anna, "0851", "197001010000"),
		cprLine("014", anna, 14, bent), cprLine("014", anna, 14, bent),
		cprLine("014", anna, 14, "6199990001"), cprLine("014", anna, 14, "0000000000"),
		cprLine("015", anna, 14, "1970-02-01", 25, carl, 81, "1971-03-00", 92, bent),
		cprLine("016", anna, 14, "0003", 18, "1975-01-01", 28, "*", 29, "1988-01-01"),
		cprLine("016", anna, 14, "0005", 18, "1980-01-01", 39, anna),
		cprLine("016", anna, 14, "0001", 18, "1980-01-01", 39, carl),
		a001(bent, "90", "200001010000"), a023(bent, "0573", "198001010000", "200001010000"),
		cprLine("015", bent, 25, carl, 91, "*"), cprLine("014", bent, 14, "6101024001"),
		cprLine("016", bent, 14, "0004", 18, "1980-01-01"))
	row := func(head, kind, number string) string {
		return head + " relateret_cpr=" + number + " relationstype=" + kind
	}
	born := "0851 " + anna + " 1970-"
	cprWant(t, []cprFile{file}, "familierelation",
		row("0573 "+bent+" 2002-01-01..", "barn", "6101024001"),
		row("0573 "+bent+" 1980-01-01..2000-01-01", "mor", carl)+" usikker=true",
		row("0851 "+anna+" 1970-01-01..", "barn", "6199990001")+" usikker=true",
		row(born+"01-02..", "barn", bent),
		row("0851 "+anna+" 1971-03-01..", "far", bent)+" usikker=true",
		row("0851 "+anna+" 1980-01-01..", "foraeldremyndighed", anna),
		row("0851 "+anna+" 1975-01-01..1988-01-01", "foraeldremyndighed", carl)+" usikker=true",
		row(born+"02-01..", "mor", carl))
	gone := cprMade("2024-06-01", a001(anna, "01", ""), a002(anna, "0851", "197001010000"),
		cprLine("014", anna, 14, bent))
	cprWant(t, []cprFile{file, gone}, "familierelation",
		row("0573 "+bent+" 2002-01-01..", "barn", "6101024001"),
		row("0573 "+bent+" 1980-01-01..2000-01-01", "mor", carl)+" usikker=true",
		row(born+"01-02..", "barn", bent))
	layoutB := cprFile{"b", []byte(strings.Join([]string{
		cprLine("001", anna, 24, "202001010930", 36, "01", 67, "K", 68, "1970-01-01",
			163, "202002020800", 179, "1970-02-01", 190, carl, 291, "*", 292, bent),
		cprLine("025", anna, 30, "0851", 98, "197001010000"),
		cprLine("045", anna, 14, bent, 24, "01", 26, "199901010000"),
		cprLine("046", anna, 14, "202003030800", 26, "0004", 34, "1975-01-01", 44, "*",
			45, "1988-01-01"),
	}, "\n")), "B", "2024-05-01"}
	cprWant(t, []cprFile{layoutB}, "familierelation", row(born+"01-02..", "barn", bent),
		row(born+"01-01..", "far", bent)+" usikker=true",
		row("0851 "+anna+" 1975-01-01..1988-01-01", "foraeldremyndighed", bent)+
			" usikker=true kendt=2020-03-03T07:00:00.000000Z",
		row(born+"02-01..", "mor", carl)+" kendt=2020-02-02T07:00:00.000000Z")
}

func TestCPRReadingBirthInNumber(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"6101003000": "1900-01-01", "9112994000": "1999-12-31", "6101364000": "2036-01-01",
		"6101374000": "1937-01-01", "6101369000": "2036-01-01", "6101575000": "2057-01-01",
		"6101588000": "1858-01-01", "8902017000": "", "8902004000": "2000-02-29",
		"6113703000": "", "61017000": "", "D101700000": "", "6000700000": "",
	} {
		if got := cprBirthInNumber(number); got != want {
			t.Errorf("birth date of case that wants %q: %q", want, got)
		}
	}
}

func TestCPRReadingAway(t *testing.T) {
	t.Parallel()
	file := cprMade("2024-05-01",
		a001(anna, "01", ""), a002(anna, "0851", "200501010000"),
		a023(anna, "0573", "198001010000", "199001010000"),
		a023(anna, "0571", "200001010000", "200201010000"),
		a024(anna, "199001010800", "200001010000"),
		a024(anna, "200201010000", "200401010000", 31, "*", 14, "K"),
		a024(anna, "200201010000", "200301010000", 31, "*", 32, "0000"),
		a024(anna, "200401010000", "200401010900"), a024(anna, "000000000000", "198001010000"),
		cprLine("025", anna, 15, "200301010000", 28, "200412000000"),
		cprLine("025", anna, 15, "000000000000", 28, "200001010000"),
		a001(bent, "80", "200001010000"), a023(bent, "0901", "198001010000", "199001010000"),
		a023(bent, "0851", "199001010000", "200001010000"),
		cprLine("005", bent, 14, "5120", 18, "200001010000"),
		a024(bent, "198501010000", "198601010000"),
		a001(carl, "70", "200001010000"), a023(carl, "0901", "198001010000", "200001010000"),
		cprLine("007", carl, 14, "200001010000"))
	abroad := " type=udrejst udrejse_land=5120"
	cprWant(t, []cprFile{file}, "udlandsophold",
		"0573 "+anna+" 2003-01-01..2004-12-01 type=forsvundet usikker=true",
		"0573 "+anna+" 1990-01-01..2000-01-01 indrejse_land=5150"+abroad,
		"0573 "+anna+" 2002-01-01..2003-01-01"+abroad+" usikker=true",
		"0851 "+anna+" 2003-01-01..2004-12-01 type=forsvundet usikker=true",
		"0851 "+anna+" 2002-01-01..2003-01-01"+abroad+" usikker=true",
		"0851 "+bent+" 2000-01-01.."+abroad)
	back := cprMade("2024-06-01", a001(bent, "01", ""),
		a023(bent, "0851", "199001010000", "202001010000"), a002(bent, "0573", "202001010000"))
	cprWant(t, []cprFile{back, file}, "udlandsophold",
		"0573 "+anna+" 2003-01-01..2004-12-01 type=forsvundet usikker=true",
		"0573 "+anna+" 1990-01-01..2000-01-01 indrejse_land=5150"+abroad,
		"0573 "+anna+" 2002-01-01..2003-01-01"+abroad+" usikker=true",
		"0851 "+anna+" 2003-01-01..2004-12-01 type=forsvundet usikker=true",
		"0851 "+anna+" 2002-01-01..2003-01-01"+abroad+" usikker=true")
}

func TestCPRReadingEventsOfMoves(t *testing.T) {
	t.Parallel()
	list := cprKommuner + "0563;Anden;kommune;;2007-01-01;0573\n"
	file := cprMade("2024-05-01", a001(anna, "90", "202003010930"),
		a023(anna, "0851", "197002010800", "199006010000"),
		a023(anna, "0563", "199006011200", "199501010000"),
		a023(anna, "0571", "199501010000", "200701010000"),
		a023(anna, "0573", "200701010000", "200801010000"),
		a023(anna, "0851", "200801010000", "200801011000"),
		a023(anna, "0573", "200801011000", "200901010000"),
		a023(anna, "0901", "200901010000", "201001010000"),
		a023(anna, "0851", "201012310000", "202003010000"))
	cprWantEvents(t, list, []cprFile{file},
		"0573 1 tilflytning 1990-06-01T10:00 0851>0563 20",
		"0573 1 intern_flytning 1994-12-31T23:00 0563>0571 25",
		"0573 1 intern_flytning 2008-01-01T09:00 0573>0573 38",
		"0573 1 fraflytning 2008-12-31T23:00 0573>0901 39",
		"0851 1 foedt 1969-12-31T23:00 >0851 0",
		"0851 1 fraflytning 1990-05-31T22:00 0851>0563 20",
		"0851 1 tilflytning 2010-12-30T23:00 0901>0851 40",
		"0851 1 doed 2020-03-01T08:30 0851> 50")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01",
		a001(anna, "01", ""), a002(anna, "0851", "197002020000", 83, "197001010000", 96, "0573"),
		a001(bent, "01", "", 40, "0000-00-00"), a002(bent, "0851", "197001010000"),
		a001(carl, "90", "", 40, "1980-02-29"), a023(carl, "0851", "198003010000", "200002281400"),
		cprLine("001", "6401700004", 24, "60", 39, "K", 40, "1970-01-01"),
		a023("6401700004", "0851", "197001010000", "200002281400"))},
		"0851 1 foerste_bopael 1970-02-01T23:00 >0851 0",
		"0851 2 foerste_bopael 1969-12-31T23:00 >0851",
		"0851 3 foedt 1980-02-28T23:00 >0851 0",
		"0851 3 doed 2000-02-28T13:00 0851> 19")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01",
		a001(anna, "90", "197001010000"), a023(anna, "0851", "197001010000", "197001012000"),
		a001(bent, "20", ""), a002(bent, "0010", "200001010000"),
		a023(bent, "0851", "199901010000", "200001010000", 14, "A"))})
}

func TestCPRReadingEventsOfAbsence(t *testing.T) {
	t.Parallel()
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01",
		a001(anna, "01", ""), a002(anna, "0851", "200001150000", 96, "0573"),
		a023(anna, "0573", "197001010000", "199001010000"),
		a023(anna, "0573", "199505010000", "199601010000"),
		a024(anna, "000000000000", "197001010000"),
		a024(anna, "199001010000", "199505010000"),
		cprLine("025", anna, 15, "199601010000", 28, "199801010000"),
		a024(anna, "199801010000", "200001010000"))},
		"0573 1 indvandring 1969-12-31T23:00 >0573 5150 0",
		"0573 1 udvandring 1989-12-31T23:00 0573> 5120 20",
		"0573 1 indvandring 1995-04-30T22:00 >0573 5150 25",
		"0573 1 forsvundet 1995-12-31T23:00 0573> 26",
		"0573 1 genfundet 1997-12-31T23:00 > 28",
		"0573 1 udvandring 1997-12-31T23:00 0573> 5120 28",
		"0851 1 indvandring 1999-12-31T23:00 >0851 5150 30")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01",
		a001(bent, "90", "202001010000"), a023(bent, "0851", "199001010000", "200001010000"),
		a023(bent, "0573", "200501010000", "201001010000"),
		a024(bent, "200001010000", "000000000000"),
		cprLine("005", bent, 14, "5120", 18, "201001010000"),
		a001(carl, "01", ""), a023(carl, "0851", "199001010000", "199501010000"),
		a002(carl, "0851", "199801010000"))},
		"0573 2 foerste_bopael 2004-12-31T23:00 >0573 35",
		"0573 2 udvandring 2009-12-31T23:00 0573> 5120 40",
		"0573 2 doed 2019-12-31T23:00 0573> 50",
		"0851 2 foerste_bopael 1989-12-31T23:00 >0851 20",
		"0851 2 udvandring 1999-12-31T23:00 0851> 5120 30",
		"0851 3 foerste_bopael 1989-12-31T23:00 >0851 20",
		"0851 3 intern_flytning 1997-12-31T23:00 0851>0851 28")
	emigrated := cprMade("2024-04-01", a001(anna, "80", "202401010000"),
		a023(anna, "0851", "199001010000", "202401010000"),
		cprLine("005", anna, 14, "5120", 18, "202401010000"))
	undone := cprMade("2024-05-01", a001(anna, "01", ""), a002(anna, "0851", "199001010000"))
	first := "0851 1 foerste_bopael 1989-12-31T23:00 >0851 20 kendt=2024-03-31T22:00:00.000000Z"
	cprWantEvents(t, cprKommuner, []cprFile{undone, emigrated}, first)
	cprWantEvents(t, cprKommuner, []cprFile{emigrated}, first,
		"0851 1 udvandring 2023-12-31T23:00 0851> 5120 54 kendt=2024-03-31T22:00:00.000000Z")
	cprWantEvents(t, cprKommuner, []cprFile{undone, cprMade("2024-06-01",
		a001(anna, "01", ""), a002(anna, "0851", "199001010000"),
		a024(anna, "202401010000", "202402300000"))},
		strings.TrimSuffix(first, " kendt=2024-03-31T22:00:00.000000Z"))
}

// Records that contradict each other: what the letter of the rules makes of them.
func TestCPRReadingEventsOfBadRecords(t *testing.T) {
	t.Parallel()
	known := a001(anna, "01", "")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01", known,
		a023(anna, "0573", "198001010000", "200001010000"), a002(anna, "0851", "200001010000"),
		a024(anna, "200001010000", "200501010000"))},
		"0573 1 foerste_bopael 1979-12-31T23:00 >0573 10",
		"0573 1 udvandring 1999-12-31T23:00 0573> 5120 30",
		"0851 1 indvandring 2004-12-31T23:00 >0851 5150 35")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01", known,
		a023(anna, "0573", "198001010000", ""), a002(anna, "0851", "200001010000"),
		a024(anna, "199501010000", "200001010000"))},
		"0573 1 foerste_bopael 1979-12-31T23:00 >0573 10",
		"0573 1 udvandring 1994-12-31T23:00 0573> 5120 25",
		"0851 1 indvandring 1999-12-31T23:00 >0851 5150 30")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01", known,
		a023(anna, "0573", "198001010000", "199001010000"), a002(anna, "0851", "199501010000"),
		a024(anna, "", "199501010800"), a024(anna, "", "199501010900"),
		a024(anna, "200001010000", "200101010800"), a024(anna, "", "200101010900"))},
		"0573 1 foerste_bopael 1979-12-31T23:00 >0573 10",
		"0851 1 indvandring 1995-01-01T08:00 >0851 5150 25",
		"0851 1 udvandring 1999-12-31T23:00 0851> 5120 30",
		"0851 1 indvandring 2001-01-01T07:00 >0851 5150 31")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01", known,
		a023(anna, "0851", "198001010000", "199001010000"),
		a023(anna, "0573", "200501010000", "201001010000"), a002(anna, "0851", "201001010000"),
		a024(anna, "199001010000", ""))},
		"0573 1 foerste_bopael 2004-12-31T23:00 >0573 35",
		"0573 1 fraflytning 2009-12-31T23:00 0573>0851 40",
		"0851 1 foerste_bopael 1979-12-31T23:00 >0851 10",
		"0851 1 udvandring 1989-12-31T23:00 0851> 5120 20",
		"0851 1 tilflytning 2009-12-31T23:00 0573>0851 40")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01", known,
		a023(anna, "0851", "198001010000", "199001010000"), a002(anna, "0573", "200001010000"),
		a024(anna, "199001010000", ""), a024(anna, "199501010000", "199601010000"),
		cprLine("025", anna, 15, "199801010000", 28, "200001010000"))},
		"0573 1 genfundet 1999-12-31T23:00 >0573 30",
		"0851 1 foerste_bopael 1979-12-31T23:00 >0851 10",
		"0851 1 udvandring 1989-12-31T23:00 0851> 5120 20",
		"0851 1 udvandring 1994-12-31T23:00 0851> 5120 25",
		"0851 1 indvandring 1995-12-31T23:00 > 5150 26",
		"0851 1 forsvundet 1997-12-31T23:00 0851> 28")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01", known,
		a023(anna, "0851", "196001010000", "196901010000"), a002(anna, "0573", "196901010000"),
		a001(bent, "90", "197001010600"), a023(bent, "0851", "197001010000", "197001020000"))},
		"0573 1 tilflytning 1968-12-31T23:00 0851>0573",
		"0851 1 fraflytning 1968-12-31T23:00 0851>0573",
		"0851 1 foedt 1969-12-31T23:00 >0851 0",
		"0851 2 foedt 1969-12-31T23:00 >0851 0", "0851 2 doed 1970-01-01T05:00 0851> 0")
	cprWantEvents(t, cprKommuner, []cprFile{cprMade("2024-05-01", known,
		a002(anna, "0851", "199001010000"), a024(anna, "199501010000", "199601010000"))},
		"0851 1 foerste_bopael 1989-12-31T23:00 >0851 20",
		"0851 1 udvandring 1994-12-31T23:00 0851> 5120 25",
		"0851 1 indvandring 1995-12-31T23:00 >0851 5150 26")
	bad := cprMade("2024-05-01", known, a002(anna, "0851", "199501010000"),
		a023(anna, "0573", "198001010000", "199001010000"),
		a023(anna, "0573", "199101010000", "199301010000"),
		cprLine("025", anna, 15, "199001010000", 28, "199301010000"))
	cprWant(t, []cprFile{bad}, "udlandsophold",
		"0573 "+anna+" 1990-01-01..1993-01-01 type=forsvundet",
		"0851 "+anna+" 1990-01-01..1993-01-01 type=forsvundet")
}

// Which unit's time stamp a protection keeps, and what a unit hides of an earlier one.
func TestCPRReadingProtectionRuns(t *testing.T) {
	t.Parallel()
	unit := func(day string, more ...string) cprFile {
		return cprMade(day, append([]string{a001(anna, "01", "")}, more...)...)
	}
	guard := func(from, to string) string {
		return cprLine("004", anna, 14, "0001", 18, from, 28, to)
	}
	at := a002(anna, "0851", "198001010000")
	row := "0851 " + anna + " %s..%s beskyttelsestype=0001"
	march := " kendt=2024-02-29T23:00:00.000000Z"
	first := unit("2024-03-01", at, guard("2000-01-01", "2003-12-31"))
	cprWant(t, []cprFile{first, unit("2024-05-01", at,
		guard("2001-03-01", "2001-04-01"), guard("2010-01-01", ""))}, "beskyttelse",
		fmt.Sprintf(row, "2000-01-01", "2001-04-01")+march, fmt.Sprintf(row, "2010-01-01", ""))
	cprWant(t, []cprFile{first, unit("2024-04-01", at, guard("2003-12-31", "")),
		unit("2024-05-01", at, guard("2000-01-01", "2003-12-31"))}, "beskyttelse",
		fmt.Sprintf(row, "2000-01-01", "2003-12-31")+march)
	cprWant(t, []cprFile{unit("2024-03-01", at, guard("1990-01-01", "")), cprMade("2024-05-01",
		a001(anna, "90", "202001010000"), a023(anna, "0851", "198001010000", "202001010000"),
		guard("2021-01-01", ""))}, "beskyttelse",
		fmt.Sprintf(row, "1990-01-01", "2020-01-01")+march)
	cprWant(t, []cprFile{unit("2024-03-01", a023(anna, "0851", "198001010000", "200001010000"),
		a002(anna, "0573", "200001010000"), guard("1990-01-01", "")),
		unit("2024-05-01", at, guard("1990-01-01", ""))}, "beskyttelse",
		fmt.Sprintf(row, "1990-01-01", "")+march)
}

func TestCPRReadingEventsLayoutB(t *testing.T) {
	t.Parallel()
	cprWantEvents(t, cprKommuner, []cprFile{{"b", []byte(strings.Join([]string{
		cprLine("001", anna, 24, "202001010930", 36, "90", 38, "202001010000", 67, "K",
			68, "1970-01-01"),
		cprLine("026", anna, 19, "199107010000", 31, "0851", 99, "197001010000",
			112, "199001010000"),
		cprLine("026", anna, 19, "199307010000", 31, "0573", 99, "199501010000",
			112, "202001010000"),
		cprLine("029", anna, 19, "199207010000", 31, "5120", 35, "199001010000",
			48, "199601010000", 60, "5150", 64, "199501010000"),
		cprLine("031", anna, 19, "199208010000", 31, "199101010000", 56, "199201010000"),
	}, "\n")), "B", "2024-05-01"}},
		"0573 1 indvandring 1994-12-31T23:00 >0573 5150 25 kendt=1995-12-31T23:00:00.000000Z",
		"0573 1 doed 2019-12-31T23:00 0573> 50 kendt=2020-01-01T08:30:00.000000Z",
		"0851 1 foedt 1969-12-31T23:00 >0851 0 kendt=2020-01-01T08:30:00.000000Z",
		"0851 1 udvandring 1989-12-31T23:00 0851> 5120 20 kendt=1992-06-30T22:00:00.000000Z",
		"0851 1 forsvundet 1990-12-31T23:00 0851> 21 kendt=1992-07-31T22:00:00.000000Z",
		"0851 1 genfundet 1991-12-31T23:00 > 22")
}

func TestCPRReadingMoreReal(t *testing.T) {
	t.Parallel()
	layoutA, layoutB, kommuner := cprReal(t)
	all := append(slices.Clone(layoutA), layoutB)
	rows := readCPR(all, everyKommune, kommuner)
	cprCheckMore(t, rows)
	counts := map[string]int{}
	for _, r := range rows {
		if kind := r.cols["haendelsestype"]; kind != "" {
			counts[kind]++
		} else if cprMoreColumns[r.dataset] != "" {
			counts[r.dataset]++
		}
	}
	t.Log(counts)
	cprCheckFlows(t, rows)
	for i, f := range layoutA {
		for _, r := range readCPR([]cprFile{f}, everyKommune, kommuner) {
			if r.dataset == "haendelse" || r.dataset == "udlandsophold" {
				more := maps.Clone(r.cols)
				delete(more, "cpr")
				t.Logf("A%d %s %s %s..%s %v", i+1, r.kommune, r.dataset, r.gyldigFra,
					r.gyldigTil, more)
			}
		}
	}
}

// cprCheckMore holds the rows to the columns of model.md and to one row of a key at each instant.
func cprCheckMore(t *testing.T, rows []readRow) {
	t.Helper()
	until := map[string]string{}
	for i, r := range rows {
		columns := strings.Fields(cprMoreColumns[r.dataset])
		if len(columns) == 0 {
			continue
		}
		for name := range r.cols {
			if !slices.Contains(columns, name) && !slices.Contains(columns, name+"?") {
				t.Errorf("%s: column %s is not in the model", r.dataset, name)
			}
		}
		for _, name := range columns {
			if !strings.HasSuffix(name, "?") && r.cols[name] == "" {
				t.Errorf("%s: column %s is missing", r.dataset, name)
			}
		}
		key := strings.Join([]string{r.kommune, r.dataset, r.cols["cpr"],
			cprMoreKey(r.dataset, r.cols)}, " ")
		if end, seen := until[key]; seen && (end == "" || end > r.gyldigFra) {
			t.Errorf("%s: row %d overlaps an earlier one of its key", r.dataset, i)
		}
		if r.gyldigTil != "" && r.gyldigTil <= r.gyldigFra {
			t.Errorf("%s: row %d has no length", r.dataset, i)
		}
		until[key] = r.gyldigTil
	}
}

// cprCheckFlows holds the events of each municipality and year to the difference of its stocks of
// residents (adresse) at the ends of this year and the one before.
func cprCheckFlows(t *testing.T, rows []readRow) {
	t.Helper()
	stock, flow, checked := map[string]int{}, map[string]int{}, 0
	for _, r := range rows {
		switch r.dataset {
		case "adresse":
			for year := 1850; year <= 2030; year++ {
				last := fmt.Sprintf("%d-12-31", year)
				if r.gyldigFra <= last && (r.gyldigTil == "" || r.gyldigTil > last) {
					stock[fmt.Sprintf("%s %d", r.kommune, year)]++
				}
			}
		case "haendelse":
			sign, known := cprFlow[r.cols["haendelsestype"]]
			if !known {
				t.Errorf("event of an unknown type %s", r.cols["haendelsestype"])
			}
			flow[r.kommune+" "+r.gyldigFra[:4]] += sign
		}
	}
	kommuner := map[string]bool{}
	for _, r := range rows {
		kommuner[r.kommune] = true
	}
	for kommune := range kommuner {
		for year := 1851; year <= 2030; year++ {
			this := fmt.Sprintf("%s %d", kommune, year)
			before := fmt.Sprintf("%s %d", kommune, year-1)
			if flow[this] != stock[this]-stock[before] {
				t.Errorf("%s: flows %d, stocks %d and %d", this, flow[this], stock[before],
					stock[this])
			}
			checked++
		}
	}
	t.Logf("%d years of municipalities hold", checked)
}
