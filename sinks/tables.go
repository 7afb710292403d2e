package sinks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// TablesConfig is what makes tables.
type TablesConfig struct {
	State     store.Store // close state, beside the journal
	Delivered store.Store // delivered tables
	Datasets  map[schemas.DatasetName]*schemas.Dataset
	Dir       string // folder for scratch files, which hold personal data; made if it is missing
	// Budget is the bytes that a batch keeps in memory; 0 = 128 MiB. Each unit that is folded may
	// take a quarter as much.
	Budget int
}

// Tables is the Engine: it folds statements into delivered tables, streaming. Memory is bounded
// by the budget, the rows of one scope or key, and the files being read and written.
type Tables struct {
	TablesConfig
	stateBytes, tableBytes int // of rows in memory form in a file
	// covers says whether an approved list of ends holds all of another
	covers func(ctx context.Context, f files, approved, now *FileRef) (bool, error)
}

const (
	budgetDefault = 128 << 20
	stateBytesMax = 64 << 20
	tableBytesMax = 128 << 20
)

// NewTables makes the engine and removes what an earlier process left in Dir.
func NewTables(c TablesConfig) (*Tables, error) {
	c.Budget = cmp.Or(c.Budget, budgetDefault)
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make scratch folder: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(c.Dir, scratchPattern))
	for _, name := range left {
		err = errors.Join(err, removed(name))
	}
	if err != nil {
		return nil, fmt.Errorf("clear scratch folder: %w", err)
	}
	return &Tables{c, stateBytesMax, tableBytesMax, coversAll}, nil
}

// NewBatch implements Engine.
func (t *Tables) NewBatch(context.Context) (Batch, error) {
	return &tableBatch{tables: t, rows: newSortedRows(t.Dir, t.Budget)}, nil
}

// tableBatch is the statements of one round, by municipality, dataset, part of the close state
// and group.
type tableBatch struct {
	tables *Tables
	rows   *sortedRows
	key    []byte
}

// Add implements Batch. A snapshot of a whole area is one of each of its datasets.
func (b *tableBatch) Add(u schemas.Unit, r *schemas.Row) error {
	switch r.Op {
	case schemas.OpUpsert, schemas.OpReplace, schemas.OpDelete, schemas.OpSnapshot,
		schemas.OpWithdrawn:
	default:
		return nil
	}
	if r.Dataset.Short() != "" {
		return b.add(u.Kommune, r)
	}
	for name := range b.tables.Datasets {
		if name.Area() == r.Dataset.Area() {
			one := *r
			one.Dataset = name
			if err := b.add(u.Kommune, &one); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *tableBatch) add(k schemas.Kommunekode, r *schemas.Row) error {
	if b.tables.Datasets[r.Dataset] == nil {
		return fmt.Errorf("fold a row of %s: the standard model has no such dataset", r.Dataset)
	}
	rows := scopeRows(r)
	for i := range rows {
		if err := b.put(k, &rows[i]); err != nil {
			return err
		}
	}
	return b.put(k, r)
}

func (b *tableBatch) put(k schemas.Kommunekode, r *schemas.Row) error {
	p := partOf(r)
	b.key = appendOrder(appendGroup(slicePrefix(b.key[:0], k, r.Dataset, p), p, r), r)
	return b.rows.add(b.key, r)
}

func slicePrefix(b []byte, k schemas.Kommunekode, d schemas.DatasetName, p part) []byte {
	return append(appendText(appendText(b, k), d), byte(p))
}

func (b *tableBatch) slice(k schemas.Kommunekode, d schemas.DatasetName, p part) *rowCursor {
	return b.rows.slice(slicePrefix(nil, k, d, p))
}

// Sort implements Batch.
func (b *tableBatch) Sort(context.Context) error { return b.rows.sort() }

// Close implements Batch.
func (b *tableBatch) Close() error { return b.rows.close() }

// unitFold is one close of one unit.
type unitFold struct {
	*Tables
	in       *FoldInput
	batch    *tableBatch
	before   *closeState
	national *closeState
	result   *FoldResult
}

// Fold implements Engine.
func (t *Tables) Fold(ctx context.Context, in *FoldInput) (*FoldResult, error) {
	batch, ok := in.Batch.(*tableBatch)
	if !ok {
		return nil, errors.New("fold: the batch is another engine's")
	}
	f := &unitFold{Tables: t, in: in, batch: batch, result: &FoldResult{}}
	var err error
	if f.before, err = readState(ctx, t.State, in.Unit, in.Before); err != nil {
		return nil, err
	}
	national := nationalOf(in.Unit.Area)
	if f.national, err = readState(ctx, t.State, national, in.National); err != nil {
		return nil, err
	}
	after := &closeState{
		Format:   stateFormat,
		Unit:     in.Unit.String(),
		Datasets: maps.Clone(f.before.Datasets),
	}
	for _, name := range slices.Sorted(maps.Keys(t.Datasets)) {
		if name.Area() != in.Unit.Area {
			continue
		}
		d, err := f.dataset(ctx, name, after)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if n := len(d.Incomplete); n > 0 {
			f.result.Incomplete = append(f.result.Incomplete, fmt.Sprintf("%s: %d", name, n))
		}
		if d.empty() {
			delete(after.Datasets, name)
		} else {
			after.Datasets[name] = d
		}
	}
	return f.result, f.conclude(ctx, after)
}

// conclude writes the index, if it differs from the one before.
func (f *unitFold) conclude(ctx context.Context, after *closeState) error {
	was, err := delta.Canonical(f.before)
	if err != nil {
		return err
	}
	is, err := delta.Canonical(after)
	if err != nil || string(was) == string(is) {
		return err
	}
	f.result.State, err = after.write(ctx, f.State, f.in.Unit)
	return err
}

func (f *unitFold) isNational() bool { return f.in.Unit.Kommune == schemas.National }

func (f *unitFold) dataset(
	ctx context.Context,
	name schemas.DatasetName,
	after *closeState,
) (*datasetState, error) {
	before := f.before.dataset(name)
	if name == joinedDataset && !f.isNational() {
		return f.join(ctx, before, after.dataset(joinDataset))
	}
	d, err := f.newDatasetFold(name, before)
	if err != nil {
		return nil, err
	}
	defer d.close()
	if err := d.scopes(ctx); err != nil {
		return nil, err
	}
	if err := d.keys(ctx); err != nil {
		return nil, err
	}
	f.result.Clipped += d.clipped
	if f.isNational() {
		return d.after, nil
	}
	if err := d.massEnds(ctx, before.Table); err != nil {
		return nil, err
	}
	return d.after, d.apply(ctx)
}
