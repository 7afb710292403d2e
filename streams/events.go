package streams

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms"
)

// CloudEvent is one line of a push system's file: an event in CloudEvents' structured mode (JSON
// format 1.0) with the extension attributes sequence, flis_leverance and flis_kommune.
type CloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Time            string          `json:"time"`
	Subject         string          `json:"subject,omitempty"` // the entity id; else the first field of data
	DataContentType string          `json:"datacontenttype,omitempty"`
	DataSchema      string          `json:"dataschema,omitempty"`
	Sequence        string          `json:"sequence,omitempty"`
	FlisLeverance   string          `json:"flis_leverance,omitempty"`
	FlisKommune     string          `json:"flis_kommune,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

const maxLine = 16 << 20 // a unit beyond the topic's limit cannot be published

// ParseCloudEvent reads one line strictly: an unknown attribute is an error, so that drift is loud.
func ParseCloudEvent(line []byte) (*CloudEvent, error) {
	if rule := misshapen(line); rule != "" {
		return nil, schemas.Reject(
			schemas.CodeEnvelope,
			"",
			"send one CloudEvent in JSON on a line",
			"%s",
			rule,
		)
	}
	var e CloudEvent
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return nil, schemas.Reject(schemas.CodeEnvelope, "", "send one CloudEvent in JSON on a line",
			"the line is no CloudEvent: %s", jsonFault(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, schemas.Reject(schemas.CodeEnvelope, "", "send one CloudEvent in JSON on a line",
			"the line goes on after the event")
	}
	return &e, nil
}

// misshapen tells of a line that is no object, in words for the two usual causes; "" for others.
func misshapen(line []byte) string {
	switch {
	case bytes.HasPrefix(line, []byte("\ufeff")):
		return "the file begins with a byte order mark: save it as UTF-8 without"
	case bytes.HasPrefix(line, []byte("[")):
		return "the line is a list of JSON: the file is JSON Lines, each event on a line of its own, without brackets"
	}
	return ""
}

// jsonFault names a fault of JSON without its content.
func jsonFault(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("syntax error at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Sprintf("attribute %s is no %s", kind.Field, kind.Type)
	case strings.Contains(err.Error(), "unknown field"):
		return "an attribute that is not known"
	}
	return "the JSON ends too early"
}

// Headers is the event's envelope in binary mode.
func (e *CloudEvent) Headers() []transforms.Header {
	var h []transforms.Header
	for _, x := range []struct{ name, value string }{
		{"ce_id", e.ID}, {"ce_source", e.Source}, {"ce_type", e.Type}, {"ce_time", e.Time},
		{"ce_sequence", e.Sequence}, {"flis_leverance", e.FlisLeverance}, {"flis_kommune", e.FlisKommune},
	} {
		if x.value != "" {
			h = append(h, transforms.Header{Name: x.name, Value: []byte(x.value)})
		}
	}
	return h
}

// Null says whether the event is a tombstone.
func (e *CloudEvent) Null() bool { return len(e.Data) == 0 || string(e.Data) == "null" }

// Events publishes a push system's file: JSON Lines of CloudEvents. What cannot be encoded by the
// topic's schema goes out as it is and will be parked whole; Sent.Bad says which lines and why.
// events are the system's event names.
func (f *Feed) Events(ctx context.Context, d Delivery, events []string, r io.Reader) (Sent, error) {
	var sent Sent
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<16), maxLine)
	for nr := 1; lines.Scan(); nr++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		m, bad, err := f.event(ctx, d, events, line, nr)
		if err != nil {
			return sent, err
		}
		if bad != nil {
			bad.Path = strings.TrimSuffix("line "+strconv.Itoa(nr)+" "+bad.Path, " ")
			sent.Bad = append(sent.Bad, bad)
		}
		if err := f.add(ctx, m); err != nil {
			return sent, err
		}
		sent.Records++
	}
	if err := lines.Err(); err != nil {
		return sent, fmt.Errorf("read events: %w", err)
	}
	return sent, f.seal(
		ctx,
		Control{Kind: Seal, System: d.System, Source: "//" + string(d.System), Day: d.Day,
			Count: sent.Records, File: d.SHA256, Excerpt: d.Excerpt,
			Produced: schemas.Always, Previous: schemas.Always},
	)
}

// event makes the record of a line. bad: it will be parked; the record then is the line, or its
// data, untouched.
func (f *Feed) event(ctx context.Context, d Delivery, events []string, line []byte, nr int) (
	m Message, bad *schemas.Finding, err error) {
	e, err := ParseCloudEvent(line)
	if err != nil {
		errors.As(err, &bad)
		return Message{Topic: schemas.RawTopic(d.System, events[0]), Value: bytes.Clone(line),
			Headers: d.noEnvelope(d.SHA256+"-linje-"+strconv.Itoa(nr), f.Clock())}, bad, nil
	}
	if e.FlisLeverance == "" {
		e.FlisLeverance = d.Day.String() // as told; else the day of arrival
	}
	m.Headers = e.Headers()
	topicEvent := e.Type
	if e.Type != schemas.ControlEvent && !slices.Contains(events, e.Type) {
		topicEvent = events[0]
		bad = transforms.OtherEvent(d.System, events)
	}
	m.Topic = schemas.RawTopic(d.System, topicEvent)
	m.Key = f.eventKey(e)
	if e.Null() {
		return m, bad, nil
	}
	if bad == nil {
		body, encodeErr := f.Encode(m.Topic, e.Data)
		if encodeErr == nil {
			id, err := f.SchemaID(ctx, m.Topic)
			m.Value = append(frame(make([]byte, 0, len(body)+5), id), body...)
			return m, nil, err
		}
		if !errors.As(encodeErr, &bad) {
			bad = schemas.Reject(schemas.CodeDecode, "data", "run flis check on the file",
				"the data is not what the schema of %s says", m.Topic)
		}
	}
	m.Value = bytes.Clone(e.Data)
	return m, bad, nil
}

// eventKey is the entity id that keeps an entity's events in order: the subject, else the first
// field of the data. It is hidden where it is a personal number.
func (f *Feed) eventKey(e *CloudEvent) []byte {
	id, name := e.Subject, "subject"
	if id == "" {
		name, id = firstField(e.Data)
	}
	if id == "" {
		return nil
	}
	if personal(name, id) {
		return f.entityKey(id)
	}
	return []byte(id)
}

// personal says whether an entity id is, or could be, a personal number: by its field's name, else
// by its form.
func personal(name, id string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"cpr", "pnr", "person", "patient", "borger"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	digits := strings.Replace(id, "-", "", 1)
	if len(digits) != 10 || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	day, month := digits[:2], digits[2:4]
	return (day >= "01" && day <= "31" || day >= "61" && day <= "91") && month >= "01" && month <= "12"
}

// firstField gives the name and text of an object's first field; both empty where that is no text
// or number.
func firstField(data []byte) (name, value string) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return "", ""
	}
	key, err := dec.Token()
	if err != nil {
		return "", ""
	}
	name, _ = key.(string)
	v, err := dec.Token()
	if err != nil {
		return "", ""
	}
	switch v := v.(type) {
	case string:
		return name, v
	case json.Number:
		return name, v.String()
	}
	return "", ""
}
