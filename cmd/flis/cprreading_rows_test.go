package main_test

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
)

// cprOpen is the end of what has no end; it sorts after every day.
const cprOpen = "~"

// cprUntil is the day at which something that ends at stamp has ended.
func cprUntil(stamp string) string { return cmp.Or(cprDay(stamp), cprOpen) }

// cprCols makes columns of names and values; an empty value is null.
func cprCols(namesAndValues ...string) map[string]string {
	cols := map[string]string{}
	for i := 0; i < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] != "" {
			cols[namesAndValues[i]] = namesAndValues[i+1]
		}
	}
	return cols
}

func cprBool(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// cprNumber is a person number, empty for the dummy 0000000000.
func cprNumber(raw string) string {
	if strings.Trim(raw, "0") == "" {
		return ""
	}
	return raw
}

// one is the block's last record of a role; its fields are empty where there is none.
func (b *cprBlock) one(role string) cprRecord {
	var found cprRecord
	for _, r := range b.recs {
		if r.role == role {
			found = r
		}
	}
	return found
}

// read derives the block's stays and statements. An error parks the unit.
func (b *cprBlock) read(holder map[string]string) error {
	person := b.one("person")
	if person.f == nil {
		return errors.New("no record 001")
	}
	born, vague, err := cprStamp(person.f["foed"])
	if err != nil {
		return err
	}
	b.foed = born
	addresses, err := b.timeline("address")
	if err != nil {
		return err
	}
	for _, s := range addresses {
		b.stays = append(b.stays,
			cprStay{holder[s.f["komkod"]], cprDay(s.start), cprUntil(s.end)})
	}
	status := person.f["status"]
	readers := []func() error{
		func() error { return b.readPerson(person, vague || person.f["foed_umrk"] == "*") },
		func() error { return b.readNumbers(person) },
	}
	if status != "50" && status != "60" {
		readers = append(readers,
			func() error { return b.readAddresses(addresses) }, b.readCivil, b.readNations,
			b.readProtection, b.readFamily, func() error { return b.readEvents(addresses) })
	}
	for _, reader := range readers {
		if err := reader(); err != nil {
			return err
		}
	}
	return nil
}

// add states cols in [from, to), known since rec's own time stamp, else since the file.
func (b *cprBlock) add(
	dataset string, rec cprRecord, from, to string, background bool, cols map[string]string,
) error {
	stamp, _, err := cprStamp(rec.f["ts"])
	if err != nil {
		return err
	}
	known := b.midnight
	if stamp != "" {
		known = cprInstant(stamp)
	}
	if from != "" && from < to {
		b.segs = append(b.segs, cprSegment{dataset, from, to, known, b.order, cols, background})
	}
	return nil
}

func (b *cprBlock) readPerson(rec cprRecord, bornVague bool) error {
	since, _, err := cprStamp(rec.f["statusstart"])
	if err != nil {
		return err
	}
	status, from := rec.f["status"], cprDay(since)
	gone := status == "70" || status == "80" || status == "90"
	if n := len(b.stays); from == "" && gone && n > 0 && b.stays[n-1].to != cprOpen {
		from = b.stays[n-1].to
	}
	born := cprDay(b.foed)
	from = cmp.Or(from, born)
	cols := func(status string, derived bool) map[string]string {
		return cprCols("cpr", b.pnr, "status", status, "status_udledt", cprBool(derived),
			"koen", rec.f["koen"], "foedselsdato", born, "foedselsdato_usikker", cprBool(bornVague),
			"foedested_kode", b.one("birth").f["kode"])
	}
	if status != "30" && status != "50" && status != "60" {
		if err := b.add("person", rec, born, from, false, cols("01", true)); err != nil {
			return err
		}
	}
	return b.add("person", rec, from, cprOpen, false, cols(status, false))
}

func (b *cprBlock) readNumbers(person cprRecord) error {
	row := func(rec cprRecord, old, now, why, since string, background bool) error {
		stamp, _, err := cprStamp(since)
		if err != nil || cprNumber(old) == "" || cprNumber(now) == "" {
			return err
		}
		return b.add("personnummer", rec, cprDay(cmp.Or(stamp, b.foed)), cprOpen, background,
			cprCols("cpr", old, "aktuelt_cpr", now, "aarsag", why))
	}
	why := map[string]string{"50": "dublet", "60": "skiftet"}[person.f["status"]]
	if why != "" {
		now, since := person.f["pnrgaeld"], person.f["statusstart"]
		if err := row(person, b.pnr, now, why, since, false); err != nil {
			return err
		}
	}
	for _, r := range b.recs {
		if r.role == "number" {
			if err := row(r, r.f["old"], b.pnr, "skiftet", r.f["slut"], true); err != nil {
				return err
			}
		}
	}
	return nil
}

// readAddresses states the addresses, each with the unbroken stay in its KOMKOD that it is part of.
func (b *cprBlock) readAddresses(spells []cprSpell) error {
	clear := b.one("clear").f
	for i, s := range spells {
		first := i
		for first > 0 && spells[first-1].f["komkod"] == s.f["komkod"] &&
			cprDay(spells[first-1].end) == cprDay(spells[first].start) {
			first--
		}
		before := ""
		for _, earlier := range spells[:first] {
			if earlier.f["komkod"] != s.f["komkod"] {
				before = earlier.f["komkod"]
			}
		}
		since := cprDay(spells[first].start)
		komdto, _, err := cprStamp(s.f["komdto"])
		if err != nil {
			return err
		}
		if i == 0 && !s.past {
			since = ""
			if komdto != "" && cprDay(komdto) <= cprDay(s.start) {
				since, before = cprDay(komdto), cprNumber(s.f["frakom"])
			}
		}
		postnr := ""
		if !s.past && clear["komkod"] == s.f["komkod"] && clear["vejkod"] == s.f["vejkod"] &&
			clear["husnr"] == s.f["husnr"] && clear["postnr"] != "0000" {
			postnr = clear["postnr"]
		}
		err = b.add("adresse", s.cprRecord, cprDay(s.start), cprUntil(s.end), false, cprCols(
			"cpr", b.pnr, "bopaelskommune", s.f["komkod"], "vejkode", s.f["vejkod"],
			"husnr", s.f["husnr"], "etage", s.f["etage"], "sidedoer", s.f["sidedoer"],
			"adresse_uuid", s.f["uuid"], "postnr", postnr,
			"uden_fast_bopael", cprBool(s.f["vejkod"] >= "9900"),
			"tilflytning_dato", cprDay(s.start), "tilflytning_kommune_dato", since,
			"fraflytningskommune", before, "usikker", cprBool(s.startVague || s.endVague)))
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *cprBlock) readCivil() error {
	parted := map[string]string{}
	for _, past := range []bool{true, false} {
		for _, r := range b.recs {
			if r.role != "parted" || r.past != past || r.f["annkor"] != "" {
				continue
			}
			day, _, err := cprStamp(r.f["date"])
			if err != nil {
				return err
			}
			parted[r.f["sep"]] = cprDay(day)
		}
	}
	spells, err := b.timeline("civil")
	if err != nil {
		return err
	}
	for _, s := range spells {
		vague := s.startVague && !(s.f["civst"] == "U" && s.fromBirth) || s.endVague
		date := ""
		if cprNumber(s.f["sep"]) != "" {
			date = parted[s.f["sep"]]
		}
		err := b.add("civilstand", s.cprRecord, cprDay(s.start), cprUntil(s.end), false, cprCols(
			"cpr", b.pnr, "civilstand", s.f["civst"], "aegtefaelle_cpr", cprNumber(s.f["spouse"]),
			"separation_dato", date, "usikker", cprBool(vague)))
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *cprBlock) readNations() error {
	spells, err := b.timeline("nation")
	for _, s := range spells {
		cols := cprCols("cpr", b.pnr, "landekode", s.f["land"],
			"usikker", cprBool(s.startVague || s.endVague))
		err = cmp.Or(err, b.add("statsborgerskab", s.cprRecord,
			cprDay(s.start), cprUntil(s.end), false, cols))
	}
	return err
}

// timeline is a role's records in valid time: annulled history left out, unknown starts filled in,
// history ended where the current record begins, ends cut to the next start, and rows without
// length gone.
func (b *cprBlock) timeline(role string) ([]cprSpell, error) {
	all, err := b.spells(role)
	if err != nil {
		return nil, err
	}
	var current *cprSpell
	var kept []cprSpell
	for _, s := range all {
		if !s.past {
			current = &s
		}
	}
	for _, s := range all {
		if s.past && (current == nil || cprDay(s.start) < cprDay(current.start)) {
			kept = append(kept, s)
		}
	}
	slices.SortStableFunc(kept, func(a, b cprSpell) int {
		return cmp.Or(strings.Compare(a.start, b.start),
			strings.Compare(cmp.Or(a.end, cprOpen), cmp.Or(b.end, cprOpen)))
	})
	if current != nil {
		kept = append(kept, *current)
	}
	var spells []cprSpell
	for i, s := range kept {
		if i+1 < len(kept) && cprUntil(s.end) > cprDay(kept[i+1].start) {
			s.end, s.endVague = kept[i+1].start, kept[i+1].startVague
		}
		if cprDay(s.start) < cprUntil(s.end) {
			spells = append(spells, s)
		}
	}
	return spells, nil
}

// spells reads a role's valid records; those whose start cannot be known are left out.
func (b *cprBlock) spells(role string) ([]cprSpell, error) {
	var all []cprSpell
	for _, r := range b.recs {
		if r.role != role || r.f["annkor"] != "" {
			continue
		}
		s := cprSpell{cprRecord: r}
		var errStart, errEnd error
		s.start, s.startVague, errStart = cprStamp(r.f["start"])
		s.end, s.endVague, errEnd = cprStamp(r.f["end"])
		if err := cmp.Or(errStart, errEnd); err != nil {
			return nil, err
		}
		s.startVague = s.startVague || r.f["start_umrk"] == "*"
		s.endVague = s.endVague || r.f["end_umrk"] == "*"
		all = append(all, s)
	}
	for i := range all {
		if all[i].start != "" {
			continue
		}
		all[i].startVague = true
		for _, other := range all {
			if other.end != "" && (all[i].end == "" || other.end < all[i].end) {
				all[i].start = max(all[i].start, other.end)
			}
		}
		if all[i].start == "" {
			all[i].start, all[i].fromBirth = b.foed, true
		}
	}
	return slices.DeleteFunc(all, func(s cprSpell) bool { return s.start == "" }), nil
}

// periods are the joined times of residence, in order; a time without holder is one too.
func (b *cprBlock) periods() []cprStay {
	var joined []cprStay
	for _, s := range b.stays {
		if n := len(joined); n > 0 && joined[n-1].holder == s.holder && joined[n-1].to == s.from {
			joined[n-1].to = s.to
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// held is what each municipality holds of the block, but for personnummer.
func (b *cprBlock) held() map[string][]cprSegment {
	held := map[string][]cprSegment{}
	periods := b.periods()
	for _, seg := range b.segs {
		if seg.dataset == "personnummer" {
			continue
		}
		for _, p := range periods {
			piece := seg
			piece.from, piece.to = max(seg.from, p.from), min(seg.to, p.to)
			if piece.from < piece.to {
				held[p.holder] = append(held[p.holder], piece)
			}
		}
		if n := len(periods); n > 0 && seg.from >= periods[n-1].to {
			last := periods[n-1].holder
			held[last] = append(held[last], seg)
		}
	}
	delete(held, "")
	return held
}

// reason says why a block gives no row of its own number; what it says is moot where rows exist.
func (b *cprBlock) reason() string {
	switch {
	case b.parked != "":
		return "parked: " + b.parked
	case len(b.stays) == 0:
		return "no residence known"
	default:
		return "no municipality holds any residence"
	}
}

// cprOwnRows folds one person's units, oldest first, into the rows of every municipality. A unit
// that no longer names a municipality says there that nothing is.
func cprOwnRows(history []*cprBlock) []readRow {
	var rows []readRow
	for kommune := range history[len(history)-1].held() {
		for _, dataset := range []string{"person", "adresse", "civilstand", "statsborgerskab"} {
			var layers [][]cprSegment
			for _, b := range history {
				layers = append(layers, slices.DeleteFunc(b.held()[kommune],
					func(s cprSegment) bool { return s.dataset != dataset }))
			}
			rows = append(rows, cprRows(kommune, cprFold(layers))...)
		}
	}
	return append(rows, cprMoreRows(history)...)
}

// cprFold is the last layer; each instant of it keeps the metadata of the first of the unbroken
// run of layers that say the same there.
func cprFold(layers [][]cprSegment) []cprSegment {
	var folded []cprSegment
	last := len(layers) - 1
	for _, seg := range layers[last] {
		for _, piece := range cprSplit(seg, slices.Concat(layers...)) {
			for i := last - 1; i >= 0; i-- {
				at := slices.IndexFunc(layers[i], func(s cprSegment) bool {
					return s.from <= piece.from && piece.to <= s.to &&
						maps.Equal(s.cols, piece.cols)
				})
				if at < 0 {
					break
				}
				piece.known, piece.order = layers[i][at].known, layers[i][at].order
			}
			folded = append(folded, piece)
		}
	}
	return folded
}

// cprSplit cuts a segment at every bound of the others.
func cprSplit(seg cprSegment, others []cprSegment) []cprSegment {
	bounds := []string{seg.from, seg.to}
	for _, o := range others {
		for _, day := range []string{o.from, o.to} {
			if seg.from < day && day < seg.to {
				bounds = append(bounds, day)
			}
		}
	}
	slices.Sort(bounds)
	var pieces []cprSegment
	bounds = slices.Compact(bounds)
	for i := range bounds[1:] {
		piece := seg
		piece.from, piece.to = bounds[i], bounds[i+1]
		pieces = append(pieces, piece)
	}
	return pieces
}

// cprNumberRows gives personnummer: each old number's statements from all persons' newest units, to
// every municipality that has held the old or the new number.
func cprNumberRows(layers map[string][]*cprBlock) []readRow {
	said := map[string][]cprSegment{}
	for _, history := range layers {
		byOld := make([]map[string][]cprSegment, len(history))
		for i, b := range history {
			byOld[i] = map[string][]cprSegment{}
			for _, s := range b.segs {
				if s.dataset == "personnummer" {
					byOld[i][s.cols["cpr"]] = append(byOld[i][s.cols["cpr"]], s)
				}
			}
		}
		for old := range byOld[len(history)-1] {
			var told [][]cprSegment
			for i := range byOld {
				told = append(told, byOld[i][old])
			}
			said[old] = append(said[old], cprFold(told)...)
		}
	}
	var rows []readRow
	for _, segs := range said {
		byHolder := map[string][]cprSegment{}
		for _, s := range cprCombine(segs) {
			holders := map[string]bool{}
			for _, number := range []string{s.cols["cpr"], s.cols["aktuelt_cpr"]} {
				if history := layers[number]; len(history) > 0 {
					for _, stay := range history[len(history)-1].stays {
						holders[stay.holder] = true
					}
				}
			}
			delete(holders, "")
			for kommune := range holders {
				byHolder[kommune] = append(byHolder[kommune], s)
			}
		}
		for kommune, segs := range byHolder {
			rows = append(rows, cprRows(kommune, segs)...)
		}
	}
	return rows
}

// cprCombine takes at each instant the newest statement, and a background one only where there is
// no other, of several the first. The row keeps the metadata of the run of equals before it.
func cprCombine(segs []cprSegment) []cprSegment {
	at := map[string][]cprSegment{}
	for _, s := range segs {
		for _, piece := range cprSplit(s, segs) {
			at[piece.from] = append(at[piece.from], piece)
		}
	}
	var combined []cprSegment
	for _, here := range at {
		slices.SortStableFunc(here, func(a, b cprSegment) int {
			return strings.Compare(a.order, b.order)
		})
		win := 0
		for i, s := range here {
			if !s.background {
				win = i
			}
		}
		for win > 0 && maps.Equal(here[win-1].cols, here[win].cols) {
			win--
		}
		combined = append(combined, here[win])
	}
	return combined
}

// cprRows orders segments of one key and joins those that adjoin and say the same.
func cprRows(kommune string, segs []cprSegment) []readRow {
	slices.SortFunc(segs, func(a, b cprSegment) int { return strings.Compare(a.from, b.from) })
	var rows []readRow
	for _, s := range segs {
		to := strings.TrimSuffix(s.to, cprOpen)
		if n := len(rows); n > 0 && rows[n-1].gyldigTil == s.from &&
			maps.Equal(rows[n-1].cols, s.cols) {
			rows[n-1].gyldigTil = to
			continue
		}
		rows = append(rows, readRow{kommune, s.dataset, s.cols, s.from, to, s.known})
	}
	return rows
}
