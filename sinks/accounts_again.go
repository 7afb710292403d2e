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
	ok = ok && old.day() >= a.newest-DuplicateDays // as if the others were forgotten at once
	if !ok && a.parked[id] == r.Kommune {
		delete(a.parked, id)
	}
	switch {
	case ok && (r.From == schemas.Always || r.From == old.day()):
		if old.content() == contentOf(r) {
			a.move(r, old.day(), old.class(), class)
			set.put(id, newIDInfo(old.day(), old.content(), class))
		}
	case r.From == schemas.Always || ok && r.Snapshot == "" && old.class() != classNone &&
		near(old.day(), r.From):
	case r.Snapshot == "":
		info := newIDInfo(r.From, contentOf(r), class)
		set.add(id, info)
		a.count(r, info, 1)
	default:
		a.move(r, r.From, classOf(schemas.Outcome(r.Snapshot)), class)
	}
}

// near says whether records of two days are one event if they have one id.
func near(a, b schemas.Day) bool { return a <= b+DuplicateDays && b <= a+DuplicateDays }

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

// counting follows, for some event ids, which records the municipalities' accounts count them by,
// as Accounts do: the last record of an id within the delivery window.
type counting struct {
	ids    map[uint64]bool
	newest schemas.Day
	last   map[countingKey]recordPlace // that counts for the id
	days   map[recordPlace]schemas.Day // of each record that counts
}

type countingKey struct {
	kommune schemas.Kommunekode
	id      uint64
}

func newCounting(ids map[uint64]bool) *counting {
	return &counting{ids: ids, newest: schemas.Always, last: map[countingKey]recordPlace{},
		days: map[recordPlace]schemas.Day{}}
}

// add takes in a row of ordinal 0, in order of the journal.
func (c *counting) add(r *schemas.Row) {
	c.newest = max(c.newest, r.Leverance)
	id := fingerprint(r.EventID)
	if !c.ids[id] || r.Event == schemas.ControlEvent {
		return
	}
	key, is := countingKey{r.Kommune, id}, placeOf(r)
	old, ok := c.last[key]
	day := r.Leverance
	switch {
	case r.Op == schemas.OpWithdrawn:
		if ok && old == is {
			delete(c.last, key)
		}
		return
	case r.Generation > 0 && (ok || r.From == schemas.Always):
		return
	case r.Generation > 0:
		day = r.From
	case ok && c.days[old] >= c.newest-DuplicateDays:
		day = c.days[old]
		delete(c.days, old)
	}
	c.last[key], c.days[is] = is, day
}

// day is the one that a record is counted on; Always where another of its id is counted.
func (c *counting) day(r *schemas.Row) schemas.Day {
	if d, ok := c.days[placeOf(r)]; ok {
		return d
	}
	return schemas.Always
}

// dayAt is the day that a record is to be counted on for a municipality from now on; Always also
// where the id was sent again meanwhile and is counted there: it stays on the day of that record.
func (c *counting) dayAt(k schemas.Kommunekode, r *schemas.Row) schemas.Day {
	last, ok := c.last[countingKey{k, fingerprint(r.EventID)}]
	if ok && k != r.Kommune && near(c.days[last], c.day(r)) {
		return schemas.Always
	}
	return c.day(r)
}
