package transforms

import (
	"errors"
	"fmt"

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
}

type planKey struct {
	topic *topic
	id    uint32
}

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
	return x, nil
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

func (c *Catalog) bind(t *topic, text string) *plan {
	writer, err := avro.Admit(text)
	if err != nil {
		return &plan{refused: foreign("the schema of the id cannot be admitted: " + err.Error())}
	}
	if t.program == nil || t.parser != nil {
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

func foreign(rule string) *schemas.Finding {
	return schemas.Reject(schemas.CodeSchema, "", "write by a version of the schema of this topic",
		"%s", rule)
}
