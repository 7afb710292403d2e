package sinks

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// status checks the certificates of a municipality's status against those of its areas, and its
// table, row by row, against what they report. It needs the delivered root alone.
func (a *audit) status(ctx context.Context, u schemas.Unit, chain []*Certificate) error {
	ds := a.deps.Datasets[schemas.StatusDataset]
	if ds == nil || len(chain) == 0 {
		return nil
	}
	head := chain[len(chain)-1]
	want, delivered, err := a.statusOf(ctx, u, head)
	if err != nil {
		return a.stored(ctx, u, head.Number, err)
	}
	a.rests(u, chain, delivered)
	a.behind(ctx, u, head)
	wrong := 0
	err = ReadRows(ctx, a.deps.Tables, ds, u, ReadOptions{Certificate: head.Number,
		Table: OnlyCurrent}, func(cells []Cell) error {
		h, _ := rowHash(ds, cells)
		if want[h] {
			delete(want, h)
		} else {
			wrong++
		}
		return nil
	})
	if err != nil {
		return a.stored(ctx, u, head.Number, err)
	}
	if left := len(want); wrong+left > 0 {
		a.problem(u, head.Number, "%s: %d rows are not what the areas' certificates say, "+
			"%d that they say are missing", ds.Name, wrong, left)
	}
	return nil
}

// behind says which areas have reported days since the status was made.
func (a *audit) behind(ctx context.Context, u schemas.Unit, head *Certificate) {
	for _, name := range slices.Sorted(maps.Keys(head.Basis)) {
		for n := head.Basis[name].Number + 1; ; n++ {
			c, err := ReadCertificate(ctx, a.deps.Tables, basisUnit(name), n)
			if err != nil { // none, or one that the audit of its own unit tells of
				break
			}
			if len(c.Days) > 0 {
				a.report.Open = append(a.report.Open, fmt.Sprintf(
					"%s: certificate %d of %s is not in it yet: the next close brings it", u, n, name))
				break
			}
		}
	}
}

// rests checks what each certificate of a status rests on: it never goes back, names the
// certificates that are there, and is of their greatest delivery.
func (a *audit) rests(u schemas.Unit, chain []*Certificate, areas map[string][]pastCertificate) {
	before, day := Basis{}, schemas.Always
	for _, c := range chain {
		for _, name := range slices.Sorted(maps.Keys(before)) {
			if c.Basis[name].Number < before[name].Number {
				a.problem(u, c.Number, "goes back in the certificates of %s, from number %d to %d", name,
					before[name].Number, c.Basis[name].Number)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(c.Basis)) {
			ref := c.Basis[name]
			if ref.Number < 1 || ref.Number > int64(len(areas[name])) ||
				areas[name][ref.Number-1].hash != ref.SHA256 {
				a.problem(u, c.Number, "rests on another certificate %d of %s than is there", ref.Number, name)
				continue
			}
			day = max(day, areas[name][ref.Number-1].day)
		}
		if c.LeveranceDay() != day {
			a.problem(u, c.Number, "is of delivery %s, what it rests on is of %s", c.Leverance, day)
		}
		before = c.Basis
	}
}

// pastCertificate is what is kept of an area's certificate.
type pastCertificate struct {
	hash string
	day  schemas.Day
}

// statusOf makes the rows of a status anew, as hashes, and gives the certificates that it went
// through, by unit.
func (a *audit) statusOf(ctx context.Context, u schemas.Unit, head *Certificate) (map[uint64]bool,
	map[string][]pastCertificate, error) {
	want, past := map[uint64]bool{}, map[string][]pastCertificate{}
	ds := a.deps.Datasets[schemas.StatusDataset]
	for _, name := range slices.Sorted(maps.Keys(head.Basis)) {
		area := basisUnit(name)
		last := map[string][]Cell{}
		err := basisOf(ctx, a.deps.Tables, area, head.Basis[name], a.chains[area],
			func(c *Certificate) error {
				past[name] = append(past[name], pastCertificate{c.hash, c.LeveranceDay()})
				for i := range c.Days {
					cells, err := statusCells(area, c, &c.Days[i])
					if err != nil {
						return err
					}
					last[c.Days[i].Day] = cells
				}
				return nil
			})
		if err != nil {
			return nil, nil, err
		}
		for _, cells := range last {
			h, _ := rowHash(ds, cells)
			want[h] = true
		}
	}
	return want, past, nil
}

// statusCells is the delivered row that a report of a day makes; when we knew it is left open.
func statusCells(u schemas.Unit, c *Certificate, d *DayReport) ([]Cell, error) {
	day, err := schemas.ParseDay(d.Day)
	if err != nil {
		return nil, err
	}
	text := func(s string) Cell { return Cell{Text: s} }
	number := func(n int64) Cell { return Cell{Int: n} }
	missing := text(statusMissing(d))
	missing.Null = missing.Text == ""
	n := countStatus(d)
	return []Cell{text(string(u.Kommune)), text(string(u.Area)), number(int64(day)), text(d.State),
		number(d.Revised), missing, number(n.sources), number(n.received), number(n.accepted),
		number(n.ignored), number(n.parked), number(int64(day)), number(int64(day + 1)),
		number(int64(c.Now)), {Null: true}, {Null: true}, text(string(schemas.StatusSystem)),
		number(int64(c.LeveranceDay())), text(statusEvent(u, c.Number))}, nil
}
