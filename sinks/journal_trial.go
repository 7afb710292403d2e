package sinks

import (
	"fmt"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// The breaker (invariant 8) guards against our own bad change: another mapping, code list or
// build. It counts each stream's records by the fingerprint that they were judged by. Its limits:
const (
	trialRecords  = 10_000 // of a fingerprint that follows another, the first so many
	trialParked   = 100    // of them, at least so many parked
	trialTimes    = 5      // and at least so many times the share under the fingerprint before
	firstRecords  = 1_000  // of a stream's very first fingerprint, the first so many
	firstShare    = 5      // of them, more than one in so many parked
	trialBelieved = 1_000  // a fingerprint of fewer records says little: it counts with those before
)

// Trial is how a stream's records fare under the fingerprint of the day, and fared under the one
// before. The journal carries it with the stream's position, so that it outlives every restart.
type Trial struct {
	Print   string `json:"grundlag,omitempty"`
	Records int64  `json:"poster,omitempty"`
	Parked  int64  `json:"parkeret,omitempty"`
	// under the fingerprint before, with those before it that had few records
	RecordsBefore int64 `json:"poster_foer,omitempty"`
	ParkedBefore  int64 `json:"parkeret_foer,omitempty"`
	// Accepted: a person has let the parked records of this fingerprint stay parked
	Accepted bool `json:"godkendt,omitempty"`
}

// count takes in a record; stop: with it the breaker's condition is met, whatever follows.
func (t *Trial) count(print string, parked bool) (stop bool) {
	if print != t.Print {
		t.begin(print)
	}
	if t.Records++; parked {
		t.Parked++
	}
	return parked && !t.Accepted && t.stops()
}

// begin goes on to another fingerprint.
func (t *Trial) begin(print string) {
	was := *t
	*t = Trial{Print: print, RecordsBefore: was.Records, ParkedBefore: was.Parked}
	if was.Records < trialBelieved {
		t.RecordsBefore += was.RecordsBefore
		t.ParkedBefore += was.ParkedBefore
	}
}

// stops says whether the parked records so far are too many of all that are counted, however few of
// those have come: the answer never turns from yes to no.
func (t *Trial) stops() bool {
	if t.RecordsBefore < trialBelieved {
		return t.Records <= firstRecords && t.Parked*firstShare > firstRecords
	}
	return t.Records <= trialRecords && t.Parked >= trialParked &&
		t.Parked*t.RecordsBefore >= trialTimes*t.ParkedBefore*trialRecords
}

// BreakerError stops one stream before the entry is made: our own change has come between, and
// too many of its records would be parked. Nothing of the entry was written.
type BreakerError struct {
	Stream schemas.Stream
	Trial  Trial // with the record that was too many
}

// Error says what happened and both ways on.
func (e *BreakerError) Error() string {
	system := ""
	if parts := strings.Split(e.Stream.Topic(), "."); len(parts) > 1 {
		system = parts[1]
	}
	before := "these are its first records"
	if e.Trial.RecordsBefore >= trialBelieved {
		before = fmt.Sprintf("before the change it was %d of %d", e.Trial.ParkedBefore,
			e.Trial.RecordsBefore)
	}
	return fmt.Sprintf("stream %s is stopped: %d of %d records are parked since our mapping, code "+
		"list, agreement or build has changed (%s); mend it, run flis run, and then flis parked replay "+
		"--system %s for what was parked before; or, if the records are bad and not the change, "+
		"go on with flis run --accept-parked REASON", e.Stream, e.Trial.Parked, e.Trial.Records,
		before, system)
}

// try counts a record by what it was judged by, and stops its stream where that is a change of ours
// that parks too much.
func (e *Entry) try(s *course, r *schemas.Row) error {
	if !s.trial.count(r.Canonical, classOf(r.Outcome) == classParked) {
		return nil
	}
	if e.accept == "" {
		e.spent = true
		return &BreakerError{s.stream, s.trial}
	}
	s.trial.Accepted, e.accepted = true, true
	return nil
}

// AcceptParked lets the records of this entry stay parked where they would stop their stream. The
// entry records the reason, which says who accepted it and holds no personal data.
func (e *Entry) AcceptParked(reason string) { e.accept = reason }
