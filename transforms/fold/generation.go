package fold

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// speaker is whose generations are counted: an event by id and content, however often it was sent,
// and its snapshots apart from its statements, because a group may hold those of other groups.
type speaker struct {
	id       string
	digest   int64
	snapshot bool
}

func speakerOf(r *schemas.Row) speaker { return speaker{r.EventID, r.Digest, r.OfSnapshot()} }

// Latest keeps, of each event in a group of rows (one key, or one scope), its rows of the highest
// generation; what a replay withdrew is then hidden by the withdrawal, which stays. The rows are
// those given where no replay has touched the group, else new ones: rows is left alone. Taking the
// latest of the latest and more is taking the latest of all, so the order of arrival is all one.
func Latest(rows []schemas.Row) []schemas.Row {
	if !replayed(rows) {
		return rows
	}
	highest := map[speaker]int32{}
	for i := range rows {
		s := speakerOf(&rows[i])
		highest[s] = max(highest[s], rows[i].Generation)
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r schemas.Row) bool {
		return r.Generation < highest[speakerOf(&r)]
	})
}

func replayed(rows []schemas.Row) bool {
	return slices.ContainsFunc(rows, func(r schemas.Row) bool { return r.Generation > 0 })
}
