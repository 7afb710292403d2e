package transforms

import "github.com/flis-dk/flis/schemas"

// Record is one consumed Kafka record: a CloudEvent in binary mode (design.md section 6, Raw
// record).
type Record struct {
	Stream  schemas.Stream
	Offset  int64
	Arrived schemas.Instant // the broker's append time
	Topic   string
	Key     []byte
	Value   []byte // nil: the entity is deleted
	Headers []Header
}

// Header is one header of a record.
type Header struct {
	Name  string
	Value []byte
}

// Parser turns a unit of a file into a record of the event's schema. unit is Avro of
// flis/enhed.avsc, record Avro of systems/<system>/<event>.avsc. parts are pieces that cannot be
// used: each gets an ordinal of its own; reject parks the whole unit. Pure, and safe for concurrent
// use.
type Parser func(unit []byte) (record []byte, parts []*schemas.Finding, reject *schemas.Finding)
