package fold

import (
	"cmp"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// speaker is whose rows are one: an event by id and content, however often it was sent, and its
// snapshots apart from its statements and by scope, because a group may hold those of several.
type speaker struct {
	digest    int64
	snapshot  bool
	id, scope string
}

func speakerOf(r *schemas.Row) speaker {
	if r.OfSnapshot() {
		return speaker{r.Digest, true, r.EventID, r.Scope}
	}
	return speaker{r.Digest, false, r.EventID, ""}
}

// version is one telling of an event: a generation of one of its records.
type version struct {
	generation       int32
	stated           schemas.Instant
	sequence, offset int64
	stream           schemas.Stream
}

func versionOf(r *schemas.Row) version {
	return version{r.Generation, r.Stated, r.Sequence, r.Offset, r.Stream}
}

// compare is greater for the version that counts: of the highest generation, and of several records
// of that, which are copies, the one of least order.
func (v version) compare(w version) int {
	return cmp.Or(
		cmp.Compare(v.generation, w.generation),
		cmp.Compare(w.stated, v.stated),
		cmp.Compare(w.sequence, v.sequence),
		cmp.Compare(w.stream, v.stream),
		cmp.Compare(w.offset, v.offset),
	)
}

// Latest keeps, of each event in a group of rows (one key, or one scope), what counts: its rows of
// the highest generation, and of those the rows of its first record by order. A record that is sent
// again counts as the first, also where a mapping that has changed meanwhile makes other rows of
// it; what a replay withdrew is hidden by the withdrawal, which stays. The rows are those given
// where no event was told twice, else new ones: rows is left alone. Taking the latest of the latest
// and more is taking the latest of all, so the order of arrival is all one.
func Latest(rows []schemas.Row) []schemas.Row {
	if Once(rows) {
		return rows
	}
	latest := map[speaker]version{}
	for i := range rows {
		s, v := speakerOf(&rows[i]), versionOf(&rows[i])
		if had, ok := latest[s]; !ok || v.compare(had) > 0 {
			latest[s] = v
		}
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r schemas.Row) bool {
		return versionOf(&r) != latest[speakerOf(&r)]
	})
}

// SameEvent says whether two rows are told of one event, which Latest chooses between.
func SameEvent(a, b *schemas.Row) bool { return speakerOf(a) == speakerOf(b) }

// Once says whether each event of the rows was told once: one generation of one record.
func Once(rows []schemas.Row) bool {
	const few = 16
	if len(rows) > few {
		told := make(map[speaker]version, len(rows))
		for i := range rows {
			s, v := speakerOf(&rows[i]), versionOf(&rows[i])
			if had, ok := told[s]; ok && had != v {
				return false
			}
			told[s] = v
		}
		return true
	}
	for i := range rows {
		for k := range i {
			if rows[k].Digest == rows[i].Digest && speakerOf(&rows[k]) == speakerOf(&rows[i]) &&
				versionOf(&rows[k]) != versionOf(&rows[i]) {
				return false
			}
		}
	}
	return true
}
