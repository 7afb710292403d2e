package main_test

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// cprHappening is an arrival or a departure at a stamp; at is the index of the address it belongs
// to, -1 where none; lands tells that an arrival is the beginning of that address.
type cprHappening struct {
	kind, stamp, land string
	rec               cprRecord
	arrival, lands    bool
	at                int
}

// cprJourney is a person's addresses and absences after rows without length fell away; entries are
// the days of entries without a departure before them.
type cprJourney struct {
	b          *cprBlock
	stays      []cprStay
	addresses  []cprSpell
	away       []cprStay
	entries    []string
	happenings []cprHappening
}

// readEvents places the stays abroad and the events that follow from addresses and absences.
func (b *cprBlock) readEvents(addresses []cprSpell) error {
	b.more.placed = map[string][]cprSegment{}
	j := &cprJourney{b: b, stays: b.stays, addresses: addresses}
	if err := cmp.Or(j.readAway("abroad", "udrejst", "udvandring", "indvandring"),
		j.readAway("lost", "forsvundet", "forsvundet", "genfundet"), j.readDeath()); err != nil {
		return err
	}
	j.locate()
	for _, h := range j.happenings {
		from, to := "", ""
		switch {
		case !h.arrival:
			from = j.code(h.at)
		case h.lands:
			to = j.code(h.at)
		}
		if err := j.event(h.at, h.kind, h.stamp, h.rec, from, to, h.land); err != nil {
			return err
		}
	}
	for i := range j.stays {
		if err := j.begin(i); err != nil {
			return err
		}
	}
	return nil
}

// readAway states the absences of one type, each to the holders before and after it, and notes
// their two happenings. A record without a start is an entry only.
func (j *cprJourney) readAway(role, kind, leaving, coming string) error {
	begun := func(want bool) *cprBlock {
		return j.b.only(role, func(r cprRecord) bool {
			start, _, err := cprStamp(r.f["start"])
			return (start != "" || err != nil) == want
		})
	}
	spells, err := begun(true).timeline(role)
	if err != nil {
		return err
	}
	for _, s := range spells {
		if err := j.placeAway(s, kind); err != nil {
			return err
		}
		until := cprUntil(s.end)
		for _, stay := range j.stays {
			if until == cprOpen && stay.from > cprDay(s.start) {
				until = stay.from
			}
		}
		j.away = append(j.away, cprStay{"", cprDay(s.start), until})
		j.happenings = append(j.happenings, cprHappening{kind: leaving, stamp: s.start,
			land: cprNumber(s.f["land"]), rec: s.cprRecord})
		if own, _, _ := cprStamp(s.f["end"]); s.end != "" && own == s.end {
			j.arrive(coming, s.cprRecord, s.end)
		}
	}
	return j.readEntries(begun(false).recs, coming)
}

// readEntries notes the arrivals of records without a departure: of several on one day the last,
// and none on a day that ends an absence.
func (j *cprJourney) readEntries(recs []cprRecord, coming string) error {
	last := map[string]string{}
	ended := map[string]bool{}
	for _, h := range j.happenings {
		ended[cprDay(h.stamp)] = ended[cprDay(h.stamp)] || h.kind == coming && h.arrival
	}
	for _, want := range []bool{false, true} {
		for _, r := range recs {
			end, _, err := cprStamp(r.f["end"])
			if r.f["annkor"] != "" || end == "" && err == nil || ended[cprDay(end)] {
				continue
			}
			if err != nil {
				return err
			}
			day := cprDay(end)
			if want && last[day] == end {
				last[day] = ""
				j.entries = append(j.entries, day)
				j.arrive(coming, r, end)
			} else if !want {
				last[day] = max(last[day], end)
			}
		}
	}
	return nil
}

// arrive notes an arrival; its own time stamp is that of the return.
func (j *cprJourney) arrive(kind string, rec cprRecord, stamp string) {
	rec.f = map[string]string{"ts": rec.f["ts_end"], "inland": rec.f["inland"]}
	j.happenings = append(j.happenings, cprHappening{kind: kind, stamp: stamp, arrival: true,
		land: cprNumber(rec.f["inland"]), rec: rec})
}

func (j *cprJourney) placeAway(s cprSpell, kind string) error {
	cols := cprCols("cpr", j.b.pnr, "type", kind, "udrejse_land", cprNumber(s.f["land"]),
		"indrejse_land", cprNumber(s.f["inland"]), "usikker", cprBool(s.startVague || s.endVague))
	holders := map[string]bool{}
	for _, i := range []int{j.before(s.start), j.after(cprUntil(s.end))} {
		if i >= 0 {
			holders[j.stays[i].holder] = true
		}
	}
	for kommune := range holders {
		if err := j.place(kommune, "udlandsophold", s.cprRecord, cprDay(s.start),
			cprUntil(s.end), cols); err != nil {
			return err
		}
	}
	return nil
}

// place states a row that a municipality holds whole.
func (j *cprJourney) place(
	kommune, dataset string, rec cprRecord, from, to string, cols map[string]string,
) error {
	scratch := *j.b
	scratch.segs = nil
	if err := scratch.add(dataset, rec, from, to, false, cols); err != nil {
		return err
	}
	if placed := j.b.more.placed; kommune != "" {
		placed[kommune] = append(placed[kommune], scratch.segs...)
	}
	return nil
}

// readDeath notes the death: at STATUSHAENSTART, else at the end of the last residence.
func (j *cprJourney) readDeath() error {
	person := j.b.one("person")
	stamp, _, err := cprStamp(person.f["statusstart"])
	if n := len(j.addresses); stamp == "" && n > 0 {
		stamp = j.addresses[n-1].end
	}
	if err == nil && person.f["status"] == "90" && stamp != "" {
		j.happenings = append(j.happenings,
			cprHappening{kind: "doed", stamp: stamp, rec: person})
	}
	return err
}

// before is the last address begun before a stamp's day, after the first that ends after a day.
func (j *cprJourney) before(stamp string) int {
	found := -1
	for i, s := range j.stays {
		if s.from < cprDay(stamp) {
			found = i
		}
	}
	return found
}

func (j *cprJourney) after(day string) int {
	return slices.IndexFunc(j.stays, func(s cprStay) bool { return s.to > day })
}

// locate gives each happening its address. An arrival that another departure follows before any
// address begins, one during another absence and one that no address follows belong to the last
// address before them.
func (j *cprJourney) locate() {
	for i := range j.happenings {
		h := &j.happenings[i]
		h.at = j.before(h.stamp)
		if h.kind == "doed" {
			h.at = len(j.stays) - 1
		}
		next := j.after(cprDay(h.stamp))
		if !h.arrival || next < 0 {
			continue
		}
		h.lands = !slices.ContainsFunc(j.happenings, func(d cprHappening) bool {
			return !d.arrival && h.stamp <= d.stamp && cprDay(d.stamp) <= j.stays[next].from
		}) && !slices.ContainsFunc(j.away, func(s cprStay) bool {
			return s.from <= cprDay(h.stamp) && cprDay(h.stamp) < s.to
		})
		if h.lands {
			h.at = next
		}
	}
}

func (j *cprJourney) code(i int) string {
	if i < 0 {
		return ""
	}
	return j.addresses[i].f["komkod"]
}

// crossed tells whether an absence lies between address i and the next.
func (j *cprJourney) crossed(i int) bool {
	left, came := j.stays[i].to, j.stays[i+1].from
	return slices.ContainsFunc(j.away, func(s cprStay) bool {
		return s.from <= came && s.to >= left
	}) || slices.ContainsFunc(j.entries, func(day string) bool {
		return left <= day && day <= came
	})
}

// landed tells whether an arrival is the origin of address i: before it began, or in it with no
// departure from it earlier.
func (j *cprJourney) landed(i int) bool {
	return slices.ContainsFunc(j.happenings, func(h cprHappening) bool {
		return h.lands && h.at == i && !slices.ContainsFunc(j.happenings,
			func(d cprHappening) bool {
				return !d.arrival && d.at == i && d.stamp < h.stamp
			})
	})
}

// begin states how address i began, and how the one before it ended if that was a move.
func (j *cprJourney) begin(i int) error {
	now, to := j.addresses[i], j.code(i)
	if i == 0 || j.crossed(i-1) {
		return j.beginAnew(i)
	}
	old, from := j.addresses[i-1], j.code(i-1)
	was, is := cmp.Or(j.stays[i-1].holder, from), cmp.Or(j.stays[i].holder, to)
	switch {
	case was != is:
		return cmp.Or(
			j.event(i-1, "fraflytning", cmp.Or(old.end, now.start), old.cprRecord, from, to, ""),
			j.event(i, "tilflytning", now.start, now.cprRecord, from, to, ""))
	case from != to && is == to:
		return nil
	default:
		return j.event(i, "intern_flytning", now.start, now.cprRecord, from, to, "")
	}
}

// beginAnew is the beginning of an address that no move led to.
func (j *cprJourney) beginAnew(i int) error {
	switch now := j.addresses[i]; {
	case j.landed(i):
		return nil
	case i == 0 && j.b.foed != "" && j.stays[i].from <= cprDaysAfter(j.b.foed, cprBirthDays):
		return j.event(i, "foedt", j.b.foed, j.b.one("person"), "", j.code(i), "")
	default:
		return j.event(i, "foerste_bopael", now.start, now.cprRecord, "", j.code(i), "")
	}
}

// cprDaysAfter is the day some days after a stamp, yyyy-mm-dd.
func cprDaysAfter(stamp string, days int) string {
	t, _ := time.Parse("2006-01-02", cprDay(stamp))
	return t.AddDate(0, 0, days).Format("2006-01-02")
}

// event places a fact with the holder of address i; none where nobody holds it.
func (j *cprJourney) event(i int, kind, stamp string, rec cprRecord, from, to, land string) error {
	if i < 0 {
		return nil
	}
	day := cprDay(stamp)
	return j.place(j.stays[i].holder, "haendelse", rec, day, cprOpen, cprCols(
		"cpr", j.b.pnr, "haendelsestype", kind, "haendelse_tid", cprInstant(stamp),
		"fra_kommune", from, "til_kommune", to, "land", land,
		"alder_aar", cprAge(cprDay(j.b.foed), day)))
}

// cprAge is the whole years between two days, yyyy-mm-dd; empty where there is no birth or it comes
// after the day.
func cprAge(born, day string) string {
	if born == "" || day < born {
		return ""
	}
	birth, _ := time.Parse("2006-01-02", born)
	at, _ := time.Parse("2006-01-02", day)
	years := at.Year() - birth.Year()
	if day[len("2006"):] < born[len("2006"):] {
		years--
	}
	return strconv.Itoa(years)
}
