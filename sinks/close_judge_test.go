package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// closeJudge compares what certificates name with what happened. It shares no step with the
// closer but the reading of a certificate.
type closeJudge struct {
	w  *closeWorld
	st store.Store
}

func (j *closeJudge) judge(ctx context.Context, done bool) error {
	units := []schemas.Unit{nationalOf("borger")}
	for _, k := range simKommuner {
		units = append(units, schemas.Unit{Kommune: k, Area: "aeldre"}, schemas.Unit{Kommune: k,
			Area: "borger"})
	}
	for _, u := range units {
		if err := j.unit(ctx, u, done); err != nil {
			return fmt.Errorf("%s: %w", u, err)
		}
	}
	return nil
}

func (j *closeJudge) unit(ctx context.Context, u schemas.Unit, done bool) error {
	var before *Certificate
	rows := map[string]plainRow{}
	var history []plainRow
	for n := int64(1); ; n++ {
		c, err := ReadCertificate(ctx, j.st, u, n)
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		if err := j.link(ctx, u, before, c); err != nil {
			return fmt.Errorf("certificate %d: %w", n, err)
		}
		if u.Kommune != schemas.National {
			if rows, history, err = j.tables(ctx, u, c, rows, history); err != nil {
				return fmt.Errorf("certificate %d: %w", n, err)
			}
			if err := j.days(u, before, c); err != nil {
				return fmt.Errorf("certificate %d: %w", n, err)
			}
		}
		before = c
	}
	if err := j.noMore(ctx, u, before); err != nil || !done {
		return err
	}
	return j.done(ctx, u, before)
}

func (j *closeJudge) link(ctx context.Context, u schemas.Unit, before, c *Certificate) error {
	previous := ""
	if before != nil {
		previous = before.Hash()
		if c.Leverance < before.Leverance {
			return fmt.Errorf("leverance went back")
		}
		for s, p := range before.Points {
			if c.Points[s].Version < p.Version {
				return fmt.Errorf("position of %s went back", s)
			}
		}
	}
	claim, hash, err := ReadClaim(ctx, j.st, u, c.Number)
	if err != nil {
		return err
	}
	switch {
	case c.Previous != previous || claim.Previous != previous:
		return fmt.Errorf("chain is broken")
	case c.Claim != hash || c.Leverance != claim.Leverance || !maps.Equal(c.Points, claim.Points):
		return fmt.Errorf("is not what was claimed")
	}
	for s, p := range c.Points {
		if want, _ := (&worldEvents{w: j.w, system: s}).EntryHash(ctx, max(p.Version,
			0)); p.Version >= 0 && want != p.Hash {
			return fmt.Errorf("names another entry of %s", s)
		}
	}
	return nil
}

// statements are those of a unit in the journals up to the points.
func (j *closeJudge) statements(u schemas.Unit, points Points) []schemas.Row {
	var all []schemas.Row
	for s, p := range points {
		for _, e := range j.w.journals[s][:p.Version+1] {
			for _, r := range e {
				if r.Dataset != "" && r.Dataset.Area() == u.Area && r.Kommune == u.Kommune {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// truth is the table by the rule alone: of each key the greatest statement, unless a greater
// snapshot lacks it.
func (j *closeJudge) truth(u schemas.Unit, points Points) map[string]string {
	own, national := j.statements(u, points), j.statements(nationalOf(u.Area), points)
	slices.SortFunc(own, func(a, b schemas.Row) int { return schemas.CompareOrder(&a, &b) })
	rows := map[string]string{}
	for i := range own {
		rows[own[i].Key] = string(own[i].Payload) + " " + orderText(&own[i])
		for k := range national {
			if national[k].Scope == own[i].Scope && schemas.CompareOrder(&national[k], &own[i]) > 0 {
				delete(rows, own[i].Key)
			}
		}
	}
	return rows
}

func (j *closeJudge) tables(ctx context.Context, u schemas.Unit, c *Certificate,
	before map[string]plainRow,
	history []plainRow) (map[string]plainRow, []plainRow, error) {
	name := simFact
	if u.Area == "borger" {
		name = simState
	}
	d := c.Tables[string(name)]
	if d == nil {
		d = &DatasetRef{}
	}
	now, err := j.read(ctx, u, name, false, d.Current)
	if err != nil {
		return nil, nil, err
	}
	got := map[string]plainRow{}
	for _, r := range now {
		if _, twice := got[r.Key]; twice {
			return nil, nil, fmt.Errorf("a row is doubled")
		}
		got[r.Key] = r
	}
	want := j.truth(u, c.Points)
	if len(want) != len(got) {
		return nil, nil, fmt.Errorf("%d rows, should be %d", len(got), len(want))
	}
	for k, r := range got {
		if want[k] != r.Payload+" "+r.Order {
			return nil, nil, fmt.Errorf("row %s is %s %s, should be %s", k, r.Payload, r.Order, want[k])
		}
		was, ok := before[k]
		if same := ok && was.Payload == r.Payload && was.Order == r.Order; same && r.From != was.From ||
			!same && r.From != c.Leverance {
			return nil, nil, fmt.Errorf("row %s is known from %s", k, r.From)
		}
	}
	for _, was := range before {
		if got[was.Key] != was && was.From != c.Leverance {
			was.To = c.Leverance
			history = append(history, was)
		}
	}
	old, err := j.read(ctx, u, name, true, d.History)
	if err != nil {
		return nil, nil, err
	}
	byText := func(a, b plainRow) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	slices.SortFunc(old, byText)
	slices.SortFunc(history, byText)
	if !slices.Equal(old, history) {
		return nil, nil, fmt.Errorf("history is %v, should be %v", old, history)
	}
	return got, history, nil
}

func (j *closeJudge) read(ctx context.Context, u schemas.Unit, name schemas.DatasetName,
	history bool, t *TableRef,
) ([]plainRow, error) {
	if t == nil {
		return nil, nil
	}
	prefix := schemas.TablePrefix(u.Kommune, name, history)
	s, err := delta.Open(j.st, prefix).Snapshot(ctx, t.Version)
	if err != nil {
		return nil, fmt.Errorf("read version %d that is named: %w", t.Version, err)
	}
	if FilesDigest(s.Files) != t.Digest || s.Txns[u.String()] != t.Since {
		return nil, fmt.Errorf("version %d is not what is named", t.Version)
	}
	var all []plainRow
	for p, f := range s.Files {
		b, err := store.ReadLimit(ctx, j.st, prefix+"/"+p, 1<<20)
		if err != nil {
			return nil, err
		}
		if hashOf(b) != f.Tags[delta.TagSHA256] {
			return nil, fmt.Errorf("file is damaged")
		}
		var rows []plainRow
		if err := json.Unmarshal(b, &rows); err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	if int64(len(all)) != t.Rows {
		return nil, fmt.Errorf("%d rows are named, %d are there", t.Rows, len(all))
	}
	return all, nil
}

// days: closed means proven, by a count of what landed; a late row is told.
func (j *closeJudge) days(u schemas.Unit, before, c *Certificate) error {
	told := map[string]DayReport{}
	for _, r := range c.Days {
		told[r.Day] = r
		if r.State != Closed {
			continue
		}
		day, err := schemas.ParseDay(r.Day)
		if err != nil {
			return err
		}
		if err := j.proven(u, c, day); err != nil {
			return fmt.Errorf("day %s is said %s: %w", r.Day, Closed, err)
		}
	}
	if before == nil {
		return nil
	}
	for _, r := range j.statements(u, c.Points)[len(j.statements(u, before.Points)):] {
		was := before.Calendar[r.Leverance.String()]
		if !was.final() {
			continue
		}
		if is := told[r.Leverance.String()]; is.Revised != was.Revised+1 || is.Late == 0 {
			return fmt.Errorf("a late row of %s is not told", r.Leverance)
		}
	}
	return nil
}

func (j *closeJudge) proven(u schemas.Unit, c *Certificate, day schemas.Day) error {
	system, kommune := simVendor, u.Kommune
	if u.Area == "borger" {
		system, kommune = simCPR, schemas.National
	}
	entries := int(c.Points[system].Version + 1)
	landed := j.w.landed(system, kommune, day, entries)
	for _, o := range landed {
		if o == schemas.Parked {
			return fmt.Errorf("something is parked")
		}
	}
	sealed := map[string]int64{}
	for _, e := range j.w.journals[system][:entries] {
		for _, r := range e {
			if r.Op == schemas.OpSeal && r.Leverance == day && r.Kommune == kommune {
				sealed[r.Key] = r.Count
			}
		}
	}
	if len(sealed) == 0 {
		return fmt.Errorf("nothing was sealed")
	}
	for file, n := range sealed {
		have := int64(0)
		for id := range landed {
			if strings.Contains(id, file) {
				have++
			}
		}
		if n != have {
			return fmt.Errorf("%d sealed, %d landed", n, have)
		}
	}
	return nil
}

// noMore: no table has a version that the last certificate does not name, unless its close is
// under way.
func (j *closeJudge) noMore(ctx context.Context, u schemas.Unit, last *Certificate) error {
	next := int64(1)
	if last != nil {
		next = last.Number + 1
	}
	for _, name := range []schemas.DatasetName{simFact, simState} {
		for _, history := range []bool{false, true} {
			s, err := delta.Open(j.st, schemas.TablePrefix(u.Kommune, name, history)).Snapshot(ctx, -1)
			if errors.Is(err, store.ErrNotFound) || name.Area() != u.Area {
				continue
			}
			if err != nil {
				return err
			}
			named := int64(-1)
			if last != nil {
				if d := last.Tables[string(name)]; d != nil && d.Current != nil && !history {
					named = d.Current.Version
				} else if d != nil && d.History != nil && history {
					named = d.History.Version
				}
			}
			if s.Version > named+1 || s.Version == named+1 && s.Txns[u.String()] != next {
				return fmt.Errorf("version %d of %s is in no certificate", s.Version, name)
			}
		}
	}
	return nil
}

// done: in the end everything is in, and nothing is half done.
func (j *closeJudge) done(ctx context.Context, u schemas.Unit, last *Certificate) error {
	if last == nil {
		return nil
	}
	if _, _, err := ReadClaim(ctx, j.st, u, last.Number+1); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("a claim is left unfinished: %w", err)
	}
	all := Points{}
	for s, e := range j.w.journals {
		if _, ok := last.Points[s]; ok {
			all[s] = JournalPoint{Version: int64(len(e)) - 1}
		}
	}
	if a, b := j.truth(u, last.Points), j.truth(u, all); !maps.Equal(a, b) {
		return fmt.Errorf("rows of the journal are in no certificate")
	}
	for d, s := range last.Calendar {
		if !s.final() {
			return fmt.Errorf("day %s is still %s", d, s.State)
		}
	}
	return nil
}
