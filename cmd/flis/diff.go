package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
)

type diffFlags struct {
	system, day, format string
	rows                bool
}

func diffCommand() *cobra.Command {
	var f diffFlags
	c := &cobra.Command{
		Use:   "diff KOMMUNE AREA",
		Short: "What would change if a shadow system took over from the present one",
		Long: `diff compares what is delivered with what a shadow system makes of the same time: one whose
agreement has skygge: true. Nothing of a shadow is ever delivered; flis run and flis close fold it
beside (under intern/skygge/<system>), from the same journals.

It counts, for each dataset, the keys that both have or one alone, the rows that are equal or not,
and the columns that differ. Rows are paired by the dataset's key or, where only its own system
knows that, by the columns that the dataset names in sammenlign; the report says by which. Local
ids (*_id), kilde_system, leverance, haendelse_id and what was registered when may differ and are
left out. Only the valid time of the shadow's agreement is looked at; what adjoins and says the
same is one row.

  --day D    as if the systems changed on D: only the time from D on
  --system   which shadow, where the unit has several
  --rows     the differing rows too, on standard output only: personal data, for those who may see it
  --format   table (the report, Danish), csv or json: the counts, or with --rows the rows

Exit codes: 0 nothing differs, 4 something does, 1 and 2 as elsewhere.`,
		Example: `  flis diff 0751 aeldre --dir flis-demo
  flis diff 0751 aeldre --dir flis-demo --rows --format csv`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains([]string{"table", "csv", "json"}, f.format) {
				return usage("--format %q: want table, csv or json", f.format)
			}
			day, err := flagDay("--day", f.day)
			if err != nil {
				return err
			}
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			return quiet(in.diff(c.Context(), args[0], args[1], day, &f))
		},
	}
	c.Flags().StringVar(&f.system, "system", "", "the shadow (default: the only one)")
	c.Flags().StringVar(&f.day, "day", "", "as if the systems changed on the day, yyyy-mm-dd")
	c.Flags().BoolVar(&f.rows, "rows", false, "list the rows that differ: personal data")
	c.Flags().StringVar(&f.format, "format", "table", "table, csv or json")
	return c
}

// diff compares a unit's datasets, one after the other.
func (in *installation) diff(ctx context.Context, kommune, area string, day *schemas.Day,
	f *diffFlags) error {
	k, err := schemas.ParseKommunekode(kommune)
	if err != nil {
		return usage("%w", err)
	}
	u := schemas.Unit{Kommune: k, Area: schemas.Area(area)}
	s, err := in.shadowOf(u, f.system)
	if err != nil {
		return err
	}
	r := &diffReport{unit: u, name: in.kommuneName(k), system: s.system, day: day,
		present: sinks.Side{Tables: in.delivered}, candidate: sinks.Side{Tables: s.place}}
	if r.present.Certificate, err = newest(ctx, in.delivered, u); err != nil {
		return err
	}
	if r.candidate.Certificate, err = newest(ctx, s.place, u); err != nil {
		return err
	}
	if r.candidate.Certificate == nil {
		return fmt.Errorf("the shadow %s of %s has never been closed: "+
			"feed what it sends and run flis run --once --dir %s", s.system, u, in.cfg.Dir)
	}
	out := newDiffOutput(in.out.OutOrStdout(), r, f.format, f.rows)
	for _, name := range slices.Sorted(maps.Keys(in.datasets)) {
		times := shadowTimes(s.agreements.Unit(u), name, day)
		if name.Area() != u.Area || len(times) == 0 {
			continue
		}
		found, err := sinks.Compare(ctx, in.datasets[name], &sinks.Comparison{Unit: u,
			Present: r.present, Candidate: r.candidate, Times: times, Scratch: in.cfg.Dir},
			out.difference(name))
		if err != nil {
			return in.damaged(err)
		}
		r.found, r.times = append(r.found, found), append(r.times, times)
	}
	if len(r.found) == 0 {
		return usage("--day %s: the agreement of the shadow %s ends before it", day, s.system)
	}
	if err := out.end(); err != nil {
		return err
	}
	if !r.same() {
		return &exitError{code: exitOther}
	}
	return nil
}

// newest is a unit's newest certificate, nil where it has none.
func newest(ctx context.Context, st store.Store, u schemas.Unit) (*sinks.Certificate, error) {
	c, err := sinks.FindCertificate(ctx, st, u, 0)
	if errors.Is(err, sinks.ErrNoCertificate) {
		return nil, nil
	}
	return c, err
}

// shadowTimes is the valid time that a shadow covers in a dataset, from a day on.
func shadowTimes(all []schemas.Agreement, d schemas.DatasetName, day *schemas.Day,
) (times []sinks.Interval) {
	for i := range all {
		if !all[i].Owns(d) {
			continue
		}
		t := sinks.Interval{From: all[i].From, To: all[i].To}
		if day != nil {
			t.From = max(t.From, *day)
		}
		if t.From >= t.To {
			continue
		}
		if n := len(times); n > 0 && times[n-1].To == t.From {
			times[n-1].To = t.To
			continue
		}
		times = append(times, t)
	}
	return times
}

// diffReport is what is told of a comparison.
type diffReport struct {
	unit               schemas.Unit
	name               string // of the municipality
	system             schemas.System
	day                *schemas.Day
	present, candidate sinks.Side
	found              []*sinks.Compared
	times              [][]sinks.Interval // of each
}

func (r *diffReport) same() bool {
	return !slices.ContainsFunc(r.found, func(c *sinks.Compared) bool { return !c.Same() })
}

// presentSystems are those that own some of the time now, by the certificate.
func (r *diffReport) presentSystems() string {
	if r.present.Certificate == nil {
		return "ingen"
	}
	var all []string
	for _, a := range r.present.Certificate.Agreements {
		all = append(all, string(a.System))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}
