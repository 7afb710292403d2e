package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/streams/kafka"
)

// trimEvery is the number of journal entries between two trims of the embedded broker.
const trimEvery = 20

// closeEvery is how often it is looked which units are to be closed.
const closeEvery = 15 * time.Second

func runCommand() *cobra.Command {
	var once bool
	var gap, accept string
	c := &cobra.Command{
		Use:   "run",
		Short: "Normalise, close and publish, in one process",
		Long: `run takes what has been published into the journal, closes every municipality and area as far as it can be
closed, and brings the curated topics of subscribers (flis publish) to what the certificates say. With --once it ends when
everything that is there has been worked through; else it goes on until it is stopped.
It may be killed at any moment: the next run goes on exactly where the journal and the certificates stand.`,
		Example: `  flis run --once
  flis status`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := openInstallation(c)
			if err != nil {
				return err
			}
			in.gap, in.accept = gap, accept
			in.warnDefault()
			return in.onBroker(c.Context(), func(cl *cluster) error {
				if once {
					return in.runOnce(c.Context(), cl)
				}
				return in.runOn(c.Context(), cl)
			})
		},
	}
	c.Flags().
		BoolVar(&once, "once", false, "end when everything that is there has been worked through")
	gapFlag(c, &gap)
	acceptFlag(c, &accept)
	return c
}

// acceptFlag is the explicit way past the breaker (invariant 8).
func acceptFlag(c *cobra.Command, reason *string) {
	c.Flags().StringVar(reason, "accept-parked", "",
		"go on where a change of ours parks so many records that their stream is stopped, for the "+
			"reason given; the journal keeps it")
}

// gapFlag is the only way past records that the broker no longer has (invariant 4).
func gapFlag(c *cobra.Command, gap *string) {
	c.Flags().StringVar(gap, "gap", "",
		"go past records that the broker no longer has, for the reason given; the journal and audit name the gap")
}

// warnDefault says that an installation has no agreements file.
func (in *installation) warnDefault() {
	if in.cfg.Agreements == "" {
		in.out.Println("no agreements file: CPR is taken for all 98 municipalities, and nothing else " +
			"(flis init writes one)")
	}
}

func (in *installation) runOnce(ctx context.Context, cl *cluster) error {
	err := in.normaliseAll(ctx, cl, true)
	var stop *sinks.BreakerError
	if err != nil && !errors.As(err, &stop) {
		return err
	}
	closer, cerr := in.newCloser()
	if cerr != nil {
		return errors.Join(err, cerr)
	}
	// a stopped stream stops no other
	if err := errors.Join(err, in.closeRound(ctx, closer, nil)); err != nil {
		return err
	}
	units, err := in.subscribed("", "")
	if err != nil {
		return err
	}
	return in.publish(ctx, cl, units, nil)
}

// runOn normalises, closes and publishes side by side until ctx ends or one of them fails.
func (in *installation) runOn(ctx context.Context, cl *cluster) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 3)
	go in.upkeepOn(ctx)
	go func() { done <- in.normaliseAll(ctx, cl, false) }()
	go func() { done <- in.closeOn(ctx, nil) }()
	go func() { done <- in.publishOn(ctx, cl) }()
	err := stopped(<-done)
	stop()
	return errors.Join(err, stopped(<-done), stopped(<-done))
}

// stopped is nil where a verb was told to end.
func stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// normaliseAll works on every system that an agreement names, side by side. A system whose stream
// stops (a hole, a topic made anew) stops no other.
func (in *installation) normaliseAll(ctx context.Context, cl *cluster, once bool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	systems, err := in.sending(ctx, cl)
	if err != nil {
		return err
	}
	done := make(chan error, len(systems))
	for _, s := range systems {
		go func() { done <- in.normalise(ctx, cl, s, nil, once) }()
	}
	var failed []error
	for range systems {
		err := <-done
		if err == nil || ctx.Err() != nil && len(failed) > 0 {
			continue
		}
		failed = append(failed, err)
		if errors.Is(err, kafka.ErrUnreachable) || errors.Is(err, syscall.ENOSPC) {
			stop() // of all systems: one line says it
		} else if !once {
			in.out.PrintErrf("flis: %v (the other systems go on)\n", err)
		}
	}
	return errors.Join(failed...)
}

// normalise takes a system's topics, or the partitions of them that are given, into its journal.
func (in *installation) normalise(
	ctx context.Context,
	cl *cluster,
	s schemas.System,
	only map[string][]int,
	once bool,
) error {
	topics, err := cl.topics(ctx, in, s)
	if err != nil {
		return err
	}
	journal, err := sinks.OpenJournal(ctx, in.internal, s)
	if err != nil {
		return err
	}
	sus, err := sinks.OpenSuspects(filepath.Join(in.cfg.Dir, suspectsName, string(s)))
	if err != nil {
		return err
	}
	defer sus.Close()
	n := in.normaliser(ctx, cl, s, journal, &source{cl: cl, topics: topics, only: only})
	if !once { // else it is the verb's error
		n.Stopped = func(e *streams.StoppedError) {
			in.out.PrintErrf("flis: %v (the other streams go on)\n", e)
		}
	}
	n.Suspects = suspects{sus}
	for {
		err := n.Run(ctx, once)
		var hole *kafka.HoleError
		var moved *movedError
		switch {
		case in.gap != "" && errors.As(err, &hole):
			stream := schemas.NewStream(cl.ClusterID(), hole.Topic, hole.Partition)
			err = in.acceptGap(ctx, journal, stream, hole.LogStart)
		case in.gap != "" && errors.As(err, &moved):
			err = nil
			// what it had beyond is not known: one offset stands for it
			for stream, next := range moved.left {
				err = errors.Join(err, in.acceptGap(ctx, journal, stream, next+1))
			}
		default:
			return errors.Join(err, cl.trim(ctx, journal.Progress()))
		}
		if err != nil {
			return err
		}
	}
}

// acceptGap records that a stream's offsets before to are missing, and why it goes on all the same.
func (in *installation) acceptGap(
	ctx context.Context,
	j *sinks.Journal,
	stream schemas.Stream,
	to int64,
) error {
	from := j.Progress()[stream].Next
	if err := j.CommitGap(ctx, writerID(), stream, from, to, in.gap); err != nil {
		return err
	}
	in.out.Printf("gap recorded: %s offsets %d to %d are missing\n", stream, from, to-1)
	return nil
}

func (in *installation) normaliser(
	ctx context.Context,
	cl *cluster,
	s schemas.System,
	journal *sinks.Journal,
	src streams.Source,
) *streams.Normaliser {
	return &streams.Normaliser{
		System: s,
		Source: src,
		Sink:   journalSink{journal: journal, writer: writerID(), accept: in.accept},
		Judge:  in.catalog.Judge,
		Park:   in.catalog.Park,
		Clock:  in.clock,
		Progress: func(records, entries int64) {
			in.out.Printf("normalised %s: %d records in %d journal entries\n", s, records, entries)
			if entries%trimEvery == 0 {
				_ = cl.trim(ctx, journal.Progress()) // what stays now is removed by a later one
			}
		},
	}
}

// closeOn closes round after round until ctx ends: first every unit, then those that are due.
func (in *installation) closeOn(ctx context.Context, units []schemas.Unit) error {
	closer, err := in.newCloser()
	if err != nil {
		return err
	}
	pace := sinks.NewPace(closer, units)
	for {
		due, err := pace.Due(ctx, in.clock())
		if err != nil {
			return err
		}
		if len(due) > 0 {
			err = in.closeUnits(ctx, closer, due)
		}
		in.closeShadows(ctx, units)
		if err != nil {
			return err
		}
		t := time.NewTimer(closeEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

// closeRound closes once what is delivered, and the shadows.
func (in *installation) closeRound(
	ctx context.Context,
	closer *sinks.Closer,
	units []schemas.Unit,
) error {
	err := in.closeUnits(ctx, closer, units)
	in.closeShadows(ctx, units)
	return err
}

// closeUnits closes once (none = all) and says what came of it. A unit that fails stops no other.
func (in *installation) closeUnits(
	ctx context.Context,
	closer *sinks.Closer,
	units []schemas.Unit,
) error {
	report, err := closer.Round(ctx, in.clock(), units)
	if err != nil {
		return err
	}
	if n := len(report.Closed); n > 0 {
		in.out.Printf("closed %d units\n", n)
	}
	in.waits(report)
	return failures(report.Failed)
}

// failures is one error for units that failed for one reason, and one for all when the disk is
// full.
func failures(failed map[schemas.Unit]error) error {
	units := slices.SortedFunc(maps.Keys(failed), func(a, b schemas.Unit) int {
		return strings.Compare(a.String(), b.String())
	})
	byText := map[string][]schemas.Unit{}
	for _, u := range units {
		if errors.Is(failed[u], syscall.ENOSPC) {
			return fmt.Errorf("close %s: %w", u, failed[u])
		}
		byText[failed[u].Error()] = append(byText[failed[u].Error()], u)
	}
	var all []error
	for _, u := range units {
		same := byText[failed[u].Error()]
		switch {
		case same[0] != u:
		case len(same) > 1:
			all = append(all, fmt.Errorf("close %s and %d more units: %w", u, len(same)-1, failed[u]))
		default:
			all = append(all, fmt.Errorf("close %s: %w", u, failed[u]))
		}
	}
	return errors.Join(all...)
}
