package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/flis-dk/flis/cmd/flis/scenario"
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
	agreements string
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

// storyWorld is the demo's story, its vendors' files of a day in an order of the seed.
func storyWorld(rng *rand.Rand, first schemas.Day) *wholeWorld {
	story := scenario.Play(first, scenario.Switch)
	w := &wholeWorld{}
	for _, line := range strings.SplitAfter(story.Agreements, "\n") {
		if !strings.Contains(line, "kommune: alle") {
			w.agreements += line
			continue
		}
		for _, k := range []string{"0101", "0183", "0461", "0751", "0825"} {
			w.agreements += strings.Replace(line, "kommune: alle", `kommune: "`+k+`"`, 1)
		}
	}
	for _, d := range story.Days {
		at := d.Day.Midnight().Time().Add(feedHour * time.Hour)
		files := d.Files
		rng.Shuffle(len(files), func(i, k int) { files[i], files[k] = files[k], files[i] })
		for _, f := range files {
			w.deliveries = append(w.deliveries, wholeDelivery{at, f.System, f.Content, f.Layout})
		}
	}
	return w
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
