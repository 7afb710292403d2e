package transforms_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
)

const grantInput = `{"topic": "raw.kmd-nexus.grant.v1", "key": "4711", "id": "g-1",
 "source": "//kmd-nexus/99901011000016", "type": "grant", "time": "2026-03-02T08:15:00+01:00",
 "flis_leverance": "2026-03-01",
 "data": {"grantId": 4711, "patientIdentifier": "610170-0001", "organisationSor": "99901011000016",
  "paragraph": {"law": "SEL", "section": "83"}, "catalogCode": "PERSONLIG",
  "workflowState": "ACTIVE",
  "validity": {"from": "2025-01-01T00:00:00+01:00", "to": "2025-06-30T00:00:00+02:00"},
  "amount": {"minutes": 20, "every": "DAY"}, "supplier": {"cvr": null, "kind": "MUNICIPAL"}}}`

// BenchmarkMap is a grant event from record to rows. Budget: 2 µs on one core.
func BenchmarkMap(b *testing.B) {
	w := newWorld(b)
	r := w.record(b, []byte(grantInput))
	rows := make([]schemas.Row, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if rows, err = w.catalog.Judge(rows[:0], r); err != nil || len(rows) != 3 {
			b.Fatal(err, len(rows))
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkDecode is the walk over the same event's bytes alone.
func BenchmarkDecode(b *testing.B) {
	w := newWorld(b)
	s, _ := w.catalog.TopicSchema("raw.kmd-nexus.grant.v1")
	data := w.record(b, []byte(grantInput)).Value[5:]
	scan, err := avro.NewScan(s, s, []string{"grantId", "patientIdentifier", "validity.from",
		"validity.to",
		"amount.minutes", "amount.every", "supplier.kind"})
	require.NoError(b, err)
	values := make([]avro.Value, scan.Len())
	b.ReportAllocs()
	for b.Loop() {
		if err := scan.Run(data, values); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
