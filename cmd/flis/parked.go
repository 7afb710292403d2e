package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/sinks"
)

func parkedCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "parked",
		Short: "What was parked, and why",
		Long: `parked tells of records that could not be used, or not in full. They are in the
journal, whole, and stop nobody; a day that has one is not lukket. What is to be mended is the
sender's, or a mapping, a code list or an agreement of ours.

The way back: have the record sent again, mended, with the same ce_id. It is then the same event, and
its last record decides: the day no longer waits for it. The parked record stays in the journal, and
in the list, marked "mended since". If the fault was ours, mend the mapping, the code list or the
agreement and give flis parked replay: nobody has to send anything again.`,
		Example: `  flis parked list --dir flis-demo`,
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, verb := range []*cobra.Command{parkedListCommand(), parkedShowCommand(),
		parkedReplayCommand()} {
		verb.Args = usageArgs(verb.Args)
		c.AddCommand(verb)
	}
	return c
}

// parkedFilter narrows a list; "" and nil = everything.
type parkedFilter struct {
	system, kommune, day string
	on                   *schemas.Day
}

func (f *parkedFilter) takes(r *schemas.Row) bool {
	return (f.kommune == "" || string(r.Kommune) == f.kommune) && (f.on == nil || r.Leverance == *f.on)
}

func parkedListCommand() *cobra.Command {
	var f parkedFilter
	c := &cobra.Command{
		Use:   "list",
		Short: "One line for each parked record, or part of one",
		Long: `list prints a line for each parked record: system, stream and offset (a part of a
record has "#" and its ordinal), day of delivery, municipality (0000: the record names no single
one), event id, and what was found: code, field path, rule. No values. "mended since": the event was
sent again under its id, and its last record is not parked. At the end, the counts by code.`,
		Example: `  flis parked list --dir flis-demo
  flis parked list --dir flis-demo --system kmd-nexus --kommune 0101`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if f.on, err = flagDay("--day", f.day); err != nil {
				return err
			}
			if f.kommune != "" {
				if _, err := schemas.ParseKommunekode(f.kommune); err != nil {
					return usage("--kommune: %w", err)
				}
			}
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			return quiet(in.listParked(c.Context(), f))
		},
	}
	c.Flags().StringVar(&f.system, "system", "", "only this system")
	c.Flags().StringVar(&f.kommune, "kommune", "", "only this municipality, four digits")
	c.Flags().StringVar(&f.day, "day", "", "only this day of delivery, yyyy-mm-dd")
	return c
}

func parkedShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show SYSTEM STREAM/OFFSET",
		Short: "One parked record, whole",
		Long: `show prints a parked record as it was received: headers, what was found with how
to mend it, and the value, as JSON by the schema that it was written with, else as hex. It may
hold personal data; nothing of it is kept or logged.

STREAM/OFFSET is what flis parked list prints: topic, partition and offset. Where an
installation has read several clusters, it may begin with the cluster's id, after "--" if that
begins with a hyphen.`,
		Example: `  flis parked list --dir flis-demo
  flis parked show $(flis parked list --dir flis-demo | head -1 | cut -d' ' -f1,3) --dir flis-demo`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			in, err := openExisting(c)
			if err != nil {
				return err
			}
			return quiet(in.showParked(c.Context(), schemas.System(args[0]), args[1]))
		},
	}
}

// journalSystems is every system that may have a journal, or the one that is asked for.
func (in *installation) journalSystems(only schemas.System) ([]schemas.System, error) {
	all := map[schemas.System]bool{}
	for _, s := range slices.Concat(in.catalog.Systems(), in.systems()) {
		all[s] = true
	}
	systems := slices.Sorted(maps.Keys(all))
	switch {
	case only == "":
		return systems, nil
	case !all[only]:
		return nil, usage("system %s: no such system; there are %v", only, systems)
	}
	return []schemas.System{only}, nil
}

// parked: of a record parked in part (its ordinal 0 is delvist_parkeret) the parts are listed.
func parked(r *schemas.Row) bool { return r.Outcome == schemas.Parked }

// listParked reads the journals without values: memory is that of one file.
func (in *installation) listParked(ctx context.Context, f parkedFilter) error {
	systems, err := in.journalSystems(schemas.System(f.system))
	if err != nil {
		return err
	}
	out := in.out.OutOrStdout()
	counts := map[schemas.Code]int64{}
	records := map[place]bool{}
	for _, s := range systems {
		j, err := sinks.OpenJournal(ctx, in.internal, s)
		if err != nil {
			return err
		}
		again, err := replayedSince(ctx, j)
		if err != nil {
			return err
		}
		mended, err := mendedSince(ctx, j, again)
		if err != nil {
			return err
		}
		err = j.Scan(ctx, -1, j.Version(), sinks.Want{Events: true, Raw: true},
			func(r *schemas.Row) error {
				stands := r.Generation == again[placeOf(r)].generation && r.Op != schemas.OpWithdrawn
				if !parked(r) || !stands || !f.takes(r) {
					return nil
				}
				records[placeOf(r)] = mended[r.EventID]
				return parkedLine(out, r, mended[r.EventID], counts)
			})
		if err != nil {
			return err
		}
	}
	return parkedEnd(out, records, counts)
}

// judgedAgain is the last verdict of a replay on a record.
type judgedAgain struct {
	generation int32
	outcome    schemas.Outcome
}

// replayedSince is the records that replays have judged otherwise than before.
func replayedSince(ctx context.Context, j *sinks.Journal) (map[place]judgedAgain, error) {
	again := map[place]judgedAgain{}
	want := sinks.Want{Raw: true, Columns: []string{"stroem", "stroem_offset", "loebenr", "generation",
		"operation", "udfald"}}
	err := j.Scan(ctx, -1, j.Version(), want, func(r *schemas.Row) error {
		if r.Op == schemas.OpRaw && r.Generation > again[placeOf(r)].generation {
			again[placeOf(r)] = judgedAgain{r.Generation, r.Outcome}
		}
		return nil
	})
	return again, err
}

// mendedSince is the events of which a record was parked and the last one was not. It holds the ids
// of parked events only. A record without id is no event.
func mendedSince(ctx context.Context, j *sinks.Journal,
	again map[place]judgedAgain) (map[string]bool, error) {
	mended := map[string]bool{}
	err := j.Scan(ctx, -1, j.Version(), sinks.Want{Raw: true}, func(r *schemas.Row) error {
		if r.Generation > 0 {
			return nil // its verdict counts where the record came
		}
		if x, ok := again[placeOf(r)]; ok {
			r.Outcome = x.outcome
		}
		bad := r.Outcome == schemas.Parked || r.Outcome == schemas.PartlyParked
		_, known := mended[r.EventID]
		if r.Ordinal == 0 && (bad || known) && !strings.HasSuffix(r.EventID, "|") {
			mended[strings.Clone(r.EventID)] = !bad
		}
		return nil
	})
	return mended, err
}

// parkedLine prints one line and counts its findings. How to mend is left to show.
func parkedLine(out io.Writer, r *schemas.Row, mended bool, counts map[schemas.Code]int64) error {
	at := placeOf(r).String()
	if r.Ordinal > 0 {
		at += "#" + strconv.Itoa(int(r.Ordinal))
	}
	var found []string
	for _, f := range parseFindings(r.Finding) {
		counts[f.Code]++
		f.Mend = ""
		found = append(found, printable(f.Error()))
	}
	if mended {
		found = append(found, "mended since")
	}
	_, err := fmt.Fprintf(out, "%s  %s  %s  %s  %s  %s\n", r.System, at, r.Leverance, r.Kommune,
		printable(r.EventID),
		strings.Join(found, findingSeparator))
	return err
}

// parkedEnd prints the counts. A record with several parked parts is one record; true is one that
// has been mended.
func parkedEnd(out io.Writer, records map[place]bool, counts map[schemas.Code]int64) error {
	if len(records) == 0 {
		_, err := fmt.Fprintln(out, "nothing is parked")
		return err
	}
	fmt.Fprintf(out, "\n%s parked", counted(int64(len(records)), "record"))
	mended := 0
	for _, is := range records {
		if is {
			mended++
		}
	}
	if mended > 0 {
		fmt.Fprintf(out, " (%d mended since)", mended)
	}
	for i, c := range slices.Sorted(maps.Keys(counts)) {
		begin := ", "
		if i == 0 {
			begin = ": "
		}
		fmt.Fprintf(out, "%s%s %d", begin, c, counts[c])
	}
	_, err := fmt.Fprintln(out)
	return err
}

// parsePlace reads STREAM/OFFSET; a part's "#n" is passed over.
func parsePlace(text string) (stream string, offset int64, err error) {
	text, _, _ = strings.Cut(text, "#")
	i := strings.LastIndexByte(text, '/')
	if i > 0 {
		offset, err = strconv.ParseInt(text[i+1:], 10, 64)
	}
	if i <= 0 || err != nil || offset < 0 {
		return "", 0, usage("%s: want STREAM/OFFSET as flis parked list prints it: "+
			"raw.<system>.<event>.v1/<partition>/<offset>",
			text)
	}
	return text[:i], offset, nil
}

// showParked finds the record without values, and then reads the one entry that holds it.
func (in *installation) showParked(ctx context.Context, system schemas.System, text string) error {
	stream, offset, err := parsePlace(text)
	if err != nil {
		return err
	}
	if _, err := in.journalSystems(system); err != nil {
		return err
	}
	j, err := sinks.OpenJournal(ctx, in.internal, system)
	if err != nil {
		return err
	}
	fits := func(r *schemas.Row) bool {
		return r.Offset == offset && (string(r.Stream) == stream ||
			strings.HasSuffix(string(r.Stream), "/"+stream))
	}
	entry, err := entryOf(ctx, j, fits)
	if err != nil {
		return err
	}
	if entry < 0 {
		return fmt.Errorf("parked show: the journal of %s has no record %s/%d; "+
			"flis parked list names those that are parked",
			system, stream, offset)
	}
	var rows []schemas.Row
	err = j.Scan(ctx, entry-1, entry, sinks.Want{Events: true, Raw: true, Payload: true},
		func(r *schemas.Row) error {
			if fits(r) && (r.Ordinal == 0 || parked(r)) {
				rows = append(rows, sinks.CloneRow(r))
			}
			return nil
		})
	if err != nil {
		return err
	}
	if rows, err = replayedRows(ctx, j, rows); err != nil {
		return err
	}
	if rows[0].Outcome != schemas.Parked && rows[0].Outcome != schemas.PartlyParked {
		return fmt.Errorf("parked show: the record %s is not parked: %s", placeOf(&rows[0]),
			rows[0].Outcome)
	}
	return in.printParked(in.out.OutOrStdout(), rows)
}

// replayedRows puts the last verdict of a replay in the place of that with which the record came.
func replayedRows(
	ctx context.Context,
	j *sinks.Journal,
	rows []schemas.Row,
) ([]schemas.Row, error) {
	again, err := replayedSince(ctx, j)
	if err != nil {
		return nil, err
	}
	last, ok := again[placeOf(&rows[0])]
	if !ok {
		return rows, nil
	}
	rows = rows[:1]
	err = j.Scan(ctx, -1, j.Version(), sinks.Want{Events: true, Raw: true},
		func(r *schemas.Row) error {
			switch {
			case placeOf(r) != placeOf(&rows[0]) || r.Generation != last.generation ||
				r.Op != schemas.OpRaw:
			case r.Ordinal == 0:
				rows[0].Outcome, rows[0].Finding, rows[0].Kommune = r.Outcome, r.Finding, r.Kommune
			case parked(r):
				rows = append(rows, sinks.CloneRow(r))
			}
			return nil
		})
	return rows, err
}

// entryOf is the journal entry that holds a record, -1 = none.
func entryOf(ctx context.Context, j *sinks.Journal, fits func(*schemas.Row) bool) (int64, error) {
	found := errors.New("found")
	entry := int64(-1)
	err := j.ScanEntries(ctx, -1, j.Version(), sinks.Want{Raw: true},
		func(v int64, r *schemas.Row) error {
			if fits(r) {
				entry = v
				return found
			}
			return nil
		})
	if errors.Is(err, found) {
		err = nil
	}
	return entry, err
}

// printParked prints ordinal 0, which is rows[0], with the findings of the parts that follow.
func (in *installation) printParked(out io.Writer, rows []schemas.Row) error {
	r := &rows[0]
	fmt.Fprintf(out, "system     %s\nrecord     %s (cluster %s)\narrived    %s\n"+
		"leverance  %s\nkommune    %s\noutcome    %s\n", r.System,
		placeOf(r), clusterOf(r.Stream), r.Arrived, r.Leverance, r.Kommune, r.Outcome)
	for i := range rows {
		part := ""
		if rows[i].Ordinal > 0 {
			part = fmt.Sprintf("part %d: ", rows[i].Ordinal)
		}
		for _, f := range parseFindings(rows[i].Finding) {
			fmt.Fprintf(out, "finding    %s%s\n", part, findingText(&f))
		}
	}
	if err := printHeaders(out, r.Headers); err != nil {
		return fmt.Errorf("read headers of %s: %w", placeOf(r), err)
	}
	fmt.Fprintf(out, "key        %s\n", printable(string(r.RawKey)))
	kind, value := in.valueText(r.Payload)
	_, err := fmt.Fprintf(out, "value      %s\n%s\n", kind, value)
	return err
}

// clusterOf is the first part of a stream's name: cluster ids have no slash.
func clusterOf(s schemas.Stream) string {
	cluster, _, _ := strings.Cut(string(s), "/")
	return cluster
}

// printHeaders reads the journal's form, [[name, value in base64] …].
func printHeaders(out io.Writer, text []byte) error {
	var headers [][]any
	if err := json.Unmarshal(text, &headers); err != nil {
		return err
	}
	for _, h := range headers {
		if len(h) != 2 {
			return errors.New("a header is no pair")
		}
		name, _ := h[0].(string)
		var value []byte
		if b, ok := h[1].(string); ok {
			if err := json.Unmarshal(quoted(b), &value); err != nil {
				return err
			}
		}
		fmt.Fprintf(out, "header     %s: %s\n", printable(name),
			printable(strings.ToValidUTF8(string(value), "\uFFFD")))
	}
	return nil
}

// Framing of Confluent's registry: a zero and the schema's id, big-endian.
const framingBytes = 5

// valueText is a record's value as JSON by its writer's schema, else as hex, and which of the two.
func (in *installation) valueText(value []byte) (kind, text string) {
	if len(value) == 0 {
		return "is null: the entity is deleted", ""
	}
	if len(value) > framingBytes && value[0] == 0 {
		id := uint32(value[1])<<24 | uint32(value[2])<<16 | uint32(value[3])<<8 | uint32(value[4])
		text, err := in.decoded(id, value[framingBytes:])
		if err == nil {
			return fmt.Sprintf("as JSON by schema %d", id), text
		}
	}
	return fmt.Sprintf("in hex (%d bytes that no known schema reads)", len(value)), hex.Dump(value)
}

// decoded is a datum as indented JSON. It asks the registry, which may be another machine.
func (in *installation) decoded(id uint32, data []byte) (string, error) {
	text, err := avro.Ask(in.registry, id)
	if err != nil {
		return "", err
	}
	s, err := avro.Admit(text)
	if err != nil {
		return "", err
	}
	b, err := avro.AppendJSON(nil, s, data)
	if err != nil {
		return "", err
	}
	var lines bytes.Buffer
	if err := json.Indent(&lines, b, "", "  "); err != nil {
		return "", err
	}
	shown := strings.Split(lines.String(), "\n")
	for i := range shown {
		shown[i] = printable(shown[i])
	}
	return strings.Join(shown, "\n"), nil
}
