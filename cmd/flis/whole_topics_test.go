package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/flis-dk/flis/cmd/flis/topictables"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/streams/curated"
)

// topicUnits are the units that have subscribers.
func (s *wholeSim) topicUnits() []schemas.Unit { return s.in.agreements.Units() }

// publish is a life of a publisher: every subscribed unit once.
func (s *wholeSim) publishTopics(ctx context.Context, p *wholeProcess) error {
	for _, u := range s.topicUnits() {
		tables, err := s.openTopicTables(p.tables, u)
		if err != nil {
			return err
		}
		ids, marker, err := s.in.curatedSchemas(ctx, tables)
		if err != nil {
			return err
		}
		var log curated.Log = &wholeLog{wholeHandle: p.broker, unit: u}
		if s.mistake.log != nil {
			log = s.mistake.log(s, log)
		}
		publisher := &curated.Publisher{Unit: u, Log: log, Tables: tables,
			Key: curated.MunicipalityKey([]byte("key"), u.Kommune), Schemas: ids, MarkerID: marker}
		if _, err := publisher.Run(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *wholeSim) openTopicTables(st store.Store, u schemas.Unit) (*topictables.Tables, error) {
	return topictables.Open(st, u, s.in.datasets, s.scratch)
}

// follow is a life of a subscriber: every unit once. Each copy that it holds is that of the tables of
// its certificate, now.
func (s *wholeSim) follow(ctx context.Context, p *wholeProcess) error {
	for _, u := range s.topicUnits() {
		if err := s.catch(ctx, p, u, "kopi"); err != nil {
			return err
		}
	}
	return nil
}

func (s *wholeSim) catch(ctx context.Context, p *wholeProcess, u schemas.Unit, name string) error {
	dir := filepath.Join(s.scratch, name, string(u.Kommune), string(u.Area))
	c, err := curated.OpenConsumer(dir, &wholeLog{wholeHandle: p.broker, unit: u},
		curated.Options{NoSync: true})
	if err != nil {
		return err
	}
	defer c.Close()
	caught, err := c.Catch(ctx)
	if err != nil || caught.Number == 0 {
		return err
	}
	return s.compareCopy(u, c.Copy())
}

func (s *wholeSim) compareCopy(u schemas.Unit, c *curated.Copy) error {
	tables, err := s.openTopicTables(s.tables, u)
	if err != nil {
		return err
	}
	all, err := curated.Compare(s.ctx, c, tables, curated.MunicipalityKey([]byte("key"), u.Kommune))
	if err != nil {
		return err
	}
	for _, d := range all {
		return fmt.Errorf("the copy of %s is not certificate %d: %s has %d entities, the tables %d", u,
			c.Number, d.Dataset, d.Copy, d.Tables)
	}
	return nil
}

// judgeTopics: the subscriber's copy, and one that begins now behind a compaction, are the newest
// tables; and each marker that was ever written stood behind what it promises.
func (s *wholeSim) judgeTopics() error {
	p := s.process(nil)
	if err := s.publishTopics(s.ctx, p); err != nil {
		return err
	}
	for _, u := range s.topicUnits() {
		tables, err := s.openTopicTables(s.tables, u)
		if err != nil {
			return err
		}
		head, err := tables.Head(s.ctx)
		if err != nil {
			return err
		}
		if err := s.promises(u, tables); err != nil {
			return fmt.Errorf("topic of %s: %w", u, err)
		}
		if err := s.catch(s.ctx, p, u, "kopi"); err != nil {
			return err
		}
		s.broker.curated(u).compact(true)
		if err := s.catch(s.ctx, p, u, "ny"); err != nil {
			return err
		}
		for _, name := range []string{"kopi", "ny"} {
			c, err := curated.OpenCopy(filepath.Join(s.scratch, name, string(u.Kommune), string(u.Area)))
			if err != nil {
				return err
			}
			if c.Number != head {
				return fmt.Errorf("the copy of %s stands at certificate %d, the tables at %d", u, c.Number,
					head)
			}
		}
	}
	return nil
}

// promises reads the topic as it was before compaction: what stands before a marker of certificate n,
// of numbers up to n the newest of each key, is the tables of n.
func (s *wholeSim) promises(u schemas.Unit, tables *topictables.Tables) error {
	key := curated.MunicipalityKey([]byte("key"), u.Kommune)
	seen := map[int64]bool{}
	history := s.broker.curated(u).history
	for i, r := range history {
		if r.Key != curated.MarkerKey || seen[r.Number] {
			continue
		}
		seen[r.Number] = true
		is := map[string][]byte{}
		number := map[string]int64{}
		for _, x := range history[:i] {
			if x.Key != curated.MarkerKey && x.Number <= r.Number && x.Number >= number[x.Key] {
				is[x.Key], number[x.Key] = x.Value, x.Number
			}
		}
		err := tables.Changes(s.ctx, 0, r.Number, func(c *curated.Change) error {
			k := curated.EntityKey(key, c.Dataset, c.Key)
			if !bytes.HasSuffix(is[k], c.After) || is[k] == nil {
				return fmt.Errorf("the marker of certificate %d stands before a record of %s", r.Number,
					c.Dataset)
			}
			delete(is, k)
			return nil
		})
		if err != nil {
			return err
		}
		for k, v := range is {
			if v != nil {
				return fmt.Errorf("the marker of certificate %d stands before the end of an entity of %s",
					r.Number, strings.SplitN(k, "/", 2)[0])
			}
		}
	}
	return nil
}

// markerFirst writes a certificate's marker, made of an earlier one, before its records.
type markerFirst struct {
	curated.Log
	sim *wholeSim
}

func (l markerFirst) Append(ctx context.Context, records []curated.Record) error {
	whole, ok := l.Log.(*wholeLog)
	if !ok {
		return errors.New("plant a mistake: another log")
	}
	n := records[0].Number
	var early *curated.Record
	for _, r := range l.sim.broker.curated(whole.unit).history {
		if r.Key == curated.MarkerKey && r.Number == n || records[0].Key == curated.MarkerKey {
			early = nil
			break
		}
		if m, err := curated.ParseMarker(r.Value); err == nil && r.Key == curated.MarkerKey {
			m.Number, m.Proven = n, l.sim.broker.curated(whole.unit).next
			c := r
			c.Number, c.Value = n, append(bytes.Clone(r.Value[:5]), m.Avro()...)
			early = &c
		}
	}
	if early != nil {
		records = append([]curated.Record{*early}, records...)
	}
	return l.Log.Append(ctx, records)
}
