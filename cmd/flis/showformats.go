package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

// rowWriter prints rows in one format. end is called once, after the last row and only when all
// went well.
type rowWriter interface {
	row(cells []sinks.Cell) error
	end() error
}

// cellText is the value as text, exact; "" for null.
func cellText(c *sinks.Cell, col *schemas.Column) string {
	switch {
	case c.Null:
		return ""
	case col.Type == schemas.String:
		return c.Text
	case col.Type == schemas.Boolean:
		return strconv.FormatBool(c.Int != 0)
	case col.Type == schemas.Date:
		return schemas.Day(c.Int).String()
	case col.Type == schemas.Timestamp:
		return schemas.Instant(c.Int).String()
	case col.Type == schemas.Decimal:
		return decimalText(c.Int, col.Scale)
	}
	return strconv.FormatInt(c.Int, 10)
}

// decimalText has as many digits behind the point as the scale.
func decimalText(unscaled int64, scale int) string {
	if scale == 0 {
		return strconv.FormatInt(unscaled, 10)
	}
	sign, digits := "", strconv.FormatInt(unscaled, 10)
	if unscaled < 0 {
		sign, digits = "-", digits[1:]
	}
	if n := scale + 1 - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	at := len(digits) - scale
	return sign + digits[:at] + "." + digits[at:]
}

// csvRows is RFC 4180: commas, CRLF, a heading line; null is empty.
type csvRows struct {
	out     *bufio.Writer
	columns []schemas.Column
}

func newCSV(out io.Writer, columns []schemas.Column) *csvRows {
	w := &csvRows{out: bufio.NewWriter(out), columns: columns}
	for i := range columns {
		w.field(i, columns[i].Name)
	}
	return w
}

func (w *csvRows) row(cells []sinks.Cell) error {
	for i := range cells {
		w.field(i, cellText(&cells[i], &w.columns[i]))
	}
	return w.flushed()
}

// field writes one field and what separates it from the one before. Errors come out at the next
// flush.
func (w *csvRows) field(i int, text string) {
	if i > 0 {
		_ = w.out.WriteByte(',')
	}
	if strings.ContainsAny(text, ",\"\r\n") {
		text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	_, _ = w.out.WriteString(text)
	if i == len(w.columns)-1 {
		_, _ = w.out.WriteString("\r\n")
	}
}

// flushed tells an earlier error; what is buffered stays so.
func (w *csvRows) flushed() error {
	_, err := w.out.Write(nil)
	return err
}

func (w *csvRows) end() error { return w.out.Flush() }

// jsonRows is one array of objects with typed values.
type jsonRows struct {
	out     *bufio.Writer
	columns []schemas.Column
	names   [][]byte
	rows    int
}

func newJSON(out io.Writer, columns []schemas.Column) *jsonRows {
	w := &jsonRows{out: bufio.NewWriter(out), columns: columns}
	for i := range columns {
		w.names = append(w.names, append(quoted(columns[i].Name), ':', ' '))
	}
	return w
}

// quoted is the text as JSON, with <, > and & as they are.
func quoted(text string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic("flis: encode text: " + err.Error()) // a string always encodes
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func (w *jsonRows) row(cells []sinks.Cell) error {
	begin := ",\n  {"
	if w.rows == 0 {
		begin = "[\n  {"
	}
	w.rows++
	_, _ = w.out.WriteString(begin)
	for i := range cells {
		if i > 0 {
			_, _ = w.out.WriteString(", ")
		}
		_, _ = w.out.Write(w.names[i])
		_, _ = w.out.Write(cellJSON(&cells[i], &w.columns[i]))
	}
	_, err := w.out.WriteString("}")
	return err
}

// cellJSON: dates and timestamps are text, decimals numbers with all their digits.
func cellJSON(c *sinks.Cell, col *schemas.Column) []byte {
	switch {
	case c.Null:
		return []byte("null")
	case col.Type == schemas.String, col.Type == schemas.Date, col.Type == schemas.Timestamp:
		return quoted(cellText(c, col))
	}
	return []byte(cellText(c, col))
}

func (w *jsonRows) end() error {
	text := "\n]\n"
	if w.rows == 0 {
		text = "[]\n"
	}
	_, _ = w.out.WriteString(text)
	return w.out.Flush()
}

// alignedRows is for a terminal. The widths are those of the first rows; a longer value further
// down moves its own line only.
type alignedRows struct {
	out     *bufio.Writer
	heading string
	columns []schemas.Column
	widths  []int
	first   [][]string // not printed yet
	began   bool
	rows    int64
}

// alignedFirst is how many rows the widths are taken from.
const alignedFirst = 1000

func newAligned(out io.Writer, columns []schemas.Column, heading string) *alignedRows {
	w := &alignedRows{out: bufio.NewWriter(out), columns: columns, heading: heading}
	for i := range columns {
		w.widths = append(w.widths, utf8.RuneCountInString(columns[i].Name))
	}
	return w
}

func (w *alignedRows) row(cells []sinks.Cell) error {
	w.rows++
	line := make([]string, len(cells))
	for i := range cells {
		line[i] = printable(cellText(&cells[i], &w.columns[i]))
	}
	if w.began {
		return w.line(line)
	}
	w.first = append(w.first, line)
	for i, text := range line {
		w.widths[i] = max(w.widths[i], utf8.RuneCountInString(text))
	}
	if len(w.first) < alignedFirst {
		return nil
	}
	return w.begin()
}

// printable keeps what a source sent from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

func (w *alignedRows) begin() error {
	w.began = true
	_, _ = fmt.Fprintf(w.out, "%s\n\n", w.heading)
	if len(w.first) > 0 {
		names := make([]string, len(w.columns))
		for i := range w.columns {
			names[i] = w.columns[i].Name
		}
		_ = w.line(names)
	}
	var err error
	for _, line := range w.first {
		err = w.line(line)
	}
	w.first = nil
	return err
}

func (w *alignedRows) line(texts []string) error {
	for i, text := range texts {
		_, _ = w.out.WriteString(text)
		if i < len(texts)-1 {
			pad := max(0, w.widths[i]-utf8.RuneCountInString(text)) + 2
			_, _ = w.out.WriteString(strings.Repeat(" ", pad))
		}
	}
	return w.out.WriteByte('\n')
}

func (w *alignedRows) end() error {
	if !w.began {
		_ = w.begin()
	}
	if w.rows > 0 {
		_ = w.out.WriteByte('\n')
	}
	_, _ = fmt.Fprintf(w.out, "%s\n", counted(w.rows, "row"))
	return w.out.Flush()
}

// counted is "1 row", "2 rows".
func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}
