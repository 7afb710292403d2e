package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

type approval struct {
	unit       schemas.Unit
	list       string
	digest     string
	by, reason string
}

func approveCommand() *cobra.Command {
	var a approval
	c := &cobra.Command{
		Use:   "approve KOMMUNE AREA",
		Short: "Show a mass end that waits, and let it happen",
		Long: `approve shows what a close would end that waits: a close in which more of a table's open rows would end than
guard in flis.yaml lets pass (more than 2 percent, and at least 100) does not happen by itself. The tables stay as they were,
and the days that wait become lukket_med_forbehold at their deadline.

If it is a mistake of the vendor, have a whole snapshot or corrected records sent: when they are in, nothing waits any
more. If it is right, approve it: with the digest that is shown, your name and the reason. The next close then goes on, and
its certificate names the approval. It covers the rows on the list and no others: what ends besides waits anew.

--list prints the keys of the rows of one table, which may be personal numbers, each with the day until which it is
left (none: it goes altogether).`,
		Example: `  flis approve 0101 aeldre --dir flis-demo`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			units, err := in.units(args[0], args[1])
			if err != nil {
				return err
			}
			a.unit = units[0]
			return in.approve(c.Context(), &a)
		},
	}
	c.Flags().StringVar(&a.list, "list", "", "print the keys of this table, as visiteret_tid")
	c.Flags().StringVar(&a.digest, "digest", "", "approve what was shown with this digest")
	c.Flags().StringVar(&a.by, "by", "", "who approves")
	c.Flags().StringVar(&a.reason, "reason", "", "why it is right")
	return c
}

// check wants all or nothing of what an approval needs.
func (a *approval) check() error {
	a.by, a.reason = strings.TrimSpace(a.by), strings.TrimSpace(a.reason)
	given := a.digest != "" || a.by != "" || a.reason != ""
	switch {
	case given && (a.digest == "" || a.by == "" || a.reason == ""):
		return usage("an approval needs --digest, --by and --reason")
	case given && a.list != "":
		return usage("--list shows, --digest approves: give one of the two")
	case len(a.by) > 100 || len(a.reason) > 1000 || strings.ContainsAny(a.by+a.reason, "\n\r\t"):
		return usage("--by and --reason: want one line each, of at most 100 and 1000 characters")
	}
	return nil
}

func (in *installation) approve(ctx context.Context, a *approval) error {
	if err := a.check(); err != nil {
		return err
	}
	c, err := sinks.Head(ctx, in.delivered, a.unit)
	if err != nil {
		return err
	}
	if a.digest != "" {
		return in.writeApproval(ctx, a)
	}
	if c == nil || c.Held == nil {
		in.out.Printf("%s: nothing waits for approval\n", a.unit)
		return nil
	}
	if a.list != "" {
		return in.listEnds(ctx, a, c.Held)
	}
	in.showEnds(a, c)
	return nil
}

func (in *installation) writeApproval(ctx context.Context, a *approval) error {
	now := schemas.InstantOf(in.clock())
	is, err := sinks.Approve(ctx, in.delivered, a.unit, a.digest,
		sinks.Approval{By: a.by, Reason: a.reason, At: now})
	if err != nil {
		return err
	}
	if is.By != a.by || is.Reason != a.reason {
		in.out.Printf("%s: approved already, by %s: %s\n", a.unit, is.By, is.Reason)
		return nil
	}
	in.out.Printf("%s: approved what certificate %d says would end; the next close goes on\n",
		a.unit, is.Number)
	return nil
}

// showEnds says what would end and why, without keys.
func (in *installation) showEnds(a *approval, c *sinks.Certificate) {
	h := c.Held
	in.out.Printf("%s %s waits since certificate %d (now %d); deliveries not in the tables: %s\n",
		a.unit.Kommune, a.unit.Area, h.Since, c.Number, strings.Join(h.Days, ", "))
	for _, e := range h.Ends {
		in.out.Printf("\n%s  %s  %d of %d open rows would end\n", e.Dataset, e.System, e.Ended, e.Open)
		for _, x := range e.Causes {
			in.out.Printf("  %d by %s of delivery %s%s\n", x.Rows, x.Op, x.Leverance, causeName(x))
		}
	}
	in.out.Printf("\npositions  ")
	for _, s := range slices.Sorted(maps.Keys(c.Accounts)) {
		at := int64(-1)
		if p, ok := c.Points[s]; ok {
			at = p.Version
		}
		in.out.Printf("%s: tables stay at journal entry %d, seen up to %d  ", s, at,
			c.Accounts[s].Version)
	}
	digest := h.Digest()
	in.out.Printf("\ndigest     %s\n\nkeys:     flis approve %s %s --list %s\n", digest,
		a.unit.Kommune, a.unit.Area, h.Ends[0].Dataset.Short())
	in.out.Printf("approve:  flis approve %s %s --digest %.12s --by \"NAME\" --reason \"TEXT\"\n",
		a.unit.Kommune, a.unit.Area, digest)
}

func causeName(x sinks.EndCause) string {
	s := ""
	if x.Snapshot != "" {
		s += ", snapshot " + x.Snapshot
	}
	if x.File != "" {
		s += fmt.Sprintf(", file %.12s", x.File)
	}
	return s
}

// listEnds prints keys: they are for who asks, and go nowhere else.
func (in *installation) listEnds(ctx context.Context, a *approval, h *sinks.Held) error {
	found := false
	w := bufio.NewWriter(in.out.OutOrStdout())
	for i := range h.Ends {
		e := &h.Ends[i]
		if e.Dataset.Short() != a.list {
			continue
		}
		found = true
		err := sinks.ReadEnds(ctx, in.internal, a.unit, e, func(key, end string) error {
			key = strings.ReplaceAll(key, schemas.KeySeparator, " ")
			_, err := fmt.Fprintf(w, "%s\t%s\t%s\n", e.System, key, end)
			return err
		})
		if err != nil {
			return err
		}
	}
	if !found {
		return usage("--list %s: nothing of that table waits", a.list)
	}
	return w.Flush()
}

// waits says which units wait that did not before.
func (in *installation) waits(r *sinks.Report) {
	units := slices.SortedFunc(maps.Keys(r.Held), func(a, b schemas.Unit) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, u := range units {
		for _, w := range waitsOf(r.Held[u]) {
			in.out.Printf("waits %s: %s\n", u, w.text(u.Kommune, u.Area))
		}
	}
}

// waitStatus is one table's part of a mass end that waits.
type waitStatus struct {
	Dataset schemas.DatasetName `json:"datasaet"`
	System  schemas.System      `json:"system"`
	Ended   int64               `json:"afsluttes"`
	Open    int64               `json:"aabne"`
}

func waitsOf(h *sinks.Held) []waitStatus {
	all := []waitStatus{}
	if h == nil {
		return all
	}
	for _, e := range h.Ends {
		all = append(all, waitStatus{e.Dataset, e.System, e.Ended, e.Open})
	}
	return all
}

func (w *waitStatus) text(k schemas.Kommunekode, a schemas.Area) string {
	return fmt.Sprintf("%s from %s: %d of %d open rows would end: see flis approve %s %s", w.Dataset,
		w.System, w.Ended, w.Open, k, a)
}
