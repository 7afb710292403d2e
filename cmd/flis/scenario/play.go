package scenario

import (
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms/cpr"
)

// File is one delivery in its native form.
type File struct {
	System  schemas.System
	Name    string
	Content []byte
	Layout  string // CPR only
}

// Day is one day's deliveries, in the order in which they come.
type Day struct {
	Day   schemas.Day
	Files []File
}

// Vendors says who keeps the elder care of the municipality that changes vendor in the story.
type Vendors string

// The three runs of a vendor-change test: the same facts, told by either or by one after the other.
const (
	Switch   Vendors = "switch"
	OnlyOld  Vendors = "old"
	OnlyNew  Vendors = "new"
	Changing         = schemas.Kommunekode(
		"0751",
	) // the municipality that changes vendor on the second day
)

// Days is how many days the story has.
const Days = 3

// Story is the deliveries and the agreements under which they come.
type Story struct {
	Days       [Days]Day
	Agreements string   // the agreements file
	Told       []string // what happens, a line each
}

// nexusHomes and curaHomes are who uses which vendor, the changing one aside.
var (
	nexusHomes = []schemas.Kommunekode{"0101", "0183"}
	curaHomes  = []schemas.Kommunekode{"0461", "0825"}
)

// Play tells the story with its first day given.
func Play(first schemas.Day, v Vendors) *Story {
	people := population(first)
	c := decide(people, first, Days)
	s := &Story{Agreements: agreements(first+1, v)}
	for d := range Days {
		s.Days[d].Day = first + schemas.Day(d)
	}
	s.cprDays(people, first)
	for d := range Days {
		s.careDay(c, first, d, v)
	}
	s.Told = append(
		s.Told,
		"0751 changes its elder-care vendor from kmd-nexus to cura on day 2: two lines in the agreements;",
		"       a third folds what cura says of the time before beside, for flis diff",
		"day 3: a grant in 0101 is corrected back to the day it began",
		"day 3: visits of day 2 arrive late (0101 was waiting for them, 0183 is revised), one event comes twice,",
		"       and one grant names a paragraph that no law has: it is parked",
	)
	return s
}

// cprDays writes the extract of the first day and the changes of the others.
func (s *Story) cprDays(people []*person, first schemas.Day) {
	var blocks [][]cpr.Record
	wrong := people[1] // 0101: on the first day CPR has a stay in Ishoej that never was
	truth := wrong.clone()
	start := wrong.stays[0].from
	wrong.stays = append(
		[]stay{{kommune: "0183", vej: "0222", husnr: "009", from: start, until: start + 200}},
		wrong.stays...)
	wrong.stays[1].from = start + 200
	for _, p := range people {
		blocks = append(blocks, p.block())
	}
	s.addCPR(0, first, schemas.Always, blocks)

	mover, dead, gone := people[4], people[7], people[130]
	mover.move("0751", first)
	dead.die(first)
	gone.emigrate("5180", first)
	s.addCPR(1, first+1, first, [][]cpr.Record{
		append(mover.block(), mover.event("A01", first)),
		append(dead.block(), dead.event("A21", first)),
		append(gone.block(), gone.event("A06", first))})

	renumbered := people[60]
	f := former{pnr: renumbered.pnr, from: renumbered.born, until: first + 1}
	renumbered.pnr = number(renumbered.born, 3900)
	renumbered.former = append(renumbered.former, f)
	s.addCPR(2, first+2, first+1, [][]cpr.Record{
		append(renumbered.block(), renumbered.event("P03", first+1)), renumbered.oldBlock(f),
		append(truth.block(), truth.event("A09", first+1))})
	s.Told = append(s.Told, "day 1: CPR's first extract, 278 people in five municipalities",
		"day 2: one moves from 0101 to 0751, one dies, one emigrates",
		"day 3: one gets a new personal number; a stay in 0183 that never was is taken away")
}

func (s *Story) addCPR(day int, produced, previous schemas.Day, blocks [][]cpr.Record) {
	s.Days[day].Files = append(s.Days[day].Files, File{System: "cpr", Layout: string(cpr.A),
		Name: "D" + produced.Civil().
			Format("060102") +
			".L" + opgavenr, Content: cprFile(produced, previous, blocks)})
}

// careDay writes what each municipality's vendor sends on a day.
func (s *Story) careDay(c *care, first schemas.Day, d int, v Vendors) {
	nexus, cura := slices.Clone(nexusHomes), slices.Clone(curaHomes)
	if v != OnlyNew {
		nexus = append(nexus, Changing)
	}
	if v == OnlyNew || v == Switch && d > 0 {
		cura = append(cura, Changing)
	}
	day := first + schemas.Day(d)
	for _, k := range nexus {
		if v == Switch && k == Changing && d > 0 {
			continue
		}
		s.Days[d].Files = append(s.Days[d].Files, nexusDay(c, first, day, k)...)
	}
	for _, k := range cura {
		s.Days[d].Files = append(s.Days[d].Files, curaDay(c, first, day, k))
	}
}

// nexusDay: everything on the first day, then the day's visits; on the third, what the story tells
// of 0101.
func nexusDay(c *care, first, day schemas.Day, k schemas.Kommunekode) []File {
	l := newLines("kmd-nexus", sor[k], day)
	for i := range c.grants {
		if g := &c.grants[i]; g.kommune == k && day == first {
			l.event("grant", fmt.Sprintf("grant-%d-1", g.id), nexusGrant(g, "ACTIVE"))
		}
	}
	for i := range c.homes {
		if h := &c.homes[i]; h.kommune == k && day == first {
			l.event("housing", h.id+"-1", nexusHousing(h))
		}
	}
	held := 0
	for i := range c.visits {
		x := &c.visits[i]
		if x.kommune != k || x.day != day {
			continue
		}
		// A few visits of the second day are sent on the third: in 0101 the seal counts them, in
		// 0183 nobody knew of them.
		if held < lateVisits && day == first+1 && (k == "0101" || k == "0183") {
			held++
			if k == "0101" {
				l.count++
			}
			continue
		}
		l.event("visit", fmt.Sprintf("visit-%d", x.id), nexusVisit(x, k))
	}
	name := fmt.Sprintf("nexus-%s-%s.jsonl", k, day)
	if day != first+2 || k != "0101" && k != "0183" {
		l.seal()
		return []File{l.file(name)}
	}
	late := newLines("kmd-nexus", sor[k], day-1)
	lateDay(c, late, day-1, k)
	if k == "0101" {
		corrections(c, l)
	}
	l.seal()
	return []File{l.file(name), late.file(fmt.Sprintf("nexus-%s-%s-late.jsonl", k, day-1))}
}

// lateVisits is how many visits of a municipality's second day arrive on the third.
const lateVisits = 3

func lateDay(c *care, late *jsonLines, day schemas.Day, k schemas.Kommunekode) {
	n := 0
	for i := range c.visits {
		if x := &c.visits[i]; x.kommune == k && x.day == day && n < lateVisits {
			n++
			late.event("visit", fmt.Sprintf("visit-%d", x.id), nexusVisit(x, k))
		}
	}
}

// corrections: a grant of 0101 has an hour more from its very beginning, told twice; another names
// no known paragraph.
func corrections(c *care, l *jsonLines) {
	i := slices.IndexFunc(c.grants, func(g grant) bool { return g.kommune == "0101" })
	g := c.grants[i]
	g.minutes += 60
	l.event("grant", fmt.Sprintf("grant-%d-2", g.id), nexusGrant(&g, "ACTIVE"))
	l.again()
	bad := c.grants[i]
	bad.id, bad.group.section = 999, "999"
	l.event("grant", "grant-999-1", nexusGrant(&bad, "ACTIVE"))
}

// curaDay is a document for each citizen: all of it every day, since what a document lacks is gone.
func curaDay(c *care, first, day schemas.Day, k schemas.Kommunekode) File {
	l := newLines("cura", gln[k], day)
	version := int64(day-first) + 1
	var done []string
	for _, g := range c.grants {
		if g.kommune != k || slices.Contains(done, g.pnr) {
			continue
		}
		done = append(done, g.pnr)
		l.event(
			"borgerdokument",
			fmt.Sprintf("dok-%d-%d", g.id, version),
			curaDocument(c, g.pnr, k, version, day),
		)
	}
	l.seal()
	return l.file(fmt.Sprintf("cura-%s-%s.jsonl", k, day))
}

// agreements is the agreements file of the story; the vendor change is two of its lines.
func agreements(change schemas.Day, v Vendors) string {
	text := "# Who speaks for whom in the demo's Denmark.\nformat: 1\naftaler:\n" +
		"  - {kommune: alle, omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n"
	line := func(k schemas.Kommunekode, system, when string) {
		text += fmt.Sprintf(
			"  - {kommune: %q, omraade: aeldre, system: %s, bevis: kontroltal, leverer: dagligt%s}\n",
			string(k),
			system,
			when,
		)
	}
	for _, k := range nexusHomes {
		line(k, "kmd-nexus", "")
	}
	for _, k := range curaHomes {
		line(k, "cura", "")
	}
	switch v {
	case OnlyOld:
		line(Changing, "kmd-nexus", "")
	case OnlyNew:
		line(Changing, "cura", "")
	case Switch:
		line(Changing, "kmd-nexus", fmt.Sprintf(", til: %q", change.String()))
		line(Changing, "cura", fmt.Sprintf(", fra: %q", change.String()))
		line(Changing, "cura", fmt.Sprintf(", til: %q, skygge: true", change.String()))
	}
	return text
}
