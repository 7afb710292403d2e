package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

func replayCommand() *cobra.Command {
	var from, to string
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay SYSTEM",
		Short: "Read a system's records again, by the mapping, schemas and code lists of today",
		Long: `replay judges the raw records of a system's journal again, from the journal alone, and compares with
what stands of them. It prints how many rows of each dataset and municipality would appear, vanish or
change (by column; no values), and which closed days that would revise.

With --dry-run that is all. Without, what has changed is written to the journal as the next
generation, and the tables are closed anew: the next certificates name the replay and the days that
they revise. What was delivered before stays in _historik: flis show --known-at shows it. It may be
killed and given again, at any moment, beside flis run.`,
		Example: `  flis replay kmd-nexus --dry-run --dir flis-demo
  flis replay kmd-nexus --from 2026-01-01 --to 2026-03-31 --dry-run --dir flis-demo`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			days, err := dayRange(from, to)
			if err != nil {
				return err
			}
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			systems, err := in.journalSystems(schemas.System(args[0]))
			if err != nil {
				return err
			}
			o.wants = func(r *schemas.Row) bool { return days(r.Leverance) }
			o.fits = func(rows []schemas.Row) bool { return days(rows[0].Leverance) }
			return in.replayAll(c.Context(), systems, &o)
		},
	}
	c.Flags().StringVar(&from, "from", "", "first day of delivery, yyyy-mm-dd; none = from the first")
	c.Flags().StringVar(&to, "to", "", "last day of delivery, yyyy-mm-dd; none = to the last")
	replayFlags(c, &o)
	return c
}

func parkedReplayCommand() *cobra.Command {
	var system, reason, kommune string
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay",
		Short: "Read parked records again, when a mapping, code list or agreement has been mended",
		Long: `replay judges parked records again, as flis replay does with all. Those that can be used now are
written to the journal as the next generation, and their days are closed anew: a day that waited for
them becomes lukket or revideret. Those that cannot stay parked. A record that ended the program
(POISON) or could not be read is left alone.`,
		Example: `  flis parked replay --dry-run --dir flis-demo
  flis parked replay --system kmd-nexus --reason CODE --kommune 0101 --dir flis-demo`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if kommune != "" {
				if _, err := schemas.ParseKommunekode(kommune); err != nil {
					return usage("--kommune: %w", err)
				}
			}
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			systems, err := in.journalSystems(schemas.System(system))
			if err != nil {
				return err
			}
			o.wants = waits
			o.fits = func(rows []schemas.Row) bool {
				return waits(&rows[0]) && (kommune == "" || string(rows[0].Kommune) == kommune) &&
					(reason == "" || slices.ContainsFunc(rows, hasCode(schemas.Code(reason))))
			}
			return in.replayAll(c.Context(), systems, &o)
		},
	}
	c.Flags().StringVar(&system, "system", "", "only this system")
	c.Flags().StringVar(&reason, "reason", "", "only what was parked with this code, as CODE")
	c.Flags().StringVar(&kommune, "kommune", "",
		"only what is parked for this municipality, four digits (0000: none could be told)")
	replayFlags(c, &o)
	return c
}

// waits: something of the record is parked.
func waits(r *schemas.Row) bool {
	return r.Outcome == schemas.Parked || r.Outcome == schemas.PartlyParked
}

func hasCode(code schemas.Code) func(schemas.Row) bool {
	return func(r schemas.Row) bool {
		return slices.ContainsFunc(parseFindings(r.Finding),
			func(f schemas.Finding) bool { return f.Code == code })
	}
}

// dayRange is a test of days; both ends are in it.
func dayRange(from, to string) (func(schemas.Day) bool, error) {
	first, err := flagDay("--from", from)
	if err != nil {
		return nil, err
	}
	last, err := flagDay("--to", to)
	if err != nil {
		return nil, err
	}
	if first != nil && last != nil && *first > *last {
		return nil, usage("--from %s is after --to %s", from, to)
	}
	return func(d schemas.Day) bool {
		return (first == nil || *first <= d) && (last == nil || d <= *last)
	}, nil
}

// replayOptions is which records a replay is about, and how far it goes.
type replayOptions struct {
	wants    func(*schemas.Row) bool
	fits     func([]schemas.Row) bool
	dry      bool
	accepted string
}

func replayFlags(c *cobra.Command, o *replayOptions) {
	c.Flags().BoolVar(&o.dry, "dry-run", false, "only say what would change; write nothing")
	c.Flags().StringVar(&o.accepted, "accept-parked", "",
		"write also where many records would be parked that are not, for the reason given; "+
			"the journal keeps it")
}

// replayAll replays journal after journal and then closes what they touch.
func (in *installation) replayAll(ctx context.Context, systems []schemas.System,
	o *replayOptions) error {
	written := int64(0)
	for _, s := range systems {
		j, err := sinks.OpenJournal(ctx, in.internal, s)
		if err != nil {
			return err
		}
		if j.Version() < 0 {
			continue
		}
		n, err := in.replayOne(ctx, j, s, o)
		if err != nil {
			return err
		}
		written += n
	}
	if o.dry || written == 0 {
		in.out.Println("nothing is written")
		return nil
	}
	closer, err := in.newCloser()
	if err != nil {
		return err
	}
	var units []schemas.Unit
	for _, u := range in.agreements.Units() {
		if slices.ContainsFunc(in.agreements.Unit(u), func(a schemas.Agreement) bool {
			return slices.Contains(systems, a.System)
		}) {
			units = append(units, u)
		}
	}
	if len(units) == 0 {
		return nil
	}
	return in.closeRound(ctx, closer, units)
}

// replayOne replays one journal and gives how many records it wrote.
func (in *installation) replayOne(ctx context.Context, j *sinks.Journal, s schemas.System,
	o *replayOptions) (int64, error) {
	report := newReplayReport(in.datasets)
	dir := filepath.Join(in.cfg.Dir, scratchName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("make scratch folder: %w", err)
	}
	r := &sinks.Replay{Journal: j, Writer: writerID(), Dir: dir,
		Print: in.catalog.SystemFingerprint(s), Judge: in.catalog.JudgeAgain,
		Wants: o.wants, Fits: o.fits,
		Change: report.add, Accepted: o.accepted,
		Progress: func(n int64) { in.out.Printf("replay %s: %d records judged\n", s, n) }}
	tell := func(res *sinks.ReplayResult) error {
		if err := report.days(ctx, in.delivered); err != nil {
			return err
		}
		report.print(in.out.OutOrStdout(), s, res)
		if !o.dry && o.accepted == "" && res.Parks() {
			return fmt.Errorf("replay %s: %d records would be parked, now it is %d of the %d judged: "+
				"mend the mapping or code list; or, if they are to be parked, add --accept-parked REASON",
				s, res.Parked-res.ParkedBefore+res.ParkedAfter, res.Parked, res.Judged)
		}
		return nil
	}
	if o.dry {
		res, err := r.Plan(ctx)
		if err != nil {
			return 0, err
		}
		return 0, tell(res)
	}
	told := false
	res, err := r.Run(ctx, func(res *sinks.ReplayResult) error {
		if told {
			return nil
		}
		told = true
		return tell(res)
	})
	if err != nil {
		return 0, err
	}
	if res.Written > 0 {
		in.out.Printf("replay %s: generation %d of %d records is written\n", s, res.Generation,
			res.Written)
	}
	return res.Written, nil
}

// replayReport counts what a replay would change.
type replayReport struct {
	datasets map[schemas.DatasetName]*schemas.Dataset
	tables   map[replayTable]*replayChanges
	outcomes map[string]int64
	touched  map[schemas.Unit]map[schemas.Day]bool
	revised  map[schemas.Unit][]string
}

type replayTable struct {
	kommune schemas.Kommunekode
	dataset schemas.DatasetName
}

func (t replayTable) String() string { return string(t.kommune) + " " + string(t.dataset) }

// replayChanges is of one dataset of one municipality. Statements that are no row (deletes,
// snapshots) are counted apart.
type replayChanges struct {
	appear, vanish, change, others int64
	columns                        map[string]bool
}

func (c *replayChanges) text() string {
	var parts []string
	for _, x := range []struct {
		n    int64
		what string
	}{{c.appear, "appear"}, {c.vanish, "vanish"}, {c.change, "change"}} {
		if x.n == 0 {
			continue
		}
		text := counted(x.n, "row") + " " + x.what
		if x.n == 1 {
			text += "s"
		}
		if x.what == "change" && len(c.columns) > 0 {
			text += " (" + strings.Join(sortedNames(c.columns), ", ") + ")"
		}
		parts = append(parts, text)
	}
	if c.others > 0 {
		parts = append(parts, counted(c.others, "other statement"))
	}
	return strings.Join(parts, ", ")
}
