package main_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// cprMoreFieldsA are the records of layout A that only beskyttelse, familierelation, udlandsophold
// and haendelse use (domain.md 3.3).
const cprMoreFieldsA = `
guard 004 type 14/4 start 18/10 end 28/10
abroad 005 land 14/4 start 18/12 start_umrk 30/1
abroad 024 annkor 14/1 land 15/4 start 19/12 start_umrk 31/1 inland 32/4 end 36/12 end_umrk 48/1
lost 007 start 14/12 start_umrk 26/1
lost 025 annkor 14/1 start 15/12 start_umrk 27/1 end 28/12 end_umrk 40/1
child 014 number 14/10
parents 015 mor_dt 14/10 mor_umrk 24/1 mor 25/10 far_dt 81/10 far_umrk 91/1 far 92/10
custody 016 type 14/4 start 18/10 start_umrk 28/1 end 29/10 number 39/10
`

// cprMoreFieldsB is the same for layout B (domain.md 3.4). 016 has no ANNKOR; a position past every
// record marks it as history all the same. 001 repeats cprFieldsB and adds the parents.
const cprMoreFieldsB = `
guard 015 ts 22/12 type 14/4 start 34/10 end 47/10
guard 016 annkor 999/1 ts 22/12 type 14/4 start 34/10 end 73/10 slet 47/10
abroad 028 ts 18/12 land 30/4 start 34/12 start_umrk 46/1
abroad 029 annkor 14/1 ts 19/12 land 31/4 start 35/12 start_umrk 47/1 ts_end 48/12 inland 60/4
 end 64/12 end_umrk 76/1
lost 030 ts 18/12 start 30/12
lost 031 annkor 14/1 ts 19/12 start 31/12 start_umrk 43/1 ts_end 44/12 end 56/12
child 045 number 14/10
custody 046 ts 14/12 type 26/4 start 34/10 start_umrk 44/1 end 45/10 number 63/10
person 001 pnrgaeld 14/10 ts 24/12 status 36/2 statusstart 38/12 koen 67/1 foed 68/10 foed_umrk
 78/1 mor_ts 163/12 mor_dt 179/10 mor_umrk 189/1 mor 190/10 far_ts 265/12 far_dt 281/10
 far_umrk 291/1 far 292/10
`

// cprGuardTypes is the list beskyttelsestype; a record of another type is parked alone.
var cprGuardTypes = []string{"0001", "0002", "0003", "0004", "0005"}

// cprBirthDays is how long after FOED_DT a first address may begin and still mean a birth.
const cprBirthDays = 31

// cprMore is what a block says beyond the five datasets. guardFrom is, by type of protection, the
// day from which a block of layout A speaks; placed is by the municipality that gets it whole.
type cprMore struct {
	layout    string
	guardFrom map[string]string
	placed    map[string][]cprSegment
}

// cprMoreKey is what a dataset's key has besides cpr.
func cprMoreKey(dataset string, cols map[string]string) string {
	switch dataset {
	case "beskyttelse":
		return cols["beskyttelsestype"]
	case "familierelation":
		return cols["relationstype"] + " " + cols["relateret_cpr"]
	case "udlandsophold":
		return cols["type"]
	case "haendelse":
		return cols["haendelse_tid"] + " " + cols["haendelsestype"]
	}
	return ""
}

// only is the block with no other records of a role than those that match.
func (b *cprBlock) only(role string, match func(cprRecord) bool) *cprBlock {
	alone := *b
	alone.recs = nil
	for _, r := range b.recs {
		if r.role == role && match(r) {
			alone.recs = append(alone.recs, r)
		}
	}
	return &alone
}

// lasting is the timeline of records of which several may be current: they are read as history, so
// that each ends at the next start at the latest.
func (b *cprBlock) lasting(role string) ([]cprSpell, error) {
	copied := *b
	copied.recs = slices.Clone(b.recs)
	for i := range copied.recs {
		copied.recs[i].past = true
	}
	return copied.timeline(role)
}

// readProtection states the protections by type. Layout B has their history: there the block is the
// whole timeline.
func (b *cprBlock) readProtection() error {
	b.more.guardFrom = map[string]string{}
	for _, kind := range cprGuardTypes {
		mine := b.only("guard", func(r cprRecord) bool { return r.f["type"] == kind })
		for i, r := range mine.recs {
			if end, _, err := cprStamp(r.f["end"]); err != nil {
				return err
			} else if end == "" && r.f["slet"] != "" {
				mine.recs[i].f["end"] = r.f["slet"]
			}
		}
		said, err := mine.spells("guard")
		if err != nil {
			return err
		}
		for _, s := range said {
			day := cprDay(s.start)
			b.more.guardFrom[kind] = min(cmp.Or(b.more.guardFrom[kind], day), day)
		}
		read := mine.timeline
		if b.more.layout != "B" {
			read = mine.lasting
		}
		spells, err := read("guard")
		if err != nil {
			return err
		}
		for _, s := range spells {
			err := b.add("beskyttelse", s.cprRecord, cprDay(s.start), cprUntil(s.end), false,
				cprCols("cpr", b.pnr, "beskyttelsestype", kind))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// speaksFrom is the first day of which the block says something about a type of protection:
// START_DT, or PRODDTO where the type is missing; in layout B all days.
func (b *cprBlock) speaksFrom(kind string) string {
	if b.more.layout == "B" {
		return ""
	}
	return cmp.Or(b.more.guardFrom[kind], b.order[:len("2006-01-02")])
}

// readFamily states the relations; each is a record of its own timeline.
func (b *cprBlock) readFamily() error {
	parents := b.one("parents").f
	if b.more.layout == "B" {
		parents = b.one("person").f
	}
	said := map[string][]cprRecord{}
	say := func(kind, number, start, umrk, end, ts string) {
		if cprNumber(number) != "" {
			key := kind + " " + number
			said[key] = append(said[key], cprRecord{"relation", true, map[string]string{
				"start": start, "start_umrk": umrk, "end": end, "ts": ts}})
		}
	}
	for _, kind := range []string{"mor", "far"} {
		say(kind, parents[kind], parents[kind+"_dt"], parents[kind+"_umrk"], "",
			parents[kind+"_ts"])
	}
	for _, r := range b.recs {
		switch r.role {
		case "child":
			say("barn", r.f["number"], cprBirthInNumber(r.f["number"]), "", "", "")
		case "custody":
			number := map[string]string{"0003": parents["mor"], "0004": parents["far"],
				"0005": r.f["number"], "0006": r.f["number"]}[r.f["type"]]
			say("foraeldremyndighed", number, r.f["start"], r.f["start_umrk"], r.f["end"],
				r.f["ts"])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(said)) {
		kind, number, _ := strings.Cut(key, " ")
		alone := *b
		alone.recs = said[key]
		spells, err := alone.timeline("relation")
		if err != nil {
			return err
		}
		for _, s := range spells {
			err := b.add("familierelation", s.cprRecord, cprDay(s.start), cprUntil(s.end), false,
				cprCols("cpr", b.pnr, "relationstype", kind, "relateret_cpr", number,
					"usikker", cprBool(s.startVague || s.endVague)))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// cprBirthInNumber is the birth date that a person number tells (domain.md 3.6), yyyy-mm-dd; empty
// where it tells none.
func cprBirthInNumber(number string) string {
	if len(number) != 10 || strings.Trim(number[:7], "0123456789") != "" {
		return ""
	}
	var day, month, year int
	fmt.Sscanf(number[:6], "%2d%2d%2d", &day, &month, &year)
	if day > 60 {
		day -= 60
	}
	switch digit := number[6]; {
	case digit <= '3', (digit == '4' || digit == '9') && year > 36:
		year += 1900
	case digit >= '5' && digit <= '8' && year > 57:
		year += 1800
	default:
		year += 2000
	}
	text := fmt.Sprintf("%04d-%02d-%02d", year, month, day)
	if _, err := time.Parse("2006-01-02", text); err != nil {
		return ""
	}
	return text
}

// cprMoreRows folds the four datasets of one person, oldest unit first.
func cprMoreRows(history []*cprBlock) []readRow {
	last := history[len(history)-1]
	var rows []readRow
	kommuner := map[string]bool{}
	for _, s := range last.stays {
		kommuner[s.holder] = true
	}
	delete(kommuner, "")
	for kommune := range kommuner {
		for _, kind := range cprGuardTypes {
			rows = append(rows, cprRows(kommune, cprFoldProtection(history, kommune, kind))...)
		}
		rows = append(rows, cprFoldKeys(history, kommune, "familierelation",
			func(b *cprBlock) []cprSegment { return b.held()[kommune] })...)
		for _, dataset := range []string{"udlandsophold", "haendelse"} {
			rows = append(rows, cprFoldKeys(history, kommune, dataset,
				func(b *cprBlock) []cprSegment { return b.more.placed[kommune] })...)
		}
	}
	return rows
}

// cprFoldKeys folds a dataset key by key. A fact's day is its segment's start; its end is null.
func cprFoldKeys(
	history []*cprBlock, kommune, dataset string, of func(*cprBlock) []cprSegment,
) []readRow {
	layers := map[string][][]cprSegment{}
	for i, b := range history {
		for _, s := range of(b) {
			if s.dataset != dataset {
				continue
			}
			key := cprMoreKey(dataset, s.cols)
			if layers[key] == nil {
				layers[key] = make([][]cprSegment, len(history))
			}
			layers[key][i] = append(layers[key][i], s)
		}
	}
	var rows []readRow
	for _, key := range slices.Sorted(maps.Keys(layers)) {
		rows = append(rows, cprRows(kommune, cprFold(layers[key]))...)
	}
	return rows
}

// cprFoldProtection is one type of protection in one municipality: of each day the newest unit that
// speaks of it, cut to the residence that the newest unit of all tells. A row keeps the metadata of
// the first of the unbroken run of units that told this municipality the same.
func cprFoldProtection(history []*cprBlock, kommune, kind string) []cprSegment {
	mine := func(segs []cprSegment) []cprSegment {
		return slices.DeleteFunc(slices.Clone(segs), func(s cprSegment) bool {
			return s.dataset != "beskyttelse" || s.cols["beskyttelsestype"] != kind
		})
	}
	covers := func(segs []cprSegment, piece cprSegment) int {
		return slices.IndexFunc(segs, func(s cprSegment) bool {
			return s.from <= piece.from && piece.to <= s.to
		})
	}
	var whole, bounds []cprSegment
	for _, b := range history {
		since := b.speaksFrom(kind)
		var kept []cprSegment
		for _, s := range whole {
			if s.to = min(s.to, since); s.from < s.to {
				kept = append(kept, s)
			}
		}
		whole = append(kept, mine(b.segs)...)
		bounds = slices.Concat(bounds, mine(b.segs), mine(b.held()[kommune]),
			[]cprSegment{{from: since, to: since}})
	}
	newest := *history[len(history)-1]
	newest.segs = cprJoin(whole)
	var folded []cprSegment
	for _, held := range newest.held()[kommune] {
		for _, piece := range cprSplit(held, bounds) {
			told := whole[covers(whole, piece)]
			piece.known, piece.order = told.known, told.order
			for i := len(history) - 1; i >= 0; i-- {
				if history[i].speaksFrom(kind) > piece.from {
					continue
				}
				here := mine(history[i].held()[kommune])
				at := covers(here, piece)
				if at < 0 {
					break
				}
				piece.known, piece.order = here[at].known, here[at].order
			}
			folded = append(folded, piece)
		}
	}
	return folded
}

// cprJoin joins segments of one key and equal content that adjoin.
func cprJoin(segs []cprSegment) []cprSegment {
	sorted := slices.Clone(segs)
	slices.SortFunc(sorted, func(a, b cprSegment) int { return strings.Compare(a.from, b.from) })
	var joined []cprSegment
	for _, s := range sorted {
		if n := len(joined); n > 0 && joined[n-1].to >= s.from {
			joined[n-1].to = max(joined[n-1].to, s.to)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}
