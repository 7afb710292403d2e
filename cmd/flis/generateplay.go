package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/cmd/flis/generate"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
)

// playDenmark works through the plan of a generated Denmark.
func playDenmark(c *cobra.Command, dir string, judge bool) error {
	plan, err := generate.ReadPlan(dir)
	if err != nil {
		return err
	}
	if _, err := lastDay(plan); err != nil {
		return err
	}
	home := installDir(dir)
	if err := makeInstallation(dir, home); err != nil {
		return err
	}
	cfg := &config{Dir: home, Agreements: generate.AgreementsFile(dir)}
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
	wrong := 0
	for day, last := plan[0].Day, plan[len(plan)-1].Day; day <= last; day++ {
		began := time.Now()
		now = day.Midnight().Time().Add(feedHour * time.Hour)
		if err := in.feedPlan(c.Context(), cl, plan, day); err != nil {
			return err
		}
		now = now.Add(closeAfter)
		if err := in.normaliseAll(c.Context(), cl, true); err != nil {
			return err
		}
		fed := time.Since(began).Seconds()
		if err := in.closeRound(c.Context(), closer, nil); err != nil {
			return err
		}
		c.Printf("%s fed and normalised in %.1f s, closed in %.1f s\n", day, fed,
			time.Since(began).Seconds()-fed)
		if judge {
			n, err := in.judge(c, dir, day, in.delivered)
			if err != nil {
				return err
			}
			wrong += n
		}
	}
	if wrong > 0 {
		return badRecords()
	}
	return nil
}

// feedPlan feeds what arrives on a day. Records that will be parked are part of the plan.
func (in *installation) feedPlan(ctx context.Context, cl *cluster, plan []generate.Step,
	day schemas.Day) error {
	for _, s := range plan {
		if s.Day != day {
			continue
		}
		err := in.feedFiles(ctx, cl, s.System, []string{s.Path}, feedFlags{layout: s.Layout})
		var code *exitError
		if err != nil && !(errors.As(err, &code) && code.code == exitBad) {
			return err
		}
	}
	return nil
}

// makeInstallation is an installation of its own for a generated Denmark.
func makeInstallation(dir, home string) error {
	if _, err := os.Stat(home); err == nil {
		return usage("play: %s is there: remove it to play again", home)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("make installation: %w", err)
	}
	for _, f := range []struct{ path, text string }{
		{filepath.Join(home, configName), playConfig},
		{filepath.Join(home, keyName), newKey()},
	} {
		if _, err := createFile(f.path, f.text); err != nil {
			return fmt.Errorf("make installation: %w", err)
		}
	}
	return nil
}

const playConfig = `# An installation of flis generate play: a broker inside flis, everything in this folder.
dir: .
kafka:
  partitions: 1
agreements: ../aftaler.yaml
key: noegle
`

// scoreDenmark judges tables of any installation of flis.
func scoreDenmark(c *cobra.Command, dir, tables, day string) error {
	plan, err := generate.ReadPlan(dir)
	if err != nil {
		return err
	}
	at, err := lastDay(plan)
	if err != nil {
		return err
	}
	if day != "" {
		if at, err = schemas.ParseDay(day); err != nil {
			return usage("--day: %w", err)
		}
	}
	home := installDir(dir)
	if tables == "" {
		tables = filepath.Join(home, deliveredName)
	}
	if _, err := os.Stat(tables); err != nil {
		return usage("score: there are no tables in %s: run flis generate play, or name --tables", tables)
	}
	in, err := newInstallation(
		c,
		&config{Dir: home, Agreements: generate.AgreementsFile(dir)},
		time.Now,
	)
	if err != nil {
		return err
	}
	delivered, err := store.OpenLocal(tables)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	n, err := in.judge(c, dir, at, delivered)
	if err == nil && n > 0 {
		err = badRecords()
	}
	return err
}

// shownRows is how many rows of a side are named for each table.
const shownRows = 5

// judge compares every table with what was knowable on a day, and says what differs.
func (in *installation) judge(c *cobra.Command, dir string, day schemas.Day,
	delivered store.Store) (int, error) {
	j := generate.NewJudge()
	uneven, err := in.hear(c.Context(), j, dir, day, delivered, nil)
	if err != nil {
		return 0, err
	}
	wrong := j.Differences()
	c.Printf("%s: %d true rows compared, %d tables differ; flows are not the change of the stock on "+
		"%d days\n", day, j.Rows(), len(wrong), len(uneven))
	for _, day := range uneven[:min(shownRows, len(uneven))] {
		c.Printf("  population of %s\n", day)
	}
	if len(wrong) == 0 {
		return len(uneven), nil
	}
	return len(wrong) + len(uneven), in.explainDifferences(c, dir, day, delivered, wrong)
}

// explainDifferences hears the tables that differ again, and names the first rows of each.
func (in *installation) explainDifferences(c *cobra.Command, dir string, day schemas.Day,
	delivered store.Store, wrong []generate.Difference) error {
	again := generate.NewJudge()
	only := map[schemas.Unit]bool{}
	for _, d := range wrong {
		again.Look(d.TableName)
		only[schemas.Unit{Kommune: d.Kommune, Area: d.Dataset.Area()}] = true
	}
	if _, err := in.hear(c.Context(), again, dir, day, delivered, only); err != nil {
		return err
	}
	for _, d := range again.Differences() {
		if len(d.Missing)+len(d.Excess) == 0 {
			continue
		}
		c.Printf("  %s\n", &d)
		for i, r := range d.Missing[:min(shownRows, len(d.Missing))] {
			c.Printf("    true, not delivered %d of %d: %s\n", i+1, len(d.Missing), r)
		}
		for i, r := range d.Excess[:min(shownRows, len(d.Excess))] {
			c.Printf("    delivered, not true %d of %d: %s\n", i+1, len(d.Excess), r)
		}
	}
	return nil
}

// hear gives a judge both sides; only: units, nil for all. It gives the days, of each municipality,
// on which the delivered flows are not the change of the delivered stock. What FLIS says of its own
// closes has no truth beside it.
func (in *installation) hear(ctx context.Context, j *generate.Judge, dir string, day schemas.Day,
	delivered store.Store, only map[schemas.Unit]bool) (uneven []string, err error) {
	err = generate.Truth(dir, generate.Known, day, func(r generate.Row) error {
		if only == nil || only[schemas.Unit{Kommune: r.Kommune, Area: r.Dataset.Area()}] {
			j.True(r)
		}
		return nil
	})
	for _, k := range in.lists.Municipalities() {
		population := generate.NewPopulation()
		for _, ds := range in.datasets {
			u := schemas.Unit{Kommune: k, Area: ds.Name.Area()}
			if err != nil || only != nil && !only[u] || u.Area == schemas.StatusArea {
				continue
			}
			err = sinks.ReadRows(ctx, delivered, ds, u, sinks.ReadOptions{Table: sinks.OnlyCurrent},
				func(cells []sinks.Cell) error {
					r := truthRow(ds, k, cells)
					j.Delivered(r)
					population.Take(&r)
					return nil
				})
			if errors.Is(err, sinks.ErrNoCertificate) {
				err = nil
			}
		}
		for _, d := range population.Wrong() {
			uneven = append(uneven, fmt.Sprintf("%s on %s", k, d))
		}
	}
	return uneven, err
}

// truthRow is a delivered row in the form of the truth.
func truthRow(ds *schemas.Dataset, k schemas.Kommunekode, cells []sinks.Cell) generate.Row {
	columns := sinks.DeliveredColumns(ds)
	n := 1 + len(ds.Columns)
	r := generate.Row{Kommune: k, Dataset: ds.Name, From: schemas.Day(cells[n].Int),
		Until: schemas.Open, System: schemas.System(cells[n+5].Text)}
	if !cells[n+1].Null {
		r.Until = schemas.Day(cells[n+1].Int)
	}
	for i := 1; i < n; i++ {
		r.Values = append(r.Values, cellText(&cells[i], &columns[i]))
	}
	return r
}
