package sinks

import (
	"errors"
	"fmt"

	"github.com/flis-dk/flis/schemas"
)

// replayInfo is what an entry of a replay tells of it. Generations of a journal are numbered from
// 1; each replay has one of its own.
type replayInfo struct {
	Generation int32  `json:"generation"`
	Print      string `json:"grundlag"` // that the rows rest on
	// Through is the entry up to which the replay has come with this one
	Through int64 `json:"til_og_med"`

	after int64 // the head's count of replays that this one knows
}

// txn is the name of the replay's progress in the log. It is no stream's.
func (r *replayInfo) txn() string { return fmt.Sprintf("genafledning/%d", r.Generation) }

var errGeneration = errors.New("rows of a replay have one generation, greater than 0, and begin " +
	"with an ordinal 0 of a record that the journal has")

// AddAgain takes all rows of a record in a later generation: ordinal 0 without its value, once or
// twice (see verdictsAgain), then the rest. No stream moves.
func (e *Entry) AddAgain(rows []schemas.Row) error {
	if e.spent {
		return errSpent
	}
	for i := range rows {
		r := &rows[i]
		switch {
		case r.System != e.j.system:
			return fmt.Errorf("row is of system %s, the journal of %s", r.System, e.j.system)
		case e.replay == nil || r.Generation != e.replay.Generation || r.Generation < 1 ||
			(i == 0) && r.Ordinal != 0 || r.Offset >= e.base.positions[r.Stream].Next:
			return errGeneration
		case r.From == schemas.Open || r.To == schemas.Always:
			return errors.New("row's gyldig_fra or gyldig_til is a reversed infinity")
		case r.Ordinal == 0:
			e.count(r)
			e.put(e.raw, r)
		default:
			e.put(e.events, r)
		}
	}
	return nil
}

// again checks the rows of an entry of a replay: one generation, records that the journal
// has, in order of offset.
func (k *entryRecount) again(r *schemas.Row, has positions) {
	if r.Generation != k.in.Replay.Generation {
		k.faults["rows of another generation than the replay's"]++
	}
	if r.Offset >= has[r.Stream].Next {
		k.faults["rows of records that the journal does not have"]++
	}
	p := k.at[r.Stream]
	if p == nil {
		p = &lastRow{stream: r.Stream, raw: -1, event: -1}
		k.at[r.Stream] = p
	}
	if r.Ordinal == 0 {
		k.records++
		k.counts[recordCount{Kommune: r.Kommune, Leverance: r.Leverance.String(), Outcome: r.Outcome}]++
		if r.Offset < p.raw {
			k.faults["records out of order"]++
		}
		p.raw = r.Offset
		return
	}
	k.events++
	if r.Offset < p.event || r.Offset == p.event && r.Ordinal <= p.ordinal {
		k.faults["events twice or out of order"]++
	}
	p.event, p.ordinal = r.Offset, r.Ordinal
}
