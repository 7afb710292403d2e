package sinks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// AuditDeps is what an audit reads. Without State, Journal or Refold it proves what the delivered
// root alone can prove: a copy of one municipality's folder is enough.
type AuditDeps struct {
	Tables   store.Store
	State    store.Store // close state; nil = not looked at
	Journal  func(ctx context.Context, s schemas.System) (Events, error)
	Datasets map[schemas.DatasetName]*schemas.Dataset
	// Refold gives an empty store and an engine that folds into it; the audit calls done when it
	// has compared. nil = tables are not folded anew.
	Refold   func(ctx context.Context) (st store.Store, e Engine, done func() error, err error)
	Progress func(u schemas.Unit) // may be nil
	// Codes are certificates that the auditor knows from elsewhere: an older copy of the whole
	// folder lacks them.
	Codes []ControlCode
}

// ControlCode is what Certificate.ControlCode says.
type ControlCode struct {
	Unit   schemas.Unit
	Number int64
	Hash   string
}

// ParseControlCode reads "<kommune>/<area>:<n>:<SHA-256>".
func ParseControlCode(text string) (ControlCode, error) {
	bad := fmt.Errorf("control code %q: want <kommune>/<area>:<number>:<64 hex digits>, "+
		"as a certificate's plain version has it", text)
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return ControlCode{}, bad
	}
	kommune, area, ok := strings.Cut(parts[0], "/")
	n, err := strconv.ParseInt(parts[1], 10, 64)
	hash, hexErr := hex.DecodeString(parts[2])
	if !ok || err != nil || n < 1 || hexErr != nil || len(hash) != sha256.Size {
		return ControlCode{}, bad
	}
	return ControlCode{
		schemas.Unit{Kommune: schemas.Kommunekode(kommune), Area: schemas.Area(area)},
		n,
		strings.ToLower(parts[2]),
	}, nil
}

// UnitProof is what the delivered root proved of one unit.
type UnitProof struct {
	Unit          schemas.Unit
	Newest        *Certificate // nil = none could be read
	Certificates  int
	Tables, Files int
	Rows          int64 // in the current tables that the newest certificate names
	Wrong         int   // problems
}

// AuditReport says what was proved and what is wrong. Problems are for people; each names unit,
// number and mend.
type AuditReport struct {
	Units, Certificates, Tables, Files int
	StateFiles                         int // of close state, beside the journals
	Texts                              int // plain versions of certificates
	// of files whose SHA-256 was computed; rows compared with the refold
	Bytes, Rows int64
	Refolded    int // units whose tables were folded anew
	Days        int // days whose state and counts were made anew
	Open        []string
	Problems    []string
	Stored      int // of them, seen in what is stored, before anything was made anew
	Proofs      []UnitProof
}

// Audit checks the units (none = every one that has a certificate or a claim). The error is of
// the world, a store that does not answer; whatever is wrong with what is stored is a problem in
// the report, and the audit goes on.
func Audit(ctx context.Context, d AuditDeps, units []schemas.Unit) (*AuditReport, error) {
	a := &audit{deps: d, report: &AuditReport{}, heads: map[schemas.Unit]*Certificate{},
		before:    map[schemas.Unit]*Certificate{},
		chains:    map[schemas.Unit][]*Certificate{},
		entries:   map[schemas.System]map[int64]string{},
		stretches: map[stretch]countedRows{}}
	if len(units) == 0 {
		var err error
		if units, err = certifiedUnits(ctx, d.Tables); err != nil {
			return nil, err
		}
	}
	for _, u := range units {
		if d.Progress != nil {
			d.Progress(u)
		}
		if err := a.proof(ctx, u); err != nil {
			return a.report, err
		}
	}
	a.codes(units)
	a.report.Stored = len(a.report.Problems)
	if d.Refold != nil && d.Journal != nil {
		if err := a.refold(ctx); err != nil {
			return a.report, err
		}
	}
	return a.report, nil
}

// certifiedUnits finds every unit below bevis/.
func certifiedUnits(ctx context.Context, st store.Store) ([]schemas.Unit, error) {
	found := map[schemas.Unit]bool{}
	for info, err := range st.List(ctx, "bevis/", "") {
		if err != nil {
			return nil, fmt.Errorf("list certificates: %w", err)
		}
		if p := strings.Split(info.Key, "/"); len(p) == 4 {
			found[schemas.Unit{Kommune: schemas.Kommunekode(p[1]), Area: schemas.Area(p[2])}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(found), compareUnits), nil
}

type audit struct {
	deps    AuditDeps
	report  *AuditReport
	heads   map[schemas.Unit]*Certificate
	before  map[schemas.Unit]*Certificate       // before the newest; nil = none, or not readable
	chains  map[schemas.Unit][]*Certificate     // all that could be read
	entries map[schemas.System]map[int64]string // hashes of journal entries that were read
	// statements of stretches of journals that were counted
	stretches map[stretch]countedRows
}

func (a *audit) problem(u schemas.Unit, n int64, format string, args ...any) {
	where := u.String()
	if n > 0 {
		where += fmt.Sprintf(" certificate %d", n)
	}
	a.report.Problems = append(a.report.Problems, where+": "+fmt.Sprintf(format, args...))
}

// stored tells an error of what is stored, which is a problem, from one of the store, which ends
// the audit.
func (a *audit) stored(ctx context.Context, u schemas.Unit, n int64, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, store.ErrUnknown) {
		return err
	}
	a.problem(u, n, "%v", err)
	return nil
}

// proof checks a unit and says what that came to.
func (a *audit) proof(ctx context.Context, u schemas.Unit) error {
	r := a.report
	was, wrong := *r, len(r.Problems)
	err := a.unit(ctx, u)
	p := UnitProof{Unit: u, Newest: a.heads[u], Certificates: r.Certificates - was.Certificates,
		Tables: r.Tables - was.Tables, Files: r.Files - was.Files, Wrong: len(r.Problems) - wrong}
	if p.Newest != nil {
		for _, t := range p.Newest.Tables {
			if t.Current != nil {
				p.Rows += t.Current.Rows
			}
		}
	}
	r.Proofs = append(r.Proofs, p)
	return err
}

// codes looks for the certificates that the auditor knows.
func (a *audit) codes(units []schemas.Unit) {
	for _, c := range a.deps.Codes {
		got := ""
		for _, x := range a.chains[c.Unit] {
			if x.Number == c.Number {
				got = x.hash
			}
		}
		switch {
		case !slices.Contains(units, c.Unit):
			a.problem(c.Unit, c.Number, "is not there: nothing of the unit is; "+
				"copy kommune=%s and bevis/%s", c.Unit.Kommune, c.Unit.Kommune)
		case got == "":
			a.problem(c.Unit, c.Number, "is not there: what is stored is older than the control code, "+
				"or the certificate was taken away")
		case got != c.Hash:
			a.problem(c.Unit, c.Number, "is another one than the control code names")
		}
	}
}

func (a *audit) unit(ctx context.Context, u schemas.Unit) error {
	a.report.Units++
	chain, err := a.chain(ctx, u)
	if err != nil {
		return err
	}
	a.chains[u] = chain
	if err := a.journal(ctx, u, chain); err != nil {
		return err
	}
	if len(chain) > 0 {
		head := chain[len(chain)-1]
		if err := a.state(ctx, u, head); err != nil {
			return err
		}
		a.heads[u] = head
		if n := len(chain); n > 1 && chain[n-2].Number == head.Number-1 {
			a.before[u] = chain[n-2]
		}
	}
	if err := a.tables(ctx, u, chain); err != nil || !isStatus(u) {
		return err
	}
	return a.status(ctx, u, chain)
}

// chain reads every certificate of a unit, with its claim.
func (a *audit) chain(ctx context.Context, u schemas.Unit) ([]*Certificate, error) {
	last, claimed, err := a.numbers(ctx, u)
	if err != nil {
		return nil, err
	}
	var chain []*Certificate
	previous, told := "", toldDays{}
	for n := int64(1); n <= last; n++ {
		c, err := ReadCertificate(ctx, a.deps.Tables, u, n)
		if err != nil {
			if err := a.stored(ctx, u, n, err); err != nil {
				return nil, err
			}
			previous, told = "", nil
			continue
		}
		a.report.Certificates++
		for _, d := range told.follow(c) {
			a.problem(u, n, "day %s", d)
		}
		if c.Previous != previous && (n == 1 || previous != "") {
			a.problem(u, n,
				"names another predecessor than number %d is: one of the two was changed or swapped", n-1)
		}
		if err := a.claim(ctx, u, c); err != nil {
			return nil, err
		}
		if err := a.approvals(ctx, u, c); err != nil {
			return nil, err
		}
		if err := a.text(ctx, u, c); err != nil {
			return nil, err
		}
		chain, previous = append(chain, c), c.hash
	}
	if n := len(chain); n > 0 && chain[n-1].Held != nil {
		a.report.Open = append(a.report.Open, fmt.Sprintf("%s: %s", u, chain[n-1].Held.text(u)))
	}
	switch {
	case claimed == last+1:
		a.report.Open = append(a.report.Open, fmt.Sprintf(
			"%s: close %d is begun and has no certificate: it is under way, or the next close finishes it",
			u, claimed))
	case claimed > last+1:
		a.problem(u, last+1, "is missing: close %d was begun after it; restore it from a copy", claimed)
	}
	return chain, nil
}

// toldDays is what the certificates so far said of each day; nil = one of them is missing.
type toldDays map[string]DayState

// follow names the days of which a certificate says what cannot follow on what was said before,
// or what it does not report.
func (t toldDays) follow(c *Certificate) (wrong []string) {
	if t == nil {
		return nil
	}
	for i := range c.Days {
		d, is := &c.Days[i], c.Days[i].dayState()
		was := t[d.Day]
		if was.final() && !is.final() || is.Revised < was.Revised || is.Revised > was.Revised+1 {
			wrong = append(wrong, fmt.Sprintf("%s goes from %s (revideret %d) to %s (revideret %d)", d.Day,
				was.State, was.Revised, is.State, is.Revised))
		}
		t[d.Day] = is
	}
	for _, d := range slices.Sorted(maps.Keys(c.Calendar)) {
		if is := c.Calendar[d]; !is.equal(t[d]) {
			wrong = append(wrong, fmt.Sprintf("%s is said %s, which no certificate reports", d, is.State))
		}
	}
	return wrong
}

// numbers gives the greatest number of a certificate and of a claim that is there.
func (a *audit) numbers(ctx context.Context, u schemas.Unit) (last, claimed int64, err error) {
	prefix := "bevis/" + u.String() + "/"
	for info, err := range a.deps.Tables.List(ctx, prefix, "") {
		if err != nil {
			return 0, 0, fmt.Errorf("list %s: %w", prefix, err)
		}
		name := strings.TrimPrefix(info.Key, prefix)
		if n, ok := certificateNumber(name); ok {
			last = max(last, n)
		} else if n, ok := certificateNumber(strings.Replace(name, ".krav.json", ".json", 1)); ok {
			claimed = max(claimed, n)
		}
	}
	return last, claimed, nil
}

func (a *audit) claim(ctx context.Context, u schemas.Unit, c *Certificate) error {
	claim, hash, err := ReadClaim(ctx, a.deps.Tables, u, c.Number)
	if err != nil {
		return a.stored(ctx, u, c.Number, fmt.Errorf("read its claim: %w", err))
	}
	if hash != c.Claim || claim.Previous != c.Previous || claim.Leverance != c.Leverance ||
		!maps.Equal(claim.Points, c.Points) || !maps.Equal(claim.Basis, c.Basis) || !sameWait(claim, c) {
		a.problem(u, c.Number, "is not what its claim says: one of the two was changed")
	}
	return nil
}

// text checks the plain version of a certificate; that one is not written yet loses nothing.
func (a *audit) text(ctx context.Context, u schemas.Unit, c *Certificate) error {
	b, err := readObject(ctx, a.deps.Tables, TextKey(u, c.Number), certificateBytesMax)
	if errors.Is(err, store.ErrNotFound) {
		a.report.Open = append(
			a.report.Open,
			fmt.Sprintf("%s: certificate %d has no plain version (.txt)",
				u, c.Number),
		)
		return nil
	}
	if err == nil {
		err = checkText(c, string(b))
	}
	if err != nil {
		return a.stored(ctx, u, c.Number, err)
	}
	a.report.Texts++
	return nil
}

// journal compares the entries that the certificates rest on with the journals.
func (a *audit) journal(ctx context.Context, u schemas.Unit, chain []*Certificate) error {
	if a.deps.Journal == nil {
		return nil
	}
	before := Points{}
	for _, c := range chain {
		for _, s := range slices.Sorted(maps.Keys(c.accountsAt())) {
			p := c.accountsAt()[s]
			if was, ok := before[s]; ok && p.Version < was.Version {
				a.problem(u, c.Number, "goes back in the journal of %s, from entry %d to %d", s, was.Version,
					p.Version)
			}
			before[s] = p
			if p.Version < 0 {
				continue
			}
			hash, err := a.entry(ctx, s, p.Version)
			if err != nil {
				if err := a.stored(ctx, u, c.Number, err); err != nil {
					return err
				}
			} else if hash != p.Hash {
				a.problem(u, c.Number, "rests on entry %d of the journal of %s, which was changed since",
					p.Version, s)
			}
		}
	}
	return nil
}

func (a *audit) entry(ctx context.Context, s schemas.System, version int64) (string, error) {
	if h, ok := a.entries[s][version]; ok {
		return h, nil
	}
	j, err := a.deps.Journal(ctx, s)
	if err != nil {
		return "", fmt.Errorf("open journal of %s: %w", s, err)
	}
	if version > j.Version() {
		return "", fmt.Errorf("rests on entry %d of the journal of %s, which ends at %d", version, s,
			j.Version())
	}
	h, err := j.EntryHash(ctx, version)
	if err != nil {
		return "", err
	}
	if a.entries[s] == nil {
		a.entries[s] = map[int64]string{}
	}
	a.entries[s][version] = h
	return h, nil
}

// state checks the close state that the newest certificate names: its index, and each file of it.
func (a *audit) state(ctx context.Context, u schemas.Unit, c *Certificate) error {
	if a.deps.State == nil || c.State == nil {
		return nil
	}
	s, err := readState(ctx, a.deps.State, u, c)
	if err != nil {
		return a.changedState(ctx, u, c, err)
	}
	in := files{st: a.deps.State, folder: schemas.StatePrefix(u)}
	if err := a.lists(ctx, u, c, in); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Datasets)) {
		for _, f := range slices.Concat(s.Datasets[name].Scopes, s.Datasets[name].Keys) {
			o, err := in.open(ctx, &f.FileRef)
			if err == nil {
				err = o.Close()
			}
			if err != nil {
				if err := a.changedState(ctx, u, c, err); err != nil {
					return err
				}
				continue
			}
			a.report.StateFiles++
			a.report.Bytes += f.Bytes
		}
	}
	return nil
}

func (a *audit) changedState(ctx context.Context, u schemas.Unit, c *Certificate, err error) error {
	return a.stored(ctx, u, c.Number, fmt.Errorf("names a close state that is not what was written: "+
		"restore it from a copy: %w", err))
}

// tables checks each table that the chain names, version by version.
func (a *audit) tables(ctx context.Context, u schemas.Unit, chain []*Certificate) error {
	named := map[string]map[int64]*TableRef{} // by folder, then version
	for _, c := range chain {
		for name, d := range c.Tables {
			for _, t := range []struct {
				ref     *TableRef
				history bool
			}{{d.Current, false}, {d.History, true}} {
				if t.ref == nil || t.ref.Since != c.Number {
					continue
				}
				prefix := schemas.TablePrefix(u.Kommune, schemas.DatasetName(name), t.history)
				if named[prefix] == nil {
					named[prefix] = map[int64]*TableRef{}
				}
				named[prefix][t.ref.Version] = t.ref
			}
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(named)) {
		a.report.Tables++
		if err := a.table(ctx, u, prefix, named[prefix]); err != nil {
			return err
		}
	}
	return nil
}

// table replays a Delta log: each version is named by one certificate and lists what that
// certificate says.
func (a *audit) table(ctx context.Context, u schemas.Unit, prefix string,
	named map[int64]*TableRef) error {
	log := delta.Open(a.deps.Tables, prefix)
	s := &delta.Snapshot{Version: -1}
	last := slices.Max(slices.Collect(maps.Keys(named)))
	for v := int64(0); v <= last; v++ {
		commit, raw, err := log.Entry(ctx, v)
		if err == nil {
			err = s.Apply(v, commit)
		}
		if err != nil {
			return a.stored(ctx, u, 0, fmt.Errorf("%s version %d: %w", prefix, v, err))
		}
		ref := named[v]
		switch {
		case ref == nil:
			a.problem(u, 0, "%s version %d is in no certificate", prefix, v)
		case hashOf(raw) != ref.Entry:
			a.problem(u, ref.Since, "%s version %d: the entry of the Delta log was changed since", prefix, v)
		case FilesDigest(s.Files) != ref.Digest || len(s.Files) != ref.Files:
			a.problem(u, ref.Since, "%s version %d has other files than the certificate names", prefix, v)
		}
	}
	if err := a.beyond(ctx, u, prefix, log, last); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(s.Files)) {
		if err := a.file(ctx, u, prefix, s.Files[path]); err != nil {
			return err
		}
	}
	return nil
}

// beyond looks for a version that no certificate names; one is allowed while its close is under
// way.
func (a *audit) beyond(ctx context.Context, u schemas.Unit, prefix string, log *delta.Log,
	last int64) error {
	commit, _, err := log.Entry(ctx, last+1)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return a.stored(ctx, u, 0, err)
	}
	n := commit.Txns[u.String()]
	_, _, claimErr := ReadClaim(ctx, a.deps.Tables, u, n)
	_, certErr := ReadCertificate(ctx, a.deps.Tables, u, n)
	if claimErr != nil || !errors.Is(certErr, store.ErrNotFound) {
		a.problem(u, 0, "%s version %d is in no certificate", prefix, last+1)
	}
	return nil
}

// file compares the bytes of a live file with what the log says of it.
func (a *audit) file(ctx context.Context, u schemas.Unit, prefix string, f delta.Add) error {
	ref, err := fileRef(f)
	if err != nil {
		return a.stored(ctx, u, 0, fmt.Errorf("%s: %w", prefix, err))
	}
	o, err := files{st: a.deps.Tables, folder: prefix}.open(ctx, &ref)
	if err != nil {
		return a.stored(ctx, u, 0, fmt.Errorf("%s: %w", prefix, err))
	}
	a.report.Files++
	a.report.Bytes += ref.Bytes
	return o.Close()
}
