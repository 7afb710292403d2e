package transforms

import (
	"errors"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
	"github.com/flis-dk/flis/schemas/yamlfile"
)

// compiler checks a mapping against both schemas and makes its program. It goes on after a fault,
// to tell all of them.
type compiler struct {
	p        *program
	lists    *codes.Lists
	datasets map[schemas.DatasetName]*dataset
	used     map[string]yamlfile.Pos
	errs     []error
}

// place is where a mapping lies: its path says system and event before its text does.
type place struct{ file, system, event string }

// compileMapping is the one way from text to program. A mapping that is not of its folder and file
// is told so first: the rest would be checked against the wrong schema.
func compileMapping(at place, text []byte, schema *avro.Schema, lists *codes.Lists,
	datasets map[schemas.DatasetName]*dataset) (*program, error) {
	var m mappingSpec
	err := yamlfile.Decode(at.file, text, &m)
	if m.System != "" && m.System != at.system {
		return nil, m.Pos.Errorf(
			"system: %s does not fit the folder: want system: %s",
			m.System,
			at.system,
		)
	}
	if m.Event != "" && m.Event != at.event {
		return nil, m.Pos.Errorf("event: %s does not fit the file: want event: %s", m.Event, at.event)
	}
	if err != nil {
		return nil, err
	}
	if m.System == "" || m.Event == "" {
		return nil, m.Pos.Errorf(
			"system and event are missing: want system: %s, event: %s",
			at.system,
			at.event,
		)
	}
	c := &compiler{lists: lists, datasets: datasets, used: map[string]yamlfile.Pos{},
		p: &program{system: schemas.System(m.System), event: m.Event, schema: schema,
			root: group{array: -1}}}
	c.mapping(&m)
	c.unused(&m)
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return c.p, nil
}

// fail notes a fault at its place; the compiler goes on.
func (c *compiler) fail(pos yamlfile.Pos, format string, args ...any) {
	c.errs = append(c.errs, pos.Errorf(format, args...))
}

// oneOf says that a word is of a closed set.
func (c *compiler) oneOf(pos yamlfile.Pos, what, word string, set []string) bool {
	switch {
	case word == "":
		c.fail(pos, "%s is missing: want one of %s", what, strings.Join(set, ", "))
		return false
	case !slices.Contains(set, word):
		c.fail(pos, "%s %q: want one of %s", what, word, strings.Join(set, ", "))
		return false
	}
	return true
}

// mapping compiles the words of the file in the order in which they depend on each other: ignore
// conditions on items need the arrays that the targets have bound.
func (c *compiler) mapping(m *mappingSpec) {
	if len(m.Targets) == 0 {
		c.fail(m.Pos, "targets are missing")
	}
	s := scope{c: c, item: -1}
	c.p.kommune = s.kommune(m.Kommune)
	c.p.national = c.p.kommune != nil && c.p.kommune.national
	c.p.registered, c.p.stated = s.moment(m.Reg), s.moment(m.Stated)
	if m.Sequence != "" {
		c.p.sequence = s.ref(m.Pos, m.Sequence)
		s.needs(m.Pos, "sequence", c.p.sequence, avro.Long)
	}
	c.snapshots(s, m)
	for i := range m.Targets {
		c.target(&m.Targets[i])
	}
	for _, ignore := range m.Ignore {
		c.ignore(m.Pos, ignore)
	}
	for i := range m.Tombstone {
		c.tombstone(&m.Tombstone[i])
	}
}

// snapshots compiles what the record, and items of it, say of scopes.
func (c *compiler) snapshots(s scope, m *mappingSpec) {
	if m.Snapshot != nil {
		c.p.snapshot = c.snapshot(s, m.Snapshot)
		if m.Snapshot.Each != "" {
			c.fail(m.Snapshot.Pos, "each is said of snapshots, not of the record's snapshot")
		}
	}
	for i := range m.Snapshots {
		c.itemSnapshot(&m.Snapshots[i])
	}
}

// itemSnapshot compiles what each item of an array says of a scope.
func (c *compiler) itemSnapshot(m *snapshotSpec) {
	if m.Each == "" || m.ID != "" || m.Count != "" || m.Empty != nil {
		c.fail(m.Pos, "snapshots: want each, and neither id, count nor empty")
		return
	}
	s := scope{c: c, item: c.array(m.Pos, m.Each)}
	if s.item == -2 {
		return
	}
	x := c.snapshot(s, m)
	for _, d := range x.datasets {
		if c.p.snapshot != nil && c.p.snapshot.has(d) {
			c.fail(m.Pos, "snapshots: %s is of the record's snapshot", d)
		}
	}
	c.p.snapshots = append(c.p.snapshots, *x)
}

// itemScoped says whether snapshots of items can take back rows of the dataset.
func (p *program) itemScoped(d schemas.DatasetName) bool {
	return slices.ContainsFunc(p.snapshots, func(s snapshot) bool { return s.has(d) })
}

// snapshot compiles what the record says of all of its scope. A snapshot that speaks for all time
// is gone; one that ends what it lacks needs a day. Members over several records need both an id
// and their count.
func (c *compiler) snapshot(s scope, m *snapshotSpec) *snapshot {
	c.oneOf(m.Pos, "absent", m.Absent, []string{string(schemas.AbsentGone),
		string(schemas.AbsentEnded)})
	x := &snapshot{
		array: s.item,
		scope: s.column("scope", schemas.Column{Name: "scope", Type: schemas.String},
			&m.Scope),
		absent: schemas.Absent(m.Absent),
		from:   s.day(m.From, ""),
		when:   s.test(m.Pos, m.When),
		empty:  s.test(m.Pos, m.Empty),
	}
	if (x.absent == schemas.AbsentEnded) != (m.From != nil) {
		c.fail(m.Pos,
			"fra: the day from which a snapshot speaks is said with absent: ended, and only then")
	}
	if (m.ID == "") != (m.Count == "") {
		c.fail(m.Pos, "id and count go together: a snapshot over several records has both")
	} else if m.ID != "" {
		x.id, x.count = s.ref(m.Pos, m.ID), s.ref(m.Pos, m.Count)
		s.needs(m.Pos, "count", x.count, avro.Long)
	}
	for _, d := range m.Datasets {
		if c.dataset(m.Pos, d) != nil {
			x.datasets = append(x.datasets, schemas.DatasetName(d))
		}
	}
	if len(x.datasets) == 0 {
		c.fail(m.Pos, "datasets of the snapshot are missing")
	}
	return x
}

// dataset finds a table of the standard model; nil after a fault. Those of an overlay count too.
func (c *compiler) dataset(pos yamlfile.Pos, name string) *dataset {
	d, ok := c.datasets[schemas.DatasetName(name)]
	if !ok {
		c.fail(pos, "dataset %q is not of the standard model", name)
	}
	return d
}

// ignore places a condition with the record or with the array whose items it is about. An array
// that no target goes through has no items to leave out: it is listed under unused.
func (c *compiler) ignore(pos yamlfile.Pos, cond condition) {
	for i, a := range c.p.arrays {
		inner := condition{}
		for field, values := range cond {
			if rest, ok := strings.CutPrefix(field, a.path+"."); ok {
				inner[rest] = values
			}
		}
		if len(inner) == 0 {
			continue
		}
		if len(inner) != len(cond) {
			c.fail(pos, "ignore: fields of the record and of an array cannot be mixed")
			return
		}
		g := c.group(i)
		g.ignore = append(g.ignore, scope{c: c, item: i}.test(pos, inner))
		return
	}
	c.p.ignore = append(c.p.ignore, scope{c: c, item: -1}.test(pos, cond))
}

// group is the targets of an array, -1 = of the record. The pointer holds until the next group is
// made.
func (c *compiler) group(array int) *group {
	if array < 0 {
		return &c.p.root
	}
	for i := range c.p.groups {
		if c.p.groups[i].array == array {
			return &c.p.groups[i]
		}
	}
	c.p.groups = append(c.p.groups, group{array: array})
	return &c.p.groups[len(c.p.groups)-1]
}

// array finds or binds an array of the record; -2 after a fault.
func (c *compiler) array(pos yamlfile.Pos, path string) int {
	for i, a := range c.p.arrays {
		if a.path == path {
			return i
		}
	}
	r := scope{c: c, item: -1}.ref(pos, path)
	if r.typ == nil {
		return -2
	}
	if r.typ.Kind != avro.Array {
		c.fail(pos, "each %s: the field is no array", path)
		return -2
	}
	c.p.arrays = append(c.p.arrays, array{path: path, slot: r.slot})
	return len(c.p.arrays) - 1
}

// target compiles one dataset that the record, or each item of an array, feeds. Rows of a dataset
// that the snapshot names are of its scope, so that it can take them back.
func (c *compiler) target(m *targetSpec) {
	d := c.dataset(m.Pos, m.Dataset)
	s := scope{c: c, item: -1}
	if m.Each != "" {
		s.item = c.array(m.Pos, m.Each)
	}
	if d == nil || s.item == -2 {
		return
	}
	t := target{dataset: d, when: s.test(m.Pos, m.When), remove: s.test(m.Pos, m.Delete),
		withdraw: s.test(m.Pos, m.Withdraw), present: s.refs(m.Pos, m.Present),
		absent:  s.refs(m.Pos, m.Absent),
		kommune: s.kommune(m.Kommune), registered: s.moment(m.Reg)}
	c.reachable(m, "delete", m.Delete)
	c.reachable(m, "withdraw", m.Withdraw)
	if m.Op != "" && c.oneOf(m.Pos, "op", m.Op, []string{"upsert", "replace"}) {
		t.replace = m.Op == "replace"
	}
	if m.Background != "" {
		t.background = s.ref(m.Pos, m.Background)
		s.needs(m.Pos, "background", t.background, avro.Boolean)
	}
	if c.p.national && t.kommune == nil {
		c.fail(m.Pos, "kommune is missing: the source speaks for all municipalities")
	}
	t.from, t.to = s.day(m.GyldigFra, ""), s.day(m.GyldigTil, "gyldig_til")
	c.interval(m, &t)
	t.columns = c.columns(s, m.Pos, d, m.Columns)
	c.scopeOf(s, m, &t)
	g := c.group(s.item)
	g.targets = append(g.targets, t)
}

// scopeOf compiles whose snapshots can take the rows back.
func (c *compiler) scopeOf(s scope, m *targetSpec, t *target) {
	t.scoped = c.p.snapshot != nil && c.p.snapshot.has(t.dataset.Name)
	if m.Scope != nil {
		col := s.column("scope", schemas.Column{Name: "scope", Type: schemas.String}, m.Scope)
		t.scope = &col
	}
	if (m.Scope != nil) != c.p.itemScoped(t.dataset.Name) {
		c.fail(m.Pos, "scope: it is said where snapshots name the dataset, and only there")
	}
}

// reachable says that each value of a delete or withdraw can come so far: what `when` does not let
// through is deleted by nobody, and nobody would see it.
func (c *compiler) reachable(m *targetSpec, word string, cond condition) {
	for _, field := range sortedKeys(cond) {
		let, said := m.When[field]
		for _, value := range cond[field] {
			if said && !slices.Contains(let, value) {
				c.fail(m.Pos, "%s: %s %q can never hold: when does not let it through", word, field,
					value)
			}
		}
		if slices.Contains(m.Absent, field) {
			c.fail(m.Pos, "%s: %s can never hold: the field is one of absent", word, field)
		}
	}
}

// interval checks that a state has a start and a fact a date, and that no word is said of a fact
// that only a timeline has. A fact's gyldig_til is always null (model.md section 1, Kinds).
func (c *compiler) interval(m *targetSpec, t *target) {
	switch {
	case t.from == nil:
		c.fail(m.Pos, "gyldig_fra is missing")
	case t.dataset.Kind == schemas.Fact && t.to != nil:
		c.fail(m.GyldigTil.Pos, "gyldig_til: a fact has none")
	case t.dataset.Kind == schemas.Fact && (t.replace || t.withdraw != nil):
		c.fail(m.Pos, "a fact has no timeline to replace or withdraw a part of")
	}
}

// columns compiles one column for each of the dataset's, in its order: that is the order of the
// fields in the payload. A column that may be null and is not named is null.
func (c *compiler) columns(s scope, pos yamlfile.Pos, d *dataset,
	specs map[string]columnSpec) []column {
	for name, spec := range specs {
		if d.Column(name) < 0 {
			c.fail(spec.Pos, "column %q is not of %s", name, d.Name)
		}
	}
	var all []column
	for _, col := range d.Columns {
		spec, ok := specs[col.Name]
		switch {
		case ok:
			all = append(all, s.column(col.Name, col, &spec))
		case col.Nullable:
			all = append(all, column{name: col.Name, target: col})
		default:
			c.fail(pos, "column %s of %s is missing", col.Name, d.Name)
		}
	}
	return all
}

// tombstone compiles what a null value does; its only field is "*", the record's key. A key hidden
// as an HMAC can be looked for by nobody, so this is for entities whose id is no personal number.
func (c *compiler) tombstone(m *tombstoneSpec) {
	if (m.Scope == nil) == (m.Dataset == "") {
		c.fail(m.Pos, "tombstone: want dataset and columns, or scope")
		return
	}
	s := scope{c: c, item: -1, key: &avro.Type{Kind: avro.String}}
	if m.Scope != nil {
		if c.p.snapshot == nil {
			c.fail(m.Pos, "tombstone by scope: the mapping has no snapshot")
			return
		}
		col := s.column("scope", schemas.Column{Name: "scope", Type: schemas.String}, m.Scope)
		c.p.tombstones = append(c.p.tombstones, tombstone{scope: &col})
		return
	}
	d := c.dataset(m.Pos, m.Dataset)
	if d == nil {
		return
	}
	t := tombstone{dataset: d}
	for _, k := range d.Key {
		spec, ok := m.Columns[k]
		if !ok {
			c.fail(m.Pos, "tombstone: key column %s of %s is missing", k, d.Name)
			return
		}
		t.columns = append(t.columns, s.column(k, d.Columns[d.Column(k)], &spec))
	}
	c.p.tombstones = append(c.p.tombstones, t)
}

// unused checks that every field of the source is used or listed, and none both: a field that a new
// version adds is so seen by a person before it is left out (style.md, A source is data).
func (c *compiler) unused(m *mappingSpec) {
	leaves := leafPaths(c.p.schema.Root, "")
	for _, u := range m.Unused {
		if pos, ok := c.used[u]; ok {
			c.fail(m.Pos, "unused: %s is used in line %d", u, pos.Line)
		}
		if !slices.ContainsFunc(leaves, func(l string) bool { return within(l, u) }) {
			c.fail(m.Pos, "unused: the source has no field %s", u)
		}
	}
	for _, l := range leaves {
		_, used := c.used[l]
		if !used && !slices.ContainsFunc(m.Unused, func(u string) bool { return within(l, u) }) {
			c.fail(m.Pos, "field %s of the source is neither used nor listed under unused", l)
		}
	}
}

// within says whether a field is the listed one or lies in the listed record or array.
func within(leaf, prefix string) bool {
	return leaf == prefix || strings.HasPrefix(leaf, prefix+".")
}

// leafPaths is every field that holds a value, those of items under their array's path.
func leafPaths(t *avro.Type, prefix string) []string {
	var all []string
	for _, f := range t.Fields {
		p := strings.TrimPrefix(prefix+"."+f.Name, ".")
		if record := inner(f.Type); record != nil {
			all = append(all, leafPaths(record, p)...)
			continue
		}
		all = append(all, p)
	}
	return all
}
