package generate

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// Judge compares delivered rows with true ones, table by table, whatever their order. It keeps two
// sums a table, and rows only of tables that Look names. Not safe for concurrent use.
type Judge struct {
	tables map[TableName]*judged
	looks  map[TableName]map[string]int // rows, true minus delivered
}

// TableName is one delivered table.
type TableName struct {
	Kommune schemas.Kommunekode
	Dataset schemas.DatasetName
}

type judged struct {
	rows [2]int
	sum  [2]uint64
}

// NewJudge has seen nothing.
func NewJudge() *Judge {
	return &Judge{tables: map[TableName]*judged{}, looks: map[TableName]map[string]int{}}
}

// Look makes the judge remember the rows of a table, so that Difference can name them. It is for a
// second hearing of the tables that differed in the first.
func (j *Judge) Look(t TableName) { j.looks[t] = map[string]int{} }

// True takes a row that should be there.
func (j *Judge) True(r Row) { j.take(&r, 0, 1) }

// Delivered takes a row that is there.
func (j *Judge) Delivered(r Row) { j.take(&r, 1, -1) }

func (j *Judge) take(r *Row, side, sign int) {
	name := TableName{r.Kommune, r.Dataset}
	text := r.text()
	if looks := j.looks[name]; looks != nil {
		if looks[text] += sign; looks[text] == 0 {
			delete(looks, text)
		}
	}
	t := j.tables[name]
	if t == nil {
		t = &judged{}
		j.tables[name] = t
	}
	t.rows[side]++
	hash := sha256.Sum256([]byte(text))
	t.sum[side] += binary.LittleEndian.Uint64(hash[:])
}

// text is the row in one line: what is compared.
func (r *Row) text() string {
	return strings.Join(append([]string{r.From.String(), r.Until.String(), string(r.System)},
		r.Values...), "|")
}

// Difference is a table that is not what it should be.
type Difference struct {
	TableName
	True, Delivered int
	Missing, Excess []string // rows, masked; of a table that was looked at
}

// String is one line: counts, and no value of a person.
func (d *Difference) String() string {
	return fmt.Sprintf(
		"%s %s: %d rows are true, %d delivered",
		d.Kommune,
		d.Dataset,
		d.True,
		d.Delivered,
	)
}

// Rows is how many rows were compared.
func (j *Judge) Rows() (n int) {
	for _, t := range j.tables {
		n += t.rows[0]
	}
	return n
}

// Differences are the tables that differ, by name.
func (j *Judge) Differences() []Difference {
	var all []Difference
	for name, t := range j.tables {
		if t.rows[0] == t.rows[1] && t.sum[0] == t.sum[1] {
			continue
		}
		d := Difference{TableName: name, True: t.rows[0], Delivered: t.rows[1]}
		for text, n := range j.looks[name] {
			for range max(n, -n) {
				if n > 0 {
					d.Missing = append(d.Missing, masked(text))
				} else {
					d.Excess = append(d.Excess, masked(text))
				}
			}
		}
		slices.Sort(d.Missing)
		slices.Sort(d.Excess)
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Kommune, b.Kommune), cmp.Compare(a.Dataset, b.Dataset))
	})
	return all
}

// masked hides the last four digits of each personal number.
func masked(text string) string {
	fields := strings.Split(text, "|")
	for i, f := range fields {
		if len(f) == 10 && strings.Trim(f, "0123456789") == "" {
			fields[i] = f[:6] + "****"
		}
	}
	return strings.Join(fields, "|")
}
