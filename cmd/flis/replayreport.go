package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
)

func newReplayReport(datasets map[schemas.DatasetName]*schemas.Dataset) *replayReport {
	return &replayReport{datasets: datasets, tables: map[replayTable]*replayChanges{},
		outcomes: map[string]int64{},
		touched:  map[schemas.Unit]map[schemas.Day]bool{}, revised: map[schemas.Unit][]string{}}
}

func sortedNames(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }

// replayKey is what rows of both generations are paired by; several of one key go in order.
type replayKey struct {
	replayTable
	op  schemas.Op
	key string
}

// add compares one record's rows.
func (p *replayReport) add(stands, now []schemas.Row) error {
	if a, b := stands[0].Outcome, now[0].Outcome; a != b {
		p.outcomes[fmt.Sprintf("%s → %s", a, b)]++
	}
	old := map[replayKey][]*schemas.Row{}
	for i := range stands[1:] {
		r := &stands[1+i]
		old[keyOfReplay(r)] = append(old[keyOfReplay(r)], r)
	}
	for i := range now[1:] {
		r := &now[1+i]
		k := keyOfReplay(r)
		if len(old[k]) == 0 {
			p.count(r, func(c *replayChanges) { c.appear++ })
			continue
		}
		p.pair(old[k][0], r)
		old[k] = old[k][1:]
	}
	for _, rows := range old {
		for _, r := range rows {
			p.count(r, func(c *replayChanges) { c.vanish++ })
		}
	}
	return nil
}

func keyOfReplay(r *schemas.Row) replayKey {
	return replayKey{replayTable{r.Kommune, r.Dataset}, r.Op, cmp.Or(r.Key, r.Scope)}
}

// touch notes the day of a row's unit. A record is written again whole, so all its rows count.
func (p *replayReport) touch(r *schemas.Row) {
	u := schemas.Unit{Kommune: r.Kommune, Area: r.Dataset.Area()}
	if p.touched[u] == nil {
		p.touched[u] = map[schemas.Day]bool{}
	}
	p.touched[u][r.Leverance] = true
}

func (p *replayReport) count(r *schemas.Row, as func(*replayChanges)) {
	if r.Dataset == "" {
		return
	}
	p.touch(r)
	c := p.changes(r)
	if r.Op != schemas.OpUpsert {
		c.others++
		return
	}
	as(c)
}

func (p *replayReport) changes(r *schemas.Row) *replayChanges {
	t := replayTable{r.Kommune, r.Dataset}
	if p.tables[t] == nil {
		p.tables[t] = &replayChanges{columns: map[string]bool{}}
	}
	return p.tables[t]
}

// pair compares two rows of one key.
func (p *replayReport) pair(a, b *schemas.Row) {
	if a.Dataset == "" {
		return
	}
	p.touch(a)
	names := p.differ(a, b)
	if len(names) == 0 {
		return
	}
	p.count(b, func(c *replayChanges) {
		c.change++
		for _, n := range names {
			c.columns[n] = true
		}
	})
}

// differ names the columns in which two rows differ, never a value.
func (p *replayReport) differ(a, b *schemas.Row) (names []string) {
	for name, same := range map[string]bool{
		"gyldig_fra": a.From == b.From, "gyldig_til": a.To == b.To,
		"kilde_registreret": a.Registered == b.Registered, "leverance": a.Leverance == b.Leverance,
		"omfang": a.Scope == b.Scope, "rækkefølge": a.Stated == b.Stated && a.Sequence == b.Sequence,
	} {
		if !same {
			names = append(names, name)
		}
	}
	if bytes.Equal(a.Payload, b.Payload) {
		return names
	}
	ds := p.datasets[b.Dataset]
	if ds == nil {
		return append(names, "indhold")
	}
	flat := avro.NewFlat(ds)
	x, y := make([]avro.Value, flat.Len()), make([]avro.Value, flat.Len())
	if flat.Read(a.Payload, x) != nil || flat.Read(b.Payload, y) != nil {
		return append(names, "indhold") // of another schema of the dataset
	}
	for i := range x {
		if x[i].Null != y[i].Null || x[i].Int != y[i].Int || !bytes.Equal(x[i].Bytes, y[i].Bytes) {
			names = append(names, ds.Columns[i].Name)
		}
	}
	return names
}

// days finds which of the touched days are closed, by the newest certificates.
func (p *replayReport) days(ctx context.Context, delivered store.Store) error {
	for u, days := range p.touched {
		c, err := sinks.Head(ctx, delivered, u)
		if err != nil {
			return err
		}
		for _, d := range slices.Sorted(maps.Keys(days)) {
			if c.ClosedDay(d) {
				p.revised[u] = append(p.revised[u], d.String())
			}
		}
	}
	return nil
}

const daysShown = 10

// print tells of the changes, by dataset and municipality, and of the days.
func (p *replayReport) print(out io.Writer, s schemas.System, res *sinks.ReplayResult) {
	fmt.Fprintf(out, "replay %s: %s judged, %d give other rows\n", s, counted(res.Judged, "record"),
		res.Changed)
	for _, o := range slices.Sorted(maps.Keys(p.outcomes)) {
		fmt.Fprintf(out, "  %s  %s\n", o, counted(p.outcomes[o], "record"))
	}
	tables := slices.SortedFunc(maps.Keys(p.tables), func(a, b replayTable) int {
		return cmp.Or(cmp.Compare(a.dataset, b.dataset), cmp.Compare(a.kommune, b.kommune))
	})
	for _, t := range tables {
		fmt.Fprintf(out, "  %s  %s: %s\n", t.dataset, t.kommune, p.tables[t].text())
	}
	units := slices.SortedFunc(maps.Keys(p.revised), func(a, b schemas.Unit) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, u := range units {
		days, more := p.revised[u], ""
		if len(days) > daysShown {
			more = fmt.Sprintf(" and %d more up to %s", len(days)-daysShown, days[len(days)-1])
			days = days[:daysShown]
		}
		fmt.Fprintf(out, "  %s  revises %s: %s%s\n", u, counted(int64(len(p.revised[u])), "closed day"),
			strings.Join(days, " "), more)
	}
}
