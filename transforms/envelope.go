package transforms

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flis-dk/flis/schemas"
)

// Header names of a raw record.
const (
	headerID        = "ce_id"
	headerSource    = "ce_source"
	headerType      = "ce_type"
	headerTime      = "ce_time"
	headerSequence  = "ce_sequence"
	headerLeverance = "flis_leverance"
	headerKommune   = "flis_kommune"
	headerStandIn   = "flis_erstatning" // SHA-256 and size of a unit too large to be sent
)

// Window of flis_leverance about the day of arrival (design.md section 6, Leverance).
const (
	daysBack  = 35
	daysAhead = 1
)

// timeAhead is how far a ce_time may lie after the arrival: a statement of the future would win
// over all that come.
const timeAhead = schemas.Instant(24 * 60 * 60 * 1_000_000)

// maxHeader is how long one of our headers may be, in bytes; others are kept whatever their length.
const maxHeader = 512

// envelope is the headers of a record, read.
type envelope struct {
	eventID    string          // ce_source + "|" + ce_id: what duplicates have in common
	id, source string          // parts of eventID
	ofTopic    bool            // ce_type is the topic's event
	time       schemas.Instant // ce_time, else the arrival
	sequence   int64           // ce_sequence, else the offset
	number     int64           // ce_sequence; 0 = none
	leverance  schemas.Day
	kommune    schemas.Kommunekode // flis_kommune; "" = not said
	named      string              // the municipality as ce_source names it; "" = none
	standIn    bool                // the record stands for a unit too large to be sent
	findings   []*schemas.Finding
}

// readEnvelope reads what there is; each fault is a finding.
func readEnvelope(t *topic, r *Record) envelope {
	arrival := r.Arrived.Day()
	e := envelope{time: r.Arrived, sequence: r.Offset, leverance: arrival}
	var id, source []byte
	seen := 0
	for i := range r.Headers {
		h := &r.Headers[i]
		bit := headerBit(h.Name)
		switch {
		case bit == 0:
			continue
		case seen&bit != 0:
			e.reject(h.Name, "send it once", "stands twice")
		case len(h.Value) > maxHeader || !plain(h.Value):
			e.reject(h.Name, "send a short text", "is longer than 512 bytes or no plain text")
		case bit == 1:
			id = h.Value
		case bit == 2:
			source = h.Value
		default:
			e.read(t, h)
		}
		seen |= bit
	}
	if e.leverance > arrival+daysAhead || e.leverance < arrival-daysBack {
		e.leverance = arrival
	}
	if source == nil && r.Value == nil {
		source = []byte("//" + string(t.system.name) + "/" + string(e.kommune))
	}
	e.eventID = joinID(source, id)
	e.source, e.id = e.eventID[:len(source)], e.eventID[len(source)+1:]
	e.check(t, r)
	return e
}

// joinID makes the one string of an event's identity.
func joinID(source, id []byte) string {
	var scratch [128]byte
	b := append(scratch[:0], source...)
	return string(append(append(b, '|'), id...))
}

// reject notes what is wrong with a header. Every fault of an envelope is told.
func (e *envelope) reject(header, mend, rule string) {
	e.findings = append(e.findings, schemas.Reject(schemas.CodeEnvelope, header, mend, "%s", rule))
}

// headerBit is a bit of its own for each header that is read, 0 for the others.
func headerBit(name string) int {
	switch name {
	case headerID:
		return 1
	case headerSource:
		return 2
	case headerType:
		return 4
	case headerTime:
		return 8
	case headerSequence:
		return 16
	case headerLeverance:
		return 32
	case headerKommune:
		return 64
	case headerStandIn:
		return 128
	}
	return 0
}

// plain says that a header is UTF-8 without control characters: it goes into keys and is shown to
// people.
func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

// read takes in one header. The municipality is read as a code of four digits; whether there is one
// of that code is checked with the sender.
func (e *envelope) read(t *topic, h *Header) {
	switch h.Name {
	case headerType:
		e.ofTopic = string(h.Value) == t.event
	case headerTime:
		i, ok := parseInstant(formISOOffset, h.Value, 0)
		if !ok {
			e.reject(h.Name, "send RFC 3339 with offset, as 2026-01-31T12:00:00+01:00",
				"is no moment")
			return
		}
		e.time = i
	case headerSequence:
		n, err := strconv.ParseInt(string(h.Value), 10, 64)
		if err != nil || n < 0 {
			e.reject(h.Name, "send digits only", "is no number")
			return
		}
		e.sequence, e.number = n, n
	case headerLeverance:
		d, ok := parseCivil(formISO, h.Value)
		if !ok {
			e.reject(h.Name, "send yyyy-mm-dd", "is no day")
			return
		}
		e.leverance = d
	case headerKommune:
		k, err := schemas.ParseKommunekode(string(h.Value))
		if err != nil {
			e.reject(h.Name, "send four digits", "is no municipality code")
			return
		}
		e.kommune = k
	case headerStandIn:
		e.standIn = true
	}
}

// check is what must be there. A null value needs its municipality said, and may do without
// ce_source.
func (e *envelope) check(t *topic, r *Record) {
	if e.id == "" {
		e.reject(headerID, "send the event's id", "is missing")
	}
	if !e.ofTopic {
		e.findings = append(e.findings, OtherEvent(t.system.name, t.system.events))
	}
	if e.time > r.Arrived+timeAhead {
		e.reject(headerTime, "set the sender's clock", "lies more than a day after the arrival")
	}
	if r.Value == nil && e.kommune == "" {
		e.reject(headerKommune, "send the municipality of what is deleted",
			"is missing, and the value is null")
	}
	rest, ok := strings.CutPrefix(e.source, "//")
	if ok {
		rest, ok = strings.CutPrefix(rest, string(t.system.name))
	}
	if !ok || rest != "" && rest[0] != '/' {
		e.reject(headerSource, "send //"+string(t.system.name)+"/<municipality>",
			"is missing or of another system")
		return
	}
	e.named = strings.TrimPrefix(rest, "/")
}

// OtherEvent is the finding of a record whose ce_type is missing or no event of its topic; events
// is what the system has.
func OtherEvent(system schemas.System, events []string) *schemas.Finding {
	return schemas.Reject(schemas.CodeEnvelope, headerType,
		"send an event of "+string(system)+", each in its own topic: "+
			strings.Join(append(slices.Sorted(slices.Values(events)), schemas.ControlEvent), ", "),
		"is missing or not the event of this topic")
}

// appendHeaders writes [[name, value in base64] …].
func appendHeaders(b []byte, headers []Header) []byte {
	b = append(b, '[')
	for i := range headers {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = appendName(b, headers[i].Name)
		b = append(b, ',', '"')
		b = base64.StdEncoding.AppendEncode(b, headers[i].Value)
		b = append(b, '"', ']')
	}
	return append(b, ']')
}

// appendName writes a header's name as a JSON text; ours need no escaping.
func appendName(b []byte, name string) []byte {
	if headerBit(name) != 0 {
		return append(append(append(b, '"'), name...), '"')
	}
	text, err := json.Marshal(name)
	if err != nil {
		panic("transforms: marshal text: " + err.Error()) // a string always marshals
	}
	return append(b, text...)
}
