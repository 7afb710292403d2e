package transforms_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
	"github.com/flis-dk/flis/schemas/yamlfile"
	"github.com/flis-dk/flis/transforms"
)

var update = flag.Bool("update", false, "rewrite the wanted parts of testdata/cases")

// arrival of every case's records.
var arrival = schemas.CivilDay(2026, 3, 2).Midnight() + 20*3600*1_000_000

// agreementsFile is who may speak for whom in the cases, in the form of an installation's own file.
const agreementsFile = "../testdata/cases/aftaler.yaml"

// caseAgreement is the part of an agreement that a verdict rests on; the rest is the close's.
type caseAgreement struct {
	Kommune string `yaml:"kommune"`
	Area    string `yaml:"omraade"`
	System  string `yaml:"system"`
	Proof   string `yaml:"bevis"`
	Deliver string `yaml:"leverer"`
	// who reports, where that is another
	Reporter string `yaml:"indberetter"`
}

// caseAgreements reads the file, so that a new vendor's cases need no Go.
func caseAgreements(t testing.TB) *schemas.Agreements {
	text, err := os.ReadFile(agreementsFile)
	require.NoError(t, err)
	var f struct {
		Format int             `yaml:"format"`
		All    []caseAgreement `yaml:"aftaler"`
	}
	require.NoError(t, yamlfile.Decode(agreementsFile, text, &f))
	var all []schemas.Agreement
	for _, a := range f.All {
		all = append(all, schemas.Agreement{Kommune: schemas.Kommunekode(a.Kommune),
			Reporter: schemas.Kommunekode(a.Reporter),
			Area:     schemas.Area(a.Area), System: schemas.System(a.System), From: schemas.Always,
			To: schemas.Open})
	}
	agreements, err := schemas.NewAgreements(all)
	require.NoError(t, err)
	return agreements
}

// world is a catalog of all that is built in, with the agreements of the cases.
type world struct {
	catalog  *transforms.Catalog
	registry *avro.Local
	lists    *codes.Lists
}

func newWorld(t testing.TB) *world {
	lists, err := codes.Load(schemas.Builtin)
	require.NoError(t, err)
	registry, err := avro.NewLocal(schemas.Builtin)
	require.NoError(t, err)
	catalog, err := transforms.Load(transforms.Sources{Builtin: schemas.Builtin,
		Mappings: transforms.Mappings,
		Lists:    lists, Agreements: caseAgreements(t), Registry: registry})
	require.NoError(t, err)
	return &world{catalog, registry, lists}
}

// event is the input of a case: a CloudEvent in structured mode. raw stands in for data: the
// value's bytes in hex, with ID for the four bytes of the schema's id. null: the value is null.
type event struct {
	Topic         string          `json:"topic"`
	Key           string          `json:"key"`
	ID            string          `json:"id"`
	Source        string          `json:"source"`
	Type          string          `json:"type"`
	Time          string          `json:"time"`
	Sequence      string          `json:"sequence"`
	FlisLeverance string          `json:"flis_leverance"`
	FlisKommune   string          `json:"flis_kommune"`
	StandIn       string          `json:"stand_in"` // header flis_erstatning
	Data          json.RawMessage `json:"data"`
	Raw           string          `json:"raw"`
	Null          bool            `json:"null"`
	SchemaOf      string          `json:"schema_of"` // whose id is written
}

func (w *world) record(t testing.TB, input []byte) *transforms.Record {
	var e event
	dec := json.NewDecoder(strings.NewReader(string(input)))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&e))
	r := &transforms.Record{Stream: "test/" + schemas.Stream(e.Topic) + "/0", Offset: 7,
		Arrived: arrival,
		Topic:   e.Topic, Key: []byte(e.Key)}
	for _, h := range [][2]string{{"ce_id", e.ID}, {"ce_source", e.Source}, {"ce_type", e.Type},
		{"ce_time", e.Time},
		{"ce_sequence", e.Sequence}, {"flis_leverance", e.FlisLeverance}, {"flis_kommune",
			e.FlisKommune}, {"flis_erstatning", e.StandIn}} {
		if h[1] != "" {
			r.Headers = append(r.Headers, transforms.Header{Name: h[0], Value: []byte(h[1])})
		}
	}
	r.Value = w.value(t, &e)
	return r
}

func (w *world) value(t testing.TB, e *event) []byte {
	if e.Null {
		return nil
	}
	topic := e.Topic
	if e.SchemaOf != "" {
		topic = e.SchemaOf
	}
	s, ok := w.catalog.TopicSchema(topic)
	require.True(t, ok, topic)
	id := binary.BigEndian.AppendUint32(nil, s.ID())
	if e.Raw != "" {
		text := strings.ReplaceAll(strings.ReplaceAll(e.Raw, "ID", hex.EncodeToString(id)), " ", "")
		b, err := hex.DecodeString(text)
		require.NoError(t, err)
		return b
	}
	body, err := avro.EncodeJSON(s, e.Data)
	require.NoError(t, err)
	return append(append([]byte{0}, id...), body...)
}

// show writes rows as text: ordinal 0 by outcome, the others in full.
func (w *world) show(rows []schemas.Row) string {
	var b strings.Builder
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(&b, "%d %s %s", r.Ordinal, r.Op, r.Outcome)
		if r.Ordinal == 0 {
			fmt.Fprintf(&b, " kommune=%s event=%q leverance=%s stated=%s seq=%d\n", r.Kommune,
				r.EventID, r.Leverance,
				r.Stated, r.Sequence)
		} else {
			fmt.Fprintf(&b, " kommune=%s dataset=%s key=%q scope=%q [%s, %s) stated=%s", r.Kommune,
				r.Dataset,
				strings.ReplaceAll(r.Key, schemas.KeySeparator, "|"), r.Scope, bound(r.From),
				bound(r.To), r.Registered)
			if r.Absent != "" {
				fmt.Fprintf(&b, " absent=%s", r.Absent)
			}
			if r.Background {
				b.WriteString(" background")
			}
			if r.Op == schemas.OpSeal || r.Op == schemas.OpHeartbeat || r.Op == transforms.OpGap {
				fmt.Fprintf(&b, " count=%d leverance=%s", r.Count, r.Leverance)
			}
			b.WriteString("\n")
			w.columns(&b, r)
		}
		for _, f := range strings.Split(r.Finding, "; ") {
			if f != "" {
				fmt.Fprintf(&b, "  ! %s\n", f)
			}
		}
	}
	return b.String()
}

func bound(d schemas.Day) string {
	switch d {
	case schemas.Always:
		return "always"
	case schemas.Open:
		return "open"
	}
	return d.String()
}

func (w *world) columns(b *strings.Builder, r *schemas.Row) {
	cells, err := w.catalog.Cells(r)
	if err != nil {
		fmt.Fprintf(b, "  payload: %s\n", err)
	}
	for _, c := range cells {
		if c.Null {
			c.Text = "null"
		}
		fmt.Fprintf(b, "  %s=%s\n", c.Name, c.Text)
	}
}

func TestCases(t *testing.T) {
	w := newWorld(t)
	files, err := filepath.Glob("../testdata/cases/*/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "../testdata/cases/"), ".txtar")
		t.Run(name, func(t *testing.T) { w.runCase(t, file) })
	}
}

func (w *world) runCase(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	require.NoError(t, err)
	parts := map[string]*txtar.File{}
	for i := range a.Files {
		parts[a.Files[i].Name] = &a.Files[i]
	}
	require.Contains(t, parts, "note")
	require.Contains(t, parts, "input.json")
	require.Contains(t, parts, "want")
	rows, err := w.catalog.Judge(nil, w.record(t, parts["input.json"].Data))
	require.NoError(t, err)
	got := w.show(rows)
	if *update {
		parts["want"].Data = []byte(got)
		require.NoError(t, os.WriteFile(file, txtar.Format(a), 0o644))
		return
	}
	require.Equal(t, string(parts["want"].Data), got)
}
