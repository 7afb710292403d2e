package main

import (
	"context"
	"sync"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
)

func normaliseCommand() *cobra.Command {
	var once bool
	var gap, accept string
	c := &cobra.Command{
		Use:   "normalise",
		Short: "Take what has been published into the journal",
		Long: `normalise is the first half of flis run. Any number of copies may work on the same topics: a Kafka consumer group
shares the partitions between them, and the journal takes each record once, whoever brings it. Consumer-group offsets are
never used: where to go on is read from the journal.`,
		Example: `  flis normalise --once`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := openInstallation(c)
			if err != nil {
				return err
			}
			in.gap, in.accept = gap, accept
			in.warnDefault()
			return in.onBroker(c.Context(), func(cl *cluster) error {
				if once || in.cfg.embedded() {
					return stopped(in.normaliseAll(c.Context(), cl, once))
				}
				return stopped(in.normaliseShared(c.Context(), cl))
			})
		},
	}
	c.Flags().BoolVar(&once, "once", false, "end when everything that is there has been journalled")
	gapFlag(c, &gap)
	acceptFlag(c, &accept)
	return c
}

// normaliseShared works on the partitions that the consumer group assigns, system by system, until
// ctx ends.
func (in *installation) normaliseShared(ctx context.Context, cl *cluster) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	systems, err := in.sending(ctx, cl)
	if err != nil {
		return err
	}
	for _, s := range systems {
		topics, err := cl.topics(ctx, in, s)
		if err != nil {
			return err
		}
		all.Go(func() {
			if err := in.follow(ctx, cl, s, topics); err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// follow normalises what each generation of the group assigns; a generation's work ends when the
// group divides anew.
func (in *installation) follow(
	ctx context.Context,
	cl *cluster,
	s schemas.System,
	topics []string,
) error {
	generations, err := cl.Assign(ctx, in.cfg.Kafka.Group+"."+string(s), topics)
	if err != nil {
		return err
	}
	for g := range generations {
		if g.Err != nil {
			return g.Err
		}
		work, end := context.WithCancel(ctx)
		go func() {
			<-g.Done
			end()
		}()
		err := in.normalise(work, cl, s, g.Partitions, false)
		end()
		if err = stopped(err); err != nil {
			return err
		}
	}
	return nil
}
