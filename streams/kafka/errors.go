package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Errors that callers decide on; compare with errors.Is.
var (
	// ErrUnreachable: no broker answered within Options.Patience. A restart goes on where it was.
	ErrUnreachable = errors.New("kafka does not answer")
	// ErrGaveUp: a broker answered, with the same temporary error for all of Options.Patience.
	ErrGaveUp = errors.New("gave up")
	// ErrNoRecord: the offset holds no record (compacted, aborted, a control record).
	ErrNoRecord = errors.New("the offset holds no record")
	// ErrNoTopicID: the cluster has no topic ids (older than Kafka 2.8).
	ErrNoTopicID = errors.New("the cluster has no topic ids")
	// ErrNoTopic: the cluster has no such topic.
	ErrNoTopic = errors.New("no such topic")
)

// HoleError: the log no longer holds the offset asked for. Records were removed before they were
// read.
type HoleError struct {
	Topic           string
	Partition       int
	Asked, LogStart int64
}

// Error names the hole.
func (e *HoleError) Error() string {
	return fmt.Sprintf("read %s/%d: offsets %d to %d are gone from the log (retention?), never read",
		e.Topic, e.Partition, e.Asked, e.LogStart-1)
}

// ShrunkError: the log ends before the offset asked for. It was truncated, or the topic was made
// anew.
type ShrunkError struct {
	Topic      string
	Partition  int
	Asked, End int64
}

// Error names what is missing.
func (e *ShrunkError) Error() string {
	return fmt.Sprintf("read %s/%d: the log ends at %d but was read to %d; it was cut or made anew",
		e.Topic, e.Partition, e.End, e.Asked)
}

// RecreatedError: the topic is not the one that was read before. Now is "" when there is none of
// that name.
type RecreatedError struct {
	Topic, Was, Now string
}

// Error says what became of the topic.
func (e *RecreatedError) Error() string {
	if e.Now == "" {
		return fmt.Sprintf("read %s: the topic was deleted (its id was %s)", e.Topic, e.Was)
	}
	return fmt.Sprintf("read %s: the topic was deleted and made anew (id %s, was %s)", e.Topic, e.Now,
		e.Was)
}

// CorruptError: the broker hands out bytes that are no record batch. Reading again did not help.
type CorruptError struct {
	Topic     string
	Partition int
	Offset    int64 // the position at which the bytes stand
	Reason    string
}

// Error names the place and what is wrong with it.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("read %s/%d at offset %d: %s", e.Topic, e.Partition, e.Offset, e.Reason)
}

// temporary says whether trying again may help.
func temporary(err error) bool {
	var code kafkago.Error
	if errors.As(err, &code) {
		return temporaryCode(code)
	}
	return errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition) ||
		errors.Is(err, protocol.ErrNoLeader) || disconnected(err)
}

// temporaryCode lists the broker's errors that pass: leaders and coordinators on the move, topics
// just made, replicas that lag, transactions that end, topic ids that are not known yet.
func temporaryCode(code kafkago.Error) bool {
	switch code {
	case 2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 74, 75, 78, 100, 103:
		return true
	}
	return false
}

// disconnected says whether the error is one of the connection: the outcome of a write is then
// unknown.
func disconnected(err error) bool {
	var code kafkago.Error // has a method Timeout, and would pass for a net.Error
	if errors.As(err, &code) {
		return code == kafkago.BrokerNotAvailable
	}
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
}

func errorOf(code int16) error {
	if code == 0 {
		return nil
	}
	return kafkago.Error(code)
}
