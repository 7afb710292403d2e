package sinks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// Errors of reading that callers decide on; compare with errors.Is.
var (
	// ErrNoCertificate: the unit was never closed, or has no certificate of that number.
	ErrNoCertificate = errors.New("no certificate")
	// ErrDamagedTable: a file or a log is not what the certificate names. The error says which.
	ErrDamagedTable = errors.New("delivered table is damaged")
)

// TableChoice narrows a reading to one of a dataset's two tables.
type TableChoice uint8

// The choices.
const (
	AsNeeded    TableChoice = iota // by the other options
	OnlyCurrent                    // <dataset>
	OnlyHistory                    // <dataset>_historik
)

// ReadOptions says which rows of a dataset are read. The zero value: those known now, by the
// newest certificate.
type ReadOptions struct {
	Certificate int64        // by what this one names; 0 = the newest
	AsOf        *schemas.Day // only rows that are true on the day; nil = of any time
	KnownAt     *schemas.Day // what was delivered on the day; nil = what is known now
	History     bool         // replaced rows too; with KnownAt, those replaced by then
	Table       TableChoice
	Key         *string // only rows of the key, as the journal spells it; nil = all
	Scratch     string  // folder for what a sort does not hold in memory; "" = the system's
}

// Cell is one value of a delivered row. Int holds days, microseconds, unscaled decimals, 0 or 1,
// and Text the rest.
type Cell struct {
	Null bool
	Int  int64
	Text string
}

// DeliveredColumns are the columns of a dataset's two tables.
func DeliveredColumns(ds *schemas.Dataset) []schemas.Column {
	all := []schemas.Column{{Name: "kommunekode", Type: schemas.String}}
	all = append(all, ds.Columns...)
	return append(all,
		schemas.Column{Name: "gyldig_fra", Type: schemas.Date},
		schemas.Column{Name: "gyldig_til", Type: schemas.Date, Nullable: true},
		schemas.Column{Name: "kilde_registreret", Type: schemas.Timestamp},
		schemas.Column{Name: "registreret_fra", Type: schemas.Date},
		schemas.Column{Name: "registreret_til", Type: schemas.Date, Nullable: true},
		schemas.Column{Name: "kilde_system", Type: schemas.String},
		schemas.Column{Name: "leverance", Type: schemas.Date},
		schemas.Column{Name: "haendelse_id", Type: schemas.String})
}

// FindCertificate reads certificate n of a unit, 0 = the newest, and checks that its neighbours
// in the chain are those that they were. ErrNoCertificate when there is none.
func FindCertificate(ctx context.Context, st store.Store, u schemas.Unit, n int64) (*Certificate,
	error) {
	if n == 0 {
		c, err := Head(ctx, st, u)
		if err == nil && c == nil {
			err = fmt.Errorf("read %s: %w", u, ErrNoCertificate)
		}
		return c, err
	}
	c, err := ReadCertificate(ctx, st, u, n)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("read %s: %w of number %d", u, ErrNoCertificate, n)
	}
	if err != nil {
		return nil, err
	}
	next, err := ReadCertificate(ctx, st, u, n+1)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return c, checkLink(ctx, st, u, c)
	case err != nil:
		return nil, err
	case next.Previous != c.hash:
		return nil, brokenChain(u, n+1)
	}
	return c, nil
}

// ReadRows hands fn the rows of a dataset that a certificate names, in order of key, gyldig_fra,
// system and registreret_fra. Each file's size and SHA-256 are checked before it is opened
// (invariant 7). cells are those of DeliveredColumns and hold until fn returns; its error ends
// the reading and is returned as it is. A dataset with no table yet has no rows. Memory is
// bounded by the sort's budget and one row group, whatever the size.
func ReadRows(ctx context.Context, delivered store.Store, ds *schemas.Dataset, u schemas.Unit,
	o ReadOptions,
	fn func(cells []Cell) error) error {
	c, err := FindCertificate(ctx, delivered, u, o.Certificate)
	if err != nil {
		return err
	}
	ref := c.Tables[string(ds.Name)]
	if ref == nil {
		return nil
	}
	r := &tableRead{store: delivered, options: o, shape: newTableShape(ds, u.Kommune),
		columns: DeliveredColumns(ds), rows: newSortedRows(o.Scratch, readBudget)}
	defer r.rows.close()
	if err := r.tables(ctx, ref); err != nil {
		return err
	}
	if err := r.rows.sort(); err != nil {
		return err
	}
	return r.hand(ctx, fn)
}

// readBudget is how many bytes of rows a sort keeps in memory.
const readBudget = 64 << 20

// tableRead is one reading: it takes the wanted rows of each file into a sort.
type tableRead struct {
	store   store.Store
	options ReadOptions
	shape   *tableShape
	columns []schemas.Column
	rows    *sortedRows

	cells   []Cell
	payload []byte
	key     []byte
}

// tables reads the current table, and the history where it can hold a row that is asked for.
func (r *tableRead) tables(ctx context.Context, ref *DatasetRef) error {
	o := &r.options
	if ref.Current != nil && o.Table != OnlyHistory {
		if err := r.table(ctx, ref.Current, false); err != nil {
			return err
		}
	}
	if ref.History != nil && (o.Table == OnlyHistory || o.Table == AsNeeded &&
		(o.History || o.KnownAt != nil)) {
		return r.table(ctx, ref.History, true)
	}
	return nil
}

// table reads the files of one table at the version that the certificate names.
func (r *tableRead) table(ctx context.Context, ref *TableRef, history bool) error {
	prefix := schemas.TablePrefix(r.shape.kommune, r.shape.dataset.Name, history)
	live, err := ref.live(ctx, delta.Open(r.store, prefix))
	if err != nil {
		return fmt.Errorf("read %s version %d: %w: %w", prefix, ref.Version, ErrDamagedTable, err)
	}
	from := files{st: r.store, folder: prefix}
	for _, path := range sortedPaths(live) {
		f, err := fileRef(live[path])
		if err != nil {
			return fmt.Errorf("read %s: %w: %w", prefix, ErrDamagedTable, err)
		}
		for b, err := range from.scan(ctx, &f, r.shape.fields) {
			if err != nil {
				return readFault(prefix, err)
			}
			if err := r.batch(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// readFault tells damage from a store that does not answer.
func readFault(prefix string, err error) error {
	if errors.Is(err, errFile) || errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("read %s: %w: %w", prefix, ErrDamagedTable, err)
	}
	return fmt.Errorf("read %s: %w", prefix, err)
}

func sortedPaths(live map[string]delta.Add) []string {
	var all []string
	for p := range live {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// batch takes the rows that are wanted into the sort.
func (r *tableRead) batch(b *parquet.Batch) error {
	for i := range b.Len() {
		if !r.wanted(b, i) {
			continue
		}
		r.cells = r.cells[:0]
		for c, v := range b.Vectors {
			r.cells = append(r.cells, cellOf(v, i, r.columns[c].Type))
		}
		r.payload = appendCells(r.payload[:0], r.cells, r.columns)
		if err := r.rows.add(r.sortKey(), &schemas.Row{Payload: r.payload}); err != nil {
			return err
		}
	}
	return nil
}

// cellOf copies a value out of its batch.
func cellOf(v *parquet.Vector, i int, t schemas.Type) Cell {
	switch {
	case v.Null(i):
		return Cell{Null: true}
	case t == schemas.String:
		return Cell{Text: string(v.Bytes(i))}
	}
	return Cell{Int: v.Int(i)}
}

// wanted decides by the clocks of a row, before anything of it is copied.
func (r *tableRead) wanted(b *parquet.Batch, i int) bool {
	o, s := &r.options, r.shape
	if o.AsOf != nil && !covers(b.Vectors[s.from], b.Vectors[s.from+1], i, *o.AsOf) {
		return false
	}
	if o.KnownAt != nil {
		since := b.Vectors[s.known].Int(i) <= int64(*o.KnownAt)
		if !since || !o.History && !covers(b.Vectors[s.known], b.Vectors[s.gone], i, *o.KnownAt) {
			return false
		}
	}
	return o.Key == nil || *o.Key == r.keyText(b, i)
}

// covers: half-open, an open end is null.
func covers(from, to *parquet.Vector, i int, day schemas.Day) bool {
	return from.Int(i) <= int64(day) && (to.Null(i) || to.Int(i) > int64(day))
}

// keyText joins the key's columns as the journal does.
func (r *tableRead) keyText(b *parquet.Batch, i int) string {
	text := r.key[:0]
	for n, k := range r.shape.keys {
		if n > 0 {
			text = append(text, schemas.KeySeparator...)
		}
		text = r.shape.appendKeyText(text, k, b.Vectors[k], i)
	}
	r.key = text
	return string(text)
}

// sortKey orders the row that is in cells.
func (r *tableRead) sortKey() []byte {
	b := r.key[:0]
	for _, k := range r.shape.keys {
		if c := &r.cells[k]; r.columns[k].Type == schemas.String {
			b = appendText(b, c.Text)
		} else {
			b = appendNumber(b, c.Int)
		}
	}
	standard := r.cells[r.shape.from:]
	b = appendNumber(b, standard[0].Int)
	b = appendText(b, standard[5].Text)
	b = appendNumber(b, standard[3].Int)
	r.key = appendText(b, standard[7].Text)
	return r.key
}

// hand gives the sorted rows on.
func (r *tableRead) hand(ctx context.Context, fn func([]Cell) error) error {
	c := r.rows.slice(nil)
	for ; !c.done(); c.advance() {
		if err := ctx.Err(); err != nil {
			return err
		}
		row, err := c.row()
		if err == nil {
			r.cells, err = readCells(r.cells[:0], row.Payload, r.columns)
		}
		if err != nil {
			return err
		}
		if err := fn(r.cells); err != nil {
			return err
		}
	}
	return c.err
}
