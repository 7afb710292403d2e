package sinks

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
)

// apply writes the files of the next versions of a dataset's two tables. A table without changes
// gets none.
func (d *datasetFold) apply(ctx context.Context) error {
	changes := d.changes.slice(nil)
	if changes.done() {
		return changes.err
	}
	if err := d.agrees(); err != nil {
		return err
	}
	m := &tableMerge{
		shape: d.shape,
		files: d.tableFiles(false),
		limit: d.tableBytes,
		day:   d.in.Leverance,
		past:  &rangeWriter{files: d.tableFiles(true), fields: d.shape.fields, limit: d.tableBytes},
	}
	defer m.past.abandon()
	old := d.after.Table
	var err error
	if d.after.Table, err = m.run(ctx, old, changes); err != nil {
		return err
	}
	if err := m.past.finish(ctx); err != nil {
		return err
	}
	return d.commits(m, old)
}

func (d *datasetFold) tableFiles(history bool) files {
	return files{
		st:     d.Delivered,
		folder: schemas.TablePrefix(d.in.Unit.Kommune, d.name(), history),
		dir:    d.Dir,
	}
}

// agrees checks that the files of the close state are those of the table that the certificate
// names.
func (d *datasetFold) agrees() error {
	ref := d.certified()
	if ref == nil || ref.Current == nil {
		if len(d.after.Table) == 0 {
			return nil
		}
		return fmt.Errorf(
			"the close state has table files, the certificate has no table: restore one of the two",
		)
	}
	live := map[string]delta.Add{}
	for _, f := range d.after.Table {
		live[f.Path] = delta.Add{
			Path: f.Path,
			Size: f.Bytes,
			Tags: map[string]string{delta.TagSHA256: f.SHA256},
		}
	}
	if FilesDigest(live) != ref.Current.Digest {
		return fmt.Errorf(
			"%w: the close state has other table files than the certificate names",
			errFile,
		)
	}
	return nil
}

func (d *datasetFold) certified() *DatasetRef {
	if d.in.Before == nil {
		return nil
	}
	return d.in.Before.Tables[string(d.name())]
}

// commits describes the next version of each table that changed.
func (d *datasetFold) commits(m *tableMerge, old []rangeFile) error {
	ref := d.certified()
	now := &delta.Commit{}
	if is := d.shape.digest(false); d.after.Shape != is || ref == nil || ref.Current == nil {
		now.Metadata, d.after.Shape = d.shape.metadata(false), is
	}
	at := max(0, int64(d.in.Leverance.Midnight())/1000)
	for _, f := range old {
		if !slices.ContainsFunc(d.after.Table, func(g rangeFile) bool { return g.Path == f.Path }) {
			now.Removes = append(
				now.Removes,
				delta.Remove{Path: f.Path, Deleted: at, DataChange: true,
					Size: f.Bytes},
			)
		}
	}
	var err error
	if now.Adds, err = d.shape.adds(m.out, m.metas, at, old); err != nil {
		return err
	}
	d.result.Tables = append(d.result.Tables, TableChange{Dataset: d.name(), Commit: now})
	if len(m.past.out) == 0 {
		return nil
	}
	past := &delta.Commit{}
	if is := d.shape.digest(true); d.after.Past != is || ref == nil || ref.History == nil {
		past.Metadata, d.after.Past = d.shape.metadata(true), is
	}
	if past.Adds, err = d.shape.adds(m.past.out, m.past.metas, at, nil); err != nil {
		return err
	}
	d.result.Tables = append(
		d.result.Tables,
		TableChange{Dataset: d.name(), History: true, Commit: past},
	)
	return nil
}

func (s *tableShape) adds(
	out []rangeFile,
	metas []*parquet.Meta,
	at int64,
	old []rangeFile,
) ([]delta.Add, error) {
	var adds []delta.Add
	for i, f := range out {
		if slices.ContainsFunc(old, func(g rangeFile) bool { return g.Path == f.Path }) {
			continue
		}
		stats, err := delta.Stats(metas[i], s.fields)
		if err != nil {
			return nil, err
		}
		adds = append(
			adds,
			delta.Add{
				Path:       f.Path,
				Size:       f.Bytes,
				Modified:   at,
				DataChange: true,
				Stats:      stats,
				Tags:       map[string]string{delta.TagSHA256: f.SHA256},
			},
		)
	}
	return adds, nil
}

// tableMerge brings changes into the files of a table. Only files in whose range something
// changed are written anew. Rows that leave go to past, unless they entered in this very
// delivery.
type tableMerge struct {
	files
	shape *tableShape
	limit int
	day   schemas.Day
	past  *rangeWriter
	spare spareBatch
	out   []rangeFile // written
	metas []*parquet.Meta
}

func (m *tableMerge) run(
	ctx context.Context,
	old []rangeFile,
	c *rowCursor,
) (all []rangeFile, err error) {
	byPeriod := map[string][]rangeFile{}
	for _, f := range old {
		byPeriod[f.Partition] = append(byPeriod[f.Partition], f)
	}
	for !c.done() {
		row, err := c.row()
		if err != nil {
			return nil, err
		}
		p := m.shape.period(row.From)
		files, err := m.period(ctx, p, byPeriod[p], c)
		if err != nil {
			return nil, err
		}
		byPeriod[p] = files
	}
	for _, files := range byPeriod {
		all = append(all, files...)
	}
	slices.SortFunc(all, func(a, b rangeFile) int {
		if a.Partition != b.Partition {
			return compareText(a.Partition, b.Partition)
		}
		return bytes.Compare(a.First, b.First)
	})
	return all, c.err
}

// period merges the changes at hand that lie in the period.
func (m *tableMerge) period(
	ctx context.Context,
	p string,
	old []rangeFile,
	c *rowCursor,
) (out []rangeFile, err error) {
	prefix := appendText(nil, p)
	if len(old) == 0 {
		return m.file(ctx, p, nil, nil, c)
	}
	for i := range old {
		last := old[i].Last
		if i == len(old)-1 {
			last = nil
		}
		if c.done() || !bytes.HasPrefix(c.key(), prefix) ||
			last != nil && bytes.Compare(groupOf(c.key()[len(prefix):]), last) > 0 {
			out = append(out, old[i])
			continue
		}
		files, err := m.file(ctx, p, &old[i], last, c)
		if err != nil {
			return nil, err
		}
		out = append(out, files...)
	}
	return out, nil
}

// tableFile is one file being merged.
type tableFile struct {
	*tableMerge
	w      *rangeWriter
	prefix []byte
	last   []byte
	c      *rowCursor
	batch  *parquet.Batch // with the row at hand, nil at the end
	at     int
	rows   int64 // gone through
	name   string
	key    []byte
	next   func() (*parquet.Batch, error, bool)
}

func (m *tableMerge) file(
	ctx context.Context,
	p string,
	old *rangeFile,
	last []byte,
	c *rowCursor,
) ([]rangeFile, error) {
	w := &rangeWriter{files: m.files, fields: m.shape.fields, limit: m.limit, partition: p,
		spare: &m.spare}
	if p != "" {
		w.prefix = p + "-"
	}
	defer w.abandon()
	f := &tableFile{tableMerge: m, w: w, prefix: appendText(nil, p), last: last, c: c,
		next: func() (*parquet.Batch, error, bool) { return nil, nil, false }}
	if old != nil {
		next, stop := iter.Pull2(m.scan(ctx, &old.FileRef, m.shape.fields))
		defer stop()
		f.next, f.name = next, old.Path
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	for {
		if more, err := f.step(ctx); err != nil {
			return nil, err
		} else if !more {
			break
		}
	}
	if err := w.finish(ctx); err != nil {
		return nil, err
	}
	m.out, m.metas = append(m.out, w.out...), append(m.metas, w.metas...)
	return w.out, nil
}

func (f *tableFile) load() error {
	for f.batch == nil || f.at >= f.batch.Len() {
		b, err, ok := f.next()
		if err != nil || !ok {
			f.batch = nil
			return err
		}
		f.batch, f.at = b, 0
	}
	f.key = f.shape.keyAt(f.key[:0], f.batch, f.at)
	f.rows++
	return nil
}

// change is the key of the change at hand, nil where the file has no more.
func (f *tableFile) change() []byte {
	if f.c.done() || !bytes.HasPrefix(f.c.key(), f.prefix) {
		return nil
	}
	k := f.c.key()[len(f.prefix):]
	if f.last != nil && bytes.Compare(groupOf(k), f.last) > 0 {
		return nil
	}
	return k
}

// step handles one row or one change; false at the end.
func (f *tableFile) step(ctx context.Context) (bool, error) {
	k := f.change()
	if k == nil {
		if f.batch == nil {
			return false, f.c.err
		}
		return true, f.keep(ctx)
	}
	at, enters := k[:len(k)-1], k[len(k)-1] == 1
	order := -1 // of the change before the row at hand
	if f.batch != nil {
		order = bytes.Compare(at, f.key)
	}
	switch {
	case order > 0:
		return true, f.keep(ctx)
	case enters && order < 0:
		return true, f.enter(ctx)
	case !enters && order == 0:
		return true, f.leave(ctx)
	}
	return false, fmt.Errorf("%w: table and close state differ at row %d of %s: "+
		"make both anew from the journal", errFile, f.rows, f.name)
}

func (f *tableFile) keep(ctx context.Context) error {
	if err := f.w.begin(ctx, groupOf(f.key)); err != nil {
		return err
	}
	f.w.batch.AppendRow(f.batch, f.at)
	if err := f.w.row(); err != nil {
		return err
	}
	f.at++
	return f.load()
}

func (f *tableFile) enter(ctx context.Context) error {
	r, err := f.c.row()
	if err != nil {
		return err
	}
	if err := f.w.begin(ctx, groupOf(f.c.key()[len(f.prefix):])); err != nil {
		return err
	}
	if err := f.shape.appendRow(f.w.batch, &r, f.day); err != nil {
		return err
	}
	f.c.advance()
	return f.w.row()
}

// leave retires the row at hand. Several closes of one delivery count as one: what came in it
// leaves no trace.
func (f *tableFile) leave(ctx context.Context) error {
	s := f.shape
	if known := schemas.Day(f.batch.Vectors[s.known].Int(f.at)); known != f.day {
		if err := f.past.begin(ctx, groupOf(f.key)); err != nil {
			return err
		}
		for i, v := range f.past.batch.Vectors {
			if i == s.gone {
				v.AppendInt(int64(f.day))
			} else {
				copyValue(v, &s.fields[i], f.batch.Vectors[i], f.at)
			}
		}
		if err := f.past.row(); err != nil {
			return err
		}
	}
	f.c.advance()
	f.at++
	return f.load()
}

func copyValue(dst *parquet.Vector, field *parquet.Field, src *parquet.Vector, i int) {
	switch {
	case src.Null(i):
		dst.AppendNull()
	case field.Kind == parquet.String || field.Kind == parquet.Binary:
		dst.AppendBytes(src.Bytes(i))
	default:
		dst.AppendInt(src.Int(i))
	}
}
