// Command flis takes the deliveries of municipal source systems to every municipality's tables.
//
// Each verb has a file of its own; wire.go puts the parts together; config.go is the only user of
// viper. Exit codes: 0 done, 1 the world is wrong, 2 usage, 3 bad records found,
// 4 flis diff found differences.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
)

// Exit codes.
const (
	exitDone  = 0
	exitWorld = 1
	exitUsage = 2
	exitBad   = 3
	exitOther = 4
)

// memoryLimit is what the program keeps to, by collecting garbage more often when it comes near it
// (1 GiB is promised for any batch; what Go does not count has its room between the two).
// GOMEMLIMIT takes its place.
const memoryLimit = 768 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is a whole call of the program.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if text := err.Error(); text != "" {
		if errors.Is(err, syscall.ENOSPC) {
			text += ": the disk is full; make room and give the command again, it goes on where it stopped"
		}
		fmt.Fprintln(errOut, "flis: "+text)
	}
	var code *exitError
	var refused *schemas.Finding // what was sent to us is bad, not the world
	switch {
	case errors.As(err, &code):
		return code.code
	case errors.As(err, &refused):
		return exitBad
	}
	return exitWorld
}

// exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// badRecords ends a verb that found bad records; what is to be said has been said.
func badRecords() error { return &exitError{code: exitBad} }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "flis",
		Short: "Municipal source systems' events to standard tables, every day",
		Long: `flis takes what municipal source systems and CPR deliver, checks and normalises it into one standard
model, and closes every day into tables per municipality that can be proved complete.

Begin with:      flis demo
Your own:        flis init && flis feed cpr FILE && flis run --once && flis status

Exit codes: 0 done, 1 the world is wrong, 2 usage, 3 bad records found, 4 differences (flis diff).`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	configFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w; see %s --help", err, c.CommandPath())
	})
	root.AddCommand(
		demoCommand(),
		initCommand(),
		feedCommand(),
		runCommand(),
		normaliseCommand(),
		closeCommand(),
		publishCommand(),
		followCommand(),
		showCommand(),
		diffCommand(),
		explainCommand(),
		checkCommand(),
		parkedCommand(),
		replayCommand(),
		statusCommand(),
		journalCommand(),
		approveCommand(),
		auditCommand(),
		codesCommand(),
		doctorCommand(),
		generateCommand(),
	)
	for _, c := range append(root.Commands(), root) {
		c.Args = usageArgs(c.Args)
	}
	return root
}

// usageArgs makes a wrong number of arguments a matter of usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(c, args); err != nil {
			return usage("%w; see %s --help", err, c.CommandPath())
		}
		return nil
	}
}
