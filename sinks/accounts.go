package sinks

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// DuplicateDays is the delivery window: a second record with an event id of the last 35 days is a
// duplicate.
const DuplicateDays = 35

// Seal is what a source says of a day: its control count.
type Seal struct {
	File    string // SHA-256 of the file that is sealed; "" = the whole day
	Count   int64
	Excerpt bool // the file is an excerpt of another: proves nothing
	order   schemas.Row
}

// Account (regnskab) is what landed of one system for one municipality and delivery day, by
// distinct event id. Accepted holds warned ones too; Parked those parked in part.
type Account struct {
	Accepted, Ignored, Parked        int64
	Duplicates, Conflicts, Heartbeat int64
	Seals                            map[string]Seal  // by File
	Files                            map[string]int64 // distinct units landed, by file
}

// Distinct is the number of distinct event ids.
func (a *Account) Distinct() int64 { return a.Accepted + a.Ignored + a.Parked }

func (a *Account) said() bool {
	return a != nil && (a.Distinct() > 0 || a.Heartbeat > 0 || len(a.Seals) > 0)
}

func compareAccountKeys(a, b accountKey) int {
	return cmp.Or(cmp.Compare(a.kommune, b.kommune), cmp.Compare(a.day, b.day))
}

type accountKey struct {
	kommune schemas.Kommunekode
	day     schemas.Day
}

// Accounts count what landed of one system, up to one journal entry. Not safe for concurrent use;
// a View is. Control rows have the schemas.ControlEvent; every other row of ordinal 0 is a
// record.
type Accounts struct {
	Version  int64 // newest entry that is counted; -1 = none
	accounts map[accountKey]*Account
	ids      map[schemas.Kommunekode]*idSet
	parked   map[uint64]schemas.Kommunekode // where ids are parked: mended, they may belong elsewhere
	newest   schemas.Day
	rows     int64 // counted by this process
}

// NewAccounts counts from nothing.
func NewAccounts() *Accounts {
	return &Accounts{Version: -1, newest: schemas.Always, accounts: map[accountKey]*Account{},
		ids: map[schemas.Kommunekode]*idSet{}, parked: map[uint64]schemas.Kommunekode{}}
}

// View is the accounts of one system as they stood at one journal entry. Read-only.
type View struct {
	accounts map[accountKey]*Account
}

// View copies the counts, not the event ids.
func (a *Accounts) View() *View { return a.ViewOf(nil) }

// ViewOf copies the counts of some municipalities (none = all) and those of no single one.
func (a *Accounts) ViewOf(kommuner map[schemas.Kommunekode]bool) *View {
	v := &View{accounts: map[accountKey]*Account{}}
	for k, x := range a.accounts {
		if len(kommuner) > 0 && !kommuner[k.kommune] && k.kommune != schemas.National {
			continue
		}
		c := *x
		c.Seals, c.Files = cloneMap(x.Seals), cloneMap(x.Files)
		v.accounts[k] = &c
	}
	return v
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// Of gives the account of a municipality and day; what the system says of all municipalities at
// once (National) is added. nil = nothing was said.
func (v *View) Of(k schemas.Kommunekode, d schemas.Day) *Account {
	own, all := v.accounts[accountKey{k, d}], v.accounts[accountKey{schemas.National, d}]
	switch {
	case all == nil || k == schemas.National:
		return own
	case own == nil:
		return all
	}
	sum := *own
	sum.Accepted += all.Accepted
	sum.Ignored += all.Ignored
	sum.Parked += all.Parked
	sum.Duplicates += all.Duplicates
	sum.Conflicts += all.Conflicts
	sum.Heartbeat += all.Heartbeat
	sum.Seals, sum.Files = cloneMap(own.Seals), cloneMap(own.Files)
	for f, s := range all.Seals {
		sum.Seals[f] = s
	}
	for f, n := range all.Files {
		sum.Files[f] += n
	}
	return &sum
}

// For is the account by which an agreement's proof is judged. A control count is of one
// municipality: what the system says of nobody in particular, as the seal of a file that holds
// several municipalities' events, neither proves it nor stands in its way.
func (v *View) For(k schemas.Kommunekode, d schemas.Day, p schemas.Proof) *Account {
	if p == schemas.ProofCount {
		return v.accounts[accountKey{k, d}]
	}
	return v.Of(k, d)
}

// Days are the days of which anything was said for a municipality, in order.
func (v *View) Days(k schemas.Kommunekode) []schemas.Day {
	var days []schemas.Day
	for key, a := range v.accounts {
		if (key.kommune == k || key.kommune == schemas.National) && a.said() {
			days = append(days, key.day)
		}
	}
	slices.Sort(days)
	return slices.Compact(days)
}

func (a *Accounts) of(k schemas.Kommunekode, d schemas.Day) *Account {
	x := a.accounts[accountKey{k, d}]
	if x == nil {
		x = &Account{Seals: map[string]Seal{}, Files: map[string]int64{}}
		a.accounts[accountKey{k, d}] = x
	}
	return x
}

// Add counts a row: a record (ordinal 0), a seal or a heartbeat; others are passed over. The last
// record of an event id, in order of the journal, decides its outcome.
func (a *Accounts) Add(r *schemas.Row) {
	a.rows++
	a.newest = max(a.newest, r.Leverance)
	switch {
	case r.Op == schemas.OpSeal:
		a.seal(r)
	case r.Op == schemas.OpHeartbeat:
		a.of(r.Kommune, r.Leverance).Heartbeat++
	case r.Ordinal == 0 && r.Event != schemas.ControlEvent && r.Generation > 0:
		a.again(r)
	case r.Ordinal == 0 && r.Event != schemas.ControlEvent:
		a.record(r)
	}
}

// seal keeps, of several seals of one file or day, the greatest in the order of statements.
func (a *Accounts) seal(r *schemas.Row) {
	x := a.of(r.Kommune, r.Leverance)
	s := Seal{File: r.Key, Count: r.Count, Excerpt: r.Background, order: schemas.Row{Stated: r.Stated,
		Sequence: r.Sequence, Ordinal: r.Ordinal, Stream: r.Stream, Offset: r.Offset}}
	if old, ok := x.Seals[r.Key]; ok && schemas.CompareOrder(&old.order, &s.order) > 0 {
		return
	}
	x.Seals[r.Key] = s
}

func (a *Accounts) idsOf(k schemas.Kommunekode) *idSet {
	set := a.ids[k]
	if set == nil {
		set = &idSet{fresh: map[uint64]idInfo{}}
		a.ids[k] = set
	}
	return set
}

func (a *Accounts) record(r *schemas.Row) {
	set := a.idsOf(r.Kommune)
	id := fingerprint(r.EventID)
	info := newIDInfo(r.Leverance, contentOf(r), classOf(r.Outcome))
	a.leave(id, r)
	old, ok := set.find(id)
	if !ok || old.class() == classNone || old.day() < a.newest-DuplicateDays {
		set.add(id, info)
		a.count(r, info, 1)
		return
	}
	x := a.of(r.Kommune, old.day())
	x.Duplicates++
	if old.content() != info.content() {
		x.Conflicts++
	}
	if old.class() != info.class() {
		x.add(old.class(), -1)
		x.add(info.class(), 1)
	}
	set.put(id, newIDInfo(old.day(), info.content(), info.class()))
}

func (a *Accounts) count(r *schemas.Row, info idInfo, by int64) {
	x := a.of(r.Kommune, info.day())
	x.add(info.class(), by)
	if f := fileOf(r.EventID); f != "" {
		x.Files[f] += by
	}
}

func (a *Account) add(class uint8, by int64) {
	switch class {
	case classAccepted:
		a.Accepted += by
	case classIgnored:
		a.Ignored += by
	case classParked:
		a.Parked += by
	}
}

// accountDays is how long the counts of a day are held.
const accountDays = 400

// Forget drops event ids that no delivery can repeat any more, and days long gone. What is
// dropped hangs on the rows counted, not on how often it is called.
func (a *Accounts) Forget() {
	for k := range a.accounts {
		if k.day < a.newest-accountDays {
			delete(a.accounts, k)
		}
	}
	for _, set := range a.ids {
		set.forget(a.newest - DuplicateDays)
	}
	for id, k := range a.parked {
		if _, ok := a.ids[k].find(id); !ok {
			delete(a.parked, id)
		}
	}
}

const (
	classAccepted uint8 = iota
	classIgnored
	classParked
	classNone // counted nowhere: the record is another municipality's now
)

func classOf(o schemas.Outcome) uint8 {
	switch o {
	case schemas.Accepted, schemas.Warned:
		return classAccepted
	case schemas.Ignored:
		return classIgnored
	}
	return classParked
}

// fingerprint is FNV-1a of 64 bits, the same in every process.
func fingerprint(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// contentOf is what is held of the digest of the record's value.
func contentOf(r *schemas.Row) uint32 {
	d := uint64(r.Digest)
	return uint32(d^d>>32) & contentMask
}

// fileDigits is the length of a SHA-256 in hex.
const fileDigits = 64

// fileOf is the hash of the file that a unit came from: the ce_id of a feed is hash + running
// number.
func fileOf(eventID string) string {
	id := eventID[strings.LastIndexByte(eventID, '|')+1:]
	if len(id) < fileDigits {
		return ""
	}
	for _, c := range id[:fileDigits] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id[:fileDigits]
}
