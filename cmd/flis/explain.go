package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain KOMMUNE DATASET KEY",
		Short: "Where each row of a key is from: event, record, file",
		Long: `explain goes the way back. For each row of a key, delivered or replaced, it tells the
event that the row is from, the record that held the event (stream and offset), and the file and
unit that the record was, with what was found wrong with it; then every other statement on the
key and why it holds no row. It reads the whole journal of the systems concerned, each file's
SHA-256 checked first.

KEY is the value of the dataset's key column; of several columns, their values in order with
commas between, dates as yyyy-mm-dd. Files are named by the beginning of their SHA-256
(sha256sum FILE).`,
		Example: `  flis show 0101 borger.adresse --dir flis-demo --table historik
  flis explain 0101 borger.adresse --dir flis-demo $(flis show 0101 borger.adresse \
    --dir flis-demo --table historik --format csv | sed -n 2p | cut -d, -f2)`,
		Args: cobra.ExactArgs(3),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			return quiet(in.explain(c.Context(), args[0], args[1], args[2]))
		},
	}
}

// explain prints rows, then where they are from. A key may be a personal number: no error repeats
// it.
func (in *installation) explain(ctx context.Context, kommune, dataset, text string) error {
	h, err := in.hold(ctx, kommune, dataset, 0)
	if err != nil {
		return err
	}
	key, err := parseKey(h.dataset, text)
	if err != nil {
		return err
	}
	rows, err := in.rowsOf(ctx, h, key)
	if err != nil {
		return in.damaged(err)
	}
	t, err := in.trace(ctx, h, key)
	if err != nil {
		return err
	}
	if len(rows) == 0 && len(t.statements) == 0 {
		return fmt.Errorf("explain: %s of %s has no row of the key, "+
			"and no statement on it was ever journalled",
			h.dataset.Name, h.unit.Kommune)
	}
	return in.printTrace(in.out.OutOrStdout(), h, rows, t)
}

// parseKey turns the key of the command line into that of the journal.
func parseKey(ds *schemas.Dataset, text string) (string, error) {
	if text == "" {
		return "", usage("the key of %s is %s: it cannot be empty", ds.Name,
			strings.Join(ds.Key, ", "))
	}
	if len(ds.Key) == 1 {
		return text, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) != len(ds.Key) {
		return "", usage("the key of %s has %d columns: give them as %s", ds.Name, len(ds.Key),
			strings.ToUpper(strings.Join(ds.Key, ",")))
	}
	return strings.Join(parts, schemas.KeySeparator), nil
}

// deliveredRow is one row of the key: by column, and the dataset's own columns as "name=value".
type deliveredRow struct {
	text  []string
	cells map[string]sinks.Cell
}

// day is the value of a column of days, none where it is null.
func (r *deliveredRow) day(name string, none schemas.Day) schemas.Day {
	if c := r.cells[name]; !c.Null {
		return schemas.Day(c.Int)
	}
	return none
}

// rowsOf is every row of a key, replaced ones too. A key that has very many is cut off with an
// error.
func (in *installation) rowsOf(ctx context.Context, h *holding, key string) ([]deliveredRow,
	error) {
	o := sinks.ReadOptions{Certificate: h.certificate.Number, History: true, Key: &key,
		Scratch: in.cfg.Dir}
	columns := sinks.DeliveredColumns(h.dataset)
	var rows []deliveredRow
	err := sinks.ReadRows(ctx, in.delivered, h.dataset, h.unit, o, func(cells []sinks.Cell) error {
		if len(rows) == traceMax {
			return errTraceMax
		}
		r := deliveredRow{cells: map[string]sinks.Cell{}}
		for i := range cells {
			r.cells[columns[i].Name] = cells[i]
			if !cells[i].Null && i > 0 && i <= len(h.dataset.Columns) {
				r.text = append(r.text, columns[i].Name+"="+printable(cellText(&cells[i],
					&columns[i])))
			}
		}
		rows = append(rows, r)
		return nil
	})
	return rows, err
}

// printTrace marks each statement that a row is from, and prints those that are left.
func (in *installation) printTrace(out io.Writer, h *holding, rows []deliveredRow, t *trace) error {
	fmt.Fprintf(out, "%s\n", in.heading(h))
	for i := range rows {
		r := &rows[i]
		system := schemas.System(r.cells["kilde_system"].Text)
		fmt.Fprintf(out, "\nrow %d   gyldig %s, %s, from %s\n", i+1,
			interval(r.day("gyldig_fra", schemas.Always), r.day("gyldig_til", schemas.Open)),
			knownText(r), system)
		fmt.Fprintf(out, "  data    %s\n", strings.Join(r.text, " "))
		s := t.origin(system, r.cells["haendelse_id"].Text, r.day("gyldig_fra", schemas.Always),
			r.cells["registreret_til"].Null)
		if s == nil {
			fmt.Fprintf(out, "  event   %s: not in the journal of %s; run flis audit\n",
				printable(r.cells["haendelse_id"].Text), system)
			continue
		}
		s.holds = true
		t.print(out, s)
		if !r.cells["registreret_til"].Null {
			fmt.Fprintf(out, "  since   %s\n", t.why(s))
		}
	}
	return t.printOthers(out)
}

// knownText is the time in which we knew the row.
func knownText(r *deliveredRow) string {
	if gone := r.cells["registreret_til"]; !gone.Null {
		return fmt.Sprintf("replaced (known from %s until %s)",
			r.day("registreret_fra", schemas.Always),
			schemas.Day(gone.Int))
	}
	return "known since " + r.day("registreret_fra", schemas.Always).String()
}

// interval is "2026-01-01 to open".
func interval(from, to schemas.Day) string {
	a, b := from.String(), to.String()
	if a == "" {
		a = "always"
	}
	if b == "" {
		b = "open"
	}
	return a + " to " + b
}

// unitID is the event id that a feed makes: the file's SHA-256 and the unit's number, or a line's.
var unitID = regexp.MustCompile(`\|([0-9a-f]{64})-(linje-)?([0-9]+)$`)

// fileText names the file and unit that a record was, or the event of a vendor that sent it itself.
func fileText(eventID string) string {
	m := unitID.FindStringSubmatch(eventID)
	switch {
	case m == nil:
		return "sent by the source as " + printable(eventID)
	case m[2] != "":
		return fmt.Sprintf("%s, line %s", m[1][:12], m[3])
	}
	return fmt.Sprintf("%s, unit %s", m[1][:12], m[3])
}
