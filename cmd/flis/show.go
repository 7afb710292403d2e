package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

// showFlags are the flags as they were given; "" and 0 = not given.
type showFlags struct {
	asOf, knownAt, format, table string
	certificate                  int64
	history                      bool
}

func showCommand() *cobra.Command {
	var f showFlags
	c := &cobra.Command{
		Use:   "show KOMMUNE DATASET",
		Short: "The delivered rows of a municipality",
		Long: `show prints the rows of a delivered dataset: those that the newest certificate names,
each file's SHA-256 checked before the file is read. Without flags it prints what is known now,
of any time.

  --as-of DAY    of these, what is true on the day (gyldig_fra to gyldig_til, half-open)
  --known-at DAY what was delivered on the day; registreret_til tells what has been replaced since
  --history      what was replaced too; with --known-at, what had been replaced by then
  --table T      only one of the dataset's two tables: current, or historik (what was replaced)
  --certificate  what that certificate named, instead of the newest

They combine. The rows come in order of key and gyldig_fra. They may hold personal data; nothing
of them is kept or logged.`,
		Example: `  flis show 0101 borger.adresse --dir flis-demo
  flis show 0101 borger.adresse --dir flis-demo --history --format csv
  flis show 0751 aeldre.visiteret_tid --dir flis-demo --as-of 2026-01-31 --format json`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options()
			if err != nil {
				return err
			}
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			return quiet(in.show(c.Context(), args[0], args[1], o, f.format))
		},
	}
	c.Flags().StringVar(&f.asOf, "as-of", "", "only what is true on the day, yyyy-mm-dd")
	c.Flags().StringVar(&f.knownAt, "known-at", "", "what was delivered on the day, yyyy-mm-dd")
	c.Flags().BoolVar(&f.history, "history", false, "replaced rows too")
	c.Flags().StringVar(&f.format, "format", "table", "table, csv or json")
	c.Flags().StringVar(&f.table, "table", "", "only current or historik")
	c.Flags().Int64Var(&f.certificate, "certificate", 0,
		"number of the certificate (default: the newest)")
	return c
}

// options checks the flags. Its errors are of usage; nothing has been opened yet.
func (f *showFlags) options() (o sinks.ReadOptions, err error) {
	o.History, o.Certificate = f.history, f.certificate
	switch f.table {
	case "":
	case "current":
		o.Table = sinks.OnlyCurrent
	case "historik":
		o.Table = sinks.OnlyHistory
	default:
		return o, usage("--table %q: want current or historik", f.table)
	}
	if !slices.Contains([]string{"table", "csv", "json"}, f.format) {
		return o, usage("--format %q: want table, csv or json", f.format)
	}
	if f.certificate < 0 {
		return o, usage("--certificate %d: want a number from 1", f.certificate)
	}
	if o.AsOf, err = flagDay("--as-of", f.asOf); err != nil {
		return o, err
	}
	o.KnownAt, err = flagDay("--known-at", f.knownAt)
	return o, err
}

// flagDay is nil where the flag was not given.
func flagDay(flag, text string) (*schemas.Day, error) {
	if text == "" {
		return nil, nil
	}
	d, err := schemas.ParseDay(text)
	if err != nil {
		return nil, usage("%s: %w", flag, err)
	}
	return &d, nil
}

// quiet ends a verb whose reader has gone away (flis show … | head) without a word.
func quiet(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// holding is a dataset of a municipality, as one certificate names it.
type holding struct {
	dataset     *schemas.Dataset
	unit        schemas.Unit
	certificate *sinks.Certificate
}

// hold finds what the arguments of a verb name. number 0 is the newest certificate. A name that
// nobody knows is a matter of usage; a unit without certificate one of the world.
func (in *installation) hold(ctx context.Context, kommune, dataset string, number int64) (*holding,
	error) {
	ds, ok := in.datasets[schemas.DatasetName(dataset)]
	if !ok {
		return nil, usage("dataset %s: there is no such dataset; there are %s", dataset,
			in.datasetNames())
	}
	k, err := schemas.ParseKommunekode(kommune)
	if err != nil {
		return nil, usage("%w", err)
	}
	if in.kommuneName(k) == "" {
		return nil, usage("municipality %s: the list of municipalities does not have it", k)
	}
	h := &holding{dataset: ds, unit: schemas.Unit{Kommune: k, Area: ds.Name.Area()}}
	h.certificate, err = sinks.FindCertificate(ctx, in.delivered, h.unit, number)
	if errors.Is(err, sinks.ErrNoCertificate) {
		return nil, in.noCertificate(h.unit, number, err)
	}
	return h, err
}

// datasetNames is every dataset, in order, for messages.
func (in *installation) datasetNames() string {
	var all []string
	for d := range in.datasets {
		all = append(all, string(d))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// noCertificate says what to do to have one.
func (in *installation) noCertificate(u schemas.Unit, number int64, err error) error {
	switch {
	case number > 0:
		return fmt.Errorf("%w; flis status tells the newest", err)
	case len(in.agreements.Unit(u)) > 0:
		return fmt.Errorf("%w: nothing is delivered yet; "+
			"feed its sources and run flis run --once --dir %s", err,
			in.cfg.Dir)
	}
	if k, ok := in.lists.Holder(string(u.Kommune)); ok && k != u.Kommune {
		return fmt.Errorf("%w: the municipality is now part of %s %s", err, k, in.kommuneName(k))
	}
	return fmt.Errorf("%w, and no agreement says who delivers it; "+
		"add one to the agreements file (flis init writes one)",
		err)
}

// show prints the rows. ReadRows sorts before it hands out the first row, so that of a table with a
// damaged file nothing is printed. The certificate is pinned first: a close that ends meanwhile
// changes neither heading nor rows.
func (in *installation) show(ctx context.Context, kommune, dataset string, o sinks.ReadOptions,
	format string) error {
	h, err := in.hold(ctx, kommune, dataset, o.Certificate)
	if err != nil {
		return err
	}
	o.Certificate, o.Scratch = h.certificate.Number, in.cfg.Dir
	columns := sinks.DeliveredColumns(h.dataset)
	out := in.out.OutOrStdout()
	var w rowWriter
	switch format {
	case "csv":
		w = newCSV(out, columns)
	case "json":
		w = newJSON(out, columns)
	default:
		w = newAligned(out, columns, in.heading(h)+asked(o))
	}
	err = sinks.ReadRows(ctx, in.delivered, h.dataset, h.unit, o, w.row)
	if err == nil {
		err = w.end()
	}
	return in.damaged(err)
}

// damaged adds what to do about it.
func (in *installation) damaged(err error) error {
	if errors.Is(err, sinks.ErrDamagedTable) {
		return fmt.Errorf("%w; nothing of it was read: "+
			"restore the file from a copy, and run flis audit --dir %s", err,
			in.cfg.Dir)
	}
	return err
}

// heading says which rows these are, and by what right.
func (in *installation) heading(h *holding) string {
	c := h.certificate
	day := c.Calendar[c.Leverance]
	text := fmt.Sprintf("%s of %s %s: certificate %d, leverance %s, %s", h.dataset.Name,
		h.unit.Kommune,
		in.kommuneName(h.unit.Kommune), c.Number, c.Leverance, cmp.Or(day.State, sinks.Provisional))
	if day.Revised > 0 {
		text += fmt.Sprintf(", revideret %d", day.Revised)
	}
	return text
}

// asked repeats what narrows or widens the rows.
func asked(o sinks.ReadOptions) string {
	text := ""
	if o.AsOf != nil {
		text += ", true on " + o.AsOf.String()
	}
	if o.KnownAt != nil {
		text += ", known on " + o.KnownAt.String()
	}
	if o.History {
		text += ", with what was replaced"
	}
	if o.Table == sinks.OnlyHistory {
		text += ", only what was replaced"
	}
	return text
}
