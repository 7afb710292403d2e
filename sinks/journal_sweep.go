package sinks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// SweepKeep is how long a file stays after an entry took it out, and how old an orphan is that
// goes: whoever read an older snapshot is done by then.
const SweepKeep = 30 * 24 * time.Hour

// SweepRules say what a sweep may delete.
type SweepRules struct {
	Writer string // as of NewEntry
	Now    time.Time
	Keep   time.Duration // SweepKeep
	// Read is the least entry up to which every reader has read (the positions of the newest
	// certificate of each unit); -1 = one has read nothing, and nothing that was taken out goes.
	Read int64
	// DryRun only counts.
	DryRun bool
}

// SweepReport is what Sweep did.
type SweepReport struct {
	Removed     int64 // files deleted that an entry took out
	Orphans     int64 // files deleted that no entry ever named
	Checkpoints int64 // old checkpoints deleted
	Bytes       int64 // of all of these
	Waiting     int64 // files that an entry took out and that stay for now
	Unread      int64 // of these, old enough, but a reader has not come so far
	Young       int64 // files without an entry that may yet get one
}

// past is the rule of design.md: 30 days, and after every reader's position. Raw values whose time
// is over wait for no reader: the rows have them no more.
func (r *SweepRules) past(kind string, entry int64, age time.Duration) bool {
	return age >= r.Keep && (entry <= r.Read || kind == kindExpire)
}

// Sweep deletes what no reader needs any more: files that were replaced, files of writers that
// died before their entry, old checkpoints. Entries of the log stay for ever: they are the chain.
// It may run beside everything else and stop at any point.
func (j *Journal) Sweep(ctx context.Context, rules SweepRules) (SweepReport, error) {
	w := &sweep{j: j, rules: &rules}
	err := w.all(ctx)
	if err != nil {
		err = fmt.Errorf("sweep journal %s: %w", j.system, err)
	}
	return w.done, err
}

type sweep struct {
	j     *Journal
	rules *SweepRules
	done  SweepReport
	s     *delta.Snapshot
	// of files that entries took out not long ago: whether they may go
	out     map[string]bool
	orphans map[string]store.Info // by path
	fence   int64                 // greater than the version of each orphan
}

func (w *sweep) all(ctx context.Context) error {
	var err error
	if w.s, err = w.j.current(ctx); err != nil || w.s == nil {
		return err
	}
	if err := w.removed(ctx); err != nil {
		return err
	}
	w.orphans = map[string]store.Info{}
	if err := w.files(ctx); err != nil {
		return err
	}
	if err := w.sweepOrphans(ctx); err != nil {
		return err
	}
	return w.checkpoints(ctx)
}

// removed walks back over the entries that took files out, as far as they are of the last weeks:
// what an earlier one took out and is still there is then as an orphan, which waits as long. The
// walk goes on for as long again, since the clocks of compactors differ.
func (w *sweep) removed(ctx context.Context) error {
	w.out = map[string]bool{}
	v, ok := w.s.Txns[txnRewrite]
	for ok && v > 0 {
		c, _, err := w.j.log.Entry(ctx, v)
		if err != nil {
			return err
		}
		in, err := readInfo(c.Info)
		if err != nil {
			return err
		}
		age := time.Duration(0)
		for i := range c.Removes {
			r := &c.Removes[i]
			age = w.rules.Now.Sub(time.UnixMilli(r.Deleted))
			w.out[r.Path] = w.j.rules.deletes(w.rules, in.Kind, v, age)
			if !w.out[r.Path] && age >= w.rules.Keep {
				w.done.Unread++
			}
		}
		if age > 2*w.rules.Keep && v <= w.rules.Read {
			return nil
		}
		v = in.Before
	}
	return nil
}

// files looks at every file of the folder that the snapshot does not name.
func (w *sweep) files(ctx context.Context) error {
	folder := w.j.prefix + "/"
	for i, err := range w.j.st.List(ctx, folder, "") {
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(i.Key, folder)
		v, ours := triedAt(path)
		if _, live := w.s.Files[path]; live || !ours || strings.Contains(path, "/") {
			continue
		}
		gone, out := w.out[path]
		switch {
		case out && !gone:
			w.done.Waiting++
		case out:
			if err := w.drop(ctx, i, &w.done.Removed); err != nil {
				return err
			}
		case w.rules.Now.Sub(i.Modified) < w.rules.Keep:
			w.done.Young++
		default:
			w.orphans[path] = i
			w.fence = max(w.fence, v+1)
		}
	}
	return nil
}

func (w *sweep) drop(ctx context.Context, i store.Info, count *int64) error {
	if !w.rules.DryRun {
		if err := w.j.st.Delete(ctx, i.Key); err != nil {
			return err
		}
	}
	*count++
	w.done.Bytes += i.Size
	return nil
}

// sweepOrphans first puts an entry between the files and their writers, if any still lives: after
// it they cannot be named (nameFiles). What was named before it is no orphan.
func (w *sweep) sweepOrphans(ctx context.Context) error {
	if len(w.orphans) > 0 && w.fence > w.s.Txns[txnVoid] && !w.rules.DryRun {
		if err := w.raise(ctx); err != nil {
			return err
		}
	}
	for _, i := range w.orphans {
		if err := w.drop(ctx, i, &w.done.Orphans); err != nil {
			return err
		}
	}
	return nil
}

func (w *sweep) raise(ctx context.Context) error {
	in := &entryInfo{Kind: kindSweep, Writer: w.rules.Writer, Void: w.fence}
	at, err := w.j.place(ctx, func(h journalHead, try int) (*delta.Commit, error) {
		c, err := w.j.next(h, try, in, nil)
		if err == nil {
			c.Txns[txnVoid] = w.fence
		}
		return c, err
	})
	if err != nil {
		return err
	}
	for v := w.s.Version + 1; v < at; v++ {
		c, _, err := w.j.log.Entry(ctx, v)
		if err != nil {
			return err
		}
		for i := range c.Adds {
			delete(w.orphans, c.Adds[i].Path)
		}
	}
	if at%w.j.every == 0 {
		w.j.checkpoint(ctx, at)
	}
	return nil
}

// checkpoints deletes those that are as old as files that go, but for the newest: a start needs
// one, and a foreign reader of an older version reads the entries.
func (w *sweep) checkpoints(ctx context.Context) error {
	var all []store.Info
	for i, err := range w.j.st.List(ctx, w.j.logFolder(), "") {
		if err != nil {
			return err
		}
		if strings.HasSuffix(i.Key, ".checkpoint.parquet") {
			all = append(all, i)
		}
	}
	if len(all) < 2 {
		return nil
	}
	// the hint names the newest or, where two writers crossed, one shortly before it
	for _, i := range all[:len(all)-min(len(all), checkpointsKept)] {
		if w.rules.Now.Sub(i.Modified) >= w.rules.Keep {
			if err := w.drop(ctx, i, &w.done.Checkpoints); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkpointsKept stay however old they are.
const checkpointsKept = 20
