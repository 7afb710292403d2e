package sinks

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// drawAccountRows gives rows of every kind that accounts count: ids that come again within and
// after the window, of reporters, from files, sealed, and verdicts of replays.
func drawAccountRows(t *rapid.T) []schemas.Row {
	day := schemas.Day(20_000)
	rows := make([]schemas.Row, 0, 80)
	for range rapid.IntRange(1, 80).Draw(t, "rows") {
		day += schemas.Day(rapid.SampledFrom([]int{0, 0, 0, 1, 5, 20, 36, 401}).Draw(t, "later"))
		rows = append(rows, drawAccountRow(t, day))
	}
	return rows
}

func drawAccountRow(t *rapid.T, day schemas.Day) schemas.Row {
	n := rapid.IntRange(0, 5).Draw(t, "id")
	file := strings.Repeat(fmt.Sprint(n%3), fileDigits)
	r := schemas.Row{Op: schemas.OpRaw, Event: "e", EventID: fmt.Sprint("//x|", n),
		Stream: "c/t/0", Offset: int64(rapid.IntRange(0, 9).Draw(t, "offset")),
		Leverance: day - schemas.Day(rapid.SampledFrom([]int{0, 0, 1, 30, 40}).Draw(t, "back")),
		Kommune:   rapid.SampledFrom([]schemas.Kommunekode{"0101", "0147", "0000"}).Draw(t, "k"),
		Outcome: rapid.SampledFrom([]schemas.Outcome{schemas.Accepted, schemas.Ignored,
			schemas.Parked, schemas.Warned}).Draw(t, "outcome"),
		Digest: int64(rapid.IntRange(0, 1).Draw(t, "digest"))}
	if n > 2 {
		r.EventID = "//cpr|" + file + "-" + fmt.Sprint(n)
	}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		r.Ordinal, r.Op, r.Count = 1, schemas.OpSeal, int64(n)
		r.Key = rapid.SampledFrom([]string{"", file}).Draw(t, "sealed")
		r.Background = n == 1
		r.Stated = schemas.Instant(rapid.IntRange(-2, 2).Draw(t, "stated"))
		r.Sequence = r.Offset
	case 1:
		r.Ordinal, r.Op = 1, schemas.OpHeartbeat
	case 2, 3:
		r.Generation = 1
		r.From = rapid.SampledFrom([]schemas.Day{schemas.Always, day, day - 1, day - 36}).Draw(t, "from")
		r.Snapshot = rapid.SampledFrom([]string{"", string(schemas.Accepted),
			string(schemas.Parked)}).Draw(t, "before")
		if n == 2 {
			r.Op = schemas.OpWithdrawn
		}
	}
	return r
}

func encodedAccounts(t require.TestingT, a *Accounts) []byte {
	var b bytes.Buffer
	require.NoError(t, a.encode(&b))
	return b.Bytes()
}

func reloaded(t require.TestingT, a *Accounts) *Accounts {
	b := encodedAccounts(t, a)
	got, err := decodeAccounts(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	got.Version = a.Version
	return got
}

// TestAccountsGoOnFromASnapshot: whenever accounts are written and read back, or let go of what
// is old, they end as those that counted all rows in one go.
func TestAccountsGoOnFromASnapshot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := drawAccountRows(t)
		whole, parts := NewAccounts(), NewAccounts()
		for i := range rows {
			whole.Add(&rows[i])
			parts.Add(&rows[i])
			switch rapid.IntRange(0, 5).Draw(t, "then") {
			case 0:
				parts = reloaded(t, parts)
			case 1:
				parts.Forget()
			}
		}
		last := reloaded(t, parts)
		require.Equal(t, encodedAccounts(t, whole), encodedAccounts(t, last))
		require.Equal(t, whole.View(), last.View())
		require.Equal(t, whole.newest, last.newest)
		require.Equal(t, whole.parked, last.parked)
	})
}

// TestSnapshotsStayBounded: two years of days cost what the windows hold, not what was counted.
func TestSnapshotsStayBounded(t *testing.T) {
	t.Parallel()
	a, sizes := NewAccounts(), map[int]int{}
	const perDay = 100
	for d := range 1200 {
		for i := range perDay {
			a.Add(&schemas.Row{EventID: fmt.Sprint(d, "|", i), Event: "e", Kommune: "0101",
				Leverance: schemas.Day(20_000 + d), Outcome: schemas.Accepted})
		}
		if d%100 == 99 {
			sizes[d+1] = len(encodedAccounts(t, a))
		}
	}
	require.InDelta(t, sizes[500], sizes[1200], 16)
	held := idBytes*perDay*(DuplicateDays+1) + 32*(accountDays+1)
	require.Less(t, sizes[1200], held+1024)
	require.Greater(t, sizes[1200], idBytes*perDay*DuplicateDays)
}

// snapshotScene is a journal of some entries, and the snapshots that closers leave of it.
type snapshotScene struct {
	t     testing.TB
	w     *closeWorld
	st    *store.Memory
	notes []string
	read  map[schemas.System]int64 // least entry that was asked for
	made  int
	other bool // the journal's entries are others: it was restored
}

func newSnapshotScene(t testing.TB, steps int) *snapshotScene {
	s := &snapshotScene{t: t, w: newCloseWorld(1), st: store.NewMemory()}
	for range steps {
		s.w.step()
	}
	return s
}

type snapshotEvents struct {
	worldEvents
	scene *snapshotScene
}

func (e *snapshotEvents) EntryHash(ctx context.Context, v int64) (string, error) {
	if e.scene.other {
		return hashOf([]byte(fmt.Sprint("other", e.system, v))), nil
	}
	return e.worldEvents.EntryHash(ctx, v)
}

func (e *snapshotEvents) Rows(ctx context.Context, from, to int64, statements bool,
	fn func(*schemas.Row) error) error {
	if least, ok := e.scene.read[e.system]; !ok || from < least {
		e.scene.read[e.system] = from
	}
	return e.worldEvents.Rows(ctx, from, to, statements, fn)
}

// round is the first of a new process; it gives the closer.
func (s *snapshotScene) round() *Closer {
	s.made++
	s.notes, s.read = nil, map[schemas.System]int64{}
	c := NewCloser(
		Deps{Tables: s.st, Engine: &plainEngine{st: s.st, writer: fmt.Sprint("w", s.made)}, Workers: 1,
			Agreements: simAgreements(), Datasets: simDatasets(), Writer: "w", Accounts: s.st,
			Progress: func(p Progress) {
				if p.Note != "" {
					s.notes = append(s.notes, p.Note)
				}
			},
			Journal: func(_ context.Context, system schemas.System) (Events, error) {
				return &snapshotEvents{worldEvents{w: s.w, system: system,
					length: len(s.w.journals[system])}, s}, nil
			}},
	)
	report, err := c.Round(context.Background(), s.w.now, nil)
	require.NoError(s.t, err)
	if !s.other { // certificates rest on the entries that were
		require.Empty(s.t, report.Failed)
	}
	return c
}

func (s *snapshotScene) keys() []string {
	var keys []string
	for info, err := range s.st.List(context.Background(), snapshotFolder+"/", "") {
		require.NoError(s.t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

// counted is what counting from entry 0 gives.
func (s *snapshotScene) counted(system schemas.System) *Accounts {
	a := NewAccounts()
	for v, rows := range s.w.journals[system] {
		for i := range rows {
			a.Add(&rows[i])
		}
		a.Version = int64(v)
	}
	return a
}

func (s *snapshotScene) requireCounted(c *Closer) {
	for _, system := range []schemas.System{simVendor, simCPR} {
		require.Equal(s.t, s.counted(system).Version, c.accounts[system].Version)
		require.Equal(s.t, encodedAccounts(s.t, s.counted(system)),
			encodedAccounts(s.t, c.accounts[system]), system)
	}
}

func TestNewProcessGoesOnFromASnapshot(t *testing.T) {
	t.Parallel()
	s := newSnapshotScene(t, 3*snapshotEntries)
	s.requireCounted(s.round())
	require.Len(t, s.keys(), 2)
	require.Len(t, s.notes, 2, "a long journal without a snapshot is told")
	for range 20 {
		s.w.step()
	}
	s.requireCounted(s.round())
	require.Empty(t, s.notes)
	require.Greater(t, s.read[simVendor], int64(snapshotEntries-1))
	require.Greater(t, s.read[simCPR], int64(snapshotEntries-1))
	require.Len(t, s.keys(), 2, "too little is new for another")
}

func TestOldSnapshotsAreDeleted(t *testing.T) {
	t.Parallel()
	s := newSnapshotScene(t, 1)
	c := s.round()
	for range 6 {
		for range 3 * snapshotEntries {
			s.w.step()
		}
		_, err := c.Round(context.Background(), s.w.now, nil)
		require.NoError(t, err)
		s.requireCounted(c)
	}
	require.Len(t, s.keys(), 2*snapshotsKept)
	all, err := snapshots(context.Background(), s.st, simVendor, 1<<40)
	require.NoError(t, err)
	require.Equal(t, c.accounts[simVendor].Version, all[0].version)
}

func TestSnapshotsAreDue(t *testing.T) {
	t.Parallel()
	last, hour := savedAccounts{10, 100, 1}, schemas.Instant(time.Hour/time.Microsecond)
	for name, x := range map[string]struct {
		version, rows int64
		now           schemas.Instant
		due           bool
	}{
		"nothing new":   {10, 100, 2 * hour, false},
		"little":        {11, 101, 1 + hour - 1, false},
		"entries":       {10 + snapshotEntries, 101, 1, true},
		"rows":          {11, 100 + snapshotRows, 1, true},
		"an hour after": {11, 101, 1 + hour, true},
	} {
		require.Equal(t, x.due, last.due(&Accounts{Version: x.version, rows: x.rows}, x.now), name)
	}
}

// TestUselessSnapshotsAreCountedAnew: whatever a snapshot lacks, the accounts are those of the
// journal, and it is told.
func TestUselessSnapshotsAreCountedAnew(t *testing.T) {
	t.Parallel()
	s := newSnapshotScene(t, 3*snapshotEntries)
	s.round()
	for name, damage := range snapshotDamages(s) {
		before := s.st
		s.st = before.Clone()
		damage(s)
		s.requireCounted(s.round())
		require.NotEmpty(t, s.notes, name)
		require.Equal(t, int64(-1), s.read[simVendor], name)
		s.st = before
	}
}

func snapshotDamages(s *snapshotScene) map[string]func(*snapshotScene) {
	ctx := context.Background()
	all, err := snapshots(ctx, s.st, simVendor, 1<<40)
	require.NoError(s.t, err)
	key := all[0].key
	whole, err := store.ReadAll(ctx, s.st, key)
	require.NoError(s.t, err)
	body := whole[:len(whole)-sha256.Size]
	put := func(b []byte) func(*snapshotScene) {
		return func(s *snapshotScene) { require.NoError(s.t, s.st.Replace(ctx, key, b)) }
	}
	damages := map[string]func(*snapshotScene){
		"empty": put(nil), "short": put(whole[:len(whole)/2]), "cut": put(whole[:len(whole)-1]),
		"longer":  put(append(bytes.Clone(whole), 0)),
		"missing": func(s *snapshotScene) { require.NoError(s.t, s.st.Delete(ctx, key)) },
		"another system's": func(s *snapshotScene) {
			other, err := snapshots(ctx, s.st, simCPR, 1<<40)
			require.NoError(s.t, err)
			b, err := store.ReadAll(ctx, s.st, other[0].key)
			require.NoError(s.t, err)
			put(b)(s)
		},
		"newer format": put(resealed(bytes.Replace(body, fmt.Appendf(nil, "%s %d\n",
			snapshotMagic, AccountsFormat), fmt.Appendf(nil, "%s %d\n", snapshotMagic,
			AccountsFormat+1), 1))),
		"a field more": put(resealed(append(bytes.Clone(body[:len(body)-1]), 99, 0,
			snapshotEnd))),
	}
	for at := 0; at < len(whole); at += 1 + len(whole)/16 {
		b := bytes.Clone(whole)
		b[at] ^= 0x10
		damages[fmt.Sprint("bit at ", at)] = put(b)
	}
	b := bytes.Clone(whole)
	b[len(b)-1] ^= 1
	damages["last bit"] = put(b)
	return damages
}

// resealed puts a sum that fits behind a body.
func resealed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// TestSnapshotOfARestoredJournalIsNotUsed: its entries are others than the snapshot's.
func TestSnapshotOfARestoredJournalIsNotUsed(t *testing.T) {
	t.Parallel()
	s := newSnapshotScene(t, 3*snapshotEntries)
	c := s.round()
	s.notes, s.other = nil, true
	events := &snapshotEvents{worldEvents{w: s.w, system: simVendor,
		length: len(s.w.journals[simVendor])}, s}
	a := c.loadAccounts(context.Background(), events, simVendor, events.Version())
	require.Equal(t, int64(-1), a.Version)
	require.Len(t, s.notes, 2)
	s.other = false
	a = c.loadAccounts(context.Background(), events, simVendor, events.Version())
	require.Equal(t, events.Version(), a.Version)
	a = c.loadAccounts(context.Background(), events, simVendor, events.Version()-1)
	require.Equal(t, int64(-1), a.Version, "a claim behind the snapshot")
}
