package sinks

import (
	"fmt"

	"github.com/flis-dk/flis/sinks/delta"
)

// metadata is the same from every writer: two that race for the first entry mean the same table.
func (j *Journal) metadata() *delta.Metadata {
	id := hashOf([]byte(j.prefix))
	return &delta.Metadata{
		// a UUID of version 8: its content is the writer's own
		ID:     fmt.Sprintf("%s-%s-8%s-8%s-%s", id[:8], id[8:12], id[12:15], id[15:18], id[18:30]),
		Schema: delta.Columns(fieldsOf(journalColumns())),
	}
}
