package sinks

import (
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// DayReport is what a certificate says of a day whose state it changes, that it revises, or that
// lacks something else than before.
type DayReport struct {
	Day     string `json:"dag"`
	State   string `json:"tilstand"`
	Revised int64  `json:"revideret"`
	// statements of this close for a day that had its final state
	Late    int64          `json:"forsinkede,omitempty"`
	Sources []SourceReport `json:"kilder"`
}

// SourceReport is one agreement's part of a day. Sealed is nil where the source stated no count.
type SourceReport struct {
	System     schemas.System `json:"system"`
	Proof      schemas.Proof  `json:"bevis"`
	Expected   bool           `json:"forventet"`
	Sealed     *int64         `json:"forseglet,omitempty"`
	Received   int64          `json:"modtaget"` // distinct event ids
	Accepted   int64          `json:"accepteret"`
	Ignored    int64          `json:"ignoreret"`
	Parked     int64          `json:"parkeret"`
	Duplicates int64          `json:"dubletter"`
	Conflicts  int64          `json:"konflikter,omitempty"` // same id, other content
	Heartbeats int64          `json:"hjerteslag,omitempty"`
	Proven     bool           `json:"bevist"`
	Missing    []string       `json:"mangler,omitempty"` // Danish, one line each; empty = proven
}

// judge is one unit's evidence: what its days' states rest on. All of it is pinned by the claim.
type judge struct {
	unit       schemas.Unit
	agreements []schemas.Agreement // of the unit, shadows left out
	views      map[schemas.System]*View
	now        schemas.Instant
	began      map[schemas.System]schemas.Day
	start      schemas.Day // first day of delivery of any of the unit's systems
	before     *Certificate
	rows       map[schemas.Day]int64 // statements of this close, by delivery day
	older      func(schemas.Day) (DayState, error)
	held       *Held // rows that wait; nil = none
}

// verdict is what a close says of days.
type verdict struct {
	reports  []DayReport
	calendar map[string]DayState
	settled  schemas.Day
	began    map[schemas.System]string
	late     int64
	parked   int64
	changed  []schemas.Day // days that are reported
}

// newJudge finds since when each system delivers: the certificate before knows it, or the
// accounts.
func newJudge(u schemas.Unit, all []schemas.Agreement, views map[schemas.System]*View,
	now schemas.Instant,
	before *Certificate, rows map[schemas.Day]int64) (*judge, error) {
	j := &judge{unit: u, views: views, now: now, before: before, rows: rows,
		began: map[schemas.System]schemas.Day{}, start: schemas.Open}
	for _, a := range all {
		if !a.Shadow {
			j.agreements = append(j.agreements, a)
		}
	}
	if before != nil {
		for s, d := range before.Began {
			day, err := schemas.ParseDay(d)
			if err != nil {
				return nil, fmt.Errorf("read certificate %s number %d: %w", u, before.Number, err)
			}
			j.began[s] = day
		}
	}
	for _, a := range j.agreements {
		v := j.views[a.System]
		if v == nil {
			continue
		}
		if _, ok := j.began[a.System]; ok {
			continue
		}
		if days := v.Days(u.Kommune); len(days) > 0 {
			j.began[a.System] = days[0]
		}
	}
	for _, d := range j.began {
		j.start = min(j.start, d)
	}
	return j, nil
}

// expected says whether a source owes a delivery on a day. Days before its agreement's begin are
// not expected, nor, where the agreement names none, those before its first data; nothing is
// before the unit's own first data. An agreement that has ended owes nothing.
func (j *judge) expected(a *schemas.Agreement, d schemas.Day) bool {
	if d < j.start || d >= a.To || !Delivers(a.Calendar, d) {
		return false
	}
	if a.From != schemas.Always {
		return d >= a.From
	}
	first, ok := j.began[a.System]
	return ok && d >= first
}

// judge gives the states of all days that can have changed.
func (j *judge) judge() (*verdict, error) {
	v := &verdict{calendar: map[string]DayState{}, began: map[schemas.System]string{}}
	for s, d := range j.began {
		v.began[s] = d.String()
	}
	if err := j.carry(v); err != nil {
		return nil, err
	}
	today := j.now.Day()
	for _, d := range j.days(v, today) {
		if err := j.day(v, d); err != nil {
			return nil, err
		}
	}
	j.settle(v, today)
	v.parked = j.parked()
	return v, nil
}

// parked counts what is parked of the unit's sources, over all days that the accounts hold.
func (j *judge) parked() (n int64) {
	seen := map[schemas.System]bool{}
	for _, a := range j.agreements {
		v := j.views[a.System]
		if v == nil || seen[a.System] {
			continue
		}
		seen[a.System] = true
		for _, d := range v.Days(j.unit.Kommune) {
			if x := v.For(j.unit.Kommune, d, a.Proof); x != nil {
				n += x.Parked
			}
		}
	}
	return n
}

// carry takes over what the certificate before says of days.
func (j *judge) carry(v *verdict) error {
	v.settled = schemas.Always
	if j.before == nil {
		return nil
	}
	for d, s := range j.before.Calendar {
		v.calendar[d] = s
	}
	if j.before.Settled == "" {
		return nil
	}
	var err error
	v.settled, err = schemas.ParseDay(j.before.Settled)
	return err
}

// days are those that can have changed: not settled, carried on, or with rows of this close.
func (j *judge) days(v *verdict, today schemas.Day) []schemas.Day {
	var days []schemas.Day
	if j.start != schemas.Open {
		for d := max(j.start, v.settled+1); d <= today; d++ {
			days = append(days, d)
		}
	}
	for s := range v.calendar {
		if d, err := schemas.ParseDay(s); err == nil {
			days = append(days, d)
		}
	}
	for d := range j.rows {
		days = append(days, d)
	}
	for _, a := range j.agreements {
		if view := j.views[a.System]; view != nil {
			for _, d := range view.Days(j.unit.Kommune) {
				if d > v.settled {
					days = append(days, d)
				}
			}
		}
	}
	slices.Sort(days)
	return slices.Compact(days)
}

// day judges one day and notes what has changed.
func (j *judge) day(v *verdict, d schemas.Day) error {
	was, known := v.calendar[d.String()]
	r := j.report(d, j.held.waits(d, was))
	if r == nil {
		return nil
	}
	if !known && d <= v.settled {
		var err error
		if was, err = j.older(d); err != nil {
			return err
		}
	}
	r.follow(was, j.rows[d])
	v.late += r.Late
	is := r.dayState()
	if is.equal(was) {
		return nil
	}
	v.calendar[r.Day] = is
	v.reports = append(v.reports, *r)
	v.changed = append(v.changed, d)
	return nil
}

// report is the state of a day by the accounts alone; nil where nobody owes or says anything of
// it. waits: rows of it wait for approval.
func (j *judge) report(d schemas.Day, waits bool) *DayReport {
	r := &DayReport{Day: d.String(), State: Closed, Sources: []SourceReport{}}
	said, deadline := j.rows[d] > 0, schemas.Instant(0)
	for i := range j.agreements {
		a := &j.agreements[i]
		var account *Account
		if v := j.views[a.System]; v != nil {
			account = v.For(j.unit.Kommune, d, a.Proof)
		}
		expected := j.expected(a, d)
		if !expected && !account.said() {
			continue
		}
		said = said || account.said()
		s := sourceReport(a, account, expected)
		if waits {
			s.Missing, s.Proven = append(s.Missing, j.held.text(j.unit)), false
		}
		if !s.Proven {
			r.State = Provisional
		}
		deadline = max(deadline, deadlineOf(d, a.Deadline))
		r.Sources = append(r.Sources, s)
	}
	if len(r.Sources) == 0 {
		return nil
	}
	if r.State == Provisional {
		if j.now >= deadline {
			r.State = ClosedWithReserves
		} else if !said {
			return nil // a day that has begun and is silent yet is no news
		}
	}
	return r
}

// sourceReport judges one source on one day; account nil = silence.
func sourceReport(a *schemas.Agreement, account *Account, expected bool) SourceReport {
	s := SourceReport{System: a.System, Proof: a.Proof, Expected: expected}
	if !account.said() {
		s.Missing = []string{"intet modtaget"}
		return s
	}
	s.Received, s.Accepted, s.Ignored, s.Parked = account.Distinct(), account.Accepted,
		account.Ignored, account.Parked
	s.Duplicates, s.Conflicts, s.Heartbeats = account.Duplicates, account.Conflicts, account.Heartbeat
	s.Sealed = account.sealed(a.Proof)
	s.Missing = account.missing(a.Proof)
	if s.Parked > 0 {
		s.Missing = append(s.Missing, fmt.Sprintf("%d parkeret", s.Parked))
	}
	s.Proven = len(s.Missing) == 0
	return s
}

// sealed is the count that the source states; nil = none.
func (a *Account) sealed(p schemas.Proof) *int64 {
	var sum int64
	found := false
	for f, s := range a.Seals {
		if s.Excerpt || (f == "") != (p == schemas.ProofCount) {
			continue
		}
		sum, found = sum+s.Count, true
	}
	if !found {
		return nil
	}
	return &sum
}

// missing names what keeps the day from being proven.
func (a *Account) missing(p schemas.Proof) []string {
	switch p {
	case schemas.ProofCount:
		s, ok := a.Seals[""]
		if !ok || s.Excerpt {
			return []string{"intet segl"}
		}
		if s.Count != a.Distinct() {
			return []string{fmt.Sprintf("forseglet %d, modtaget %d", s.Count, a.Distinct())}
		}
		return nil
	case schemas.ProofFile:
		return a.missingFiles()
	case schemas.ProofSequence:
		return []string{"bevis sekvens kan ikke efterprøves"}
	}
	return []string{"ingen bevis"}
}

// filePrefix is how much of a file's hash a message shows (design.md section 6, Feed).
const filePrefix = 12

func (a *Account) missingFiles() []string {
	var m []string
	whole := 0
	for f, s := range a.Seals {
		switch {
		case f == "" || s.Excerpt:
		case s.Count != a.Files[f]:
			m = append(m, fmt.Sprintf("fil %.*s: forseglet %d, modtaget %d", filePrefix, f, s.Count,
				a.Files[f]))
		default:
			whole++
		}
	}
	for f := range a.Files {
		if _, ok := a.Seals[f]; !ok {
			m = append(m, fmt.Sprintf("fil %.*s: intet segl", filePrefix, f))
		}
	}
	if whole == 0 && len(m) == 0 {
		m = append(m, "ingen hel fil")
	}
	slices.Sort(m)
	return m
}

// settle moves the day up to which all is final, and lets go of days that no delivery can reach.
func (j *judge) settle(v *verdict, today schemas.Day) {
	if j.start == schemas.Open {
		return
	}
	for d := max(j.start, v.settled+1); d <= today; d++ {
		s, ok := v.calendar[d.String()]
		if ok && !s.final() || !ok && j.owed(d) {
			break
		}
		if ok || d < today { // a silent day is settled when it is over
			v.settled = d
		}
	}
	for s, state := range v.calendar {
		d, err := schemas.ParseDay(s)
		if err == nil && state.final() && d <= v.settled && d < v.settled-calendarDays {
			delete(v.calendar, s)
		}
	}
}

func (j *judge) owed(d schemas.Day) bool {
	return slices.ContainsFunc(j.agreements, func(a schemas.Agreement) bool {
		return j.expected(&a,
			d)
	})
}
