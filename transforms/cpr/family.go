package cpr

import "github.com/flis-dk/flis/schemas"

// Relations, of the list relationstype.
const (
	kinChild   = "barn"
	kinMother  = "mor"
	kinFather  = "far"
	kinCustody = "foraeldremyndighed"
)

// kinRow is a relation as one municipality holds it.
type kinRow struct {
	held
	*row
	kind, number string
}

// kinKey tells relations apart: each is a timeline of its own.
type kinKey struct{ kind, number string }

// kinRows gathers rows by relation, in the order of the records.
type kinRows struct {
	keys []kinKey
	rows map[kinKey][]row
}

func (k *kinRows) add(kind, number string, r row) {
	key := kinKey{kind, number}
	if _, ok := k.rows[key]; !ok {
		k.keys = append(k.keys, key)
	}
	r.nr = len(k.rows[key])
	k.rows[key] = append(k.rows[key], r)
}

// relatives is children, parents and custody. A record without a number gives no row.
func (b *block) relatives(stays []period) ([]kinRow, *schemas.Finding) {
	all := &kinRows{rows: map[kinKey][]row{}}
	mother, reject := b.parent(all, kinMother, &b.mother[0])
	if reject != nil {
		return nil, reject
	}
	father, reject := b.parent(all, kinFather, &b.father[0])
	if reject != nil {
		return nil, reject
	}
	b.offspring(all)
	if reject := b.guardians(all, mother, father); reject != nil {
		return nil, reject
	}
	var out []kinRow
	for _, k := range all.keys {
		if reject := budget(b.children[0].rec, len(all.keys), len(out)); reject != nil {
			return nil, reject
		}
		rows, reject := b.settle(all.rows[k])
		if reject != nil {
			return nil, reject
		}
		for _, h := range holdRows(rows, stays) {
			out = append(out, kinRow{h, &rows[h.row], k.kind, k.number})
		}
	}
	return out, nil
}

// parent adds the mother or the father, from MOR_DT or FAR_DT, and gives the number.
func (b *block) parent(all *kinRows, kind string, src *rowSource) (string, *schemas.Finding) {
	number := ""
	for _, l := range b.lines[src.rec] {
		n := number10(l.get(src.values[kinNumber]))
		if n == "" {
			continue
		}
		r, reject := b.row(src, l)
		if reject != nil {
			return "", reject
		}
		all.add(kind, n, r)
		number = n
	}
	return number, nil
}

// offspring adds the children, from the date of birth in their numbers; one that has none is as a
// row without a start.
func (b *block) offspring(all *kinRows) {
	src := &b.children[0]
	for _, l := range b.lines[src.rec] {
		n := number10(l.get(src.values[kinNumber]))
		if n == "" {
			continue
		}
		r := row{line: l, src: src, start: birthIn(n), registered: b.produced}
		r.unsureFrom = !r.start.known
		all.add(kinChild, n, r)
	}
}

// guardians adds who has custody: the mother, the father or another, by RELTYP.
func (b *block) guardians(all *kinRows, mother, father string) *schemas.Finding {
	src := &b.custody[0]
	for _, l := range b.lines[src.rec] {
		number := ""
		switch l.get(src.values[reltyp]) {
		case "0003":
			number = mother
		case "0004":
			number = father
		case "0005", "0006":
			number = number10(l.get(src.values[relpnr]))
		}
		if number == "" {
			continue
		}
		r, reject := b.row(src, l)
		if reject != nil {
			return reject
		}
		all.add(kinCustody, number, r)
	}
	return nil
}
