package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/transforms"
	"github.com/flis-dk/flis/transforms/cpr"
)

// checkFlags are those of feed that say what a file is, and how to print.
type checkFlags struct {
	feedFlags
	format string
	all    bool
	rows   bool
}

func checkCommand() *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check SYSTEM[/EVENT] FILE|-",
		Short: "The verdict on each record of a file, offline",
		Long: `check gives the verdict that flis run would give on each record of a file, by the
same function: accepteret, advarsel (accepted with a warning), ignoreret (of no use to any
dataset), parkeret or delvist_parkeret (cannot be used, or not in full), each with code, field
path, rule and how to mend it. It needs no broker and keeps nothing; no value is printed, but with
--rows: then each record comes with the rows that its mapping makes of it (what is done, dataset,
municipality, gyldig_fra and gyldig_til, exclusive; columns of the key are marked *), which hold
personal data. The agreements of --dir, or of flis.yaml, say which municipalities the system may
speak for.

CPR: a file as it was delivered (--layout and --excerpt as for flis feed). Other systems: JSON
Lines, one CloudEvent in structured mode on each line; with /EVENT, only the lines of that
event. - reads standard input. The line's form: flis feed --help.

Exit code 3 when a record would be parked, or the file would be refused.`,
		Example: `  cat flis-demo/leverancer/*/nexus-0101-*.jsonl | flis check kmd-nexus - --dir flis-demo
  cat flis-demo/leverancer/*/cura-0461-*.jsonl | flis check cura/borgerdokument - --dir flis-demo
  cat flis-demo/leverancer/*/cura-0461-*.jsonl | flis check cura - --rows --dir flis-demo | head -40
  flis check cpr $(ls flis-demo/leverancer/*/D*.L110101 | head -1) --layout A --dir flis-demo`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if f.format != "text" && f.format != "json" {
				return usage("--format %q: want text or json", f.format)
			}
			if _, err := cpr.ParseLayout(f.layout); f.layout != "" && err != nil {
				return usage("--layout: %w", err)
			}
			in, err := openOffline(c)
			if err != nil {
				return err
			}
			return quiet(in.checkFile(c.Context(), args[0], args[1], &f))
		},
	}
	c.Flags().StringVar(&f.format, "format", "text", "text or json")
	c.Flags().BoolVar(&f.all, "all", false, "print accepted records too")
	c.Flags().BoolVar(&f.rows, "rows", false, "print the rows that each record gives: personal data")
	c.Flags().StringVar(&f.layout, "layout", "", "CPR: A, A-UUID or B, where no OPGAVENR tells")
	c.Flags().BoolVar(&f.excerpt, "excerpt", false, "CPR: the file is a part of another")
	return c
}

// openOffline makes an installation that asks no registry and leaves no folder behind.
func openOffline(c *cobra.Command) (*installation, error) {
	cfg, err := loadConfig(c.Flags())
	if err != nil {
		return nil, err
	}
	cfg.Registry.URL = ""
	if cfg.Dir, err = os.MkdirTemp("", "flis-check"); err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	defer os.RemoveAll(cfg.Dir)
	return newInstallation(c, cfg, time.Now)
}

// checkFile judges a file of a system, or of one of its events.
func (in *installation) checkFile(ctx context.Context, what, path string, f *checkFlags) error {
	name, event, one := strings.Cut(what, "/")
	system := schemas.System(name)
	events := in.catalog.Events(system)
	if len(events) == 0 {
		return usage("check %s: no such system; there are %v", system, in.catalog.Systems())
	}
	if one && !slices.Contains(events, event) {
		return usage("check %s: the system has no such event; there are %v", what, events)
	}
	file, err := openInput(in.out.InOrStdin(), path)
	if err != nil {
		return err
	}
	defer file.Close()
	d, err := describe(file, system, f.feedFlags)
	if err != nil {
		return err
	}
	ch := &checker{in: in, system: system, events: events, only: event, show: f.rows,
		report: newCheckReport(in.out.OutOrStdout(), f)}
	if system == cprSystem {
		err = ch.cpr(ctx, file, d, f)
	} else {
		err = ch.lines(ctx, file)
	}
	return ch.report.end(err)
}

// openInput opens a file. Standard input is spooled to a file that only its owner reads and that
// has no name any more.
func openInput(stdin io.Reader, path string) (*os.File, error) {
	if path != "-" {
		file, err := os.Open(path)
		return file, pathFree(err)
	}
	file, err := os.CreateTemp("", "flis-check") // 0600
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	_, err = io.Copy(file, stdin)
	err = errors.Join(err, os.Remove(file.Name()))
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read standard input: %w", err), file.Close())
	}
	return file, nil
}

// checker judges records one by one. It is a streams.Producer: what a feed would send is judged
// instead.
type checker struct {
	in      *installation
	system  schemas.System
	events  []string
	only    string // event; "" = all
	show    bool   // print rows
	report  *checkReport
	rows    []schemas.Row
	records int64
}

// cpr judges a file of records. A file that would be refused is a finding of the file.
func (ch *checker) cpr(ctx context.Context, file *os.File, d streams.Delivery,
	f *checkFlags) error {
	info, err := file.Stat()
	if err != nil {
		return pathFree(err)
	}
	layouts := map[string]cpr.Layout{}
	for task, l := range ch.in.cfg.CPR.Layouts {
		layouts[task] = cpr.Layout(l)
	}
	x, err := cpr.Open(file, info.Size(), cpr.Options{Layout: cpr.Layout(f.layout),
		Layouts: layouts, Excerpt: f.excerpt})
	if err != nil {
		return err
	}
	d.Event, d.Layout, d.Encoding = ch.events[0], string(x.Layout), string(x.Encoding)
	if x.Header != nil {
		d.Produced, d.Previous, d.Day = x.Header.Produced, x.Header.Previous, x.Header.Produced
	}
	feed := &streams.Feed{Producer: ch, Key: []byte(ch.system), Clock: ch.in.clock,
		SchemaID: ch.schemaID}
	_, err = feed.Units(ctx, d, unitsOf(x))
	return err
}

// schemaID is the id by the local registry: a function of the schema, so the same as the stream's
// where no other registry is configured.
func (ch *checker) schemaID(ctx context.Context, topic string) (uint32, error) {
	sc, ok := ch.in.catalog.TopicSchema(topic)
	if !ok {
		return 0, fmt.Errorf("topic %s has no schema", topic)
	}
	return ch.in.registry.Register(ctx, topic+"-value", sc.JSON)
}

// Send implements streams.Producer. The feed's own seal is none of the file's records.
func (ch *checker) Send(ctx context.Context, messages []streams.Message) error {
	control := schemas.RawTopic(ch.system, schemas.ControlEvent)
	for i := range messages {
		m := &messages[i]
		if m.Topic == control {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		nr := ""
		for _, h := range m.Headers {
			if h.Name == "ce_id" {
				nr = string(h.Value[bytes.LastIndexByte(h.Value, '-')+1:])
			}
		}
		r := &transforms.Record{Topic: m.Topic, Key: m.Key, Value: m.Value, Headers: m.Headers}
		if err := ch.judge("unit "+nr, r, nil); err != nil {
			return err
		}
	}
	return nil
}

// maxCheckLine is the limit of the topics, and so of feed.
const maxCheckLine = 16 << 20

// lines judges JSON Lines of CloudEvents, each line as the feed would send it.
func (ch *checker) lines(ctx context.Context, file io.Reader) error {
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, 1<<16), maxCheckLine)
	for nr := 1; lines.Scan(); nr++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r, found, err := ch.record(ctx, line)
		if err != nil {
			return err
		}
		if r == nil {
			ch.report.others++
			continue
		}
		if err := ch.judge(fmt.Sprintf("line %d", nr), r, found); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return schemas.Reject(schemas.CodeBudget, "", "send it in smaller units",
			"a line is longer than 16 MiB")
	}
	return pathFree(lines.Err())
}

// record makes the record of a line, nil for an event that is not asked for. found: the line is no
// event at all. What cannot be encoded is judged as the feed would send it, untouched.
func (ch *checker) record(ctx context.Context, line []byte) (r *transforms.Record,
	found *schemas.Finding, err error) {
	r = &transforms.Record{Topic: schemas.RawTopic(ch.system, ch.events[0]), Value: line}
	e, err := streams.ParseCloudEvent(line)
	if err != nil {
		if !errors.As(err, &found) {
			return nil, nil, err
		}
		return r, found, nil
	}
	if ch.only != "" && e.Type != ch.only {
		return nil, nil, nil
	}
	r.Headers, r.Key, r.Value = e.Headers(), []byte(e.Subject), e.Data
	if e.Null() {
		r.Value = nil
	}
	if e.Type != schemas.ControlEvent && !slices.Contains(ch.events, e.Type) {
		return r, nil, nil
	}
	r.Topic = schemas.RawTopic(ch.system, e.Type)
	if e.Null() {
		return r, nil, nil
	}
	return r, nil, ch.encode(ctx, r)
}

// encode puts the data in the form of the topic, where the schema takes them.
func (ch *checker) encode(ctx context.Context, r *transforms.Record) error {
	sc, ok := ch.in.catalog.TopicSchema(r.Topic)
	if !ok {
		return fmt.Errorf("topic %s has no schema", r.Topic)
	}
	body, found := transforms.EncodeEvent(sc, r.Value)
	if found != nil {
		return nil
	}
	id, err := ch.schemaID(ctx, r.Topic)
	r.Value = append(binary.BigEndian.AppendUint32([]byte{0}, id), body...)
	return err
}

// judge gives the verdict of the stream, and reports it.
func (ch *checker) judge(where string, r *transforms.Record, found *schemas.Finding) error {
	r.Stream = schemas.NewStream("check", r.Topic, 0)
	r.Offset, r.Arrived = ch.records, schemas.InstantOf(ch.in.clock())
	ch.records++
	var err error
	if ch.rows, err = ch.in.catalog.Judge(ch.rows[:0], r); err != nil {
		return err
	}
	v := checkVerdict{Where: where, Event: ch.rows[0].Event, ID: ch.rows[0].EventID,
		Outcome: ch.rows[0].Outcome}
	if v.ID == "|" {
		v.ID = ""
	}
	if found != nil { // what the stream says of such a line follows from this
		v.Outcome = schemas.Parked
		v.add(*found)
		return ch.report.verdict(&v)
	}
	for i := range ch.rows {
		for _, f := range parseFindings(ch.rows[i].Finding) {
			v.add(f)
		}
	}
	if ch.show {
		if v.Rows, err = checkRows(ch.in.catalog, ch.rows); err != nil {
			return err
		}
	}
	return ch.report.verdict(&v)
}
