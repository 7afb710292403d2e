package main

import (
	"cmp"
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
		Long: `status prints a line for each municipality and area: its newest certificate, the day of delivery, the day's state,
rows, parked records, and what the day still lacks; then, for each system, how many published records are not journalled yet.

States: foreloebig (provisional: a source is not proven yet), lukket (complete and proven), lukket_med_forbehold (the deadline
has passed; what is missing is named). "revideret n": late rows changed the day n times after it was closed.`,
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

// unitStatus is a line of status.
type unitStatus struct {
	Kommune     schemas.Kommunekode `json:"kommunekode"`
	Area        schemas.Area        `json:"omraade"`
	Certificate int64               `json:"bevis"`
	Leverance   string              `json:"leverance"`
	State       string              `json:"tilstand"`
	Revised     map[string]int64    `json:"revideret"` // how often late rows changed a closed day, by day
	Rows        int64               `json:"raekker"`
	Parked      int64               `json:"parkeret"`
	Missing     []string            `json:"mangler"`
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
	var all []unitStatus
	for _, u := range in.agreements.Units() {
		c, err := sinks.Head(ctx, in.delivered, u)
		if err != nil {
			return nil, err
		}
		all = append(all, statusOf(u, c))
	}
	return all, nil
}

// statusOf reads a certificate; nil = the unit was never closed.
func statusOf(u schemas.Unit, c *sinks.Certificate) unitStatus {
	s := unitStatus{Kommune: u.Kommune, Area: u.Area, Missing: []string{}, Revised: map[string]int64{}}
	if c == nil {
		s.State = "intet bevis"
		return s
	}
	s.Certificate, s.Leverance = c.Number, c.Leverance
	s.State = cmp.Or(c.Calendar[c.Leverance].State, sinks.Provisional)
	for day, d := range c.Calendar {
		if d.Revised > 0 {
			s.Revised[day] = d.Revised
		}
	}
	for _, t := range c.Tables {
		if t.Current != nil {
			s.Rows += t.Current.Rows
		}
	}
	for _, d := range c.Days {
		for _, src := range d.Sources {
			s.Parked += src.Parked
			for _, m := range src.Missing {
				s.Missing = append(s.Missing, d.Day+" "+string(src.System)+": "+m)
			}
		}
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
	for _, s := range in.systems() {
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
func (in *installation) behind(ctx context.Context, cl *cluster, s schemas.System, j *sinks.Journal) (int64, error) {
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
			u.Area, u.Certificate, u.Leverance, u.State, u.Rows, u.Parked)
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
			in.out.Printf("system     %s: %d journal entries, %d published records not journalled yet\n", s.System,
				s.Entries, s.Behind)
		}
	}
	return nil
}

// remarks names what the table of states cannot: what days lack, and which were changed by late rows.
func (in *installation) remarks(units []unitStatus) {
	for _, u := range units {
		for _, m := range u.Missing {
			in.out.Printf("mangler    %s %s  %s\n", u.Kommune, u.Area, m)
		}
		for _, day := range slices.Sorted(maps.Keys(u.Revised)) {
			in.out.Printf("revideret  %s %s  %s: %d\n", u.Kommune, u.Area, day, u.Revised[day])
		}
	}
}

// kommuneName is the municipality's name today.
func (in *installation) kommuneName(k schemas.Kommunekode) string {
	e, _ := in.lists.Lookup("kommune", string(k), schemas.Open)
	return e.Name
}
