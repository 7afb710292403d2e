package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/flis-dk/flis/cmd/flis/generate"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/transforms/cpr"
)

// wholeDelivery is a file and the moment from which it may come.
type wholeDelivery struct {
	at      time.Time
	system  schemas.System
	content []byte
	layout  string
}

// wholeWorld is what vendors will send, in the order in which it comes.
type wholeWorld struct {
	dir        string
	last       schemas.Day
	lists      wholeRows // what is true of the lists
	deliveries []wholeDelivery
}

func (w *wholeWorld) next() (wholeDelivery, bool) {
	if len(w.deliveries) == 0 {
		return wholeDelivery{}, false
	}
	d := w.deliveries[0]
	w.deliveries = w.deliveries[1:]
	return d, true
}

// generatedWorld is a generated Denmark of a few persons, in a folder of its own.
func generatedWorld(ctx context.Context, dir string, seed uint64, first schemas.Day) (*wholeWorld,
	error) {
	const persons, municipalities, days = 14, 3, 7
	err := generate.Write(ctx, generate.Options{Dir: dir, Seed: seed, Persons: persons,
		Municipalities: municipalities, From: first, Days: days, ChangesPerDay: 3,
		VendorEventsPerDay: 4})
	if err != nil {
		return nil, err
	}
	plan, err := generate.ReadPlan(dir)
	if err != nil {
		return nil, err
	}
	w := &wholeWorld{dir: dir, last: plan[len(plan)-1].Day, lists: wholeRows{}}
	for _, step := range plan {
		content, err := os.ReadFile(step.Path)
		if err != nil {
			return nil, err
		}
		w.deliveries = append(w.deliveries, wholeDelivery{
			at:     step.Day.Midnight().Time().Add(feedHour * time.Hour),
			system: step.System, content: content, layout: step.Layout})
	}
	w.sendLists(rand.New(rand.NewPCG(seed, 615)), first)
	slices.SortStableFunc(w.deliveries, func(a, b wholeDelivery) int { return a.at.Compare(b.at) })
	return w, nil
}

// listsOf is the municipality whose vendor sends whole lists (testdata/liste).
const listsOf = schemas.Kommunekode("0615")

const listsAgreement = `  - {kommune: "0615", omraade: aeldre, system: liste, bevis: ingen, leverer: dagligt}` + "\n"

// sendLists adds lists of four grants, a day each; of some a record is lost for good, so that they
// have no effect. What a whole list lacks has ended on its day.
func (w *wholeWorld) sendLists(rng *rand.Rand, first schemas.Day) {
	const grants, lists = 4, 5
	begins := first - 100
	ended := map[int]schemas.Day{}
	for l := range lists {
		day := first + schemas.Day(l)
		var members []int
		for g := range grants {
			if _, gone := ended[g]; !gone && (l == 0 || rng.IntN(5) > 0) {
				members = append(members, g)
			}
		}
		whole := l == 0 || rng.IntN(2) == 0
		sent := members
		if !whole && len(members) > 0 {
			sent = members[:len(members)-1]
		}
		var b bytes.Buffer
		for _, g := range sent {
			fmt.Fprintf(&b, `{"specversion":"1.0","type":"bevilling","id":"%d-%d","source":"//liste/0615",`+
				`"time":"%sT12:00:00Z","flis_leverance":"%s","data":{"nr":"g%d","kom":"0615",`+
				`"cpr":"610170000%d","liste":"l%d","antal":%d,"dag":"%s","fra":"%s"}}`+"\n",
				l, g, day, day, g, g, l, len(members), day, begins)
		}
		w.deliveries = append(w.deliveries, wholeDelivery{system: "liste", content: b.Bytes(),
			at: day.Midnight().Time().Add(12 * time.Hour)})
		for g := range grants {
			if _, gone := ended[g]; whole && len(members) > 0 && !gone && !slices.Contains(members, g) {
				ended[g] = day
			}
		}
	}
	for g := range grants {
		until, gone := ended[g]
		if !gone {
			until = schemas.Open
		}
		w.lists.add(&generate.Row{Kommune: listsOf, Dataset: "aeldre.visiteret_tid", From: begins,
			Until: until, System: "liste", Values: []string{fmt.Sprint("liste:g", g),
				fmt.Sprint("610170000", g), "SEL-83-1-1", "personlig", "60.0000", "kommunal",
				begins.String(), ""}})
	}
}

// truth is every row that was knowable at the end.
func (w *wholeWorld) truth() (wholeRows, error) {
	all := wholeRows{}
	err := generate.Truth(w.dir, generate.Known, w.last, func(r generate.Row) error {
		all.add(&r)
		return nil
	})
	maps.Copy(all, w.lists)
	return all, err
}

// publish is the feed of one file over the simulation's broker.
func (s *wholeSim) publish(h *wholeHandle, d *wholeDelivery) error {
	feed := s.in.feedTo(h, []byte("key"))
	sum := sha256.Sum256(d.content)
	delivery := streams.Delivery{System: d.system, SHA256: hex.EncodeToString(sum[:]), Layout: d.layout,
		Produced: schemas.Always, Previous: schemas.Always, Day: schemas.Always}
	if d.system != cprSystem {
		_, err := feed.Events(s.ctx, delivery, s.in.catalog.Events(d.system), bytes.NewReader(d.content))
		return err
	}
	x, err := cpr.Open(bytes.NewReader(d.content), int64(len(d.content)),
		cpr.Options{Layout: cpr.Layout(d.layout)})
	if err != nil {
		return fmt.Errorf("open file: %w", err)
	}
	delivery.Event, delivery.Layout, delivery.Encoding = "person", string(x.Layout), string(x.Encoding)
	delivery.Produced, delivery.Previous = x.Header.Produced, x.Header.Previous
	delivery.Day = x.Header.Produced
	_, err = feed.Units(s.ctx, delivery, unitsOf(x))
	return err
}
