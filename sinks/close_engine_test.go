package sinks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// plainEngine folds in the plainest way, with files of JSON: the protocol is what is tested with
// it.
type plainEngine struct {
	st        store.Store
	writer    string
	files     int
	keepsStay bool // planted: a snapshot takes nothing back
}

type plainBatch map[schemas.Unit][]schemas.Row

func (b plainBatch) Add(u schemas.Unit, r *schemas.Row) error {
	b[u] = append(b[u], *r)
	return nil
}
func (plainBatch) Sort(context.Context) error { return nil }
func (plainBatch) Close() error               { return nil }

func (e *plainEngine) NewBatch(context.Context) (Batch, error) { return plainBatch{}, nil }

// plainRow is a delivered row.
type plainRow struct {
	Key, Payload, From, To string
	Order                  string
}

func (e *plainEngine) write(ctx context.Context, prefix string, v any, rows int) (FileRef, error) {
	e.files++
	b, err := json.Marshal(v)
	if err != nil {
		return FileRef{}, err
	}
	f := FileRef{Path: fmt.Sprintf("%s-%d.json", e.writer, e.files), SHA256: hashOf(b),
		Bytes: int64(len(b)),
		Rows:  int64(rows)}
	err = e.st.Create(ctx, prefix+"/"+f.Path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	return f, err
}

func (e *plainEngine) read(ctx context.Context, prefix string, f FileRef, v any) error {
	b, err := store.ReadLimit(ctx, e.st, prefix+"/"+f.Path, 1<<20)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func (e *plainEngine) state(ctx context.Context, u schemas.Unit,
	c *Certificate) (rows []schemas.Row, err error) {
	if c == nil || c.State == nil {
		return nil, nil
	}
	return rows, e.read(ctx, schemas.StatePrefix(u), *c.State, &rows)
}

func (e *plainEngine) Fold(ctx context.Context, in *FoldInput) (*FoldResult, error) {
	own, err := e.state(ctx, in.Unit, in.Before)
	if err != nil {
		return nil, err
	}
	fresh := in.Batch.(plainBatch)[in.Unit]
	res := &FoldResult{}
	all := append(own, fresh...)
	if len(fresh) > 0 {
		f, err := e.write(ctx, schemas.StatePrefix(in.Unit), all, len(all))
		if err != nil {
			return nil, err
		}
		res.State = &f
	}
	if in.Unit.Kommune == schemas.National {
		return res, nil
	}
	national, err := e.state(ctx, nationalOf(in.Unit.Area), in.National)
	if err != nil {
		return nil, err
	}
	if e.keepsStay {
		national = nil
	}
	name := simFact
	if in.Unit.Area == "borger" {
		name = simState
	}
	return res, e.tables(ctx, in, name, plainFold(all, national), res)
}

// plainFold: the greatest statement of each key that no later snapshot of its scope takes back.
func plainFold(rows, snapshots []schemas.Row) map[string]*schemas.Row {
	won := map[string]*schemas.Row{}
	for i := range rows {
		r := &rows[i]
		gone := slices.ContainsFunc(snapshots, func(s schemas.Row) bool {
			return s.Scope == r.Scope && s.Scope != "" && schemas.CompareOrder(&s, r) > 0
		})
		if w := won[r.Key]; !gone && (w == nil || schemas.CompareOrder(r, w) > 0) {
			won[r.Key] = r
		}
	}
	return won
}

func orderText(r *schemas.Row) string { return fmt.Sprint(r.Stated, "/", r.Offset, "/", r.Ordinal) }

func (e *plainEngine) tables(ctx context.Context, in *FoldInput, name schemas.DatasetName,
	won map[string]*schemas.Row, res *FoldResult) error {
	log := delta.Open(e.st, schemas.TablePrefix(in.Unit.Kommune, name, false))
	old, paths, err := e.current(ctx, in, name, log)
	if err != nil {
		return err
	}
	day := in.Leverance.String()
	var now, gone []plainRow
	for k, r := range won {
		row := plainRow{Key: k, Payload: string(r.Payload), From: day, Order: orderText(r)}
		if was, ok := old[k]; ok && was.Payload == row.Payload && was.Order == row.Order {
			row.From = was.From
		}
		now = append(now, row)
	}
	slices.SortFunc(now, func(a, b plainRow) int { return strings.Compare(a.Key, b.Key) })
	for _, was := range old {
		if !slices.Contains(now, was) && was.From != day {
			was.To = day
			gone = append(gone, was)
		}
	}
	slices.SortFunc(gone, func(a, b plainRow) int { return strings.Compare(a.Key, b.Key) })
	same := len(now) == len(old) && !slices.ContainsFunc(now,
		func(r plainRow) bool { return old[r.Key] != r })
	if same {
		return nil
	}
	return errorsOf(e.change(ctx, in, name, false, now, paths, res),
		e.change(ctx, in, name, true, gone, nil, res))
}

func errorsOf(errs ...error) error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}

func (e *plainEngine) current(ctx context.Context, in *FoldInput, name schemas.DatasetName,
	log *delta.Log,
) (map[string]plainRow, []string, error) {
	old := map[string]plainRow{}
	if in.Before == nil || in.Before.Tables[string(name)] == nil {
		return old, nil, nil
	}
	files, err := in.Before.Tables[string(name)].Current.live(ctx, log)
	if err != nil {
		return nil, nil, err
	}
	var paths []string
	for p := range files {
		var rows []plainRow
		if err := e.read(ctx, schemas.TablePrefix(in.Unit.Kommune, name, false), FileRef{Path: p},
			&rows); err != nil {
			return nil, nil, err
		}
		for _, r := range rows {
			old[r.Key] = r
		}
		paths = append(paths, p)
	}
	return old, paths, nil
}

func (e *plainEngine) change(ctx context.Context, in *FoldInput, name schemas.DatasetName,
	history bool,
	rows []plainRow, removed []string, res *FoldResult) error {
	if history && len(rows) == 0 {
		return nil
	}
	f, err := e.write(ctx, schemas.TablePrefix(in.Unit.Kommune, name, history), rows, len(rows))
	if err != nil {
		return err
	}
	c := &delta.Commit{Adds: []delta.Add{{Path: f.Path, Size: f.Bytes, DataChange: true,
		Stats: fmt.Sprintf(`{"numRecords":%d}`, f.Rows),
		Tags:  map[string]string{delta.TagSHA256: f.SHA256}}}}
	if in.Before == nil || !hasTable(in.Before, name, history) {
		c.Metadata = &delta.Metadata{ID: "00000000-0000-4000-8000-000000000001",
			Schema: []delta.Column{{Name: "a", Type: "string"}}}
	}
	for _, p := range removed {
		c.Removes = append(c.Removes, delta.Remove{Path: p, DataChange: true})
	}
	res.Tables = append(res.Tables, TableChange{Dataset: name, History: history, Commit: c})
	return nil
}

func hasTable(c *Certificate, name schemas.DatasetName, history bool) bool {
	d := c.Tables[string(name)]
	return d != nil && (history && d.History != nil || !history && d.Current != nil)
}
