package transforms

import (
	"fmt"
	"strconv"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
)

// Cell is one column of a domain row as text, for people: a decimal with all its places, a date as
// yyyy-mm-dd, an instant in RFC 3339, UTC.
type Cell struct {
	Name string
	Text string // "" where Null
	Null bool
	Key  bool // the column is of the dataset's key
}

// Cells is the columns of a domain row, in the dataset's order. A row without payload (a delete, a
// snapshot, the raw record) has none. The cells hold personal data: they are printed where a person
// asked for them, never logged.
func (c *Catalog) Cells(r *schemas.Row) ([]Cell, error) {
	d, ok := c.datasets[r.Dataset]
	if !ok || r.Payload == nil {
		return nil, nil
	}
	values := make([]avro.Value, d.flat.Len())
	if err := d.flat.Read(r.Payload, values); err != nil {
		return nil, fmt.Errorf("read row of %s: %w", r.Dataset, err)
	}
	cells := make([]Cell, len(values))
	for i, v := range values {
		cells[i] = Cell{Name: d.Columns[i].Name, Null: v.Null}
		if !v.Null {
			cells[i].Text = cellText(&d.Columns[i], v)
		}
	}
	for _, k := range d.key {
		cells[k].Key = true
	}
	return cells, nil
}

// cellText writes a value by its column's type.
func cellText(c *schemas.Column, v avro.Value) string {
	switch c.Type {
	case schemas.String:
		return string(v.Bytes)
	case schemas.Date:
		return schemas.Day(v.Int).String()
	case schemas.Timestamp:
		return schemas.Instant(v.Int).String()
	case schemas.Boolean:
		return strconv.FormatBool(v.Int == 1)
	case schemas.Decimal:
		sign, n := "", v.Int
		if n < 0 {
			sign, n = "-", -n
		}
		unit := pow10(c.Scale)
		return fmt.Sprintf("%s%d.%0*d", sign, n/unit, c.Scale, n%unit)
	}
	return strconv.FormatInt(v.Int, 10)
}
