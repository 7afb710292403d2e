package main

import (
	"context"
	"fmt"
	"math"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
)

// How often flis run looks after the journals.
const (
	compactEvery = time.Hour
	sweepEvery   = 24 * time.Hour
)

func journalCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: "Keep the journals small: their size, compaction, and deletion of what is replaced",
		Long: `journal looks after the journals. flis run does by itself what its verbs do: it compacts every hour
and sweeps every day. Without flis run (only flis normalise and flis close), let a timer give them.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(journalStatusCommand(), journalCompactCommand(), journalSweepCommand())
	for _, s := range c.Commands() {
		s.Args = usageArgs(s.Args)
	}
	return c
}

// onJournals gives fn each journal that there is.
func (in *installation) onJournals(ctx context.Context, only string,
	fn func(schemas.System, *sinks.Journal) error) error {
	systems, err := in.journalSystems(schemas.System(only))
	if err != nil {
		return err
	}
	for _, s := range systems {
		j, err := sinks.OpenJournal(ctx, in.internal, s)
		if err != nil {
			return err
		}
		if j.Version() < 0 {
			continue
		}
		if err := fn(s, j); err != nil {
			return err
		}
	}
	return nil
}

func journalStatusCommand() *cobra.Command {
	var system string
	c := &cobra.Command{
		Use:   "status",
		Short: "Entries, files and size of each journal, and what could be deleted",
		Long: `status prints a line for each journal: its entries, its live files and how many of them were made by
compaction, rows and size, how many replaced files wait to be deleted, and the unit whose newest
certificate has read least of it, which they wait for.`,
		Example: `  flis journal status --dir flis-demo
  flis journal status --system cpr --dir flis-demo`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			return in.journalStatus(c.Context(), system)
		},
	}
	systemFlag(c, &system)
	return c
}

func systemFlag(c *cobra.Command, system *string) {
	c.Flags().StringVar(system, "system", "", "only this system's journal")
}

func (in *installation) journalStatus(ctx context.Context, only string) error {
	w := tabwriter.NewWriter(in.out.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "system\tentries\tfiles\tmade\trows\tMB\twaiting\tslowest reader")
	err := in.onJournals(ctx, only, func(s schemas.System, j *sinks.Journal) error {
		n, err := j.Size(ctx)
		if err != nil {
			return err
		}
		swept, reader, err := in.sweepJournal(ctx, s, j, true)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f\t%d\t%s\n", s, n.Entries, n.Files, n.Made, n.Rows,
			float64(n.Bytes)/1e6, swept.Waiting, readerText(reader))
		return nil
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

func readerText(r sinks.JournalReader) string {
	if r.Entry == math.MaxInt64 {
		return "none"
	}
	return fmt.Sprintf("%s at entry %d", r.Unit, r.Entry)
}

func journalCompactCommand() *cobra.Command {
	var system string
	var least int
	c := &cobra.Command{
		Use:   "compact",
		Short: "Make few files of many, with the same rows",
		Long: `compact makes one file of each run of small files of a journal, with the same rows, sorted by
municipality, dataset and key. Readers see the same rows before and after. Raw values that are older
than raa_opbevaring days (flis.yaml, 400) are left out of their files; the records' facts stay. The
files that were replaced stay until flis journal sweep. It may run beside everything, and be killed.`,
		Example: `  flis journal compact --dir flis-demo`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			if least < 2 {
				return usage("--least %d: want at least 2", least)
			}
			return in.onJournals(c.Context(), system, func(s schemas.System, j *sinks.Journal) error {
				return in.compactJournal(c.Context(), s, j, least)
			})
		},
	}
	c.Flags().IntVar(&least, "least", sinks.MadeLeast, "the fewest files that are worth one")
	systemFlag(c, &system)
	return c
}

func (in *installation) compactJournal(ctx context.Context, s schemas.System, j *sinks.Journal,
	least int) error {
	done, err := j.Compact(ctx, sinks.CompactRules{Writer: writerID(), Now: in.clock(),
		RawDays: in.cfg.RawDays, Least: least, Progress: func(r sinks.CompactReport) {
			in.out.Printf("compacting %s: %d files made of %d\n", s, r.After, r.Before)
		}})
	if err != nil {
		return err
	}
	if done.Raced {
		in.out.Printf("compacting %s: another process is at it\n", s)
	}
	if done.Expired > 0 {
		in.out.Printf(
			"journal of %s: raw values are gone from %d files, as they are older than %d days\n",
			s,
			done.Expired,
			in.cfg.RawDays,
		)
	}
	return nil
}

func journalSweepCommand() *cobra.Command {
	var system string
	var dry bool
	c := &cobra.Command{
		Use:   "sweep",
		Short: "Delete files that were replaced long ago, and files of writers that died",
		Long: `sweep deletes the files of a journal that compaction replaced at least 30 days ago, when the newest
certificate of each unit has read further; files that no entry names and that are 30 days old; and
old checkpoints. Entries of the log stay: they are the proof. A writer that slept meanwhile loses its
entry and reads its records again. It may run beside everything, and be killed.`,
		Example: `  flis journal sweep --dry-run --dir flis-demo`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			return in.onJournals(c.Context(), system, func(s schemas.System, j *sinks.Journal) error {
				swept, reader, err := in.sweepJournal(c.Context(), s, j, dry)
				if err == nil {
					in.printSweep(s, swept, reader, dry)
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be deleted")
	systemFlag(c, &system)
	return c
}

// sweepJournal deletes what every reader, of what is delivered and of shadows, is done with.
func (in *installation) sweepJournal(ctx context.Context, s schemas.System, j *sinks.Journal,
	dry bool) (sinks.SweepReport, sinks.JournalReader, error) {
	reader, err := sinks.SlowestReader(ctx, in.delivered, in.agreements, s)
	if err != nil {
		return sinks.SweepReport{}, reader, err
	}
	for _, sh := range in.speaking.ShadowSystems() {
		place := store.Sub(in.internal, schemas.ShadowPrefix(sh))
		r, err := sinks.SlowestReader(ctx, place, in.speaking.Shadow(sh), s)
		if err != nil {
			return sinks.SweepReport{}, reader, err
		}
		if r.Entry < reader.Entry {
			reader = r
		}
	}
	swept, err := j.Sweep(ctx, sinks.SweepRules{Writer: writerID(), Now: in.clock(),
		Keep: sinks.SweepKeep, Read: reader.Entry, DryRun: dry})
	return swept, reader, err
}

func (in *installation) printSweep(s schemas.System, n sinks.SweepReport, r sinks.JournalReader,
	dry bool) {
	verb := "deleted"
	if dry {
		verb = "would delete"
	}
	in.out.Printf(
		"journal of %s: %s %d replaced files, %d without an entry, %d checkpoints, %.1f MB\n",
		s,
		verb,
		n.Removed,
		n.Orphans,
		n.Checkpoints,
		float64(n.Bytes)/1e6,
	)
	if n.Waiting+n.Young > 0 {
		in.out.Printf("  %d replaced files and %d without an entry stay for now\n", n.Waiting, n.Young)
	}
	if n.Unread > 0 {
		in.out.Printf("  %d of them are old enough and wait for %s\n", n.Unread, readerText(r))
	}
}

// upkeepOn looks after the journals until ctx ends. What goes wrong is said and tried again:
// nothing waits for it.
func (in *installation) upkeepOn(ctx context.Context) {
	t := time.NewTicker(compactEvery)
	defer t.Stop()
	var swept time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		sweep := in.clock().Sub(swept) >= sweepEvery
		err := in.onJournals(ctx, "", func(s schemas.System, j *sinks.Journal) error {
			return in.upkeep(ctx, s, j, sweep)
		})
		if sweep {
			swept = in.clock()
		}
		if err != nil && ctx.Err() == nil {
			in.out.PrintErrf("flis: %v (the rest goes on; the journals are looked after again in %s)\n",
				err, compactEvery)
		}
	}
}

func (in *installation) upkeep(ctx context.Context, s schemas.System, j *sinks.Journal,
	sweep bool) error {
	if err := in.compactJournal(ctx, s, j, sinks.MadeLeast); err != nil || !sweep {
		return err
	}
	swept, reader, err := in.sweepJournal(ctx, s, j, false)
	if err == nil && swept.Bytes > 0 {
		in.printSweep(s, swept, reader, false)
	}
	return err
}
