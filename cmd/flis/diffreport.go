package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

// diffOutput prints a comparison: counts, or the rows behind them.
type diffOutput struct {
	report *diffReport
	out    io.Writer
	format string
	rows   rowWriter // nil = counts only
}

// The columns of the two forms. A row that differs is a line for each of its columns.
var (
	diffCounts = append(textColumns("datasaet", "parret_paa", "maal"),
		schemas.Column{Name: "antal", Type: schemas.Int})
	diffRows = textColumns("datasaet", "forskel", "noegle", "gyldig_fra", "gyldig_til", "kolonne",
		"nuvaerende", "skygge")
)

func textColumns(names ...string) (all []schemas.Column) {
	for _, n := range names {
		all = append(all, schemas.Column{Name: n, Type: schemas.String})
	}
	return all
}

func newDiffOutput(out io.Writer, r *diffReport, format string, rows bool) *diffOutput {
	o := &diffOutput{report: r, out: out, format: format}
	if rows {
		o.rows = o.writer(diffRows, "Rækker, der er forskellige")
	}
	return o
}

func (o *diffOutput) writer(columns []schemas.Column, heading string) rowWriter {
	switch o.format {
	case "csv":
		return newCSV(o.out, columns)
	case "json":
		return newJSON(o.out, columns)
	}
	return newAligned(o.out, columns, heading)
}

func texts(all ...string) (cells []sinks.Cell) {
	for _, t := range all {
		cells = append(cells, sinks.Cell{Text: t})
	}
	return cells
}

// difference takes the differing rows of a dataset; nil where only counts are wanted.
func (o *diffOutput) difference(name schemas.DatasetName) func(*sinks.Difference) error {
	if o.rows == nil {
		return nil
	}
	return func(d *sinks.Difference) error {
		kind, shown, columns := "kun_nuvaerende", d.Present, d.Differ
		switch {
		case d.Present == nil:
			kind, shown = "kun_skygge", d.Candidate
		case d.Candidate != nil:
			kind = "aendret"
		}
		if columns == nil {
			for i := range len(d.Columns) - 2 {
				if !slices.Contains(d.Paired, i) {
					columns = append(columns, i)
				}
			}
		}
		n := len(d.Columns)
		for _, i := range append(columns, -1)[:max(1, len(columns))] {
			line := []string{string(name), kind, keyOf(d, shown), valueAt(d, shown, n-2),
				valueAt(d, shown, n-1), "", "", ""}
			if i >= 0 {
				line[5], line[6], line[7] = d.Columns[i].Name, valueAt(d, d.Present, i),
					valueAt(d, d.Candidate, i)
			}
			if err := o.rows.row(texts(line...)); err != nil {
				return err
			}
		}
		return nil
	}
}

func valueAt(d *sinks.Difference, cells []sinks.Cell, i int) string {
	if cells == nil {
		return ""
	}
	return cellText(&cells[i], &d.Columns[i])
}

func keyOf(d *sinks.Difference, cells []sinks.Cell) string {
	var all []string
	for _, i := range d.Paired {
		all = append(all, d.Columns[i].Name+"="+valueAt(d, cells, i))
	}
	return strings.Join(all, " ")
}

// end prints what is to come after the last dataset.
func (o *diffOutput) end() error {
	if o.rows != nil && (o.format != "table" || !o.report.same()) {
		if err := o.rows.end(); err != nil {
			return err
		}
	}
	switch {
	case o.format == "table":
		return o.report.print(o.out)
	case o.rows != nil:
		return nil
	}
	w := o.writer(diffCounts, "")
	for _, c := range o.report.found {
		for _, m := range measures(c) {
			line := texts(string(c.Dataset), strings.Join(c.Paired, " "), m.name)
			if err := w.row(append(line, sinks.Cell{Int: m.n})); err != nil {
				return err
			}
		}
	}
	return w.end()
}

type measure struct {
	name string
	n    int64
}

func measures(c *sinks.Compared) []measure {
	all := []measure{{"noegler_begge", c.KeysBoth}, {"noegler_kun_nuvaerende", c.KeysPresent},
		{"noegler_kun_skygge", c.KeysCandidate}, {"raekker_ens", c.Equal},
		{"raekker_aendret", c.Differing}, {"raekker_kun_nuvaerende", c.RowsPresent},
		{"raekker_kun_skygge", c.RowsCandidate}}
	for _, name := range slices.Sorted(maps.Keys(c.Columns)) {
		all = append(all, measure{"kolonne " + name, c.Columns[name]})
	}
	return all
}

// print is the report for people.
func (r *diffReport) print(out io.Writer) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "Hvis %s overtog %s i %s %s", r.system, r.unit.Area, r.unit.Kommune, r.name)
	if r.day != nil {
		fmt.Fprintf(w, " den %s", r.day)
	}
	fmt.Fprintf(w, "\n  nuværende  %s: %s\n  skygge     %s: %s\n", r.presentSystems(),
		certified(r.present.Certificate), r.system, certified(r.candidate.Certificate))
	var changed, gone, added int64
	for i, c := range r.found {
		r.dataset(w, c, r.times[i])
		changed, gone, added = changed+c.Differing, gone+c.RowsPresent, added+c.RowsCandidate
	}
	if r.same() {
		fmt.Fprintf(w, "\nIngen forskel: skiftet ville ikke ændre en række.\n")
	} else {
		fmt.Fprintf(w, "\nI alt ville %d rækker blive ændret, %d falde bort og %d komme til.\n",
			changed, gone, added)
	}
	return w.Flush()
}

func certified(c *sinks.Certificate) string {
	if c == nil {
		return "intet bevis endnu"
	}
	return fmt.Sprintf("bevis %d, leverance %s", c.Number, c.Leverance)
}

func (r *diffReport) dataset(w io.Writer, c *sinks.Compared, times []sinks.Interval) {
	fmt.Fprintf(w, "\n%s, parret på %s; %s\n", c.Dataset, strings.Join(c.Paired, ", "),
		timesText(times))
	fmt.Fprintf(w, "  nøgler   %d i begge, %d kun i nuværende, %d kun i skygge\n", c.KeysBoth,
		c.KeysPresent, c.KeysCandidate)
	fmt.Fprintf(w, "  rækker   %d ens, %d ændret, %d kun i nuværende, %d kun i skygge\n", c.Equal,
		c.Differing, c.RowsPresent, c.RowsCandidate)
	for _, name := range slices.Sorted(maps.Keys(c.Columns)) {
		fmt.Fprintf(w, "  ændret   %s i %d rækker\n", name, c.Columns[name])
	}
	fmt.Fprintf(w, "  udeladt  %s\n", strings.Join(c.LeftOut, ", "))
}

func timesText(times []sinks.Interval) string {
	var all []string
	for _, t := range times {
		switch {
		case t.From == schemas.Always && t.To == schemas.Open:
			all = append(all, "hele tiden")
		case t.To == schemas.Open:
			all = append(all, "fra "+t.From.String())
		case t.From == schemas.Always:
			all = append(all, "før "+t.To.String())
		default:
			all = append(all, "fra "+t.From.String()+" til før "+t.To.String())
		}
	}
	return strings.Join(all, " og ")
}
