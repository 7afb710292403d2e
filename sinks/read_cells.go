package sinks

import (
	"encoding/binary"

	"github.com/flis-dk/flis/schemas"
)

// A row in a sort is its cells: 0 for null, else 1 and the value; texts have their length before
// them.

func appendCells(b []byte, cells []Cell, columns []schemas.Column) []byte {
	for i := range cells {
		c := &cells[i]
		switch {
		case c.Null:
			b = append(b, 0)
		case columns[i].Type == schemas.String:
			b = append(binary.AppendUvarint(append(b, 1), uint64(len(c.Text))), c.Text...)
		default:
			b = binary.AppendVarint(append(b, 1), c.Int)
		}
	}
	return b
}

func readCells(dst []Cell, b []byte, columns []schemas.Column) ([]Cell, error) {
	for i := range columns {
		if len(b) == 0 {
			return dst, errRecord
		}
		there := b[0] == 1
		b = b[1:]
		if !there {
			dst = append(dst, Cell{Null: true})
			continue
		}
		c, used := readCell(b, columns[i].Type)
		if used <= 0 {
			return dst, errRecord
		}
		dst, b = append(dst, c), b[used:]
	}
	if len(b) > 0 {
		return dst, errRecord
	}
	return dst, nil
}

// readCell gives 0 for how much it used where the bytes are no value.
func readCell(b []byte, t schemas.Type) (Cell, int) {
	if t != schemas.String {
		n, used := binary.Varint(b)
		return Cell{Int: n}, used
	}
	n, used := binary.Uvarint(b)
	if used <= 0 || n > uint64(len(b)-used) {
		return Cell{}, 0
	}
	return Cell{Text: string(b[used : used+int(n)])}, used + int(n)
}
