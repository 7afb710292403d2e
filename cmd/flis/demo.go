package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/cmd/flis/scenario"
	"github.com/flis-dk/flis/schemas"
)

const (
	demoDir    = "flis-demo"
	demoMark   = "demo.txt" // says that the folder is a demo's, and may be made anew
	inboxName  = "leverancer"
	feedHour   = 21 // the hour at which a day's files come
	closeAfter = 2 * time.Hour
)

func demoCommand() *cobra.Command {
	var first string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Three days of deliveries become tables per municipality; everything embedded",
		Long: `demo plays three days of a made-up Denmark: CPR and two elder-care vendors deliver for five municipalities, and each
evening is fed, normalised and closed as it would be in earnest, on the broker inside flis. It writes under --dir (default
./flis-demo) and may be run again. The files that were fed lie in its folder leverancer.`,
		Example: `  flis demo
  flis show 0101 borger.adresse --dir flis-demo`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			day := schemas.DayOf(time.Now()) - scenario.Days + 1
			if first != "" {
				var err error
				if day, err = schemas.ParseDay(first); err != nil {
					return usage("--first: %w", err)
				}
			}
			dir := c.Flag("dir").Value.String()
			if dir == "" {
				dir = demoDir
			}
			return playDemo(c, dir, scenario.Play(day, scenario.Switch))
		},
	}
	c.Flags().
		StringVar(&first, "first", "", "the first of the three days (default: the day before yesterday)")
	return c
}

// playDemo makes the installation and works through the days, each with the clock of its evening.
func playDemo(c *cobra.Command, dir string, story *scenario.Story) error {
	if err := makeDemo(dir, story); err != nil {
		return err
	}
	for _, line := range story.Told {
		c.Println("  " + line)
	}
	cfg := &config{Dir: dir, Agreements: filepath.Join(dir, agreementsName)}
	cfg.Kafka.Partitions = 1
	now := time.Time{}
	in, err := newInstallation(c, cfg, func() time.Time { return now })
	if err != nil {
		return err
	}
	cl, err := in.connect(c.Context())
	if err != nil {
		return err
	}
	defer cl.Close()
	closer, err := in.newCloser()
	if err != nil {
		return err
	}
	for i, d := range story.Days {
		now = d.Day.Midnight().Time().Add(feedHour * time.Hour)
		c.Printf("\nday %d, %s\n", i+1, d.Day)
		if err := in.playDay(c.Context(), cl, d); err != nil {
			return err
		}
		now = now.Add(closeAfter)
		if err := in.normaliseAll(c.Context(), cl, true); err != nil {
			return err
		}
		if err := in.closeRound(c.Context(), closer, nil); err != nil {
			return err
		}
	}
	return in.demoEnd(c.Context(), dir)
}

// makeDemo empties a demo's folder and writes the configuration. A folder that is no demo's is left
// alone.
func makeDemo(dir string, story *scenario.Story) error {
	mark := filepath.Join(dir, demoMark)
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("make demo: %w", err)
	case len(entries) > 0:
		if _, err := os.Stat(mark); err != nil {
			return usage("make demo: %s is there and no demo's folder: give another --dir", dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("make demo: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make demo: %w", err)
	}
	for _, f := range []struct{ path, text string }{
		{mark, "This folder was made by flis demo, which may make it anew.\n"},
		{filepath.Join(dir, configName), demoConfig},
		{filepath.Join(dir, agreementsName), story.Agreements},
		{filepath.Join(dir, keyName), newKey()},
	} {
		if _, err := createFile(f.path, f.text); err != nil {
			return fmt.Errorf("make demo: %w", err)
		}
	}
	return nil
}

const demoConfig = `# The configuration of the demo: a broker inside flis, everything in this folder.
dir: .
kafka:
  partitions: 1
agreements: aftaler.yaml
key: noegle
`

// playDay writes the day's files and feeds them, as a user would.
func (in *installation) playDay(ctx context.Context, cl *cluster, d scenario.Day) error {
	dir := filepath.Join(in.cfg.Dir, inboxName, d.Day.String())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write deliveries: %w", err)
	}
	for _, f := range d.Files {
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, f.Content, 0o600); err != nil {
			return fmt.Errorf("write deliveries: %w", err)
		}
		flags := feedFlags{layout: f.Layout}
		if err := in.feedFiles(ctx, cl, f.System, []string{path}, flags); err != nil {
			return err
		}
	}
	return nil
}

// demoEnd says what each municipality got, and how to look at it.
func (in *installation) demoEnd(ctx context.Context, dir string) error {
	units, err := in.unitStatuses(ctx)
	if err != nil {
		return err
	}
	in.out.Println("\nWhat each municipality got:")
	w := tabwriter.NewWriter(in.out.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KOMMUNE\tNAVN\tOMRAADE\tRAEKKER\tTILSTAND\tPARKERET")
	rest := 0
	for _, u := range units {
		if u.Area == schemas.StatusArea { // as many days for each
			continue
		}
		if u.Rows == 0 {
			rest++
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%d\n", u.Kommune, in.kommuneName(u.Kommune), u.Area,
			u.Rows, u.State, u.Parked)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if rest > 0 {
		in.out.Printf("(and %d municipalities in which nobody of the story lives)\n", rest)
	}
	in.remarks(units)
	in.out.Printf(`
Look further:
  go run ./cmd/flis show 0101 borger.adresse --dir %[1]s
  go run ./cmd/flis show 0751 aeldre.visiteret_tid --dir %[1]s --as-of %[2]s
  go run ./cmd/flis parked list --dir %[1]s
  go run ./cmd/flis status --dir %[1]s
  go run ./cmd/flis audit --dir %[1]s
The tables are Delta Lake: %[1]s/levering/kommune=0101/borger/adresse opens in Spark, DuckDB, Polars or Power BI.
`, dir, schemas.DayOf(in.clock()))
	return nil
}
