package streams

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/flis-dk/flis/schemas"
)

// ControlKind is what a control record states.
type ControlKind string

// The kinds of control records.
const (
	Seal      ControlKind = "segl"
	Heartbeat ControlKind = "hjerteslag"
	Gap       ControlKind = "hul" // an accepted gap in a chain of files
)

// Control is a source's statement on its own deliveries (schemas/systems/flis/kontrol.avsc).
type Control struct {
	Kind     ControlKind
	System   schemas.System
	Source   string // ce_source
	Day      schemas.Day
	Count    int64
	File     string
	Excerpt  bool
	Produced schemas.Day
	Previous schemas.Day
	Reason   string
	Sequence *int64 // of a heartbeat: the last number sent by the end of the day; nil = not said
}

func (f *Feed) control(ctx context.Context, c Control) error {
	topic := schemas.RawTopic(c.System, schemas.ControlEvent)
	id, err := f.SchemaID(ctx, topic)
	if err != nil {
		return err
	}
	d := Delivery{System: c.System, Day: c.Day}
	m := Message{Topic: topic, Value: c.value(id),
		Headers: d.headers(c.File+"-"+string(c.Kind), schemas.ControlEvent, f.Clock())}
	m.Headers[1].Value = []byte(c.Source)
	return f.add(ctx, m)
}

func (c *Control) value(id uint32) []byte {
	b := frame(nil, id)
	b = appendString(b, string(c.Kind))
	b = appendDay(b, c.Day)
	b = binary.AppendVarint(b, c.Count)
	b = appendOptional(b, c.File)
	b = appendBool(b, c.Excerpt)
	b = appendDay(b, c.Produced)
	b = appendDay(b, c.Previous)
	b = appendOptional(b, c.Reason)
	if c.Sequence == nil {
		return binary.AppendVarint(b, 0)
	}
	return binary.AppendVarint(binary.AppendVarint(b, 1), *c.Sequence)
}

// ParseControl reads the value of a control record that a feed of ours wrote, by the present schema
// or by the one before it, which ended with the reason; a value of another schema is an error, and
// no control of ours.
func ParseControl(value []byte) (Control, error) {
	r := reader{b: value}
	if len(value) < 5 || value[0] != 0 {
		return Control{}, errors.New("parse control record: no registry framing")
	}
	r.b = value[5:]
	c := Control{
		Kind:     ControlKind(r.text()),
		Day:      r.day(),
		Count:    r.long(),
		File:     r.optional(),
		Excerpt:  r.bool(),
		Produced: r.day(),
		Previous: r.day(),
		Reason:   r.optional(),
	}
	if len(r.b) > 0 && r.long() != 0 {
		n := r.long()
		c.Sequence = &n
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = errors.New("trailing bytes")
	}
	if r.err != nil {
		return Control{}, fmt.Errorf("parse control record: %w", r.err)
	}
	return c, nil
}

// CheckChain compares a file with what was fed before it, oldest first (invariant 4). known: the
// very file was sealed before. The error names the days and how to go on.
func CheckChain(before []Control, d Delivery) (known bool, err error) {
	last := schemas.Always
	for _, c := range before {
		if c.Kind == Seal && c.File == d.SHA256 {
			return true, nil
		}
		if (c.Kind == Seal && !c.Excerpt || c.Kind == Gap) && c.Produced != schemas.Always {
			last = max(last, c.Produced)
		}
	}
	switch {
	case d.Excerpt || d.Previous == schemas.Always || last == schemas.Always || d.Previous == last:
		return false, nil
	case d.Produced != schemas.Always && d.Produced <= last:
		return false, fmt.Errorf("the file was produced %s, but the file of %s has been fed already: "+
			"feed a chain in order, or give --gap REASON to take it all the same", d.Produced, last)
	}
	return false, fmt.Errorf(
		"a file is missing: this one follows the file of %s, the last one fed is of %s; "+
			"feed the missing file first, or give --gap REASON to go past it",
		d.Previous,
		last,
	)
}

// AcceptGap records that the chain goes on at the file all the same, and why.
func (f *Feed) AcceptGap(ctx context.Context, d Delivery, reason string) error {
	return f.seal(
		ctx,
		Control{Kind: Gap, System: d.System, Source: "//" + string(d.System), Day: d.Day,
			File: d.SHA256, Produced: d.Previous, Reason: reason},
	)
}

// reader takes apart the Avro of a control record; after an error it gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) long() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) fail() { r.err, r.b = errors.New("cut short"), nil }

func (r *reader) text() string {
	n := r.long()
	if n < 0 || n > int64(len(r.b)) {
		r.fail()
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) optional() string {
	if r.long() == 0 {
		return ""
	}
	return r.text()
}

func (r *reader) bool() bool {
	if len(r.b) == 0 {
		r.fail()
		return false
	}
	v := r.b[0] == 1
	r.b = r.b[1:]
	return v
}

func (r *reader) day() schemas.Day {
	s := r.optional()
	if s == "" {
		return schemas.Always
	}
	d, err := schemas.ParseDay(s)
	if err != nil {
		r.err = err
	}
	return d
}
