// Package delta is the log protocol of Delta Lake tables, reader version 1 and writer version 2, on
// a store.
//
// It owns the log: entries, their replay, checkpoints. It writes no data files. It refuses what
// foreign readers are known to read wrong (the rules of tools/readers/README.md, cited as "rule
// n"), tables that need more than protocol 1/2, entries beyond a budget, and logs with a hole.
//
//	log := delta.Open(st, "journal/cpr")
//	first := &delta.Commit{Metadata: &delta.Metadata{ID: id, Schema: columns}, Adds: adds}
//	err := log.Create(ctx, 0, first)
//	s, err := log.Snapshot(ctx, -1)
//	err = log.Create(ctx, s.Version+1, commit) // store.ErrExists: another writer was first
//
// A Log may be used concurrently; a Commit and a Snapshot belong to one goroutine.
package delta
