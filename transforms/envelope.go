package transforms

import (
	"encoding/base64"
	"encoding/json"
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
)

// Window of flis_leverance about the day of arrival (design.md section 6, Leverance).
const (
	daysBack  = 35
	daysAhead = 1
)

const maxHeader = 512 // bytes of one of our headers

// envelope is the headers of a record, read.
type envelope struct {
	id, source string
	typ        string
	time       schemas.Instant // ce_time, else the arrival
	sequence   int64           // ce_sequence, else the offset
	leverance  schemas.Day
	kommune    schemas.Kommunekode // flis_kommune; "" = not said
	named      string              // the municipality as ce_source names it; "" = none
}

// readEnvelope reads what there is; each fault is a finding.
func readEnvelope(t *topic, r *Record) (envelope, []*schemas.Finding) {
	arrival := r.Arrived.Day()
	e := envelope{time: r.Arrived, sequence: r.Offset, leverance: arrival}
	var fs []*schemas.Finding
	reject := func(header, mend, rule string) {
		fs = append(fs, schemas.Reject(schemas.CodeEnvelope, header, mend, "%s", rule))
	}
	seen := 0
	for i := range r.Headers {
		h := &r.Headers[i]
		bit := headerBit(h.Name)
		switch {
		case bit == 0:
			continue
		case seen&bit != 0:
			reject(h.Name, "send it once", "stands twice")
		case len(h.Value) > maxHeader || !plain(h.Value):
			reject(h.Name, "send a short text", "is longer than 512 bytes or no plain text")
		default:
			e.read(h, reject)
		}
		seen |= bit
	}
	if e.leverance > arrival+daysAhead || e.leverance < arrival-daysBack {
		e.leverance = arrival
	}
	e.check(t, r, reject)
	return e, fs
}

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
	}
	return 0
}

func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

func (e *envelope) read(h *Header, reject func(header, mend, rule string)) {
	switch h.Name {
	case headerID:
		e.id = string(h.Value)
	case headerSource:
		e.source = string(h.Value)
	case headerType:
		e.typ = string(h.Value)
	case headerTime:
		i, ok := parseInstant(formISOOffset, h.Value, 0)
		if !ok {
			reject(h.Name, "send RFC 3339 with offset, as 2026-01-31T12:00:00+01:00", "is no moment")
			return
		}
		e.time = i
	case headerSequence:
		n, err := strconv.ParseInt(string(h.Value), 10, 64)
		if err != nil || n < 0 {
			reject(h.Name, "send digits only", "is no number")
			return
		}
		e.sequence = n
	case headerLeverance:
		d, ok := parseCivil(formISO, h.Value)
		if !ok {
			reject(h.Name, "send yyyy-mm-dd", "is no day")
			return
		}
		e.leverance = d
	case headerKommune:
		k, err := schemas.ParseKommunekode(string(h.Value))
		if err != nil {
			reject(h.Name, "send four digits", "is no municipality code")
			return
		}
		e.kommune = k
	}
}

// check is what must be there. A null value needs its municipality said, and may do without ce_source.
func (e *envelope) check(t *topic, r *Record, reject func(header, mend, rule string)) {
	if e.id == "" {
		reject(headerID, "send the event's id", "is missing")
	}
	if e.typ != t.event {
		reject(headerType, "send the event of the topic: "+t.event, "is missing or not the event of this topic")
	}
	if r.Value == nil && e.kommune == "" {
		reject(headerKommune, "send the municipality of what is deleted", "is missing, and the value is null")
	}
	base := "//" + string(t.system.name)
	switch rest, ok := strings.CutPrefix(e.source, base); {
	case e.source == "" && r.Value == nil:
		e.source = base + "/" + string(e.kommune)
	case ok && (rest == "" || rest[0] == '/'):
		e.named = strings.TrimPrefix(rest, "/")
	default:
		reject(headerSource, "send "+base+"/<municipality>", "is missing or of another system")
	}
}

// eventID is what duplicates have in common.
func (e *envelope) eventID() string { return e.source + "|" + e.id }

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
