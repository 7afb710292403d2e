package transforms

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/yamlfile"
)

// scope is where paths are looked up: the record, or the item of an array.
type scope struct {
	c    *compiler
	item int        // index into arrays; -1 = the record
	key  *avro.Type // "*" is the record's key, the only path
}

// refs binds several paths, in order.
func (s scope) refs(pos yamlfile.Pos, paths []string) []ref {
	var all []ref
	for _, p := range paths {
		all = append(all, s.ref(pos, p))
	}
	return all
}

// ref binds a path and marks it used; a ref without type after a fault.
func (s scope) ref(pos yamlfile.Pos, path string) ref {
	if s.key != nil {
		if path != "*" {
			s.c.fail(pos, `field %s: a tombstone has but its key, "*"`, path)
		}
		return ref{bound: true, path: "key", typ: s.key, class: s.key.Class()}
	}
	root := s.c.p.schema.Root
	inner, ofRecord := strings.CutPrefix(path, ".")
	if s.item < 0 || ofRecord {
		t := s.find(pos, inner, root, inner)
		s.c.used[inner] = pos
		return ref{bound: true, slot: slotOf(&s.c.p.paths, inner), path: inner, typ: t,
			class: classOf(t)}
	}
	a := &s.c.p.arrays[s.item]
	t := s.find(pos, path, itemType(root, a.path), a.path+"."+path)
	if path == "*" {
		s.c.used[a.path] = pos
	} else {
		s.c.used[a.path+"."+path] = pos
	}
	return ref{bound: true, item: true, slot: slotOf(&a.paths, path), path: path, typ: t,
		class: classOf(t)}
}

// classOf is a bound type's class; a path that has failed has none.
func classOf(t *avro.Type) avro.Kind {
	if t == nil {
		return avro.Null
	}
	return t.Class()
}

// slotOf is the place of a path's value among those that a scan picks; a new one is added.
func slotOf(paths *[]string, path string) int {
	if i := slices.Index(*paths, path); i >= 0 {
		return i
	}
	*paths = append(*paths, path)
	return len(*paths) - 1
}

// itemType is the type of an array's items; the path has been bound before.
func itemType(root *avro.Type, path string) *avro.Type {
	t := root
	for _, step := range strings.Split(path, ".") {
		core, _, _ := t.Core()
		t = core.Field(step).Type
	}
	core, _, _ := t.Core()
	return core.Items
}

// find is the type at a path, without its null; nil after a fault.
func (s scope) find(pos yamlfile.Pos, path string, t *avro.Type, full string) *avro.Type {
	core, _, ok := t.Core()
	if path != "*" {
		for _, step := range strings.Split(path, ".") {
			if !ok || core.Kind != avro.Record || core.Field(step) == nil {
				s.c.fail(pos, "field %q: the source schema has no such field", full)
				return nil
			}
			core, _, ok = core.Field(step).Type.Core()
		}
	}
	if !ok || core.Kind == avro.Record || core.Kind == avro.Map {
		s.c.fail(pos, "field %q holds no single value", full)
		return nil
	}
	return core
}

// needs checks the class of a bound path; a ref that has failed already passes.
func (s scope) needs(pos yamlfile.Pos, what string, r ref, class avro.Kind) {
	if r.typ != nil && r.typ.Class() != class {
		s.c.fail(pos, "%s: field %s is a %s, want a %s", what, r.path, r.typ.Kind, class)
	}
}

// test compiles a condition in order of field, so that findings are the same every time. A null
// equals nothing. Integers and booleans are compared by their text.
func (s scope) test(pos yamlfile.Pos, cond condition) test {
	var t test
	for _, field := range sortedKeys(cond) {
		if len(cond[field]) == 0 {
			s.c.fail(pos, "condition on %s: the set is empty", field)
		}
		r := s.ref(pos, field)
		if r.typ != nil && (r.typ.Class() == avro.Double || r.typ.Kind == avro.Array) {
			s.c.fail(pos, "condition on %s: a %s is compared with no set", field, r.typ.Kind)
		}
		t = append(t, equality{r, cond[field]})
	}
	return t
}

// sortedKeys is a map's keys in order: nothing may depend on map order (invariant 5).
func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// organisationForms is how sources name a municipality; holderForm is CPR's code of any age, by
// successor.
func organisationForms() []string {
	return []string{"KOM3", "KOM4", "CVR", "SOR", "GLN", "STS", "SD", "MYN", holderForm}
}

// holderForm is CPR's code of a municipality, of any age; 0000 stays 0000.
const holderForm = "HOLDER"

// kommune compiles how a record, or a row, names its municipality; nil where it is the sender's.
func (s scope) kommune(m *kommuneSpec) *kommuneRef {
	switch {
	case m == nil:
		return nil
	case m.National && m.Field == "" && m.Form == "":
		return &kommuneRef{national: true}
	case m.National || m.Field == "":
		s.c.fail(m.Pos, "kommune: want field and form, or national alone")
		return nil
	}
	s.c.oneOf(m.Pos, "form", m.Form, organisationForms())
	return &kommuneRef{ref: s.ref(m.Pos, m.Field), form: m.Form}
}

// constantInt reads an integer that a mapping names.
func constantInt(text string) (int64, error) {
	i, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("constant %q is no integer", text)
	}
	return i, nil
}
