package sinks

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// Side is one of the two that are compared: what a certificate names. Certificate nil = it has
// nothing.
type Side struct {
	Tables      store.Store
	Certificate *Certificate
}

// Comparison says what is compared. Times are those of valid time that are looked at: states are
// cut to them, facts are in or out by their date.
type Comparison struct {
	Unit               schemas.Unit
	Present, Candidate Side
	Times              []Interval
	Scratch            string // folder for what a sort does not hold in memory
}

// Interval is valid time [From, To).
type Interval struct{ From, To schemas.Day }

// Compared is how a dataset differs. Rows are counted after what adjoins and says the same has been
// made one, so that two systems may cut the same time otherwise.
type Compared struct {
	Dataset                              schemas.DatasetName
	Paired                               []string // columns whose values make a key
	LeftOut                              []string // columns that may differ
	KeysBoth, KeysPresent, KeysCandidate int64
	Equal, Differing                     int64            // rows of keys that both have
	RowsPresent, RowsCandidate           int64            // rows that only one of them has
	Columns                              map[string]int64 // of the differing rows, by column
}

// Same says that nothing differs.
func (c *Compared) Same() bool { return c.Differing+c.RowsPresent+c.RowsCandidate == 0 }

// Difference is a row that differs; nil cells = that side has no such row. Cells are those of
// Columns and hold until the callback returns.
type Difference struct {
	Columns            []schemas.Column // compared: the dataset's, gyldig_fra and gyldig_til
	Paired             []int            // of Columns, those that make the key
	Present, Candidate []Cell
	Differ             []int // of Columns, where both have the row
}

// Compare compares a dataset as two systems tell it, by the columns of sammenlign, or the key where
// every system shares it. fn, which may be nil, is handed each difference; its error ends the
// comparison. Memory is bounded by the sort's budget and the rows of one key.
func Compare(ctx context.Context, ds *schemas.Dataset, c *Comparison, fn func(*Difference) error,
) (*Compared, error) {
	k := newComparing(ds, c)
	k.fn = fn
	defer k.rows.close()
	for side, s := range []Side{c.Present, c.Candidate} {
		if err := k.take(ctx, byte(side), s); err != nil {
			return nil, err
		}
	}
	if err := k.rows.sort(); err != nil {
		return nil, err
	}
	return &k.found, k.groups(ctx)
}

// comparing is one comparison under way.
type comparing struct {
	*Comparison
	dataset *schemas.Dataset
	all     []schemas.Column // as they are delivered
	keep    []int            // of all, what is compared
	columns []schemas.Column // what is compared
	paired  []int            // of columns
	rows    *sortedRows
	found   Compared
	fn      func(*Difference) error
	key     []byte
}

func newComparing(ds *schemas.Dataset, c *Comparison) *comparing {
	k := &comparing{Comparison: c, dataset: ds, all: DeliveredColumns(ds),
		rows:  newSortedRows(c.Scratch, readBudget),
		found: Compared{Dataset: ds.Name, Columns: map[string]int64{}}}
	for i, col := range k.all {
		switch {
		case col.Name == "kommunekode":
		case leftOut(col.Name):
			k.found.LeftOut = append(k.found.LeftOut, col.Name)
		default:
			k.keep, k.columns = append(k.keep, i), append(k.columns, col)
		}
	}
	k.found.Paired = pairing(ds)
	for _, name := range k.found.Paired {
		k.paired = append(k.paired, slices.IndexFunc(k.columns,
			func(c schemas.Column) bool { return c.Name == name }))
	}
	return k
}

// leftOut: what depends on who tells it and when, not on what is told.
func leftOut(column string) bool {
	return schemas.LocalColumn(column) || strings.Contains(column, "registreret") ||
		column == "kilde_system" || column == "leverance"
}

// pairing are the columns that tell rows apart in every system. A dataset that names none and whose
// key only its system knows is paired by all that is compared: it has no rows that differ in part.
func pairing(ds *schemas.Dataset) []string {
	if len(ds.Natural) > 0 {
		return ds.Natural
	}
	if !slices.ContainsFunc(ds.Key, schemas.LocalColumn) {
		return ds.Key
	}
	var all []string
	for _, c := range ds.Columns {
		if !leftOut(c.Name) {
			all = append(all, c.Name)
		}
	}
	return all
}

// take sorts a side's rows in, cut to the times.
func (k *comparing) take(ctx context.Context, side byte, s Side) error {
	if s.Certificate == nil {
		return nil
	}
	o := ReadOptions{Certificate: s.Certificate.Number, Scratch: k.Scratch}
	return ReadRows(ctx, s.Tables, k.dataset, k.Unit, o, func(cells []Cell) error {
		kept := make([]Cell, 0, len(k.keep))
		for _, i := range k.keep {
			kept = append(kept, cells[i])
		}
		return k.cut(side, kept)
	})
}

// cut adds the parts of a row that lie in the times.
func (k *comparing) cut(side byte, cells []Cell) error {
	from, to := &cells[len(cells)-2], &cells[len(cells)-1]
	begin, end := schemas.Day(from.Int), schemas.Open
	if !to.Null {
		end = schemas.Day(to.Int)
	}
	for _, t := range k.Times {
		if k.dataset.Kind == schemas.Fact {
			if t.From <= begin && begin < t.To {
				return k.add(side, cells)
			}
			continue
		}
		if a, b := max(begin, t.From), min(end, t.To); a < b {
			from.Int, *to = int64(a), Cell{Int: int64(b), Null: b == schemas.Open}
			if to.Null {
				to.Int = 0
			}
			if err := k.add(side, cells); err != nil {
				return err
			}
		}
	}
	return nil
}

// add orders by what makes the key, then side, then begin.
func (k *comparing) add(side byte, cells []Cell) error {
	b := k.key[:0]
	for _, i := range k.paired {
		c := &cells[i]
		if c.Null {
			b = append(b, 0)
			continue
		}
		if b = append(b, 1); k.columns[i].Type == schemas.String {
			b = appendText(b, c.Text)
		} else {
			b = appendNumber(b, c.Int)
		}
	}
	group := len(b)
	b = appendNumber(append(b, side), cells[len(cells)-2].Int)
	payload := appendCells([]byte{side}, cells, k.columns)
	k.key = b
	return k.rows.add(b, &schemas.Row{Payload: payload, Sequence: int64(group)})
}

// groups goes through the keys.
func (k *comparing) groups(ctx context.Context) error {
	var sides [2][][]byte
	var key []byte
	c := k.rows.slice(nil)
	for ; !c.done(); c.advance() {
		row, err := c.row()
		if err != nil {
			return err
		}
		if here := c.key()[:row.Sequence]; !bytes.Equal(key, here) {
			if err := k.group(sides); err != nil {
				return err
			}
			key, sides = bytes.Clone(here), [2][][]byte{}
		}
		side := row.Payload[0]
		sides[side] = append(sides[side], row.Payload[1:])
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if c.err != nil {
		return c.err
	}
	return k.group(sides)
}

// group compares the rows of one key.
func (k *comparing) group(rows [2][][]byte) error {
	var sides [2][][]Cell
	for s := range rows {
		var err error
		if sides[s], err = k.whole(rows[s]); err != nil {
			return fmt.Errorf("compare %s: %w", k.dataset.Name, err)
		}
	}
	present, candidate := len(sides[0]), len(sides[1])
	switch {
	case present > 0 && candidate > 0:
		k.found.KeysBoth++
	case present > 0:
		k.found.KeysPresent++
	case candidate > 0:
		k.found.KeysCandidate++
	}
	pairs, equal := pairUp(sides[0], sides[1])
	k.found.Equal += equal
	for _, p := range pairs {
		if err := k.differs(p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

// whole makes one row of those that adjoin and say the same. Rows come in order of begin.
func (k *comparing) whole(rows [][]byte) ([][]Cell, error) {
	var all [][]Cell
	for _, r := range rows {
		cells, err := readCells(nil, r, k.columns)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(o []Cell) bool { return adjoin(o, cells) })
		if i < 0 || k.dataset.Kind == schemas.Fact {
			all = append(all, cells)
			continue
		}
		all[i][len(cells)-1] = cells[len(cells)-1]
	}
	return all, nil
}

// adjoin says whether b begins where a ends and says the same.
func adjoin(a, b []Cell) bool {
	n := len(a) - 2
	return !a[n+1].Null && a[n+1].Int == b[n].Int && slices.Equal(a[:n], b[:n])
}

// pairUp takes away what is equal and pairs the rest: first what begins on the same day, then in
// order of begin; nil = there is no other.
func pairUp(present, candidate [][]Cell) (pairs [][2][]Cell, equal int64) {
	equal = paired(&present, &candidate, slices.Equal[[]Cell], func(_, _ []Cell) {})
	add := func(p, c []Cell) { pairs = append(pairs, [2][]Cell{p, c}) }
	paired(&present, &candidate, func(p, c []Cell) bool { return p[len(p)-2] == c[len(c)-2] }, add)
	paired(&present, &candidate, func(_, _ []Cell) bool { return true }, add)
	for _, p := range present {
		add(p, nil)
	}
	for _, c := range candidate {
		add(nil, c)
	}
	return pairs, equal
}

// paired takes out of both lists what fits together.
func paired(present, candidate *[][]Cell, fit func(p, c []Cell) bool, do func(p, c []Cell),
) (n int64) {
	*present = slices.DeleteFunc(*present, func(p []Cell) bool {
		i := slices.IndexFunc(*candidate, func(c []Cell) bool { return fit(p, c) })
		if i < 0 {
			return false
		}
		do(p, (*candidate)[i])
		*candidate = slices.Delete(*candidate, i, i+1)
		n++
		return true
	})
	return n
}

// differs counts a difference and hands it on.
func (k *comparing) differs(present, candidate []Cell) error {
	d := Difference{Columns: k.columns, Paired: k.paired, Present: present, Candidate: candidate}
	switch {
	case candidate == nil:
		k.found.RowsPresent++
	case present == nil:
		k.found.RowsCandidate++
	default:
		k.found.Differing++
		for i := range k.columns {
			if present[i] != candidate[i] {
				d.Differ = append(d.Differ, i)
				k.found.Columns[k.columns[i].Name]++
			}
		}
	}
	if k.fn == nil {
		return nil
	}
	return k.fn(&d)
}
