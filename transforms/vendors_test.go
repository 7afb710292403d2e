package transforms_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
	"github.com/flis-dk/flis/transforms"
)

// third is a third elder-care vendor as an overlay: flat rows, minutes per weekday, Danish dates.
// Data files only.
func third() fstest.MapFS {
	files := map[string]string{
		"systems/vitae/visitation.avsc": `{"type": "record", "name": "visitation",
  "namespace": "dk.flis.raw.vitae", "fields": [
  {"name": "VISID", "type": "string"}, {"name": "KOMNR", "type": "string"}, {"name": "CPRNR",
  "type": "string"},
  {"name": "PARAGRAF", "type": "string"}, {"name": "MIN_MA", "type": "int"}, {"name": "MIN_TI",
  "type": "int"},
  {"name": "MIN_ON", "type": "int"}, {"name": "MIN_TO", "type": "int"}, {"name": "MIN_FR",
  "type": "int"},
  {"name": "MIN_LO", "type": "int"}, {"name": "MIN_SO", "type": "int"}, {"name": "LEVTYPE",
  "type": "string"},
  {"name": "STARTDATO", "type": "string"}, {"name": "SLUTDATO", "type": ["null", "string"],
  "default": null},
  {"name": "STATUS", "type": "string"}]}`,
		"mappings/vitae/visitation.yaml": `system: vitae
event: visitation
kommune: {field: KOMNR, form: KOM3}
targets:
  - dataset: aeldre.visiteret_tid
    op: replace
    when: {STATUS: [A, P, S]}
    delete: {STATUS: [S]}
    gyldig_fra: {field: STARTDATO, date: dd-mm-yyyy}
    gyldig_til: {field: SLUTDATO, date: dd-mm-yyyy, ende: inclusive}
    columns:
      visitation_id: {field: VISID, id: true}
      cpr: {field: CPRNR, cpr: true}
      paragraf: {field: PARAGRAF, lookup: lov}
      ydelsesgruppe: {field: PARAGRAF, lookup: ydelsesgruppe}
      minutter_pr_uge: {sum: [MIN_MA, MIN_TI, MIN_ON, MIN_TO, MIN_FR, MIN_LO, MIN_SO]}
      leverandoertype: {field: LEVTYPE, lookup: leverandoertype}
      startdato: {field: STARTDATO, date: dd-mm-yyyy}
      slutdato: {field: SLUTDATO, date: dd-mm-yyyy}
`,
		"codes/lokal.csv": `system;liste;kode;standard;gyldig_fra;gyldig_til;kilde
vitae;lov;083 01 01;SEL-83-1-1;;;o
vitae;ydelsesgruppe;083 01 01;personlig;;;o
vitae;leverandoertype;K;kommunal;;;o
vitae;leverandoertype;P;privat;;;o
`}
	over := fstest.MapFS{}
	for name, text := range files {
		over[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return over
}

// TestVendorsGiveTheSameAnswer: three systems that differ in every convention say the same of the
// same grant.
func TestVendorsGiveTheSameAnswer(t *testing.T) {
	over := third()
	lists, err := codes.Load(schemas.Builtin, over)
	require.NoError(t, err)
	registry, err := avro.NewLocal(schemas.Builtin, over)
	require.NoError(t, err)
	var all []schemas.Agreement
	for k, s := range map[schemas.Kommunekode]schemas.System{"0101": "kmd-nexus", "0461": "cura",
		"0183": "vitae"} {
		all = append(all, schemas.Agreement{Kommune: k, Area: "aeldre", System: s,
			From: schemas.Always, To: schemas.Open})
	}
	agreements, err := schemas.NewAgreements(all)
	require.NoError(t, err)
	c, err := transforms.Load(transforms.Sources{Builtin: schemas.Builtin,
		Mappings: transforms.Mappings, Overlay: over,
		Lists: lists, Agreements: agreements, Registry: registry})
	require.NoError(t, err)
	w := &world{catalog: c, registry: registry, lists: lists}

	answers := map[string]string{}
	for system, input := range map[string]string{
		"kmd-nexus": strings.Replace(grantInput, `"minutes": 20`, `"minutes": 15`, 1),
		"cura": `{"topic": "raw.cura.borgerdokument.v1", "id": "1", "source": "//cura/5798004610008",
  "type": "borgerdokument",
			"data": {"borgerCpr": "6101700001", "kommuneGln": "5798004610008", "version": 1, "boliger": [],
  "besoeg": [],
			"leveret": [], "ydelser": [{"noegle": "4711", "lov": "§83,1,1", "timerPrUge": "1,75",
  "leverandoer": 1,
			"fraMs": 1735686000000, "tilMs": 1751320800000}]}}`,
		"vitae": `{"topic": "raw.vitae.visitation.v1", "id": "1", "source": "//vitae/183",
  "type": "visitation",
			"data": {"VISID": "4711", "KOMNR": "183", "CPRNR": "6101700001", "PARAGRAF": "083 01 01",
  "MIN_MA": 30,
			"MIN_TI": 0, "MIN_ON": 30, "MIN_TO": 0, "MIN_FR": 30, "MIN_LO": 0, "MIN_SO": 15, "LEVTYPE": "K",
			"STARTDATO": "01-01-2025", "SLUTDATO": "30-06-2025", "STATUS": "A"}}`,
	} {
		rows, err := c.Judge(nil, w.record(t, []byte(input)))
		require.NoError(t, err)
		require.Empty(t, rows[0].Finding, system)
		last := rows[len(rows)-1]
		require.Equal(t, system+":4711", last.Key)
		_, text, _ := strings.Cut(w.show([]schemas.Row{last}), "\n")
		answers[system] = last.From.String() + " " + last.To.String() + strings.Replace(text,
			system+":", "", 1)
	}
	require.Contains(t, answers["vitae"], "minutter_pr_uge=105.0000")
	require.Equal(t, answers["vitae"], answers["cura"])
	require.Equal(t, answers["vitae"], answers["kmd-nexus"])
}
