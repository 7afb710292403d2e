package sinks

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms/fold"
)

// datasetFold is one dataset of one unit in one close. Three steps: new statements find their
// scopes, and new snapshots the keys that they bear on; each key that has something new is folded
// as it was and as it is; what differs goes into the tables.
type datasetFold struct {
	*unitFold
	shape    *tableShape
	after    *datasetState
	was, is  ownership
	spread   *sortedRows // snapshots, once for each key that they bear on
	changes  *sortedRows // rows that leave or enter the table
	national *stateLookup
	clipped  int64
	ends     *endings
}

func (f *unitFold) newDatasetFold(
	name schemas.DatasetName,
	before *datasetState,
) (*datasetFold, error) {
	d := &datasetFold{
		unitFold: f,
		shape:    newTableShape(f.Datasets[name], f.in.Unit.Kommune),
		after:    before.clone(),
		is:       ownershipOf(f.in.Agreements, name),
		spread:   newSortedRows(f.Dir, f.Budget/8),
		changes:  newSortedRows(f.Dir, f.Budget/8),
		ends:     newEndings(f.Dir),
	}
	var old []schemas.Agreement
	if f.in.Before != nil {
		var err error
		if old, err = agreements(f.in.Unit, f.in.Before.Agreements); err != nil {
			return nil, err
		}
	}
	d.was = ownershipOf(old, name)
	return d, nil
}

func (d *datasetFold) close() {
	_ = d.spread.close() // files without a name: nothing can stay behind
	_ = d.changes.close()
	d.ends.close()
}

func (d *datasetFold) name() schemas.DatasetName { return d.shape.dataset.Name }

func (f *unitFold) stateFiles() files {
	return files{st: f.State, folder: schemas.StatePrefix(f.in.Unit), dir: f.Dir}
}

// scopes brings the new snapshots and members into the close state, and spreads snapshots over
// the keys.
func (d *datasetFold) scopes(ctx context.Context) error {
	in := &newRows{cursors: []*rowCursor{d.batch.slice(d.in.Unit.Kommune, d.name(), partScopes)}}
	if !d.isNational() && (len(d.after.Scopes) > 0 || d.in.National == nil || d.in.Moved) {
		in.passive = d.batch.slice(schemas.National, d.name(), partScopes)
	}
	if !d.isNational() && len(d.earlier.dataset(d.name()).Scopes) > 0 {
		d.national = d.unitFold.lookup(ctx, d.name())
		defer d.national.close()
	}
	limit := d.stateBytes
	if d.isNational() { // single scopes are looked up in them
		limit = min(limit, lookupBytes)
	}
	m := &stateMerge{files: d.stateFiles(), part: partScopes, limit: limit, fn: d.scope}
	var err error
	if d.after.Scopes, err = m.run(ctx, d.after.Scopes, in); err != nil {
		return err
	}
	slices.Sort(d.after.Incomplete)
	d.after.Incomplete = slices.Compact(d.after.Incomplete)
	return d.spread.sort()
}

// scope merges one scope. A national snapshot is for those who hold rows of its scope; who gets
// the first of them now finds the earlier snapshots in the national close state, so that the
// order in which the two came is all one.
func (d *datasetFold) scope(g *group) ([]schemas.Row, bool, error) {
	isMember := func(r schemas.Row) bool { return r.Op == opMember }
	holds, will := slices.ContainsFunc(g.old, isMember), slices.ContainsFunc(g.new, isMember)
	switch {
	case d.isNational() || holds:
	case !will:
		g.new = slices.DeleteFunc(
			g.new,
			func(r schemas.Row) bool { return r.Kommune == schemas.National },
		)
	case d.national != nil:
		more, err := d.national.group(g.key)
		if err != nil {
			return nil, false, err
		}
		g.new = append(g.new, slices.DeleteFunc(more, isMember)...)
	}
	rows, changed := g.merged()
	if !changed {
		return rows, false, nil
	}
	was, _ := inForce(g.old)
	is, incomplete := inForce(rows)
	d.note(g.key, incomplete)
	return rows, true, d.spreadOver(g.old, rows, was, is)
}

// note keeps the list of scopes with a snapshot that has no effect yet. It stays in the close
// state, for a scope may be a CPR number.
func (d *datasetFold) note(scope []byte, incomplete bool) {
	label := base64.StdEncoding.EncodeToString(scope)
	d.after.Incomplete = slices.DeleteFunc(
		d.after.Incomplete,
		func(s string) bool { return s == label },
	)
	if incomplete {
		d.after.Incomplete = append(d.after.Incomplete, label)
	}
}

// inForce gives the snapshots of a scope that have effect; of one over several records its first
// row stands for all.
func inForce(rows []schemas.Row) (force []schemas.Row, incomplete bool) {
	events := map[string]map[string]bool{}
	for i := range rows {
		if r := &rows[i]; r.Snapshot != "" && r.Op != opMember {
			if events[r.Snapshot] == nil {
				events[r.Snapshot] = map[string]bool{}
			}
			events[r.Snapshot][r.EventID] = true
		}
	}
	type speech struct {
		id   string
		from schemas.Day
	}
	said := map[speech]bool{}
	for i := range rows {
		r := &rows[i]
		switch {
		case r.Op != schemas.OpSnapshot:
			continue
		case r.Snapshot != "" && int64(len(events[r.Snapshot])) < r.Count:
			incomplete = true
			continue
		case r.Snapshot != "" && said[speech{r.Snapshot, r.From}]:
			continue
		}
		said[speech{r.Snapshot, r.From}] = true
		force = append(force, *r)
	}
	return force, incomplete
}

// spreadOver puts the snapshots before the keys: all before those that are new to the scope, and
// the new ones before all. Keys that had a snapshot which counts no more are told that too.
func (d *datasetFold) spreadOver(old, rows, was, is []schemas.Row) error {
	news := append(without(is, was), superseded(old, rows, is)...)
	known := map[string]bool{}
	for i := range old {
		if old[i].Op == opMember {
			known[old[i].Key] = true
		}
	}
	for i := range rows {
		if rows[i].Op != opMember {
			continue
		}
		put := is
		if known[rows[i].Key] {
			put = news
		}
		for _, s := range put {
			s.Key = rows[i].Key
			key := appendOrder(appendGroup(nil, partKeys, &s), &s)
			if err := d.spread.add(key, &s); err != nil {
				return err
			}
		}
	}
	return nil
}

// without gives the snapshots that are not among others.
func without(all, others []schemas.Row) []schemas.Row {
	return slices.DeleteFunc(slices.Clone(all), func(a schemas.Row) bool {
		return slices.ContainsFunc(others, func(b schemas.Row) bool {
			return fold.CompareIdentity(&a, &b) == 0 && schemas.CompareOrder(&a, &b) == 0 &&
				a.Generation == b.Generation
		})
	})
}

// superseded gives, for each snapshot that counts no more because its event was told otherwise
// (fold.Latest), a withdrawal in that telling's place; not where the telling is itself in force.
func superseded(old, rows, is []schemas.Row) (out []schemas.Row) {
	for _, s := range without(old, rows) {
		same := func(r schemas.Row) bool { return fold.SameEvent(&r, &s) }
		at := slices.IndexFunc(rows, same)
		if s.Op != schemas.OpSnapshot || at < 0 || slices.ContainsFunc(is, same) {
			continue
		}
		r := &rows[at]
		s.Generation, s.Stated, s.Sequence = r.Generation, r.Stated, r.Sequence
		s.Stream, s.Offset = r.Stream, r.Offset
		s.Op, s.Payload = schemas.OpWithdrawn, nil
		s.Absent = cmp.Or(s.Absent, schemas.AbsentGone)
		out = append(out, s)
	}
	return out
}

// keys brings the new statements into the close state, and finds the changes of the table.
func (d *datasetFold) keys(ctx context.Context) error {
	in := &newRows{
		cursors: []*rowCursor{
			d.batch.slice(d.in.Unit.Kommune, d.name(), partKeys),
			d.spread.slice(nil),
		},
	}
	m := &stateMerge{
		files: d.stateFiles(),
		part:  partKeys,
		limit: d.stateBytes,
		every: !d.was.equal(d.is),
		fn:    d.key,
	}
	var err error
	if d.after.Keys, err = m.run(ctx, d.after.Keys, in); err != nil {
		return err
	}
	return d.changes.sort()
}

func (d *datasetFold) key(g *group) ([]schemas.Row, bool, error) {
	rows, changed := g.merged()
	if d.isNational() || !changed && d.was.equal(d.is) {
		return rows, changed, nil
	}
	before, cut := d.was.fold(d.shape.dataset.Kind, g.old)
	after, cutNow := d.is.fold(d.shape.dataset.Kind, rows)
	d.clipped += max(0, cutNow-cut)
	if changed {
		if err := d.ending(g, before, after); err != nil {
			return nil, false, err
		}
	}
	return rows, changed, d.compare(before, after)
}

// compare finds what leaves and what enters the table.
func (d *datasetFold) compare(before, after []fold.Segment) error {
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0].From < after[0].From:
			if err := d.change(&before[0], false); err != nil {
				return err
			}
			before = before[1:]
		case len(before) == 0 || after[0].From < before[0].From:
			if err := d.change(&after[0], true); err != nil {
				return err
			}
			after = after[1:]
		default:
			if !sameRow(&before[0], &after[0]) {
				if err := d.change(&before[0], false); err != nil {
					return err
				}
				if err := d.change(&after[0], true); err != nil {
					return err
				}
			}
			before, after = before[1:], after[1:]
		}
	}
	return nil
}

// sameRow says whether two segments of one key are the same delivered row.
func sameRow(a, b *fold.Segment) bool {
	x, y := a.Row, b.Row
	return a.From == b.From && a.To == b.To && x.EventID == y.EventID && x.System == y.System &&
		x.Registered == y.Registered && x.Leverance == y.Leverance &&
		bytes.Equal(x.Payload, y.Payload)
}

func (d *datasetFold) change(s *fold.Segment, enters bool) error {
	r := schemas.Row{
		System: s.Row.System,
		Key:    s.Row.Key,
		From:   s.From,
		To:     s.To,
		Op:     schemas.OpDelete,
	}
	if enters {
		r = *s.Row
		r.From, r.To, r.Op = s.From, s.To, schemas.OpUpsert
	}
	return d.changes.add(d.shape.changeKey(&r), &r)
}

// lookupBytes is how large the rows of a file of the national scopes are in memory.
const lookupBytes = 1 << 20

// stateLookup finds groups in the national close state, in rising order.
type stateLookup struct {
	ctx    context.Context
	files  files
	left   []rangeFile
	reader *stateReader
}

func (f *unitFold) lookup(ctx context.Context, name schemas.DatasetName) *stateLookup {
	return &stateLookup{
		ctx:    ctx,
		left:   f.earlier.dataset(name).Scopes,
		reader: newStateReader(partScopes),
		files: files{
			st:     f.State,
			folder: schemas.StatePrefix(nationalOf(f.in.Unit.Area)),
			dir:    f.Dir,
		},
	}
}

func (l *stateLookup) close() { l.reader.close() }

func (l *stateLookup) group(key []byte) ([]schemas.Row, error) {
	for {
		for !l.reader.done() && bytes.Compare(l.reader.group, key) < 0 {
			l.reader.advance()
		}
		if l.reader.err != nil {
			return nil, l.reader.err
		}
		if !l.reader.done() {
			break
		}
		for len(l.left) > 0 && bytes.Compare(l.left[0].Last, key) < 0 {
			l.left = l.left[1:]
		}
		if len(l.left) == 0 || bytes.Compare(key, l.left[0].First) < 0 {
			return nil, nil
		}
		l.reader.open(l.files.scan(l.ctx, &l.left[0].FileRef, fieldsOf(l.reader.cols)))
		l.left = l.left[1:]
	}
	if !bytes.Equal(l.reader.group, key) {
		return nil, nil
	}
	_, rows := l.reader.take()
	return rows, l.reader.err
}
