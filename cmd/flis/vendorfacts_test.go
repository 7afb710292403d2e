package main_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flis-dk/flis/schemas"
)

// What the municipality 0751 decides of eight citizens around a switch of vendor: facts that each
// vendor's shape can say, known from one of five deliveries on. The third, switchAt, is the first
// of the new vendor.
const (
	changing   = "0751"
	deliveries = 5
	switchAt   = 2
)

type grantFact struct {
	id      int64
	pnr     string
	group   int // of groupNames
	minutes int64
	private bool
	from    schemas.Day
	last    schemas.Day // Open = none
	known   int
	late    bool // in a switch it is the old vendor that tells it, after the switch
}

type homeFact struct {
	id       int64
	pnr      string
	assessed schemas.Day
	moved    schemas.Day // Always = waits
	known    int
}

type visitFact struct {
	id    int64
	pnr   string
	day   schemas.Day
	known int
}

type careFacts struct {
	grants []grantFact
	homes  []homeFact
	visits []visitFact
}

func citizen(n int) string { return fmt.Sprintf("61%02d%02d%04d", n, 29+2*n, n) }

// factsAround are those of a switch on a day.
func factsAround(d schemas.Day) careFacts {
	f := careFacts{
		grants: []grantFact{
			{id: 1, pnr: citizen(1), minutes: 210, from: d - 400, last: schemas.Open},
			{id: 2, pnr: citizen(1), minutes: 60, private: true, from: d - 40, last: schemas.Open},
			{id: 3, pnr: citizen(1), group: 1, minutes: 45, from: d - 200, last: d - 100},
			{id: 4, pnr: citizen(2), group: 2, minutes: 90, from: d - 10, last: d - 1},
			{id: 5, pnr: citizen(2), group: 1, minutes: 75, from: d, last: schemas.Open, known: 1},
			{id: 6, pnr: citizen(3), minutes: 150, from: d - 30, last: schemas.Open},
			{id: 6, pnr: citizen(3), minutes: 150, from: d - 30, last: d + 5, known: 3},
			{id: 7, pnr: citizen(4), group: 2, minutes: 120, from: d + 2, last: schemas.Open, known: 4},
			{id: 8, pnr: citizen(5), group: 1, minutes: 30, from: d - 50, last: d - 20},
			{
				id:      8,
				pnr:     citizen(5),
				group:   1,
				minutes: 105,
				from:    d - 50,
				last:    d - 20,
				known:   3,
				late:    true,
			},
			{id: 9, pnr: citizen(6), minutes: 15, from: d + 20, last: schemas.Open, known: 1},
			{id: 10, pnr: citizen(7), group: 2, minutes: 300, from: d - 700, last: d - 300},
		},
		homes: []homeFact{
			{id: 21, pnr: citizen(1), assessed: d - 100, moved: d - 50},
			{id: 22, pnr: citizen(3), assessed: d - 5, moved: schemas.Always},
			{id: 22, pnr: citizen(3), assessed: d - 5, moved: d + 1, known: 3},
			{id: 23, pnr: citizen(8), assessed: d - 9, moved: d},
		},
	}
	for i := range deliveries {
		for n := range 3 {
			f.visits = append(f.visits, visitFact{int64(100 + 10*i + n), citizen(1 + n),
				d + schemas.Day(i-switchAt), i})
		}
	}
	return f
}

// upTo is the facts as they were known with a delivery: of each id the newest.
func (f *careFacts) upTo(known int) (all careFacts) {
	for _, g := range f.grants {
		if g.known <= known {
			all.grants = append(slices.DeleteFunc(all.grants,
				func(o grantFact) bool { return o.id == g.id }), g)
		}
	}
	for _, h := range f.homes {
		if h.known <= known {
			all.homes = append(slices.DeleteFunc(all.homes,
				func(o homeFact) bool { return o.id == h.id }), h)
		}
	}
	for _, v := range f.visits {
		if v.known <= known {
			all.visits = append(all.visits, v)
		}
	}
	return all
}

// vendorShape renders what is told in a delivery: all that is known, or what is new with it.
type vendorShape struct {
	system string
	source string
	tell   func(t *testing.T, f careFacts, known int, all bool) []string // lines without seal
}

var shapes = map[string]vendorShape{
	"kmd-nexus": {"kmd-nexus", "//kmd-nexus/99907511000016", tellNexus},
	"cura":      {"cura", "//cura/5798007510008", tellCura},
	"vitae":     {"vitae", "//vitae/751", tellVitae},
}

// delivery is a vendor's file of one delivery, sealed.
func (s vendorShape) delivery(
	t *testing.T,
	f careFacts,
	known int,
	all bool,
	day schemas.Day,
) string {
	lines := s.tell(t, f, known, all)
	lines = append(lines, eventLine(t, "segl-"+day.String(), s.source, "kontrol",
		map[string]any{"slags": "segl", "leverance": day.String(), "antal": len(lines)}))
	at := day.Midnight().Time().Add(18 * time.Hour).Format(time.RFC3339)
	text := eventTime.ReplaceAllString(strings.Join(lines, ""), fmt.Sprintf(`"time":%q`, at))
	return strings.ReplaceAll(text, `"specversion"`,
		fmt.Sprintf(`"flis_leverance":%q,"specversion"`, day.String()))
}

var eventTime = regexp.MustCompile(`"time":"[^"]*"`)

// toldNow are the facts of a delivery.
func (f *careFacts) toldNow(known int, all bool) careFacts {
	now := f.upTo(known)
	if !all {
		now.grants = slices.DeleteFunc(now.grants, func(g grantFact) bool { return g.known < known })
		now.homes = slices.DeleteFunc(now.homes, func(h homeFact) bool { return h.known < known })
		now.visits = slices.DeleteFunc(now.visits, func(v visitFact) bool { return v.known < known })
	}
	return now
}

func isoMidnight(d schemas.Day) string {
	return d.Midnight().Time().In(schemas.Copenhagen).Format(time.RFC3339)
}

// bounds are the bounds of a visit: half an hour from nine o'clock.
func (v *visitFact) bounds() (from, to time.Time) {
	from = v.day.Midnight().Time().Add(9 * time.Hour)
	return from, from.Add(30 * time.Minute)
}

func tellNexus(t *testing.T, f careFacts, known int, all bool) (lines []string) {
	const source = "//kmd-nexus/99907511000016"
	now := f.toldNow(known, all)
	hyphen := func(pnr string) string { return pnr[:6] + "-" + pnr[6:] }
	for _, g := range now.grants {
		validity := map[string]any{"from": isoMidnight(g.from), "to": nil}
		if g.last != schemas.Open {
			validity["to"] = isoMidnight(g.last)
		}
		lines = append(lines, eventLine(t, fmt.Sprintf("g-%d-%d", g.id, known), source, "grant",
			map[string]any{"grantId": g.id, "patientIdentifier": hyphen(g.pnr),
				"organisationSor": "99907511000016", "workflowState": "ACTIVE", "validity": validity,
				"paragraph":   map[string]any{"law": "SEL", "section": []string{"83", "83", "83a"}[g.group]},
				"catalogCode": []string{"PERSONLIG", "PRAKTISK", "REHAB"}[g.group],
				"amount":      map[string]any{"minutes": g.minutes, "every": "WEEK"},
				"supplier": map[string]any{"cvr": nil,
					"kind": map[bool]string{false: "MUNICIPAL", true: "PRIVATE"}[g.private]}}))
	}
	for _, h := range now.homes {
		o := map[string]any{"housingId": strconv.FormatInt(h.id, 10), "patientIdentifier": hyphen(h.pnr),
			"organisationSor": "99907511000016", "kind": "NURSING_HOME", "state": "ACTIVE",
			"assessedOn": isoMidnight(h.assessed), "movedInOn": nil}
		if h.moved != schemas.Always {
			o["movedInOn"] = isoMidnight(h.moved)
		}
		lines = append(lines, eventLine(t, fmt.Sprintf("h-%d-%d", h.id, known), source, "housing", o))
	}
	for _, v := range now.visits {
		from, to := v.bounds()
		lines = append(lines, eventLine(t, fmt.Sprintf("v-%d-%d", v.id, known), source, "visit",
			map[string]any{"visitId": v.id, "patientIdentifier": hyphen(v.pnr),
				"organisationSor": "99907511000016", "start": from.Format(time.RFC3339),
				"end": to.Format(time.RFC3339), "grantIds": []int64{}, "state": "COMPLETED"}))
	}
	return lines
}

func tellVitae(t *testing.T, f careFacts, known int, all bool) (lines []string) {
	now := f.toldNow(known, all)
	day := func(d schemas.Day) string { return d.Civil().Format("02-01-2006") }
	for _, g := range now.grants {
		o := map[string]any{"VISID": strconv.FormatInt(g.id, 10), "KOMNR": "751", "CPRNR": g.pnr,
			"PARAGRAF": []string{"083 01 01", "083 01 02", "083A 01"}[g.group],
			"MIN_MA":   g.minutes, "MIN_TI": 0, "MIN_ON": 0, "MIN_TO": 0, "MIN_FR": 0, "MIN_LO": 0, "MIN_SO": 0,
			"LEVTYPE":   map[bool]string{false: "K", true: "P"}[g.private],
			"STARTDATO": day(g.from), "SLUTDATO": nil, "STATUS": "A"}
		if g.last != schemas.Open {
			o["SLUTDATO"] = day(g.last)
		}
		lines = append(lines, eventLine(t, fmt.Sprintf("g-%d-%d", g.id, known), "//vitae/751",
			"visitation", o))
	}
	for _, h := range now.homes {
		o := map[string]any{"BOLID": strconv.FormatInt(h.id, 10), "KOMNR": "751", "CPRNR": h.pnr,
			"TYPE": 1, "VISDATO": day(h.assessed), "INDDATO": nil, "STATUS": "A"}
		if h.moved != schemas.Always {
			o["INDDATO"] = day(h.moved)
		}
		lines = append(
			lines,
			eventLine(t, fmt.Sprintf("h-%d-%d", h.id, known), "//vitae/751", "bolig", o),
		)
	}
	return lines
}

// tellCura is a document for each citizen, all of them every time.
func tellCura(t *testing.T, f careFacts, known int, _ bool) (lines []string) {
	now := f.upTo(known)
	millis := func(d schemas.Day) int64 { return d.Midnight().Time().UnixMilli() }
	for n := range 8 {
		pnr := citizen(n + 1)
		grants, homes, visits := []any{}, []any{}, []any{}
		for _, g := range now.grants {
			if g.pnr != pnr {
				continue
			}
			o := map[string]any{"noegle": strconv.FormatInt(g.id, 10),
				"lov":         []string{"§83,1,1", "§83,1,2", "§83a,1"}[g.group],
				"timerPrUge":  fmt.Sprintf("%d,%02d", g.minutes/60, g.minutes%60*100/60),
				"leverandoer": map[bool]int{false: 1, true: 2}[g.private],
				"fraMs":       millis(g.from), "tilMs": nil}
			if g.last != schemas.Open {
				o["tilMs"] = millis(g.last + 1)
			}
			grants = append(grants, o)
		}
		for _, h := range now.homes {
			if h.pnr == pnr {
				o := map[string]any{"type": 1, "visiteretMs": millis(h.assessed), "indflytMs": nil}
				if h.moved != schemas.Always {
					o["indflytMs"] = millis(h.moved)
				}
				homes = append(homes, o)
			}
		}
		for _, v := range now.visits {
			if from, to := v.bounds(); v.pnr == pnr {
				visits = append(visits, map[string]any{"id": strconv.FormatInt(v.id, 10),
					"startMs": from.UnixMilli(), "slutMs": to.UnixMilli()})
			}
		}
		lines = append(lines, eventLine(t, fmt.Sprintf("d-%d-%d", n, known), "//cura/5798007510008",
			"borgerdokument", map[string]any{"borgerCpr": pnr, "kommuneGln": "5798007510008",
				"version": known + 1, "ydelser": grants, "boliger": homes, "besoeg": visits,
				"leveret": []any{}}))
	}
	return lines
}
