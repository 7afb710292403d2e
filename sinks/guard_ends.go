package sinks

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/transforms/fold"
)

// endings gathers, in order of key, the open rows that the new statements of a dataset end. What
// agreements end is none of them: that is announced, and counted as clipped.
type endings struct {
	dir   string
	lists map[schemas.System]*endList
}

// endList is the list of one system, in a scratch file: it names persons.
type endList struct {
	file   *scratch
	out    *bufio.Writer
	sum    hash.Hash
	n      int64
	bytes  int64
	causes map[EndCause]int64
}

func newEndings(dir string) *endings {
	return &endings{dir: dir, lists: map[schemas.System]*endList{}}
}

func (e *endings) close() {
	for _, l := range e.lists {
		_ = l.file.Close() // a file without a name: nothing can stay behind
	}
}

// add notes a key whose open row ends. cause is nil where no statement of the key's own does it.
func (e *endings) add(s schemas.System, key, end string, cause *schemas.Row) error {
	l := e.lists[s]
	if l == nil {
		f, err := newScratch(e.dir)
		if err != nil {
			return err
		}
		l = &endList{file: f, sum: sha256.New(), causes: map[EndCause]int64{}}
		l.out = bufio.NewWriter(io.MultiWriter(f, l.sum))
		e.lists[s] = l
	}
	n, err := fmt.Fprintf(l.out, "%s\t%s\n", key, end)
	l.n, l.bytes = l.n+1, l.bytes+int64(n)
	if cause != nil {
		l.causes[EndCause{Op: cause.Op, Leverance: cause.Leverance.String(),
			Snapshot: snapshotName(cause.Snapshot), File: fileOf(cause.EventID)}]++
	}
	return err
}

// causesMax is how many causes of a mass end are told.
const causesMax = 20

func (l *endList) told() []EndCause {
	var all []EndCause
	for c, n := range l.causes {
		c.Rows = n
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b EndCause) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Leverance, b.Leverance),
			cmp.Compare(a.Op, b.Op), cmp.Compare(a.Snapshot, b.Snapshot), cmp.Compare(a.File, b.File))
	})
	return all[:min(len(all), causesMax)]
}

// open says whether the last of a key's rows goes on to the end of the time that its system owns.
// A row that an agreement's end cuts is open in this sense, so that a vendor whose last day is
// set is guarded until then. Of facts every row is open.
func (o ownership) open(k schemas.Kind, segments []fold.Segment) bool {
	if len(segments) == 0 {
		return false
	}
	last := &segments[len(segments)-1]
	return k == schemas.Fact || o.reaches(last.Row.System, last.To)
}

func (o ownership) reaches(s schemas.System, to schemas.Day) bool {
	spans := joined(o[s])
	return to == schemas.Open || len(spans) > 0 && to == spans[len(spans)-1].to
}

// ending notes the key if its open row ends by what is new. Both sides are cut by the agreements
// as they are now: on a day on which they change, what they end would be gone without the new
// statements too, and what those end is seen all the same.
func (d *datasetFold) ending(g *group, before, after []fold.Segment) error {
	k := d.shape.dataset.Kind
	if d.in.Guard == nil || !d.was.open(k, before) || d.is.open(k, after) {
		return nil
	}
	if !d.was.equal(d.is) {
		if kept, _ := d.is.fold(k, g.old); !d.is.open(k, kept) {
			return nil
		}
	}
	end := ""
	if n := len(after); n > 0 {
		end = after[n-1].To.String()
	}
	var cause *schemas.Row
	for i := range g.new {
		if cause == nil || schemas.CompareOrder(&g.new[i], cause) > 0 {
			cause = &g.new[i]
		}
	}
	return d.ends.add(before[0].Row.System, before[0].Row.Key, end, cause)
}

// massEnds tells of those lists that are longer than the guard lets pass, and stores them. Only
// then are the open rows of the table counted.
func (d *datasetFold) massEnds(ctx context.Context, table []rangeFile) error {
	for _, s := range slices.Sorted(maps.Keys(d.ends.lists)) {
		l := d.ends.lists[s]
		if l.n < d.in.Guard.Rows {
			continue
		}
		open, err := d.openRows(ctx, s, table)
		if err != nil {
			return err
		}
		if !d.in.Guard.holds(l.n, open) {
			continue
		}
		if err := l.out.Flush(); err != nil {
			return fmt.Errorf("write list of a mass end: %w", err)
		}
		m := &parquet.Meta{SHA256: hex.EncodeToString(l.sum.Sum(nil)), Bytes: l.bytes, Rows: l.n}
		ref, err := d.stateFiles().put(ctx, l.file, "masseafslutning-"+m.SHA256+".tsv", m)
		if err != nil {
			return err
		}
		e := MassEnd{Dataset: d.name(), System: s, Ended: l.n, Open: open, List: ref,
			Causes: l.told()}
		if err := d.approved(ctx, &e); err != nil {
			return err
		}
		d.result.MassEnds = append(d.result.MassEnds, e)
	}
	return nil
}

// approved finds the approval that covers all that would end.
func (d *datasetFold) approved(ctx context.Context, e *MassEnd) error {
	for _, a := range d.in.Approved {
		was := a.held.of(e)
		if was == nil {
			continue
		}
		all, err := d.covers(ctx, d.stateFiles(), &was.List, &e.List)
		if err != nil {
			return fmt.Errorf("read list of a mass end: %w", err)
		}
		if all {
			e.approval = a
			return nil
		}
	}
	return nil
}

// openRows counts what the table has of a system that is open, as it stood.
func (d *datasetFold) openRows(ctx context.Context, s schemas.System, table []rangeFile,
) (n int64, err error) {
	fields := []parquet.Field{d.shape.fields[d.shape.from+1], d.shape.fields[d.shape.system]}
	fact := d.shape.dataset.Kind == schemas.Fact
	for i := range table {
		for b, err := range d.tableFiles(false).scan(ctx, &table[i].FileRef, fields) {
			if err != nil {
				return 0, err
			}
			to, system := b.Vectors[0], b.Vectors[1]
			for row := range b.Len() {
				open := fact || to.Null(row) || d.was.reaches(s, schemas.Day(to.Int(row)))
				if open && string(system.Bytes(row)) == string(s) {
					n++
				}
			}
		}
	}
	return n, nil
}

// joinEnds notes the open rows of a join that leave, where no open row of the key stays or comes.
// A join is told row by row in order of system and key.
type joinEnds struct {
	fold    *datasetFold
	system  schemas.System
	key     string // at hand
	open    bool   // an open row of it stays or comes
	leaves  bool   // an open row of it has left
	guarded bool
}

func (j *joinEnds) at(s schemas.System, key string) error {
	if j.system == s && j.key == key {
		return nil
	}
	err := j.flush()
	j.system, j.key, j.open, j.leaves = s, key, false, false
	return err
}

func (j *joinEnds) flush() error {
	if !j.guarded || !j.leaves || j.open {
		return nil
	}
	return j.fold.ends.add(j.system, j.key, "", nil)
}

// coversAll says whether every line of a list stands in another. Both are sorted.
func coversAll(ctx context.Context, f files, approved, now *FileRef) (bool, error) {
	if approved.SHA256 == now.SHA256 {
		return true, nil
	}
	all, err := f.open(ctx, approved)
	if err != nil {
		return false, err
	}
	defer func() { _ = all.Close() }()
	some, err := f.open(ctx, now)
	if err != nil {
		return false, err
	}
	defer func() { _ = some.Close() }()
	a := bufio.NewReader(io.NewSectionReader(all, 0, all.Size()))
	b := bufio.NewReader(io.NewSectionReader(some, 0, some.Size()))
	for {
		want, err := b.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("read %s: %w", now.Path, err)
		}
		for got := ""; got != want; {
			if got, err = a.ReadString('\n'); errors.Is(err, io.EOF) {
				return false, nil
			} else if err != nil {
				return false, fmt.Errorf("read %s: %w", approved.Path, err)
			}
		}
	}
}
