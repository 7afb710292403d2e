package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/transforms/fold"
)

// traceMax bounds what explain keeps of one key.
const traceMax = 100_000

var errTraceMax = errors.New("the key has more than 100000 rows or statements: too many to explain")

// statement is what was said on the key.
type statement struct {
	schemas.Row
	entry int64 // of the system's journal
	holds bool  // a delivered row is from it
}

// place is where a record stands.
type place struct {
	stream schemas.Stream
	offset int64
}

// placeOf is the record that a row is of, whatever its ordinal.
func placeOf(r *schemas.Row) place { return place{r.Stream, r.Offset} }

// String is how records are named everywhere: "<topic>/<partition>/<offset>". The cluster, which
// may begin with a hyphen, is left out: an argument must not look like a flag.
func (p place) String() string {
	_, rest, _ := strings.Cut(string(p.stream), "/")
	return fmt.Sprintf("%s/%d", rest, p.offset)
}

// trace is everything that was said on a key, in order.
type trace struct {
	kind       schemas.Kind
	unit       schemas.Unit
	statements []*statement
	snapshots  []schemas.Row              // in force, of the scopes of the statements
	records    map[place]*schemas.Row     // ordinal 0 of the statements
	closed     sinks.Points               // what the certificate rests on
	agreements []sinks.AgreementRef       // of the dataset, as the certificate pins them
	landed     map[string]map[string]bool // scope and snapshot id → event ids
}

// trace reads the journals of the systems that speak of the dataset: the statements first, then
// their records and the snapshots of their scopes.
func (in *installation) trace(ctx context.Context, h *holding, key string) (*trace, error) {
	t := &trace{kind: h.dataset.Kind, unit: h.unit, records: map[place]*schemas.Row{},
		closed: h.certificate.Points,
		landed: map[string]map[string]bool{}}
	for _, a := range h.certificate.Agreements {
		if !a.Shadow && (len(a.Datasets) == 0 || slices.Contains(a.Datasets,
			h.dataset.Name.Short())) {
			t.agreements = append(t.agreements, a)
		}
	}
	systems := map[schemas.System]bool{}
	for s := range h.certificate.Points {
		systems[s] = true
	}
	for _, a := range in.agreements.Unit(h.unit) {
		systems[a.System] = true
	}
	for _, s := range slices.Sorted(maps.Keys(systems)) {
		j, err := sinks.OpenJournal(ctx, in.internal, s)
		if err != nil {
			return nil, err
		}
		if err := t.journal(ctx, j, h.dataset.Name, key); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(t.statements, func(a, b *statement) int {
		return schemas.CompareOrder(&a.Row,
			&b.Row)
	})
	t.snapshots = slices.DeleteFunc(fold.Latest(t.snapshots), func(s schemas.Row) bool {
		return s.Op != schemas.OpSnapshot || !t.inForce(&s)
	})
	return t, nil
}

// journal reads one system's journal twice: entry by entry with payloads for the statements on the
// key; then once more without any, when it is known which records and scopes matter.
func (t *trace) journal(ctx context.Context, j *sinks.Journal, ds schemas.DatasetName,
	key string) error {
	only := []schemas.DatasetName{ds}
	scopes := map[string]bool{}
	want := sinks.Want{Events: true, Payload: true, Datasets: only}
	err := j.ScanEntries(ctx, -1, j.Version(), want, func(v int64, r *schemas.Row) error {
		if r.Key != key || r.Dataset != ds || r.OfSnapshot() || !t.ours(r) {
			return nil
		}
		if len(t.statements) == traceMax {
			return errTraceMax
		}
		t.statements = append(t.statements, &statement{Row: sinks.CloneRow(r), entry: v})
		t.records[placeOf(r)] = nil
		if r.Scope != "" {
			scopes[r.Scope] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	return j.Scan(ctx, -1, j.Version(), sinks.Want{Events: true, Raw: true, Datasets: only},
		func(r *schemas.Row) error {
			return t.context(r, ds, scopes)
		})
}

// ours: a municipality sees its own, and what names none (invariant 6).
func (t *trace) ours(r *schemas.Row) bool {
	return r.Kommune == t.unit.Kommune || r.Kommune == schemas.National
}

// context keeps a row that bears on a statement.
func (t *trace) context(r *schemas.Row, ds schemas.DatasetName, scopes map[string]bool) error {
	if r.Ordinal == 0 {
		if _, ok := t.records[placeOf(r)]; ok && r.Op == schemas.OpRaw {
			c := sinks.CloneRow(r)
			t.records[placeOf(r)] = &c
		}
		return nil
	}
	if !scopes[r.Scope] || !t.ours(r) {
		return nil
	}
	if r.Snapshot != "" {
		id := r.Scope + schemas.KeySeparator + r.Snapshot
		if t.landed[id] == nil {
			t.landed[id] = map[string]bool{}
		}
		if t.landed[id][r.EventID] = true; len(t.landed[id]) > traceMax {
			return errTraceMax
		}
	}
	if r.OfSnapshot() && (r.Dataset == ds || string(r.Dataset) == string(ds.Area())) {
		if len(t.snapshots) == traceMax {
			return errTraceMax
		}
		t.snapshots = append(t.snapshots, sinks.CloneRow(r))
	}
	return nil
}

// inForce: a snapshot over several records has effect when all its members have landed.
func (t *trace) inForce(s *schemas.Row) bool {
	return s.Snapshot == "" ||
		int64(len(t.landed[s.Scope+schemas.KeySeparator+s.Snapshot])) >= s.Count
}

// origin is the statement that a row names; of several of one event, the one that speaks of the
// row's first day. A row that holds is of the latest generation, one that was replaced perhaps of
// the first.
func (t *trace) origin(system schemas.System, eventID string, from schemas.Day,
	holds bool) *statement {
	var found *statement
	best := 0
	for _, s := range t.statements {
		if s.System != system || s.EventID != eventID || s.Op != schemas.OpUpsert {
			continue
		}
		fit := 1
		if s.From <= from && from < s.To {
			fit += 2
		}
		if holds && t.later(s) == nil {
			fit += 4
		}
		if fit > best {
			found, best = s, fit
		}
	}
	return found
}

// later is a statement on the key by which a replay took the place of s; nil = none.
func (t *trace) later(s *statement) *statement {
	return t.find(s, func(o *statement) bool {
		return o.EventID == s.EventID && o.Digest == s.Digest && o.Generation > s.Generation
	})
}

// print tells of a statement: the event, the record that held it, the file, and what was found.
func (t *trace) print(out io.Writer, s *statement) {
	what := string(s.Op)
	if s.Background {
		what += " in the background"
	}
	fmt.Fprintf(out, "  event   %s of %s, stated %s, ordinal %d, %s\n", what,
		interval(s.From, s.To), s.Stated, s.Ordinal,
		s.Outcome)
	fmt.Fprintf(out, "  record  %s, entry %d of the journal of %s, leverance %s", placeOf(&s.Row),
		s.entry, s.System,
		s.Leverance)
	if s.Generation > 0 {
		fmt.Fprintf(out, ", replayed (generation %d)", s.Generation)
	}
	if r := t.records[placeOf(&s.Row)]; r != nil {
		fmt.Fprintf(out, ", %s", r.Outcome)
		s.Finding = joinFindings(r.Finding, s.Finding)
	}
	fmt.Fprintf(out, "\n  file    %s\n", fileText(s.EventID))
	for _, f := range parseFindings(s.Finding) {
		fmt.Fprintf(out, "  finding %s\n", f.Error())
	}
}

// joinFindings puts two lists together; what a part says the record often says too.
func joinFindings(a, b string) string {
	switch {
	case b == "" || a == b:
		return a
	case a == "":
		return b
	}
	return a + findingSeparator + b
}

// printOthers tells of each statement that no row is from why that is so.
func (t *trace) printOthers(out io.Writer) error {
	n := 0
	for _, s := range t.statements {
		if s.holds {
			continue
		}
		if n++; n == 1 {
			fmt.Fprintf(out, "\nOther statements on the key, oldest first:\n")
		}
		fmt.Fprintf(out, "\n%d  %s\n", n, t.why(s))
		t.print(out, s)
	}
	_, err := fmt.Fprintf(out, "\n%s on the key\n", counted(int64(len(t.statements)), "statement"))
	return err
}

// why tells what became of a statement that no row is from.
func (t *trace) why(s *statement) string {
	if p, ok := t.closed[s.System]; !ok || s.entry > p.Version {
		return "is not closed yet: the next flis close takes it"
	}
	if o := t.later(s); o != nil {
		return fmt.Sprintf("was read otherwise by a replay: generation %d took its place", o.Generation)
	}
	if s.Op == schemas.OpWithdrawn {
		return "takes back what the record said before a replay read it otherwise"
	}
	if o := t.find(s, func(o *statement) bool {
		return fold.SameEvent(&o.Row, &s.Row) && placeOf(&o.Row) != placeOf(&s.Row) && before(o, s)
	}); o != nil {
		return "is the same event once more: " + placeOf(&o.Row).String() + " was first"
	}
	if s.Op != schemas.OpUpsert {
		return "says that nothing holds there: hides what was said before"
	}
	if !t.owned(s) {
		return "lies outside the time that an agreement gives to " + string(s.System)
	}
	for i := range t.snapshots {
		if x := &t.snapshots[i]; x.System == s.System && x.Scope == s.Scope && x.From <= s.From &&
			schemas.CompareOrder(&s.Row, x) < 0 {
			return fmt.Sprintf("was taken back by the snapshot of %s (%s)", placeOf(x),
				fileText(x.EventID))
		}
	}
	return t.loses(s)
}

// loses tells which other statement stands in the way.
func (t *trace) loses(s *statement) string {
	same := func(o *statement) bool { return o.Op == s.Op && bytes.Equal(o.Payload, s.Payload) }
	if o := t.find(s, func(o *statement) bool {
		return o.holds && same(o) &&
			before(o, s)
	}); o != nil {
		return "says again what " + placeOf(&o.Row).String() + " said: the row keeps the first"
	}
	over := t.find(s, func(o *statement) bool {
		return overlaps(t.kind, o, s) && (s.Background && (!o.Background || before(o, s)) ||
			!s.Background && !o.Background && before(s, o))
	})
	switch {
	case over == nil && s.holds:
		return "it holds in another form: its time, or the first who said it, is now another"
	case over == nil:
		return "holds no row: the municipality does not hold the time that it speaks of"
	case s.Background:
		return "is background: " + placeOf(&over.Row).String() + " says more of the same time"
	}
	return "was overruled by the later statement of " + placeOf(&over.Row).String()
}

// find is the last statement of the same system that fits.
func (t *trace) find(s *statement, fits func(*statement) bool) *statement {
	for _, o := range slices.Backward(t.statements) {
		if o != s && o.System == s.System && fits(o) {
			return o
		}
	}
	return nil
}

// before is the order in which statements win.
func before(a, b *statement) bool { return schemas.CompareOrder(&a.Row, &b.Row) < 0 }

// overlaps: a fact's key is one instant, and a replace speaks of all time.
func overlaps(k schemas.Kind, a, b *statement) bool {
	return k == schemas.Fact || a.Op == schemas.OpReplace || a.From < b.To && b.From < a.To
}

// owned says whether some of the statement's time is its system's, by the agreements that the
// certificate pins.
func (t *trace) owned(s *statement) bool {
	return slices.ContainsFunc(t.agreements, func(a sinks.AgreementRef) bool {
		from, to := schemas.Always, schemas.Open
		if d, err := schemas.ParseDay(a.From); err == nil {
			from = d
		}
		if d, err := schemas.ParseDay(a.To); err == nil {
			to = d
		}
		if t.kind == schemas.Fact {
			return a.System == s.System && from <= s.From && s.From < to
		}
		return a.System == s.System && from < s.To && s.From < to
	})
}
