package streams

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms"
)

// Delivery is what a feed knows of a file: its framing and its own controls, not its content.
type Delivery struct {
	System   schemas.System
	Event    string // the event of its units, "person"
	SHA256   string // of the whole file, hex
	Layout   string
	Encoding string
	Produced schemas.Day // Always where the file does not tell
	// production day of the file before it; Always = it does not tell, or the first
	Previous schemas.Day
	Excerpt  bool        // a part of another file: its controls prove nothing
	Day      schemas.Day // the delivery; Always = the day of arrival
}

// Unit is one self-contained piece of a file.
type Unit struct {
	Nr      int64
	Entity  string // what the record is about, never published in clear
	Content []byte // holds until the next unit
	// SHA-256 and size of a content that is too large for the topic; Content is then empty
	StandIn string
}

// Feed publishes deliveries. Not safe for concurrent use.
type Feed struct {
	Producer Producer
	// SchemaID gives the registry's id for the schema of a topic's values.
	SchemaID func(ctx context.Context, topic string) (uint32, error)
	// Encode turns the JSON of an event into Avro by the topic's schema (push systems only).
	Encode   func(topic string, json []byte) ([]byte, error)
	Key      []byte // of the deployment: entity ids that are personal numbers travel as HMAC
	Clock    func() time.Time
	Progress func(sent int64) // after each batch; may be nil

	batch []Message
	sent  int64
}

// Sent counts what a feed did.
type Sent struct {
	Records int64
	Bad     []*schemas.Finding // records that will be parked, by line
}

const feedBatch = 2000

// Units publishes every unit of a file and then its seal. Sending a file again changes nothing: the
// ids are the file's hash and the unit's number.
func (f *Feed) Units(ctx context.Context, d Delivery, units iter.Seq2[Unit, error]) (Sent, error) {
	topic := schemas.RawTopic(d.System, d.Event)
	id, err := f.SchemaID(ctx, topic)
	if err != nil {
		return Sent{}, err
	}
	var sent Sent
	began := int64(schemas.InstantOf(f.Clock()))
	for u, err := range units {
		if err != nil {
			return sent, err
		}
		m := Message{Topic: topic, Key: f.entityKey(u.Entity), Value: d.envelope(id, u),
			Headers: d.headers(d.SHA256+"-"+strconv.FormatInt(u.Nr, 10), d.Event, f.Clock())}
		// Units of a file keep its order whatever partitions they go to, and files the order of
		// feeding.
		m.Headers = append(m.Headers, transforms.Header{Name: "ce_sequence",
			Value: strconv.AppendInt(nil, began+u.Nr, 10)})
		if u.StandIn != "" {
			m.Headers = append(
				m.Headers,
				transforms.Header{Name: "flis_erstatning", Value: []byte(u.StandIn)},
			)
			sent.Bad = append(
				sent.Bad,
				schemas.Reject(
					schemas.CodeBudget,
					"unit "+strconv.FormatInt(u.Nr, 10),
					"have the source split it",
					"is larger than the topic takes; its hash and size go in its place",
				),
			)
		}
		if err := f.add(ctx, m); err != nil {
			return sent, err
		}
		sent.Records++
	}
	return sent, f.seal(ctx, Control{Kind: Seal, System: d.System, Source: "//" + string(d.System),
		Day: d.Day, Count: sent.Records, File: d.SHA256, Excerpt: d.Excerpt, Produced: d.Produced,
		Previous: d.Previous})
}

// seal sends what is left, and only then the seal: a seal never stands before what it seals.
func (f *Feed) seal(ctx context.Context, c Control) error {
	if err := f.flush(ctx); err != nil {
		return err
	}
	if err := f.control(ctx, c); err != nil {
		return err
	}
	return f.flush(ctx)
}

func (f *Feed) add(ctx context.Context, m Message) error {
	m.Time = schemas.InstantOf(f.Clock())
	f.batch = append(f.batch, m)
	if len(f.batch) < feedBatch {
		return nil
	}
	return f.flush(ctx)
}

func (f *Feed) flush(ctx context.Context) error {
	if len(f.batch) == 0 {
		return nil
	}
	if err := f.Producer.Send(ctx, f.batch); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	f.sent += int64(len(f.batch))
	f.batch = f.batch[:0]
	if f.Progress != nil {
		f.Progress(f.sent)
	}
	return nil
}

// entityKey hides an entity id: the same one always gives the same key, so that its records keep
// their order.
func (f *Feed) entityKey(entity string) []byte {
	if entity == "" {
		return nil
	}
	mac := hmac.New(sha256.New, f.Key)
	mac.Write([]byte(entity))
	return []byte(hex.EncodeToString(mac.Sum(nil)[:16]))
}

func (d *Delivery) headers(id, event string, now time.Time) []transforms.Header {
	h := []transforms.Header{
		{Name: "ce_id", Value: []byte(id)},
		{Name: "ce_source", Value: []byte("//" + string(d.System))},
		{Name: "ce_type", Value: []byte(event)},
		{Name: "ce_time", Value: []byte(now.UTC().Format(time.RFC3339Nano))},
	}
	if d.Day != schemas.Always {
		h = append(h, transforms.Header{Name: "flis_leverance", Value: []byte(d.Day.String())})
	}
	return h
}

// noEnvelope is the headers of a line that is no event: it names no source and no type, and is
// parked for that.
func (d *Delivery) noEnvelope(id string, now time.Time) []transforms.Header {
	return slices.DeleteFunc(d.headers(id, "", now), func(h transforms.Header) bool {
		return h.Name == "ce_source" || h.Name == "ce_type"
	})
}

// envelope is the unit by schemas/systems/flis/enhed.avsc in registry framing.
func (d *Delivery) envelope(id uint32, u Unit) []byte {
	b := frame(make([]byte, 0, len(u.Content)+160), id)
	b = appendString(b, d.SHA256)
	b = binary.AppendVarint(b, u.Nr)
	b = appendString(b, d.Layout)
	b = appendString(b, d.Encoding)
	b = appendDay(b, d.Produced)
	b = appendBool(b, d.Excerpt)
	return appendString(b, u.Content)
}

// frame begins a value in the form of Confluent's registry: a zero and the schema's id, big-endian.
func frame(b []byte, id uint32) []byte { return binary.BigEndian.AppendUint32(append(b, 0), id) }

// appendString writes an Avro string or bytes: AppendVarint's zigzag form is Avro's long.
func appendString[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendDay writes ["null", "string"]: null for a day that is not known.
func appendDay(b []byte, d schemas.Day) []byte { return appendOptional(b, d.String()) }

func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return binary.AppendVarint(b, 0)
	}
	return appendString(binary.AppendVarint(b, 1), s)
}
