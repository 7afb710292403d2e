package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/streams/kafka"
)

func auditCommand() *cobra.Command {
	var copied string
	var codes []string
	c := &cobra.Command{
		Use:   "audit",
		Short: "Recount source, journal and tables, and check every hash of the chain",
		Long: `audit proves, from what is stored, that nothing is lost, doubled or changed: it counts what
the broker still holds against the journal; checks each journal entry's hash, files and offsets;
each certificate's chain, and that each table and close state has exactly the files that its
certificate names; and makes every table and each day's state and counts anew from the journal,
and compares. It prints what it proved, and each difference. Exit code 1 when there is one.

With --copy it does so offline, from a folder that holds nothing but copies of a municipality's
bevis/<kommune> and kommune=<kommune>, writes nothing there, and says what such a copy proves and
what it cannot. --code names a certificate that you know from elsewhere (each one's plain version,
<number>.txt, ends with its code): then an older copy put in the place of a newer is seen too.`,
		Example: `  flis audit --dir flis-demo
  flis audit --copy flis-demo/levering`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			known, err := controlCodes(codes)
			if err != nil {
				return err
			}
			if copied != "" {
				return auditCopy(c, copied, known)
			}
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			return in.audit(c.Context(), known)
		},
	}
	c.Flags().StringVar(&copied, "copy", "", "folder with bevis/ and kommune=…: prove it by itself")
	c.Flags().StringArrayVar(&codes, "code", nil,
		"control code of a certificate that must be there; may be given several times")
	return c
}

func (in *installation) audit(ctx context.Context, codes []sinks.ControlCode) error {
	problems, err := in.auditJournals(ctx)
	if err != nil {
		return err
	}
	more, err := in.auditTables(ctx, codes)
	if err != nil {
		return err
	}
	shadows, err := in.auditShadows(ctx)
	if err != nil {
		return err
	}
	problems = append(append(problems, more...), shadows...)
	return differences(in.out, problems)
}

// differences ends an audit.
func differences(out *cobra.Command, problems []string) error {
	for _, p := range problems {
		out.Println("DIFFERENCE  " + p)
	}
	if len(problems) > 0 {
		return fmt.Errorf("audit: %d differences", len(problems))
	}
	out.Println("audit: no difference")
	return nil
}

// auditJournals checks each journal in itself and against the broker, where that answers.
func (in *installation) auditJournals(ctx context.Context) ([]string, error) {
	cl, err := in.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var problems []string
	systems, err := in.journalled(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range systems {
		found, err := sinks.VerifyJournal(ctx, in.internal, s, nil)
		if err != nil {
			return nil, err
		}
		in.out.Printf("journal  %s: %d entries with %d files (%d bytes), %d records, %d events: %s\n",
			s, found.Entries, found.Files, found.Bytes, found.Records, found.Events,
			proved(len(found.Problems), "an unbroken chain, each file as it was written, "+
				"no offset twice or unaccounted for"))
		for _, p := range found.Problems {
			problems = append(problems,
				fmt.Sprintf("journal of %s, entry %d: %s", s, p.Entry, p.Text))
		}
		if len(found.Problems) > 0 {
			continue // a damaged journal is not counted against the broker
		}
		for _, g := range found.Gaps {
			in.out.Printf("gap      %s: offsets %d to %d were accepted as missing: %s\n", g.Stream,
				g.From, g.To-1, g.Reason)
		}
		j, err := sinks.OpenJournal(ctx, in.internal, s)
		if err != nil {
			return nil, err
		}
		more, err := in.recount(ctx, cl, s, j)
		if err != nil {
			return nil, err
		}
		problems = append(problems, more...)
	}
	return problems, nil
}

// proved is what a check came to.
func proved(differences int, fact string) string {
	if differences == 0 {
		return fact
	}
	return fmt.Sprintf("%d differences, named below", differences)
}

// recount reads again what the broker still holds of what was journalled, and compares the counts.
func (in *installation) recount(ctx context.Context, cl *cluster, s schemas.System,
	j *sinks.Journal) ([]string, error) {
	topics, err := cl.topics(ctx, in, s)
	if err != nil {
		return nil, err
	}
	r := recounting{cl: cl, at: j.Progress(), published: map[schemas.Stream]int64{},
		first: map[schemas.Stream]int64{}}
	for _, name := range topics {
		if err := r.topic(ctx, name); err != nil {
			return nil, err
		}
	}
	journalled := map[schemas.Stream]int64{}
	err = j.Scan(ctx, -1, j.Version(), sinks.Want{Raw: true}, func(row *schemas.Row) error {
		if first, ok := r.first[row.Stream]; ok && row.Offset >= first && row.Generation == 0 {
			journalled[row.Stream]++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var problems []string
	var total int64
	for stream, n := range r.published {
		total += n
		if journalled[stream] != n {
			problems = append(problems, fmt.Sprintf(
				"stream %s: the broker has %d records up to offset %d, the journal %d",
				stream, n, r.at[stream].Next, journalled[stream]))
		}
	}
	in.out.Printf("source   %s: %d records that the broker still holds: %s\n", s, total,
		proved(len(problems), "each is in the journal, once"))
	return problems, nil
}

// recounting counts the records that the broker holds before the journal's positions.
type recounting struct {
	cl        *cluster
	at        map[schemas.Stream]sinks.Position
	published map[schemas.Stream]int64
	first     map[schemas.Stream]int64
}

func (r *recounting) topic(ctx context.Context, name string) error {
	t, err := r.cl.Topic(ctx, name)
	if err != nil {
		return err
	}
	for p := range t.Partitions {
		stream := schemas.NewStream(r.cl.ClusterID(), name, p)
		first, _, err := r.cl.Bounds(ctx, name, p)
		if err != nil {
			return err
		}
		r.first[stream] = first
		if err := r.partition(ctx, name, p, stream); err != nil {
			return err
		}
	}
	return nil
}

func (r *recounting) partition(ctx context.Context, name string, p int,
	stream schemas.Stream) error {
	f := kafka.NewFetcher(r.cl.Client, []kafka.Assignment{{Topic: name, Partition: p,
		Next: r.first[stream]}}, kafka.FetchOptions{})
	end := r.at[stream].Next
	for next := r.first[stream]; next < end; {
		chunks, err := f.Poll(ctx)
		if err != nil {
			return err
		}
		for _, ch := range chunks {
			if ch.Err != nil {
				return ch.Err
			}
			for _, rec := range ch.Records {
				if rec.Offset < end {
					r.published[stream]++
				}
			}
			next = ch.Next
		}
	}
	return nil
}

// auditTables checks the certificates and folds every table anew.
func (in *installation) auditTables(ctx context.Context, codes []sinks.ControlCode,
) ([]string, error) {
	report, err := sinks.Audit(ctx, sinks.AuditDeps{
		Tables: in.delivered, State: in.internal, Journal: sinks.JournalEvents(in.internal),
		Datasets: in.datasets, Refold: in.refold,
		Codes: codes,
	}, nil)
	if err != nil {
		return nil, err
	}
	in.out.Printf("tables   %d units: %d certificates, %d tables with %d files, "+
		"%d files of close state (%d bytes): %s\n", report.Units, report.Certificates,
		report.Tables, report.Files, report.StateFiles, report.Bytes,
		proved(report.Stored, "unbroken chains, each version and file as a certificate names it"))
	in.out.Printf("rows     %d units made anew from their journals: %d rows in tables, "+
		"%d days' states and counts: %s\n", report.Refolded, report.Rows, report.Days,
		proved(len(report.Problems)-report.Stored, "the same as in the newest certificates"))
	for _, o := range report.Open {
		in.out.Printf("open     %s\n", o)
	}
	return report.Problems, nil
}

// refold gives the audit room of its own beside the scratch files; it holds personal data and is
// removed at the end.
func (in *installation) refold(context.Context) (store.Store, sinks.Engine, func() error, error) {
	room := filepath.Join(in.cfg.Dir, scratchName)
	if err := os.MkdirAll(room, 0o700); err != nil {
		return nil, nil, nil, fmt.Errorf("make room: %w", err)
	}
	dir, err := os.MkdirTemp(room, "audit-")
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make room: %w", err)
	}
	done := func() error { return os.RemoveAll(dir) }
	fresh, err := store.OpenScratch(dir)
	if err != nil {
		return nil, nil, nil, errors.Join(err, done())
	}
	engine, err := in.engine(fresh, fresh)
	return fresh, engine, done, err
}
