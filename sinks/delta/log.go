package delta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/sinks/store"
)

// ErrDamaged: the log has a hole, or an entry that does not follow from those before it. Never
// store.ErrNotFound too.
var ErrDamaged = errors.New("log is damaged")

// Log is the log of the table at a prefix of a store.
type Log struct {
	st     store.Store
	prefix string
}

// Open does no I/O: a table that is not there shows at the first Snapshot. prefix is without a last
// slash.
func Open(st store.Store, prefix string) *Log { return &Log{st, prefix} }

const entrySuffix = ".json"

func (l *Log) folder() string { return l.prefix + "/_delta_log/" }

func (l *Log) key(version int64) string {
	return fmt.Sprintf("%s%020d%s", l.folder(), version, entrySuffix)
}

// Entry reads one entry, and gives its bytes too; store.ErrNotFound when there is none.
func (l *Log) Entry(ctx context.Context, version int64) (*Commit, []byte, error) {
	b, err := store.ReadLimit(ctx, l.st, l.key(version), entryBytes)
	if err != nil {
		return nil, nil, fmt.Errorf("read entry %d: %w", version, err)
	}
	c, err := Parse(b)
	if err != nil {
		return nil, nil, fmt.Errorf("read entry %d: %w", version, err)
	}
	return c, b, nil
}

// attempts bounds how often Create asks again after a lost answer.
const attempts = 5

// Create makes the entry; store.ErrExists when another holds the version. A lost answer is resolved
// by reading back: the same bytes are ours, others are another's, none is tried again. Only when
// that cannot be told, after several attempts or for a reading that fails, the error is
// store.ErrUnknown.
func (l *Log) Create(ctx context.Context, version int64, c *Commit) error {
	b, err := c.Encode(version)
	if err != nil {
		return err
	}
	for range attempts {
		err = store.CreateBytes(ctx, l.st, l.key(version), b)
		if err == nil || !errors.Is(err, store.ErrUnknown) && !errors.Is(err, store.ErrExists) {
			break
		}
		got, readErr := store.ReadLimit(ctx, l.st, l.key(version), entryBytes)
		switch {
		case readErr == nil && bytes.Equal(got, b):
			return nil
		case readErr == nil:
			return fmt.Errorf("create entry %d: %w", version, store.ErrExists)
		case !errors.Is(readErr, store.ErrNotFound):
			return fmt.Errorf("create entry %d: %w: read back: %w", version, store.ErrUnknown, readErr)
		}
	}
	if err != nil {
		return fmt.Errorf("create entry %d: %w", version, err)
	}
	return nil
}

// Snapshot replays the log up to version, -1 = the newest. store.ErrNotFound when there is no
// table, or not that version. It begins at the newest checkpoint where that is sound.
func (l *Log) Snapshot(ctx context.Context, version int64) (*Snapshot, error) {
	s, checkpointErr := l.fromCheckpoint(ctx, version)
	if s == nil {
		s = &Snapshot{Version: -1}
	}
	err := l.replay(ctx, s, version)
	switch {
	// told, not wrapped: a missing checkpoint is no missing table
	case err != nil && checkpointErr != nil:
		return nil, fmt.Errorf("read table %s: %w (checkpoint: %v)", l.prefix, err, checkpointErr)
	case err != nil:
		return nil, fmt.Errorf("read table %s: %w", l.prefix, err)
	case s.Version < 0:
		return nil, fmt.Errorf("read table %s: %w", l.prefix, store.ErrNotFound)
	case version >= 0 && s.Version != version:
		return nil, fmt.Errorf("read table %s: version %d: %w, the newest is %d", l.prefix, version,
			store.ErrNotFound, s.Version)
	}
	return s, nil
}

// replay applies the entries after the snapshot's version. A number that is passed over is an
// error.
func (l *Log) replay(ctx context.Context, s *Snapshot, version int64) error {
	after := l.folder()
	if s.Version >= 0 {
		after = l.key(s.Version)
	}
	for info, err := range l.st.List(ctx, l.folder(), after) {
		if err != nil {
			return err
		}
		v, ok := l.version(info.Key)
		if !ok {
			continue
		}
		if version >= 0 && v > version && s.Version >= version {
			return nil
		}
		if v != s.Version+1 {
			return fmt.Errorf("%w: entry %d is missing, entry %d is there", ErrDamaged, s.Version+1, v)
		}
		c, _, err := l.Entry(ctx, v)
		if err == nil {
			err = s.Apply(v, c)
		}
		if err != nil {
			return damaged(err)
		}
	}
	return nil
}

// damaged keeps the text only of what was not found: the caller must not take it for a table that
// is not there.
func damaged(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %s", ErrDamaged, err.Error())
	}
	return err
}

// version is the number of an entry's key.
func (l *Log) version(key string) (int64, bool) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(key, l.folder()), entrySuffix)
	if !ok || len(name) != 20 {
		return 0, false
	}
	v, err := strconv.ParseInt(name, 10, 64)
	return v, err == nil && v >= 0
}
