package transforms

import (
	"strconv"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
)

// run maps the record whose values the machine holds. Snapshot rows come first: their order key is
// then less than that of the members, which so win over what the snapshot takes back
// (schemas/row.go). A record that gives nothing is one of three: ignored by the mapping's list, of
// municipalities that have no agreement, or taken by no target, which parks it. Nothing is dropped
// in silence (invariant 1). Where any row is at fault all are thrown away: settle cuts back to
// ordinal 0.
func (v *verdict) run() {
	p, m := v.p.program, v.m
	if !v.statement(p) {
		return
	}
	if p.snapshot != nil && (p.snapshot.when == nil || m.test(p.snapshot.when)) {
		if v.snapshot(p.snapshot); m.parked || m.fires(p.snapshot.empty) {
			return
		}
	}
	for i := range p.snapshots {
		v.itemSnapshots(&p.snapshots[i])
	}
	taken := v.targets(&p.root)
	items := false
	for i := range p.groups {
		items = v.group(&p.groups[i]) || items
	}
	if m.parked {
		return
	}
	switch {
	case len(v.rows) == v.first+1 && v.ignored(p.ignore):
		v.ignore()
	case !taken && len(p.root.targets) > 0 && !v.ignored(p.ignore):
		m.park(schemas.CodeMapping, v.hint(&p.root),
			"send a value that the mapping knows, or have it listed under ignore",
			"no target takes the record")
	case len(v.rows) == v.first+1 && v.dropped > 0:
		v.ignore()
	case len(v.rows) == v.first+1 && items:
		v.ignore()
	}
	if v.dropped > 0 {
		m.note(schemas.CodeUnused, ref{}, "",
			strconv.Itoa(v.dropped)+" rows are of municipalities without an agreement")
	}
}

// ignore is the outcome of a record that is left out by rule. It counts as received, so a seal of
// the source still adds up.
func (v *verdict) ignore() {
	v.rows[v.first].Outcome = schemas.Ignored
	v.m.note(schemas.CodeUnused, ref{}, "", "is left out by the mapping's list")
}

// ignored says whether one of the conditions holds. The mapping lists them one by one; within one,
// every field must fit.
func (v *verdict) ignored(tests []test) bool {
	for _, t := range tests {
		if v.m.test(t) {
			return true
		}
	}
	return false
}

// hint is the field to look at where no target takes a record or an item: the first that is not of
// its set.
func (v *verdict) hint(g *group) ref {
	for i := range g.targets {
		for j := range g.targets[i].when {
			if e := &g.targets[i].when[j]; !v.m.equal(e) {
				return e.ref
			}
		}
	}
	if g.array >= 0 {
		return ref{item: true, path: "*"}
	}
	return ref{}
}

// statement reads what all rows of the record share: whose they are, when the source knew
// (kilde_registreret), and what orders them (stated, then sequence). A record may speak for its
// sender and those who name it as indberetter alone (invariant 6), but for sources that are
// national. Ordinal 0 is given the same times,
// so that it sorts with its rows. False after a fault.
func (v *verdict) statement(p *program) bool {
	m := v.m
	if p.kommune != nil && !p.national {
		k, ok := v.holder(p.kommune)
		if !ok {
			return false
		}
		if !v.names(p.kommune, k) {
			return false
		}
	}
	if p.national {
		v.kommune = schemas.National
	}
	if !v.agreed() {
		return false
	}
	ok := true
	if p.registered != nil {
		v.registered, ok = m.moment(p.registered)
	}
	if p.stated != nil {
		var stated bool
		v.stated, stated = m.moment(p.stated)
		ok = ok && stated
	}
	if p.sequence.bound {
		x := m.get(&p.sequence)
		if x.Null {
			m.missing(p.sequence)
		}
		v.sequence = x.Int
	}
	raw := &v.rows[v.first]
	raw.Registered, raw.Stated, raw.Sequence = v.registered, v.stated, v.sequence
	return ok && !m.parked
}

// holder is the municipality that a field names, by the mapping's form. HOLDER is of CPR: a code
// that nobody holds today (Greenland, tax codes) drops the row and parks nothing (model.md section
// 3.2, KOMKOD). Other forms park what is not known. The sender's own name is most often the one
// asked for, so its answer is used again.
func (v *verdict) holder(k *kommuneRef) (schemas.Kommunekode, bool) {
	if k.national {
		return schemas.National, true
	}
	text := v.m.textOf(&k.ref)
	if text == nil {
		v.m.missing(k.ref)
		return "", false
	}
	if k.form == holderForm {
		if string(text) == string(schemas.National) {
			return schemas.National, true
		}
		code, ok := v.c.lists.Holder(string(text))
		if !ok {
			v.dropped++
		}
		return code, ok
	}
	if last := &v.m.sender; last.known && last.form == k.form && last.named == string(text) {
		return last.kommune, true
	}
	code, ok := v.c.lists.Organisation(k.form, string(text), v.env.leverance)
	if !ok {
		v.m.park(schemas.CodeCode, k.ref, "send a key of a municipality in the form "+k.form+
			", or have the key added to organisationsnoegle", "names no municipality that is known")
	}
	return code, ok
}

// snapshot appends one row per dataset, before the members, and keeps the scope for them. Without a
// day it speaks of all time. One that spans several records needs their number: it takes effect
// when so many members have landed.
func (v *verdict) snapshot(s *snapshot) {
	m := v.m
	scope := m.eval(&s.scope, schemas.Open)
	from := schemas.Always
	if s.from != nil {
		from = v.snapshotDay(s.from)
	}
	row := v.row()
	row.Op, row.From, row.To, row.Absent = schemas.OpSnapshot, from, schemas.Open, s.absent
	if s.id.bound {
		row.Snapshot, row.Count = string(m.textOf(&s.id)), m.get(&s.count).Int
		if row.Snapshot == "" || row.Count <= 0 {
			m.missing(s.id)
		}
	}
	if m.parked {
		return
	}
	row.Scope = string(scope.Bytes)
	if s.array < 0 {
		v.scope, v.oneOf = row.Scope, row.Snapshot
	}
	v.snapshots(s, row)
}

// snapshotDay is the day from which a snapshot speaks.
func (v *verdict) snapshotDay(d *dayRef) schemas.Day {
	from, null, ok := v.m.dayAt(&d.ref, d.form)
	switch {
	case !ok || !null:
	case d.always:
		from = schemas.Always
	case d.leverance:
		from = v.m.lever
	default:
		v.m.missing(d.ref)
	}
	return from
}

// itemSnapshots appends what each item of an array says of its scope.
func (v *verdict) itemSnapshots(s *snapshot) {
	v.items(s.array, func() {
		if v.m.test(s.when) {
			v.snapshot(s)
		}
	})
}

// snapshots appends the snapshot once per dataset; a municipality without agreement parks the
// record.
func (v *verdict) snapshots(s *snapshot, row schemas.Row) {
	row.Kommune = v.kommune
	for _, d := range s.datasets {
		if v.kommune != schemas.National && !v.owns(v.kommune, d.Area()) {
			v.park(noAgreement(""))
			return
		}
		row.Dataset, row.Schema = d, v.c.datasets[d].print
		v.append(&row)
	}
}

// owns says whether the system may speak for the municipality in the area, at any time: the close
// cuts rows to the time that the agreement gives it.
func (v *verdict) owns(k schemas.Kommunekode, area schemas.Area) bool {
	for i, all := 0, v.c.agreements.Of(v.t.system.name, k); i < len(all); i++ {
		if all[i].Area == area && v.mayReport(k, &all[i]) {
			return true
		}
	}
	return false
}

// row is a domain row with what all of the record share. Strings are the raw row's own: no copies.
func (v *verdict) row() schemas.Row {
	raw := &v.rows[v.first]
	return schemas.Row{Stream: raw.Stream, Offset: raw.Offset, System: raw.System,
		EventID: raw.EventID,
		Event:   raw.Event, Arrived: raw.Arrived, Leverance: raw.Leverance,
		Outcome: schemas.Accepted,
		Ordinal: int32(len(v.rows) - v.first), Stated: v.stated, Registered: v.registered,
		Sequence:  v.sequence,
		Canonical: raw.Canonical}
}

// append gives the row its ordinal: its place after the raw record.
func (v *verdict) append(row *schemas.Row) {
	row.Ordinal = int32(len(v.rows) - v.first)
	v.rows = append(v.rows, *row)
}

// group runs an array's targets over its items; an item that none takes must be ignored by list. It
// says whether there were items.
func (v *verdict) group(g *group) bool {
	m := v.m
	return v.items(g.array, func() {
		if !v.targets(g) && !m.parked && !v.ignored(g.ignore) {
			m.park(schemas.CodeMapping, v.hint(g),
				"send a value that the mapping knows, or have it listed under ignore",
				"no target takes the item")
		}
	})
}

// items calls do with each item of an array in the machine; it says whether there were any.
func (v *verdict) items(array int, do func()) bool {
	m, a := v.m, &v.p.program.arrays[array]
	scan := v.p.items[array]
	list := m.record[a.slot]
	if list.Null {
		return false
	}
	m.item = sized(m.item, scan.Len())
	m.array, m.index = a.path, 0
	for cursor := avro.NewCursor(list); cursor.Next(scan, m.item); m.index++ {
		do()
	}
	return m.index > 0
}

// targets runs the targets of a record or item, every one that takes it: one event may feed several
// datasets, or one of them twice (the two phases of a home). False when none takes it.
func (v *verdict) targets(g *group) bool {
	taken := false
	for i := range g.targets {
		t := &g.targets[i]
		if v.takes(t) {
			taken = true
			v.target(t)
		}
	}
	return taken
}

// takes says whether the target is about this record or item: `present` fields are there, `absent`
// ones are null, `when` holds.
func (v *verdict) takes(t *target) bool {
	for i := range t.present {
		if v.m.get(&t.present[i]).Null {
			return false
		}
	}
	for i := range t.absent {
		if !v.m.get(&t.absent[i]).Null {
			return false
		}
	}
	return v.m.test(t.when)
}

// target appends what one target says of the record or item. A delete reads the key alone: the rest
// of a record that is to go may be in any state. An interval without a day says nothing, and is no
// fault: so a person who moved in on the day of the decision never waited.
func (v *verdict) target(t *target) {
	m := v.m
	row := v.row()
	row.Dataset, row.Schema, row.Kommune = t.dataset.Name, t.dataset.print, v.kommune
	row.From, row.To = schemas.Always, schemas.Open
	if !v.place(t, &row) {
		return
	}
	if t.scoped {
		row.Scope, row.Snapshot = v.scope, v.oneOf
	}
	if t.scope != nil {
		row.Scope = string(m.eval(t.scope, schemas.Open).Bytes)
	}
	if t.registered != nil {
		row.Registered, _ = m.moment(t.registered)
	}
	if t.background.bound {
		b := m.get(&t.background)
		row.Background = !b.Null && b.Int == 1
	}
	if m.fires(t.remove) {
		v.remove(t, &row)
		return
	}
	at, ok := v.interval(t, &row)
	if ok && row.From == row.To {
		return
	}
	v.statementOf(t, &row, at)
}

// place finds the municipality of the row; false where the row is dropped or the record parked. A
// national source speaks of municipalities that have not joined: their rows are dropped and
// counted. From any other source a row without agreement parks the record (invariant 6).
func (v *verdict) place(t *target, row *schemas.Row) bool {
	if t.kommune != nil {
		k, ok := v.holder(t.kommune)
		if !ok {
			return false
		}
		row.Kommune = k
	}
	if row.Kommune == schemas.National || v.owns(row.Kommune, t.dataset.Name.Area()) {
		return true
	}
	if v.p.program.national {
		v.dropped++
		return false
	}
	if !v.m.parked {
		v.park(noAgreement(""))
	}
	return false
}

// interval reads the valid time into the row, [From, To) in Danish days. at is the day for dated
// look-ups: the start, as a code is chosen by the law of that day (model.md section 1, Code). ok
// false: a fault is noted.
func (v *verdict) interval(t *target, row *schemas.Row) (at schemas.Day, ok bool) {
	m := v.m
	from, null, ok := m.dayAt(&t.from.ref, t.from.form)
	switch {
	case !ok:
		return schemas.Open, false
	case null && t.from.leverance:
		from = m.lever
	case null && !t.from.always:
		m.missing(t.from.ref)
		return schemas.Open, false
	case null:
		from = schemas.Always
	}
	row.From = from
	if t.to == nil {
		return from, true
	}
	to, null, ok := m.dayAt(&t.to.ref, t.to.form)
	if !ok || null {
		return from, ok
	}
	row.To = to
	if t.to.inclusive {
		row.To++
	}
	if to < from {
		m.park(schemas.CodeDate, t.to.ref, "send an end that is not before the start",
			"is before the start")
		return from, false
	}
	return from, true
}

// remove appends the delete of a key over all time. Codes of the key are looked up at any date: the
// record's own may be missing.
func (v *verdict) remove(t *target, row *schemas.Row) {
	m := v.m
	m.values = sized(m.values, len(t.columns))
	for _, k := range t.dataset.key {
		m.values[k] = m.eval(&t.columns[k], schemas.Open)
	}
	row.Op = schemas.OpDelete
	v.keyed(t.dataset, row)
}

// statementOf appends an upsert, a replace with its upsert, or the delete of a segment. The payload
// is the domain record in Avro without framing, written to the verdict's buffer; a buffer that
// grows leaves earlier payloads where they are.
func (v *verdict) statementOf(t *target, row *schemas.Row, at schemas.Day) {
	m := v.m
	m.values = sized(m.values, len(t.columns))
	for i := range t.columns {
		m.values[i] = m.eval(&t.columns[i], at)
	}
	row.Op = schemas.OpUpsert
	if m.fires(t.withdraw) {
		row.Op = schemas.OpDelete
		v.keyed(t.dataset, row)
		return
	}
	if m.parked {
		return
	}
	start := len(v.buf)
	var err error
	if v.buf, err = t.dataset.flat.Append(v.buf, m.values); err != nil {
		m.park(schemas.CodeMapping, ref{}, "", err.Error())
		return
	}
	row.Payload = v.buf[start:len(v.buf):len(v.buf)]
	if v.keyed(t.dataset, row) && t.replace {
		v.replace(len(v.rows) - 1)
	}
}

// keyed makes the key of the machine's values and appends the row; false after a fault. A key is
// texts joined by schemas.KeySeparator, so no text of it may hold one.
func (v *verdict) keyed(d *dataset, row *schemas.Row) bool {
	m := v.m
	if m.parked {
		return false
	}
	var ok bool
	if m.lookup, ok = appendKey(m.lookup[:0], d, m.values); !ok {
		m.park(schemas.CodeMapping, ref{}, "send plain text",
			"a text of the key holds a control character")
		return false
	}
	row.Key = string(m.lookup)
	v.append(row)
	return true
}

// replace puts the row that empties the key's timeline before the upsert at index i, once per key:
// a second one would hide what the first upsert of the same record said. It is background only
// where all that the record says of the key is.
func (v *verdict) replace(i int) {
	up := v.rows[i]
	for j := v.first + 1; j < i; j++ {
		x := &v.rows[j]
		if x.Op == schemas.OpReplace && x.Dataset == up.Dataset && x.Key == up.Key &&
			x.Kommune == up.Kommune {
			x.Background = x.Background && up.Background
			return
		}
	}
	anew := up
	anew.Op, anew.Payload, anew.From, anew.To = schemas.OpReplace, nil, schemas.Always, schemas.Open
	v.rows[i] = anew
	v.append(&up)
}

// tombstone judges a null value: what the mapping says of the record's key. A mapping that says
// nothing of null values parks them, since a log that compacts sends them for reasons of its own.
func (v *verdict) tombstone() {
	m := v.m
	if v.t.program == nil || len(v.t.program.tombstones) == 0 {
		m.park(schemas.CodeMapping, ref{}, "send a record that says so",
			"this event is not deleted by a null value")
		return
	}
	if len(v.r.Key) == 0 {
		m.park(schemas.CodeEnvelope, ref{path: "key"}, "send the entity's id as the key",
			"is missing, and the value is null")
		return
	}
	m.record = sized(m.record, 1)
	m.record[0] = avro.Value{Bytes: v.r.Key}
	for i := range v.t.program.tombstones {
		v.bury(&v.t.program.tombstones[i])
	}
}

// bury does what one line of `tombstone` says with the record's key: a snapshot without members, or
// the delete of the key. The municipality is that of the header flis_kommune: a null value names
// none.
func (v *verdict) bury(t *tombstone) {
	m, row := v.m, v.row()
	row.From, row.To, row.Kommune = schemas.Always, schemas.Open, v.kommune
	if t.scope != nil {
		s := v.t.program.snapshot
		scope := m.eval(t.scope, schemas.Open)
		row.Op, row.Absent, row.Scope = schemas.OpSnapshot, s.absent, string(scope.Bytes)
		if !m.parked {
			v.snapshots(s, row)
		}
		return
	}
	if !v.owns(v.kommune, t.dataset.Name.Area()) {
		v.park(noAgreement(headerKommune))
		return
	}
	m.values = sized(m.values, len(t.dataset.Columns))
	for i := range t.columns {
		m.values[t.dataset.key[i]] = m.eval(&t.columns[i], schemas.Open)
	}
	row.Op, row.Dataset, row.Schema = schemas.OpDelete, t.dataset.Name, t.dataset.print
	v.keyed(t.dataset, &row)
}
