package sinks

import (
	"fmt"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/stretchr/testify/require"
)

// BenchmarkClose folds a first load of people, and a day on which one in a hundred is told anew.
func BenchmarkClose(b *testing.B) {
	const people = 50_000
	sets := builtinDatasets(b)
	u := schemas.Unit{Kommune: "0101", Area: "borger"}
	ags := []schemas.Agreement{{Kommune: "0101", Area: "borger", System: "cpr", From: schemas.Always, To: schemas.Open, Since: schemas.Always}}
	block := func(n, day int) []schemas.Row {
		cpr := fmt.Sprintf("%02d%02d%02d%04d", 61+n%31, 1+n/31%12, n/372%100, n/37200)
		base := schemas.Row{Stream: "c/raw.cpr.person.v1/0", Offset: int64(day*people + n), EventID: fmt.Sprintf("file%d|%d", day, n), System: "cpr",
			Leverance: firstDay + schemas.Day(day), Stated: schemas.Instant(day), Scope: cpr, From: schemas.Always, To: schemas.Open}
		snap := base
		snap.Kommune, snap.Dataset, snap.Op, snap.Ordinal = schemas.National, "borger.person", schemas.OpSnapshot, 1
		row := base
		row.Kommune, row.Dataset, row.Op, row.Ordinal, row.Key, row.From = "0101", "borger.person", schemas.OpUpsert, 2, cpr, schemas.Day(n%9000)
		row.Payload = payload(b, sets["borger.person"], map[string]any{"cpr": cpr, "status": fmt.Sprint(day)})
		return []schemas.Row{snap, row}
	}
	var load, daily []schemas.Row
	for n := range people {
		load = append(load, block(n, 0)...)
		if n%100 == 0 {
			daily = append(daily, block(n, 1)...)
		}
	}
	run := func(b *testing.B, first bool) {
		b.ReportAllocs()
		for b.Loop() {
			w := newTableWorld(b, b.TempDir())
			w.engine.Budget, w.engine.stateBytes, w.engine.tableBytes = budgetDefault, stateBytesMax, tableBytesMax
			if !first {
				b.StopTimer()
				w.close(firstDay, ags, load, u)
				b.StartTimer()
				w.close(firstDay+1, ags, daily, u)
				continue
			}
			w.close(firstDay, ags, load, u)
		}
	}
	b.Run("load", func(b *testing.B) {
		run(b, true)
		b.ReportMetric(float64(people*2*b.N)/b.Elapsed().Seconds(), "statements/s")
	})
	b.Run("daily", func(b *testing.B) { run(b, false) })
	_ = store.ErrExists
	require.NotEmpty(b, load)
}
