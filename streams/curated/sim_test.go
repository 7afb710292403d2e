package curated_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/streams/curated"
	"github.com/flis-dk/flis/streams/curated/curatedtest"
)

// sim is publishers and consumers over one log, one of them taking a step at a time. Every
// operation of the log and the tables is a step; a seed decides who takes it and what becomes of it.
type sim struct {
	t      *testing.T
	rand   *rand.Rand
	log    *curatedtest.Log
	tables *memoryTables
	actors []*actor
	late   [][]curated.Record // sent, unanswered, and still to land
	calm   bool               // nothing fails any more

	mistake mistake
	claims  int
	fault   string // the first that was seen
	counts  map[string]int
}

// actor is a process: it runs until its work ends, or it dies.
type actor struct {
	sim    *sim
	name   string
	resume chan struct{}
	parked chan bool // true = waits for its turn, false = has ended
	dead   bool
	ended  bool
	seen   int64 // end of the log, as it last asked
	err    error
}

// start runs work as a process of its own, which waits for its first turn.
func (s *sim) start(name string, work func(context.Context, *actor) error) *actor {
	a := &actor{sim: s, name: name, resume: make(chan struct{}), parked: make(chan bool)}
	go func() {
		<-a.resume
		a.err = work(context.Background(), a)
		a.parked <- false
	}()
	s.actors = append(s.actors, a)
	return a
}

// run lets an actor take one step.
func (s *sim) run(a *actor) {
	a.resume <- struct{}{}
	a.ended = !<-a.parked
	if a.ended {
		s.actors = slices.DeleteFunc(s.actors, func(x *actor) bool { return x == a })
	}
}

// step ends the actor's turn and waits for the next; an error is what became of the operation
// before it took effect.
func (a *actor) step() error {
	if a.dead {
		return errDead
	}
	a.parked <- true
	<-a.resume
	if a.sim.calm {
		return nil
	}
	switch a.sim.rand.IntN(60) {
	case 0:
		a.dead = true
		a.sim.counts["deaths"]++
		return errDead
	case 1:
		a.sim.counts["refusals"]++
		return errWorld
	}
	return nil
}

// simLog is the log as one actor sees it.
type simLog struct{ *actor }

func (l simLog) ID() string { return l.sim.log.ID() }

func (l simLog) Bounds(ctx context.Context) (int64, int64, error) {
	if err := l.step(); err != nil {
		return 0, 0, err
	}
	first, end, err := l.sim.log.Bounds(ctx)
	l.seen = end
	return first, end, err
}

func (l simLog) Read(ctx context.Context, from, to int64,
	fn func(*curated.Record) error) error {
	for at := from; at < to; {
		if err := l.step(); err != nil {
			return err
		}
		n := min(to, at+1+l.sim.rand.Int64N(8))
		if err := l.sim.log.Read(ctx, at, n, fn); err != nil {
			return err
		}
		at = n
	}
	return nil
}

// Append writes record by record, so that others come in between; its batches land whole, in part,
// twice, late, or not, and an answer may be lost.
func (l simLog) Append(ctx context.Context, records []curated.Record) error {
	s := l.sim
	for len(records) > 0 {
		n := 1 + s.rand.IntN(len(records))
		if err := l.step(); err != nil {
			return err
		}
		part := slices.Clone(records[:n])
		records = records[n:]
		fate := s.rand.IntN(40)
		switch {
		case s.calm || fate > 6:
			_ = s.log.Append(ctx, part)
		case fate > 4:
			s.counts["late"]++
			s.late = append(s.late, part)
			if fate == 5 {
				return errWorld
			}
			_ = s.log.Append(ctx, part) // tried again, and the first try is still under way
		case fate > 2:
			s.counts["doubled"]++
			_ = s.log.Append(ctx, part)
			_ = s.log.Append(ctx, part)
		case fate > 1:
			s.counts["lost answers"]++
			_ = s.log.Append(ctx, part)
			return errWorld
		default:
			s.counts["deaths"]++
			_ = s.log.Append(ctx, part)
			l.dead = true
			return errDead
		}
	}
	return nil
}

// simTables is the tables as one actor sees them.
type simTables struct{ *actor }

func (t simTables) Head(ctx context.Context) (int64, error) {
	if err := t.step(); err != nil {
		return 0, err
	}
	return t.sim.tables.Head(ctx)
}

func (t simTables) Certificate(ctx context.Context, n int64) (curated.Certificate, error) {
	if err := t.step(); err != nil {
		return curated.Certificate{}, err
	}
	return t.sim.tables.Certificate(ctx, n)
}

func (t simTables) Changes(ctx context.Context, from, to int64,
	fn func(*curated.Change) error) error {
	if err := t.step(); err != nil {
		return err
	}
	return t.sim.tables.Changes(ctx, from, to, fn)
}

func (s *sim) publish(ctx context.Context, a *actor) error {
	p := curated.Publisher{Unit: unit, Log: s.mistake.log(s, simLog{a}), Tables: simTables{a},
		Key: theKey, Schemas: theIDs, MarkerID: 9}
	r, err := p.Run(ctx)
	s.counts["repaired"] += int(r.Repaired)
	if _, end, _ := s.log.Bounds(ctx); err == nil && r.Number > 0 && s.alone(a) && end == a.seen {
		s.judgeTopic(r.Number)
	}
	return err
}

// alone says whether no other publisher works and nothing is under way.
func (s *sim) alone(a *actor) bool {
	return len(s.late) == 0 && !slices.ContainsFunc(s.actors, func(x *actor) bool {
		return x != a && x.name == "publisher"
	})
}

// judgeTopic: the topic is the table, whatever compaction does.
func (s *sim) judgeTopic(n int64) {
	s.t.Helper()
	s.counts["topics judged"]++
	s.want(keyed(s.tables.at(n)), newest(s.log.Held()), "topic after certificate %d", n)
	squeezed := curatedtest.NewLog("squeezed")
	_ = squeezed.Append(context.Background(), s.log.Held())
	squeezed.Compact(math.MaxInt64, math.MaxInt64)
	s.want(keyed(s.tables.at(n)), newest(squeezed.Held()), "compacted topic after %d", n)
	var marker int64
	for _, r := range squeezed.Held() {
		if r.Key == curated.MarkerKey {
			marker = r.Number
		}
	}
	s.want(n, marker, "number of the last marker")
}

// follow is a consumer's process: it opens the copy, catches up a few times, and ends.
func (s *sim) follow(dir string) func(context.Context, *actor) error {
	return func(ctx context.Context, a *actor) error {
		c, err := curated.OpenConsumer(dir, simLog{a}, curated.Options{NoSync: true, Budget: 150})
		if err != nil {
			return err
		}
		defer c.Close()
		if s.rand.IntN(8) == 0 {
			if err := s.load(ctx, c); err != nil {
				return err
			}
		}
		for range 4 {
			caught, err := c.Catch(ctx)
			s.judgeCopy(c)
			if err != nil {
				return err
			}
			if caught.Renewed {
				s.counts["renewed"]++
			}
		}
		return nil
	}
}

// load begins with the tables of any certificate.
func (s *sim) load(ctx context.Context, c *curated.Consumer) error {
	head := int64(len(s.tables.states))
	if head < s.tables.kept || head == 0 {
		return nil
	}
	n := max(1, s.tables.kept) + s.rand.Int64N(head-max(1, s.tables.kept)+1)
	cert, _ := s.tables.Certificate(ctx, n)
	s.counts["loads"]++
	return c.Load(ctx, n, cert, theKey, func(fn func(*curated.Entity) error) error {
		return s.tables.Changes(ctx, 0, n, func(c *curated.Change) error {
			return fn(&curated.Entity{Dataset: c.Dataset, Key: c.Key,
				Value: append([]byte{0, 0, 0, 0, byte(theIDs[c.Dataset].ID)}, c.After...)})
		})
	})
}

// judgeCopy: a copy that says certificate n is the tables of n.
func (s *sim) judgeCopy(c *curated.Consumer) {
	s.t.Helper()
	n := c.Copy().Number
	got := map[string]string{}
	require.NoError(s.t, c.Copy().Entities(func(key string, value []byte) error {
		got[key] = string(value[5:])
		return nil
	}))
	s.claims++
	s.want(keyed(s.tables.at(n)), got, "copy of certificate %d", n)
}

// judgeMarkers: of each marker ever written, everything of its certificate stood before it. What an
// older publisher wrote while the marker was under way, behind the proven part, may be set aside,
// and so may an entity that a publisher ahead has written anew: compaction may have taken what the
// marker's publisher would have replaced. It is what the digest is for.
func (s *sim) judgeMarkers() {
	s.t.Helper()
	all := s.log.All()
	for i, m := range all {
		if m.Key != curated.MarkerKey {
			continue
		}
		told, err := curated.ParseMarker(m.Value)
		require.NoError(s.t, err)
		whole, sound := upTo(all[:i], m.Number, math.MaxInt64), upTo(all[:i], m.Number, told.Proven)
		want := keyed(s.tables.at(m.Number))
		for _, r := range all[:i] {
			if r.Number > m.Number {
				delete(want, r.Key)
				delete(whole, r.Key)
				delete(sound, r.Key)
			}
		}
		for _, got := range []map[string]string{whole, sound} {
			for k := range got {
				if whole[k] != want[k] && sound[k] != want[k] {
					s.broken("before the marker of %d, %s: want %q, got %q or %q", m.Number, k, want[k],
						whole[k], sound[k])
				}
			}
		}
		for k := range want {
			if whole[k] == "" && sound[k] == "" {
				s.broken("before the marker of %d, %s is missing", m.Number, k)
			}
		}
	}
}

// upTo is what records say by certificate n; those of earlier ones count only below an offset.
func upTo(records []curated.Record, n, below int64) map[string]string {
	best := map[string]curated.Record{}
	for _, r := range records {
		counts := r.Number == n || r.Number < n && r.Offset < below
		if r.Key != curated.MarkerKey && counts && r.Number >= best[r.Key].Number {
			best[r.Key] = r
		}
	}
	var last []curated.Record
	for _, r := range best {
		last = append(last, r)
	}
	return newest(last)
}

func (s *sim) want(want, got any, what string, args ...any) {
	if fmt.Sprint(want) != fmt.Sprint(got) {
		s.broken("%s: want %v, got %v", fmt.Sprintf(what, args...), want, got)
	}
}

func (s *sim) broken(format string, args ...any) {
	if s.fault == "" {
		s.fault = fmt.Sprintf(format, args...)
	}
}

// finish lets one actor work in peace, to its end.
func (s *sim) finish(a *actor) {
	for range 5_000 {
		if s.run(a); a.ended {
			return
		}
	}
	s.broken("a %s does not end", a.name)
}

// play is one seed.
func (s *sim) play(dirs [2]string) {
	for range 400 {
		if s.fault != "" {
			return
		}
		s.world()
		publishers, consumers := 0, 0
		for _, a := range s.actors {
			if a.name == "publisher" {
				publishers++
			} else {
				consumers++
			}
		}
		if publishers < 3 && s.rand.IntN(12) == 0 {
			s.start("publisher", s.publish)
		}
		if consumers < 1 && s.rand.IntN(6) == 0 {
			s.start("consumer", s.follow(dirs[0]))
		}
		if len(s.actors) > 0 {
			s.run(s.actors[s.rand.IntN(len(s.actors))])
		}
	}
	s.conclude(dirs)
}

// world is what happens beside: certificates, late records, compaction.
func (s *sim) world() {
	if len(s.tables.states) < 12 && s.rand.IntN(30) == 0 {
		s.tables.next(s.rand)
	}
	if len(s.late) > 0 && s.rand.IntN(15) == 0 {
		i := s.rand.IntN(len(s.late))
		_ = s.log.Append(context.Background(), s.late[i])
		s.late = slices.Delete(s.late, i, i+1)
	}
	if _, end, _ := s.log.Bounds(context.Background()); s.rand.IntN(20) == 0 && end > 0 {
		s.counts["compactions"]++
		below := s.rand.Int64N(end + 1)
		s.log.Compact(below, s.rand.Int64N(below+1))
		s.naive()
	}
	if head := int64(len(s.tables.states)); s.rand.IntN(100) == 0 && head > s.tables.kept {
		s.tables.kept++
	}
}

// naive is what readers of the whole log would claim that go by the order of the log, or by numbers
// without the digest: each must be wrong now and then, else nothing is shown by those that are not.
func (s *sim) naive() {
	var marker int64
	best := map[string]curated.Record{}
	for _, r := range s.log.Held() {
		if r.Key == curated.MarkerKey {
			marker = max(marker, r.Number)
		} else if r.Number >= best[r.Key].Number {
			best[r.Key] = r
		}
	}
	if marker == 0 {
		return
	}
	var records []curated.Record
	for _, r := range best {
		if r.Number <= marker {
			records = append(records, r)
		}
	}
	want := fmt.Sprint(keyed(s.tables.at(marker)))
	if fmt.Sprint(newest(s.log.Held())) != want {
		s.counts["wrong by order"]++
	}
	if fmt.Sprint(newest(records)) != want {
		s.counts["wrong without digest"]++
	}
}

// conclude lets everything that is under way happen, and then one publisher and the consumers work in
// peace: the topic and every copy must be the newest tables.
func (s *sim) conclude(dirs [2]string) {
	for range 50_000 {
		if len(s.actors) == 0 || s.fault != "" {
			break
		}
		s.run(s.actors[s.rand.IntN(len(s.actors))])
	}
	if s.fault == "" && len(s.actors) > 0 {
		s.broken("%d processes do not end", len(s.actors))
	}
	if s.fault != "" {
		return
	}
	if len(s.tables.states) == 0 {
		s.tables.next(s.rand)
	}
	for _, part := range s.late {
		_ = s.log.Append(context.Background(), part)
	}
	s.late, s.calm = nil, true
	p := s.start("publisher", s.publish)
	if s.finish(p); p.err != nil {
		s.broken("the last publisher: %v", p.err)
	}
	head := int64(len(s.tables.states))
	s.judgeTopic(head)
	s.judgeMarkers()
	if s.rand.IntN(2) == 0 {
		s.log.Compact(math.MaxInt64, math.MaxInt64)
	}
	for _, dir := range dirs {
		c := s.start("consumer", s.follow(dir))
		s.finish(c)
		got, err := curated.OpenCopy(dir)
		require.NoError(s.t, err)
		s.want(head, got.Number, "certificate of the copy at the end (%v)", c.err)
	}
}

// playSeed gives what is wrong, "" = nothing.
func playSeed(t *testing.T, seed uint64, m mistake, counts map[string]int) string {
	t.Helper()
	s := &sim{t: t, rand: rand.New(rand.NewPCG(seed, 0)), log: curatedtest.NewLog("topic"),
		tables: &memoryTables{}, mistake: m, counts: counts}
	s.play([2]string{t.TempDir(), t.TempDir()})
	counts["claims"] += s.claims
	return s.fault
}

func seeds(name string, usual int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return usual
}

// TestSimulation: FLIS_CURATED_SEEDS=n plays more, FLIS_CURATED_SEED=n one again.
func TestSimulation(t *testing.T) {
	counts := map[string]int{}
	if one, err := strconv.ParseUint(os.Getenv("FLIS_CURATED_SEED"), 10, 64); err == nil {
		require.Empty(t, playSeed(t, one, mistake{}, counts))
		return
	}
	for seed := range uint64(seeds("FLIS_CURATED_SEEDS", 150)) {
		require.Empty(t, playSeed(t, seed, mistake{}, counts), "FLIS_CURATED_SEED=%d", seed)
	}
	t.Log(counts)
	for _, what := range []string{"deaths", "refusals", "late", "doubled", "lost answers", "repaired",
		"topics judged", "renewed", "loads", "compactions", "claims", "wrong by order",
		"wrong without digest"} {
		require.NotZero(t, counts[what], "%s must happen", what)
	}
}
