package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
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
	w := &wholeWorld{dir: dir, last: plan[len(plan)-1].Day}
	for _, step := range plan {
		content, err := os.ReadFile(step.Path)
		if err != nil {
			return nil, err
		}
		w.deliveries = append(w.deliveries, wholeDelivery{
			at:     step.Day.Midnight().Time().Add(feedHour * time.Hour),
			system: step.System, content: content, layout: step.Layout})
	}
	return w, nil
}

// truth is every row that was knowable at the end.
func (w *wholeWorld) truth() (wholeRows, error) {
	all := wholeRows{}
	err := generate.Truth(w.dir, generate.Known, w.last, func(r generate.Row) error {
		all.add(&r)
		return nil
	})
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
