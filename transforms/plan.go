package transforms

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
)

// plan is a program bound to one writer's schema: one walk over the bytes picks what the program
// reads.
type plan struct {
	program *program
	scan    *avro.Scan
	items   []*avro.Scan // by array
	print   string       // of the writer's schema
	refused *schemas.Finding
	drift   *schemas.Finding // a warning: the writer has fields that we do not know
}

// planKey is a schema id within a topic: the same id may be foreign to another topic.
type planKey struct {
	topic *topic
	id    uint32
}

// newPlan resolves the writer's schema by Avro's rules and binds what the program reads. An error
// means that the writer's schema cannot be used for this event.
func newPlan(p *program, writer *avro.Schema) (*plan, error) {
	scan, err := avro.NewScan(writer, p.schema, p.paths)
	if err != nil {
		return nil, err
	}
	x := &plan{program: p, scan: scan, print: writer.Print()}
	for _, a := range p.arrays {
		item, err := scan.Items(a.path, a.paths)
		if err != nil {
			return nil, fmt.Errorf("array %s: %w", a.path, err)
		}
		x.items = append(x.items, item)
	}
	if extra := drift(writer.Root, p.schema.Root, ""); len(extra) > 0 {
		x.drift = schemas.Reject(schemas.CodeSchema, strings.Join(extra, "+"),
			"have the field added to our schema and mapped or listed as unused",
			"is a field that our schema does not have, left out")
	}
	return x, nil
}

// drift is the writer's fields that the reader's schema does not have, under any name.
func drift(writer, reader *avro.Type, prefix string) []string {
	var extra []string
	for _, f := range writer.Fields {
		path := strings.TrimPrefix(prefix+"."+f.Name, ".")
		i := slices.IndexFunc(reader.Fields, func(r avro.Field) bool {
			return r.Name == f.Name || slices.Contains(r.Aliases, f.Name)
		})
		if i < 0 {
			extra = append(extra, path)
			continue
		}
		w, r := inner(f.Type), inner(reader.Fields[i].Type)
		if w != nil && r != nil {
			extra = append(extra, drift(w, r, path)...)
		}
	}
	return extra
}

// inner is the record that a field holds, alone, null or in an array; nil where it holds none.
func inner(t *avro.Type) *avro.Type {
	core, _, ok := t.Core()
	if ok && core.Kind == avro.Array {
		core, _, ok = core.Items.Core()
	}
	if !ok || core.Kind != avro.Record {
		return nil
	}
	return core
}

// plan is that of a schema id in a topic. A finding: the id is none of this topic's. An error: the
// registry cannot be asked.
func (c *Catalog) plan(t *topic, id uint32) (*plan, *schemas.Finding, error) {
	key := planKey{t, id}
	if p, ok := c.plans.Load(key); ok {
		return p.(*plan), p.(*plan).refused, nil
	}
	text, err := avro.Ask(c.registry, id)
	if errors.Is(err, avro.ErrUnknownID) {
		return nil, schemas.Reject(schemas.CodeSchema, "", "register the schema and write its id",
			"the registry has no schema of the id in the framing"), nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read schema of %s: %w", t.name, err)
	}
	p := c.bind(t, text)
	c.plans.Store(key, p)
	return p, p.refused, nil
}

// bind makes the plan of a schema that the registry has given. One that cannot be used is kept as
// refused, so that each record of it costs a look-up and no more.
func (c *Catalog) bind(t *topic, text string) *plan {
	writer, err := avro.Admit(text)
	if err != nil {
		return &plan{refused: foreign("the schema of the id cannot be admitted: " + err.Error())}
	}
	if t.program == nil {
		scan, err := avro.NewScan(writer, c.kontrol, controlPaths())
		if err == nil && len(drift(writer.Root, c.kontrol.Root, "")) > 0 {
			err = errors.New("the schema of the id has fields that no control record has")
		}
		if err != nil {
			return &plan{refused: foreign(err.Error()), print: writer.Print()}
		}
		return &plan{scan: scan, print: writer.Print()}
	}
	if t.parser != nil {
		if writer.Fingerprint != t.schema.Fingerprint {
			return &plan{refused: foreign("the schema of the id is not the one of this topic"),
				print: writer.Print()}
		}
		return &plan{print: writer.Print()}
	}
	p, err := newPlan(t.program, writer)
	if err != nil {
		return &plan{refused: foreign(err.Error()), print: writer.Print()}
	}
	return p
}

// foreign is the finding of a schema that is none of the topic's.
func foreign(rule string) *schemas.Finding {
	return schemas.Reject(schemas.CodeSchema, "", "write by a version of the schema of this topic",
		"%s", rule)
}
