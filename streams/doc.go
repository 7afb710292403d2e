// Package streams moves records: feed puts deliveries into topics, normalise takes topics into the
// journal.
//
// It knows sources and sinks by the small interfaces below, not Kafka and not storage; what a
// record means is the catalog's verdict (package transforms). It refuses to skip: whatever was
// consumed ends in an entry of the journal, together with the offsets that it came from.
//
//	n := streams.Normaliser{System: "kmd-nexus", Source: source, Sink: journal, Judge: catalog.Judge}
//	err := n.Run(ctx, streams.UntilDone)
package streams

import (
	"context"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms"
)

// Message is one record to publish.
type Message struct {
	Topic   string
	Key     []byte // nil = any partition
	Value   []byte // nil = the entity is deleted
	Headers []transforms.Header
	Time    schemas.Instant // the producer's time; a topic with LogAppendTime replaces it
}

// Producer publishes. An error means that the outcome is unknown: sending again may double, and
// does no harm.
type Producer interface {
	Send(ctx context.Context, messages []Message) error
}

// Anchor tells whether a stream is still the one that was read: the last record before Next. The
// zero Anchor says that no record is known.
type Anchor struct {
	Topic  string // id of the topic, where the broker tells
	Epoch  int32  // leader epoch of the record's batch
	Offset int64
	Hash   string
}

// Position is how far a stream has been journalled.
type Position struct {
	Next   int64
	Anchor Anchor // zero: as before
}

// Chunk is consecutive records of one stream.
type Chunk struct {
	Stream schemas.Stream
	Items  []Item   // in order of offset; offsets may have holes, where the log holds no record
	After  Position // the position once the chunk is journalled
}

// Item is a record, or what stands for bytes that are no record: those are parked for the reason
// given.
type Item struct {
	transforms.Record
	Unreadable *schemas.Finding
}

// Source reads the streams of one system.
type Source interface {
	// Seek starts each stream at its position, or at its beginning where it has none. It stops with
	// an error that says what is missing when a stream is not the one that was read before
	// (invariant 4).
	Seek(ctx context.Context, from map[schemas.Stream]Position) error
	// Poll gives what has come, nothing when nothing came in time. The bytes hold until the next
	// Poll.
	Poll(ctx context.Context) ([]Chunk, error)
	// Done says whether every stream has been read to the end that it had when Seek was called.
	Done() bool
}

// Sink is a journal.
type Sink interface {
	// Progress reads anew how far each stream is journalled.
	Progress(ctx context.Context) (map[schemas.Stream]Position, error)
	// Begin starts an entry; nothing of it is kept before Commit.
	Begin() Entry
}

// Entry collects rows and the positions that they came from: one atomic commit.
type Entry interface {
	// Add takes the rows of a record, which must stand at the stream's next offset. A StoppedError
	// says that its stream must not go on; the entry is spent.
	Add(rows ...schemas.Row) error
	// Advance says that no record stands between the last row and to.Next.
	Advance(stream schemas.Stream, to Position) error
	Size() int // bytes held
	// Commit, like Add and Advance, gives ErrLostRace when another writer moved a stream of this
	// entry: nothing was written.
	Commit(ctx context.Context) error
}
