package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// Errors of the journal that callers decide on; compare with errors.Is. Every other error is a
// bad world: stop; a restart resumes exactly.
var (
	// ErrLostRace: another writer moved a stream of the entry. Nothing of it stands; read
	// Progress again and fetch from there.
	ErrLostRace = errors.New("another writer moved the stream")
	// ErrEmpty: the entry holds no row and moves no stream.
	ErrEmpty = errors.New("entry is empty")
	// ErrHole: an offset follows that is not the stream's next. Advance says that offsets hold no
	// record, CommitGap that records are missing.
	ErrHole = errors.New("hole in stream")
	// ErrDamaged: what is stored is not what was written.
	ErrDamaged = errors.New("journal is damaged")
	// ErrFormat: a later version of the program wrote it.
	ErrFormat = errors.New("format is newer than this program")
)

// checkpointEvery is the distance between checkpoints, and between the entries that name all
// streams: what a start has to read.
const checkpointEvery = 100

// spareMax is what one entry needs: more would keep memory that is seldom used.
const spareMax = 2

// Position says how far a stream is in the journal.
type Position struct {
	Next   int64  `json:"next"`            // offset of the first record that is not in the journal
	Anchor Anchor `json:"anchor,omitzero"` // of the last record before Next
	Trial  Trial  `json:"proeve,omitzero"` // of what its records are judged by
}

// Anchor tells the last record of a stream from another that may stand at its offset one day. The
// zero Anchor means that no record is known: at the start, and behind a gap.
type Anchor struct {
	Topic  string `json:"topic,omitempty"`  // id of the topic, where the broker tells
	Epoch  int32  `json:"epoch,omitempty"`  // leader epoch; 0 where unknown
	Offset int64  `json:"offset,omitempty"` // of the record; later ones up to Next hold none
	SHA256 string `json:"sha256,omitempty"` // of the record, hex
}

// Journal is one system's journal. All methods may be called concurrently; commits of one Journal
// queue up, those of several race by put-if-absent.
type Journal struct {
	system schemas.System
	prefix string
	st     store.Store
	log    entryLog
	files  fileFormat
	rules  journalRules
	every  int64

	committing sync.Mutex // held over the append of an entry
	mu         sync.Mutex // guards what follows
	head       journalHead
	rewritten  *journalCover    // what is known of made files; nil = not read yet
	made       []*loadedFile    // read last by short scans, recentMade at most
	batches    []*parquet.Batch // memory of entries that are done, spareMax of each at most
	buffers    []*bytes.Buffer
}

// journalHead is what is known of the newest entry. Its map is never changed, only replaced.
type journalHead struct {
	version   int64
	hash      string // SHA-256 of the bytes of entry version; "" at -1
	positions positions
	replays   int64 // entries of replays followed since the journal was opened
	removed   int64 // newest entry followed that takes files out; 0 = none
	void      int64 // files first tried before this version may not be named any more
}

// entryLog is the part of delta.Log that the protocol rests on.
type entryLog interface {
	Snapshot(ctx context.Context, version int64) (*delta.Snapshot, error)
	Entry(ctx context.Context, version int64) (*delta.Commit, []byte, error)
	Create(ctx context.Context, version int64, c *delta.Commit) error
	Checkpoint(ctx context.Context, s *delta.Snapshot) error
}

// fileFormat is how a batch becomes a file and back.
type fileFormat struct {
	write func(w io.Writer, b *parquet.Batch) (*parquet.Meta, error)
	scan  func(r io.ReaderAt, size int64, fields []parquet.Field, fn func(*parquet.Batch) error) error
}

// OpenJournal reads the journal of a system as it stands now: the newest snapshot of its log, and
// each entry since the last checkpoint with its hash. No journal yet is a Version of -1 and no
// error.
func OpenJournal(ctx context.Context, st store.Store, system schemas.System) (*Journal, error) {
	j := newJournal(st, system)
	if err := j.open(ctx); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", system, err)
	}
	return j, nil
}

// newJournal does no I/O: what it gives knows of no entry yet.
func newJournal(st store.Store, system schemas.System) *Journal {
	prefix := schemas.JournalPrefix(system)
	return &Journal{system: system, prefix: prefix, st: st, log: delta.Open(st, prefix),
		files: fileFormat{writeParquet, parquet.Scan}, rules: protocol(), every: checkpointEvery,
		head: journalHead{version: -1}}
}

// entryKey is the name that Delta gives an entry.
func (j *Journal) entryKey(version int64) string {
	return fmt.Sprintf("%s%020d.json", j.logFolder(), version)
}

func (j *Journal) logFolder() string { return j.prefix + "/_delta_log/" }

// open is step R of the protocol: nothing is believed that does not chain and agree.
func (j *Journal) open(ctx context.Context) error {
	s, err := j.snapshot(ctx)
	if err != nil || s == nil {
		return err
	}
	h, err := j.replay(ctx, s.Version)
	if err != nil {
		return err
	}
	if err := h.agree(s.Txns); err != nil {
		return err
	}
	j.set(h)
	return nil
}

// replay reads back from the entry at version to the newest that names all streams, and follows
// the hashes forward.
func (j *Journal) replay(ctx context.Context, version int64) (journalHead, error) {
	type read struct {
		c    *delta.Commit
		data []byte
	}
	var back []read
	for v := version; v >= 0; v-- {
		c, data, err := j.log.Entry(ctx, v)
		if err != nil {
			return journalHead{}, fmt.Errorf("read entry %d: %w", v, err)
		}
		in, err := readInfo(c.Info)
		if err != nil {
			return journalHead{}, fmt.Errorf("read entry %d: %w", v, err)
		}
		back = append(back, read{c, data})
		if in.All != nil {
			break
		}
	}
	h := journalHead{version: version - int64(len(back))}
	for _, r := range slices.Backward(back) {
		var err error
		if h, err = h.follow(r.c, r.data); err != nil {
			return h, err
		}
	}
	return h, nil
}

// snapshot is nil when the log has no object at all: then there is no journal, rather than one
// that cannot be read. Of two looks the second sees a journal that was begun between.
func (j *Journal) snapshot(ctx context.Context) (*delta.Snapshot, error) {
	s, err := j.log.Snapshot(ctx, -1)
	if !errors.Is(err, store.ErrNotFound) {
		return s, err
	}
	for _, listErr := range j.st.List(ctx, j.logFolder(), "") {
		if listErr != nil {
			return nil, listErr
		}
		if s, err = j.log.Snapshot(ctx, -1); errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("%w: its log has objects and no table: %v", ErrDamaged, err)
		}
		return s, err
	}
	return nil, nil
}

// agree compares the positions, which entries carry on, with the txn actions, which the log
// carries on.
func (h journalHead) agree(txns map[string]int64) error {
	for s, p := range h.positions {
		if txns[string(s)] != p.Next {
			return fmt.Errorf("%w: stream %s is at %d by the entries and at %d by txn",
				ErrDamaged, s, p.Next, txns[string(s)])
		}
	}
	for s := range txns {
		if _, ok := h.positions[schemas.Stream(s)]; !ok && isStream(s) {
			return fmt.Errorf("%w: stream %s has a txn and no position", ErrDamaged, s)
		}
	}
	return nil
}

// Version is the newest entry known, -1 = none. Other writers may have gone on: Refresh.
func (j *Journal) Version() int64 { return j.known().version }

// Progress is where each stream stands as far as known; a stream that is missing stands at 0. The
// caller may change the map.
func (j *Journal) Progress() map[schemas.Stream]Position {
	at := positions{}
	maps.Copy(at, j.known().positions)
	return at
}

// Refresh reads the entries that other writers made since.
func (j *Journal) Refresh(ctx context.Context) error {
	j.committing.Lock()
	defer j.committing.Unlock()
	_, err := j.refresh(ctx)
	return err
}

// refresh gives how many entries it found; committing is held.
func (j *Journal) refresh(ctx context.Context) (int, error) {
	h := j.known()
	for n := 0; ; n++ {
		c, data, err := j.log.Entry(ctx, h.version+1)
		if errors.Is(err, store.ErrNotFound) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("read entry %d: %w", h.version+1, err)
		}
		if h, err = h.follow(c, data); err != nil {
			return n, err
		}
		j.set(h)
	}
}

// follow is the head after one more entry. The first entry followed is taken at its word: it
// names all streams.
func (h journalHead) follow(c *delta.Commit, data []byte) (journalHead, error) {
	v := h.version + 1
	in, err := readInfo(c.Info)
	if err != nil {
		return h, fmt.Errorf("read entry %d: %w", v, err)
	}
	first := h.hash == "" && v > 0
	if !first && in.Previous != h.hash {
		return h, fmt.Errorf("%w: entry %d follows %.12s, entry %d has %.12s",
			ErrDamaged, v, in.Previous, v-1, h.hash)
	}
	if first && in.All == nil {
		return h, fmt.Errorf("%w: entry %d does not name all streams", ErrDamaged, v)
	}
	next := journalHead{v, hashOf(data), maps.Clone(h.positions), h.replays, h.removed,
		max(h.void, in.Void)}
	if len(c.Removes) > 0 {
		next.removed = v
	}
	if in.Kind == kindReplay {
		next.replays++
	}
	if next.positions == nil {
		next.positions = positions{}
	}
	if first {
		maps.Copy(next.positions, in.All)
	}
	for s, m := range in.Moved {
		if was := h.positions[s].Next; !first && was != m.From {
			return h, fmt.Errorf("%w: entry %d takes stream %s from %d, it stood at %d",
				ErrDamaged, v, s, m.From, was)
		}
		next.positions[s] = m.position()
	}
	return next, nil
}

// isStream tells a stream's txn from one of another purpose, which is not the journal's own.
func isStream(appID string) bool { return strings.Count(appID, "/") == 2 }

// known is the head as of now; it may be kept, for heads are replaced and not changed.
func (j *Journal) known() journalHead {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.head
}

func (j *Journal) set(h journalHead) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.head = h
}
