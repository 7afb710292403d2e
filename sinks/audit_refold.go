package sinks

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// refold makes every unit's tables anew from the journal, up to the positions of its newest
// certificate, in an empty store, and compares rows. It does so by the protocol itself: it claims
// number 1 with what the certificate pins, and has a closer finish the claim. Units that saw the
// same national certificate are folded together, each up to its own positions, so that their
// journals are read once. (A fold from nothing takes national rows from the national unit's close
// state alone.)
func (a *audit) refold(ctx context.Context) error {
	groups := map[CertificateRef][]schemas.Unit{}
	for u, c := range a.heads {
		if u.Kommune == schemas.National || isStatus(u) {
			continue
		}
		key := CertificateRef{}
		if c.National != nil {
			key = *c.National
		}
		groups[key] = append(groups[key], u)
	}
	keys := slices.SortedFunc(maps.Keys(groups), func(x, y CertificateRef) int {
		return strings.Compare(fmt.Sprint(x), fmt.Sprint(y))
	})
	for _, k := range keys {
		units := groups[k]
		slices.SortFunc(units, compareUnits)
		if err := a.refoldGroup(ctx, units); err != nil {
			return err
		}
	}
	return nil
}

// refolding is a closer over an empty store.
type refolding struct {
	*audit
	store  store.Store
	closer *Closer
}

func (a *audit) refoldGroup(ctx context.Context, units []schemas.Unit) (err error) {
	st, engine, done, err := a.deps.Refold(ctx)
	if err != nil {
		return fmt.Errorf("fold anew: %w", err)
	}
	defer func() { err = errors.Join(err, done()) }()
	none, err := schemas.NewAgreements(nil)
	if err != nil {
		return err
	}
	r := &refolding{audit: a, store: st, closer: NewCloser(Deps{Journal: a.deps.Journal, Tables: st,
		Engine:     engine,
		Agreements: none, Datasets: a.deps.Datasets, Writer: "audit"})}
	r.closer.bases = map[schemas.Unit]dayBasis{}
	national := map[schemas.Area]*Certificate{}
	for _, u := range units {
		ref := a.heads[u].National
		if ref == nil || national[u.Area] != nil {
			continue
		}
		n := nationalOf(u.Area)
		c, err := ReadCertificate(ctx, a.deps.Tables, n, ref.Number)
		if err != nil {
			return a.stored(ctx, u, a.heads[u].Number, fmt.Errorf("read national certificate: %w", err))
		}
		made, err := r.finish(ctx, map[schemas.Unit]*Certificate{n: c}, nil)
		if err != nil {
			return err
		}
		national[u.Area] = made[n]
	}
	heads := map[schemas.Unit]*Certificate{}
	for _, u := range units {
		heads[u] = a.heads[u]
		if r.closer.bases[u], err = a.basis(ctx, u); err != nil {
			return err
		}
	}
	made, err := r.finish(ctx, heads, national)
	if err != nil {
		return err
	}
	for _, u := range units {
		if made[u] != nil {
			if err := r.compare(ctx, u, made[u]); err != nil {
				return err
			}
		}
	}
	return nil
}

// basis is what the days of a unit's newest certificate go on from: a day that was closed stays
// closed, which no fold from nothing can know.
func (a *audit) basis(ctx context.Context, u schemas.Unit) (dayBasis, error) {
	b := dayBasis{before: a.before[u], rows: tally{}, tables: a.deps.Tables,
		replays: replayTallies{}}
	for s, p := range a.heads[u].Points {
		from := int64(-1)
		if b.before != nil {
			if was, ok := b.before.Points[s]; ok {
				from = was.Version
			}
		}
		counted, err := a.statements(ctx, stretch{s, from, p.Version})
		if err != nil {
			return b, a.stored(ctx, u, a.heads[u].Number, err)
		}
		for d, n := range counted.rows[u] {
			b.rows[d] += n
		}
		b.replays.join(u, counted.replays[u])
	}
	return b, nil
}

// stretch is the entries (from, to] of a journal.
type stretch struct {
	system   schemas.System
	from, to int64
}

// countedRows are the statements of a stretch, and of them those of replays.
type countedRows struct {
	rows    map[schemas.Unit]tally
	replays replayTallies
}

// statements counts those of a stretch of a journal by unit and day.
func (a *audit) statements(ctx context.Context, x stretch) (countedRows, error) {
	if t, ok := a.stretches[x]; ok {
		return t, nil
	}
	j, err := a.deps.Journal(ctx, x.system)
	if err != nil {
		return countedRows{}, fmt.Errorf("open journal of %s: %w", x.system, err)
	}
	t := countedRows{map[schemas.Unit]tally{}, replayTallies{}}
	err = j.Rows(ctx, x.from, x.to, true, func(r *schemas.Row) error {
		if isStatement(r) {
			u := schemas.Unit{Kommune: r.Kommune, Area: r.Dataset.Area()}
			if t.rows[u] == nil {
				t.rows[u] = tally{}
			}
			t.rows[u][r.Leverance]++
			t.replays.add(u, r)
		}
		return nil
	})
	a.stretches[x] = t
	return t, err
}

// finish claims number 1 of each unit with what its certificate pins, and closes it.
func (r *refolding) finish(ctx context.Context, heads map[schemas.Unit]*Certificate,
	national map[schemas.Area]*Certificate) (map[schemas.Unit]*Certificate, error) {
	units := slices.SortedFunc(maps.Keys(heads), compareUnits)
	for _, u := range units {
		c := heads[u]
		claim := &Claim{Format: CertificateFormat, Kind: KindClaim, Unit: c.Unit, Number: 1,
			Points:    c.Points,
			Leverance: c.Leverance, Now: c.Now, Agreements: c.Agreements, Engine: c.Engine,
			Fingerprints: c.Fingerprints, Writer: "audit", Guard: c.Guard, Approvals: c.Approvals,
			Held: c.Held, Accounts: c.Accounts}
		if n := national[u.Area]; n != nil {
			claim.National = &CertificateRef{n.Number, n.hash}
		}
		b, err := Canonical(claim)
		if err != nil {
			return nil, err
		}
		if err := store.CreateBytes(ctx, r.store, ClaimKey(u, 1), b); err != nil {
			return nil, fmt.Errorf("fold anew: %w", err)
		}
	}
	report := &Report{Closed: map[schemas.Unit]*Certificate{}, Failed: map[schemas.Unit]error{}}
	t := &turn{closer: r.closer, report: report, together: true}
	if _, err := t.run(ctx, units); err != nil {
		return nil, fmt.Errorf("fold anew: %w", err)
	}
	for u, err := range report.Failed {
		if err := r.stored(ctx, u, heads[u].Number, fmt.Errorf("fold anew: %w", err)); err != nil {
			return nil, err
		}
	}
	return report.Closed, nil
}

// compare says where the tables or the days of a unit differ from those that were made anew.
func (r *refolding) compare(ctx context.Context, u schemas.Unit, made *Certificate) error {
	head := r.heads[u]
	r.report.Refolded++
	names := map[string]bool{}
	for n := range head.Tables {
		names[n] = true
	}
	for n := range made.Tables {
		names[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		ds := r.deps.Datasets[schemas.DatasetName(n)]
		if ds == nil {
			r.problem(u, head.Number, "has a table %s that the standard model has not", n)
			continue
		}
		if err := r.compareTable(ctx, u, ds); err != nil {
			return err
		}
	}
	r.compareDays(u, head, made)
	return nil
}

// rowSum is a multiset of rows: how many, and the sums of both halves of their hashes. It takes
// no memory; only when two differ are rows looked at one by one.
type rowSum struct {
	rows int64
	a, b uint64
}

func (r *refolding) compareTable(ctx context.Context, u schemas.Unit, ds *schemas.Dataset) error {
	head := r.heads[u]
	stands, err := r.sum(ctx, r.deps.Tables, u, ds, head.Number)
	if err != nil {
		return r.stored(ctx, u, head.Number, err)
	}
	ref := head.Tables[string(ds.Name)]
	if ref != nil && ref.Current != nil && ref.Current.Rows != stands.rows {
		r.problem(u, head.Number, "%s: names %d rows, the files hold %d", ds.Name, ref.Current.Rows,
			stands.rows)
	}
	r.report.Rows += stands.rows
	anew, err := r.sum(ctx, r.store, u, ds, 1)
	if err != nil {
		return fmt.Errorf("read what was folded anew: %w", err)
	}
	if anew == stands {
		return nil
	}
	return r.differ(ctx, u, ds)
}

func (r *refolding) sum(ctx context.Context, st store.Store, u schemas.Unit, ds *schemas.Dataset,
	n int64,
) (s rowSum, err error) {
	o := ReadOptions{Certificate: n, Table: OnlyCurrent}
	err = ReadRows(ctx, st, ds, u, o, func(cells []Cell) error {
		a, b := rowHash(ds, cells)
		s.rows, s.a, s.b = s.rows+1, s.a+a, s.b+b
		return nil
	})
	return s, err
}

// differ counts the rows that are in one of the two only.
func (r *refolding) differ(ctx context.Context, u schemas.Unit, ds *schemas.Dataset) error {
	head := r.heads[u]
	rows := map[uint64]int{}
	for _, side := range []struct {
		st store.Store
		n  int64
		by int
	}{{r.deps.Tables, head.Number, 1}, {r.store, 1, -1}} {
		o := ReadOptions{Certificate: side.n, Table: OnlyCurrent}
		err := ReadRows(ctx, side.st, ds, u, o, func(cells []Cell) error {
			h, _ := rowHash(ds, cells)
			if rows[h] += side.by; rows[h] == 0 {
				delete(rows, h)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	tooMany, missing := 0, 0
	for _, x := range rows {
		tooMany, missing = tooMany+max(x, 0), missing+max(-x, 0)
	}
	r.problem(u, head.Number,
		"%s: %d rows are not what the journal gives, %d that it gives are missing",
		ds.Name, tooMany, missing)
	return nil
}

// rowHash leaves out registreret_*: when we knew is what a fold from nothing cannot tell.
func rowHash(ds *schemas.Dataset, cells []Cell) (a, b uint64) {
	columns := DeliveredColumns(ds)
	kept, names := make([]Cell, 0, len(cells)), make([]schemas.Column, 0, len(cells))
	for i, c := range columns {
		if !strings.HasPrefix(c.Name, "registreret_") {
			kept, names = append(kept, cells[i]), append(names, c)
		}
	}
	sum := sha256.Sum256(appendCells(nil, kept, names))
	return binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])
}

// compareDays recounts all that the newest certificate says of days: their reports, and the state
// of each day that it carries on.
func (r *refolding) compareDays(u schemas.Unit, head, made *Certificate) {
	if head.Number > 1 && r.before[u] == nil {
		return // the certificate before cannot be read, which is told
	}
	anew := map[string]*DayReport{}
	for i := range made.Days {
		anew[made.Days[i].Day] = &made.Days[i]
	}
	for i := range head.Days {
		d := &head.Days[i]
		m := anew[d.Day]
		delete(anew, d.Day)
		if m == nil {
			r.problem(u, head.Number, "day %s is reported; by the journal nothing of it has changed", d.Day)
			continue
		}
		a, errA := Canonical(d)
		b, errB := Canonical(m)
		switch {
		case d.State != m.State || d.Revised != m.Revised:
			r.problem(u, head.Number,
				"day %s is said %s (revideret %d), the journal gives %s (revideret %d)", d.Day,
				d.State, d.Revised, m.State, m.Revised)
		case errA != nil || errB != nil || string(a) != string(b):
			r.problem(u, head.Number, "day %s: its counts are not those of the journal", d.Day)
		}
	}
	for _, d := range slices.Sorted(maps.Keys(anew)) {
		r.problem(u, head.Number, "day %s is not reported; the journal gives %s", d, anew[d].State)
	}
	a, errA := Canonical(head.Calendar)
	b, errB := Canonical(made.Calendar)
	if errA != nil || errB != nil || string(a) != string(b) || head.Settled != made.Settled {
		r.problem(u, head.Number, "its calendar of days is not that of the journal")
	}
	if h, m := head.Counts, made.Counts; h.Parked != m.Parked || h.Late != m.Late {
		r.problem(u, head.Number, "says %d parked and %d late, the journal gives %d and %d", h.Parked,
			h.Late, m.Parked, m.Late)
	}
	a, errA = Canonical(head.Replays)
	b, errB = Canonical(r.closer.bases[u].replays.refs(u, head.Days))
	if errA != nil || errB != nil || string(a) != string(b) {
		r.problem(u, head.Number, "what it says of replays is not what the journal says")
	}
	r.report.Days += len(head.Calendar)
}
