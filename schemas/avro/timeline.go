package avro

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// Timeline reads and writes the values of curated topics: all rows of one entity of a dataset, in
// Avro without framing. Read-only, safe for concurrent use.
type Timeline struct {
	Schema *Schema
	flat   *Flat
}

// timelineNamespace is that of the schemas of curated topics; an area follows.
const timelineNamespace = "dk.flis.kurateret."

// standardColumns are what a row of a timeline has behind its dataset's own columns: those of the
// delivered table but for registreret_til, which is null in each row that is known now.
func standardColumns() []schemas.Column {
	return []schemas.Column{
		{Name: "gyldig_fra", Type: schemas.Date, Doc: "første dag"},
		{Name: "gyldig_til", Type: schemas.Date, Nullable: true,
			Doc: "dagen efter den sidste; null = åben"},
		{Name: "kilde_registreret", Type: schemas.Timestamp, Doc: "hvornår kilden vidste det"},
		{Name: "registreret_fra", Type: schemas.Date, Doc: "leverancen der først havde rækken"},
		{Name: "kilde_system", Type: schemas.String, Doc: "kildesystem"},
		{Name: "leverance", Type: schemas.Date, Doc: "hændelsens leverance"},
		{Name: "haendelse_id", Type: schemas.String, Doc: "hændelsen som rækken hviler på"},
	}
}

// TimelineColumns are the columns of a row of a dataset's timelines.
func TimelineColumns(ds *schemas.Dataset) []schemas.Column {
	return append(slices.Clone(ds.Columns), standardColumns()...)
}

// NewTimeline makes the codec and the schema of a dataset's timelines.
func NewTimeline(ds *schemas.Dataset) (*Timeline, error) {
	text, err := timelineSchema(ds)
	if err != nil {
		return nil, fmt.Errorf("make schema of timelines of %s: %w", ds.Name, err)
	}
	s, err := Admit(text)
	if err != nil {
		return nil, fmt.Errorf("make schema of timelines of %s: %w", ds.Name, err)
	}
	return &Timeline{Schema: s, flat: NewFlat(&schemas.Dataset{Columns: TimelineColumns(ds)})}, nil
}

// Subject is the schema's name in a registry: that of the record, whatever the topic.
func (t *Timeline) Subject() string { return t.Schema.Root.Name }

// timelineField is a field of a schema, as it is written.
type timelineField struct {
	Name    string          `json:"name"`
	Doc     string          `json:"doc"`
	Type    json.RawMessage `json:"type"`
	Default json.RawMessage `json:"default,omitempty"`
}

type timelineRecord struct {
	Type      string `json:"type"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	Doc       string `json:"doc,omitempty"`
	Fields    any    `json:"fields"`
}

// timelineSchema is {raekker: [row]}; a row is the dataset's fields and the standard ones.
func timelineSchema(ds *schemas.Dataset) (string, error) {
	var own struct{ Fields []timelineField }
	if err := json.Unmarshal(ds.Schema, &own); err != nil {
		return "", err
	}
	for _, c := range standardColumns() {
		f := timelineField{Name: c.Name, Doc: c.Doc, Type: json.RawMessage(`"string"`)}
		switch {
		case c.Nullable:
			f.Type = json.RawMessage(`["null",{"type":"int","logicalType":"date"}]`)
			f.Default = json.RawMessage("null")
		case c.Type == schemas.Date:
			f.Type = json.RawMessage(`{"type":"int","logicalType":"date"}`)
		case c.Type == schemas.Timestamp:
			f.Type = json.RawMessage(`{"type":"long","logicalType":"timestamp-micros"}`)
		}
		own.Fields = append(own.Fields, f)
	}
	short := ds.Name.Short()
	row := timelineRecord{Type: "record", Name: short + "_raekke", Doc: ds.Doc, Fields: own.Fields}
	whole := timelineRecord{Type: "record", Name: short,
		Namespace: timelineNamespace + string(ds.Name.Area()),
		Doc:       "alle rækker som " + string(ds.Name) + " har af én nøgle nu",
		Fields: []any{map[string]any{"name": "raekker",
			"doc":  "i orden efter gyldig_fra, kilde_system, registreret_fra, haendelse_id",
			"type": map[string]any{"type": "array", "items": row}}}}
	b, err := json.Marshal(whole)
	return string(b), err
}

// Append writes a timeline behind dst: its rows, of at least one, in one block.
func (t *Timeline) Append(dst []byte, rows [][]Value) ([]byte, error) {
	if len(rows) == 0 {
		return dst, errors.New("write timeline: no rows")
	}
	dst = binary.AppendVarint(dst, int64(len(rows)))
	var err error
	for _, r := range rows {
		if dst, err = t.flat.Append(dst, r); err != nil {
			return dst, err
		}
	}
	return append(dst, 0), nil
}

// Read hands fn each row of a timeline; the values hold until fn returns, whose error ends it.
func (t *Timeline) Read(data []byte, fn func(row []Value) error) error {
	w := walker{data: data}
	row := make([]Value, t.flat.Len())
	for {
		count, _, ok := w.block()
		if !ok {
			return fmt.Errorf("read timeline: %s", w.fault.Rule)
		}
		if count == 0 {
			break
		}
		for range count {
			if err := t.flat.read(&w, row); err != nil {
				return err
			}
			if err := fn(row); err != nil {
				return err
			}
		}
	}
	if w.pos != len(data) {
		return errors.New("read timeline: bytes are left over")
	}
	return nil
}
