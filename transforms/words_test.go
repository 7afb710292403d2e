package transforms_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWordsOfATarget: the words that no built-in mapping needs yet.
func TestWordsOfATarget(t *testing.T) {
	const head = "system: probe\nevent: sag\nkommune: {field: kom, form: KOM4}\n"
	const row = "    gyldig_fra: {field: day, date: iso}\n" +
		"    columns:\n      ting_id: {field: id, id: true}\n"
	const from = `"id": 7, "cpr": "x", "kom": "0101", "day": "2024-06-01", "on": true, "half": 1,
		"hours": "1", "born": 0, "when": 0, "rest": {}`
	for name, c := range map[string]struct{ mapping, data, want string }{
		"withdraw": {head + `unused: [cpr, on, half, hours, maybe, born, when, list, rest]
targets:
  - dataset: proeve.ting
    withdraw: {kind: [W]}
` + row, from + `, "kind": "W", "list": []`,
			`1 delete accepteret kommune=0101 dataset=proeve.ting key="probe:7" scope="" [2024-`},
		"a snapshot over several records": {head + `unused: [cpr, on, half, maybe, born, when, list, rest]
snapshot:
  scope: {field: kind}
  absent: ended
  fra: {field: day, date: iso}
  id: hours
  count: id
  datasets: [proeve.ting]
targets:
  - dataset: proeve.ting
` + row, from + `, "kind": "W", "list": []`,
			`1 snapshot accepteret kommune=0101 dataset=proeve.ting key="" scope="W" [2024-06-01, open)`},
		"background": {head + `unused: [cpr, kind, half, hours, maybe, born, when, list, rest]
targets:
  - dataset: proeve.ting
    background: on
` + row, from + `, "kind": "W", "list": []`, " background\n"},
		"an item and its record": {head + `unused: [cpr, on, half, hours, maybe, born, when, rest, kind]
targets:
  - dataset: proeve.ting
    each: list
    gyldig_fra: {field: .day, date: iso}
    columns:
      ting_id: {join: [.id, x], with: "-", id: true}
`, from + `, "kind": "W", "list": [{"x": "a"}, {"x": "b"}]`,
			`2 upsert accepteret kommune=0101 dataset=proeve.ting key="probe:7-b"`},
		"absent": {head + `unused: [cpr, kind, on, half, hours, born, when, list, rest]
targets:
  - dataset: proeve.ting
    absent: [maybe]
` + row, from + `, "kind": "W", "list": [], "maybe": "x"`, "MAPPING: no target takes the record"},
	} {
		t.Run(name, func(t *testing.T) {
			catalog, _, err := probe(t, c.mapping, nil)
			require.NoError(t, err)
			w := &world{catalog: catalog}
			rows, err := catalog.Judge(nil, w.record(t, []byte(`{"topic": "raw.probe.sag.v1", "id": "1",
				"source": "//probe/0101", "type": "sag", "data": {`+c.data+`}}`)))
			require.NoError(t, err)
			require.Contains(t, w.show(rows), c.want)
			if rows[len(rows)-1].Op == "snapshot" || len(rows) > 1 && rows[1].Op == "snapshot" {
				require.Equal(t, "1", rows[1].Snapshot)
				require.EqualValues(t, 7, rows[1].Count)
				require.Equal(t, "W", rows[2].Scope)
				require.Equal(t, "1", rows[2].Snapshot, "a member names its snapshot")
			}
		})
	}
}

// itemSnapshots is a mapping whose items say snapshots; %s is the kind that they hold of.
const itemSnapshots = `system: probe
event: sag
kommune: {field: kom, form: KOM4}
unused: [cpr, on, half, hours, maybe, born, when, rest]
snapshots:
  - each: list
    when: {.kind: [%s]}
    scope: {join: [.id, x], with: "/"}
    absent: ended
    fra: {field: .day, date: iso}
    datasets: [proeve.ting]
targets:
  - dataset: proeve.ting
    each: list
    scope: {join: [.id, x], with: "/"}
    gyldig_fra: {field: .day, date: iso}
    columns:
      ting_id: {join: [.id, x], with: "-", id: true}
`

// TestItemSnapshots: each item takes back what its own scope said, before all members; not where
// the condition fails.
func TestItemSnapshots(t *testing.T) {
	for kind, want := range map[string]string{
		"W": `1 snapshot accepteret kommune=0101 dataset=proeve.ting key="" scope="7/a" [2024-06-01, open)
2 snapshot accepteret kommune=0101 dataset=proeve.ting key="" scope="7/b" [2024-06-01, open)
3 upsert accepteret kommune=0101 dataset=proeve.ting key="probe:7-a" scope="7/a" [2024-06-01, open)
4 upsert accepteret kommune=0101 dataset=proeve.ting key="probe:7-b" scope="7/b" [2024-06-01, open)
`,
		"V": `1 upsert accepteret kommune=0101 dataset=proeve.ting key="probe:7-a" scope="7/a" [2024-06-01, open)
2 upsert accepteret kommune=0101 dataset=proeve.ting key="probe:7-b" scope="7/b" [2024-06-01, open)
`,
	} {
		catalog, _, err := probe(t, fmt.Sprintf(itemSnapshots, kind), nil)
		require.NoError(t, err)
		w := &world{catalog: catalog}
		rows, err := catalog.Judge(nil, w.record(t, []byte(`{"topic": "raw.probe.sag.v1", "id": "1",
			"source": "//probe/0101", "type": "sag", "data": {"id": 7, "cpr": "x", "kom": "0101",
			"day": "2024-06-01", "on": true, "half": 1, "hours": "1", "born": 0, "when": 0,
			"rest": {}, "kind": "W", "list": [{"x": "a"}, {"x": "b"}]}}`)))
		require.NoError(t, err)
		var got strings.Builder
		for line := range strings.Lines(w.show(rows[1:])) {
			if at, _, ok := strings.Cut(line, " stated="); ok {
				got.WriteString(at + "\n")
			}
		}
		require.Equal(t, want, got.String())
	}
}
