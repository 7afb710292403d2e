package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/transforms"
)

// wholeSim is the whole system in one process: vendors, normalisers and closers over a broker and
// a store in memory. One operation of one process happens at a time, in an order that the seed
// gives, and each may be refused, lose its answer or be the last of its process.
type wholeSim struct {
	ctx      context.Context
	rng      *rand.Rand
	in       *installation       // configuration only: stores are the simulation's
	catalog  *transforms.Catalog // that a process works with which starts now
	mend     int                 // deliveries after which the catalog is mended; 0 = it is right
	fed      int
	world    *wholeWorld
	broker   *wholeBroker
	internal *store.Memory
	tables   *store.Memory
	mistake  wholeMistake
	scratch  string
	now      time.Time
	fail     float64 // chance of a fault at an operation
	actors   []*wholeActor
	started  int
	failed   error // what must never happen, in an actor
	deaths   int
	steps    int
}

// wholeActor is a process that is started again whenever it dies.
type wholeActor struct {
	name   string
	live   func(ctx context.Context, p *wholeProcess) error
	lives  int // it ends after so many rounds
	resume chan store.Fault
	pause  chan bool // true: before an operation; false: it has ended
	op     store.Op
	on     bool
}

// wholeProcess is one life of an actor: its handles die together.
type wholeProcess struct {
	writer           string
	internal, tables store.Store
	broker           *wholeHandle
	closer           *sinks.Closer
	skew             time.Duration // of its clock
	sim              *wholeSim
}

func (s *wholeSim) hook(a *wholeActor, dead *bool) store.Hook {
	return func(op store.Op, _ string) store.Fault {
		if *dead {
			return store.CrashBefore
		}
		a.op = op
		a.pause <- true
		f := <-a.resume
		if f == store.CrashBefore || f == store.CrashAfter {
			*dead = true
		}
		return f
	}
}

// process starts one; without an actor nothing happens to it.
func (s *wholeSim) process(a *wholeActor) *wholeProcess {
	s.started++
	p := &wholeProcess{writer: fmt.Sprint("w", s.started), sim: s,
		broker: &wholeHandle{broker: s.broker}}
	var hook store.Hook
	if a != nil {
		dead := new(bool)
		hook = s.hook(a, dead)
		p.skew = time.Duration(s.rng.IntN(3)-1) * 24 * time.Hour * time.Duration(s.rng.IntN(2))
		p.broker.hook = hook
	}
	p.internal, p.tables = s.internal.With(hook), s.tables.With(hook)
	if s.mistake.internal != nil {
		p.internal = s.mistake.internal(p.internal)
	}
	if s.mistake.tables != nil {
		p.tables = s.mistake.tables(p.tables)
	}
	return p
}

// act lives an actor's lives.
func (s *wholeSim) act(a *wholeActor) {
	defer func() { a.pause <- false }()
	p := s.process(a)
	for range a.lives {
		err := a.live(s.ctx, p)
		if !mayGoOn(err) {
			s.failed = errors.Join(s.failed, fmt.Errorf("%s: %w", a.name, err))
			return
		}
		if err != nil {
			p = s.process(a)
		}
	}
}

func (s *wholeSim) start(name string, lives int, live func(context.Context, *wholeProcess) error) {
	s.actors = append(s.actors, &wholeActor{name: name, live: live, lives: lives,
		resume: make(chan store.Fault), pause: make(chan bool)})
}

func (s *wholeSim) fault(op store.Op) store.Fault {
	if s.rng.Float64() >= s.fail {
		return store.Proceed
	}
	faults := []store.Fault{store.CrashBefore, store.CrashAfter, store.Refuse}
	if op == store.OpCreate {
		faults = append(faults, store.LoseAnswer, store.LoseRequest)
	}
	f := faults[s.rng.IntN(len(faults))]
	if f == store.CrashBefore || f == store.CrashAfter {
		s.deaths++
	}
	return f
}

// run lets all actors live, while the world goes on.
func (s *wholeSim) run() error {
	for _, a := range s.actors {
		go s.act(a)
		a.on = <-a.pause
	}
	for {
		var ready []*wholeActor
		for _, a := range s.actors {
			if a.on {
				ready = append(ready, a)
			}
		}
		if len(ready) == 0 {
			return s.failed
		}
		if s.rng.IntN(wholeWorldPace) == 0 {
			if err := s.step(); err != nil {
				s.failed = errors.Join(s.failed, err)
			}
		}
		a := ready[s.rng.IntN(len(ready))]
		s.steps++
		a.resume <- s.fault(a.op)
		a.on = <-a.pause
	}
}

// wholeWorldPace is how many operations there are, on average, between two steps of the world.
const wholeWorldPace = 60

// step lets the world go on: a vendor sends the next file, or the clock goes to the next one.
func (s *wholeSim) step() error {
	if units := s.topicUnits(); s.rng.IntN(3) == 0 {
		s.broker.curated(units[s.rng.IntN(len(units))]).compact(s.rng.IntN(2) == 0)
	}
	d, ok := s.world.next()
	if !ok {
		return nil
	}
	if d.at.After(s.now) {
		s.now = d.at
	}
	return s.feed(&d)
}

// feed publishes a delivery as a vendor does who tries again until it has an answer.
func (s *wholeSim) feed(d *wholeDelivery) error {
	if s.fed++; s.fed == s.mend {
		s.catalog = s.in.catalog
	}
	const tries = 4
	for i := range tries {
		h := &wholeHandle{broker: s.broker}
		if i < tries-1 {
			h.hook = func(op store.Op, _ string) store.Fault {
				if f := s.fault(op); f == store.CrashAfter || f == store.LoseAnswer {
					return f
				}
				return store.Proceed
			}
		}
		err := s.publish(h, d)
		if err == nil || !mayGoOn(err) {
			return err
		}
	}
	return nil
}

// normalise is a life of a normaliser: every system once.
func (s *wholeSim) normalise(ctx context.Context, p *wholeProcess) error {
	for _, system := range s.in.systems() {
		if err := p.normalise(ctx, system); err != nil {
			return err
		}
	}
	return nil
}

func (p *wholeProcess) normalise(ctx context.Context, system schemas.System) error {
	s := p.sim
	journal, err := sinks.OpenJournal(ctx, p.internal, system)
	if err != nil {
		return err
	}
	var topics []string
	for _, e := range append(s.in.catalog.Events(system), schemas.ControlEvent) {
		if name := schemas.RawTopic(system, e); !slices.Contains(topics, name) {
			topics = append(topics, name)
		}
	}
	n := &streams.Normaliser{System: system,
		Source: &wholeSource{wholeHandle: p.broker, topics: topics, most: 1 + s.rng.IntN(40)},
		Sink:   journalSink{journal: journal, writer: p.writer},
		Judge:  s.catalog.Judge, Park: s.catalog.Park, Clock: s.clock,
		MaxBytes: 1 + s.rng.IntN(40_000)}
	return n.Run(ctx, true)
}

// replay is a life of who brings the journals to the catalog as it is now.
func (s *wholeSim) replay(ctx context.Context, p *wholeProcess) error {
	for _, system := range s.in.systems() {
		journal, err := sinks.OpenJournal(ctx, p.internal, system)
		if err != nil {
			return err
		}
		r := &sinks.Replay{Journal: journal, Writer: p.writer, Dir: s.scratch,
			Print: s.catalog.SystemFingerprint(system), Judge: s.catalog.JudgeAgain}
		if _, err := r.Run(ctx, func(*sinks.ReplayResult) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// clock is the moment; a process asks for it as it would ask its own.
func (s *wholeSim) clock() time.Time { return s.now }

// close is a life of a closer: one round.
func (s *wholeSim) close(ctx context.Context, p *wholeProcess) error {
	if p.closer == nil {
		deps, err := p.closeDeps()
		if err != nil {
			return err
		}
		p.closer = sinks.NewCloser(deps)
	}
	report, err := p.closer.Round(ctx, s.now.Add(p.skew), nil)
	if err != nil {
		return err
	}
	return mayFail(report)
}

func (p *wholeProcess) closeDeps() (sinks.Deps, error) {
	s := p.sim
	engine, err := sinks.NewTables(sinks.TablesConfig{State: p.internal, Delivered: p.tables,
		Datasets: s.in.datasets, Dir: filepath.Join(s.scratch, p.writer), Budget: 64 << 20})
	if err != nil {
		return sinks.Deps{}, err
	}
	d := sinks.Deps{Journal: sinks.JournalEvents(p.internal), Tables: p.tables, Engine: engine,
		Agreements: s.in.agreements, Datasets: s.in.datasets, Clock: s.clock, Writer: p.writer,
		Workers: 1}
	if s.mistake.deps != nil {
		s.mistake.deps(&d)
	}
	return d, nil
}

// mayFail gives a unit's error: the first that is none of the simulated world, else any.
func mayFail(r *sinks.Report) error {
	var first error
	for _, u := range slices.SortedFunc(maps.Keys(r.Failed), compareUnit) {
		err := fmt.Errorf("close %s: %w", u, r.Failed[u])
		if !mayGoOn(err) {
			return err
		}
		first = err
	}
	return first
}

func compareUnit(a, b schemas.Unit) int {
	if a.String() < b.String() {
		return -1
	}
	return 1
}

// settle lets healthy processes come to the end, days after all deadlines.
func (s *wholeSim) settle() error {
	for {
		d, ok := s.world.next()
		if !ok {
			break
		}
		if d.at.After(s.now) {
			s.now = d.at
		}
		if err := s.feed(&d); err != nil {
			return err
		}
	}
	p := s.process(nil)
	if err := s.normalise(s.ctx, p); err != nil {
		return err
	}
	if err := s.replay(s.ctx, p); err != nil {
		return err
	}
	s.now = s.now.Add(3 * 24 * time.Hour)
	for range 4 {
		if err := s.close(s.ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// quietCommand is where nothing is printed.
func quietCommand() *cobra.Command {
	c := &cobra.Command{}
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	return c
}
