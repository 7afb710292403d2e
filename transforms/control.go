package transforms

import (
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
)

// Kinds of control records (schemas/systems/flis/kontrol.avsc).
const (
	controlSeal      = "segl"
	controlHeartbeat = "hjerteslag"
	controlGap       = "hul"
)

// OpGap is the row of a gap in a source's chain of files that someone has accepted.
const OpGap schemas.Op = "hul"

// controlPaths is what a row needs of a control record; the rest stays in its payload.
func controlPaths() []string { return []string{"slags", "leverance", "antal", "fil", "udsnit"} }

// control turns a statement of a source on its own deliveries into one row, whose payload is the
// statement itself.
func (v *verdict) control(data []byte) {
	var x [5]avro.Value
	if err := v.c.control.Run(data, x[:]); err != nil {
		v.park(malformed(err))
		return
	}
	if !v.agreed() {
		return
	}
	row := v.row()
	row.Kommune, row.From, row.To = v.kommune, schemas.Always, schemas.Open
	row.Schema, row.Payload, row.Key, row.Count = v.t.schema.Print(), data, string(x[3].Bytes),
		x[2].Int
	switch string(x[0].Bytes) {
	case controlSeal:
		row.Op = schemas.OpSeal
		row.Background = x[4].Int != 0 // of an excerpt: proves nothing
	case controlHeartbeat:
		row.Op = schemas.OpHeartbeat
	case controlGap:
		row.Op = OpGap
	default:
		v.park(schemas.Reject(schemas.CodeCode, "slags", "send segl, hjerteslag or hul",
			"is no kind of statement"))
	}
	if row.Count < 0 {
		v.park(schemas.Reject(schemas.CodeMapping, "antal", "send the count",
			"is less than nothing"))
	}
	v.controlDay(&row, x[1])
	if !v.m.parked {
		v.append(&row)
	}
}

// controlDay is the delivery that a statement is about, within the window of every record.
func (v *verdict) controlDay(row *schemas.Row, day avro.Value) {
	if day.Null {
		return
	}
	d, ok := parseCivil(formISO, day.Bytes)
	if !ok {
		v.park(schemas.Reject(schemas.CodeDate, "leverance", "send yyyy-mm-dd", "is no day"))
		return
	}
	if arrival := v.r.Arrived.Day(); d >= arrival-daysBack && d <= arrival+daysAhead {
		row.Leverance, v.rows[v.first].Leverance = d, d
	}
}
