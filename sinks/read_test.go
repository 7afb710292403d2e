package sinks

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// shownRow is a row as text by column; null columns are absent.
type shownRow map[string]string

func (r shownRow) day(t *testing.T, column string, none schemas.Day) schemas.Day {
	if r[column] == "" {
		return none
	}
	d, err := schemas.ParseDay(r[column])
	require.NoError(t, err)
	return d
}

func readShown(t *testing.T, st store.Store, ds *schemas.Dataset, u schemas.Unit,
	o ReadOptions) []shownRow {
	t.Helper()
	columns := DeliveredColumns(ds)
	rows := []shownRow{}
	err := ReadRows(t.Context(), st, ds, u, o, func(cells []Cell) error {
		require.Len(t, cells, len(columns))
		row := shownRow{}
		for i, c := range cells {
			switch {
			case c.Null:
				require.True(t, columns[i].Nullable, columns[i].Name)
			case columns[i].Type == schemas.Date:
				row[columns[i].Name] = schemas.Day(c.Int).String()
			case columns[i].Type == schemas.String:
				row[columns[i].Name] = c.Text
			default:
				row[columns[i].Name] = fmt.Sprint(c.Int)
			}
		}
		rows = append(rows, row)
		return nil
	})
	require.NoError(t, err)
	return rows
}

// plainRows is the rows without when they were replaced, each as text.
func plainRows(rows []shownRow) []string {
	all := []string{}
	for _, r := range rows {
		c := shownRow{}
		for k, v := range r {
			if k != "registreret_til" {
				c[k] = v
			}
		}
		all = append(all, fmt.Sprint(c))
	}
	slices.Sort(all)
	return all
}

func keep(rows []shownRow, fits func(shownRow) bool) []shownRow {
	out := []shownRow{}
	for _, r := range rows {
		if fits(r) {
			out = append(out, r)
		}
	}
	return out
}

// The world is some closes of two systems over several days, made once.
func TestReadRows(t *testing.T) {
	r := newRealClose(t, 11)
	r.play(8)
	for name, test := range map[string]func(*testing.T, *realClose){"by clocks": readByClocks,
		"known at": readKnownAt,
		"order":    readOrder, "damage": readDamage, "certificate": readCertificate,
		"stops": readStops} {
		t.Run(name, func(t *testing.T) { test(t, r) })
	}
}

var readUnits = []struct {
	unit schemas.Unit
	set  schemas.DatasetName
}{
	{schemas.Unit{Kommune: "0101", Area: "aeldre"}, simFact},
	{schemas.Unit{Kommune: "0147", Area: "borger"}, simState},
}

func readByClocks(t *testing.T, r *realClose) {
	replaced := 0
	for _, x := range readUnits {
		ds := r.sets[x.set]
		all := readShown(t, r.mem, ds, x.unit, ReadOptions{History: true})
		require.NotEmpty(t, all, "%s", x.unit)
		now := keep(all, func(s shownRow) bool { return s["registreret_til"] == "" })
		replaced += len(all) - len(now)
		require.Equal(t, now, readShown(t, r.mem, ds, x.unit, ReadOptions{}))
		require.Equal(t, plainRows(keep(all,
			func(s shownRow) bool { return s["registreret_til"] != "" })),
			plainRows(readShown(t, r.mem, ds, x.unit,
				ReadOptions{Table: OnlyHistory})))
		require.Equal(t, now, readShown(t, r.mem, ds, x.unit,
			ReadOptions{Table: OnlyCurrent, History: true}))
		for _, day := range days(t, all) {
			truth := keep(now, func(s shownRow) bool {
				return s.day(t, "gyldig_fra", 0) <= day &&
					day < s.day(t, "gyldig_til", schemas.Open)
			})
			require.Equal(t, truth, readShown(t, r.mem, ds, x.unit, ReadOptions{AsOf: &day}),
				"as of %s", day)
			known := keep(all, func(s shownRow) bool {
				return s.day(t, "registreret_fra",
					0) <= day
			})
			require.Equal(t, known, readShown(t, r.mem, ds, x.unit,
				ReadOptions{KnownAt: &day, History: true}))
			known = keep(known, func(s shownRow) bool {
				return day < s.day(t, "registreret_til",
					schemas.Open)
			})
			require.Equal(t, known, readShown(t, r.mem, ds, x.unit, ReadOptions{KnownAt: &day}),
				"known at %s", day)
		}
	}
	require.Positive(t, replaced, "the world must replace rows")
}

// days is every day at which a row begins or ends in either time, and its neighbours.
func days(t *testing.T, rows []shownRow) []schemas.Day {
	seen := map[schemas.Day]bool{}
	for _, r := range rows {
		for _, c := range []string{"gyldig_fra", "gyldig_til", "registreret_fra",
			"registreret_til"} {
			if d := r.day(t, c, schemas.Open); d != schemas.Open {
				seen[d-1], seen[d], seen[d+1] = true, true, true
			}
		}
	}
	var all []schemas.Day
	for d := range seen {
		all = append(all, d)
	}
	slices.Sort(all)
	return all
}

// What is known of a day now is what was delivered on it (design.md section 3, Clocks).
func readKnownAt(t *testing.T, r *realClose) {
	compared := 0
	for _, x := range readUnits {
		ds := r.sets[x.set]
		head, err := FindCertificate(t.Context(), r.mem, x.unit, 0)
		require.NoError(t, err)
		last := map[schemas.Day]int64{}
		for n := int64(1); n <= head.Number; n++ {
			c, err := FindCertificate(t.Context(), r.mem, x.unit, n)
			require.NoError(t, err)
			last[c.LeveranceDay()] = n
		}
		for day, n := range last {
			then := readShown(t, r.mem, ds, x.unit, ReadOptions{Certificate: n})
			now := readShown(t, r.mem, ds, x.unit, ReadOptions{KnownAt: &day})
			require.Equal(t, plainRows(then), plainRows(now), "%s certificate %d", x.unit, n)
			compared += len(then)
		}
	}
	require.Positive(t, compared)
}

func readOrder(t *testing.T, r *realClose) {
	for _, x := range readUnits {
		ds := r.sets[x.set]
		all := readShown(t, r.mem, ds, x.unit, ReadOptions{History: true})
		place := func(s shownRow) string {
			return s[ds.Key[0]] + "\x00" + s["gyldig_fra"] +
				s["registreret_fra"]
		}
		require.True(t, slices.IsSortedFunc(all, func(a,
			b shownRow) int {
			return cmp.Compare(place(a), place(b))
		}))
		key := all[len(all)/2][ds.Key[0]]
		require.Equal(t, keep(all, func(s shownRow) bool { return s[ds.Key[0]] == key }),
			readShown(t, r.mem, ds, x.unit, ReadOptions{History: true, Key: &key}))
		none := "nobody"
		require.Empty(t, readShown(t, r.mem, ds, x.unit, ReadOptions{Key: &none}))
	}
}

func readDamage(t *testing.T, r *realClose) {
	x := readUnits[0]
	ds := r.sets[x.set]
	c, err := FindCertificate(t.Context(), r.mem, x.unit, 0)
	require.NoError(t, err)
	ref := c.Tables[string(x.set)].Current
	prefix := schemas.TablePrefix(x.unit.Kommune, x.set, false)
	live, err := ref.live(t.Context(), delta.Open(r.mem, prefix))
	require.NoError(t, err)
	file := prefix + "/" + sortedPaths(live)[0]
	entry := fmt.Sprintf("%s/_delta_log/%020d.json", prefix, ref.Version)
	for name, damage := range map[string]struct {
		key  string
		harm func([]byte) []byte
	}{
		"a bit":     {file, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		"truncated": {file, func(b []byte) []byte { return b[:len(b)-1] }},
		"gone":      {file, nil},
		"log entry": {entry, func(b []byte) []byte { return append(b, '\n') }},
		"no entry":  {entry, nil},
	} {
		t.Run(name, func(t *testing.T) {
			st := r.mem.Clone()
			require.NoError(t, harm(t, st, damage.key, damage.harm))
			err := ReadRows(t.Context(), st, ds, x.unit, ReadOptions{}, func([]Cell) error {
				t.Fatal("a row of a damaged table was handed out")
				return nil
			})
			require.ErrorIs(t, err, ErrDamagedTable)
			require.ErrorContains(t, err, prefix)
			if damage.key == file {
				require.ErrorContains(t, err, file[strings.LastIndexByte(file, '/')+1:])
			}
		})
	}
}

// harm changes an object, or removes it.
func harm(t *testing.T, st store.Store, key string, change func([]byte) []byte) error {
	b, err := store.ReadAll(t.Context(), st, key)
	require.NoError(t, err)
	if change == nil {
		return st.Delete(t.Context(), key)
	}
	return st.Replace(t.Context(), key, change(slices.Clone(b)))
}

// forged is a certificate of another writer whose own sum is right.
func forged(t *testing.T, b []byte) []byte {
	t.Helper()
	c := &Certificate{}
	require.NoError(t, json.Unmarshal(b, c))
	c.Writer += "x"
	again, err := c.encode()
	require.NoError(t, err)
	return again
}

func readCertificate(t *testing.T, r *realClose) {
	u, st := readUnits[0].unit, r.mem.Clone()
	_, err := FindCertificate(t.Context(), st, schemas.Unit{Kommune: "0999", Area: "borger"}, 0)
	require.ErrorIs(t, err, ErrNoCertificate)
	_, err = FindCertificate(t.Context(), st, u, 1000)
	require.ErrorIs(t, err, ErrNoCertificate)

	head, err := FindCertificate(t.Context(), st, u, 0)
	require.NoError(t, err)
	require.Greater(t, head.Number, int64(1))
	require.NoError(t, harm(t, st, schemas.CertificateKey(u, head.Number-1),
		func(b []byte) []byte { return forged(t, b) }))
	_, err = FindCertificate(t.Context(), st, u, head.Number-1)
	require.ErrorContains(t, err, "names another predecessor")
	_, err = FindCertificate(t.Context(), st, u, 0)
	require.ErrorContains(t, err, "names another predecessor")
}

func readStops(t *testing.T, r *realClose) {
	x := readUnits[0]
	full := errors.New("full")
	n := 0
	err := ReadRows(t.Context(), r.mem, r.sets[x.set], x.unit, ReadOptions{},
		func([]Cell) error { n++; return full })
	require.Equal(t, full, err)
	require.Equal(t, 1, n)
}

func TestCellsRoundTrip(t *testing.T) {
	columns := []schemas.Column{{Type: schemas.String}, {Type: schemas.Int},
		{Type: schemas.Boolean}, {Type: schemas.String},
		{Type: schemas.Decimal}, {Type: schemas.Timestamp}}
	cells := []Cell{{Text: "æ\x00"}, {Int: -7}, {Int: 1}, {}, {Null: true}, {Int: 1 << 60}}
	b := appendCells(nil, cells, columns)
	got, err := readCells(nil, b, columns)
	require.NoError(t, err)
	require.Equal(t, cells, got)
	for n := range b {
		_, err := readCells(nil, b[:n], columns)
		require.Error(t, err, "cut at %d", n)
	}
	_, err = readCells(nil, append(b, 0), columns)
	require.Error(t, err)
}
