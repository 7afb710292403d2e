package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flis-dk/flis/cmd/flis/generate"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
)

// wholeRows are rows as the truth of a generated Denmark tells them, each with how often it is there;
// by municipality and dataset.
type wholeRows map[string]map[string]int

func (a wholeRows) add(r *generate.Row) {
	table := string(r.Kommune) + " " + string(r.Dataset)
	if a[table] == nil {
		a[table] = map[string]int{}
	}
	a[table][fmt.Sprint(r.From, r.Until, r.System, r.Values)]++
}

// delivered is every row of the current tables.
func (s *wholeSim) delivered() (wholeRows, error) {
	all := wholeRows{}
	for _, u := range s.in.agreements.Units() {
		for name, ds := range s.in.datasets {
			if name.Area() != u.Area {
				continue
			}
			err := sinks.ReadRows(s.ctx, s.tables, ds, u, sinks.ReadOptions{Scratch: s.scratch},
				func(cells []sinks.Cell) error {
					r := truthRow(ds, u.Kommune, cells)
					all.add(&r)
					return nil
				})
			if err != nil && !errors.Is(err, sinks.ErrNoCertificate) {
				return nil, err
			}
		}
	}
	return all, nil
}

// differs tells the first difference of two sets of rows, without their values.
func (a wholeRows) differs(b wholeRows) error {
	for _, k := range slices.Sorted(maps.Keys(union(a, b))) {
		missing, extra := 0, 0
		for row, n := range a[k] {
			missing += max(0, n-b[k][row])
		}
		for row, n := range b[k] {
			extra += max(0, n-a[k][row])
		}
		if missing+extra > 0 {
			return fmt.Errorf("%s: %d of %d rows are missing, %d are too many", k, missing, len(a[k]), extra)
		}
	}
	return nil
}

func union(a, b wholeRows) wholeRows {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// judge compares what was delivered with what is true, and has the audit make everything anew.
func (s *wholeSim) judge() error {
	truth, err := s.world.truth()
	if err != nil {
		return err
	}
	is, err := s.delivered()
	if err != nil {
		return err
	}
	if err := truth.differs(is); err != nil {
		return err
	}
	if err := s.judgeTopics(); err != nil {
		return err
	}
	return s.audit()
}

// audit checks chains, versions, files, and folds all anew.
func (s *wholeSim) audit() error {
	for _, system := range s.in.systems() {
		found, err := sinks.VerifyJournal(s.ctx, s.internal, system, nil)
		if err != nil {
			return err
		}
		for _, p := range found.Problems {
			return fmt.Errorf("journal of %s entry %d: %s", system, p.Entry, p.Text)
		}
	}
	report, err := sinks.Audit(s.ctx, sinks.AuditDeps{Tables: s.tables, State: s.internal,
		Journal: sinks.JournalEvents(s.internal), Datasets: s.in.datasets,
		Refold: func(context.Context) (store.Store, sinks.Engine, func() error, error) {
			fresh := store.NewMemory()
			engine, err := sinks.NewTables(sinks.TablesConfig{State: fresh, Delivered: fresh,
				Datasets: s.in.datasets, Dir: s.scratch + "/audit", Budget: 64 << 20})
			return fresh, engine, func() error { return nil }, err
		}}, nil)
	if err != nil {
		return err
	}
	for _, p := range report.Problems {
		return errors.New("audit: " + p)
	}
	for _, o := range report.Open {
		return errors.New("audit: " + o)
	}
	return s.keptWord()
}

// keptWord: what each delivery's last certificate named is what is shown as known at that day.
func (s *wholeSim) keptWord() error {
	for _, u := range s.in.agreements.Units() {
		head, err := sinks.Head(s.ctx, s.tables, u)
		if err != nil || head == nil {
			return err
		}
		next := schemas.Open
		for n := head.Number; n >= 1; n-- {
			c, err := sinks.ReadCertificate(s.ctx, s.tables, u, n)
			if err != nil {
				return err
			}
			day := c.LeveranceDay()
			if day >= next {
				continue
			}
			next = day
			if err := s.knownAt(u, n, day); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *wholeSim) knownAt(u schemas.Unit, n int64, day schemas.Day) error {
	count := func(ds *schemas.Dataset, o sinks.ReadOptions) (map[string]int, error) {
		rows := map[string]int{}
		o.Scratch = s.scratch
		columns := sinks.DeliveredColumns(ds)
		err := sinks.ReadRows(s.ctx, s.tables, ds, u, o, func(cells []sinks.Cell) error {
			var b strings.Builder
			for i, c := range cells {
				if columns[i].Name != "registreret_til" {
					fmt.Fprintf(&b, "%s=%v|", columns[i].Name, c)
				}
			}
			rows[b.String()]++
			return nil
		})
		return rows, err
	}
	for name, ds := range s.in.datasets {
		if name.Area() != u.Area {
			continue
		}
		then, err := count(ds, sinks.ReadOptions{Certificate: n})
		if err != nil {
			return err
		}
		now, err := count(ds, sinks.ReadOptions{KnownAt: &day})
		if err != nil {
			return err
		}
		if err := (wholeRows{"": then}).differs(wholeRows{"": now}); err != nil {
			return fmt.Errorf("%s %s as known at %s, certificate %d: %w", u, name, day, n, err)
		}
	}
	return nil
}
