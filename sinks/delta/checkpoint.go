package delta

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// hint is _last_checkpoint. It is a hint: a table without it, or with an old one, is read all the
// same.
type hint struct {
	Version int64             `json:"version"`
	Size    int64             `json:"size"` // actions
	Tags    map[string]string `json:"tags"` // TagSHA256 of the checkpoint (invariant 7)
}

const (
	hintBytes       = 1 << 20
	checkpointBytes = 1 << 30
)

func (l *Log) hintKey() string { return l.folder() + "_last_checkpoint" }

func (l *Log) checkpointKey(version int64) string {
	return fmt.Sprintf("%s%020d.checkpoint.parquet", l.folder(), version)
}

// Checkpoint writes the snapshot's checkpoint and then names it in _last_checkpoint, which so never
// names one that is not there (rule 18). A checkpoint that is there already stays. It may be called
// by several writers at once.
func (l *Log) Checkpoint(ctx context.Context, s *Snapshot) error {
	if err := l.checkpoint(ctx, s); err != nil {
		return fmt.Errorf("checkpoint %s at %d: %w", l.prefix, s.Version, err)
	}
	return nil
}

func (l *Log) checkpoint(ctx context.Context, s *Snapshot) error {
	c, err := s.checkpoint()
	if err != nil {
		return err
	}
	b, err := parquet.WriteCheckpoint(c)
	if err != nil {
		return err
	}
	err = store.CreateBytes(ctx, l.st, l.checkpointKey(s.Version), b)
	if errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrUnknown) {
		b, err = store.ReadLimit(ctx, l.st, l.checkpointKey(s.Version), checkpointBytes)
		if err == nil {
			err = s.matches(b)
		}
	}
	if err != nil {
		return err
	}
	if h, err := l.hint(ctx); err == nil && h.Version > s.Version {
		return nil
	}
	sum := sha256.Sum256(b)
	h, err := Canonical(hint{s.Version, int64(2 + len(c.Txns) + len(c.Files)),
		map[string]string{TagSHA256: hex.EncodeToString(sum[:])}})
	if err != nil {
		return err
	}
	return l.st.Replace(ctx, l.hintKey(), h)
}

// matches says whether another writer's checkpoint holds this snapshot. The bytes may differ
// between builds.
func (s *Snapshot) matches(b []byte) error {
	got, err := parquet.ReadCheckpoint(b)
	if err != nil {
		return err
	}
	other, err := fromCheckpoint(s.Version, got)
	if err != nil {
		return err
	}
	sameFiles := slices.Equal(slices.Sorted(maps.Keys(other.Files)), slices.Sorted(maps.Keys(s.Files)))
	if !maps.Equal(other.Txns, s.Txns) || !sameFiles {
		return errors.New("another checkpoint is there, of other files")
	}
	return nil
}

func (s *Snapshot) checkpoint() (*parquet.Checkpoint, error) {
	schema, err := schemaString(s.Metadata.Schema)
	if err != nil {
		return nil, err
	}
	c := &parquet.Checkpoint{
		ID:               s.Metadata.ID,
		Schema:           schema,
		PartitionColumns: s.Metadata.PartitionColumns,
		Configuration:    withStats(s.Metadata.Configuration, s.Metadata.Schema),
		Txns:             s.Txns,
	}
	for _, p := range slices.Sorted(maps.Keys(s.Files)) {
		a := s.Files[p]
		values := map[string]*string{}
		for _, name := range s.Metadata.PartitionColumns {
			values[name] = nil
			if v, ok := a.Partition[name]; ok {
				values[name] = &v
			}
		}
		c.Files = append(c.Files, parquet.CheckpointFile{Path: a.Path, Partition: values, Size: a.Size,
			Modified: a.Modified, Stats: a.Stats, Tags: a.Tags})
	}
	return c, nil
}

func fromCheckpoint(version int64, c *parquet.Checkpoint) (*Snapshot, error) {
	cs, err := parseSchema(c.Schema)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Version: version, Files: map[string]Add{}, Txns: c.Txns, Metadata: Metadata{
		ID: c.ID, Schema: cs, PartitionColumns: c.PartitionColumns,
		Configuration: splitStats(c.Configuration, cs)}}
	for _, f := range c.Files {
		if err := store.CheckKey(f.Path); err != nil {
			return nil, err
		}
		// DataChange of a file's own entry is not kept; of a state it means nothing.
		s.Files[f.Path] = Add{
			Path:      f.Path,
			Partition: notNull(f.Partition),
			Size:      f.Size,
			Modified:  f.Modified,
			Stats:     f.Stats,
			Tags:      f.Tags,
		}
	}
	return s, nil
}

func (l *Log) hint(ctx context.Context) (*hint, error) {
	b, err := store.ReadLimit(ctx, l.st, l.hintKey(), hintBytes)
	if err != nil {
		return nil, err
	}
	h := &hint{}
	if err := json.Unmarshal(b, h); err != nil {
		return nil, fmt.Errorf("read _last_checkpoint: %w", err)
	}
	return h, nil
}

// fromCheckpoint gives nil when no checkpoint can be used: the log then is replayed from its
// beginning, which says the same, and the error tells why should that fail.
func (l *Log) fromCheckpoint(ctx context.Context, version int64) (*Snapshot, error) {
	h, err := l.hint(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil || h.Version < 0 || version >= 0 && h.Version > version {
		return nil, err
	}
	s, err := l.readCheckpoint(ctx, h)
	if err != nil {
		return nil, damaged(fmt.Errorf("checkpoint %d: %w", h.Version, err))
	}
	return s, nil
}

func (l *Log) readCheckpoint(ctx context.Context, h *hint) (*Snapshot, error) {
	b, err := store.ReadLimit(ctx, l.st, l.checkpointKey(h.Version), checkpointBytes)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != h.Tags[TagSHA256] {
		return nil, errors.New("its SHA-256 is not that of _last_checkpoint")
	}
	c, err := parquet.ReadCheckpoint(b)
	if err != nil {
		return nil, err
	}
	s, err := fromCheckpoint(h.Version, c)
	if err != nil {
		return nil, err
	}
	// The entry of the checkpoint's own version is kept by every cleaning (rule 19).
	last, _, err := l.Entry(ctx, h.Version)
	if err != nil {
		return nil, err
	}
	return s, s.last(last.Info)
}
