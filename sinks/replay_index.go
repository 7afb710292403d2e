package sinks

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// generations knows which records of a journal have been written again, and where their highest
// generation stands. Memory is bounded: the rest lies in scratch files.
type generations struct {
	journal  *Journal
	rows     *sortedRows // one row a record and generation; Sequence is the entry
	greatest int32
	at       map[schemas.Stream]*rowCursor
	loaded   map[int64]map[recordPlace][]schemas.Row // rows of a few entries of replays
}

type recordPlace struct {
	stream schemas.Stream
	offset int64
}

func placeOf(r *schemas.Row) recordPlace { return recordPlace{r.Stream, r.Offset} }

// generationBytes is the memory for the places of records that were written again.
const generationBytes = 32 << 20

func newGenerations(j *Journal, dir string) *generations {
	return &generations{journal: j, rows: newSortedRows(dir, generationBytes)}
}

func (g *generations) close() error { return g.rows.close() }

// info reads what an entry says of itself.
func (g *generations) info(ctx context.Context, v int64) (*entryInfo, error) {
	c, _, err := g.journal.log.Entry(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("read entry %d: %w", v, err)
	}
	in, err := readInfo(c.Info)
	if err != nil {
		return nil, fmt.Errorf("read entry %d: %w", v, err)
	}
	return in, nil
}

// read finds the replays among the entries up to version.
func (g *generations) read(ctx context.Context, version int64) error {
	want := Want{Raw: true, Columns: []string{"stroem", "stroem_offset", "loebenr", "generation"}}
	for v := range version + 1 {
		in, err := g.info(ctx, v)
		if err != nil {
			return err
		}
		if in.Replay == nil {
			continue
		}
		g.greatest = max(g.greatest, in.Replay.Generation)
		err = g.journal.Scan(ctx, v-1, v, want, func(r *schemas.Row) error {
			key := appendNumber(appendText(nil, r.Stream), r.Offset)
			return g.rows.add(appendNumber(key, r.Generation), &schemas.Row{Stream: r.Stream,
				Offset: r.Offset, Generation: r.Generation, Sequence: v})
		})
		if err != nil {
			return err
		}
	}
	return g.rows.sort()
}

// entryOf is the entry that holds the record's highest generation, -1 where it was never written
// again. Offsets of a stream are asked for in rising order.
func (g *generations) entryOf(k recordPlace) (int64, error) {
	c := g.at[k.stream]
	if c == nil {
		c = g.rows.slice(appendText(nil, k.stream))
		g.at[k.stream] = c
	}
	entry := int64(-1)
	for !c.done() {
		r, err := c.row()
		if err != nil {
			return -1, err
		}
		if r.Offset > k.offset {
			break
		}
		if r.Offset == k.offset {
			entry = r.Sequence
		}
		c.advance()
	}
	return entry, c.err
}

// replayRecord is one record as the journal has it.
type replayRecord struct {
	entry     int64
	raw       schemas.Row   // as it came, with its value
	stands    []schemas.Row // of the highest generation: ordinal 0, then what it says
	withdrawn []schemas.Row // of that generation
}

// walk hands fn each record of the entries up to version, in order. wants sees ordinal 0 of
// generation 0 without its value, and whether there are later ones. Memory is that of one entry
// and of the replays that touch it.
func (g *generations) walk(ctx context.Context, version int64,
	wants func(raw *schemas.Row, replayed bool) bool, fn func(*replayRecord) error) error {
	g.at = map[schemas.Stream]*rowCursor{}
	g.loaded = map[int64]map[recordPlace][]schemas.Row{}
	for v := range version + 1 {
		in, err := g.info(ctx, v)
		if err != nil {
			return err
		}
		if in.Kind != kindData || in.Records == 0 {
			continue
		}
		if err := g.entry(ctx, v, wants, fn); err != nil {
			return err
		}
	}
	return nil
}

func (g *generations) entry(ctx context.Context, v int64,
	wants func(*schemas.Row, bool) bool, fn func(*replayRecord) error) error {
	places, err := g.wanted(ctx, v, wants)
	if err != nil || len(places) == 0 {
		return err
	}
	if err := g.load(ctx, places); err != nil {
		return err
	}
	var records []replayRecord
	said := map[recordPlace][]schemas.Row{}
	err = g.journal.Scan(ctx, v-1, v, Want{Raw: true, Events: true, Payload: true},
		func(r *schemas.Row) error {
			k := placeOf(r)
			switch later, ok := places[k]; {
			case !ok:
			case r.Ordinal == 0:
				records = append(records, replayRecord{entry: v, raw: CloneRow(r)})
			case later < 0:
				said[k] = append(said[k], CloneRow(r))
			}
			return nil
		})
	if err != nil {
		return err
	}
	for i := range records {
		c := &records[i]
		k := placeOf(&c.raw)
		if later := places[k]; later >= 0 {
			c.later(g.loaded[later][k])
		} else {
			c.stands = append([]schemas.Row{c.raw}, said[k]...)
		}
		if err := fn(c); err != nil {
			return err
		}
	}
	return nil
}

// wanted gives the records of an entry that are to be seen, each with the entry of its highest
// generation.
func (g *generations) wanted(ctx context.Context, v int64,
	wants func(*schemas.Row, bool) bool) (map[recordPlace]int64, error) {
	places := map[recordPlace]int64{}
	err := g.journal.Scan(ctx, v-1, v, Want{Raw: true}, func(r *schemas.Row) error {
		later, err := g.entryOf(placeOf(r))
		if err == nil && wants(r, later >= 0) {
			places[placeOf(r)] = later
		}
		return err
	})
	return places, err
}

// load keeps the entries of replays that these records need, and lets go of others.
func (g *generations) load(ctx context.Context, places map[recordPlace]int64) error {
	needed := map[int64]bool{}
	for _, later := range places {
		if later >= 0 {
			needed[later] = true
		}
	}
	for v := range g.loaded {
		if !needed[v] {
			delete(g.loaded, v)
		}
	}
	for v := range needed {
		if g.loaded[v] != nil {
			continue
		}
		rows := map[recordPlace][]schemas.Row{}
		err := g.journal.Scan(ctx, v-1, v, Want{Raw: true, Events: true, Payload: true},
			func(r *schemas.Row) error {
				k := placeOf(r)
				rows[k] = append(rows[k], CloneRow(r))
				return nil
			})
		if err != nil {
			return err
		}
		g.loaded[v] = rows
	}
	return nil
}

// later takes in the rows of a record's highest generation.
func (c *replayRecord) later(rows []schemas.Row) {
	for _, r := range rows {
		switch {
		case r.Op != schemas.OpWithdrawn:
			c.stands = append(c.stands, r)
		case r.Ordinal > 0:
			c.withdrawn = append(c.withdrawn, r)
		}
	}
	slices.SortFunc(c.stands, func(a, b schemas.Row) int { return cmp.Compare(a.Ordinal, b.Ordinal) })
}
