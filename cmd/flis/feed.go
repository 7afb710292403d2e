package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/transforms/cpr"
)

type feedFlags struct {
	layout, day, gap string
	excerpt          bool
}

func feedCommand() *cobra.Command {
	var f feedFlags
	c := &cobra.Command{
		Use:   "feed SYSTEM FILE...",
		Short: "Split a delivery in its native form and publish it, with its seal",
		Long: `feed takes files as a source delivers them, splits them into their smallest self-contained
pieces and publishes each, then the file's seal. It does not look into the pieces: what is wrong in
one is told by flis check, and by flis parked after flis run. Feeding a file twice changes nothing.

CPR: extracts in layout A, A-UUID (002 with road name and DAR id) or B (etableringsudtræk). The
layout is found by the file's OPGAVENR (cpr.layouts in flis.yaml), or told by --layout. The file's
own controls (000, 999, the chain of PRODDTOFORRIG) are checked before anything is sent.

Other systems: JSON Lines in UTF-8, one CloudEvent in structured mode on each line:

  {"specversion":"1.0","type":"bolig","id":"b-7-1","source":"//vitae/615",
   "time":"2026-03-02T08:15:00+01:00","flis_leverance":"2026-03-02",
   "data":{"BOLID":"7","KOMNR":"615","CPRNR":"6101700001","TYPE":1,
   "VISDATO":"10-01-2026","INDDATO":null,"STATUS":"A"}}        (on one line)

type is an event of the system, source //<system>/<municipality as the system names it>, data the
event by its schema. Optional: sequence, flis_leverance (else --day, else the day of arrival),
flis_kommune, subject (the entity's id, else the first field of data). Without data the event is a
null value, and flis_kommune must be there. A line of type kontrol is the vendor's own seal, of a
municipality and day; antal is the number of its distinct events:

  {"specversion":"1.0","type":"kontrol","id":"segl-2026-03-02","source":"//vitae/615",
   "time":"2026-03-02T20:00:00+01:00","data":{"slags":"segl","leverance":"2026-03-02","antal":1}}

A vendor that numbers what it sends a municipality (sequence) and is to be proven by that (bevis:
sekvens) sends a heartbeat instead: antal events that day, sekvens the last number so far.

  ... "data":{"slags":"hjerteslag","leverance":"2026-03-02","antal":3,"sekvens":117}}

The file's own seal, with the number of its lines, comes from the feed: a file of four lines is five
records. It proves that the file arrived whole, not that the vendor's day is complete.`,
		Example: `  flis feed cpr D260302.L110101 --layout A
  flis feed kmd-nexus nexus-0101.jsonl
  flis run --once`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := cpr.ParseLayout(f.layout); f.layout != "" && err != nil {
				return usage("--layout: %w", err)
			}
			in, err := openInstallation(c)
			if err != nil {
				return err
			}
			return in.onBroker(c.Context(), func(cl *cluster) error {
				return in.feedFiles(c.Context(), cl, schemas.System(args[0]), args[1:], f)
			})
		},
	}
	c.Flags().StringVar(&f.layout, "layout", "", "CPR: A, A-UUID or B, where no OPGAVENR tells")
	c.Flags().BoolVar(&f.excerpt, "excerpt", false,
		"the file is a part of another: its controls prove nothing")
	c.Flags().StringVar(&f.day, "day", "",
		"day of delivery, yyyy-mm-dd (default: what the file tells, else today)")
	c.Flags().StringVar(&f.gap, "gap", "", "go past a missing file of the chain, for the reason given")
	return c
}

// feedFiles feeds one file after the other; it ends with exit code 3 when records will be parked.
func (in *installation) feedFiles(
	ctx context.Context,
	cl *cluster,
	s schemas.System,
	files []string,
	f feedFlags,
) error {
	events := in.catalog.Events(s)
	if len(events) == 0 {
		return usage("feed %s: no such system; there are %v", s, in.catalog.Systems())
	}
	feed, err := in.newFeed(ctx, cl, s)
	if err != nil {
		return err
	}
	if !slices.Contains(in.systems(), s) {
		in.out.Printf("no agreement names %s: flis run parks what it sends until one does\n", s)
	}
	bad := 0
	for i, file := range files {
		sent, err := in.feedFile(ctx, cl, feed, s, file, f)
		if err != nil {
			return fmt.Errorf("feed %s: file %d of %d: %w", s, i+1, len(files), err)
		}
		for _, b := range sent.Bad {
			in.out.Printf("  will be parked: %s\n", b)
		}
		bad += len(sent.Bad)
	}
	if bad > 0 {
		return badRecords()
	}
	return nil
}

func (in *installation) feedFile(
	ctx context.Context,
	cl *cluster,
	feed *streams.Feed,
	s schemas.System,
	path string,
	f feedFlags,
) (streams.Sent, error) {
	file, err := os.Open(path)
	if err != nil {
		return streams.Sent{}, pathFree(err)
	}
	defer file.Close()
	d, err := describe(file, s, f)
	if err != nil {
		return streams.Sent{}, err
	}
	if s == cprSystem {
		return in.feedCPR(ctx, cl, feed, file, d, f)
	}
	before, err := cl.controls(ctx, s)
	if err != nil {
		return streams.Sent{}, err
	}
	if known, err := streams.CheckChain(before, d); known || err != nil {
		return in.alreadyFed(d), err
	}
	sent, err := feed.Events(ctx, d, in.catalog.Events(s), file)
	if err == nil {
		in.out.Printf("fed %s file %s: %d records, sealed\n", s, d.SHA256[:12], sent.Records)
	}
	return sent, err
}

// pathFree cuts the path out of an error: a file's name may hold a personal number.
func pathFree(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s the file: %w", p.Op, p.Err)
	}
	return err
}

func (in *installation) alreadyFed(d streams.Delivery) streams.Sent {
	in.out.Printf("%s file %s was fed and sealed before: nothing sent\n", d.System, d.SHA256[:12])
	return streams.Sent{}
}

// describe hashes the file and fills in what the flags say.
func describe(file *os.File, s schemas.System, f feedFlags) (streams.Delivery, error) {
	d := streams.Delivery{System: s, Layout: f.layout, Excerpt: f.excerpt, Produced: schemas.Always,
		Previous: schemas.Always, Day: schemas.Always}
	if f.day != "" {
		var err error
		if d.Day, err = schemas.ParseDay(f.day); err != nil {
			return d, usage("--day: %w", err)
		}
	}
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return d, pathFree(err)
	}
	d.SHA256 = hex.EncodeToString(h.Sum(nil))
	_, err := file.Seek(0, io.SeekStart)
	return d, err
}

func (in *installation) feedCPR(
	ctx context.Context,
	cl *cluster,
	feed *streams.Feed,
	file *os.File,
	d streams.Delivery,
	f feedFlags,
) (streams.Sent, error) {
	info, err := file.Stat()
	if err != nil {
		return streams.Sent{}, pathFree(err)
	}
	layouts := map[string]cpr.Layout{}
	for task, l := range in.cfg.CPR.Layouts {
		layouts[task] = cpr.Layout(l)
	}
	x, err := cpr.Open(file, info.Size(), cpr.Options{Layout: cpr.Layout(f.layout), Layouts: layouts,
		Excerpt: f.excerpt})
	if err != nil {
		return streams.Sent{}, fmt.Errorf("file %s: %w", d.SHA256[:12], err)
	}
	d.Event, d.Layout, d.Encoding = "person", string(x.Layout), string(x.Encoding)
	if x.Header != nil {
		d.Produced, d.Previous = x.Header.Produced, x.Header.Previous
		if d.Day == schemas.Always {
			d.Day = x.Header.Produced
		}
	}
	before, err := cl.controls(ctx, d.System)
	if err != nil {
		return streams.Sent{}, err
	}
	known, err := streams.CheckChain(before, d)
	if known {
		return in.alreadyFed(d), nil
	}
	if err != nil && f.gap != "" {
		err = feed.AcceptGap(ctx, d, f.gap)
	}
	if err != nil {
		return streams.Sent{}, err
	}
	sent, err := feed.Units(ctx, d, unitsOf(x))
	if err == nil {
		in.out.Printf(
			"fed cpr file %s, layout %s, produced %s: %d records as %d units, %s\n",
			d.SHA256[:12],
			d.Layout,
			d.Produced,
			x.Records,
			sent.Records,
			sealWord(d.Excerpt),
		)
	}
	return sent, err
}

func sealWord(excerpt bool) string {
	if excerpt {
		return "sealed as an excerpt, which proves nothing"
	}
	return "sealed"
}

// unitsOf hands a file's units on; the error of the file, if any, comes last.
func unitsOf(x *cpr.File) iter.Seq2[streams.Unit, error] {
	return func(yield func(streams.Unit, error) bool) {
		stop := errors.New("stopped")
		err := x.Units(func(u *cpr.Unit) error {
			unit := streams.Unit{Nr: u.Nr, Entity: u.PNR, Content: u.Content}
			if u.Content == nil {
				unit.StandIn = fmt.Sprintf("%x %d", u.SHA256, u.Size)
			}
			if !yield(unit, nil) {
				return stop
			}
			return nil
		})
		if err != nil && !errors.Is(err, stop) {
			yield(streams.Unit{}, err)
		}
	}
}
