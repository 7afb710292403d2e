package fold

import (
	"bytes"
	"cmp"

	"github.com/flis-dk/flis/schemas"
)

// CompareIdentity is 0 for two rows that say the same thing of the same record: one event id,
// digest of the record, ordinal and content. Of such rows the one of least order counts; where a
// record was read from and when is no part of it. The same event id with another digest is another
// record.
func CompareIdentity(a, b *schemas.Row) int {
	return cmp.Or(
		cmp.Compare(a.EventID, b.EventID),
		cmp.Compare(a.Digest, b.Digest),
		cmp.Compare(a.Ordinal, b.Ordinal),
		cmp.Compare(a.Op, b.Op),
		cmp.Compare(a.From, b.From),
		cmp.Compare(a.To, b.To),
		cmp.Compare(a.Scope, b.Scope),
		cmp.Compare(a.Snapshot, b.Snapshot),
		compareBool(a.Background, b.Background),
		compareContent(a, b),
	)
}

// compareContent is 0 where two statements say the same.
func compareContent(a, b *schemas.Row) int {
	return cmp.Or(cmp.Compare(a.System, b.System), bytes.Compare(a.Payload, b.Payload))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Whole says whether a snapshot is in force: it is the whole of its record, or as many distinct
// events as it counts have landed. members are rows of its scope and system; others than its own
// are passed over, and its own row counts as one.
func Whole(snapshot *schemas.Row, members []schemas.Row) bool {
	if snapshot.Snapshot == "" {
		return true
	}
	events := map[string]bool{snapshot.EventID: true}
	for i := range members {
		if m := &members[i]; m.Snapshot == snapshot.Snapshot && m.Scope == snapshot.Scope &&
			m.System == snapshot.System {
			events[m.EventID] = true
		}
	}
	return int64(len(events)) >= snapshot.Count
}
