// Package yamlfile reads YAML into structs strictly: the one place that knows YAML.
//
// It owns the rules of every hand-written file (mappings, agreements): block keys that the struct
// does not have, keys said twice, values of another type, integers where a quoted code is wanted,
// anchors, tags and second documents are refused, each as "file:line: …", all of them at once. It
// resolves nothing and reads no files.
//
//	var m struct {
//		System string `yaml:"system"`
//		At     yamlfile.Pos `yaml:"-"` // where the value stands
//	}
//	err := yamlfile.Decode("grant.yaml", text, &m)
package yamlfile

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Pos is where a value stands. A struct that has a field of this type gets its own place written
// there.
type Pos struct {
	File string
	Line int
}

// String is "file:line".
func (p Pos) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Errorf is an error at the place.
func (p Pos) Errorf(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{p}, args...)...)
}

// maxDepth bounds the nesting of a file.
const maxDepth = 32

// Decode reads one YAML document into the struct that dst points at. Fields need a `yaml:"name"`
// tag; a field without is not read. Known types: string, bool, int, int64, structs, pointers to
// them, slices, maps by string. A scalar where a slice is wanted is refused. The error joins every
// fault found.
func Decode(file string, data []byte, dst any) error {
	var doc yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	if err := dec.Decode(&doc); err != nil {
		return fmt.Errorf("%s:%s", file, syntaxFault(err))
	}
	d := decoder{file: file}
	var next yaml.Node
	if dec.Decode(&next) == nil {
		d.fail(&next, "a file holds one document")
	}
	if len(doc.Content) != 1 {
		return fmt.Errorf("%s:1: is empty", file)
	}
	d.value(doc.Content[0], reflect.ValueOf(dst).Elem(), 0)
	return errors.Join(d.errs...)
}

// syntaxFault is a fault of YAML itself as "line: …"; that of an empty file has no line.
func syntaxFault(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		return rest
	}
	return " " + text
}

// decoder collects every fault of a file.
type decoder struct {
	file string
	errs []error
}

// fail notes a fault at a node's line.
func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, Pos{d.file, n.Line}.Errorf(format, args...))
}

// value reads a node into v by v's type.
func (d *decoder) value(n *yaml.Node, v reflect.Value, depth int) {
	switch {
	case depth > maxDepth:
		d.fail(n, "nested deeper than %d", maxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.fail(n, "anchors and aliases are not used here")
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(n, "tags are not used here")
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), depth)
	case v.Kind() == reflect.Struct:
		d.mapping(n, v, depth)
	case v.Kind() == reflect.Slice:
		d.sequence(n, v, depth)
	case v.Kind() == reflect.Map:
		d.table(n, v, depth)
	default:
		d.scalar(n, v)
	}
}

// keys calls fn for each key of a block, each key once.
func (d *decoder) keys(n *yaml.Node, fn func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "want a block of keys, have %s", kindName(n))
		return
	}
	lines := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || k.Anchor != "" || k.Tag == "!!merge" {
			d.fail(k, "a key is a plain word")
			continue
		}
		if first, ok := lines[k.Value]; ok {
			d.fail(k, "key %q stands already in line %d", k.Value, first)
			continue
		}
		lines[k.Value] = k.Line
		fn(k, n.Content[i+1])
	}
}

// mapping reads a block of keys into a struct.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, depth int) {
	fields := map[string]reflect.Value{}
	var known []string
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Type == reflect.TypeFor[Pos]() {
			v.Field(i).Set(reflect.ValueOf(Pos{d.file, n.Line}))
		} else if name := f.Tag.Get("yaml"); name != "" && name != "-" {
			fields[name] = v.Field(i)
			known = append(known, name)
		}
	}
	d.keys(n, func(k, value *yaml.Node) {
		f, ok := fields[k.Value]
		if !ok {
			d.fail(k, "unknown key %q: want one of %s", k.Value, strings.Join(known, ", "))
			return
		}
		d.value(value, f, depth+1)
	})
}

// table reads a block of keys into a map: its keys are data, so they too must be quoted where YAML
// would read a number.
func (d *decoder) table(n *yaml.Node, v reflect.Value, depth int) {
	v.Set(reflect.MakeMap(v.Type()))
	d.keys(n, func(k, value *yaml.Node) {
		if k.Tag == "!!int" || k.Tag == "!!float" || k.Tag == "!!bool" || k.Tag == "!!null" {
			d.fail(k, "key %s is read as %s: write it in quotes", k.Value, strings.TrimPrefix(k.Tag,
				"!!"))
			return
		}
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(value, e, depth+1)
		v.SetMapIndex(reflect.ValueOf(k.Value).Convert(v.Type().Key()), e)
	})
}

// sequence reads a list.
func (d *decoder) sequence(n *yaml.Node, v reflect.Value, depth int) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "want a list, have %s", kindName(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, e := range n.Content {
		d.value(e, v.Index(i), depth+1)
	}
}

// scalar reads one value. Dates are texts here: what they mean is the reader's matter.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, "want one value, have %s", kindName(n))
		return
	}
	switch v.Kind() {
	case reflect.String:
		if n.Tag != "!!str" && n.Tag != "!!timestamp" {
			d.fail(n, "%s: write it in quotes", unquoted(n))
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		if n.Tag != "!!bool" {
			d.fail(n, "want true or false")
			return
		}
		v.SetBool(n.Value == "true")
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
		if n.Tag != "!!int" || err != nil || strconv.FormatInt(i, 10) != n.Value {
			d.fail(n, "want a plain decimal integer")
			return
		}
		v.SetInt(i)
	default:
		panic("yamlfile: type not known: " + v.Type().String()) // our own mistake
	}
}

// unquoted says how YAML would read a value that should be a text.
func unquoted(n *yaml.Node) string {
	if n.Tag == "!!null" {
		return "has no value"
	}
	return n.Value + " is read as " + strings.TrimPrefix(n.Tag, "!!")
}

// kindName is a node's form in words.
func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a block of keys"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return "one value"
}
