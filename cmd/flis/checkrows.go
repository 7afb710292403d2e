package main

import (
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms"
)

// checkRow is one row that a mapping makes of a record. It holds personal data.
type checkRow struct {
	Op      schemas.Op          `json:"op"`
	Dataset schemas.DatasetName `json:"dataset"`
	Kommune schemas.Kommunekode `json:"kommunekode"`
	Scope   string              `json:"scope,omitempty"`
	Key     map[string]string   `json:"key,omitempty"`
	From    *string             `json:"gyldig_fra"` // null: since ever
	To      *string             `json:"gyldig_til"` // null: open; else exclusive
	Values  map[string]*string  `json:"values,omitempty"`

	cells []transforms.Cell
}

// checkRows is the domain rows among those of a verdict; the record itself and parts of it are
// none.
func checkRows(c *transforms.Catalog, rows []schemas.Row) ([]checkRow, error) {
	var all []checkRow
	for i := range rows {
		r := &rows[i]
		if r.Dataset == "" {
			continue
		}
		cells, err := c.Cells(r)
		if err != nil {
			return nil, err
		}
		x := checkRow{Op: r.Op, Dataset: r.Dataset, Kommune: r.Kommune, Scope: r.Scope,
			From: dayText(r.From), To: dayText(r.To), cells: cells}
		if r.Key != "" {
			x.Key = map[string]string{}
			parts := strings.Split(r.Key, schemas.KeySeparator)
			for j, name := range c.Dataset(r.Dataset).Key {
				x.Key[name] = parts[j]
				if cells == nil {
					x.cells = append(x.cells, transforms.Cell{Name: name, Text: parts[j], Key: true})
				}
			}
		}
		x.values(cells)
		all = append(all, x)
	}
	return all, nil
}

// values fills in the columns beside the key.
func (x *checkRow) values(cells []transforms.Cell) {
	for i := range cells {
		c := &cells[i]
		if c.Key {
			continue
		}
		if x.Values == nil {
			x.Values = map[string]*string{}
		}
		x.Values[c.Name] = nil
		if !c.Null {
			x.Values[c.Name] = &c.Text
		}
	}
}

// dayText is a bound of valid time; nil for Always and Open.
func dayText(d schemas.Day) *string {
	if s := d.String(); s != "" {
		return &s
	}
	return nil
}

// text is the row for a person: a line of what is done, then one for each column.
func (x *checkRow) text() string {
	var b strings.Builder
	from, to := "always", "open"
	if x.From != nil {
		from = *x.From
	}
	if x.To != nil {
		to = *x.To
	}
	b.WriteString("           " + string(x.Op) + " " + string(x.Dataset) + "  kommunekode " +
		string(x.Kommune) + "  gyldig_fra " + from + "  gyldig_til " + to)
	if x.Scope != "" {
		b.WriteString("  scope " + printable(x.Scope))
	}
	b.WriteString("\n")
	for _, c := range x.cells {
		mark, text := " ", printable(c.Text)
		if c.Key {
			mark = "*"
		}
		if c.Null {
			text = "null"
		}
		b.WriteString("           " + mark + " " + c.Name + " = " + text + "\n")
	}
	return b.String()
}
