package sinks

import (
	"fmt"
	"testing"

	"github.com/flis-dk/flis/schemas"
)

// BenchmarkTables folds a first load of people, and a day on which one in a hundred is told anew.
func BenchmarkTables(b *testing.B) {
	const people = 50_000
	sets := builtinDatasets(b)
	u := schemas.Unit{Kommune: "0101", Area: "borger"}
	ags := always("borger", "cpr")
	block := func(n, day int) []schemas.Row {
		cpr := fmt.Sprintf("%02d%02d%02d%04d", 61+n%31, 1+n/31%12, n/372%100, n/37200)
		base := schemas.Row{Stream: "c/raw.cpr.person.v1/0", Offset: int64(day*people + n),
			EventID: fmt.Sprintf("file%d|%d", day, n), System: "cpr", Scope: cpr,
			Leverance: firstDay + schemas.Day(day), Stated: schemas.Instant(day),
			From: schemas.Always, To: schemas.Open}
		snap := base
		snap.Kommune, snap.Dataset = schemas.National, "borger.person"
		snap.Op, snap.Ordinal = schemas.OpSnapshot, 1
		row := base
		row.Kommune, row.Dataset, row.Key = "0101", "borger.person", cpr
		row.Op, row.Ordinal, row.From = schemas.OpUpsert, 2, schemas.Day(n%9000)
		row.Payload = payload(b, sets["borger.person"],
			map[string]any{"cpr": cpr, "status": fmt.Sprint(day)})
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
			w.engine.Budget = budgetDefault
			w.engine.stateBytes, w.engine.tableBytes = stateBytesMax, tableBytesMax
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
}
