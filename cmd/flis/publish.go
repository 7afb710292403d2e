package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/cmd/flis/topictables"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/streams/curated"
)

func publishCommand() *cobra.Command {
	var kommune, area, key string
	c := &cobra.Command{
		Use:   "publish",
		Short: "Bring the curated topics of subscribers to what the certificates say",
		Long: `publish writes what each certificate changed into the topics kommune.<code>.<area>.v1 of those who subscribe, one
record for each entity, and a marker behind each certificate. flis run does the same after each close; this verb is for cron,
or after a fault. It may be killed anywhere and run twice at once: it keeps nothing, reads from the topic where that stands, and
ends only when it has read back that the topic is what the newest certificate says.

Who subscribes stands in flis.yaml ("alle" is every municipality with an agreement in the area):

  abonnementer:
    - {kommune: "0101", omraade: borger}

--key prints the key of a municipality. A subscriber needs it only to begin with the tables instead of the beginning
of the topic. docs/kuraterede-emner.md is the guide for subscribers.`,
		Example: `  flis publish
  flis publish --kommune 0101 --area borger
  flis publish --key 0101`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := openInstallation(c)
			if err != nil {
				return err
			}
			if key != "" {
				return in.printKey(key)
			}
			units, err := in.subscribed(kommune, area)
			if err != nil {
				return err
			}
			if len(units) == 0 {
				in.out.Println("nobody subscribes: see abonnementer in flis publish --help")
				return nil
			}
			return in.onBroker(c.Context(), func(cl *cluster) error {
				return in.publish(c.Context(), cl, units, in.sayUpToDate)
			})
		},
	}
	c.Flags().StringVar(&kommune, "kommune", "", "only this municipality, four digits")
	c.Flags().StringVar(&area, "area", "", "only this area, as borger")
	c.Flags().StringVar(&key, "key", "", "print the key of this municipality, and publish nothing")
	return c
}

// subscription is one entry of abonnementer.
type subscription struct {
	Kommune string `yaml:"kommune" mapstructure:"kommune"`
	Area    string `yaml:"omraade" mapstructure:"omraade"`
}

// subscribed is the units that someone subscribes to and that fit; none is no error where no
// subscription is written down.
func (in *installation) subscribed(kommune, area string) ([]schemas.Unit, error) {
	var all []schemas.Unit
	for i, s := range in.cfg.Subscriptions {
		found := false
		for _, u := range in.agreements.Certified() {
			if string(u.Area) != s.Area || s.Kommune != everyKommune && string(u.Kommune) != s.Kommune {
				continue
			}
			found = true
			fits := (kommune == "" || string(u.Kommune) == kommune) && (area == "" || string(u.Area) == area)
			if fits && !slices.Contains(all, u) {
				all = append(all, u)
			}
		}
		if !found {
			return nil, usage("abonnementer: entry %d (%s %s): no agreement delivers it; "+
				"add one to the agreements file, or take the entry away", i+1, s.Kommune, s.Area)
		}
	}
	if len(all) == 0 && (kommune != "" || area != "") {
		return nil, usage("no subscription fits --kommune %q --area %q", kommune, area)
	}
	return all, nil
}

func (in *installation) municipalityKey(k schemas.Kommunekode) ([]byte, error) {
	key, err := loadKey(in.cfg)
	if err != nil {
		return nil, err
	}
	return curated.MunicipalityKey(key, k), nil
}

func (in *installation) printKey(kommune string) error {
	k, err := schemas.ParseKommunekode(kommune)
	if err != nil {
		return usage("--key: %w", err)
	}
	key, err := in.municipalityKey(k)
	if err == nil {
		in.out.Println(hex.EncodeToString(key))
	}
	return err
}

func (in *installation) sayUpToDate(u schemas.Unit, r curated.Report) {
	switch {
	case r.Number == 0:
		in.out.Printf("%s: there is no certificate yet, and nothing to publish\n", u)
	case r.Markers == 0:
		in.out.Printf("%s: the topic is certificate %d already\n", u, r.Number)
	}
}

// publish brings each topic up to date, and tells what each run did, unless tell is nil. One that
// fails stops no other.
func (in *installation) publish(ctx context.Context, cl *cluster, units []schemas.Unit,
	tell func(schemas.Unit, curated.Report)) error {
	var failed []error
	for _, u := range units {
		report, err := in.publishUnit(ctx, cl, u)
		if err != nil {
			failed = append(failed, err)
		} else if tell != nil {
			tell(u, report)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func (in *installation) publishUnit(ctx context.Context, cl *cluster, u schemas.Unit) (
	curated.Report, error) {
	p, err := in.publisherOf(ctx, cl, u)
	if err != nil {
		return curated.Report{}, fmt.Errorf("publish %s: %w", u, err)
	}
	report, err := p.Run(ctx)
	if err != nil {
		return report, err
	}
	if report.Markers > 0 {
		in.out.Printf("published %s: certificate %d, %d records in %s\n", u, report.Number,
			report.Records, schemas.CuratedTopic(u))
	}
	if report.Repaired > 0 {
		in.out.Printf("published %s: %d records of a publisher that came late were replaced\n", u,
			report.Repaired)
	}
	return report, nil
}

func (in *installation) openTables(u schemas.Unit) (*topictables.Tables, error) {
	return topictables.Open(in.delivered, u, in.datasets, in.cfg.Dir)
}

const publishedEvery = 100_000

func (in *installation) publisherOf(ctx context.Context, cl *cluster, u schemas.Unit) (
	*curated.Publisher, error) {
	tables, err := in.openTables(u)
	if err != nil {
		return nil, err
	}
	key, err := in.municipalityKey(u.Kommune)
	if err != nil {
		return nil, err
	}
	ids, marker, err := in.curatedSchemas(ctx, tables)
	if err != nil {
		return nil, err
	}
	log, err := cl.openTopic(ctx, u, true)
	if err != nil {
		return nil, err
	}
	told := int64(0)
	return &curated.Publisher{Unit: u, Log: log, Tables: tables, Key: key, Schemas: ids,
		MarkerID: marker, Progress: func(records int64) {
			if records-told >= publishedEvery {
				told = records
				in.out.Printf("publishing %s: %d records\n", u, records)
			}
		}}, nil
}

const (
	markerFile    = "systems/flis/markoer.avsc"
	markerSubject = "dk.flis.kurateret.markoer"
)

// curatedSchemas registers the schemas of a unit's topic.
func (in *installation) curatedSchemas(ctx context.Context, t *topictables.Tables) (
	map[schemas.DatasetName]curated.Schema, uint32, error) {
	ids := map[schemas.DatasetName]curated.Schema{}
	for name, line := range t.Lines {
		id, err := in.registry.Register(ctx, line.Subject(), line.Schema.JSON)
		if err != nil {
			return nil, 0, err
		}
		ids[name] = curated.Schema{ID: id, Print: line.Schema.Print()}
	}
	text, err := fs.ReadFile(schemas.Builtin, markerFile)
	if err != nil {
		return nil, 0, err
	}
	s, err := avro.Admit(string(text))
	if err != nil {
		return nil, 0, err
	}
	id, err := in.registry.Register(ctx, markerSubject, s.JSON)
	return ids, id, err
}

// publishCheck is how long a topic whose certificate is the newest is taken to be right: a record
// of a publisher that died long ago is mended then.
const publishCheck = time.Hour

// publishOn publishes whenever a unit has a new certificate, until ctx ends.
func (in *installation) publishOn(ctx context.Context, cl *cluster) error {
	units, err := in.subscribed("", "")
	if err != nil {
		return err
	}
	type point struct {
		number int64
		at     time.Time
	}
	done := map[schemas.Unit]point{}
	for {
		for _, u := range units {
			head, err := sinks.Head(ctx, in.delivered, u)
			switch {
			case err == nil && (head == nil ||
				head.Number == done[u].number && in.clock().Sub(done[u].at) < publishCheck):
				continue
			case err == nil:
				_, err = in.publishUnit(ctx, cl, u)
			}
			if err != nil && ctx.Err() == nil {
				in.out.PrintErrf("flis: %v (the others go on, and it is tried again)\n", err)
				continue
			}
			done[u] = point{head.Number, in.clock()}
		}
		if err := pause(ctx, closeEvery); err != nil {
			return err
		}
	}
}

// pause waits, or gives the context's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
