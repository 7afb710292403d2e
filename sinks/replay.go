package sinks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// Replay judges records of a journal again, from their raw rows, and writes what has become of
// those that give other rows than they have: as a later generation, in entries that move no stream
// (docs/decisions/0007-genafledning.md). Kafka is not needed. It may be stopped at any point and
// run again, beside writers, closers and other replays.
type Replay struct {
	Journal *Journal
	Writer  string
	Dir     string // for scratch files, which have no name once they are open
	Print   string // fingerprint of what Judge rests on
	// Judge gives the rows of a raw record, as for a record that comes in. Rows may point into it.
	Judge func(dst []schemas.Row, raw *schemas.Row) ([]schemas.Row, error)
	// Wants says whether a record may be judged again, by its ordinal 0 as it came, without a value;
	// of one that has later generations only Fits is asked. nil = every one.
	Wants func(raw *schemas.Row) bool
	// Fits decides, by what stands of the record. nil = every one.
	Fits func(stands []schemas.Row) bool
	// Accepted is why many records may be parked that were not; the entries keep it. "" = no.
	Accepted string
	// Change is told of each record that gives other rows. stands and now begin with ordinal 0;
	// withdrawn rows are left out. May be nil.
	Change   func(stands, now []schemas.Row) error
	Progress func(records int64) // may be nil

	base   journalHead
	index  *generations
	ids    map[uint64]bool // of the events that change
	copies map[uint64]bool // of those events with that content
	count  *counting
	judge  []schemas.Row
}

// ReplayResult is what a replay found, and wrote.
type ReplayResult struct {
	Judged, Changed int64
	Parked          int64 // of the judged, before
	// of the changed, how many were parked, at least in part, and how many will be
	ParkedBefore, ParkedAfter int64
	Generation                int32 // that the changes have, or would have
	Written                   int64 // records, with those that are copies of a changed one
}

// Parks says whether a replay would park so much that our own change is to blame: the breaker's
// measure, over all records that were judged.
func (r *ReplayResult) Parks() bool {
	after := r.Parked - r.ParkedBefore + r.ParkedAfter
	return after > r.Parked && r.ParkedAfter-r.ParkedBefore >= trialParked &&
		after >= trialTimes*r.Parked
}

// replayTries bounds how often a replay begins anew because another was first.
const replayTries = 10

// Plan finds what would change, tells Change of it, and writes nothing.
func (r *Replay) Plan(ctx context.Context) (*ReplayResult, error) {
	res := &ReplayResult{}
	err := r.plan(ctx, res)
	if r.index != nil {
		_ = r.index.close()
	}
	if err != nil {
		return nil, fmt.Errorf("replay journal %s: %w", r.Journal.system, err)
	}
	return res, nil
}

// Run writes what has changed. It is told of nothing else than what it finds itself: what a Plan
// found may be another thing by now. allow sees the result before anything is written.
func (r *Replay) Run(ctx context.Context, allow func(*ReplayResult) error) (*ReplayResult, error) {
	change := r.Change
	defer func() { r.Change = change }()
	written := int64(0)
	for range replayTries {
		res := &ReplayResult{}
		err := r.plan(ctx, res)
		if err == nil {
			err = allow(res)
		}
		if err == nil && res.Changed > 0 {
			err = r.write(ctx, res)
		}
		if r.index != nil {
			err = errors.Join(err, r.index.close())
		}
		written += res.Written
		res.Written = written
		if err == nil {
			return res, nil
		}
		if !errors.Is(err, ErrLostRace) {
			return nil, fmt.Errorf("replay journal %s: %w", r.Journal.system, err)
		}
		r.Change = nil // what changes has been told
	}
	return nil, fmt.Errorf("replay journal %s: other replays were first %d times: run it again "+
		"when they are done; what was written stays", r.Journal.system, replayTries)
}

// plan reads what generations there are, and compares each record that is wanted.
func (r *Replay) plan(ctx context.Context, res *ReplayResult) error {
	if err := r.Journal.Refresh(ctx); err != nil {
		return err
	}
	r.base = r.Journal.known()
	r.ids, r.copies = map[uint64]bool{}, map[uint64]bool{}
	r.index = newGenerations(r.Journal, r.Dir)
	if err := r.index.read(ctx, r.base.version); err != nil {
		return err
	}
	if r.index.greatest == math.MaxInt32 {
		return errors.New("there are no more generations")
	}
	res.Generation = r.index.greatest + 1
	wants := func(raw *schemas.Row, replayed bool) bool {
		return r.Wants == nil || replayed || r.Wants(raw)
	}
	return r.index.walk(ctx, r.base.version, wants, func(c *replayRecord) error {
		if r.Fits != nil && !r.Fits(c.stands) {
			return nil
		}
		now, err := r.now(c)
		if err != nil || now == nil {
			return err
		}
		if res.Judged++; r.Progress != nil && res.Judged%progressEvery == 0 {
			r.Progress(res.Judged)
		}
		if classOf(c.stands[0].Outcome) == classParked {
			res.Parked++
		}
		if sameVerdict(c.stands, now) {
			return nil
		}
		r.changed(res, c, now)
		if r.Change == nil {
			return nil
		}
		return r.Change(c.stands, now)
	})
}

func (r *Replay) changed(res *ReplayResult, c *replayRecord, now []schemas.Row) {
	res.Changed++
	if classOf(c.stands[0].Outcome) == classParked {
		res.ParkedBefore++
	}
	if classOf(now[0].Outcome) == classParked {
		res.ParkedAfter++
	}
	r.copies[copiesOf(&c.raw)] = true
	r.ids[fingerprint(c.raw.EventID)] = true
}

// copiesOf is one number for all records of one event and content: where one is written again, all
// are, so that the order of their statements stays.
func copiesOf(raw *schemas.Row) uint64 {
	return fingerprint(raw.EventID)*1099511628211 ^ uint64(raw.Digest)
}

// now is what a record gives today; nil for one that is not to be judged again.
func (r *Replay) now(c *replayRecord) ([]schemas.Row, error) {
	if !judgeable(c) {
		return nil, nil
	}
	var err error
	if r.judge, err = r.Judge(r.judge[:0], &c.raw); err != nil {
		return nil, err
	}
	return r.judge, nil
}

// judgeable: one that killed the process, or whose bytes could not be read, stays parked. A control
// record has been counted; only one that was parked can count now.
func judgeable(c *replayRecord) bool {
	if strings.HasPrefix(c.raw.Finding, string(schemas.CodePoison)) {
		return false
	}
	if c.raw.Payload == nil && len(c.raw.RawKey) == 0 && len(c.raw.Headers) <= len("[]") {
		return false
	}
	return c.raw.Event != schemas.ControlEvent || c.stands[0].Outcome == schemas.Parked
}

// write goes through the journal once more and writes each record of the events that change.
func (r *Replay) write(ctx context.Context, res *ReplayResult) error {
	r.count = newCounting(r.ids)
	want := Want{Raw: true, Columns: append(recordColumns(), "stroem", "stroem_offset")}
	err := r.Journal.Scan(ctx, -1, r.base.version, want,
		func(row *schemas.Row) error {
			if row.Ordinal == 0 {
				r.count.add(row)
			}
			return nil
		})
	if err != nil {
		return err
	}
	w := &replayWriter{Replay: r, res: res, after: r.base.replays}
	w.begin()
	wants := func(raw *schemas.Row, _ bool) bool { return r.copies[copiesOf(raw)] }
	if err := r.index.walk(ctx, r.base.version, wants, func(c *replayRecord) error {
		return w.record(ctx, c)
	}); err != nil {
		return err
	}
	return w.flush(ctx)
}

// replayWriter fills one entry after the other.
type replayWriter struct {
	*Replay
	res     *ReplayResult
	entry   *Entry
	pending int64
	through int64
	after   int64 // replays that the journal has, as this one knows
}

func (w *replayWriter) begin() {
	w.entry, w.pending = w.Journal.NewEntry(w.Writer), 0
	w.entry.accept, w.entry.accepted = w.Accepted, w.Accepted != ""
	w.entry.replay = &replayInfo{Generation: w.res.Generation, Print: w.Print, after: w.after}
}

func (w *replayWriter) record(ctx context.Context, c *replayRecord) error {
	now, err := w.now(c)
	if err != nil || now == nil {
		return err
	}
	if err := w.entry.AddAgain(w.rows(c, now)); err != nil {
		return err
	}
	w.through = c.entry
	if w.pending++; w.entry.Size() < replayEntryBytes {
		return nil
	}
	return w.flush(ctx)
}

// replayEntryBytes is how much one entry holds, as of those of records that come in.
const replayEntryBytes = 32 << 20

// flush commits what is pending. The replays of others since show in the head's count.
func (w *replayWriter) flush(ctx context.Context) error {
	if w.pending == 0 {
		return nil
	}
	w.entry.replay.Through = w.through
	if err := w.entry.Commit(ctx); err != nil {
		return err
	}
	w.res.Written += w.pending
	w.after++
	w.begin()
	return nil
}

// rows are all that a generation says of a record: its verdict, what it gives, and the withdrawal
// of what it gave before.
func (w *replayWriter) rows(c *replayRecord, now []schemas.Row) []schemas.Row {
	g, stands := w.res.Generation, &c.stands[0]
	out := []schemas.Row{verdictAgain(&now[0], stands, w.count.dayAt(now[0].Kommune, stands), g)}
	if stands.Kommune != now[0].Kommune {
		out = append(out, verdictWithdrawn(stands, w.count.day(stands), g))
	}
	out = append(out, now[1:]...)
	out = append(out, withdrawals(slices.Concat(c.stands[1:], c.withdrawn), now[1:])...)
	for i := range out {
		out[i].Generation, out[i].Canonical, out[i].Schema = g, now[0].Canonical, now[0].Schema
	}
	return out
}
