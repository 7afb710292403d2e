package sinks

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// statusRows are the statements of status.lukning that one certificate of an area makes: one for
// each day that it reports. A later certificate's win, by its number.
func statusRows(u schemas.Unit, c *Certificate) ([]schemas.Row, error) {
	rows := make([]schemas.Row, 0, len(c.Days))
	digest, err := digestOf(c)
	if err != nil {
		return nil, err
	}
	for i := range c.Days {
		d := &c.Days[i]
		day, err := schemas.ParseDay(d.Day)
		if err != nil {
			return nil, fmt.Errorf("read certificate %d of %s: %w", c.Number, u, err)
		}
		rows = append(rows, schemas.Row{
			Stream: schemas.NewStream(string(schemas.StatusSystem), "bevis", 0), Offset: c.Number,
			Ordinal: int32(i + 1), System: schemas.StatusSystem, EventID: statusEvent(u, c.Number),
			Event: "lukning", Arrived: c.Now, Leverance: c.LeveranceDay(), Outcome: schemas.Accepted,
			Kommune: u.Kommune, Dataset: schemas.StatusDataset,
			Key: string(u.Area) + schemas.KeySeparator + d.Day, Op: schemas.OpUpsert,
			From: day, To: day + 1, Registered: c.Now, Sequence: c.Number, Digest: digest,
			Payload: appendStatus(nil, u.Area, day, d)})
	}
	return rows, nil
}

// statusEvent names the certificate that a row is from.
func statusEvent(u schemas.Unit, n int64) string { return fmt.Sprintf("%s|%d", u, n) }

// digestOf is the first half of a certificate's hash, as a number.
func digestOf(c *Certificate) (int64, error) {
	var n uint64
	if _, err := fmt.Sscanf(c.hash[:min(16, len(c.hash))], "%16x", &n); err != nil {
		return 0, fmt.Errorf("read hash of certificate %s number %d: %w", c.Unit, c.Number, err)
	}
	return int64(n), nil
}

// statusCounts are sums over a day's sources.
type statusCounts struct {
	sources, received, accepted, ignored, parked int64
}

func countStatus(d *DayReport) (n statusCounts) {
	for i := range d.Sources {
		s := &d.Sources[i]
		n.sources++
		n.received += s.Received
		n.accepted += s.Accepted
		n.ignored += s.Ignored
		n.parked += s.Parked
	}
	return n
}

// statusMissing is what a day lacks as one text, "" = nothing.
func statusMissing(d *DayReport) string { return strings.Join(d.dayState().Missing, "; ") }

// appendStatus writes the Avro record of schemas/domain/status/lukning.avsc.
func appendStatus(b []byte, a schemas.Area, day schemas.Day, d *DayReport) []byte {
	text := func(s string) { b = append(binary.AppendVarint(b, int64(len(s))), s...) }
	text(string(a))
	b = binary.AppendVarint(b, int64(day))
	text(d.State)
	b = binary.AppendVarint(b, d.Revised)
	if m := statusMissing(d); m == "" {
		b = binary.AppendVarint(b, 0)
	} else {
		b = binary.AppendVarint(b, 1)
		text(m)
	}
	n := countStatus(d)
	for _, x := range []int64{n.sources, n.received, n.accepted, n.ignored, n.parked} {
		b = binary.AppendVarint(b, x)
	}
	return b
}
