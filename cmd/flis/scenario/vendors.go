package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/flis-dk/flis/schemas"
)

// sor and gln name the municipalities as the vendors write them: made-up keys of the list
// organisationsnoegle.
var (
	sor = map[schemas.Kommunekode]string{
		"0101": "99901011000016",
		"0751": "99907511000016",
		"0183": "99901831000016",
	}
	gln = map[schemas.Kommunekode]string{
		"0751": "5798007510008",
		"0461": "5798004610008",
		"0825": "5798008250002",
	}
)

// jsonLines writes a push system's file: one CloudEvent a line.
type jsonLines struct {
	buf    bytes.Buffer
	system schemas.System
	source string // the municipality as the system names it
	day    schemas.Day
	at     time.Time
	count  int64
	ids    map[string]bool
}

type object = map[string]any

func newLines(system schemas.System, source string, day schemas.Day) *jsonLines {
	return &jsonLines{system: system, source: "//" + string(system) + "/" + source, day: day,
		at: day.Midnight().Time().Add(18 * time.Hour), ids: map[string]bool{}}
}

// event adds an event; the same id again is a duplicate, and not counted by the seal.
func (l *jsonLines) event(kind, id string, data any) {
	l.at = l.at.Add(time.Second)
	l.line(object{"specversion": "1.0", "id": id, "source": l.source, "type": kind, "time": rfc(l.at),
		"flis_leverance": l.day.String(), "data": data})
	if !l.ids[id] {
		l.ids[id] = true
		l.count++
	}
}

// again repeats the last line: a vendor's retry.
func (l *jsonLines) again() {
	lines := bytes.Split(bytes.TrimSuffix(l.buf.Bytes(), []byte("\n")), []byte("\n"))
	last := bytes.Clone(lines[len(lines)-1])
	l.buf.Write(append(last, '\n'))
}

func (l *jsonLines) line(o object) {
	b, err := json.Marshal(o) // keys in order: the same bytes every time
	if err != nil {
		panic("scenario: " + err.Error()) // the story is part of the program
	}
	l.buf.Write(append(b, '\n'))
}

// seal is the vendor's own control count of the day: distinct events of one municipality.
func (l *jsonLines) seal() {
	l.line(
		object{
			"specversion":    "1.0",
			"id":             "segl-" + l.day.String(),
			"source":         l.source,
			"type":           "kontrol",
			"time":           rfc(l.at.Add(time.Minute)),
			"flis_leverance": l.day.String(),
			"data":           object{"slags": "segl", "leverance": l.day.String(), "antal": l.count},
		},
	)
}

func (l *jsonLines) file(name string) File {
	return File{System: l.system, Name: name, Content: bytes.Clone(l.buf.Bytes())}
}

func rfc(t time.Time) string { return t.In(schemas.Copenhagen).Format(time.RFC3339) }

// isoDay is a day as kmd-nexus writes it: midnight with its offset.
func isoDay(d schemas.Day) string { return rfc(d.Midnight().Time()) }

func millis(i schemas.Instant) int64 { return int64(i) / 1000 }

func minuteOf(d schemas.Day, minute int64) schemas.Instant {
	return d.Midnight() + schemas.Instant(minute)*60_000_000
}

// nexusGrant is a grant as kmd-nexus tells it.
func nexusGrant(g *grant, state string) object {
	o := object{
		"grantId":           g.id,
		"patientIdentifier": g.pnr[:6] + "-" + g.pnr[6:],
		"organisationSor":   sor[g.kommune],
		"paragraph":         object{"law": "SEL", "section": g.group.section},
		"catalogCode":       g.group.catalog,
		"workflowState":     state,
		"validity":          object{"from": isoDay(g.from), "to": nil},
		"amount":            object{"minutes": g.minutes, "every": "WEEK"},
		"supplier":          object{"cvr": nil, "kind": supplier(g.private)},
	}
	if g.minutes%7 == 0 {
		o["amount"] = object{"minutes": g.minutes / 7, "every": "DAY"}
	}
	if g.last != schemas.Open {
		o["validity"] = object{"from": isoDay(g.from), "to": isoDay(g.last)}
	}
	return o
}

func supplier(private bool) string {
	if private {
		return "PRIVATE"
	}
	return "MUNICIPAL"
}

func nexusVisit(v *visit, k schemas.Kommunekode) object {
	start := minuteOf(v.day, v.minute)
	return object{
		"visitId":           v.id,
		"patientIdentifier": v.pnr[:6] + "-" + v.pnr[6:],
		"organisationSor":   sor[k],
		"start":             rfc(start.Time()),
		"end":               rfc((start + schemas.Instant(v.minutes)*60_000_000).Time()),
		"grantIds":          []int64{v.grant},
		"state":             "COMPLETED",
	}
}

func nexusHousing(h *home) object {
	o := object{"housingId": h.id, "patientIdentifier": h.pnr[:6] + "-" + h.pnr[6:],
		"organisationSor": sor[h.kommune], "kind": "NURSING_HOME",
		"assessedOn": isoDay(h.assessed), "movedInOn": nil}
	if h.moved != schemas.Always {
		o["movedInOn"] = isoDay(h.moved)
	}
	return o
}

// curaDocument is everything that cura knows of a citizen.
func curaDocument(
	c *care,
	pnr string,
	k schemas.Kommunekode,
	version int64,
	until schemas.Day,
) object {
	grants, homes, visits := []object{}, []object{}, []object{}
	for _, g := range c.grants {
		if g.pnr != pnr {
			continue
		}
		o := object{
			"noegle":      strconv.FormatInt(g.id, 10),
			"lov":         g.group.law,
			"timerPrUge":  hours(g.minutes),
			"leverandoer": 1,
			"fraMs":       millis(g.from.Midnight()),
			"tilMs":       nil,
		}
		if g.private {
			o["leverandoer"] = 2
		}
		if g.last != schemas.Open {
			o["tilMs"] = millis((g.last + 1).Midnight())
		}
		grants = append(grants, o)
	}
	for _, h := range c.homes {
		if h.pnr == pnr {
			o := object{"type": 1, "visiteretMs": millis(h.assessed.Midnight()), "indflytMs": nil}
			if h.moved != schemas.Always {
				o["indflytMs"] = millis(h.moved.Midnight())
			}
			homes = append(homes, o)
		}
	}
	for _, v := range c.visits {
		if v.pnr == pnr && v.day <= until {
			start := minuteOf(v.day, v.minute)
			visits = append(visits, object{"id": strconv.FormatInt(v.id, 10), "startMs": millis(start),
				"slutMs": millis(start) + v.minutes*60_000})
		}
	}
	return object{
		"borgerCpr":  pnr,
		"kommuneGln": gln[k],
		"version":    version,
		"ydelser":    grants,
		"boliger":    homes,
		"besoeg":     visits,
		"leveret":    []object{},
	}
}

// hours writes minutes as hours with a decimal comma: a quarter of an hour is exact in two
// decimals.
func hours(minutes int64) string {
	return fmt.Sprintf("%d,%02d", minutes/60, minutes%60*100/60)
}
