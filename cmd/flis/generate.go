package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/cmd/flis/generate"
	"github.com/flis-dk/flis/schemas"
)

const generateDir = "flis98"

// generateDefaults: a Denmark that is made and judged in a minute.
const (
	generatePersons, generateDays = 1000, 10
	generateBack                  = 20 // days ago at which it begins
	allMunicipalities             = 98
)

func generateCommand() *cobra.Command {
	o := generate.Options{}
	var from string
	var vendors []string
	c := &cobra.Command{
		Use:   "generate",
		Short: "Make a synthetic Denmark with its own truth, to score a pipeline with",
		Long: `generate makes FLIS-98 under --dir: people in households over up to 98 municipalities of true
relative sizes, what CPR and three elder-care vendors deliver of them day by day, and the truth, by which
every delivered table at every day can be judged. The same flags give the same bytes. Sources behave as
real ones do: they send twice, late, in halves and out of order, fall silent, change vendor, change
numbers, make mistakes and correct them; --quiet has none of that.

  leverancer/<day>/<system>/...   what arrives on the day
  plan.jsonl                      the order in which the files arrive, a line each
  aftaler.yaml                    the agreements under which they do
  sandhed/kendt/<day>.jsonl       what was knowable from the day on
  sandhed/virkelig/<day>.jsonl    what really was

docs/flis98.md has the formats, and how to score a pipeline of your own.`,
		Example: `  flis generate --dir flis98 --seed 1 --persons 300 --days 3 --municipalities 5
  flis generate play --dir flis98
  flis generate score --dir flis98`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Dir = generatedDir(c)
			o.From = schemas.DayOf(time.Now()) - generateBack
			if from != "" {
				var err error
				if o.From, err = schemas.ParseDay(from); err != nil {
					return usage("--from: %w", err)
				}
			}
			for _, v := range vendors {
				o.Vendors = append(o.Vendors, schemas.System(v))
			}
			return makeDenmark(c, o)
		},
	}
	f := c.Flags()
	f.Uint64Var(&o.Seed, "seed", 1, "of everything that is left to chance")
	f.IntVar(&o.Persons, "persons", generatePersons, "persons on the first day")
	f.IntVar(&o.Municipalities, "municipalities", allMunicipalities, "the largest so many of the 98")
	f.IntVar(&o.Days, "days", generateDays, "days of deliveries")
	f.StringVar(&from, "from", "", "first day, yyyy-mm-dd (default: twenty days ago)")
	f.StringSliceVar(&vendors, "vendors", nil, "elder-care vendors (default: all that there are)")
	f.IntVar(&o.ChangesPerDay, "changes-per-day", 0, "about so many persons in CPR's file of a day")
	f.IntVar(&o.VendorEventsPerDay, "vendor-events-per-day", 0, "about so many visits a day")
	f.BoolVar(&o.NoTruth, "no-truth", false, "leave the truth out: most of the bytes, for measuring")
	f.BoolVar(&o.Quiet, "quiet", false, "nothing late, doubled, wrong or missing: for measuring")
	c.AddCommand(playCommand(), scoreCommand())
	for _, sub := range c.Commands() {
		sub.Args = usageArgs(sub.Args)
	}
	return c
}

func generatedDir(c *cobra.Command) string {
	if dir := c.Flag("dir").Value.String(); dir != "" {
		return dir
	}
	return generateDir
}

func makeDenmark(c *cobra.Command, o generate.Options) error {
	began := time.Now()
	o.Progress = func(persons int) { c.Printf("generating: %d persons\n", persons) }
	err := generate.Write(c.Context(), o)
	if errors.Is(err, generate.ErrOptions) {
		return usage("%w", err)
	}
	if err != nil {
		return err
	}
	c.Printf(
		"FLIS-98 with about %d persons and %d days from %s is in %s (%.1f s)\n",
		o.Persons,
		o.Days,
		o.From,
		o.Dir,
		time.Since(began).Seconds(),
	)
	return nil
}

// installDir is where play keeps its installation.
func installDir(dir string) string { return filepath.Join(dir, "anlaeg") }

func playCommand() *cobra.Command {
	var judge bool
	c := &cobra.Command{
		Use:   "play",
		Short: "Feed, normalise and close a generated Denmark day by day, and judge every day",
		Long: `play makes an installation in the folder anlaeg of a generated Denmark and works through its plan:
each day's files are fed, normalised and closed with the clock of that evening, and every delivered
table is compared with what was knowable that day. It ends with exit code 3 when a table differs.`,
		Example: `  flis generate --dir flis98 --persons 300 --days 3 --municipalities 5
  flis generate play --dir flis98`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return playDenmark(c, generatedDir(c), judge)
		},
	}
	c.Flags().BoolVar(&judge, "judge", true, "compare each day; =false for measuring")
	return c
}

func scoreCommand() *cobra.Command {
	var tables, day string
	c := &cobra.Command{
		Use:   "score",
		Short: "Compare delivered tables with the truth of a generated Denmark",
		Long: `score reads the newest certificates' tables under --tables (default: those that flis generate play made)
and compares every one, row by row, with what was knowable on --day. It names tables that differ, with
counts and the first rows, their numbers masked, and then ends with exit code 3.`,
		Example: `  flis generate score --dir flis98 --tables flis98/anlaeg/levering`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return scoreDenmark(c, generatedDir(c), tables, day)
		},
	}
	c.Flags().StringVar(&tables, "tables", "", "folder of delivered tables")
	c.Flags().StringVar(&day, "day", "", "yyyy-mm-dd (default: the plan's last day)")
	return c
}

// lastDay is the last of a plan.
func lastDay(plan []generate.Step) (schemas.Day, error) {
	if len(plan) == 0 {
		return 0, fmt.Errorf("the plan is empty")
	}
	return plan[len(plan)-1].Day, nil
}
