package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/cmd/flis/topictables"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/streams/curated"
)

// followFlags are the flags as they were given.
type followFlags struct {
	copy, print, format   string
	once, tables, compare bool
}

func followCommand() *cobra.Command {
	var f followFlags
	c := &cobra.Command{
		Use:   "follow KOMMUNE AREA",
		Short: "Keep a copy of a curated topic: the reference consumer",
		Long: `follow reads the topic kommune.<code>.<area>.v1 and keeps, in the folder --copy, what the tables of the newest
certificate say, entity by entity. It goes on until it is stopped, or ends with --once at the end of the topic. It may be killed
at any moment: the copy is one file that is replaced whole, with the offset it goes on from. A copy that does not agree with the
topic's marker is made anew, from the beginning of the topic.

  --tables   begin with the delivered tables of the newest certificate instead of the beginning of the topic
  --compare  say whether the copy is what the delivered tables of its certificate are, and end; exit code 1 = it is not
  --print D  print the rows of dataset D as the copy has them, and end

The copy holds personal data. docs/kuraterede-emner.md tells how to write a consumer of your own, in any language.`,
		Example: `  flis follow 0101 borger --copy ./kopi --once
  flis follow 0101 borger --copy ./kopi --compare
  flis follow 0101 borger --copy ./kopi --print borger.adresse --format csv`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if f.copy == "" {
				return usage("follow: --copy must name the folder of the copy")
			}
			in, err := openInstallation(c)
			if err != nil {
				return err
			}
			u, err := in.followed(args[0], args[1])
			if err != nil {
				return err
			}
			return in.followTopic(c.Context(), u, f)
		},
	}
	c.Flags().StringVar(&f.copy, "copy", "", "folder of the copy; made if it is missing")
	c.Flags().BoolVar(&f.once, "once", false, "end at the end of the topic")
	c.Flags().BoolVar(&f.tables, "tables", false, "begin with the delivered tables")
	c.Flags().BoolVar(&f.compare, "compare", false, "compare the copy with the delivered tables")
	c.Flags().StringVar(&f.print, "print", "", "print the copy's rows of this dataset")
	c.Flags().StringVar(&f.format, "format", "table", "of --print: table, csv or json")
	return c
}

// followed checks the names of a unit.
func (in *installation) followed(kommune, area string) (u schemas.Unit, err error) {
	if u.Kommune, err = schemas.ParseKommunekode(kommune); err != nil {
		return u, usage("%w", err)
	}
	u.Area = schemas.Area(area)
	for d := range in.datasets {
		if d.Area() == u.Area {
			return u, nil
		}
	}
	return u, usage("area %s: there is no such area; the datasets are %s", area, in.datasetNames())
}

func (in *installation) followTopic(ctx context.Context, u schemas.Unit, f followFlags) error {
	switch {
	case f.compare:
		return in.compareCopy(ctx, u, f.copy)
	case f.print != "":
		return quiet(in.printCopy(u, f))
	}
	return in.onBroker(ctx, func(cl *cluster) error {
		log, err := cl.openTopic(ctx, u, false)
		if err != nil {
			return fmt.Errorf("%w; a topic is made by flis publish once someone subscribes", err)
		}
		c, err := curated.OpenConsumer(f.copy, log, curated.Options{})
		if err != nil {
			return err
		}
		defer c.Close()
		if f.tables {
			if err := in.loadCopy(ctx, u, c); err != nil {
				return err
			}
		}
		return stopped(in.catchOn(ctx, u, c, f.once))
	})
}

const catchEvery = time.Second

// catchOn catches up again and again, or once.
func (in *installation) catchOn(ctx context.Context, u schemas.Unit, c *curated.Consumer,
	once bool) error {
	unfit := int64(0)
	for told := int64(-1); ; {
		caught, err := c.Catch(ctx)
		if err != nil {
			return err
		}
		if caught.Number != told {
			told = caught.Number
			in.sayCopy(u, caught)
		}
		if caught.Marker != 0 && (once || caught.Marker != unfit) {
			unfit = caught.Marker
			text := "the topic does not yet hold what its marker of certificate %d says; " +
				"the copy stays as it is until flis publish has run"
			if once {
				return fmt.Errorf("follow %s: "+text, u, caught.Marker)
			}
			in.out.Printf(text+"\n", caught.Marker)
		}
		if once {
			return nil
		}
		if err := pause(ctx, catchEvery); err != nil {
			return err
		}
	}
}

func (in *installation) sayCopy(u schemas.Unit, caught curated.Caught) {
	if caught.Number == 0 {
		in.out.Printf("%s: the topic holds no certificate yet\n", schemas.CuratedTopic(u))
		return
	}
	entities := int64(0)
	for _, p := range caught.Parts {
		entities += p.Count
	}
	again := ""
	if caught.Renewed {
		again = ", made anew from the beginning of the topic"
	}
	in.out.Printf("copy of %s: certificate %d, leverance %s, %d entities%s\n", u, caught.Number,
		caught.Leverance, entities, again)
}

// loadCopy makes the copy from the tables of the newest certificate.
func (in *installation) loadCopy(ctx context.Context, u schemas.Unit, c *curated.Consumer) error {
	tables, err := in.openTables(u)
	if err != nil {
		return err
	}
	head, err := tables.Head(ctx)
	if err == nil && head == 0 {
		err = in.noCertificate(u, 0, fmt.Errorf("read %s: %w", u, sinks.ErrNoCertificate))
	}
	if err != nil {
		return err
	}
	cert, err := tables.Certificate(ctx, head)
	if err != nil {
		return err
	}
	key, err := in.municipalityKey(u.Kommune)
	if err != nil {
		return err
	}
	ids, _, err := in.curatedSchemas(ctx, tables)
	if err != nil {
		return err
	}
	return in.damaged(c.Load(ctx, head, cert, key, func(fn func(*curated.Entity) error) error {
		return tables.Changes(ctx, 0, head, func(e *curated.Change) error {
			value := binary.BigEndian.AppendUint32([]byte{0}, ids[e.Dataset].ID)
			return fn(&curated.Entity{Dataset: e.Dataset, Key: e.Key, Value: append(value, e.After...)})
		})
	}))
}

// compareCopy says whether the copy is what the tables of its certificate are.
func (in *installation) compareCopy(ctx context.Context, u schemas.Unit, dir string) error {
	c, err := curated.OpenCopy(dir)
	if err != nil {
		return err
	}
	tables, err := in.openTables(u)
	if err != nil {
		return err
	}
	key, err := in.municipalityKey(u.Kommune)
	if err != nil {
		return err
	}
	all, err := curated.Compare(ctx, c, tables, key)
	if err != nil {
		return in.damaged(err)
	}
	for _, d := range all {
		in.out.Printf("  %s differs: %d entities in the copy, %d in the tables\n", d.Dataset, d.Copy,
			d.Tables)
	}
	if len(all) > 0 {
		return fmt.Errorf("compare %s: the copy is not what the tables of certificate %d are: "+
			"remove it, and run flis publish and flis follow again", u, c.Number)
	}
	in.out.Printf("the copy of %s is what the tables of certificate %d are\n", u, c.Number)
	return nil
}

// printCopy prints the rows of one dataset, in no order.
func (in *installation) printCopy(u schemas.Unit, f followFlags) error {
	ds, ok := in.datasets[schemas.DatasetName(f.print)]
	if !ok || ds.Name.Area() != u.Area {
		return usage("--print %s: area %s has no such dataset", f.print, u.Area)
	}
	line, err := avro.NewTimeline(ds)
	if err != nil {
		return err
	}
	c, err := curated.OpenCopy(f.copy)
	if err != nil {
		return err
	}
	columns := sinks.DeliveredColumns(ds)
	out := in.out.OutOrStdout()
	var w rowWriter
	switch f.format {
	case "csv":
		w = newCSV(out, columns)
	case "json":
		w = newJSON(out, columns)
	case "table":
		w = newAligned(out, columns, fmt.Sprintf("%s of %s: the copy of certificate %d", ds.Name,
			u.Kommune, c.Number))
	default:
		return usage("--format %q: want table, csv or json", f.format)
	}
	err = c.Entities(func(key string, value []byte) error {
		d, avroBytes, ok := curated.Split(key, value)
		if !ok || d != ds.Name {
			return nil
		}
		return line.Read(avroBytes, func(row []avro.Value) error {
			return w.row(topictables.Cells(u.Kommune, row))
		})
	})
	if err != nil {
		return fmt.Errorf("print %s: %w", ds.Name, err)
	}
	return w.end()
}
