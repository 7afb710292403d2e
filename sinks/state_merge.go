package sinks

import (
	"bytes"
	"context"
	"iter"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/transforms/fold"
)

// group is the rows of one scope or one key: those that the close state has and those that are
// new, each in order.
type group struct {
	key      []byte // its place in the order
	old, new []schemas.Row
}

// merged is both, once each, in order; changed says whether new brought anything. Of an event what
// counts stays (fold.Latest), and of the same row twice that of least order.
func (g *group) merged() (rows []schemas.Row, changed bool) {
	switch {
	case len(g.new) == 0:
		return g.old, false
	case len(g.old) == 0 && onceInOrder(g.new):
		return g.new, true
	}
	rows = fold.Latest(slices.Concat(g.old, g.new))
	slices.SortStableFunc(rows, func(a, b schemas.Row) int {
		if c := fold.CompareIdentity(&a, &b); c != 0 {
			return c
		}
		if c := compareText(a.Key, b.Key); c != 0 {
			return c
		}
		return schemas.CompareOrder(&a, &b)
	})
	rows = slices.CompactFunc(rows, func(a, b schemas.Row) bool {
		return fold.CompareIdentity(&a, &b) == 0 && a.Key == b.Key
	})
	slices.SortStableFunc(rows, func(a, b schemas.Row) int { return compareState(&a, &b) })
	return rows, !slices.EqualFunc(rows, g.old, func(a, b schemas.Row) bool {
		return fold.CompareIdentity(&a, &b) == 0 && a.Key == b.Key &&
			schemas.CompareOrder(&a, &b) == 0 && a.Generation == b.Generation
	})
}

// onceInOrder: a few rows of no replay that are in order, of events that were told once.
func onceInOrder(rows []schemas.Row) bool {
	const few = 8
	if len(rows) > few || !fold.Once(rows) {
		return false
	}
	for i := range rows {
		if rows[i].Generation > 0 || i > 0 && compareState(&rows[i-1], &rows[i]) >= 0 {
			return false
		}
		for k := range i {
			if fold.CompareIdentity(&rows[k], &rows[i]) == 0 && rows[k].Key == rows[i].Key {
				return false
			}
		}
	}
	return true
}

func compareText(a, b string) int { return bytes.Compare([]byte(a), []byte(b)) }

// stateReader goes through the rows of state files one after the other.
type stateReader struct {
	part  part
	cols  []journalColumn
	seen  []internTable
	batch *parquet.Batch
	at    int
	group []byte
	next  func() (*parquet.Batch, error, bool)
	stop  func()
	err   error
}

func newStateReader(p part) *stateReader {
	cols := stateColumns()
	return &stateReader{part: p, cols: cols, seen: make([]internTable, len(cols)), stop: func() {}}
}

// open begins a file at its first row.
func (r *stateReader) open(batches iter.Seq2[*parquet.Batch, error]) {
	r.close()
	r.next, r.stop = iter.Pull2(batches)
	r.batch, r.at = nil, 0
	r.load()
}

func (r *stateReader) close() {
	r.stop()
	r.stop, r.batch = func() {}, nil
}

// load finds the row at hand; batch is nil at the end.
func (r *stateReader) load() {
	for r.batch == nil || r.at >= r.batch.Len() {
		b, err, ok := r.next()
		if !ok || err != nil {
			r.batch, r.err = nil, err
			return
		}
		r.batch, r.at = b, 0
	}
	r.group = appendText(r.group[:0], r.batch.Vectors[stateSystem].Bytes(r.at))
	name := stateKey
	if r.part == partScopes {
		name = stateScope
	}
	r.group = appendText(r.group, r.batch.Vectors[name].Bytes(r.at))
}

func (r *stateReader) done() bool { return r.batch == nil }

func (r *stateReader) advance() {
	r.at++
	r.load()
}

// row is the row at hand, for good.
func (r *stateReader) row() schemas.Row {
	var row schemas.Row
	for k := range r.cols {
		c, v := &r.cols[k], r.batch.Vectors[k]
		switch {
		case c.num != nil:
			c.setN(&row, v.Int(r.at))
		case c.blob != nil:
			c.setB(&row, bytes.Clone(blobAt(v, r.at)))
		case c.dict:
			c.setT(&row, r.seen[k].string(v.Bytes(r.at)))
		default:
			c.setT(&row, string(v.Bytes(r.at)))
		}
	}
	return row
}

// take collects the rows of the group at hand.
func (r *stateReader) take() (key []byte, rows []schemas.Row) {
	key = bytes.Clone(r.group)
	for !r.done() && bytes.Equal(r.group, key) {
		rows = append(rows, r.row())
		r.advance()
	}
	return key, rows
}

// newRows yields groups of new rows in order, from several cursors.
type newRows struct {
	part    part
	cursors []*rowCursor
	// passive rows bear only on groups that the state, or another cursor, has: nil = none are. They
	// are a country's, of which a unit needs few, so others are passed over by their key alone.
	passive *rowCursor
	group   []byte
	rows    []schemas.Row // memory of what take gave last
}

// head is the least group at hand; nil at the end.
func (n *newRows) head() []byte {
	n.group = nil
	for _, c := range n.cursors {
		n.least(c)
	}
	if n.passive != nil {
		n.least(n.passive)
	}
	return n.group
}

func (n *newRows) least(c *rowCursor) {
	if c.done() {
		return
	}
	if g := groupOf(c.key()); n.group == nil || bytes.Compare(g, n.group) < 0 {
		n.group = g
	}
}

// headFor is head in a file up to last (nil = the end), where the state's next group is held (nil =
// the file has no more): passive groups of the file's range that neither the state nor another
// cursor has are gone past.
func (n *newRows) headFor(held, last []byte) []byte {
	if n.passive == nil {
		return n.head()
	}
	n.group = nil
	for _, c := range n.cursors {
		n.least(c)
	}
	wanted := n.group
	if wanted == nil || held != nil && bytes.Compare(held, wanted) < 0 {
		wanted = held
	}
	for !n.passive.done() {
		g := groupOf(n.passive.key())
		if wanted != nil && bytes.Compare(g, wanted) >= 0 || last != nil && bytes.Compare(g, last) > 0 {
			break
		}
		n.passive.advance()
	}
	n.least(n.passive)
	return n.group
}

// groupOf cuts a key after its second text.
func groupOf(key []byte) []byte {
	end := 0
	for range 2 {
		end += bytes.Index(key[end:], []byte{0, 1}) + 2
	}
	return key[:end]
}

// take gives the rows of a group; the slice holds until the next call.
func (n *newRows) take(key []byte) ([]schemas.Row, error) {
	rows := n.rows[:0]
	for _, c := range n.all() {
		for !c.done() && bytes.Equal(groupOf(c.key()), key) {
			r, err := c.row()
			if err != nil {
				return nil, err
			}
			rows = append(rows, r)
			c.advance()
		}
	}
	n.rows = rows
	return rows, n.err()
}

// all is every cursor, the passive one last.
func (n *newRows) all() []*rowCursor {
	if n.passive == nil {
		return n.cursors
	}
	return append(n.cursors[:len(n.cursors):len(n.cursors)], n.passive)
}

func (n *newRows) err() error {
	for _, c := range n.all() {
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// stateMerge brings new rows into the files of one part of a dataset's state.
type stateMerge struct {
	files
	part  part
	limit int
	every bool // hand every group to fn, changed or not
	spare spareBatch
	// fn sees a group and gives the rows that the state holds from now on.
	fn func(g *group) (rows []schemas.Row, changed bool, err error)
}

// run gives the new list of files. Only files in whose range something changed are written anew.
func (m *stateMerge) run(
	ctx context.Context,
	old []rangeFile,
	in *newRows,
) (out []rangeFile, err error) {
	in.part = m.part
	for i := range old {
		last := old[i].Last
		if i == len(old)-1 {
			last = nil // what lies behind the last file goes into it
		}
		fresh := in.head() != nil && (last == nil || bytes.Compare(in.head(), last) <= 0)
		if err := in.err(); err != nil {
			return nil, err
		}
		if !fresh && !m.every {
			out = append(out, old[i])
			continue
		}
		files, err := m.file(ctx, &old[i], last, in)
		if err != nil {
			return nil, err
		}
		out = append(out, files...)
	}
	if len(old) == 0 {
		return m.file(ctx, nil, nil, in)
	}
	return out, nil
}

// file merges one file with the new groups up to last, nil = all.
func (m *stateMerge) file(
	ctx context.Context,
	old *rangeFile,
	last []byte,
	in *newRows,
) ([]rangeFile, error) {
	w := &rangeWriter{files: m.files, fields: fieldsOf(stateColumns()), limit: m.limit,
		spare: &m.spare}
	defer w.abandon()
	r := newStateReader(m.part)
	defer r.close()
	if old != nil {
		r.open(m.scan(ctx, &old.FileRef, w.fields))
	}
	changed := false
	for {
		g, err := m.nextGroup(ctx, r, last, in, w)
		if err != nil {
			return nil, err
		}
		if g == nil {
			break
		}
		rows, c, err := m.fn(g)
		if err != nil {
			return nil, err
		}
		changed = changed || c
		if err := m.write(ctx, w, r.cols, g.key, rows); err != nil {
			return nil, err
		}
	}
	if !changed && old != nil {
		return []rangeFile{*old}, nil
	}
	err := w.finish(ctx)
	return w.out, err
}

// nextGroup copies groups without new rows as they are, and gives the next that is to be seen;
// nil at the end.
func (m *stateMerge) nextGroup(
	ctx context.Context,
	r *stateReader,
	last []byte,
	in *newRows,
	w *rangeWriter,
) (*group, error) {
	var held []byte
	if !r.done() {
		held = r.group
	}
	fresh := in.headFor(held, last)
	if fresh != nil && last != nil && bytes.Compare(fresh, last) > 0 {
		fresh = nil
	}
	for !r.done() && !m.every && (fresh == nil || bytes.Compare(r.group, fresh) < 0) {
		if err := w.begin(ctx, r.group); err != nil {
			return nil, err
		}
		for key := w.last; !r.done() && bytes.Equal(r.group, key); r.advance() {
			w.batch.AppendRow(r.batch, r.at)
			if err := w.row(); err != nil {
				return nil, err
			}
		}
	}
	g := &group{}
	switch {
	case r.err != nil:
		return nil, r.err
	case r.done() && fresh == nil:
		return nil, in.err()
	case !r.done() && (fresh == nil || bytes.Compare(r.group, fresh) <= 0):
		g.key, g.old = r.take()
	default:
		g.key = bytes.Clone(fresh)
	}
	if r.err != nil {
		return nil, r.err
	}
	var err error
	g.new, err = in.take(g.key)
	return g, err
}

func (m *stateMerge) write(
	ctx context.Context,
	w *rangeWriter,
	cols []journalColumn,
	key []byte,
	rows []schemas.Row,
) error {
	if len(rows) == 0 {
		return nil
	}
	if err := w.begin(ctx, key); err != nil {
		return err
	}
	for i := range rows {
		for k := range cols {
			cols[k].put(w.batch.Vectors[k], &rows[i])
		}
		if err := w.row(); err != nil {
			return err
		}
	}
	return nil
}
