package sinks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/transforms/fold"
	"github.com/stretchr/testify/require"
)

// The simulation of replays: records come in, some again, some mended under their id; our mapping
// changes now and then; replays are run, die, lose answers, and meet writers and other replays at
// any of their steps. In the end a replay of everything must leave what a journal would hold that
// had been written by today's mapping from the first: the same rows, the same counts.
type replayWorld struct {
	t       *testing.T
	rng     *rand.Rand
	base    *store.Memory
	dir     string
	version int // of our mapping
	sent    []schemas.Row
	day     schemas.Day
	depth   int
	deaths  int
}

const replayStream schemas.Stream = "sim/raw.cura.borger.v1/0"

func newReplaySim(t *testing.T, seed uint64) *replayWorld {
	return &replayWorld{t: t, rng: rand.New(rand.NewPCG(seed, 7)), base: store.NewMemory(),
		dir: t.TempDir(), day: 20_000}
}

// mapped is our mapping: what a value gives under a version, at random and always the same.
func mapped(version int) func([]schemas.Row, *schemas.Row) ([]schemas.Row, error) {
	return func(dst []schemas.Row, raw *schemas.Row) ([]schemas.Row, error) {
		rng := rand.New(rand.NewPCG(fingerprint(string(raw.Payload)), uint64(version)))
		if rng.IntN(2) == 0 { // this version changes nothing for this value
			rng = rand.New(rand.NewPCG(fingerprint(string(raw.Payload)), 0))
		}
		r := *raw
		r.Generation, r.Canonical = 0, strconv.Itoa(version)
		r.Outcome, r.Finding = schemas.Accepted, ""
		// who sends stands in the event's id, so that all records of an id are of one municipality
		who := rand.New(rand.NewPCG(fingerprint(raw.EventID), uint64(version/2)))
		r.Kommune = []schemas.Kommunekode{"0101", "0101", "0101", "0147", "0000"}[who.IntN(5)]
		if rng.IntN(4) == 0 {
			r.Outcome, r.Finding = schemas.Parked, "CODE x: is none"
			return append(dst, r), nil
		}
		dst = append(dst, r)
		for i := range rng.IntN(4) {
			e := r
			e.Ordinal, e.Headers, e.RawKey = int32(i+1), nil, nil
			e.Dataset, e.Op = "aeldre.plejebolig", schemas.OpUpsert
			e.Kommune = []schemas.Kommunekode{"0101", "0147"}[rng.IntN(2)]
			e.Key = string("KLM"[rng.IntN(3)])
			e.From = schemas.Day(rng.IntN(5))
			e.To = e.From + schemas.Day(1+rng.IntN(5))
			e.Stated += schemas.Instant(rng.IntN(2))
			e.Payload = []byte{"xy"[rng.IntN(2)]}
			dst = append(dst, e)
		}
		return dst, nil
	}
}

// raw makes the next record: new, or again, or mended.
func (w *replayWorld) raw(offset int64) schemas.Row {
	w.day += schemas.Day(w.rng.IntN(3) * w.rng.IntN(10))
	id, value := fmt.Sprint("//cura/0101|", offset), fmt.Sprint("v", offset)
	if len(w.sent) > 0 && w.rng.IntN(3) == 0 {
		old := w.sent[w.rng.IntN(len(w.sent))]
		if id = old.EventID; w.rng.IntN(2) == 0 {
			value = string(old.Payload)
		}
	}
	return schemas.Row{
		Stream:  replayStream,
		Offset:  offset,
		System:  "cura",
		EventID: id,
		Event:   "borger",
		Arrived: schemas.Instant(
			offset,
		),
		Leverance: w.day - schemas.Day(w.rng.IntN(3)),
		Op:        schemas.OpRaw,
		From:      schemas.Always,
		To:        schemas.Open,
		Stated:    schemas.Instant(offset),
		Sequence:  offset,
		Digest:    int64(fingerprint(value)),
		Payload:   []byte(value),
		Headers:   []byte("[[]]"),
		RawKey:    []byte("k"),
	}
}

func (w *replayWorld) journal(hook store.Hook) (*Journal, error) {
	j, err := OpenJournal(context.Background(), w.base.With(hook), "cura")
	if err == nil {
		j.every = simEvery
	}
	return j, err
}

func (w *replayWorld) write() {
	j, err := w.journal(nil)
	require.NoError(w.t, err)
	e := j.NewEntry(fmt.Sprint("w", w.rng.Uint32()))
	next := j.Progress()[replayStream].Next
	var sent []schemas.Row
	for o := next; o <= next+w.rng.Int64N(4); o++ {
		raw := w.raw(o)
		rows, err := mapped(w.version)(nil, &raw)
		require.NoError(w.t, err)
		require.NoError(w.t, e.Add(rows...))
		w.sent = append(w.sent, raw)
		sent = append(sent, raw)
	}
	require.NoError(w.t, e.Commit(context.Background()))
	require.NotEmpty(w.t, sent)
}

// disturb is the world at a step of a replay.
func (w *replayWorld) disturb(op store.Op, _ string) store.Fault {
	switch n := w.rng.IntN(120); {
	case n < 3 && w.depth < 2:
		w.depth++
		defer func() { w.depth-- }()
		if n == 0 {
			w.replay(true)
		} else {
			w.write()
		}
	case n == 3:
		w.deaths++
		return store.CrashBefore
	case n == 4:
		w.deaths++
		return store.CrashAfter
	case n == 5 && op == store.OpCreate:
		return store.LoseAnswer
	case n == 6 && op == store.OpCreate:
		return store.LoseRequest
	}
	return store.Proceed
}

// replay runs one, of all or some records; it may die.
func (w *replayWorld) replay(partly bool) {
	j, err := w.journal(w.disturb)
	if err != nil {
		return
	}
	r := w.replayer(j)
	from := w.day - schemas.Day(w.rng.IntN(30))
	switch {
	case partly && w.rng.IntN(3) == 0:
		r.Wants = func(raw *schemas.Row) bool { return raw.Leverance >= from }
		r.Fits = func(rows []schemas.Row) bool { return rows[0].Leverance >= from }
	case partly && w.rng.IntN(3) == 0:
		r.Wants = func(raw *schemas.Row) bool { return raw.Outcome == schemas.Parked }
		r.Fits = func(rows []schemas.Row) bool { return rows[0].Outcome == schemas.Parked }
	}
	_, err = r.Run(context.Background(), func(*ReplayResult) error { return nil })
	if err != nil && !transient(err) && !strings.Contains(err.Error(), "other replays were first") {
		require.NoError(w.t, err)
	}
}

func (w *replayWorld) replayer(j *Journal) *Replay {
	return &Replay{Journal: j, Writer: fmt.Sprint("r", w.rng.Uint32()), Dir: w.dir,
		Judge: mapped(w.version)}
}

func (w *replayWorld) live() {
	for range 4 + w.rng.IntN(8) {
		switch w.rng.IntN(5) {
		case 0:
			w.version = w.rng.IntN(5)
		case 1, 2:
			w.replay(true)
		default:
			w.write()
		}
	}
}

// end replays everything, undisturbed, and gives the journal's rows in order.
func (w *replayWorld) end() []schemas.Row {
	ctx := context.Background()
	if len(w.sent) == 0 {
		w.write()
	}
	j, err := w.journal(nil)
	require.NoError(w.t, err)
	_, err = w.replayer(j).Run(ctx, func(*ReplayResult) error { return nil })
	require.NoError(w.t, err)
	res, err := w.replayer(j).Plan(ctx)
	require.NoError(w.t, err)
	require.Zero(w.t, res.Changed, "a replay leaves nothing for the next")
	a, err := j.Verify(ctx, nil)
	require.NoError(w.t, err)
	require.Empty(w.t, a.Problems)
	return scanAll(w.t, j, Want{Raw: true, Events: true, Payload: true})
}

// anew is what the journal would hold.
func (w *replayWorld) anew() (rows []schemas.Row) {
	for i := range w.sent {
		rows, _ = mapped(w.version)(rows, &w.sent[i])
	}
	return rows
}

// tablesOf folds rows as the close does.
func tablesOf(rows []schemas.Row) string {
	groups := map[string][]schemas.Row{}
	for _, r := range rows {
		if isStatement(&r) {
			k := fmt.Sprint(r.Kommune, r.Dataset, r.Key)
			groups[k] = append(groups[k], r)
		}
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(groups)) {
		for _, s := range fold.Key(schemas.State, groups[k], nil) {
			fmt.Fprintf(&b, "%s [%d,%d) %s of %s/%d/%d stated %d\n", k, s.From, s.To, s.Row.Payload,
				s.Row.EventID, s.Row.Offset, s.Row.Ordinal, s.Row.Stated)
		}
	}
	return b.String()
}

// countsOf is what the accounts say.
func countsOf(rows []schemas.Row) string {
	a := NewAccounts()
	for i := range rows {
		if rows[i].Ordinal == 0 {
			a.Add(&rows[i])
		}
	}
	var out []string
	for k, x := range a.accounts {
		if x.Distinct() != 0 || x.Parked != 0 {
			out = append(out, fmt.Sprintln(k.kommune, k.day, x.Accepted, x.Ignored, x.Parked))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// movedOntoAnother: records of one id were counted for several municipalities, which our mapping
// told apart at one time and not at another. They stay counted on their own days.
func movedOntoAnother(rows []schemas.Row) bool {
	of := map[string]schemas.Kommunekode{}
	for i := range rows {
		if r := &rows[i]; r.Ordinal == 0 && r.Generation == 0 {
			if k, ok := of[r.EventID]; ok && k != r.Kommune {
				return true
			}
			of[r.EventID] = r.Kommune
		}
	}
	return false
}

func replaySeeds() int {
	if n, err := strconv.Atoi(os.Getenv("FLIS_REPLAY_SEEDS")); err == nil {
		return n
	}
	return 40
}

func TestReplayLeavesWhatTodayWouldGive(t *testing.T) {
	deaths, counted, generations := 0, 0, int32(0)
	for seed := range uint64(replaySeeds()) {
		w := newReplaySim(t, seed)
		w.live()
		rows := w.end()
		anew := w.anew()
		require.Equal(t, tablesOf(anew), tablesOf(rows), "seed %d", seed)
		if !movedOntoAnother(rows) {
			require.Equal(t, countsOf(anew), countsOf(rows), "seed %d", seed)
			counted++
		}
		w.rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		require.Equal(t, tablesOf(anew), tablesOf(rows), "seed %d, in another order", seed)
		deaths += w.deaths
		for i := range rows {
			generations = max(generations, rows[i].Generation)
		}
	}
	require.Greater(t, counted, replaySeeds()/2)
	require.Greater(t, deaths, replaySeeds()/10, "the simulation must kill")
	require.Greater(t, generations, int32(1))
}

// TestPlantedMistakesOfReplaysAreCaught: each changes the rows that were written, as the mistake
// would have.
func TestPlantedMistakesOfReplaysAreCaught(t *testing.T) {
	drop := func(out func(*schemas.Row) bool) func([]schemas.Row) []schemas.Row {
		return func(rows []schemas.Row) []schemas.Row {
			return slices.DeleteFunc(rows, func(r schemas.Row) bool { return out(&r) })
		}
	}
	for name, plant := range map[string]func([]schemas.Row) []schemas.Row{
		"generation ignored": func(rows []schemas.Row) []schemas.Row {
			for i := range rows {
				rows[i].Generation = 0
			}
			return rows
		},
		"withdrawn key kept": drop(func(r *schemas.Row) bool {
			return r.Ordinal > 0 && r.Op == schemas.OpWithdrawn
		}),
		"verdict not counted": drop(func(r *schemas.Row) bool {
			return r.Ordinal == 0 && r.Generation > 0
		}),
		"withdrawn record counted": drop(func(r *schemas.Row) bool {
			return r.Ordinal == 0 && r.Op == schemas.OpWithdrawn
		}),
		"only one copy written": func(rows []schemas.Row) []schemas.Row {
			type one struct {
				id         string
				digest     int64
				generation int32
			}
			first := map[one]int64{}
			return drop(func(r *schemas.Row) bool {
				k := one{r.EventID, r.Digest, r.Generation}
				if _, ok := first[k]; !ok {
					first[k] = r.Offset
				}
				return r.Generation > 0 && first[k] < r.Offset
			})(rows)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(300) {
				w := newReplaySim(t, seed)
				w.live()
				rows, anew := plant(w.end()), w.anew()
				if tablesOf(anew) != tablesOf(rows) ||
					!movedOntoAnother(rows) && countsOf(anew) != countsOf(rows) {
					return
				}
			}
			t.Fatal("no seed tells the mistake from what is right")
		})
	}
}

// TestReplayRefuses: what would break the journal for its readers.
func TestReplayRefuses(t *testing.T) {
	w := newReplaySim(t, 1)
	w.write()
	j, err := w.journal(nil)
	require.NoError(t, err)
	raw := w.sent[0]
	rows, err := mapped(0)(nil, &raw)
	require.NoError(t, err)
	again := func(change func(r *schemas.Row, e *Entry)) error {
		e := j.NewEntry("w")
		e.replay = &replayInfo{Generation: 1, after: 0}
		r := rows[0]
		r.Generation, r.Payload = 1, nil
		change(&r, e)
		return errors.Join(e.AddAgain([]schemas.Row{r}), e.Commit(context.Background()))
	}
	require.ErrorIs(t, again(func(r *schemas.Row, _ *Entry) { r.Generation = 0 }), errGeneration)
	require.ErrorIs(t, again(func(r *schemas.Row, _ *Entry) { r.Generation = 2 }), errGeneration)
	require.ErrorIs(t, again(func(r *schemas.Row, _ *Entry) { r.Offset = 99 }), errGeneration)
	require.ErrorIs(t, again(func(r *schemas.Row, _ *Entry) { r.Ordinal = 1 }), errGeneration)
	require.ErrorIs(t, again(func(_ *schemas.Row, e *Entry) { e.replay.after = 1 }), ErrLostRace)
	require.Error(t, again(func(r *schemas.Row, _ *Entry) { r.System = "cpr" }))
	require.NoError(t, again(func(*schemas.Row, *Entry) {}))
	r := rows[0]
	r.Generation = 1
	require.Error(t, j.NewEntry("w").Add(r), "a writer of records has no generations")
}
