package sinks

import "github.com/flis-dk/flis/sinks/delta"

// metadata is the same from every writer: two that race for the first entry mean the same table.
func (j *Journal) metadata() *delta.Metadata { return &delta.Metadata{ID: digest([]byte(j.prefix))} }
