// Package main_test holds a second reading of CPR files, written from the texts alone
// (model.md 3.2, domain.md 3, design.md 6). It owns the judgement of what every municipality's
// tables must hold; it refuses to share code with the parser, the fold or the close.
//
//	rows := readCPR([]cprFile{{name: "a", data: bytes, layout: "A", deliveryDay: "2024-05-01"}},
//		func(kommune string) bool { return kommune == "0851" }, kommuneCSV)
package main_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata"
	"unicode/utf8"
)

// cprFile is one file. layout is A, A-UUID or B; any other is refused and says nothing.
// deliveryDay (yyyy-mm-dd) stands in for PRODDTO where the file has no 000.
type cprFile struct {
	name        string
	data        []byte
	layout      string
	deliveryDay string
}

// readRow is one row of one municipality's delivered table. Null columns are absent from cols,
// an open gyldigTil is empty, kildeRegistreret is RFC 3339 in UTC with microseconds.
type readRow struct {
	kommune, dataset                       string
	cols                                   map[string]string
	gyldigFra, gyldigTil, kildeRegistreret string
}

// cprFieldsA names the used fields of layout A (domain.md 3.3): role, record, then pos/len.
// A record with the field annkor is history.
const cprFieldsA = `
person 001 pnrgaeld 14/10 status 24/2 statusstart 26/12 koen 39/1 foed 40/10 foed_umrk 50/1
birth 009 kode 14/4
address 002 komkod 14/4 vejkod 18/4 husnr 22/4 etage 26/2 sidedoer 28/4 start 70/12
 start_umrk 82/1 komdto 83/12 frakom 96/4
address 023 annkor 14/1 komkod 15/4 vejkod 19/4 husnr 23/4 etage 27/2 sidedoer 29/4 start 71/12
 start_umrk 83/1 end 84/12 end_umrk 96/1
clear 003 postnr 184/4 komkod 208/4 vejkod 212/4 husnr 216/4
civil 012 civst 14/1 spouse 15/10 start 71/12 start_umrk 83/1 sep 84/12
civil 029 annkor 14/1 civst 15/1 spouse 16/10 start 72/12 start_umrk 84/1 end 85/12 end_umrk 97/1
 sep 98/12
parted 013 sep 14/12 date 26/10
parted 030 annkor 14/1 sep 15/12 date 27/10
nation 010 land 14/4 start 18/12 start_umrk 30/1
nation 027 annkor 14/1 land 15/4 start 19/12 start_umrk 31/1 end 32/12 end_umrk 44/1
number 022 old 14/10 slut 35/10`

// cprFieldsB is the same for layout B (domain.md 3.4); ts is the record's first *_ts.
const cprFieldsB = `
person 001 pnrgaeld 14/10 ts 24/12 status 36/2 statusstart 38/12 koen 67/1 foed 68/10 foed_umrk
 78/1
birth 005 kode 14/4
address 025 ts 18/12 komkod 30/4 vejkod 34/4 husnr 38/4 etage 42/2 sidedoer 44/4 start 98/12
 start_umrk 110/1 komdto 127/12 frakom 140/4
address 026 annkor 14/1 ts 19/12 komkod 31/4 vejkod 35/4 husnr 39/4 etage 43/2 sidedoer 45/4
 start 99/12 start_umrk 111/1 end 112/12 end_umrk 124/1
civil 035 ts 18/12 civst 30/1 spouse 31/10 start 87/12 start_umrk 99/1 sep 155/12
civil 036 annkor 14/1 ts 19/12 civst 31/1 spouse 32/10 start 88/12 start_umrk 100/1 end 101/12
 end_umrk 113/1 sep 169/12
parted 085 sep 14/12 date 30/10
parted 086 annkor 14/1 sep 15/12 date 31/10
nation 040 ts 18/12 land 30/4 start 34/12 start_umrk 46/1
nation 041 annkor 14/1 ts 19/12 land 31/4 start 35/12 start_umrk 47/1 end 48/12 end_umrk 60/1
number 065 old 18/10 slut 39/10`

// cprLengthsA and cprLengthsB are the record lengths of a file without newlines. B's are derived
// from each record's last field.
const (
	cprLengthsA = `000 35 001 106 002 306 003 249 004 37 005 200 006 203 007 26 008 193 009 37
010 30 011 25 012 95 013 36 014 23 015 147 016 58 017 272 018 60 019 75 020 47 021 63 022 45 023 96
024 218 025 40 026 173 027 44 028 36 029 109 030 48 031 269 032 269 033 269 099 45 910 157
997 43 999 21`
	cprLengthsB = `000 35 001 366 005 84 010 60 011 71 015 56 016 82 020 324 021 285 025 354 026 170
028 232 029 262 030 41 031 67 035 166 036 180 040 65 041 79 045 37 046 82 050 292 065 49
085 52 086 80 900 30 910 157 997 43 999 21`
)

// cprRecord is one record's used fields, blanks trimmed.
type cprRecord struct {
	role string
	past bool
	f    map[string]string
}

// cprBlock is all records of one person in one file. parked says why it is not used, else is empty.
type cprBlock struct {
	pnr, order, midnight, parked string
	recs                         []cprRecord
	foed                         string
	stays                        []cprStay
	segs                         []cprSegment
	more                         cprMore
}

// cprStay is one address's municipality and days; holder is empty where no municipality holds it.
type cprStay struct{ holder, from, to string }

// cprSegment is one statement; from and to are days, to is empty where open. order is the order key
// of the first block that said it.
type cprSegment struct {
	dataset, from, to, known, order string
	cols                            map[string]string
	background                      bool
}

// cprSpell is one record of a timeline; start and end are yyyymmddhhmm.
type cprSpell struct {
	cprRecord
	start, end           string
	startVague, endVague bool
	fromBirth            bool
}

// readCPR gives all delivered rows of borger's nine datasets, sorted. kommuneCSV is the text of
// codes/kommune.csv. A file that cannot be framed and a unit with an impossible date say nothing.
func readCPR(files []cprFile, agreed func(kommune string) bool, kommuneCSV string) []readRow {
	rows, _ := readCPRWithReasons(files, agreed, kommuneCSV)
	return rows
}

// readCPRWithReasons also tells, by person number, why a person's newest unit gives no row.
func readCPRWithReasons(
	files []cprFile, agreed func(string) bool, kommuneCSV string,
) ([]readRow, map[string]string) {
	holder := cprHolders(kommuneCSV)
	var blocks []*cprBlock
	for i, f := range files {
		blocks = append(blocks, cprBlocks(f, i)...)
	}
	slices.SortStableFunc(blocks, func(a, b *cprBlock) int {
		return strings.Compare(a.order, b.order)
	})
	layers, reasons := map[string][]*cprBlock{}, map[string]string{}
	for _, b := range blocks {
		if err := b.read(holder); err != nil {
			b.parked = err.Error()
		}
		reasons[b.pnr] = b.reason()
		if b.parked == "" {
			layers[b.pnr] = append(layers[b.pnr], b)
		}
	}
	var rows []readRow
	for _, history := range layers {
		rows = append(rows, cprOwnRows(history)...)
	}
	rows = append(rows, cprNumberRows(layers)...)
	rows = slices.DeleteFunc(rows, func(r readRow) bool { return !agreed(r.kommune) })
	slices.SortFunc(rows, func(a, b readRow) int {
		return strings.Compare(cprSortKey(a), cprSortKey(b))
	})
	for _, r := range rows {
		delete(reasons, r.cols["cpr"])
	}
	return rows, reasons
}

func cprSortKey(r readRow) string {
	return strings.Join([]string{r.kommune, r.dataset, r.cols["cpr"], cprMoreKey(r.dataset, r.cols),
		r.gyldigFra}, " ")
}

// cprHolders maps each code to the municipality that holds it now: itself or its successor, and
// only of type kommune. Codes without a holder are absent.
func cprHolders(kommuneCSV string) map[string]string {
	kind, next := map[string]string{}, map[string]string{}
	var head []string
	for _, line := range strings.Split(strings.TrimSpace(kommuneCSV), "\n") {
		fields := strings.Split(strings.TrimRight(line, "\r"), ";")
		if head == nil {
			head = fields
			continue
		}
		kind[fields[0]] = fields[slices.Index(head, "type")]
		next[fields[0]] = fields[slices.Index(head, "efterfoelger")]
	}
	holder := map[string]string{}
	for code := range kind {
		last := code
		for step := 0; next[last] != "" && step < len(next); step++ {
			last = next[last]
		}
		if kind[last] == "kommune" {
			holder[code] = last
		}
	}
	return holder
}

// cprLines splits a file into records: at LF, or by the length of each record's type where there is
// no LF. It is nil where a type without a known length stands in a file without LF.
func cprLines(f cprFile) [][]rune {
	text := string(f.data)
	if !utf8.Valid(f.data) {
		latin := make([]rune, len(f.data))
		for i, b := range f.data {
			latin[i] = rune(b)
		}
		text = string(latin)
	}
	text = strings.TrimSuffix(text, "\n")
	var lines [][]rune
	if strings.Contains(text, "\n") {
		for _, line := range strings.Split(text, "\n") {
			lines = append(lines, []rune(strings.TrimRight(line, "\r")))
		}
		return lines
	}
	lengths := cprLengths(f.layout)
	for rest := []rune(text); len(rest) > 3; {
		n := lengths[string(rest[:3])]
		if n == 0 {
			return nil
		}
		n = min(n, len(rest))
		lines, rest = append(lines, rest[:n]), rest[n:]
	}
	return lines
}

func cprLengths(layout string) map[string]int {
	text := cprLengthsA
	if layout == "B" {
		text = cprLengthsB
	}
	lengths := map[string]int{}
	words := strings.Fields(text)
	for i := 0; i < len(words); i += 2 {
		var n int
		fmt.Sscan(words[i+1], &n)
		lengths[words[i]] = n
	}
	if layout == "A-UUID" {
		lengths["002"] = 382
	}
	return lengths
}

// cprCut is the field at pos/len (1-based), blanks trimmed; a trimmed line reads as if padded.
func cprCut(line []rune, pos, length int) string {
	from := min(pos-1, len(line))
	return strings.Trim(string(line[from:min(from+length, len(line))]), " ")
}

// cprBlocks groups a file's records by the person number at 4/10, in order of first appearance.
func cprBlocks(f cprFile, number int) []*cprBlock {
	tableA, tableB := cprFieldsA+cprMoreFieldsA, cprFieldsB+cprMoreFieldsB
	fields := map[string]string{"A": tableA, "A-UUID": tableA, "B": tableB}[f.layout]
	if fields == "" {
		return nil
	}
	if f.layout == "A-UUID" {
		fields = strings.Replace(fields, "frakom 96/4", "frakom 96/4 uuid 347/36", 1)
	}
	day := f.deliveryDay
	shapes := cprShapes(fields)
	byPNR := map[string]*cprBlock{}
	var blocks []*cprBlock
	for _, line := range cprLines(f) {
		kind, pnr := cprCut(line, 1, 3), cprCut(line, 4, 10)
		if d := cprCut(line, 20, 8); kind == "000" && len(d) == 8 {
			day = d[:4] + "-" + d[4:6] + "-" + d[6:]
		}
		shape := shapes[kind]
		if shape == nil {
			continue
		}
		if byPNR[pnr] == nil {
			byPNR[pnr] = &cprBlock{pnr: pnr, more: cprMore{layout: f.layout}}
			blocks = append(blocks, byPNR[pnr])
		}
		rec := cprRecord{role: shape[0], f: map[string]string{}}
		for i := 2; i < len(shape); i += 2 {
			var pos, length int
			fmt.Sscanf(shape[i+1], "%d/%d", &pos, &length)
			rec.f[shape[i]] = cprCut(line, pos, length)
		}
		_, rec.past = rec.f["annkor"]
		byPNR[pnr].recs = append(byPNR[pnr].recs, rec)
	}
	for i, b := range blocks {
		b.order = fmt.Sprintf("%s %06d %06d", day, number, i)
		b.midnight = cprInstant(strings.ReplaceAll(day, "-", "") + "0000")
	}
	return blocks
}

// cprShapes reads a field table: by record type its words (role, record, name, pos/len, …).
func cprShapes(table string) map[string][]string {
	shapes := map[string][]string{}
	for _, line := range strings.Split(strings.ReplaceAll(table, "\n ", " "), "\n") {
		if words := strings.Fields(line); len(words) > 1 {
			shapes[words[1]] = words
		}
	}
	return shapes
}

// cprInstant turns a Danish yyyymmddhhmm into an instant in UTC.
func cprInstant(stamp string) string {
	zone, err := time.LoadLocation("Europe/Copenhagen")
	if err != nil {
		panic(err)
	}
	t, _ := time.ParseInLocation("200601021504", stamp, zone)
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

var errCPRDate = errors.New("DATE")

// cprStamp reads a date or a timestamp as yyyymmddhhmm: empty where unknown (zeros, blank) or
// 9999-12-31; vague where month or day is 00.
func cprStamp(raw string) (stamp string, vague bool, err error) {
	digits := strings.ReplaceAll(raw, "-", "")
	if strings.Trim(digits, "0") == "" || strings.HasPrefix(digits, "99991231") {
		return "", false, nil
	}
	if len(digits) == 8 {
		digits += "0000"
	}
	if len(digits) != 12 || digits[:4] == "0000" {
		return "", false, errCPRDate
	}
	if digits[10:] == "99" {
		digits = digits[:10] + "00"
	}
	if digits[4:6] == "00" {
		digits, vague = digits[:4]+"01010000", true
	} else if digits[6:8] == "00" {
		digits, vague = digits[:6]+"010000", true
	}
	if _, err := time.Parse("200601021504", digits); err != nil {
		return "", false, errCPRDate
	}
	return digits, vague, nil
}

// cprDay is the day of a stamp, yyyy-mm-dd; empty for an empty stamp.
func cprDay(stamp string) string {
	if stamp == "" {
		return ""
	}
	return stamp[:4] + "-" + stamp[4:6] + "-" + stamp[6:8]
}
