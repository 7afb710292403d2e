package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

func statusCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "status",
		Short: "What is closed, what is missing, what is parked, and how far behind",
		Long: `status prints a line for each municipality and area, as its newest certificate proves it:
the newest day of delivery, the day's state, rows and parked records; then what each day of the
last two months lacks; then, for each system, how many published records are not journalled yet.
The JSON also tells how many entries of the journals came since each certificate.

States: foreloebig (provisional: a source is not proven yet), lukket (complete and proven),
lukket_med_forbehold (the deadline has passed, or more came than was sealed; what is missing is
named). "revideret n": late rows changed the day n times after it was closed.

A line "venter" names a close that would end so many open rows that it waits for flis approve;
"ufuldstaendigt" snapshots of which not all members have landed, which so have no effect yet.`,
		Example: `  flis status --dir flis-demo
  flis status --dir flis-demo --format json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "table" && format != "json" {
				return usage("--format %q: want table or json", format)
			}
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			return in.printStatus(c.Context(), format)
		},
	}
	c.Flags().StringVar(&format, "format", "table", "table or json")
	return c
}

// unitStatus is a line of status: sinks.UnitStatus in Danish.
type unitStatus struct {
	Kommune     schemas.Kommunekode      `json:"kommunekode"`
	Area        schemas.Area             `json:"omraade"`
	Certificate int64                    `json:"bevis"`
	Day         string                   `json:"leverance"` // newest day with a state
	State       string                   `json:"tilstand"`  // of that day
	Days        map[string]dayStatus     `json:"dage"`      // that lack something or were revised
	Rows        int64                    `json:"raekker"`
	Parked      int64                    `json:"parkeret"`
	UnderWay    bool                     `json:"under_lukning"` // a close is begun and not finished
	Lag         map[schemas.System]int64 `json:"nye_indgange"`  // of the journals since then
	Waits       []waitStatus             `json:"venter"`        // for flis approve
	// snapshots without effect so far, as "table: scopes"
	Incomplete []string `json:"ufuldstaendige_snapshots"`
}

type dayStatus struct {
	State   string   `json:"tilstand"`
	Revised int64    `json:"revideret"`
	Missing []string `json:"mangler"`
}

// streamStatus is how far a system's journal is behind its topics.
type streamStatus struct {
	System  schemas.System `json:"system"`
	Entries int64          `json:"journalindgange"`
	Behind  int64          `json:"ikke_journaliseret"`
	Problem string         `json:"problem,omitempty"`
}

func (in *installation) printStatus(ctx context.Context, format string) error {
	units, err := in.unitStatuses(ctx)
	if err != nil {
		return err
	}
	systems, err := in.streamStatuses(ctx)
	if err != nil {
		return err
	}
	if format == "json" {
		enc := json.NewEncoder(in.out.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(map[string]any{"enheder": units, "systemer": systems})
	}
	return in.statusTable(units, systems)
}

func (in *installation) unitStatuses(ctx context.Context) ([]unitStatus, error) {
	found, err := sinks.Status(ctx, in.delivered, in.agreements,
		sinks.JournalEvents(in.internal), nil)
	if err != nil {
		return nil, err
	}
	all := make([]unitStatus, len(found))
	for i := range found {
		all[i] = statusOf(&found[i])
	}
	return all, nil
}

func statusOf(u *sinks.UnitStatus) unitStatus {
	s := unitStatus{Kommune: u.Unit.Kommune, Area: u.Unit.Area, State: u.State, Rows: u.Rows,
		Parked: u.Parked, UnderWay: u.UnderWay, Lag: u.Lag, Days: map[string]dayStatus{},
		Waits: waitsOf(u.Held), Incomplete: []string{}}
	if u.Certificate == nil {
		s.State = "intet bevis"
		return s
	}
	s.Certificate = u.Certificate.Number
	s.Incomplete = append(s.Incomplete, u.Certificate.Incomplete...)
	if u.Day != schemas.Always {
		s.Day = u.Day.String()
	}
	for _, d := range u.Days {
		s.Days[d.Day.String()] = dayStatus{d.State, d.Revised, append([]string{}, d.Missing...)}
	}
	return s
}

// streamStatuses asks the broker where it answers; status works without one.
func (in *installation) streamStatuses(ctx context.Context) ([]streamStatus, error) {
	journals, err := in.journals(ctx)
	if err != nil {
		return nil, err
	}
	cl, dialErr := in.connect(ctx)
	if dialErr == nil {
		defer cl.Close()
	}
	var all []streamStatus
	for _, s := range slices.Sorted(maps.Keys(journals)) {
		st := streamStatus{System: s, Entries: journals[s].Version() + 1}
		err := dialErr
		if err == nil {
			st.Behind, err = in.behind(ctx, cl, s, journals[s])
		}
		if err != nil {
			st.Problem = err.Error()
		}
		all = append(all, st)
	}
	return all, nil
}

// behind counts the offsets that are published and not journalled.
func (in *installation) behind(ctx context.Context, cl *cluster, s schemas.System,
	j *sinks.Journal) (int64, error) {
	topics, err := cl.topics(ctx, in, s)
	if err != nil {
		return 0, err
	}
	at := j.Progress()
	var n int64
	for _, name := range topics {
		t, err := cl.Topic(ctx, name)
		if err != nil {
			return 0, err
		}
		for p := range t.Partitions {
			_, end, err := cl.Bounds(ctx, name, p)
			if err != nil {
				return 0, err
			}
			n += max(0, end-at[schemas.NewStream(cl.ClusterID(), name, p)].Next)
		}
	}
	return n, nil
}

func (in *installation) statusTable(units []unitStatus, systems []streamStatus) error {
	w := tabwriter.NewWriter(in.out.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KOMMUNE\tNAVN\tOMRAADE\tBEVIS\tLEVERANCE\tTILSTAND\tRAEKKER\tPARKERET")
	closed := 0
	for _, u := range units {
		if u.Certificate == 0 {
			continue
		}
		closed++
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%d\t%d\n", u.Kommune, in.kommuneName(u.Kommune),
			u.Area, u.Certificate, u.Day, u.State, u.Rows, u.Parked)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if n := len(units) - closed; n > 0 {
		in.out.Printf("%d more units have an agreement and nothing delivered yet\n", n)
	}
	in.remarks(units)
	for _, s := range systems {
		switch {
		case s.Problem != "":
			in.out.Printf("system     %s: %d journal entries; %s\n", s.System, s.Entries, s.Problem)
		default:
			in.out.Printf("system     %s: %d journal entries, %d published records not journalled yet\n",
				s.System, s.Entries, s.Behind)
		}
	}
	return nil
}

// remarks names what the table of states cannot: what days lack, and which were changed by late
// rows.
func (in *installation) remarks(units []unitStatus) {
	for _, u := range units {
		for _, day := range slices.Sorted(maps.Keys(u.Days)) {
			d := u.Days[day]
			for _, m := range d.Missing {
				in.out.Printf("mangler    %s %s  %s %s  %s\n", u.Kommune, u.Area, day, d.State, m)
			}
			if d.Revised > 0 {
				in.out.Printf("revideret  %s %s  %s %s  %d\n", u.Kommune, u.Area, day, d.State,
					d.Revised)
			}
		}
		for _, x := range u.Incomplete {
			in.out.Printf("ufuldstaendigt %s %s  snapshots of %s: members are missing, no effect yet\n",
				u.Kommune, u.Area, x)
		}
		for _, w := range u.Waits {
			in.out.Printf("venter     %s %s  %s\n", u.Kommune, u.Area, w.text(u.Kommune, u.Area))
		}
		if u.UnderWay {
			in.out.Printf("begyndt    %s %s  a close is not finished: the next one goes on with it\n",
				u.Kommune, u.Area)
		}
	}
}

// kommuneName is the municipality's name today.
func (in *installation) kommuneName(k schemas.Kommunekode) string {
	e, _ := in.lists.Lookup("kommune", string(k), schemas.Open)
	return e.Name
}
