package transforms_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
	"github.com/flis-dk/flis/transforms"
)

const visitationInput = `{"topic": "raw.vitae.visitation.v1", "id": "1", "source": "//vitae/183",
  "type": "visitation", "data": {"VISID": "4711", "KOMNR": "183", "CPRNR": "6101700001",
  "PARAGRAF": "083 01 01", "MIN_MA": 30, "MIN_TI": 0, "MIN_ON": 30, "MIN_TO": 0, "MIN_FR": 30,
  "MIN_LO": 0, "MIN_SO": 15, "LEVTYPE": "K", "STARTDATO": "01-01-2025", "SLUTDATO": "30-06-2025",
  "STATUS": "A"}}`

// overlaid is vitae under another name as an overlay: what is built in is not needed for it.
func overlaid(t *testing.T) fstest.MapFS {
	over := fstest.MapFS{}
	for _, f := range []struct {
		files fs.FS
		name  string
	}{{schemas.Builtin, "systems/vitae/visitation.avsc"},
		{transforms.Mappings, "mappings/vitae/visitation.yaml"}} {
		b, err := fs.ReadFile(f.files, f.name)
		require.NoError(t, err)
		over[strings.Replace(f.name, "vitae", "egen", 1)] = &fstest.MapFile{
			Data: []byte(strings.ReplaceAll(string(b), "vitae", "egen"))}
	}
	b, err := fs.ReadFile(schemas.Builtin, "codes/lokal.csv")
	require.NoError(t, err)
	heading, rows, _ := strings.Cut(string(b), "\n")
	own := heading + "\n"
	for line := range strings.Lines(rows) {
		if rest, ok := strings.CutPrefix(line, "vitae;"); ok {
			own += "egen;" + rest
		}
	}
	over["codes/lokal.csv"] = &fstest.MapFile{Data: []byte(own)}
	return over
}

// vendorsWorld is a catalog with an agreement for each vendor.
func vendorsWorld(t *testing.T) *world {
	over := overlaid(t)
	lists, err := codes.Load(schemas.Builtin, over)
	require.NoError(t, err)
	registry, err := avro.NewLocal(schemas.Builtin, over)
	require.NoError(t, err)
	var all []schemas.Agreement
	for k, s := range map[schemas.Kommunekode]schemas.System{"0101": "kmd-nexus", "0461": "cura",
		"0183": "vitae", "0825": "egen"} {
		all = append(all, schemas.Agreement{Kommune: k, Area: "aeldre", System: s,
			From: schemas.Always, To: schemas.Open})
	}
	agreements, err := schemas.NewAgreements(all)
	require.NoError(t, err)
	c, err := transforms.Load(transforms.Sources{Builtin: schemas.Builtin,
		Mappings: transforms.Mappings, Overlay: over,
		Lists: lists, Agreements: agreements, Registry: registry})
	require.NoError(t, err)
	return &world{catalog: c, registry: registry, lists: lists}
}

// TestVendorsGiveTheSameAnswer: three systems that differ in every convention, and one of an
// overlay, say the same of the same grant.
func TestVendorsGiveTheSameAnswer(t *testing.T) {
	w := vendorsWorld(t)
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
		"vitae": visitationInput,
		"egen":  strings.NewReplacer("vitae", "egen", "183", "825").Replace(visitationInput),
	} {
		rows, err := w.catalog.Judge(nil, w.record(t, []byte(input)))
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
	require.Equal(t, answers["vitae"], answers["egen"])
	require.Equal(t, answers["vitae"], answers["kmd-nexus"])
}

// TestVendorsGiveTheSameHomes: who waits for a home and who lives in one is the same of all
// vendors.
func TestVendorsGiveTheSameHomes(t *testing.T) {
	w := vendorsWorld(t)
	answers := map[string][]string{}
	for system, input := range map[string]string{
		"kmd-nexus": `{"topic": "raw.kmd-nexus.housing.v1", "id": "1",
  "source": "//kmd-nexus/99901011000016", "type": "housing", "data": {"housingId": "7",
  "patientIdentifier": "610170-0001", "organisationSor": "99901011000016", "kind": "NURSING_HOME",
  "state": "ACTIVE", "assessedOn": "2025-01-10T00:00:00+01:00",
  "movedInOn": "2025-02-01T00:00:00+01:00"}}`,
		"cura": `{"topic": "raw.cura.borgerdokument.v1", "id": "1", "source": "//cura/5798004610008",
  "type": "borgerdokument", "data": {"borgerCpr": "6101700001", "kommuneGln": "5798004610008",
  "version": 1, "ydelser": [], "besoeg": [], "leveret": [],
  "boliger": [{"type": 1, "visiteretMs": 1736463600000, "indflytMs": 1738364400000}]}}`,
		"vitae": `{"topic": "raw.vitae.bolig.v1", "id": "1", "source": "//vitae/183", "type": "bolig",
  "data": {"BOLID": "7", "KOMNR": "183", "CPRNR": "6101700001", "TYPE": 1, "VISDATO": "10-01-2025",
  "INDDATO": "01-02-2025", "STATUS": "A"}}`,
	} {
		rows, err := w.catalog.Judge(nil, w.record(t, []byte(input)))
		require.NoError(t, err)
		require.Empty(t, rows[0].Finding, system)
		for _, r := range rows {
			if r.Op == schemas.OpUpsert {
				_, text, _ := strings.Cut(w.show([]schemas.Row{r}), "\n")
				answers[system] = append(answers[system], bound(r.From)+" "+bound(r.To)+" "+text)
			}
		}
	}
	require.Len(t, answers["vitae"], 2)
	require.Equal(t, answers["vitae"], answers["cura"])
	require.Equal(t, answers["vitae"], answers["kmd-nexus"])
}
