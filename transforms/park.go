package transforms

import "github.com/flis-dk/flis/schemas"

// Park appends a record that was refused before it could be judged: bytes that are no record, or
// one that ended the process. What the headers tell is kept.
func (c *Catalog) Park(dst []schemas.Row, r *Record, why *schemas.Finding) []schemas.Row {
	m := c.machines.Get().(*machine)
	defer c.machines.Put(m)
	m.reset()
	v := verdict{c: c, t: c.topics[r.Topic], r: r, m: m, rows: dst, first: len(dst)}
	v.raw()
	if v.t != nil {
		v.envelope()
		m.findings = m.findings[:0] // why it was parked says more than a missing header
	}
	v.park(why)
	v.settle()
	return v.rows
}
