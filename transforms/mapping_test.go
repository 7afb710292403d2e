package transforms_test

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
	"github.com/flis-dk/flis/transforms"
)

const probeSchema = `{"type": "record", "name": "sag", "namespace": "dk.flis.raw.probe", "fields": [
  {"name": "id", "doc": "d", "type": "long"}, {"name": "cpr", "doc": "d", "type": "string"},
  {"name": "kom", "doc": "d", "type": "string"}, {"name": "day", "doc": "d", "type": "string"},
  {"name": "kind", "doc": "d", "type": "string"}, {"name": "on", "doc": "d", "type": "boolean"},
  {"name": "half", "doc": "d", "type": "double"}, {"name": "hours", "doc": "d", "type": "string"},
  {"name": "maybe", "doc": "d", "type": ["null", "string"], "default": null},
  {"name": "born", "doc": "d", "type": {"type": "int", "logicalType": "date"}},
  {"name": "when", "doc": "d", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "list", "doc": "d", "type": {"type": "array", "items": {"type": "record", "name": "it",
  "fields": [{"name": "x", "doc": "d", "type": "string"}]}}},
  {"name": "rest", "doc": "d", "type": {"type": "map", "values": "string"}}]}`

const probeDataset = `{"type": "record", "name": "ting", "namespace": "dk.flis.domaene.proeve",
  "doc": "d", "slags": "tilstand",
 "skriv": "hel", "ejer": "handle", "noegle": ["ting_id"], "klasse": "A", "slettefrist": "P1D",
  "fields": [
 {"name": "ting_id", "doc": "d", "type": "string"},
 {"name": "art", "doc": "d", "type": ["null", "string"], "default": null, "kodeliste": "proeveart"},
 {"name": "antal", "doc": "d", "type": ["null", "int"], "default": null},
 {"name": "beloeb", "doc": "d", "type": ["null", {"type": "bytes", "logicalType": "decimal",
  "precision": 18, "scale": 2}], "default": null},
 {"name": "sand", "doc": "d", "type": ["null", "boolean"], "default": null},
 {"name": "dag", "doc": "d", "type": ["null", {"type": "int", "logicalType": "date"}],
  "default": null},
 {"name": "tid", "doc": "d", "type": ["null", {"type": "long",
  "logicalType": "timestamp-micros"}], "default": null},
 {"name": "minutter", "doc": "d", "type": ["null", "int"], "default": null},
 {"name": "anden_cpr", "doc": "d", "type": ["null", "string"], "default": null},
 {"name": "sag_id", "doc": "d", "type": ["null", "string"], "default": null}]}`

const probeList = "kode;navn;gyldig_fra;gyldig_til;efterfoelger;kilde\n" +
	"a;A;2020-01-01;2025-01-01;b;o\nb;B;2025-01-01;;;o\n"

const probeLocal = "system;liste;kode;standard;gyldig_fra;gyldig_til;kilde\n" +
	"probe;art;X;a;;2025-01-01;o\nprobe;art;X;b;2025-01-01;;o\n" +
	"probe;ny;X;b;2030-01-01;;o\n"

const probeMapping = `system: probe
event: sag
kommune: {field: kom, form: KOM4}
unused: [cpr, kind, on, half, hours, maybe, born, when, list, rest]
targets:
  - dataset: proeve.ting
    gyldig_fra: {field: day, date: iso}
    columns:
      ting_id: {field: id, id: true}
`

// probe loads a catalog that has one event of its own.
func probe(t testing.TB, mapping string, more map[string]string) (*transforms.Catalog, *avro.Local,
	error) {
	over := fstest.MapFS{}
	for name, text := range map[string]string{"systems/probe/sag.avsc": probeSchema,
		"domain/proeve/ting.avsc": probeDataset, "codes/proeveart.csv": probeList,
		"codes/lokal.csv":         probeLocal,
		"mappings/probe/sag.yaml": mapping} {
		over[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for name, text := range more {
		over[name] = &fstest.MapFile{Data: []byte(text)}
	}
	lists, err := codes.Load(schemas.Builtin, over)
	require.NoError(t, err)
	registry, err := avro.NewLocal(schemas.Builtin, over)
	require.NoError(t, err)
	agreements, err := schemas.NewAgreements([]schemas.Agreement{{Kommune: "0101", Area: "proeve",
		System: "probe",
		From:   schemas.Always, To: schemas.Open}})
	require.NoError(t, err)
	c, err := transforms.Load(transforms.Sources{Builtin: schemas.Builtin,
		Mappings: transforms.Mappings,
		Overlay:  over, Lists: lists, Agreements: agreements, Registry: registry})
	return c, registry, err
}

func TestMappingLoads(t *testing.T) {
	c, _, err := probe(t, probeMapping, nil)
	require.NoError(t, err)
	require.Contains(t, c.Systems(), schemas.System("probe"))
	require.Equal(t, []string{"sag"}, c.Events("probe"))
	require.Equal(t, []string{"grant", "housing", "visit"}, c.Events("kmd-nexus"))
	require.Nil(t, c.Events("nobody"))
	require.NotNil(t, c.Dataset("proeve.ting"))
	require.Nil(t, c.Dataset("proeve.intet"))
	_, ok := c.TopicSchema("raw.probe.kontrol.v1")
	require.True(t, ok)
	require.Len(t, c.Fingerprint(), 16)
	d, _, err := probe(t, probeMapping+"# a remark\n", nil)
	require.NoError(t, err)
	require.NotEqual(t, c.Fingerprint(), d.Fingerprint())
}

// badMapping is a change of probeMapping, and the fault that it makes.
type badMapping struct {
	change [2]string
	want   string
}

// addedColumn is a change that adds a column.
func addedColumn(line string) [2]string {
	return [2]string{"      ting_id: {field: id, id: true}\n",
		"      ting_id: {field: id, id: true}\n      " + line + "\n"}
}

// badNames is what is not there, or is named otherwise.
func badNames() map[string]badMapping {
	return map[string]badMapping{
		"unknown key": {[2]string{"event: sag", "event: sag\nflag: x"},
			`sag.yaml:3: unknown key "flag"`},
		"other system": {[2]string{"system: probe", "system: prob"},
			"sag.yaml:1: system: prob does not fit the folder: want system: probe"},
		"no system": {[2]string{"system: probe\n", ""}, "system and event are missing"},
		"number without cpr": {addedColumn("anden_cpr: {field: cpr}"),
			"sag.yaml:10: column anden_cpr is a personal number: want cpr: true"},
		"id without id": {addedColumn("sag_id: {field: hours}"),
			"sag.yaml:10: column sag_id is a local id, <system>:<id>: want id: true"},
		"key without id": {[2]string{"ting_id: {field: id, id: true}", "ting_id: {field: id}"},
			"column ting_id is a local id"},
		"delete that never holds": {[2]string{"    columns:",
			"    when: {kind: [A, P]}\n    delete: {kind: [P, S]}\n    columns:"},
			`sag.yaml:6: delete: kind "S" can never hold: when does not let it through`},
		"withdraw of what is absent": {[2]string{"    columns:",
			"    absent: [maybe]\n    withdraw: {maybe: [S]}\n    columns:"},
			"withdraw: maybe can never hold: the field is one of absent"},
		"other name": {[2]string{"event: sag", "event: sager"},
			"sag.yaml:1: event: sager does not fit the file: want event: sag"},
		"unknown field": {addedColumn("art: {field: sort}"),
			`sag.yaml:10: field "sort": the source schema has no such field`},
		"unknown column": {addedColumn("farve: {field: kind}"),
			`sag.yaml:10: column "farve" is not of proeve.ting`},
		"unknown dataset": {[2]string{"proeve.ting", "proeve.intet"},
			`dataset "proeve.intet" is not of the standard model`},
		"missing column": {[2]string{"ting_id: {field: id, id: true}", "antal: {field: id}"},
			"column ting_id of proeve.ting is missing"},
		"missing start": {[2]string{"    gyldig_fra: {field: day, date: iso}\n", ""},
			"gyldig_fra is missing"},
		"not used": {[2]string{"unused: [cpr, ", "unused: ["},
			"field cpr of the source is neither used nor listed"},
		"used and unused": {[2]string{"unused: [", "unused: [id, "},
			"unused: id is used in line 9"},
		"unused of nothing": {[2]string{"unused: [", "unused: [nix, "},
			"unused: the source has no field nix"},
	}
}

// badForms is forms that are missing or do not fit.
func badForms() map[string]badMapping {
	return map[string]badMapping{
		"no form": {[2]string{", date: iso}", "}"},
			`sag.yaml:7: date is missing: want one of iso`},
		"other form": {[2]string{"date: iso}", "date: is}"}, `date "is": want one of iso`},
		"form of a number": {[2]string{"date: iso}", "date: epoch-days}"},
			"field day is a string, want a long"},
		"end of a start": {[2]string{"date: iso}", "date: iso, ende: inclusive}"},
			"ende is said of an end only"},
		"end without ende": {[2]string{"    columns:",
			"    gyldig_til: {field: maybe, date: iso}\n    columns:"},
			`ende is missing: want one of inclusive, exclusive`},
		"form not needed": {addedColumn("dag: {field: born, date: iso}"),
			"is a date and needs no form"},
		"time not needed": {addedColumn("tid: {field: when, time: epoch-millis}"), "needs no form"},
		"two sources": {addedColumn("art: {field: kind, constant: a}"),
			"want one of field, constant, join, sum, minutes"},
		"no source":   {addedColumn("art: {lookup: art}"), "want one of field, constant"},
		"verb misfit": {addedColumn("antal: {field: id, cpr: true}"), "cpr does not fit here"},
		"date misfit": {addedColumn("antal: {field: id, date: iso}"), "date does not fit here"},
		"number form": {addedColumn("beloeb: {field: hours}"), `number is missing: want one of dot`},
		"number not needed": {addedColumn("beloeb: {field: id, number: dot}"),
			"is a long and needs no form"},
		"number of boolean": {addedColumn("beloeb: {field: on}"),
			"field on is a boolean, want a number"},
		"text of a double": {addedColumn("art: {field: half}"),
			"field half is a double, want text or integer"},
		"text of a map":  {addedColumn("art: {field: rest}"), `field "rest" holds no single value`},
		"text of a list": {addedColumn("art: {field: list}"), "want text or integer"},
		"bad factor":     {addedColumn("antal: {field: id, factor: \"1/0\"}"), `factor "1/0"`},
		"unquoted factor": {addedColumn("antal: {field: id, factor: 60}"),
			"60 is read as int: write it in quotes"},
	}
}

// badCodes is codes, constants and truths that are none.
func badCodes() map[string]badMapping {
	return map[string]badMapping{
		"constant": {addedColumn("antal: {constant: x}"), "is no integer"},
		"constant code": {addedColumn("art: {constant: z}"),
			`constant "z" is no code of the list proeveart`},
		"default": {addedColumn("antal: {field: id, default: x}"), "default:"},
		"local list": {addedColumn("art: {field: kind, lookup: arter}"),
			`sag.yaml:10: lookup arter: the list lokal has no rows for probe: add rows ` +
				`"probe;arter;<code>;<standard>;;;o" to codes/lokal.csv`},
		"lookup misfit": {addedColumn("antal: {field: id, lookup: art}"),
			"lookup does not fit here"},
		"ukendt": {addedColumn("art: {field: kind, ukendt: drop}"), `ukendt "drop"`},
		"boolean": {addedColumn("sand: {field: kind}"),
			"field kind is a string, want a boolean"},
		"boolean value": {addedColumn("sand: {field: kind, boolean: {J: maybe}}"),
			`boolean "maybe"`},
		"minutes": {addedColumn("antal: {minutes: [when]}"),
			"minutes: want the start and the end"},
		"with alone": {addedColumn("art: {field: kind, with: x}"), "with does not fit here"},
	}
}

// badWords is words of a file and of a target that do not go together.
func badWords() map[string]badMapping {
	return map[string]badMapping{
		"form of kommune": {[2]string{"form: KOM4", "form: KOM5"}, `form "KOM5"`},
		"kommune": {[2]string{"kommune: {field: kom, form: KOM4}",
			"kommune: {national: true, field: kom}"}, "want field and form, or national alone"},
		"national": {[2]string{"kommune: {field: kom, form: KOM4}",
			"kommune: {national: true}"}, "the source speaks for all municipalities"},
		"each of no list": {[2]string{"  - dataset: proeve.ting\n",
			"  - dataset: proeve.ting\n    each: kom\n"}, "each kom: the field is no array"},
		"empty set": {[2]string{"    columns:", "    when: {kind: []}\n    columns:"},
			"condition on kind: the set is empty"},
		"condition": {[2]string{"    columns:", "    when: {half: [\"1\"]}\n    columns:"},
			"a double is compared with no set"},
		"op": {[2]string{"    columns:", "    op: merge\n    columns:"},
			`op "merge": want one of upsert, replace`},
		"background": {[2]string{"    columns:", "    background: kind\n    columns:"},
			"field kind is a string, want a boolean"},
		"no targets": {[2]string{probeMapping[strings.Index(probeMapping, "targets:"):], ""},
			"targets are missing"},
		"tombstone": {[2]string{"targets:",
			"tombstone:\n  - dataset: proeve.ting\n    columns: {ting_id: {field: id}}\ntargets:"},
			`a tombstone has but its key, "*"`},
		"tombstone key": {[2]string{"targets:",
			"tombstone:\n  - dataset: proeve.ting\n    columns: {art: {field: \"*\"}}\ntargets:"},
			"key column ting_id of proeve.ting is missing"},
		"tombstone of none": {[2]string{"targets:",
			"tombstone:\n  - scope: {field: \"*\"}\ntargets:"}, "the mapping has no snapshot"},
		"snapshot word": {[2]string{"targets:",
			"snapshot: {scope: {field: kind}, absent: away, datasets: [proeve.ting]}\ntargets:"},
			`absent "away"`},
		"snapshot start": {[2]string{"targets:",
			"snapshot: {scope: {field: kind}, absent: ended, datasets: [proeve.ting]}\ntargets:"},
			"said with absent: ended"},
		"snapshot of none": {[2]string{"targets:",
			"snapshot: {scope: {field: kind}, absent: gone, datasets: []}\ntargets:"},
			"datasets of the snapshot are missing"},
		"snapshot of items": {[2]string{"targets:",
			"snapshots:\n  - {scope: {field: kind}, absent: gone, datasets: [proeve.ting]}\ntargets:"},
			"snapshots: want each, and neither id, count nor empty"},
		"snapshot of no array": {[2]string{"targets:", "snapshots:\n" +
			"  - {each: kind, scope: {field: x}, absent: gone, datasets: [proeve.ting]}\ntargets:"},
			"each kind: the field is no array"},
		"snapshot of the record with each": {[2]string{"targets:", "snapshot: {each: list, " +
			"scope: {field: kind}, absent: gone, datasets: [proeve.ting]}\ntargets:"},
			"each is said of snapshots"},
		"target without its scope": {[2]string{"targets:", "snapshots:\n" +
			"  - {each: list, scope: {field: x}, absent: gone, datasets: [proeve.ting]}\ntargets:"},
			"scope: it is said where snapshots name the dataset, and only there"},
		"scope without snapshots": {[2]string{"proeve.ting\n",
			"proeve.ting\n    scope: {field: kind}\n"},
			"scope: it is said where snapshots name the dataset, and only there"},
		"snapshot count": {[2]string{"targets:",
			"snapshot: {scope: {field: kind}, absent: gone, id: kind, datasets: [proeve.ting]}\ntargets:"},
			"id and count go together"},
	}
}

// TestBadMappings: each mistake is an error at load that names file, line and fault.
func TestBadMappings(t *testing.T) {
	for _, table := range []map[string]badMapping{badNames(), badForms(), badCodes(), badWords()} {
		for name, c := range table {
			t.Run(name, func(t *testing.T) {
				require.Contains(t, probeMapping, c.change[0])
				_, _, err := probe(t, strings.Replace(probeMapping, c.change[0], c.change[1], 1), nil)
				require.ErrorContains(t, err, c.want)
				require.ErrorContains(t, err, "mappings/probe/sag.yaml:")
			})
		}
	}
}

// TestExamplesOfTheDocument: the mappings in docs/mapping.md are those that load.
func TestExamplesOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/mapping.md")
	require.NoError(t, err)
	for _, name := range []string{"mappings/vitae/visitation.yaml", "mappings/kmd-nexus/housing.yaml"} {
		mapping, err := transforms.Mappings.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(text), "```yaml\n"+string(mapping)+"```\n", name)
	}
}

func TestBadCatalogs(t *testing.T) {
	for name, c := range map[string][3]string{
		"schema without mapping": {"systems/probe/ny.avsc", probeSchema,
			"systems/probe/ny.avsc: has no mapping"},
		"mapping without schema": {"mappings/probe/ny.yaml", probeMapping,
			"there is no schema systems/probe/ny.avsc"},
		"broken dataset": {"domain/proeve/ting.avsc", strings.Replace(probeDataset, "hel", "halv",
			1),
			"domain/proeve/ting.avsc: a state is written"},
		"record of another name": {"systems/probe/sag.avsc", strings.Replace(probeSchema, `"sag"`,
			`"Sag"`, 1), `systems/probe/sag.avsc:1: the record is named "Sag": want "sag", the event`},
		"field without doc": {"systems/probe/sag.avsc", strings.Replace(probeSchema,
			`"x", "doc": "d"`, `"x", "doc": " "`, 1),
			"systems/probe/sag.avsc:10: field x has no doc"},
		"standard of no list": {"codes/lokal.csv", strings.Replace(probeLocal, ";b;", ";B;", 1),
			`codes/lokal.csv:3: standard "B" is no code of the list proeveart on any day ` +
				`(mappings/probe/sag.yaml:10, lookup art)`},
		"control of its own": {"mappings/probe/kontrol.yaml", probeMapping, "there is no schema"},
	} {
		mapping := strings.Replace(probeMapping, "kind, ", "", 1) +
			"      art: {field: kind, lookup: art}\n"
		_, _, err := probe(t, mapping, map[string]string{c[0]: c[1]})
		require.ErrorContains(t, err, c[2], name)
	}
}

// judgeProbe maps one record of the probe and gives the columns of its row, or the findings.
func judgeProbe(t *testing.T, columns string, data string) string {
	var b strings.Builder
	for _, line := range strings.Split(columns, "\n") {
		b.WriteString("      " + line + "\n")
	}
	unused := []string{}
	for _, f := range []string{"cpr", "kind", "on", "half", "hours", "maybe", "born", "when",
		"list", "rest"} {
		if !regexp.MustCompile(`\b` + f + `\b`).MatchString(columns) {
			unused = append(unused, f)
		}
	}
	mapping := strings.Replace(probeMapping,
		"[cpr, kind, on, half, hours, maybe, born, when, list, rest]",
		"["+strings.Join(unused, ", ")+"]", 1) + b.String()
	c, _, err := probe(t, mapping, nil)
	require.NoError(t, err)
	w := &world{catalog: c}
	fields := map[string]string{"id": "7", "cpr": `"6101700001"`, "kom": `"0101"`,
		"day": `"2024-06-01"`, "kind": `"X"`,
		"on": "true", "half": "0.5", "hours": `"3,25"`, "born": "19000", "when": "1700000000000",
		"list": "[]", "rest": "{}"}
	for _, pair := range strings.Split(data, "; ") {
		if k, v, ok := strings.Cut(pair, "="); ok {
			fields[k] = v
		}
	}
	var body []string
	for k, v := range maps.All(fields) {
		body = append(body, `"`+k+`": `+v)
	}
	r := w.record(t, []byte(`{"topic": "raw.probe.sag.v1", "id": "1", "source": "//probe/0101",
  "type": "sag",
		"data": {`+strings.Join(body, ", ")+`}}`))
	rows, err := c.Judge(nil, r)
	require.NoError(t, err)
	if len(rows) == 1 {
		return rows[0].Finding
	}
	text := strings.Split(w.show(rows[1:]), "\n")
	var got []string
	for _, line := range text {
		k, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && strings.HasPrefix(line, "  ") && k != "ting_id" && v != "null" {
			got = append(got, k+"="+v)
		}
	}
	if rows[0].Finding != "" {
		got = append(got, rows[0].Finding)
	}
	return strings.Join(got, " ")
}

// TestVerbs: what each verb makes of a value, and what it refuses.
func TestVerbs(t *testing.T) {
	for _, c := range [][3]string{
		{`beloeb: {field: hours, number: comma}`, ``, "beloeb=3.25"},
		{`beloeb: {field: hours, number: comma}`, `hours="1.234.567,895"`, "beloeb=1234567.90"},
		{`beloeb: {field: hours, number: comma}`, `hours="-1,005"`, "beloeb=-1.01"},
		{`beloeb: {field: hours, number: comma}`, `hours="12.34"`,
			"MAPPING hours: is no number of the agreed form"},
		{`beloeb: {field: hours, number: dot}`, `hours="1234.50"`, "beloeb=1234.50"},
		{`beloeb: {field: hours, number: dot}`, `hours="1,5"`, "MAPPING hours"},
		{`beloeb: {field: hours, number: dot}`, `hours="1e3"`, "MAPPING hours"},
		{`beloeb: {field: hours, number: dot}`, `hours=""`, "MAPPING hours"},
		{`beloeb: {field: hours, number: dot}`, `hours="1.0123456789"`, "MAPPING hours"},
		{`beloeb: {field: hours, number: trailing-minus}`, `hours="1234.50-"`, "beloeb=-1234.50"},
		{`beloeb: {field: hours, number: trailing-minus}`, `hours="-1234.50"`, "MAPPING hours"},
		{`beloeb: {field: id, factor: "1/100"}`, `id=12345`, "beloeb=123.45"},
		{`beloeb: {field: half}`, ``, "beloeb=0.50"},
		{`antal: {field: hours, number: comma, factor: "60"}`, ``, "antal=195"},
		{`antal: {sum: [id, id]}`, `id=4`, "antal=8"},
		{`antal: {field: id}`, `id=2147483648`, "MAPPING id: is too large a number"},
		{`antal: {constant: "5"}`, ``, "antal=5"},
		{`antal: {field: maybe, number: dot, default: "0"}`, ``, "antal=0"},
		{`antal: {minutes: [when, when]}`, ``, "antal=0"},
		{`antal: {field: hours, number: dot}`, `hours="-1"`, "antal=-1"},
		{`minutter: {field: hours, number: dot}`, `hours="-1"`, "MAPPING hours: is below zero"},
		{`minutter: {sum: [id, born, id]}`, `id=30; born=-1`, "MAPPING born: is below zero"},
		{`minutter: {field: hours, number: dot}`, `hours="0"`, "minutter=0"},
		{`sand: {field: on}`, ``, "sand=true"},
		{`sand: {field: kind, boolean: {X: "true", Y: "false"}}`, ``, "sand=true"},
		{`sand: {field: kind, boolean: {X: "true", Y: "false"}}`, `kind="Z"`,
			"CODE kind: is no code for true or false"},
		{`dag: {field: born}`, ``, "dag=2022-01-08"},
		{`dag: {field: born, days: -1}`, ``, "dag=2022-01-07"},
		{`dag: {field: hours, date: dd-mm-yyyy}`, `hours="29-02-2024"`, "dag=2024-02-29"},
		{`dag: {field: hours, date: dd-mm-yyyy}`, `hours="29-02-2023"`, "DATE hours"},
		{`dag: {field: hours, date: dd.mm.yyyy}`, `hours="01.03.2024"`, "dag=2024-03-01"},
		{`dag: {field: hours, date: yyyymmdd}`, `hours="20240301"`, "dag=2024-03-01"},
		{`dag: {field: id, date: yyyymmdd}`, `id=20240301`, "dag=2024-03-01"},
		{`dag: {field: id, date: epoch-days}`, `id=19783`, "dag=2024-03-01"},
		{`dag: {field: id, date: epoch-days}`, `id=9999999`, "DATE id"},
		{`dag: {field: hours, date: iso}`, `hours="9999-12-31"`, ""},
		{`dag: {field: when}`, ``, "dag=2023-11-14"},
		{`tid: {field: when}`, ``, "tid=2023-11-14T22:13:20.000000Z"},
		{`tid: {field: hours, time: iso-offset}`, `hours="2024-03-31T02:30:00.25+02:00"`,
			"tid=2024-03-31T00:30:00.250000Z"},
		{`tid: {field: hours, time: iso-offset}`, `hours="2024-03-31T02:30:00"`, "DATE hours"},
		{`art: {field: kind, lookup: art}`, ``, "art=a"},
		{`art: {field: kind, lookup: art}`, `day="2025-06-01"`, "art=b"},
		{`art: {field: kind, lookup: art, at: born}`, `day="2025-06-01"`, "art=a"},
		{`art: {field: kind}`, `kind="a"`, "art=a"},
		{`art: {field: kind}`, `kind="a"; day="2025-06-01"`,
			"CODE kind: is no code of proeveart on that day (the code holds until 2025-01-01)"},
		{`art: {field: kind, lookup: art}`, `day="2019-01-01"`, "CODE kind: is no code of " +
			"art → proeveart on that day (a holds from 2020-01-01)"},
		{`art: {field: kind, lookup: ny}`, `day="2025-06-01"`, "CODE kind: is no code of " +
			"ny → proeveart on that day (the code holds from 2030-01-01)"},
		{`art: {field: kind, at: always}`, `kind="a"; day="2025-06-01"`, "art=a"},
		{`art: {field: kind, ukendt: behold}`, `kind="q"`,
			"art=q CODE kind: is no code of proeveart, kept"},
		{`art: {field: kind, lookup: art, ukendt: behold}`, `kind="q"`,
			"art=ukendt CODE kind: is no code of art → proeveart, kept"},
		{`art: {join: [kind, hours], with: "/", ukendt: behold}`, ``, "art=X/3,25 CODE kind+hours"},
	} {
		t.Run(c[0]+" "+c[1], func(t *testing.T) {
			got := judgeProbe(t, c[0], c[1])
			if c[2] == "" {
				require.Empty(t, got)
			}
			require.True(t, strings.HasPrefix(got, c[2]), got)
		})
	}
}
