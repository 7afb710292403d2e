package sinks

import "github.com/flis-dk/flis/schemas"

// A replay states the verdict on a record again: a row of ordinal 0 in a later generation. It
// holds, beside the verdict, what the accounts cannot know of an id that they have let go:
//
//	Snapshot  the outcome before; "" = the record was not counted for this municipality
//	From      the day that it is counted on; Always = a later record of the id counts instead
//	Op        OpWithdrawn where the record is another municipality's from now on
func verdictAgain(verdict, before *schemas.Row, counted schemas.Day, generation int32) schemas.Row {
	r := *verdict
	r.Generation, r.From, r.To = generation, counted, schemas.Open
	r.Payload, r.Headers, r.RawKey, r.Snapshot = nil, nil, nil, ""
	if before.Kommune == verdict.Kommune {
		r.Snapshot = string(before.Outcome)
	}
	return r
}

// verdictWithdrawn takes a record out of the accounts of a municipality.
func verdictWithdrawn(before *schemas.Row, counted schemas.Day, generation int32) schemas.Row {
	r := verdictAgain(before, before, counted, generation)
	r.Op = schemas.OpWithdrawn
	return r
}

// again takes in a verdict of a later generation. While the id is held, what it is counted as is
// known, and only the last record of the id, or one like it, can change it.
func (a *Accounts) again(r *schemas.Row) {
	class := classOf(r.Outcome)
	if r.Op == schemas.OpWithdrawn {
		class = classNone
	}
	id := fingerprint(r.EventID)
	set := a.idsOf(r.Kommune)
	old, ok := set.find(id)
	switch {
	case ok && old.day() >= a.newest-DuplicateDays:
		if old.content() == contentOf(r) {
			a.move(r, old.day(), old.class(), class)
			set.put(id, newIDInfo(old.day(), old.content(), class))
		}
	case r.From == schemas.Always:
	case r.Snapshot == "":
		info := newIDInfo(r.From, contentOf(r), class)
		set.add(id, info)
		a.count(r, info, 1)
	default:
		a.move(r, r.From, classOf(schemas.Outcome(r.Snapshot)), class)
	}
}

// move counts a record of a day otherwise than before.
func (a *Accounts) move(r *schemas.Row, d schemas.Day, from, to uint8) {
	x := a.of(r.Kommune, d)
	x.add(from, -1)
	x.add(to, 1)
	if f := fileOf(r.EventID); f != "" && (from == classNone) != (to == classNone) {
		x.Files[f]++
		if to == classNone {
			x.Files[f] -= 2
		}
	}
}

// counting follows, for some event ids, which record each municipality's accounts count an id by,
// as Accounts do.
type counting struct {
	ids    map[uint64]bool
	newest schemas.Day
	held   map[countingKey]countedBy
}

type countingKey struct {
	kommune schemas.Kommunekode
	id      uint64
}

type countedBy struct {
	stream schemas.Stream
	offset int64
	day    schemas.Day
}

func newCounting(ids map[uint64]bool) *counting {
	return &counting{ids: ids, newest: schemas.Always, held: map[countingKey]countedBy{}}
}

// add takes in a row of ordinal 0, in order of the journal.
func (c *counting) add(r *schemas.Row) {
	c.newest = max(c.newest, r.Leverance)
	id := fingerprint(r.EventID)
	if !c.ids[id] || r.Event == schemas.ControlEvent {
		return
	}
	key := countingKey{r.Kommune, id}
	old, ok := c.held[key]
	is := countedBy{r.Stream, r.Offset, r.Leverance}
	switch {
	case r.Generation > 0 && r.Op == schemas.OpWithdrawn:
		if ok && old.stream == r.Stream && old.offset == r.Offset {
			delete(c.held, key)
		}
		return
	case r.Generation > 0 && (ok || r.From == schemas.Always):
		return
	case r.Generation > 0:
		is.day = r.From
	case ok && old.day >= c.newest-DuplicateDays:
		is.day = old.day
	}
	c.held[key] = is
}

// day is the one that a record is counted on; Always where another of its id is counted.
func (c *counting) day(r *schemas.Row) schemas.Day {
	x, ok := c.held[countingKey{r.Kommune, fingerprint(r.EventID)}]
	if !ok || x.stream != r.Stream || x.offset != r.Offset {
		return schemas.Always
	}
	return x.day
}

// dayAt is the day that a record is to be counted on for a municipality from now on.
func (c *counting) dayAt(k schemas.Kommunekode, r *schemas.Row) schemas.Day {
	if _, ok := c.held[countingKey{k, fingerprint(r.EventID)}]; ok && k != r.Kommune {
		return schemas.Always
	}
	return c.day(r)
}
