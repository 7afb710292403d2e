package generate

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// seals counts a vendor's events of a municipality and day.
type seals map[sealKey]*sealCount

type sealKey struct {
	system  schemas.System
	kommune schemas.Kommunekode
	day     schemas.Day
}

type sealCount struct{ onTime, late int64 }

// arrival is when an event comes, and whether that is late by its day's habit.
func (w *writer) arrival(s *statement) (schemas.Day, bool) {
	h := w.o.habitOf(s.system, s.kommune, s.day)
	if h.lag == 0 || dice(s, "sen")%uint64(h.share) != 0 {
		return s.day, false
	}
	return min(s.day+h.lag, w.o.last()), true
}

// dice is drawn for one event and one question.
func dice(s *statement, question string) uint64 {
	f := fnv.New64a()
	_, _ = f.Write([]byte(question))
	_, _ = f.Write([]byte(s.system))
	_, _ = f.Write([]byte(s.id)) // a hash takes all
	return newRandom(f.Sum64()).next() >> 8
}

// statements writes the events and what is known by them.
func (w *writer) statements(all []statement) error {
	sortStatements(all)
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].entity == all[0].entity {
			n++
		}
		if err := w.entity(all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// entity writes what is said of one entity, in the order of saying: its truth changes when a later
// word than those known comes.
func (w *writer) entity(all []statement) error {
	type word struct {
		nr      int
		arrives schemas.Day
	}
	var words []word
	for i := range all {
		s := &all[i]
		if err := w.truth(realName, s.day, s.entity, func() []Row { return s.rows }); err != nil {
			return err
		}
		arrives, late := w.arrival(s)
		w.count(s, late)
		data := s.data
		if s.first != nil {
			data = s.first
		}
		if err := w.event(s, arrives, data); err != nil {
			return err
		}
		if s.first != nil {
			arrives = min(arrives+2, w.o.last())
			if err := w.event(s, arrives, s.data); err != nil {
				return err
			}
		} else if !w.o.Quiet && dice(s, "igen")%resendEvery == 0 {
			again := min(arrives+schemas.Day(dice(s, "hvornaar")%3), w.o.last())
			if err := w.event(s, again, s.data); err != nil {
				return err
			}
		}
		words = append(words, word{i, arrives})
	}
	slices.SortStableFunc(words, func(a, b word) int { return int(a.arrives) - int(b.arrives) })
	best := -1
	for i, x := range words {
		best = max(best, x.nr)
		if i+1 < len(words) && words[i+1].arrives == x.arrives {
			continue
		}
		err := w.truth(knownName, x.arrives, all[best].entity, func() []Row { return all[best].rows })
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) count(s *statement, late bool) {
	k := sealKey{s.system, s.kommune, s.day}
	c := w.seals[k]
	if c == nil {
		c = &sealCount{}
		w.seals[k] = c
	}
	if late {
		c.late++
	} else {
		c.onTime++
	}
}

// event writes a line into the file of the day on which it comes.
func (w *writer) event(s *statement, arrives schemas.Day, data []byte) error {
	return w.line(s.system, s.kommune, arrives, s.id, s.event, s.at, s.day, data)
}

func (w *writer) line(system schemas.System, k schemas.Kommunekode, arrives schemas.Day, id,
	event string, at schemas.Instant, day schemas.Day, data []byte) error {
	f, err := w.at(arrives, vendorFile(system, arrives))
	if f == nil || err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, `{"specversion":"1.0","id":"%s","source":"//%s/%s","type":"%s",`+
		`"time":"%s","flis_leverance":"%s","data":%s}`+"\n", id, system, source(system, k), event,
		isoTime(at), day, data)
	return err
}

// seal writes the vendors' own counts, of a day without events too: silence would be no statement.
func (w *writer) seal() error {
	for _, k := range w.denmark.kommuner {
		for d := w.o.From; d <= w.o.last(); d++ {
			for _, a := range w.market[k] {
				c := w.seals[sealKey{a.system, k, d}]
				owns := d >= a.from && d < a.until
				if c == nil && !owns {
					continue
				}
				if c == nil {
					c = &sealCount{}
				}
				if err := w.sealDay(a.system, k, d, c); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (w *writer) sealDay(
	s schemas.System,
	k schemas.Kommunekode,
	d schemas.Day,
	c *sealCount,
) error {
	h := w.o.habitOf(s, k, d)
	late := min(d+h.lag, w.o.last())
	all := c.onTime + c.late
	switch {
	case h.lag == 0 || h.sealed == sealsAll:
		return w.sealLine(s, k, d, d, 1, all)
	case h.sealed == sealsLater:
		return w.sealLine(s, k, late, d, 1, all)
	}
	if err := w.sealLine(s, k, d, d, 1, c.onTime); err != nil {
		return err
	}
	return w.sealLine(s, k, late, d, 2, all)
}

func (w *writer) sealLine(s schemas.System, k schemas.Kommunekode, arrives, d schemas.Day, nr int,
	count int64) error {
	at := arrives.Midnight() + schemas.Instant(20*60+nr)*60_000_000
	return w.line(s, k, arrives, fmt.Sprintf("segl-%s-%d", d, nr), "kontrol", at, d,
		fmt.Appendf(nil, `{"slags":"segl","leverance":"%s","antal":%d}`, d, count))
}
