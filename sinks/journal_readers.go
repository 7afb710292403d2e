package sinks

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// JournalReader is the reader of a journal that is furthest behind.
type JournalReader struct {
	Unit  schemas.Unit // the zero Unit = there is no reader
	Entry int64        // read up to and including; math.MaxInt64 when there is no reader
}

// SlowestReader finds it among the newest certificates in a store of units with an agreement for
// the system, and of their national units. A unit that no certificate has read the system for is
// none: it begins at the first entry, and reads files that were made of others.
func SlowestReader(ctx context.Context, tables store.Store, all *schemas.Agreements,
	system schemas.System) (JournalReader, error) {
	slowest := JournalReader{Entry: math.MaxInt64}
	var units []schemas.Unit
	for _, u := range all.Units() {
		for _, a := range all.Unit(u) {
			if a.System == system {
				units = append(units, u, nationalOf(u.Area))
				break
			}
		}
	}
	slices.SortFunc(units, compareUnits)
	for _, u := range slices.Compact(units) {
		c, err := Head(ctx, tables, u)
		if err != nil {
			return slowest, fmt.Errorf("read position of %s: %w", u, err)
		}
		if c == nil {
			continue
		}
		if p, ok := c.Points[system]; ok && p.Version >= 0 && p.Version < slowest.Entry {
			slowest = JournalReader{u, p.Version}
		}
	}
	return slowest, nil
}

// JournalSize is what a journal takes.
type JournalSize struct {
	Entries int64
	Files   int64 // live
	Made    int64 // of these, made of others
	Bytes   int64 // of the live files
	Rows    int64
}

// Size reads the newest snapshot and nothing else.
func (j *Journal) Size(ctx context.Context) (JournalSize, error) {
	var n JournalSize
	s, err := j.snapshot(ctx)
	if err != nil || s == nil {
		return n, err
	}
	n.Entries, n.Files = s.Version+1, int64(len(s.Files))
	for _, a := range s.Files {
		n.Bytes += a.Size
		n.Rows += statsOf(&a).NumRecords
		if r, ok := rangeOf(&a); ok && r.made {
			n.Made++
		}
	}
	return n, nil
}
