package sinks

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/flis-dk/flis/schemas"
)

// journalFormat is the greatest number that an entry may have; docs/decisions/0002-journal.md says
// what each stands for. An entry has the least that fits: a program that knows no generations must
// not read one of a replay, one that knows no upkeep must not write behind a sweep.
const (
	journalFormat = formatUpkeep
	formatData    = 1
	formatReplay  = 2
	formatUpkeep  = 3
)

// positions is where each stream stands; moves is how an entry takes them there.
type (
	positions = map[schemas.Stream]Position
	moves     = map[schemas.Stream]streamMove
)

// The kinds of entries.
const (
	kindData = "data"
	kindGap  = "gap"
	// kindReplay moves no stream: it holds later generations of records that are there
	kindReplay = "genafledning"
	// they move no stream and hold no rows of their own (docs/decisions/0009-journalens-liv.md)
	kindCompact = "compact"
	kindExpire  = "expire"
	kindSweep   = "sweep"
)

// entryInfo is the commitInfo of an entry.
type entryInfo struct {
	Format   int64  `json:"format"`
	Kind     string `json:"kind"`
	Writer   string `json:"writer"`
	Previous string `json:"previous"` // SHA-256 of the bytes of the entry before; "" in entry 0

	Moved moves `json:"moved"`
	// All is where every stream stands after this entry: in every checkpointEvery-th.
	All positions `json:"all,omitempty"`

	Records   int64         `json:"records"` // rows of ordinal 0
	Events    int64         `json:"events"`  // all other rows
	Counts    []recordCount `json:"counts,omitempty"`
	Canonical []string      `json:"canonical,omitempty"` // fingerprints that the rows rest on, sorted
	Schemas   []string      `json:"schemas,omitempty"`
	// of a gap, or of records that stay parked: why, and who accepted it
	Reason string      `json:"reason,omitempty"`
	Replay *replayInfo `json:"genafledning,omitempty"`

	// Before, of an entry that takes files out, is the one that last did; 0 = none.
	Before int64 `json:"before,omitempty"`
	// Void, of a sweep: no later entry names a file that was first tried before that version.
	Void int64 `json:"void,omitempty"`
}

func (in *entryInfo) format() int64 {
	switch in.Kind {
	case kindReplay:
		return formatReplay
	case kindCompact, kindExpire, kindSweep:
		return formatUpkeep
	}
	return formatData
}

// streamMove is what an entry does to one stream: every offset of [From, Next) is a record of the
// entry, or one of the Empty offsets that the log has no record at.
type streamMove struct {
	From   int64  `json:"from"`
	Next   int64  `json:"next"`
	Empty  int64  `json:"empty,omitempty"`
	Anchor Anchor `json:"anchor,omitzero"`
	Trial  Trial  `json:"proeve,omitzero"`
}

// sane bounds what a damaged or hostile entry can claim.
func (m streamMove) sane() bool {
	return 0 <= m.From && m.From < m.Next && 0 <= m.Empty && m.Empty <= m.Next-m.From
}

func (m streamMove) position() Position { return Position{m.Next, m.Anchor, m.Trial} }

// recordCount counts the records (ordinal 0) of a municipality, delivery and outcome.
type recordCount struct {
	Kommune   schemas.Kommunekode `json:"kommunekode"`
	Leverance string              `json:"leverance"`
	Outcome   schemas.Outcome     `json:"udfald"`
	Records   int64               `json:"antal"`
}

// commitInfo is the info as the log takes it: maps all through, so that its JSON is canonical.
func (in *entryInfo) commitInfo() (map[string]any, error) {
	data, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode commitInfo: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // offsets beyond 2^53 stay exact
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("encode commitInfo: %w", err)
	}
	return m, nil
}

// readInfo refuses what it does not know: a newer format, and an entry that is not ours.
func readInfo(info map[string]any) (*entryInfo, error) {
	data, err := json.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("decode commitInfo: %w", err)
	}
	var f struct{ Format int64 }
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%w: commitInfo: %w", ErrDamaged, err)
	}
	if f.Format > journalFormat {
		return nil, fmt.Errorf("%w: the journal has format %d, this program reads up to %d; "+
			"use the program that wrote it, or a later one", ErrFormat, f.Format, journalFormat)
	}
	if f.Format < 1 {
		return nil, fmt.Errorf("%w: the entry has no format number: another program wrote it", ErrDamaged)
	}
	in := &entryInfo{}
	if err := json.Unmarshal(data, in); err != nil {
		return nil, fmt.Errorf("%w: commitInfo: %w", ErrDamaged, err)
	}
	if (in.Kind == kindReplay) != (in.Replay != nil) || in.Replay != nil && len(in.Moved) > 0 {
		return nil, fmt.Errorf("%w: commitInfo: kind %s does not fit the rest", ErrDamaged, in.Kind)
	}
	for s, m := range in.Moved {
		if !m.sane() {
			return nil, fmt.Errorf("%w: moves stream %s from %d to %d, %d of them empty",
				ErrDamaged, s, m.From, m.Next, m.Empty)
		}
	}
	return in, nil
}
