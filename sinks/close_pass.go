package sinks

import (
	"context"
	"maps"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// pass brings units to one set of journal positions. It reads each journal once, from the least
// position that any of the units has, closes national units first, then the others side by side.
// Units that finish claims may go to positions of their own, if none of them folds national rows
// of the pass: those would be of another moment.
type pass struct {
	turn   *turn
	points Points // the greatest
	units  map[schemas.Unit]*standing
	batch  Batch
	views  map[entryOf]*View // of each place in a journal that a unit goes to
	tally  map[schemas.Unit]tally
	replay replayTallies
	again  []schemas.Unit
	rows   int64
}

// tally counts a unit's statements by the day that they were delivered for.
type tally map[schemas.Day]int64

func (t tally) sum() (n int64) {
	for _, x := range t {
		n += x
	}
	return n
}

func (p *pass) run(ctx context.Context, all []*standing) (again []schemas.Unit, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	p.units, p.tally = map[schemas.Unit]*standing{}, map[schemas.Unit]tally{}
	p.replay = replayTallies{}
	for _, s := range all {
		p.units[s.unit] = s
		s.waiting = p.remembered(s)
	}
	if p.batch, err = p.turn.closer.deps.Engine.NewBatch(ctx); err != nil {
		return nil, err
	}
	defer func() { // what was read is files of this process; that they stay behind loses nothing
		if cerr := p.batch.Close(); err == nil {
			err = cerr
		}
	}()
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	if err := p.batch.Sort(ctx); err != nil {
		return nil, err
	}
	var municipal, statuses []*standing
	blocked := map[schemas.Area]bool{}
	for _, s := range all {
		if p.units[s.unit] == nil {
			continue
		}
		if isStatus(s.unit) {
			statuses = append(statuses, s)
			continue
		}
		if s.unit.Kommune != schemas.National {
			municipal = append(municipal, s)
			continue
		}
		if !p.close(ctx, s) {
			blocked[s.unit.Area] = true
		}
	}
	for u := range p.turn.report.Failed {
		blocked[u.Area] = blocked[u.Area] || u.Kommune == schemas.National
	}
	municipal = p.unblocked(municipal, blocked)
	each(p.turn.closer.deps.Workers, municipal, func(s *standing) { p.close(ctx, s) })
	each(p.turn.closer.deps.Workers, statuses, func(s *standing) { p.close(ctx, s) })
	return p.again, ctx.Err()
}

// unblocked leaves out units whose area's national unit did not come to the pass's positions:
// they would see the national rows of another moment than their own. A unit that finishes a claim
// has its own pinned.
func (p *pass) unblocked(all []*standing, blocked map[schemas.Area]bool) []*standing {
	return slices.DeleteFunc(all, func(s *standing) bool {
		if s.claim != nil || !blocked[s.unit.Area] {
			return false
		}
		national := nationalOf(s.unit.Area)
		if err := p.turn.report.Failed[national]; err != nil {
			p.turn.report.Failed[s.unit] = err
		} else {
			p.again = append(p.again, s.unit)
		}
		return true
	})
}

// close closes one unit; false: the unit is not at the pass's positions.
func (p *pass) close(ctx context.Context, s *standing) bool {
	if ctx.Err() != nil {
		return false
	}
	u := &unitClose{pass: p, standing: s}
	end, err := u.run(ctx)
	c := p.turn.closer
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		p.turn.report.Failed[s.unit] = err
		return false
	case end == endAgain:
		p.again = append(p.again, s.unit)
		return false
	case end == endNothing:
		p.remember(s, u.claim.Held)
		if u.claim.Held == nil { // of what waits each row is to be seen again
			c.quiet[s.unit] = versions(p.points)
		}
		return true
	}
	if !u.found {
		p.remember(s, u.claim.Held)
	}
	c.heads[s.unit] = u.certificate
	p.turn.report.Closed[s.unit] = u.certificate
	c.deps.Progress(Progress{Unit: s.unit, Certificate: u.certificate.Number,
		Rows: u.certificate.Counts.Rows})
	return true
}

func versions(p Points) map[schemas.System]int64 {
	v := make(map[schemas.System]int64, len(p))
	for s, x := range p {
		v[s] = x.Version
	}
	return v
}

// read goes through the journals of the pass. One that cannot be read fails the units that rest
// on it, no others.
func (p *pass) read(ctx context.Context) error {
	p.views = map[entryOf]*View{}
	for _, system := range slices.Sorted(maps.Keys(p.points)) {
		err := p.turn.open(ctx, system)
		if err == nil {
			err = p.readSystem(ctx, system)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			continue
		}
		for u, s := range p.units {
			if slices.Contains(s.systems, system) {
				p.turn.report.Failed[u] = err
				delete(p.units, u)
			}
		}
	}
	return nil
}

// reach is what one unit still has to see of a system's journal: the entries in (from, to].
type reach struct {
	unit     schemas.Unit
	from, to int64
	accounts int64 // its days are judged by the accounts as they stand here
}

// sees says whether the stretch that begins after an entry is one for the unit.
func (x *reach) sees(from int64) bool { return x.from <= from && from < x.to }

// reaches are the units that read a journal: all of an area for rows of no single municipality,
// one for the others.
type reaches struct {
	areas map[schemas.Area][]reach
	units map[schemas.Unit][]reach
}

func (x *reaches) of(u schemas.Unit) []reach {
	if u.Kommune == schemas.National {
		return x.areas[u.Area]
	}
	return x.units[u]
}

// readers are the units of the pass that read a system's journal.
func (p *pass) readers(system schemas.System) (all []reach, by *reaches) {
	by = &reaches{map[schemas.Area][]reach{}, map[schemas.Unit][]reach{}}
	for _, s := range p.units {
		if !slices.Contains(s.systems, system) {
			continue
		}
		x := reach{unit: s.unit, to: p.to(s, system), accounts: p.accountsTo(s, system)}
		x.from = min(max(s.from(system), p.quietUntil(s, system)), x.to)
		by.areas[s.unit.Area] = append(by.areas[s.unit.Area], x)
		by.units[s.unit] = []reach{x}
		all = append(all, x)
	}
	return all, by
}

// to is the place in a journal that a unit goes to.
func (p *pass) to(s *standing, system schemas.System) int64 {
	if s.claim != nil {
		return s.claim.Points[system].Version
	}
	return p.points[system].Version
}

// accountsTo is the place in a journal by which a unit's days are judged.
func (p *pass) accountsTo(s *standing, system schemas.System) int64 {
	if s.claim != nil {
		return s.claim.accountsAt()[system].Version
	}
	return p.points[system].Version
}

// readSystem reads a journal in stretches inside of which no unit's position and not the
// accounts' lies, so that each row goes to exactly those who have not seen it.
func (p *pass) readSystem(ctx context.Context, system schemas.System) error {
	all, readers := p.readers(system)
	least, marks := p.points[system].Version, []int64{p.points[system].Version}
	for _, x := range all {
		least, marks = min(least, x.accounts), append(marks, x.from, x.to, x.accounts)
	}
	accounts := p.accounts(ctx, system, least)
	marks = append(marks, accounts.Version)
	slices.Sort(marks)
	marks = slices.Compact(marks)
	p.view(system, accounts, all)
	for i, from := range marks[:len(marks)-1] {
		counts := from >= accounts.Version
		wanted := slices.ContainsFunc(all, func(x reach) bool { return x.sees(from) })
		end := marks[i+1]
		if !counts && !wanted {
			continue
		}
		err := p.turn.journals[system].Rows(ctx, from, end, wanted, func(r *schemas.Row) error {
			return p.take(r, from, counts, accounts, readers)
		})
		if err != nil {
			delete(p.turn.closer.accounts, system) // half a stretch is counted
			return err
		}
		if counts {
			accounts.Version = end
			p.view(system, accounts, all)
		}
	}
	return nil
}

// view keeps the accounts as they are now, if a unit goes to this place in the journal.
func (p *pass) view(system schemas.System, a *Accounts, all []reach) {
	kommuner := map[schemas.Kommunekode]bool{}
	for _, x := range all {
		if x.accounts == a.Version {
			kommuner[x.unit.Kommune] = true
		}
	}
	if len(kommuner) > 0 {
		a.Forget()
		p.views[entryOf{system, a.Version}] = a.ViewOf(kommuner)
	}
}

// viewsOf are the accounts of a unit's systems where it goes to.
func (p *pass) viewsOf(s *standing) map[schemas.System]*View {
	views := map[schemas.System]*View{}
	for _, system := range s.systems {
		views[system] = p.views[entryOf{system, p.accountsTo(s, system)}]
	}
	return views
}

// accounts gives the accounts to go on with: the closer's own, or, where those are past the
// position or there are none, those of a snapshot.
func (p *pass) accounts(ctx context.Context, system schemas.System, to int64) *Accounts {
	c := p.turn.closer
	a := c.accounts[system]
	switch {
	case a == nil:
		a = c.loadAccounts(ctx, p.turn.journals[system], system, to)
		c.accounts[system] = a
		c.saved[system] = savedAccounts{version: a.Version, at: p.turn.now}
	case a.Version > to:
		return c.loadAccounts(ctx, p.turn.journals[system], system, to)
	}
	return a
}

// quietUntil is the entry up to which this process has seen that there is nothing for the unit.
// Who finishes a claim reads all of it: what the claim pins does not hang on what a process
// remembers.
func (p *pass) quietUntil(s *standing, system schemas.System) int64 {
	if s.waiting != nil {
		return p.to(s, system)
	}
	if v, ok := p.turn.closer.quiet[s.unit][system]; ok && s.claim == nil {
		return v
	}
	return -1
}

const progressEvery = 100_000

func (p *pass) take(r *schemas.Row, from int64, counts bool, accounts *Accounts,
	readers *reaches) error {
	if p.rows++; p.rows%progressEvery == 0 {
		p.turn.closer.deps.Progress(Progress{Rows: p.rows})
	}
	if counts {
		accounts.Add(r)
	}
	if !isStatement(r) {
		return nil
	}
	u := schemas.Unit{Kommune: r.Kommune, Area: r.Dataset.Area()}
	added := false
	for _, x := range readers.of(u) {
		if !x.sees(from) {
			continue
		}
		if x.unit == u {
			p.replay.add(u, r)
			p.count(u, r.Leverance)
		} else {
			p.count(nationalFor(x.unit), r.Leverance)
		}
		if added { // a national row is kept once, however many units read it
			continue
		}
		added = true
		if err := p.batch.Add(u, r); err != nil {
			return err
		}
	}
	return nil
}

// isStatement says whether tables are folded of a row.
func isStatement(r *schemas.Row) bool {
	return r.Ordinal != 0 && r.Dataset != "" && r.Outcome != schemas.Parked
}

func (p *pass) count(u schemas.Unit, d schemas.Day) {
	t := p.tally[u]
	if t == nil {
		t = tally{}
		p.tally[u] = t
	}
	t[d]++
}

// nationalFor is the tally of the national rows that one unit has not seen.
func nationalFor(u schemas.Unit) schemas.Unit {
	return schemas.Unit{Kommune: schemas.National + "/" + u.Kommune, Area: u.Area}
}
