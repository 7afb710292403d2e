package sinks

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// EntityChange is a key whose rows in the current table differ between two certificates. Rows are
// cells of DeliveredColumns, in order of gyldig_fra, system, registreret_fra and event.
type EntityChange struct {
	Key           string // as the journal spells it
	Before, After [][]Cell
}

// ReadChanges hands fn each key of a dataset whose current rows differ between two certificates of
// a unit, in order of key; before nil is the time before the first. Only files that one of the two
// names and the other does not are read whole; the others are passed over for further rows of the
// keys that changed. Each file's SHA-256 is checked first (invariant 7). store.ErrNotFound where a
// file is no longer kept. fn's error ends the reading and is returned as it is. Memory is bounded
// by the sort's budget, one row group and the rows of one key.
func ReadChanges(ctx context.Context, delivered store.Store, ds *schemas.Dataset, u schemas.Unit,
	before, after *Certificate, scratch string, fn func(*EntityChange) error) error {
	r := &changeRead{
		tableRead: tableRead{store: delivered, shape: newTableShape(ds, u.Kommune),
			columns: DeliveredColumns(ds), rows: newSortedRows(scratch, readBudget)},
		kept: newSortedRows(scratch, readBudget), fn: fn}
	defer r.rows.close()
	defer r.kept.close()
	was, is := currentRef(before, ds), currentRef(after, ds)
	if was == nil && is == nil || was != nil && is != nil && was.Entry == is.Entry {
		return nil
	}
	old, err := r.live(ctx, was)
	if err != nil {
		return err
	}
	now, err := r.live(ctx, is)
	if err != nil {
		return err
	}
	both := maps.Clone(now)
	maps.DeleteFunc(both, func(p string, a delta.Add) bool { return !sameFile(old[p], a) })
	for p := range both {
		delete(old, p)
		delete(now, p)
	}
	return r.read(ctx, old, now, both)
}

func currentRef(c *Certificate, ds *schemas.Dataset) *TableRef {
	if c == nil || c.Tables[string(ds.Name)] == nil {
		return nil
	}
	return c.Tables[string(ds.Name)].Current
}

func sameFile(a, b delta.Add) bool {
	return a.Path == b.Path && a.Tags[delta.TagSHA256] == b.Tags[delta.TagSHA256]
}

// changeRead is one reading of what changed.
type changeRead struct {
	tableRead
	kept *sortedRows // rows of changed keys in files that both certificates name
	fn   func(*EntityChange) error

	side   int32
	filter *keyFilter // nil = every row is wanted
	into   *sortedRows
}

// Sides of a row.
const (
	sideBefore = iota + 1
	sideAfter
	sideBoth
)

func (r *changeRead) live(ctx context.Context, ref *TableRef) (map[string]delta.Add, error) {
	if ref == nil {
		return nil, nil
	}
	prefix := schemas.TablePrefix(r.shape.kommune, r.shape.dataset.Name, false)
	live, err := ref.live(ctx, delta.Open(r.store, prefix))
	if err != nil {
		return nil, fmt.Errorf("read %s version %d: %w: %w", prefix, ref.Version, ErrDamagedTable, err)
	}
	return maps.Clone(live), nil
}

func (r *changeRead) read(ctx context.Context, old, now, both map[string]delta.Add) error {
	r.into = r.rows
	if err := r.scan(ctx, old, sideBefore); err != nil {
		return err
	}
	if err := r.scan(ctx, now, sideAfter); err != nil {
		return err
	}
	if err := r.rows.sort(); err != nil {
		return err
	}
	if len(both) > 0 {
		filter := newKeyFilter()
		some := false
		err := r.groups(ctx, func(c *EntityChange) error {
			some = true
			filter.add(c.Key)
			return nil
		})
		if err != nil || !some {
			return err
		}
		r.filter, r.into = filter, r.kept
		if err := r.scan(ctx, both, sideBoth); err != nil {
			return err
		}
	}
	if err := r.kept.sort(); err != nil {
		return err
	}
	return r.groups(ctx, r.fn)
}

// scan takes the rows of files into a sort.
func (r *changeRead) scan(ctx context.Context, live map[string]delta.Add, side int32) error {
	prefix := schemas.TablePrefix(r.shape.kommune, r.shape.dataset.Name, false)
	from := files{st: r.store, folder: prefix}
	r.side = side
	for _, path := range sortedPaths(live) {
		f, err := fileRef(live[path])
		if err != nil {
			return fmt.Errorf("read %s: %w: %w", prefix, ErrDamagedTable, err)
		}
		for b, err := range from.scan(ctx, &f, r.shape.fields) {
			if err != nil {
				return readFault(prefix, err)
			}
			if err := r.take(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *changeRead) take(b *parquet.Batch) error {
	for i := range b.Len() {
		key := r.keyText(b, i)
		if r.filter != nil && !r.filter.has(key) {
			continue
		}
		r.cells = r.cells[:0]
		for c, v := range b.Vectors {
			r.cells = append(r.cells, cellOf(v, i, r.columns[c].Type))
		}
		r.payload = appendCells(r.payload[:0], r.cells, r.columns)
		row := &schemas.Row{Key: key, Ordinal: r.side, Payload: r.payload}
		if err := r.into.add(r.changeKey(key), row); err != nil {
			return err
		}
	}
	return nil
}

// changeKey orders the row that is in cells.
func (r *changeRead) changeKey(key string) []byte {
	standard := r.cells[r.shape.from:]
	b := appendText(r.key[:0], key)
	b = appendNumber(b, standard[0].Int)
	b = appendText(b, standard[5].Text)
	b = appendNumber(b, standard[3].Int)
	r.key = appendText(b, standard[7].Text)
	return r.key
}

// sideRow is a row of one key, with what orders it.
type sideRow struct {
	order   []byte
	side    int32
	payload []byte
}

// groups hands fn each key whose rows differ.
func (r *changeRead) groups(ctx context.Context, fn func(*EntityChange) error) error {
	changed, kept := r.rows.slice(nil), r.kept.slice(nil)
	for !changed.done() {
		if err := ctx.Err(); err != nil {
			return err
		}
		first, err := changed.row()
		if err != nil {
			return err
		}
		group, err := takeKey(nil, changed, first.Key)
		if err == nil {
			group, err = takeKey(group, kept, first.Key)
		}
		if err != nil {
			return err
		}
		c, err := r.change(first.Key, group)
		if err != nil {
			return err
		}
		if c != nil {
			if err := fn(c); err != nil {
				return err
			}
		}
	}
	return changed.err
}

// takeKey gathers the rows of a key, passing over lesser ones.
func takeKey(group []sideRow, c *rowCursor, key string) ([]sideRow, error) {
	want := appendText(nil, key)
	for ; !c.done(); c.advance() {
		at := c.key()
		if !bytes.HasPrefix(at, want) {
			if bytes.Compare(at, want) > 0 {
				break
			}
			continue
		}
		row, err := c.row()
		if err != nil {
			return nil, err
		}
		group = append(group, sideRow{bytes.Clone(at), row.Ordinal, row.Payload})
	}
	return group, c.err
}

// change is nil where the rows are the same before and after.
func (r *changeRead) change(key string, group []sideRow) (*EntityChange, error) {
	slices.SortStableFunc(group, func(a, b sideRow) int { return bytes.Compare(a.order, b.order) })
	var before, after [][]byte
	for _, s := range group {
		if s.side != sideAfter {
			before = append(before, s.payload)
		}
		if s.side != sideBefore {
			after = append(after, s.payload)
		}
	}
	if slices.EqualFunc(before, after, bytes.Equal) {
		return nil, nil
	}
	c := &EntityChange{Key: key}
	var err error
	if c.Before, err = r.decode(before); err == nil {
		c.After, err = r.decode(after)
	}
	return c, err
}

func (r *changeRead) decode(rows [][]byte) ([][]Cell, error) {
	var all [][]Cell
	for _, b := range rows {
		cells, err := readCells(nil, b, r.columns)
		if err != nil {
			return nil, err
		}
		all = append(all, cells)
	}
	return all, nil
}

// keyFilter knows which keys were added, and a few more: a Bloom filter of fixed size.
type keyFilter struct {
	seed maphash.Seed
	bits []uint64
}

const (
	filterWords  = 1 << 18 // 2 MiB: one false key in 50 at two million keys
	filterProbes = 4
)

func newKeyFilter() *keyFilter {
	return &keyFilter{maphash.MakeSeed(), make([]uint64, filterWords)}
}

// probes gives the places of a key's bits.
func (f *keyFilter) probes(key string) (places [filterProbes]uint64) {
	h := maphash.String(f.seed, key)
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], h)
	step := maphash.Bytes(f.seed, b[:]) | 1
	for i := range places {
		places[i] = h % (filterWords * 64)
		h += step
	}
	return places
}

func (f *keyFilter) add(key string) {
	for _, p := range f.probes(key) {
		f.bits[p/64] |= 1 << (p % 64)
	}
}

func (f *keyFilter) has(key string) bool {
	for _, p := range f.probes(key) {
		if f.bits[p/64]&(1<<(p%64)) == 0 {
			return false
		}
	}
	return true
}
