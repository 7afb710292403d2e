package transforms_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/transforms"
)

// TestWriterOfAnotherVersion: a writer that has added, removed and narrowed fields maps to the same
// row.
func TestWriterOfAnotherVersion(t *testing.T) {
	w := newWorld(t)
	record := w.record(t, []byte(grantInput))
	want, err := w.catalog.Judge(nil, record)
	require.NoError(t, err)
	ours, _ := w.catalog.TopicSchema(record.Topic)
	theirs := strings.NewReplacer(`{"name": "grantId", "type": "long"`, `{"name": "extra",
  "type": {"type": "map", "values": "bytes"}},
		{"name": "grantId", "type": "int"`,
		`{"name": "caseId", "type": ["null", "long"], "default": null, "doc": "the case"}`,
		`{"name": "ny", "type": "string"}`).Replace(ours.JSON)
	writer, err := avro.Admit(theirs)
	require.NoError(t, err)
	id, err := w.registry.Register(t.Context(), "any", theirs)
	require.NoError(t, err)
	text, err := avro.AppendJSON(nil, ours, record.Value[5:])
	require.NoError(t, err)
	other := bytes.Replace(text, []byte(`{"grantId"`),
		[]byte(`{"extra":{"k":"v"},"ny":"x","grantId"`), 1)
	other = bytes.Replace(other, []byte(`,"caseId":null`), nil, 1)
	body, err := avro.EncodeJSON(writer, other)
	require.NoError(t, err)
	record.Value = append(binary.BigEndian.AppendUint32([]byte{0}, id), body...)
	got, err := w.catalog.Judge(nil, record)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	require.Equal(t, want[2].Payload, got[2].Payload)
	require.Equal(t, writer.Print(), got[0].Schema)
	require.Equal(t, schemas.Warned, got[0].Outcome, "drift is loud")
	require.Contains(t, got[0].Finding, "SCHEMA extra+ny: is a field that our schema does not have")
	require.NotEqual(t, want[0].Schema, got[0].Schema)
}

// broken is a registry that is not there.
type broken struct{ avro.Registry }

var errDown = errors.New("connection refused")

func (broken) ByID(context.Context, uint32) (string, error) { return "", errDown }

func TestRegistryThatCannotBeAsked(t *testing.T) {
	w := newWorld(t)
	agreements, err := schemas.NewAgreements([]schemas.Agreement{{Kommune: "0101", Area: "aeldre",
		System: "kmd-nexus",
		From:   schemas.Always, To: schemas.Open}})
	require.NoError(t, err)
	c, err := transforms.Load(transforms.Sources{Builtin: schemas.Builtin,
		Mappings: transforms.Mappings,
		Lists:    w.lists, Agreements: agreements, Registry: broken{}})
	require.NoError(t, err)
	before := []schemas.Row{{EventID: "kept"}}
	rows, err := c.Judge(before, w.record(t, []byte(grantInput)))
	require.ErrorIs(t, err, errDown)
	require.Equal(t, before, rows, "nothing partial stays")
}

const unitInput = `{"topic": "raw.cpr.person.v1", "key": "h", "id": "f-1", "source": "//cpr",
  "type": "person",
 "time": "2026-03-02T20:00:00+01:00", "data": {"fil": "ab", "nr": 1, "layout": "A",
  "tegnsaet": "UTF-8",
 "produceret": "2026-03-01", "indhold": "x"}}`

// TestUnitOfAFile: a parser's record is mapped; its parts and its refusals are findings.
func TestUnitOfAFile(t *testing.T) {
	w := newWorld(t)
	person, _ := w.catalog.TopicSchema("raw.cpr.person.v1")
	record, err := avro.EncodeJSON(person, []byte(`{"PNR": "6101700001", "slags": "person",
  "layout": "A", "ignorerede": 0,
		"annullerede": 0, "person": [], "personnummer": [], "adresse": [], "civilstand": [],
  "statsborgerskab": [], "beskyttelse_omfang": [], "beskyttelse": [], "familierelation": [],
  "udlandsophold": [], "haendelse": []}`))
	require.NoError(t, err)
	part := schemas.Reject(schemas.CodeLayout, "045", "", "is too short")
	var reject *schemas.Finding
	agreements, err := schemas.NewAgreements(nil)
	require.NoError(t, err)
	parser := func(unit []byte) ([]byte, []*schemas.Finding, *schemas.Finding) {
		require.Contains(t, string(unit), "2026-03-01")
		return record, []*schemas.Finding{part}, reject
	}
	c, err := transforms.Load(transforms.Sources{Builtin: schemas.Builtin,
		Mappings: transforms.Mappings, Lists: w.lists,
		Agreements: agreements, Registry: w.registry,
		Parsers: map[schemas.System]transforms.Parser{"cpr": parser}})
	require.NoError(t, err)
	units := &world{catalog: c, registry: w.registry, lists: w.lists}
	rows, err := c.Judge(nil, units.record(t, []byte(unitInput)))
	require.NoError(t, err)
	require.Len(t, rows, 10)
	require.Equal(t, schemas.PartlyParked, rows[0].Outcome)
	require.Equal(t, schemas.OpSnapshot, rows[1].Op)
	require.Equal(t, schemas.National, rows[1].Kommune)
	require.Equal(t, schemas.Parked, rows[9].Outcome)
	require.Equal(t, "LAYOUT 045: is too short", rows[9].Finding)

	reject = schemas.Reject(schemas.CodeDate, "001.FOED_DT", "", "is no day")
	rows, err = c.Judge(rows[:0], units.record(t, []byte(unitInput)))
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, schemas.Parked, rows[0].Outcome)
	require.Equal(t, "DATE 001.FOED_DT: is no day", rows[0].Finding)

	direct := w.record(t,
		[]byte(`{"topic": "raw.cpr.person.v1", "id": "x", "source": "//cpr", "type": "person",
  "raw": "00 ID 00"}`))
	rows, err = c.Judge(nil, direct)
	require.NoError(t, err)
	require.Contains(t, rows[0].Finding, "SCHEMA", "a record that is no unit")
}

// TestJudgeIsPure: many at once, in any order, give the rows of one alone; rows that are there
// before stay.
func TestJudgeIsPure(t *testing.T) {
	w := newWorld(t)
	inputs := []string{grantInput, strings.Replace(grantInput, "PERSONLIG", "PRAKTISK", 1),
		strings.Replace(grantInput, "PERSONLIG", "XYZ", 1), strings.Replace(grantInput,
			"2025-01-01", "2025-02-30", 1)}
	var want [4][]schemas.Row
	for i, in := range inputs {
		rows, err := newWorld(t).catalog.Judge(nil, w.record(t, []byte(in)))
		require.NoError(t, err)
		want[i] = rows
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range 50 {
				i := (g + n*3) % 4
				rows, err := w.catalog.Judge(make([]schemas.Row, 1, 3), w.record(t,
					[]byte(inputs[i])))
				if err != nil || len(rows) != len(want[i])+1 {
					t.Errorf("input %d: %v, %d rows", i, err, len(rows))
					return
				}
				for j := range want[i] {
					if rows[j+1].Finding != want[i][j].Finding || !bytes.Equal(rows[j+1].Payload,
						want[i][j].Payload) ||
						rows[j+1].Key != want[i][j].Key {
						t.Errorf("input %d row %d differs", i, j)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestFindingsHoldNoValues: no text of a record but its field names comes out in a finding.
func TestFindingsHoldNoValues(t *testing.T) {
	w := newWorld(t)
	for _, field := range []string{"610170-0001", "99901011000016\",\n", "SEL", "83", "PERSONLIG",
		"ACTIVE", "DAY", "MUNICIPAL",
		"2025-01-01T00:00:00+01:00", "2025-06-30T00:00:00+02:00"} {
		r := w.record(t, []byte(strings.Replace(grantInput, field, strings.Replace(field, field[:2],
			"HEMMELIG", 1), 1)))
		rows, err := w.catalog.Judge(nil, r)
		require.NoError(t, err)
		for _, row := range rows {
			require.NotContains(t, row.Finding, "HEMMELIG", field)
		}
	}
}

// FuzzJudge: whatever the bytes, there is a verdict, nothing dies, and a parked record is one row.
func FuzzJudge(f *testing.F) {
	w := newWorld(f)
	record := w.record(f, []byte(grantInput))
	id := record.Value[:5]
	f.Add(record.Value[5:], "g-1", "//kmd-nexus/99901011000016", "2026-03-02T08:15:00+01:00")
	f.Fuzz(func(t *testing.T, body []byte, eventID, source, at string) {
		r := *record
		r.Value = append(bytes.Clone(id), body...)
		r.Headers = []transforms.Header{{Name: "ce_id", Value: []byte(eventID)}, {Name: "ce_source",
			Value: []byte(source)},
			{Name: "ce_type", Value: []byte("grant")}, {Name: "ce_time", Value: []byte(at)}}
		rows, err := w.catalog.Judge(nil, &r)
		require.NoError(t, err)
		require.NotEmpty(t, rows)
		require.Equal(t, schemas.OpRaw, rows[0].Op)
		if rows[0].Outcome == schemas.Parked {
			require.Len(t, rows, 1)
			require.NotEmpty(t, rows[0].Finding)
		}
		for i := range rows {
			require.EqualValues(t, i, rows[i].Ordinal)
		}
	})
}
