package transforms

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
)

// verdict is the work on one record. rows[first] is the raw record itself.
type verdict struct {
	c       *Catalog
	t       *topic
	r       *Record
	m       *machine
	p       *plan
	env     envelope
	rows    []schemas.Row
	first   int
	sender  schemas.Kommunekode
	kommune schemas.Kommunekode // of the record; National where each row has its own

	registered, stated schemas.Instant
	sequence           int64
	scope, oneOf       string // of the record's snapshot: its scope and, over several records, its id
	dropped            int    // rows of municipalities without agreement
	buf                []byte // headers and payloads, one behind the other
}

// Judge appends the record itself (ordinal 0) and its domain events (1…n) to dst. A record that
// cannot be used is ordinal 0 alone, parked. Rows point into the record's value and key, which the
// caller leaves alone while the rows live. An error means only that the registry could not be
// asked: dst is then as it was, and the record is to be judged again.
func (c *Catalog) Judge(dst []schemas.Row, r *Record) ([]schemas.Row, error) {
	m := c.machines.Get().(*machine)
	defer c.machines.Put(m)
	m.reset()
	v := verdict{c: c, t: c.topics[r.Topic], r: r, m: m, rows: dst, first: len(dst)}
	if err := v.judge(); err != nil {
		return dst, err
	}
	v.settle()
	return v.rows, nil
}

// judge goes through the checks in order. What is found goes to the machine; an error is a bad
// world. Each check rests on those before it, so the first that fails ends them: a record of
// unknown sender is not decoded.
func (v *verdict) judge() error {
	v.raw()
	if v.t == nil {
		if parts := strings.Split(v.r.Topic, "."); len(parts) > 2 {
			v.rows[v.first].System, v.rows[v.first].Event = schemas.System(parts[1]), parts[2]
		}
		v.park(schemas.Reject(schemas.CodeMapping, "",
			"add a mapping for the topic, or stop sending to it",
			"there is no mapping for this topic"))
		return nil
	}
	v.m.system = v.t.system.name
	v.envelope()
	if v.env.standIn {
		v.park(schemas.Reject(schemas.CodeBudget, headerStandIn, "have the source split the unit",
			"the unit is larger than the topic takes: only its hash and size were sent"))
	}
	if !v.m.parked {
		v.findSender()
	}
	if v.m.parked {
		return nil
	}
	if v.r.Value == nil {
		v.tombstone()
		return nil
	}
	data, err := v.frame()
	if err != nil || v.m.parked {
		return err
	}
	switch {
	case v.t.program == nil:
		v.control(data)
	case v.t.parser != nil:
		v.unit(data)
	default:
		v.mapped(v.p, data)
	}
	return nil
}

// park notes a finding that parks the record whole.
func (v *verdict) park(f *schemas.Finding) {
	v.m.parked = true
	v.m.findings = append(v.m.findings, f)
}

// raw appends ordinal 0 with what is known before anything is read: whatever comes after, the
// record is in the journal, whole (invariant 1).
func (v *verdict) raw() {
	row := schemas.Row{Stream: v.r.Stream, Offset: v.r.Offset, Arrived: v.r.Arrived,
		Leverance: v.r.Arrived.Day(),
		Kommune:   schemas.National, Op: schemas.OpRaw, From: schemas.Always, To: schemas.Open,
		Registered: v.r.Arrived,
		Stated:     v.r.Arrived, Sequence: v.r.Offset, Payload: v.r.Value, RawKey: v.r.Key,
		Outcome:   schemas.Accepted,
		Canonical: v.c.print}
	if v.t != nil {
		row.Canonical = v.t.system.print
	}
	size := payloadSize
	for i := range v.r.Headers {
		size += len(v.r.Headers[i].Name) + 2*len(v.r.Headers[i].Value) + 12
	}
	v.buf = appendHeaders(make([]byte, 0, size), v.r.Headers)
	row.Headers = v.buf[:len(v.buf):len(v.buf)]
	v.rows = append(v.rows, row)
}

// payloadSize is room for the payloads of a usual record, behind its headers.
const payloadSize = 128

// envelope reads the headers and writes what they say to ordinal 0; of malformed ones, what could
// be read.
func (v *verdict) envelope() {
	v.env = readEnvelope(v.t, v.r)
	for _, f := range v.env.findings {
		v.park(f)
	}
	row, e := &v.rows[v.first], &v.env
	row.System, row.Event, row.EventID = v.t.system.name, v.t.event, e.eventID
	row.Leverance, row.Registered, row.Stated, row.Sequence = e.leverance, e.time, e.time,
		e.sequence
	row.Count = e.number
	if k, ok := v.organisation(e.named); ok {
		row.Kommune = k
	}
	v.registered, v.stated, v.sequence, v.m.lever = e.time, e.time, e.sequence, e.leverance
}

// findSender reads who sends. Sources that speak for all municipalities name none, or 0000.
func (v *verdict) findSender() {
	named, e := v.env.named, &v.env
	control := v.t.program == nil
	v.sender = schemas.National
	switch {
	case named == "" && e.kommune != "":
		v.sender = e.kommune
	case (named == "" || named == string(schemas.National)) && (v.t.system.national || control):
	default:
		k, ok := v.organisation(named)
		if !ok {
			v.park(schemas.Reject(schemas.CodeCode, headerSource,
				"name the municipality in the agreed form, or have the key added to organisationsnoegle",
				"names no municipality that is known"))
			return
		}
		v.sender = k
	}
	v.belongs(v.sender)
	switch {
	case e.kommune != "" && e.kommune != v.sender && !v.reports(e.kommune):
		v.park(schemas.Reject(schemas.CodeTenant, headerKommune, mendTenant,
			"names another municipality than ce_source"))
	case v.sender != schemas.National && !v.c.agreements.Speaks(v.t.system.name, v.sender):
		v.park(noAgreement(headerSource))
	case e.kommune != "":
		v.belongs(e.kommune)
	}
}

// noAgreement is the finding of a system that speaks for a municipality it may not speak for
// (invariant 6).
func noAgreement(path string) *schemas.Finding {
	return schemas.Reject(schemas.CodeTenant, path,
		"have an agreement made for the municipality, the area and the system",
		"the system has no agreement with this municipality")
}

// organisation tries the forms that the system's mappings use, then the code of four digits.
// Records of one sender come in rows, so the last answer is kept.
func (v *verdict) organisation(named string) (schemas.Kommunekode, bool) {
	last := &v.m.sender
	if last.system == v.t.system && last.named == named && last.at == v.env.leverance {
		return last.kommune, last.known
	}
	*last = sender{system: v.t.system, named: named, at: v.env.leverance}
	for _, form := range append(v.t.system.forms[:len(v.t.system.forms):len(v.t.system.forms)],
		"KOM4") {
		if last.kommune, last.known = v.c.lists.Organisation(form, named,
			v.env.leverance); last.known {
			last.form = form
			break
		}
	}
	return last.kommune, last.known
}

// sender is an answer to who sends.
type sender struct {
	system  *system
	named   string
	at      schemas.Day
	form    string
	kommune schemas.Kommunekode
	known   bool
}

// frameLength is the registry framing: magic 0 and four bytes of schema id, big-endian.
const frameLength = 5

// frame reads the registry framing and finds the plan of the id.
func (v *verdict) frame() ([]byte, error) {
	b := v.r.Value
	if len(b) < frameLength || b[0] != 0 {
		v.park(unframed(v.t.schema, b))
		return nil, nil
	}
	p, f, err := v.c.plan(v.t, binary.BigEndian.Uint32(b[1:]))
	if p != nil {
		v.p, v.rows[v.first].Schema = p, p.print
	}
	if f != nil {
		v.park(f)
	}
	return b[frameLength:], err
}

// unframed is the finding of a value without framing. A feed publishes an event that cannot be
// encoded as it is, so JSON is told what is wrong with it by the topic's schema.
func unframed(schema *avro.Schema, value []byte) *schemas.Finding {
	if json.Valid(value) {
		if _, f := EncodeEvent(schema, value); f != nil {
			return f
		}
	}
	return schemas.Reject(schemas.CodeSchema, "",
		"write a zero, the schema's id in four bytes, then Avro",
		"the value has no registry framing")
}

// EncodeEvent turns the data of a structured CloudEvent into Avro by the schema of its topic, for
// those who feed or check a file of events. The finding is the one that Judge gives of the same
// data without framing.
func EncodeEvent(schema *avro.Schema, data []byte) ([]byte, *schemas.Finding) {
	b, err := avro.EncodeJSON(schema, data)
	if err == nil {
		return b, nil
	}
	f := malformed(err)
	f.Path, f.Mend = strings.TrimSuffix("data."+f.Path, "."), "send what the event's schema says"
	return nil, f
}

// unit has a parser make a record of a file's unit, then maps it like any other.
func (v *verdict) unit(data []byte) {
	if err := v.t.schema.Check(data); err != nil {
		v.park(malformed(err))
		return
	}
	record, parts, reject := v.t.parser(data)
	if reject != nil {
		v.park(reject)
		return
	}
	v.mapped(v.t.own, record)
	for _, f := range parts {
		row := v.row()
		row.Op, row.Outcome, row.Finding = schemas.OpRaw, schemas.Parked, f.Error()
		row.From, row.To, row.Kommune = schemas.Always, schemas.Open, v.kommune
		v.append(&row)
		v.rows[v.first].Outcome = schemas.PartlyParked
	}
}

// mapped walks the record once, checking all of it, and runs the mapping over what was picked. A
// field that our schema does not have is a warning: drift is loud.
func (v *verdict) mapped(p *plan, data []byte) {
	v.p = p
	v.m.record = sized(v.m.record, p.scan.Len())
	if err := p.scan.Run(data, v.m.record); err != nil {
		v.park(malformed(err))
		return
	}
	if p.drift != nil {
		v.m.warned = true
		v.m.findings = append(v.m.findings, p.drift)
	}
	v.run()
}

// sized gives a slice of so many values, reusing what is there.
func sized(s []avro.Value, n int) []avro.Value {
	if cap(s) < n {
		return make([]avro.Value, n)
	}
	return s[:n]
}

// malformed is the finding of bytes that are not what their schema says, or are more than a budget.
func malformed(err error) *schemas.Finding {
	var f *avro.Fault
	if errors.As(err, &f) && f.Budget {
		return schemas.Reject(schemas.CodeBudget, f.Path, "split the record", "%s", f.Rule)
	}
	if f == nil {
		return schemas.Reject(schemas.CodeDecode, "", "", "%s", err)
	}
	return schemas.Reject(schemas.CodeDecode, f.Path,
		"write the record by the schema whose id it carries", "%s", f.Rule)
}

// settle writes the verdict to the rows. Findings of a record that is not parked are warnings. The
// digest is of the value, by which a duplicate is told from another event of the same id.
func (v *verdict) settle() {
	sum := sha256.Sum256(v.r.Value)
	for i := v.first; i < len(v.rows); i++ {
		v.rows[i].Digest = int64(binary.BigEndian.Uint64(sum[:]))
	}
	if fs := v.m.findings; len(fs) > 0 {
		texts := make([]string, len(fs))
		for i, f := range fs {
			texts[i] = f.Error()
		}
		v.rows[v.first].Finding = strings.Join(texts, "; ")
	}
	switch {
	case v.m.parked:
		clear(v.rows[v.first+1:])
		v.rows = v.rows[:v.first+1]
		v.rows[v.first].Outcome = schemas.Parked
	case v.m.warned:
		for i := v.first; i < len(v.rows); i++ {
			if v.rows[i].Outcome == schemas.Accepted {
				v.rows[i].Outcome = schemas.Warned
			}
		}
	}
}
