// Package topictables is the delivered tables of one unit as curated topics publish them: changes
// between certificates, entity by entity, each timeline in Avro.
//
//	t, err := topictables.Open(delivered, unit, datasets, scratch)
//	p := curated.Publisher{Unit: unit, Tables: t, …}
package topictables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/streams/curated"
)

// Tables implements curated.Tables. For one goroutine.
type Tables struct {
	// Lines are the codecs of the datasets of the unit's area.
	Lines map[schemas.DatasetName]*avro.Timeline

	delivered store.Store
	unit      schemas.Unit
	datasets  []*schemas.Dataset // in order of name
	scratch   string
	at        map[int64]*sinks.Certificate // the last few that were read

	rows          [][]avro.Value
	before, after []byte
}

// Open does no reading. scratch is a folder for what a sort does not hold in memory, "" = the
// system's.
func Open(delivered store.Store, u schemas.Unit,
	datasets map[schemas.DatasetName]*schemas.Dataset, scratch string) (*Tables, error) {
	t := &Tables{delivered: delivered, unit: u, scratch: scratch,
		Lines: map[schemas.DatasetName]*avro.Timeline{}, at: map[int64]*sinks.Certificate{}}
	for _, name := range slices.Sorted(maps.Keys(datasets)) {
		if name.Area() != u.Area {
			continue
		}
		line, err := avro.NewTimeline(datasets[name])
		if err != nil {
			return nil, err
		}
		t.datasets, t.Lines[name] = append(t.datasets, datasets[name]), line
	}
	return t, nil
}

// Head implements curated.Tables.
func (t *Tables) Head(ctx context.Context) (int64, error) {
	c, err := sinks.Head(ctx, t.delivered, t.unit)
	if err != nil || c == nil {
		return 0, err
	}
	t.keep(c)
	return c.Number, nil
}

// certificatesKept is how many certificates are kept in memory: those of one publication.
const certificatesKept = 4

func (t *Tables) keep(c *sinks.Certificate) {
	if len(t.at) >= certificatesKept {
		clear(t.at)
	}
	t.at[c.Number] = c
}

// certificate is nil for number 0.
func (t *Tables) certificate(ctx context.Context, n int64) (*sinks.Certificate, error) {
	if n == 0 || t.at[n] != nil {
		return t.at[n], nil
	}
	c, err := sinks.FindCertificate(ctx, t.delivered, t.unit, n)
	if err == nil {
		t.keep(c)
	}
	return c, err
}

// Certificate implements curated.Tables.
func (t *Tables) Certificate(ctx context.Context, n int64) (curated.Certificate, error) {
	c, err := t.certificate(ctx, n)
	if err != nil {
		return curated.Certificate{}, err
	}
	return curated.Certificate{Hash: c.Hash(), Leverance: c.Leverance}, nil
}

// Changes implements curated.Tables.
func (t *Tables) Changes(ctx context.Context, from, to int64,
	fn func(*curated.Change) error) error {
	before, err := t.certificate(ctx, from)
	if err != nil {
		return err
	}
	after, err := t.certificate(ctx, to)
	if err != nil {
		return err
	}
	for _, ds := range t.datasets {
		err := sinks.ReadChanges(ctx, t.delivered, ds, t.unit, before, after, t.scratch,
			func(e *sinks.EntityChange) error {
				c, err := t.change(ds.Name, e)
				if err != nil {
					return err
				}
				return fn(c)
			})
		if errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("%w: %w", curated.ErrGone, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Tables) change(name schemas.DatasetName, e *sinks.EntityChange) (*curated.Change,
	error) {
	c := &curated.Change{Dataset: name, Key: e.Key}
	var err error
	if t.before, err = t.timeline(t.before[:0], name, e.Before); err != nil {
		return nil, err
	}
	if t.after, err = t.timeline(t.after[:0], name, e.After); err != nil {
		return nil, err
	}
	if len(e.Before) > 0 {
		c.Before = t.before
	}
	if len(e.After) > 0 {
		c.After = t.after
	}
	return c, nil
}

// timeline writes rows of a table as a timeline.
func (t *Tables) timeline(dst []byte, name schemas.DatasetName, rows [][]sinks.Cell) ([]byte,
	error) {
	if len(rows) == 0 {
		return dst, nil
	}
	t.rows = t.rows[:0]
	for _, cells := range rows {
		t.rows = append(t.rows, valuesOf(cells))
	}
	dst, err := t.Lines[name].Append(dst, t.rows)
	if err != nil {
		err = fmt.Errorf("dataset %s: %w", name, err)
	}
	return dst, err
}

// goneFromEnd is the place of registreret_til from the end of a delivered row. A row that is known
// now has none: neither it nor the municipality's code is in a timeline.
const goneFromEnd = 4

func valuesOf(cells []sinks.Cell) []avro.Value {
	gone := len(cells) - goneFromEnd
	values := make([]avro.Value, 0, len(cells))
	for i, c := range cells {
		if i != 0 && i != gone {
			values = append(values, avro.Value{Null: c.Null, Int: c.Int, Bytes: []byte(c.Text)})
		}
	}
	return values
}

// Cells are the cells of the delivered row that a row of a timeline was made of.
func Cells(k schemas.Kommunekode, row []avro.Value) []sinks.Cell {
	cells := []sinks.Cell{{Text: string(k)}}
	for i, v := range row {
		if i == len(row)+1-goneFromEnd {
			cells = append(cells, sinks.Cell{Null: true})
		}
		cells = append(cells, sinks.Cell{Null: v.Null, Int: v.Int, Text: string(v.Bytes)})
	}
	return cells
}
