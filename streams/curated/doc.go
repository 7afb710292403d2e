// Package curated is the curated topics: what a municipality's tables of one area say, entity by
// entity, in a compacted topic of one partition, and the copy of it that a subscriber keeps.
//
// It owns the format of keys, values, headers and markers, the protocol of the publisher and that
// of the consumer (docs/decisions/0010-kuraterede-emner.md). It knows the topic as a Log and the
// tables as Tables; what a timeline holds is not its business. It refuses to claim: a publisher
// ends only when it has read back that the topic is the tables, and a copy counts as certificate n
// only when its digest is the one that the marker of n names.
//
//	p := curated.Publisher{Unit: unit, Log: log, Tables: tables, Key: key, Schemas: ids}
//	report, err := p.Run(ctx) // may be killed anywhere, and run twice at once
//
//	c, err := curated.OpenConsumer("kopi", log, curated.Options{})
//	caught, err := c.Catch(ctx) // the copy is now what the newest certificate says
package curated

import (
	"context"
	"errors"

	"github.com/flis-dk/flis/schemas"
)

// Record is one record of a curated topic.
type Record struct {
	Offset   int64
	Key      string
	Value    []byte // in registry framing; nil = the entity is gone
	Number   int64  // of the certificate whose tables the value is of; 0 = the record is not ours
	Sequence int64  // place among the records that its publisher wrote of the certificate, from 1
}

// Log is the one partition of a curated topic. Compaction may remove any record that a later one
// of its key follows, and later a null value too; offsets never change. Safe for concurrent use.
type Log interface {
	// ID names the topic; one that is made anew has another.
	ID() string
	// Bounds gives the first offset that the log may still hold and the one after its last record.
	Bounds(ctx context.Context) (first, end int64, err error)
	// Read hands fn the records of the offsets [from, to) that the log still holds, in order. A
	// record holds until fn returns, whose error ends the reading and is returned as it is.
	Read(ctx context.Context, from, to int64, fn func(*Record) error) error
	// Append writes records in order and returns when they are safe. An error means unknown: any
	// part of them may be in the log, more than once, and may still come.
	Append(ctx context.Context, records []Record) error
}

// ErrGone: the files of a certificate's tables are not kept any more.
var ErrGone = errors.New("the tables of the certificate are no longer kept")

// Change is one entity whose timeline differs between two certificates. The bytes hold until the
// next one.
type Change struct {
	Dataset schemas.DatasetName
	Key     string // as the journal spells it; may be a personal number
	// the timelines in Avro without framing; nil = the entity is in no row of the table
	Before, After []byte
}

// Tables are the delivered tables of a unit, as its certificates name them.
type Tables interface {
	// Head gives the number of the newest certificate, 0 = none.
	Head(ctx context.Context) (int64, error)
	// Certificate describes one that is there.
	Certificate(ctx context.Context, number int64) (Certificate, error)
	// Changes hands fn every entity whose timeline differs, each once, in order of dataset and key;
	// from 0 = of nothing. Equal certificates give equal bytes, whoever asks. ErrGone when one of
	// the two can no longer be read. fn's error ends it and is returned as it is.
	Changes(ctx context.Context, from, to int64, fn func(*Change) error) error
}

// Certificate is what a marker tells of one.
type Certificate struct {
	Hash      string // SHA-256 of its bytes, hex
	Leverance string // yyyy-mm-dd
}
