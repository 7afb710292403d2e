package sinks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/flis-dk/flis/schemas"
)

// closeWorld is what really happened: the journals of two systems, entry by entry. Closers see it
// through Events.
type closeWorld struct {
	rng      *rand.Rand
	now      time.Time
	journals map[schemas.System][][]schemas.Row
	offset   int64
	vendor   []string // event ids that were sent
	file     string   // of the CPR file that is under way
	units    int64
	silent   map[schemas.Day]bool // days on which the vendor says nothing
}

const (
	simVendor = schemas.System("leverandoer")
	simCPR    = schemas.System("cpr")
	simFact   = schemas.DatasetName("aeldre.besoeg")
	simState  = schemas.DatasetName("borger.adresse")
)

var simKommuner = []schemas.Kommunekode{"0101", "0147"}

func newCloseWorld(seed uint64) *closeWorld {
	return &closeWorld{rng: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 3, 3, 8, 0, 0, 0,
		schemas.Copenhagen),
		journals: map[schemas.System][][]schemas.Row{simVendor: nil, simCPR: nil},
		silent:   map[schemas.Day]bool{}}
}

func simAgreements() *schemas.Agreements {
	var all []schemas.Agreement
	for _, k := range simKommuner {
		all = append(all,
			schemas.Agreement{Kommune: k, Area: "aeldre", System: simVendor, From: schemas.Always,
				To:    schemas.Open,
				Proof: schemas.ProofCount, Calendar: schemas.Daily, Deadline: 330},
			schemas.Agreement{Kommune: k, Area: "borger", System: simCPR, From: schemas.Always,
				To:    schemas.Open,
				Proof: schemas.ProofFile, Calendar: schemas.Weekdays, Deadline: 330})
	}
	a, err := schemas.NewAgreements(all)
	if err != nil {
		panic(err)
	}
	return a
}

func simDatasets() map[schemas.DatasetName]*schemas.Dataset {
	return map[schemas.DatasetName]*schemas.Dataset{
		simFact:  {Name: simFact, Kind: schemas.Fact, Owner: "handle"},
		simState: {Name: simState, Kind: schemas.State, Owner: ownerResidence},
	}
}

func (w *closeWorld) pick(n int) int { return w.rng.IntN(n) }

func (w *closeWorld) today() schemas.Day { return schemas.DayOf(w.now) }

func (w *closeWorld) append(s schemas.System, rows ...schemas.Row) {
	for i := range rows {
		rows[i].System = s
		rows[i].Stream = schemas.NewStream("c", schemas.RawTopic(s, "e"), 0)
	}
	w.journals[s] = append(w.journals[s], rows)
}

// step lets some time pass and something happen.
func (w *closeWorld) step() {
	before := w.today()
	w.now = w.now.Add(time.Duration(w.pick(240)) * time.Minute)
	if w.today() != before {
		w.silent[w.today()] = w.pick(5) == 0
		w.file = ""
	}
	switch w.pick(6) {
	case 0, 1, 2:
		if !w.silent[w.today()] {
			w.append(simVendor, w.events(1+w.pick(4))...)
		}
	case 3:
		if !w.silent[w.today()] {
			w.append(simVendor, w.seal(w.today()-schemas.Day(w.pick(2)))...)
		}
	default:
		w.append(simCPR, w.cprFile()...)
	}
}

// events are vendor's records: new, doubled, late, back-dated in order, parked.
func (w *closeWorld) events(n int) []schemas.Row {
	var rows []schemas.Row
	for range n {
		w.offset++
		k := simKommuner[w.pick(2)]
		id := fmt.Sprintf("//%s/%s|%d", simVendor, k, w.offset)
		if len(w.vendor) > 0 && w.pick(6) == 0 {
			id = w.vendor[w.pick(len(w.vendor))]
			k = schemas.Kommunekode(strings.Split(strings.Split(id, "|")[0], "/")[3])
		}
		w.vendor = append(w.vendor, id)
		day := w.today()
		if w.pick(4) == 0 {
			day -= schemas.Day(w.pick(3))
		}
		if w.silent[day] {
			day = w.today()
		}
		raw := schemas.Row{Offset: w.offset, EventID: id, Event: "e", Leverance: day, Kommune: k,
			Op:      schemas.OpRaw,
			Outcome: schemas.Accepted, Arrived: schemas.InstantOf(w.now)}
		if w.pick(12) == 0 {
			raw.Outcome = schemas.Parked
			rows = append(rows, raw)
			continue
		}
		e := raw
		e.Ordinal, e.Op, e.Dataset = 1, schemas.OpUpsert, simFact
		e.Key = fmt.Sprint("b", w.pick(6))
		e.Stated = schemas.InstantOf(w.now.Add(-time.Duration(w.pick(48)) * time.Hour))
		e.Payload = []byte(fmt.Sprint("v", w.pick(3)))
		rows = append(rows, raw, e)
	}
	return rows
}

// seal states a count for a day, for both municipalities: mostly what landed.
func (w *closeWorld) seal(day schemas.Day) []schemas.Row {
	if w.silent[day] {
		return nil
	}
	var rows []schemas.Row
	for _, k := range simKommuner {
		w.offset++
		n := int64(len(w.landed(simVendor, k, day, len(w.journals[simVendor]))))
		if w.pick(4) == 0 {
			n += int64(1 + w.pick(2))
		}
		raw := schemas.Row{Offset: w.offset, EventID: fmt.Sprint("seal|", w.offset),
			Event:     schemas.ControlEvent,
			Leverance: day, Kommune: k, Op: schemas.OpRaw, Outcome: schemas.Accepted}
		s := raw
		s.Ordinal, s.Op, s.Count, s.Stated = 1, schemas.OpSeal, n, schemas.InstantOf(w.now)
		rows = append(rows, raw, s)
	}
	return rows
}

// landed gives the outcome of each distinct event id of a day in the first entries of a journal;
// a record that comes again belongs to the day of its first.
func (w *closeWorld) landed(s schemas.System, k schemas.Kommunekode, day schemas.Day, entries int,
) map[string]schemas.Outcome {
	first := map[string]schemas.Day{}
	out := map[string]schemas.Outcome{}
	for _, e := range w.journals[s][:entries] {
		for _, r := range e {
			if r.Ordinal != 0 || r.Event == schemas.ControlEvent || r.Kommune != k {
				continue
			}
			if _, ok := first[r.EventID]; !ok {
				first[r.EventID] = r.Leverance
			}
			if first[r.EventID] == day {
				out[r.EventID] = r.Outcome
			}
		}
	}
	return out
}

// cprFile is a part of a file: blocks of persons who live somewhere or have moved, or its seal.
func (w *closeWorld) cprFile() []schemas.Row {
	if w.file == "" {
		h := sha256.Sum256([]byte(fmt.Sprint(w.offset)))
		w.file, w.units = hex.EncodeToString(h[:]), 0
	}
	if w.units > 0 && w.pick(3) == 0 {
		w.offset++
		raw := schemas.Row{Offset: w.offset, EventID: fmt.Sprint("segl|", w.offset),
			Event:     schemas.ControlEvent,
			Leverance: w.today(), Kommune: schemas.National, Op: schemas.OpRaw, Outcome: schemas.Accepted}
		s := raw
		s.Ordinal, s.Op, s.Key, s.Count = 1, schemas.OpSeal, w.file, w.units
		if w.pick(5) == 0 {
			s.Count++
		}
		w.file = ""
		return []schemas.Row{raw, s}
	}
	w.offset++
	w.units++
	raw := schemas.Row{Offset: w.offset, EventID: fmt.Sprintf("//cpr|%s-%d", w.file, w.units),
		Event:     "person",
		Leverance: w.today(), Kommune: schemas.National, Op: schemas.OpRaw, Outcome: schemas.Accepted}
	person := fmt.Sprint("p", w.pick(4))
	stated := schemas.InstantOf(w.now.Add(-time.Duration(w.pick(72)) * time.Hour))
	snap := raw
	snap.Ordinal, snap.Op, snap.Dataset, snap.Scope, snap.Stated = 1, schemas.OpSnapshot, simState,
		person, stated
	snap.From, snap.Absent = schemas.Always, schemas.AbsentGone
	rows := []schemas.Row{raw, snap}
	for i, k := range simKommuner {
		if w.pick(2) == 0 {
			continue
		}
		m := raw
		m.Ordinal, m.Op, m.Dataset, m.Scope, m.Key = int32(2+i), schemas.OpUpsert, simState, person,
			person
		m.Kommune, m.Stated, m.Payload = k, stated, []byte(fmt.Sprint("vej", w.pick(3)))
		rows = append(rows, m)
	}
	return rows
}

// worldEvents shows a journal as it stands when it is opened.
type worldEvents struct {
	w      *closeWorld
	system schemas.System
	length int
	// a planted mistake; nil = none
	alter func(system schemas.System, rows []schemas.Row) []schemas.Row
}

func (e *worldEvents) Version() int64 { return int64(e.length) - 1 }

func (e *worldEvents) EntryHash(_ context.Context, v int64) (string, error) {
	return hashOf([]byte(fmt.Sprint(e.system, v))), nil
}

func (e *worldEvents) Rows(_ context.Context, from, to int64, statements bool,
	fn func(*schemas.Row) error) error {
	for v := from + 1; v <= to; v++ {
		rows := slices.Clone(e.w.journals[e.system][v])
		if e.alter != nil {
			rows = e.alter(e.system, rows)
		}
		for i := range rows {
			if !statements && rows[i].Dataset != "" {
				continue
			}
			if err := fn(&rows[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
