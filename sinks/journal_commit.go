package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// journalRules are the decisions that keep invariants 2 and 3, as values: the simulation plants a
// mistake in each and must see it.
type journalRules struct {
	// follows takes the record at an offset into the entry.
	follows func(s *course, offset int64) error
	// admits lets an entry that takes a stream on from one offset build on a journal in which it
	// stands at has.
	admits func(try int, from, has int64) error
	// all is where every stream stands after an entry.
	all func(before positions, moved moves) positions
	// named are the files as the entry at a version names them, or ErrLostRace.
	named func(h journalHead, adds []delta.Add, version int64) ([]delta.Add, error)
	// rewrites lets an entry that replaces files, made on the snapshot of a version, follow h.
	rewrites func(h journalHead, base int64) error
	// deletes lets a file go that an entry took out.
	deletes func(r *SweepRules, kind string, entry int64, age time.Duration) bool
}

// protocol is the honest set: the only one outside tests.
func protocol() journalRules {
	return journalRules{follows: (*course).begin, admits: admitNext, all: carryOn,
		named: nameFiles, rewrites: admitRewrite, deletes: (*SweepRules).past}
}

// admitNext upholds invariant 3: an entry may go on only from where the stream stands now, at the
// first try and at each later one.
func admitNext(_ int, from, has int64) error {
	if from != has {
		return ErrLostRace
	}
	return nil
}

// carryOn keeps the anchors of streams that rest.
func carryOn(before positions, moved moves) positions {
	all := maps.Clone(before)
	if all == nil {
		all = positions{}
	}
	for s, m := range moved {
		all[s] = m.position()
	}
	return all
}

// File names begin with what the rows are: raw records are kept for a shorter time than domain
// events.
const (
	filesRaw    = "raa"
	filesEvents = "haendelser"
)

var writerID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,79}$`)

// hashPart is how many hex digits of a file's SHA-256 are in its name.
const hashPart = 16

// createTries bounds how often a file is written whose outcome is unknown.
const createTries = 5

// Commit makes the entry durable and visible, all of it or nothing: first its files, then the
// entry of the log that names them (docs/decisions/0001-commit-protocol.md). Nil: it stands.
// ErrLostRace: nothing stands; begin again from Progress, which is up to date. Another error:
// unknown; OpenJournal tells, from where it resumes exactly.
func (e *Entry) Commit(ctx context.Context) error {
	if e.spent {
		return errSpent
	}
	e.spent = true
	if err := e.commit(ctx); err != nil {
		return fmt.Errorf("commit to journal %s: %w", e.j.system, err)
	}
	return nil
}

// commit keeps the order that makes a crash harmless: files, then the entry that names them.
func (e *Entry) commit(ctx context.Context) error {
	in := e.info()
	if len(in.Moved) == 0 && (in.Replay == nil || in.Records == 0) {
		return ErrEmpty
	}
	if !writerID.MatchString(e.writer) {
		return fmt.Errorf("writer %q: want lower-case letters, digits and hyphens", e.writer)
	}
	adds, err := e.write(ctx)
	if err != nil {
		return err
	}
	e.release()
	return e.j.append(ctx, in, adds)
}

// write makes the entry's files durable. No reader sees them yet.
func (e *Entry) write(ctx context.Context) ([]delta.Add, error) {
	var adds []delta.Add
	for _, f := range []struct {
		kind string
		b    *parquet.Batch
	}{{filesRaw, e.raw}, {filesEvents, e.events}} {
		if f.b.Len() == 0 {
			continue
		}
		a, err := e.writeFile(ctx, f.kind, f.b)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", f.kind, err)
		}
		adds = append(adds, a)
	}
	return adds, nil
}

func (e *Entry) writeFile(ctx context.Context, kind string, b *parquet.Batch) (delta.Add, error) {
	buf := e.j.buffer()
	defer e.j.giveBack(buf)
	return e.j.putFile(ctx, buf, kind, e.writer, e.base.version+1, b,
		func([]byte) error { return nil })
}

// create makes a file with a content name. A lost answer is resolved by reading back; a file that
// is there with the same bytes is ours.
func (j *Journal) create(ctx context.Context, name string, data []byte, sum string) error {
	key := j.prefix + "/" + name
	var err error
	for range createTries {
		err = j.st.Create(ctx, key, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err == nil || !errors.Is(err, store.ErrUnknown) && !errors.Is(err, store.ErrExists) {
			return err
		}
		is, back := j.holds(ctx, key, int64(len(data)), sum)
		switch {
		case errors.Is(back, store.ErrNotFound):
			continue
		case back != nil:
			return errors.Join(err, back)
		case !is:
			return fmt.Errorf("%w: %s has other content", ErrDamaged, name)
		}
		return nil
	}
	return err
}

// holds compares an object with a size and a SHA-256.
func (j *Journal) holds(ctx context.Context, key string, size int64, sum string) (bool, error) {
	o, err := j.st.Open(ctx, key)
	if err != nil {
		return false, err
	}
	defer o.Close()
	if o.Size() != size {
		return false, nil
	}
	data := make([]byte, size)
	if _, err := o.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return hashOf(data) == sum, nil
}

// append names the files in the next entry of the log. Losing the number to an entry that moved
// other streams only costs another try: same files, next number.
func (j *Journal) append(ctx context.Context, in *entryInfo, adds []delta.Add) error {
	version, err := j.claim(ctx, in, adds)
	if err == nil && version > 0 && version%j.every == 0 {
		j.checkpoint(ctx, version)
	}
	return err
}

// claim tries one number after the other until one is ours or a stream of ours has moved. Each
// number lost is an entry that another writer made, so that all together always get on.
func (j *Journal) claim(ctx context.Context, in *entryInfo, adds []delta.Add) (int64, error) {
	return j.place(ctx, func(h journalHead, try int) (*delta.Commit, error) {
		return j.next(h, try, in, adds)
	})
}

// place is claim of whatever make gives for a head; its error ends it.
func (j *Journal) place(ctx context.Context,
	make func(h journalHead, try int) (*delta.Commit, error)) (int64, error) {
	j.committing.Lock()
	defer j.committing.Unlock()
	for try := 0; ; try++ {
		h := j.known()
		v := h.version + 1
		c, err := make(h, try)
		if err != nil {
			return v, err
		}
		err = j.log.Create(ctx, v, c)
		if err == nil {
			return v, j.see(ctx, v)
		}
		if !errors.Is(err, store.ErrExists) {
			return v, fmt.Errorf("create entry %d: %w", v, err)
		}
		n, err := j.refresh(ctx)
		if err != nil {
			return v, err
		}
		if n == 0 {
			return v, fmt.Errorf("%w: entry %d exists and cannot be read", ErrDamaged, v)
		}
	}
}

// next is the entry that follows h, or ErrLostRace.
func (j *Journal) next(h journalHead, try int, in *entryInfo,
	adds []delta.Add) (*delta.Commit, error) {
	at := *in
	at.Format, at.Previous = at.format(), h.hash
	txns := map[string]int64{}
	if r := at.Replay; r != nil {
		if r.after != h.replays {
			return nil, fmt.Errorf("another replay was first: %w", ErrLostRace)
		}
		txns[r.txn()] = r.Through
	}
	for s, m := range at.Moved {
		if err := j.rules.admits(try, m.From, h.positions[s].Next); err != nil {
			return nil, fmt.Errorf("stream %s from %d: %w", s, m.From, err)
		}
		txns[string(s)] = m.Next
	}
	v := h.version + 1
	adds, err := j.rules.named(h, adds, v)
	if err != nil {
		return nil, err
	}
	c := &delta.Commit{Txns: txns, Adds: adds}
	if v%j.every == 0 {
		at.All = j.rules.all(h.positions, at.Moved)
		if v == 0 {
			c.Metadata = j.metadata()
		}
	}
	c.Info, err = at.commitInfo()
	return c, err
}

// see takes the entry that was just made into the head, as it stands in the log.
func (j *Journal) see(ctx context.Context, v int64) error {
	c, data, err := j.log.Entry(ctx, v)
	if err != nil {
		return fmt.Errorf("read back entry %d: %w", v, err)
	}
	h, err := j.known().follow(c, data)
	if err != nil {
		return err
	}
	j.set(h)
	return nil
}

// checkpoint shortens the next start. One that is missing or half made costs that start time and
// nothing else, so that its errors are of no interest.
func (j *Journal) checkpoint(ctx context.Context, version int64) {
	if s, err := j.log.Snapshot(ctx, version); err == nil {
		_ = j.log.Checkpoint(ctx, s)
	}
}

// CommitGap goes past records that are missing: [from, to) of the stream. It is the only way to
// do so, and the only way for a stream to begin at another offset than 0. from is where the
// stream stands. The reason says why and who accepted it, without personal data. Errors as of
// Entry.Commit.
func (j *Journal) CommitGap(ctx context.Context, writer string, stream schemas.Stream,
	from, to int64, reason string) error {
	if to <= from || from < 0 || reason == "" {
		return fmt.Errorf("gap of stream %s: want from < to and a reason, have %d, %d", stream, from, to)
	}
	if has := j.known().positions[stream].Next; has != from {
		return fmt.Errorf("gap of stream %s: from %d, but it stands at %d: %w",
			stream, from, has, ErrLostRace)
	}
	in := &entryInfo{Kind: kindGap, Writer: writer, Reason: reason,
		Moved: moves{stream: {From: from, Next: to, Trial: j.known().positions[stream].Trial}}}
	if err := j.append(ctx, in, nil); err != nil {
		return fmt.Errorf("gap of stream %s: %w", stream, err)
	}
	return nil
}
