package delta

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Snapshot is the table as of a version. The zero value with Version -1 is the table before its
// first entry.
type Snapshot struct {
	Version  int64
	Metadata Metadata
	Files    map[string]Add // by path
	Txns     map[string]int64
	Last     json.RawMessage // commitInfo of the entry Version, canonical
}

// Apply takes the next entry in. After an error the snapshot is not to be used.
func (s *Snapshot) Apply(version int64, c *Commit) error {
	if err := s.apply(version, c); err != nil {
		return fmt.Errorf("apply entry %d: %w", version, err)
	}
	return nil
}

func (s *Snapshot) apply(version int64, c *Commit) error {
	if version != s.Version+1 {
		return fmt.Errorf("the snapshot is of version %d", s.Version)
	}
	if version == 0 && c.Metadata == nil {
		return errors.New("has no metadata")
	}
	if c.Metadata != nil {
		s.Metadata = *c.Metadata
	}
	if s.Files == nil {
		s.Files = map[string]Add{}
	}
	if s.Txns == nil {
		s.Txns = map[string]int64{}
	}
	for _, r := range c.Removes {
		if _, ok := s.Files[r.Path]; !ok {
			return fmt.Errorf("removes %s, which is not there", r.Path)
		}
		delete(s.Files, r.Path)
	}
	for _, a := range c.Adds {
		if _, ok := s.Files[a.Path]; ok {
			return fmt.Errorf("adds %s, which is there", a.Path)
		}
		for p := range a.Partition {
			if !slices.Contains(s.Metadata.PartitionColumns, p) {
				return fmt.Errorf("adds %s by %s, which is no partition column", a.Path, p)
			}
		}
		s.Files[a.Path] = a
	}
	maps.Copy(s.Txns, c.Txns)
	s.Version = version
	return s.last(c.Info)
}

func (s *Snapshot) last(info map[string]any) (err error) {
	s.Last = nil
	if info != nil {
		s.Last, err = Canonical(info)
	}
	return err
}
