package transforms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/flis-dk/flis/schemas/avro"
)

// checkSchemaFile holds a source's schema to the rules that Avro does not have: the record is named
// as the event ("-" is "_" there, which Avro wants), and every field says what it is (style.md, A
// source is data: the vendor's documentation comes from the same file). The text has been admitted.
func checkSchemaFile(file string, text []byte, schema *avro.Schema, event string) error {
	w := schemaWalk{file: file, text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	w.value(false)
	name := schema.Root.Name[strings.LastIndexByte(schema.Root.Name, '.')+1:]
	if want := strings.ReplaceAll(event, "-", "_"); name != want {
		w.errs = append(w.errs, fmt.Errorf("%s:1: the record is named %q: want %q, the event", file,
			name, want))
	}
	return errors.Join(w.errs...)
}

// schemaWalk reads a schema token by token, since only so is a field's line known.
type schemaWalk struct {
	file string
	text []byte
	dec  *json.Decoder
	errs []error
}

// value goes through one value; fields: objects of the list are fields of a record.
func (w *schemaWalk) value(fields bool) {
	t, err := w.dec.Token()
	if err != nil {
		return // the text was admitted: it ends here
	}
	switch t {
	case json.Delim('{'):
		w.object(fields)
	case json.Delim('['):
		for w.dec.More() {
			w.value(fields)
		}
		_, _ = w.dec.Token() // the closing bracket
	}
}

// object goes through the members of an object; that of a field must have a doc.
func (w *schemaWalk) object(field bool) {
	line := 1 + bytes.Count(w.text[:w.dec.InputOffset()], []byte("\n"))
	said := map[string]string{}
	for w.dec.More() {
		key, _ := w.dec.Token()
		switch key {
		case "name", "doc":
			var raw json.RawMessage
			var s string
			if w.dec.Decode(&raw) == nil && json.Unmarshal(raw, &s) == nil {
				said[key.(string)] = s
			}
		default:
			w.value(key == "fields")
		}
	}
	_, _ = w.dec.Token() // the closing brace
	if field && strings.TrimSpace(said["doc"]) == "" {
		w.errs = append(w.errs, fmt.Errorf("%s:%d: field %s has no doc: say what it is", w.file,
			line, said["name"]))
	}
}
