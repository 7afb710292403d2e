package sinks

import (
	"cmp"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// idInfo is what is held of an event id: day (32 bits), fingerprint of the content (30), class
// (2).
type idInfo uint64

const (
	classBits   = 2
	dayShift    = 32
	contentMask = 1<<(dayShift-classBits) - 1
)

func newIDInfo(d schemas.Day, content uint32, class uint8) idInfo {
	return idInfo(uint32(d))<<dayShift | idInfo(content)<<classBits | idInfo(class)
}

func (i idInfo) day() schemas.Day { return schemas.Day(int32(i >> dayShift)) }
func (i idInfo) content() uint32  { return uint32(i>>classBits) & contentMask }
func (i idInfo) class() uint8     { return uint8(i & (1<<classBits - 1)) }

// idSet holds event ids at 16 bytes each: a sorted part, and a small map of those that came
// since.
type idSet struct {
	sorted []idEntry
	fresh  map[uint64]idInfo
}

type idEntry struct {
	id   uint64
	info idInfo
}

func (s *idSet) find(id uint64) (idInfo, bool) {
	if x, ok := s.fresh[id]; ok {
		return x, true
	}
	if i, ok := s.search(id); ok {
		return s.sorted[i].info, true
	}
	return 0, false
}

func (s *idSet) search(id uint64) (int, bool) {
	return slices.BinarySearchFunc(s.sorted, id, func(e idEntry, id uint64) int {
		return cmp.Compare(e.id, id)
	})
}

// put replaces what is held of an id that is there.
func (s *idSet) put(id uint64, info idInfo) {
	if i, ok := s.search(id); ok {
		s.sorted[i].info = info
	}
	if _, ok := s.fresh[id]; ok {
		s.fresh[id] = info
	}
}

// add takes in an id that is new, or was forgotten. Fresh ids move into the sorted part when they
// have grown to an eighth of it.
func (s *idSet) add(id uint64, info idInfo) {
	const least = 4096
	s.fresh[id] = info
	if len(s.fresh) >= least && len(s.fresh) >= len(s.sorted)/8 {
		s.merge()
	}
}

// merge keeps, of an id that is in both parts, the fresh one.
func (s *idSet) merge() {
	fresh := make([]idEntry, 0, len(s.fresh))
	again := 0
	for id, info := range s.fresh {
		fresh = append(fresh, idEntry{id, info})
		if _, ok := s.search(id); ok {
			again++
		}
	}
	slices.SortFunc(fresh, func(a, b idEntry) int { return cmp.Compare(a.id, b.id) })
	i, k := len(s.sorted)-1, len(fresh)-1
	at := len(s.sorted) + len(fresh) - again
	s.sorted = slices.Grow(s.sorted, len(fresh))[:at]
	for at--; k >= 0; at-- { // from behind, so that nothing is overwritten before it is read
		if i >= 0 && s.sorted[i].id > fresh[k].id {
			s.sorted[at] = s.sorted[i]
			i--
			continue
		}
		if i >= 0 && s.sorted[i].id == fresh[k].id {
			i--
		}
		s.sorted[at] = fresh[k]
		k--
	}
	clear(s.fresh)
}

func (s *idSet) forget(before schemas.Day) {
	s.merge()
	s.sorted = slices.DeleteFunc(s.sorted, func(e idEntry) bool { return e.info.day() < before })
}
