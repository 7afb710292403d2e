package sinks

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/transforms/fold"
)

// The one join: a unit holds the rows of personnummer of which either number is a person that it
// holds. They name no municipality, so the national close state has them all.
const (
	joinDataset   schemas.DatasetName = "borger.person"
	joinedDataset schemas.DatasetName = "borger.personnummer"
	joinColumn                        = "cpr"
	joinedColumn                      = "aktuelt_cpr"
)

// join makes the unit's table anew and compares it with the one that is there. It does nothing
// where neither the persons, the national rows nor the agreements are others than last time.
func (f *unitFold) join(ctx context.Context, before, persons *datasetState) (*datasetState, error) {
	d, err := f.newDatasetFold(joinedDataset, before)
	if err != nil {
		return nil, err
	}
	defer d.close()
	national := f.national.dataset(joinedDataset)
	if len(national.Keys) == 0 && len(before.Table) == 0 {
		return d.after, nil
	}
	rests := restsOn(national.Keys, persons.Table)
	if rests == before.National && d.was.equal(d.is) {
		return d.after, nil
	}
	j := &joining{datasetFold: d, scratch: parquet.NewBatch(d.shape.fields),
		number: 1 + d.shape.dataset.Column(joinedColumn),
		ends:   joinEnds{fold: d, guarded: f.in.Guard != nil && d.was.equal(d.is)}}
	if j.persons, err = f.persons(ctx, persons); err != nil {
		return nil, err
	}
	if err := j.run(ctx, national); err != nil {
		return nil, err
	}
	if err := d.changes.sort(); err != nil {
		return nil, err
	}
	if err := d.massEnds(ctx, before.Table); err != nil {
		return nil, err
	}
	if d.changes.seen > 0 { // else the close has nothing to say, and the next one looks again
		d.after.National = rests
	}
	return d.after, d.apply(ctx)
}

// restsOn is a digest of files.
func restsOn(lists ...[]rangeFile) string {
	var b strings.Builder
	for _, l := range lists {
		for _, f := range l {
			b.WriteString(f.SHA256)
		}
		b.WriteByte('\n')
	}
	return hashOf([]byte(b.String()))
}

// persons are the numbers that the unit holds, sorted.
func (f *unitFold) persons(ctx context.Context, s *datasetState) ([]string, error) {
	in := files{
		st:     f.Delivered,
		folder: schemas.TablePrefix(f.in.Unit.Kommune, joinDataset, false),
		dir:    f.Dir,
	}
	number := []parquet.Field{{Name: joinColumn, Kind: parquet.String}}
	var all []string
	for i := range s.Table {
		for b, err := range in.scan(ctx, &s.Table[i].FileRef, number) {
			if err != nil {
				return nil, err
			}
			for row := range b.Len() {
				if x := b.Vectors[0].Bytes(row); len(all) == 0 || all[len(all)-1] != string(x) {
					all = append(all, string(x))
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

type joining struct {
	*datasetFold
	persons []string
	number  int // place of joinedColumn
	scratch *parquet.Batch

	batch *parquet.Batch // with the table's row at hand, nil at the end
	at    int
	key   []byte
	next  func() (*parquet.Batch, error, bool)
	ends  joinEnds
}

// run goes through the national keys and the table side by side.
func (j *joining) run(ctx context.Context, national *datasetState) error {
	next, stop := iter.Pull2(j.rows(ctx))
	defer stop()
	j.next = next
	if err := j.load(); err != nil {
		return err
	}
	r := newStateReader(partKeys)
	defer r.close()
	in := files{st: j.State, folder: schemas.StatePrefix(nationalOf(j.in.Unit.Area)), dir: j.Dir}
	for i := range national.Keys {
		for r.open(in.scan(ctx, &national.Keys[i].FileRef, fieldsOf(r.cols))); !r.done(); {
			_, rows := r.take()
			if r.err != nil {
				return r.err
			}
			segments, _ := j.is.fold(j.shape.dataset.Kind, rows)
			for k := range segments {
				if err := j.wanted(&segments[k]); err != nil {
					return err
				}
			}
		}
		if r.err != nil {
			return r.err
		}
	}
	if err := j.drop(nil); err != nil {
		return err
	}
	return j.ends.flush()
}

func (j *joining) rows(ctx context.Context) iter.Seq2[*parquet.Batch, error] {
	return func(yield func(*parquet.Batch, error) bool) {
		in := j.tableFiles(false)
		for i := range j.after.Table {
			for b, err := range in.scan(ctx, &j.after.Table[i].FileRef, j.shape.fields) {
				if !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
}

func (j *joining) load() error {
	for j.batch == nil || j.at >= j.batch.Len() {
		b, err, ok := j.next()
		if err != nil || !ok {
			j.batch = nil
			return err
		}
		j.batch, j.at = b, 0
	}
	j.key = j.shape.keyAt(j.key[:0], j.batch, j.at)
	return nil
}

func (j *joining) holds(number string) bool {
	_, ok := slices.BinarySearch(j.persons, number)
	return ok
}

// wanted compares a national row, if it is the unit's, with the table.
func (j *joining) wanted(s *fold.Segment) error {
	r := *s.Row
	r.From, r.To = s.From, s.To
	j.scratch.Reset()
	if err := j.shape.appendRow(j.scratch, &r, j.in.Leverance); err != nil {
		return err
	}
	if !j.holds(r.Key) && !j.holds(string(j.scratch.Vectors[j.number].Bytes(0))) {
		return nil
	}
	key := j.shape.keyAt(nil, j.scratch, 0)
	if err := j.drop(key); err != nil {
		return err
	}
	if err := j.ends.at(r.System, r.Key); err != nil {
		return err
	}
	j.ends.open = j.ends.open || j.is.reaches(r.System, r.To)
	if j.batch != nil && bytes.Equal(j.key, key) {
		if j.shape.equalRows(j.batch, j.at, j.scratch, 0) {
			j.at++
			return j.load()
		}
		if err := j.leave(); err != nil {
			return err
		}
	}
	return j.change(s, true)
}

// drop takes out the table's rows before a key, nil = all that are left.
func (j *joining) drop(before []byte) error {
	for j.batch != nil && (before == nil || bytes.Compare(j.key, before) < 0) {
		if err := j.leave(); err != nil {
			return err
		}
	}
	return nil
}

func (j *joining) leave() error {
	s := j.shape
	r := &schemas.Row{
		System: schemas.System(j.batch.Vectors[s.system].Bytes(j.at)),
		Key:    s.keyText(j.batch, j.at),
		From:   schemas.Day(j.batch.Vectors[s.from].Int(j.at)),
		Op:     schemas.OpDelete,
	}
	if err := j.changes.add(s.changeKey(r), r); err != nil {
		return err
	}
	if err := j.ends.at(r.System, r.Key); err != nil {
		return err
	}
	to := j.batch.Vectors[s.from+1]
	j.ends.leaves = j.ends.leaves || to.Null(j.at) ||
		j.was.reaches(r.System, schemas.Day(to.Int(j.at)))
	j.at++
	return j.load()
}
