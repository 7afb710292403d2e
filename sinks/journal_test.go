package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	testStream = schemas.Stream("c/raw.cura.borger.v1/0")
	nextStream = schemas.Stream("c/raw.cura.borger.v1/1")
)

func openTest(t testing.TB, st store.Store) *Journal {
	t.Helper()
	j, err := OpenJournal(context.Background(), st, "cura")
	require.NoError(t, err)
	return j
}

// record is the rows of one record: ordinal 0 and n events.
func record(s schemas.Stream, offset int64, n int32) []schemas.Row {
	var rows []schemas.Row
	for o := range n + 1 {
		r := schemas.Row{Stream: s, Offset: offset, Ordinal: o, System: "cura", Kommune: "0101",
			EventID: fmt.Sprintf("//cura/0101|%d", offset), Outcome: schemas.Accepted, Leverance: 20000,
			Op: schemas.OpRaw}
		if o > 0 {
			r.Op, r.Dataset, r.Key = schemas.OpUpsert, "aeldre.plejebolig", fmt.Sprintf("K%d", o)
			r.From, r.To = schemas.Always, schemas.Open
		}
		r.Payload = []byte(fmt.Sprintf("%s %d %d", s, offset, o))
		rows = append(rows, r)
	}
	return rows
}

func commit(t testing.TB, j *Journal, writer string, rows ...schemas.Row) {
	t.Helper()
	e := j.NewEntry(writer)
	require.NoError(t, e.Add(rows...))
	require.NoError(t, e.Commit(context.Background()))
}

func scanAll(t testing.TB, j *Journal, w Want) []schemas.Row {
	t.Helper()
	var rows []schemas.Row
	err := j.Scan(context.Background(), -1, j.Version(), w, func(r *schemas.Row) error {
		rows = append(rows, CloneRow(r))
		return nil
	})
	require.NoError(t, err)
	return rows
}

func fullRow() schemas.Row {
	return schemas.Row{
		Stream:     testStream,
		Offset:     0,
		Ordinal:    3,
		System:     "cura",
		EventID:    "id",
		Event:      "borger",
		Arrived:    1,
		Leverance:  -20000,
		Outcome:    schemas.Warned,
		Finding:    "CODE x: y",
		Kommune:    "0751",
		Dataset:    "aeldre.besoeg",
		Key:        "a" + schemas.KeySeparator + "æ",
		Scope:      "s",
		Op:         schemas.OpSnapshot,
		From:       -30000,
		To:         3,
		Registered: 4,
		Stated:     -5,
		Sequence:   1 << 60,
		Background: true,
		Snapshot:   "b",
		Count:      6,
		Absent:     schemas.AbsentEnded,
		Payload:    []byte{0},
		Headers:    []byte("[]"),
		RawKey:     []byte{1},
		Schema:     "f",
		Canonical:  "g",
		Digest:     -7,
	}
}

func TestJournalRoundTrip(t *testing.T) {
	j := openTest(t, store.NewMemory())
	full, bare := fullRow(), schemas.Row{Stream: testStream, Ordinal: 4, System: "cura"}
	bare.From, bare.To, bare.Payload = schemas.Always, schemas.Open, []byte{}
	raw := record(testStream, 0, 0)[0]
	raw.Payload = nil // a null value is not an empty one
	commit(t, j, "w", raw, full, bare)
	require.Equal(
		t,
		[]schemas.Row{raw, full, bare},
		scanAll(t, j, Want{Raw: true, Events: true, Payload: true}),
	)

	light := scanAll(t, j, Want{Events: true})
	full.Payload, full.Headers, full.RawKey, bare.Payload = nil, nil, nil, nil
	require.Equal(t, []schemas.Row{full, bare}, light)
	require.Len(t, scanAll(t, j, Want{Raw: true}), 1)
}

// Every field of a row has a column, so that a field added later cannot be forgotten here.
func TestJournalColumnsAreRow(t *testing.T) {
	cols := journalColumns()
	var dirty schemas.Row
	full := fullRow()
	full.Generation, full.Offset = 7, 9
	b := parquet.NewBatch(fieldsOf(cols))
	for i := range cols {
		cols[i].put(b.Vectors[i], &full)
	}
	require.NoError(t, newRowUnpacker(cols).each(b, func(r *schemas.Row) error {
		dirty = CloneRow(r)
		return nil
	}))
	require.Equal(t, full, dirty)
	for v, i := reflect.ValueOf(full), 0; i < v.NumField(); i++ {
		require.False(t, v.Field(i).IsZero(), "fullRow must set %s", v.Type().Field(i).Name)
	}
}

// A sender's bytes that are no UTF-8 do not make the file unreadable for others.
func TestJournalForeignBytes(t *testing.T) {
	j := openTest(t, store.NewMemory())
	r := record(testStream, 0, 0)[0]
	r.EventID = "//cura/0101|\xe6\xff"
	commit(t, j, "w", r)
	require.Equal(t, "//cura/0101|\uFFFD", scanAll(t, j, Want{Raw: true})[0].EventID)
}

// Four writers of one process and two of another, each with a stream of its own; run with -race.
func TestJournalConcurrent(t *testing.T) {
	st := store.NewMemory()
	shared := openTest(t, st)
	const entries = 20
	var all sync.WaitGroup
	for k, j := range []*Journal{shared, shared, shared, shared, openTest(t, st), openTest(t, st)} {
		all.Go(func() {
			s := schemas.NewStream("c", "raw.cura.borger.v1", k)
			for o := range int64(entries) {
				e := j.NewEntry(fmt.Sprintf("w%d", k))
				err := errors.Join(e.Add(record(s, o, 1)...), e.Commit(context.Background()))
				if !assert.NoError(t, err) {
					return
				}
			}
		})
	}
	all.Wait()
	a, err := shared.Verify(context.Background(), nil)
	require.NoError(t, err)
	require.Empty(t, a.Problems)
	require.Equal(
		t,
		[]int64{6 * entries, 6 * entries, 6 * entries},
		[]int64{a.Entries, a.Records, a.Events},
	)
}

func TestJournalManyRows(t *testing.T) {
	j := openTest(t, store.NewMemory())
	e := j.NewEntry("w")
	for o := range int64(3 * blockRows) {
		require.NoError(t, e.Add(record(testStream, o, 2)...))
	}
	require.NoError(t, e.Commit(context.Background()))
	n := 0
	for _, r := range scanAll(t, j, Want{Events: true, Payload: true}) {
		require.Equal(t, fmt.Sprintf("%s %d %d", testStream, n/2, n%2+1), string(r.Payload))
		n++
	}
	require.Equal(t, 6*blockRows, n)
}

func TestJournalAddRefuses(t *testing.T) {
	one := record(testStream, 0, 0)[0]
	with := func(change func(*schemas.Row)) schemas.Row {
		r := one
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		rows []schemas.Row
		is   error
		text string
	}{
		"a hole at the start": {record(testStream, 5, 0), ErrHole, "offset 0 is next"},
		"a hole between": {append(record(testStream, 0, 0), record(testStream, 2, 0)...), ErrHole,
			"offset 1 is next"},
		"twice": {append(record(testStream, 0, 0), record(testStream, 0, 0)...), ErrHole, ""},
		"event without record": {[]schemas.Row{with(func(r *schemas.Row) { r.Ordinal = 1 })}, nil,
			"must follow its ordinal 0"},
		"ordinals that fall": {append(record(testStream, 0, 2), record(testStream, 0, 1)[1]), nil, "ascend"},
		"another system":     {[]schemas.Row{with(func(r *schemas.Row) { r.System = "cpr" })}, nil, "system cpr"},
		"a reversed infinity": {[]schemas.Row{with(func(r *schemas.Row) { r.From = schemas.Open })}, nil,
			"gyldig_fra"},
		"a generation": {[]schemas.Row{with(func(r *schemas.Row) { r.Generation = 1 })}, nil, "generation"},
	} {
		t.Run(name, func(t *testing.T) {
			e := openTest(t, store.NewMemory()).NewEntry("w")
			err := e.Add(c.rows...)
			require.ErrorContains(t, err, c.text)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.ErrorIs(t, e.Commit(context.Background()), errSpent, "nothing of it can be committed")
		})
	}
}

func TestJournalEmptyAndSpent(t *testing.T) {
	j := openTest(t, store.NewMemory())
	require.ErrorIs(t, j.NewEntry("w").Commit(context.Background()), ErrEmpty)
	e := j.NewEntry("w")
	require.NoError(t, e.Advance(testStream, Position{}))
	require.ErrorIs(t, e.Commit(context.Background()), ErrEmpty)
	require.ErrorIs(t, e.Commit(context.Background()), errSpent)
	require.ErrorIs(t, e.Add(record(testStream, 0, 0)...), errSpent)
	e = j.NewEntry("Not a name")
	require.NoError(t, e.Add(record(testStream, 0, 0)...))
	require.ErrorContains(t, e.Commit(context.Background()), "writer")
	require.Equal(t, int64(-1), j.Version())
}

func TestJournalAdvance(t *testing.T) {
	st := store.NewMemory()
	j := openTest(t, st)
	a := Anchor{Topic: "id", Epoch: 3, Offset: 1, SHA256: "ab"}
	e := j.NewEntry("w")
	require.NoError(t, e.Add(record(testStream, 0, 0)...))
	require.NoError(t, e.Advance(testStream, Position{Next: 4})) // 1 to 3 hold no record
	require.NoError(t, e.Add(record(testStream, 4, 0)...))
	require.NoError(t, e.Advance(testStream, Position{Next: 9, Anchor: a}))
	require.ErrorContains(t, e.Advance(testStream, Position{Next: 8}), "were added")

	e = j.NewEntry("w")
	require.NoError(
		t,
		e.Advance(testStream, Position{Next: 9, Anchor: a}),
	) // a stream of control batches alone
	require.NoError(t, e.Commit(context.Background()))
	want := map[schemas.Stream]Position{testStream: {Next: 9, Anchor: a}}
	require.Equal(t, want, j.Progress())
	require.Equal(t, want, openTest(t, st).Progress())
}

func TestJournalTwoWriters(t *testing.T) {
	st := store.NewMemory()
	a, b := openTest(t, st), openTest(t, st)
	commit(t, a, "a", record(testStream, 0, 1)...)
	commit(t, b, "b", record(nextStream, 0, 1)...) // another stream: rebased
	require.Equal(t, int64(1), b.Version())
	require.Equal(t, int64(1), b.Progress()[testStream].Next)

	e := a.NewEntry("a") // knows nothing of b's entry
	require.NoError(t, e.Add(record(nextStream, 0, 1)...))
	require.ErrorIs(t, e.Commit(context.Background()), ErrLostRace)
	require.Equal(t, int64(1), a.Progress()[nextStream].Next, "progress is up to date")
	require.ErrorIs(t, a.NewEntry("a").Add(record(nextStream, 0, 1)...), ErrLostRace)
	require.Len(t, scanAll(t, a, Want{Raw: true}), 2)
}

func TestJournalTwoEntriesOfOneProcess(t *testing.T) {
	j := openTest(t, store.NewMemory())
	e, f := j.NewEntry("w"), j.NewEntry("w")
	require.NoError(t, e.Add(record(testStream, 0, 1)...))
	require.NoError(t, f.Add(record(testStream, 0, 1)...))
	require.NoError(t, e.Commit(context.Background()))
	require.ErrorIs(t, f.Commit(context.Background()), ErrLostRace)
}

func TestJournalGap(t *testing.T) {
	ctx := context.Background()
	st := store.NewMemory()
	j := openTest(t, st)
	require.ErrorIs(t, j.NewEntry("w").Add(record(testStream, 7, 0)...), ErrHole)
	require.NoError(
		t,
		j.CommitGap(ctx, "w", testStream, 0, 7, "the topic began at 7; accepted by drift"),
	)
	commit(t, j, "w", record(testStream, 7, 0)...)
	require.ErrorIs(t, j.CommitGap(ctx, "w", testStream, 3, 9, "stale"), ErrLostRace)
	for _, c := range [][2]int64{{8, 8}, {8, 2}, {-1, 5}} {
		require.Error(t, j.CommitGap(ctx, "w", testStream, c[0], c[1], "no gap"))
	}
	require.Error(t, j.CommitGap(ctx, "w", testStream, 8, 9, ""))
	a, err := j.Verify(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, a.Problems)
	require.Equal(t, []Gap{{0, testStream, 0, 7, "the topic began at 7; accepted by drift"}}, a.Gaps)
}

func TestJournalWant(t *testing.T) {
	j := openTest(t, store.NewMemory())
	rows := record(testStream, 0, 4)
	for i, d := range []schemas.DatasetName{"aeldre.besoeg", "aeldre", "", "borger.person"} {
		rows[i+1].Dataset = d
	}
	commit(t, j, "w", rows...)
	var got []int32
	for _, r := range scanAll(t, j, Want{Events: true, Datasets: []schemas.DatasetName{"aeldre.besoeg"}}) {
		got = append(got, r.Ordinal)
	}
	require.Equal(t, []int32{1, 2, 3}, got)
	stop := errors.New("enough")
	err := j.Scan(
		context.Background(),
		-1,
		0,
		Want{Events: true},
		func(*schemas.Row) error { return stop },
	)
	require.Equal(t, stop, err, "an error of the callback comes back as it is")
}

func TestJournalNewerFormat(t *testing.T) {
	st := store.NewMemory()
	commit(t, openTest(t, st), "w", record(testStream, 0, 0)...)
	edit(t, st, entryKey(0), `"format":1`, `"format":4`)
	_, err := OpenJournal(context.Background(), st, "cura")
	require.ErrorIs(t, err, ErrFormat)
	require.ErrorContains(t, err, "the journal has format 4, this program reads up to 3")
}

func TestJournalInfoRefuses(t *testing.T) {
	moved := func(m string) map[string]any {
		var v map[string]any
		require.NoError(t, json.Unmarshal([]byte(`{"format":1,"moved":{"c/t/0":`+m+`}}`), &v))
		return v
	}
	_, err := readInfo(moved(`{"from":3,"next":5,"empty":2}`))
	require.NoError(t, err)
	for name, info := range map[string]map[string]any{
		"no info":              nil,
		"another program's":    {"operation": "WRITE"},
		"a format of zero":     {"format": 0},
		"a format in words":    {"format": "one"},
		"a stream that rests":  moved(`{"from":3,"next":3}`),
		"a stream that falls":  moved(`{"from":3,"next":1}`),
		"a negative offset":    moved(`{"from":-1,"next":1}`),
		"more empty than read": moved(`{"from":3,"next":5,"empty":3}`),
		"offsets in words":     moved(`{"from":"3","next":5}`),
	} {
		_, err := readInfo(info)
		require.ErrorIs(t, err, ErrDamaged, name)
	}
}

func entryKey(v int64) string { return fmt.Sprintf("journal/cura/_delta_log/%020d.json", v) }

func edit(t *testing.T, st store.Store, key, old, now string) {
	t.Helper()
	b, err := store.ReadAll(context.Background(), st, key)
	require.NoError(t, err)
	require.Contains(t, string(b), old)
	require.NoError(
		t,
		st.Replace(context.Background(), key, bytes.ReplaceAll(b, []byte(old), []byte(now))),
	)
}

// A writer with a fault in it could put a record in twice; Verify sees it in the rows themselves.
func TestJournalVerifyFindsDoubles(t *testing.T) {
	j := openTest(t, store.NewMemory())
	j.rules.follows = func(s *course, offset int64) error {
		s.record, s.next, s.ordinal = offset, offset+1, 0
		return nil
	}
	rows := record(testStream, 0, 1)
	commit(t, j, "w", append(rows, rows...)...)
	a, err := j.Verify(context.Background(), nil)
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(a.Problems), "records twice or out of order: 1")
	require.Contains(t, fmt.Sprint(a.Problems), "events twice or out of order: 1")
	require.Contains(t, fmt.Sprint(a.Problems), "1 too many")
}

// Each damage is found by Verify and named; what a scan would read wrongly, it refuses.
func TestJournalVerifyFinds(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(t *testing.T, st *store.Memory)
		text   string
		scan   bool // the scan notices too
	}{
		"nothing": {func(*testing.T, *store.Memory) {}, "", false},
		"a bit of a file": {func(t *testing.T, st *store.Memory) {
			key := find(t, st, "raa-")
			b, err := store.ReadAll(context.Background(), st, key)
			require.NoError(t, err)
			b[len(b)/2] ^= 1
			require.NoError(t, st.Replace(context.Background(), key, b))
		}, "SHA-256 is not that of its entry", true},
		"a file cut short": {func(t *testing.T, st *store.Memory) {
			require.NoError(t, st.Replace(context.Background(), find(t, st, "haendelser-"), []byte("PAR1")))
		}, "4 bytes, its entry says", true},
		"a file gone": {func(t *testing.T, st *store.Memory) {
			require.NoError(t, st.Delete(context.Background(), find(t, st, "raa-")))
		}, "is missing", true},
		"an entry changed": {func(t *testing.T, st *store.Memory) {
			edit(t, st, entryKey(1), `"writer":"w"`, `"writer":"x"`)
		}, "entry 2 follows an entry of SHA-256", false},
		"a count changed": {func(t *testing.T, st *store.Memory) {
			edit(t, st, entryKey(2), `"antal":2`, `"antal":3`)
		}, "counts 3 records accepteret of 0101", false},
		"an entry gone": {func(t *testing.T, st *store.Memory) {
			require.NoError(t, st.Delete(context.Background(), entryKey(1)))
		}, "entry 1 is missing", true},
		"an entry that is no JSON": {func(t *testing.T, st *store.Memory) {
			require.NoError(t, st.Replace(context.Background(), entryKey(1), []byte("x")))
		}, "entry 1: ", true},
		"offsets claimed that hold nothing": {func(t *testing.T, st *store.Memory) {
			edit(t, st, entryKey(2), `"next":6`, `"next":8`)
		}, "2 are missing", false},
	} {
		t.Run(name, func(t *testing.T) {
			st := store.NewMemory()
			j := openTest(t, st)
			for v := range int64(3) {
				commit(t, j, "w", append(record(testStream, 2*v, 1), record(testStream, 2*v+1, 0)...)...)
			}
			c.damage(t, st)
			a, err := VerifyJournal(context.Background(), st, "cura", nil)
			require.NoError(t, err)
			err = j.Scan(context.Background(), -1, 2, Want{Raw: true, Events: true},
				func(*schemas.Row) error { return nil })
			require.Equal(t, c.scan, err != nil, "%v", err)
			if c.text == "" {
				require.Empty(t, a.Problems)
				require.Equal(t, []int64{3, 6, 6, 3}, []int64{a.Entries, a.Files, a.Records, a.Events})
				return
			}
			require.Contains(t, fmt.Sprint(a.Problems), c.text)
		})
	}
}

func find(t *testing.T, st store.Store, name string) string {
	t.Helper()
	for i, err := range st.List(context.Background(), "journal/cura/"+name, "") {
		require.NoError(t, err)
		return i.Key
	}
	t.Fatalf("no file %s", name)
	return ""
}

// A start reads what has come since the last checkpoint, however long the journal is.
func TestJournalCheckpoint(t *testing.T) {
	st := store.NewMemory()
	j := openTest(t, st)
	const entries = 2*checkpointEvery + 7
	commit(t, j, "w", record(nextStream, 0, 0)...) // moved once: its position is carried on
	for o := range int64(entries - 1) {
		e := j.NewEntry("w")
		require.NoError(
			t,
			e.Advance(testStream, Position{Next: o + 1, Anchor: Anchor{SHA256: fmt.Sprint(o)}}),
		)
		require.NoError(t, e.Commit(context.Background()))
	}
	reads := 0
	again := openTest(t, st.With(func(op store.Op, key string) store.Fault {
		if op == store.OpOpen && strings.HasSuffix(key, ".json") {
			reads++
		}
		return store.Proceed
	}))
	require.Equal(t, int64(entries-1), again.Version())
	require.Equal(t, j.Progress(), again.Progress())
	require.Equal(t, int64(1), again.Progress()[nextStream].Next)
	require.Less(t, reads, 30)
}

// Without its checkpoints the journal opens as well.
func TestJournalCheckpointLost(t *testing.T) {
	st := store.NewMemory()
	j := openTest(t, st)
	for o := range int64(checkpointEvery + 2) {
		e := j.NewEntry("w")
		require.NoError(t, e.Advance(testStream, Position{Next: o + 1}))
		require.NoError(t, e.Commit(context.Background()))
	}
	for i, err := range st.List(context.Background(), "journal/cura/_delta_log/", "") {
		require.NoError(t, err)
		if strings.HasSuffix(i.Key, ".checkpoint.parquet") {
			require.NoError(t, st.Delete(context.Background(), i.Key))
		}
	}
	require.Equal(t, j.Progress(), openTest(t, st).Progress())
}
