package sinks

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/transforms/fold"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// history is what landed in a world of two municipalities, record by record, in rounds.
type history struct {
	area    schemas.Area
	records [][]schemas.Row
	rounds  []int // records of each round
	ags     [][]schemas.Agreement
	lazy    []bool // of each round: the second unit is not closed in it
}

var firstDay = schemas.CivilDay(2026, 1, 1)

func (h *history) units() []schemas.Unit {
	return []schemas.Unit{{Kommune: "0101", Area: h.area}, {Kommune: "0147", Area: h.area}}
}

func (h *history) rows(from, to int) []schemas.Row { return slices.Concat(h.records[from:to]...) }

func (h *history) String() string {
	var b strings.Builder
	for i, r := range h.rows(0, len(h.records)) {
		fmt.Fprintf(
			&b,
			"\n%d: %s %s %s/%d/%d.%d %s %s key %q [%d,%d) t%d #%d scope %q snapshot %q/%d bg %v %q",
			i,
			r.Kommune,
			r.Dataset,
			r.Stream,
			r.Offset,
			r.Ordinal,
			r.Generation,
			r.EventID,
			r.Op,
			r.Key,
			r.From,
			r.To,
			r.Stated,
			r.Sequence,
			r.Scope,
			r.Snapshot,
			r.Count,
			r.Background,
			r.Payload,
		)
	}
	return b.String() + fmt.Sprintf("\nrounds %v lazy %v agreements %v", h.rounds, h.lazy, h.ags)
}

func drawHistory(t *rapid.T, sets map[schemas.DatasetName]*schemas.Dataset) *history {
	h := &history{area: rapid.SampledFrom([]schemas.Area{"borger", "aeldre"}).Draw(t, "area")}
	for n := range rapid.IntRange(1, 10).Draw(t, "records") {
		record := drawRows(t, sets, h.area, n)
		h.records = append(h.records, record)
		was := record
		for g := range int32(rapid.IntRange(0, 2).Draw(t, "replays")) {
			if len(was) > 0 {
				was = drawReplay(t, sets, h.area, was, g+1)
				h.records = append(h.records, was)
			}
		}
		if rapid.IntRange(0, 4).Draw(t, "again") == 0 {
			h.records = append(h.records, drawAgain(t, sets, h.area, record))
		}
	}
	seed := rapid.Uint64().Draw(t, "order")
	rand.New(
		rand.NewPCG(seed, 0),
	).Shuffle(
		len(h.records),
		func(i, j int) { h.records[i], h.records[j] = h.records[j], h.records[i] },
	)
	ags := drawAgreements(t, h.area)
	for left := len(h.records); left > 0; {
		n := rapid.IntRange(1, left).Draw(t, "round")
		if rapid.IntRange(0, 3).Draw(t, "new agreements") == 0 {
			ags = drawAgreements(t, h.area)
		}
		h.rounds, h.ags = append(h.rounds, n), append(h.ags, ags)
		left -= n
		h.lazy = append(h.lazy, left > 0 && rapid.Bool().Draw(t, "lazy"))
	}
	return h
}

// drawAgain is a record that is sent once more, before or after its mapping has changed.
func drawAgain(t *rapid.T, sets map[schemas.DatasetName]*schemas.Dataset, area schemas.Area,
	record []schemas.Row) []schemas.Row {
	again, later := slices.Clone(record), rapid.Int64Range(-1, 2).Draw(t, "later")
	if len(record) > 0 && rapid.Bool().Draw(t, "otherwise") {
		again = drawRows(t, sets, area, 0)
	}
	for i := range again {
		r := &again[i]
		r.EventID, r.System = record[0].EventID, record[0].System
		r.Offset, r.Stated = record[0].Offset+100, record[0].Stated
		r.Sequence = record[0].Sequence + later
	}
	return again
}

func drawRows(t *rapid.T, sets map[schemas.DatasetName]*schemas.Dataset, area schemas.Area,
	n int) []schemas.Row {
	if area == "borger" {
		return drawBlock(t, sets, n)
	}
	return drawDocument(t, sets, n)
}

// drawReplay is a later generation of a record: other rows, and withdrawals of what they lack.
func drawReplay(t *rapid.T, sets map[schemas.DatasetName]*schemas.Dataset, area schemas.Area,
	was []schemas.Row, generation int32) []schemas.Row {
	var rows []schemas.Row
	if rapid.IntRange(0, 3).Draw(t, "parked now") > 0 {
		rows = drawRows(t, sets, area, 0)
	}
	for i := range rows {
		r := &rows[i]
		r.Offset, r.EventID, r.System = was[0].Offset, was[0].EventID, was[0].System
	}
	rows = append(rows, withdrawals(was, rows)...)
	for i := range rows {
		rows[i].Generation = generation
	}
	return rows
}

// latestOf is the rows that count, by definition: of the records of an event that speak of a key,
// or a scope, the first of the highest generation.
func latestOf(rows []schemas.Row) []schemas.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r schemas.Row) bool {
		return slices.ContainsFunc(rows, func(o schemas.Row) bool {
			return o.EventID == r.EventID && ofOneGroup(&o, &r) && (o.Generation > r.Generation ||
				o.Generation == r.Generation && (o.Sequence < r.Sequence ||
					o.Sequence == r.Sequence && o.Offset < r.Offset))
		})
	})
}

func ofOneGroup(a, b *schemas.Row) bool {
	return a.Kommune == b.Kommune && a.Dataset == b.Dataset && a.OfSnapshot() == b.OfSnapshot() &&
		(a.OfSnapshot() && a.Scope == b.Scope || !a.OfSnapshot() && a.Key == b.Key)
}

func drawAgreements(t *rapid.T, area schemas.Area) []schemas.Agreement {
	a := schemas.Agreement{
		Area:   area,
		System: "cpr",
		From:   schemas.Always,
		To:     schemas.Open,
		Since:  schemas.Always,
	}
	b := a
	b.System = "cura"
	switch rapid.IntRange(0, 3).Draw(t, "agreements") {
	case 0:
		a.From, a.Since = 4, 6
	case 1:
		a.To, b.From = 6, 6
	case 2:
		b.Shadow = true
	}
	return []schemas.Agreement{a, b}
}

var people = []string{"6101700001", "6101700002", "6101700003", "6101700004"}

// drawBlock is all that CPR says of a person at one time.
func drawBlock(t *rapid.T, sets map[schemas.DatasetName]*schemas.Dataset, n int) []schemas.Row {
	person := rapid.SampledFrom(people).Draw(t, "person")
	base := drawRecord(t, n, "cpr")
	base.Scope = person
	b := &builder{t: t, sets: sets, base: base}
	for _, name := range []schemas.DatasetName{"borger.person", "borger.personnummer"} {
		s := base
		s.Kommune, s.Dataset, s.Op = schemas.National, name, schemas.OpSnapshot
		s.From, s.To = schemas.Always, schemas.Open
		b.add(s)
	}
	for _, k := range []schemas.Kommunekode{"0101", "0147"} {
		for range rapid.IntRange(0, 2).Draw(t, "rows") {
			b.say(k, "borger.person", person, map[string]any{"cpr": person, "status": b.content()})
		}
	}
	for range rapid.IntRange(0, 1).Draw(t, "numbers") {
		old := rapid.SampledFrom(people).Draw(t, "old")
		b.say(schemas.National, "borger.personnummer", old, map[string]any{"cpr": old,
			"aktuelt_cpr": rapid.SampledFrom(people).Draw(t, "now"), "aarsag": b.content()})
	}
	return b.rows
}

// drawDocument is what a care system says of a citizen: changes, or all there is, or a page of
// all there is.
func drawDocument(t *rapid.T, sets map[schemas.DatasetName]*schemas.Dataset, n int) []schemas.Row {
	base := drawRecord(t, n, rapid.SampledFrom([]schemas.System{"cpr", "cura"}).Draw(t, "system"))
	base.Scope = rapid.SampledFrom([]string{"", "S", "T"}).Draw(t, "scope")
	k := rapid.SampledFrom([]schemas.Kommunekode{"0101", "0101", "0147"}).Draw(t, "kommune")
	b := &builder{t: t, sets: sets, base: base}
	if base.Scope != "" {
		several := rapid.IntRange(0, 2).Draw(t, "several") == 0
		for _, name := range []schemas.DatasetName{"aeldre.visiteret_tid", "aeldre.besoeg"} {
			s := base
			s.Kommune, s.Dataset, s.Op, s.To = k, name, schemas.OpSnapshot, schemas.Open
			s.From = rapid.SampledFrom([]schemas.Day{schemas.Always, 5}).Draw(t, "speaks")
			if several {
				s.Snapshot, s.Count = "pages", 2
				b.base.Snapshot = s.Snapshot
			}
			b.add(s)
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "rows") {
		id := fmt.Sprint("id:", rapid.IntRange(0, 2).Draw(t, "id"))
		if rapid.Bool().Draw(t, "visit") {
			b.say(k, "aeldre.besoeg", id, map[string]any{"besoeg_id": id, "status": b.content()})
		} else {
			b.say(k, "aeldre.visiteret_tid", id,
				map[string]any{"visitation_id": id, "paragraf": b.content()})
		}
	}
	return b.rows
}

func drawRecord(t *rapid.T, n int, s schemas.System) schemas.Row {
	return schemas.Row{
		Stream:    "a",
		Offset:    int64(n),
		EventID:   fmt.Sprint("e", n),
		System:    s,
		Leverance: firstDay,
		Stated: schemas.Instant(
			rapid.IntRange(0, 4).Draw(t, "stated"),
		),
		Sequence: rapid.Int64Range(0, 3).Draw(t, "sequence"),
	}
}

type builder struct {
	t    *rapid.T
	sets map[schemas.DatasetName]*schemas.Dataset
	base schemas.Row
	rows []schemas.Row
}

func (b *builder) add(r schemas.Row) {
	r.Ordinal = int32(len(b.rows) + 1)
	b.rows = append(b.rows, r)
}

func (b *builder) content() string {
	return rapid.SampledFrom([]string{"x", "y"}).Draw(b.t, "content")
}

func (b *builder) say(
	k schemas.Kommunekode,
	d schemas.DatasetName,
	key string,
	values map[string]any,
) {
	r := b.base
	r.Kommune, r.Dataset, r.Key = k, d, key
	r.Op = rapid.SampledFrom(
		[]schemas.Op{schemas.OpUpsert, schemas.OpUpsert, schemas.OpUpsert, schemas.OpUpsert,
			schemas.OpDelete, schemas.OpReplace},
	).Draw(
		b.t,
		"op",
	)
	r.From = schemas.Day(rapid.IntRange(0, 9).Draw(b.t, "from"))
	if b.sets[d].Period != schemas.Whole {
		r.From += schemas.Day(30 * rapid.IntRange(0, 1).Draw(b.t, "month"))
	}
	r.To = r.From + schemas.Day(rapid.IntRange(1, 9).Draw(b.t, "length"))
	if r.To > 10 {
		r.To = schemas.Open
	}
	r.Background = rapid.IntRange(0, 5).Draw(b.t, "background") == 0
	if r.Op == schemas.OpUpsert {
		r.Payload = payload(b.t, b.sets[d], values)
	}
	b.add(r)
}

// expected is the table by its definition: all rows at once.
func expected(
	w *tableWorld,
	u schemas.Unit,
	name schemas.DatasetName,
	ags []schemas.Agreement,
	rows []schemas.Row,
) []string {
	d := w.engine.Datasets[name]
	all := rows
	rows = latestOf(rows)
	shape := newTableShape(d, u.Kommune)
	keys := map[string][]schemas.Row{}
	for _, r := range rows {
		mine := r.Kommune == u.Kommune || name == joinedDataset && r.Kommune == schemas.National
		if r.Dataset == name && mine && r.Op != schemas.OpSnapshot {
			k := string(r.System) + "/" + r.Key
			keys[k] = append(keys[k], r)
		}
	}
	out := []string{}
	for _, statements := range keys {
		system := statements[0].System
		snapshots := snapshotsOf(all, statements, u, name)
		for _, s := range fold.Key(d.Kind, cutTo(ags, system, d, statements), snapshots) {
			if d.Kind == schemas.Fact && !ofItsTime(ags, system, &s) || tooOld(ags, system, d, &s) {
				continue
			}
			b := parquet.NewBatch(shape.fields)
			r := *s.Row
			r.From, r.To = s.From, s.To
			require.NoError(w.t, shape.appendRow(b, &r, 0))
			if name == joinedDataset && !holdsEither(w, u, ags, rows, &r, b, shape) {
				continue
			}
			out = append(out, shape.deliveredAt(b, 0, shape.period(s.From)).text)
		}
	}
	slices.Sort(out)
	return out
}

func holdsEither(
	w *tableWorld,
	u schemas.Unit,
	ags []schemas.Agreement,
	rows []schemas.Row,
	r *schemas.Row,
	b *parquet.Batch,
	shape *tableShape,
) bool {
	now := string(b.Vectors[1+shape.dataset.Column("aktuelt_cpr")].Bytes(0))
	for _, p := range expected(w, u, "borger.person", ags, rows) {
		if strings.Contains(p, " cpr="+r.Key) || strings.Contains(p, " cpr="+now) {
			return true
		}
	}
	return false
}

func snapshotsOf(
	rows, statements []schemas.Row,
	u schemas.Unit,
	name schemas.DatasetName,
) []schemas.Row {
	visible := slices.DeleteFunc(slices.Clone(rows), func(r schemas.Row) bool {
		return r.Dataset != name || r.Kommune != u.Kommune && r.Kommune != schemas.National ||
			r.System != statements[0].System
	})
	return slices.DeleteFunc(latestOf(visible), func(r schemas.Row) bool {
		return r.Op != schemas.OpSnapshot || !fold.Whole(&r, visible) ||
			!slices.ContainsFunc(statements, func(s schemas.Row) bool { return s.Scope == r.Scope })
	})
}

func cutTo(
	ags []schemas.Agreement,
	s schemas.System,
	d *schemas.Dataset,
	rows []schemas.Row,
) (out []schemas.Row) {
	for _, r := range rows {
		if r.Op != schemas.OpUpsert || d.Kind == schemas.Fact {
			out = append(out, r)
			continue
		}
		for _, a := range ags {
			if c := r; a.System == s && !a.Shadow {
				c.From, c.To = max(c.From, a.From), min(c.To, a.To)
				out = append(out, c)
			}
		}
	}
	return out
}

// ofItsTime: the fact that holds lies, by its date, in time that its system owns.
func ofItsTime(ags []schemas.Agreement, s schemas.System, g *fold.Segment) bool {
	return slices.ContainsFunc(ags, func(a schemas.Agreement) bool {
		return a.System == s && !a.Shadow && a.From <= g.From && g.From < a.To
	})
}

func tooOld(ags []schemas.Agreement, s schemas.System, d *schemas.Dataset, g *fold.Segment) bool {
	return slices.ContainsFunc(ags, func(a schemas.Agreement) bool {
		return a.System == s && !a.Shadow && a.From <= g.From && g.From < a.To &&
			(d.Kind == schemas.Fact && g.From < a.Since ||
				d.Kind == schemas.State && g.To <= a.Since)
	})
}

var areaDatasets = map[schemas.Area][]schemas.DatasetName{
	"borger": {"borger.person", "borger.personnummer"},
	"aeldre": {"aeldre.visiteret_tid", "aeldre.besoeg"},
}

// play closes the history round by round, a day after the other or all in one delivery, and says
// what was wrong.
func play(w *tableWorld, h *history, oneDay bool) error {
	units := h.units()
	seen := map[schemas.Unit]int{}
	were := map[string][]string{} // what was current after a day
	at := 0
	for i, n := range h.rounds {
		day := firstDay + schemas.Day(i)
		if oneDay {
			day = firstDay
		}
		at += n
		closing := units
		if h.lazy[i] {
			closing = units[:1]
		}
		from := at - n
		for _, u := range closing {
			from = min(from, seen[u])
		}
		w.close(day, h.ags[i], h.rows(from, at), closing...)
		for _, u := range closing {
			seen[u] = at
			for _, name := range areaDatasets[h.area] {
				want := expected(w, u, name, h.ags[i], h.rows(0, at))
				got := w.table(u, name, false)
				if !slices.Equal(want, texts(got)) {
					return fmt.Errorf(
						"round %d: %s of %s: want\n%s\ngot\n%s",
						i,
						name,
						u,
						strings.Join(want, "\n"),
						strings.Join(texts(got), "\n"),
					)
				}
				were[fmt.Sprint(u, name, day)] = slices.Clone(want)
			}
		}
	}
	return remembers(w, h, were)
}

// remembers rebuilds from both tables what was current after each day that was closed.
func remembers(w *tableWorld, h *history, were map[string][]string) error {
	for _, u := range h.units() {
		for _, name := range areaDatasets[h.area] {
			all := append(w.table(u, name, false), w.table(u, name, true)...)
			for day := firstDay; day < firstDay+schemas.Day(len(h.rounds)); day++ {
				want, ok := were[fmt.Sprint(u, name, day)]
				if !ok {
					continue
				}
				for i := range want { // the history is not partitioned
					want[i] = want[i][:strings.LastIndexByte(want[i], ' ')]
				}
				got := texts(
					slices.DeleteFunc(
						slices.Clone(all),
						func(r delivered) bool { return r.known > day || day >= r.gone },
					),
				)
				for i := range got {
					got[i] = got[i][:strings.LastIndexByte(got[i], ' ')]
				}
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(want, got) {
					return fmt.Errorf(
						"known at %s: %s of %s: want\n%s\ngot\n%s",
						day,
						name,
						u,
						strings.Join(want, "\n"),
						strings.Join(got, "\n"),
					)
				}
			}
		}
	}
	return nil
}

func TestTablesAreWhatTheSetSays(t *testing.T) {
	sets := builtinDatasets(t)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, sets)
		w := newTableWorld(t, dir)
		require.NoError(t, play(w, h, rapid.Bool().Draw(t, "one day")), "%s", h)
	})
}
