package cpr_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
	"github.com/flis-dk/flis/transforms"
	"github.com/flis-dk/flis/transforms/cpr"
)

// catalog is the built-in model with CPR alone; every municipality has an agreement with it.
func catalog(t *testing.T) (*transforms.Catalog, uint32) {
	lists, err := codes.Load(schemas.Builtin)
	require.NoError(t, err)
	var all []schemas.Agreement
	for n := range 10_000 {
		k := schemas.Kommunekode(fmt.Sprintf("%04d", n))
		if h, ok := lists.Holder(string(k)); ok && h == k {
			all = append(all, schemas.Agreement{Kommune: k, Area: "borger", System: "cpr",
				From: schemas.Always, To: schemas.Open})
		}
	}
	agreements, err := schemas.NewAgreements(all)
	require.NoError(t, err)
	registry, err := avro.NewLocal(schemas.Builtin)
	require.NoError(t, err)
	rules, err := cpr.RulesOf(lists)
	require.NoError(t, err)
	c, err := transforms.Load(transforms.Sources{Builtin: schemas.Builtin,
		Mappings: transforms.Mappings, Lists: lists, Agreements: agreements, Registry: registry,
		Parsers: map[schemas.System]transforms.Parser{"cpr": cpr.NewParser(rules)}})
	require.NoError(t, err)
	s, ok := c.TopicSchema("raw.cpr.person.v1")
	require.True(t, ok)
	return c, s.ID()
}

// judge gives the rows of one unit.
func judge(t *testing.T, c *transforms.Catalog, id uint32, l cpr.Layout, enc cpr.Encoding,
	content []byte) []schemas.Row {
	return judgeOn(t, c, id, "2024-03-01", 0, l, enc, content)
}

// judgeOn is judge of a unit that was produced on a day and stands at an offset.
func judgeOn(t *testing.T, c *transforms.Catalog, id uint32, produced string, offset int64,
	l cpr.Layout, enc cpr.Encoding, content []byte) []schemas.Row {
	value := binary.BigEndian.AppendUint32([]byte{0}, id)
	text := func(s string) { value = append(binary.AppendVarint(value, int64(len(s))), s...) }
	text(strings.Repeat("0", 64))
	value = binary.AppendVarint(value, 1)
	text(string(l))
	text(string(enc))
	value = binary.AppendVarint(value, 1)
	text(produced)
	value = append(value, 0)
	text(string(content))
	rows, err := c.Judge(nil, &transforms.Record{Stream: "test/raw.cpr.person.v1/0",
		Offset: offset, Topic: "raw.cpr.person.v1", Value: value, Arrived: schemas.CivilDay(2024, 3, 2).Midnight(),
		Headers: []transforms.Header{{Name: "ce_id", Value: []byte(produced)},
			{Name: "ce_type", Value: []byte("person")},
			{Name: "ce_source", Value: []byte("//cpr/0000")},
			{Name: "ce_time", Value: []byte("2024-03-01T21:00:00+01:00")}}})
	require.NoError(t, err)
	return rows
}

func record(t *testing.T, kind string, fields ...string) string {
	r := cpr.Record{Type: kind, Fields: map[string]string{"PNR": "6101700001"}}
	for i := 0; i < len(fields); i += 2 {
		r.Fields[fields[i]] = fields[i+1]
	}
	s, err := cpr.Format(cpr.A, r)
	require.NoError(t, err)
	return s + "\n"
}

// TestJudge shows what the built-in mapping makes of a block: a snapshot per dataset, then its
// members.
func TestJudge(t *testing.T) {
	c, id := catalog(t)
	block := record(t, "001", "STATUS", "01", "KOEN", "K", "FOED_DT", "1970-01-10") +
		record(t, "002", "KOMKOD", "0101", "VEJKOD", "1234", "HUSNR", "007B",
			"TILFLYDTO", "200001010000") +
		record(t, "010", "LANDEKOD", "5998", "HAENSTART-STATSBORGERSKAB", "201001010000") +
		record(t, "012", "CIVST", "U") +
		record(t, "004", "BESKYTTYPE", "0001", "START_DT-BESKYTTELSE", "2024-02-10",
			"SLET_DT-BESKYTTELSE", "2026-02-10") +
		strings.Replace(record(t, "022", "PNR", "6101700009", "SLUT_DT-PERSON", "1999-01-01"),
			strings.Repeat(" ", 10), "6101700001", 1)
	rows := judge(t, c, id, cpr.A, cpr.Latin1, []byte(block))
	require.Equal(t, schemas.Warned, rows[0].Outcome, rows[0].Finding)
	require.Contains(t, rows[0].Finding, "statsborgerskab[0].LANDEKOD")
	var got []string
	day := schemas.CivilDay(2024, 3, 1).Midnight()
	for _, r := range rows[1:] {
		require.Equal(t, day, r.Stated)
		require.Equal(t, day, r.Registered)
		scope, kind, _ := strings.Cut(r.Scope, "/")
		require.Equal(t, "6101700001", scope)
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s..%s %t %s", r.Op, r.Dataset,
			r.Kommune, r.From, r.To, r.Background, kind)))
	}
	require.Equal(t, []string{
		"snapshot borger.person 0000 .. false",
		"snapshot borger.personnummer 0000 .. false",
		"snapshot borger.adresse 0000 .. false",
		"snapshot borger.civilstand 0000 .. false",
		"snapshot borger.statsborgerskab 0000 .. false",
		"snapshot borger.familierelation 0000 .. false",
		"snapshot borger.udlandsophold 0000 .. false",
		"snapshot borger.haendelse 0000 .. false",
		"snapshot borger.beskyttelse 0000 2024-02-10.. false 0001",
		"snapshot borger.beskyttelse 0000 2024-03-01.. false 0002",
		"snapshot borger.beskyttelse 0000 2024-03-01.. false 0003",
		"snapshot borger.beskyttelse 0000 2024-03-01.. false 0004",
		"snapshot borger.beskyttelse 0000 2024-03-01.. false 0005",
		"upsert borger.person 0101 2000-01-01.. false",
		"upsert borger.personnummer 0000 1999-01-01.. true",
		"upsert borger.adresse 0101 2000-01-01.. false",
		"upsert borger.civilstand 0101 2000-01-01.. false",
		"upsert borger.statsborgerskab 0101 2010-01-01.. false",
		"upsert borger.beskyttelse 0101 2024-02-10..2026-02-10 false 0001",
		"upsert borger.haendelse 0101 2000-01-01.. false",
	}, got)
}

// TestJudgeControl: a receipt says nothing of the person, an error record is parked; neither is a
// snapshot.
func TestJudgeControl(t *testing.T) {
	c, id := catalog(t)
	rows := judge(t, c, id, cpr.A, cpr.Latin1, []byte(record(t, "997", "HAENDELSE", "A45")))
	require.Len(t, rows, 1)
	require.Equal(t, schemas.Ignored, rows[0].Outcome, rows[0].Finding)
	rows = judge(t, c, id, cpr.A, cpr.Latin1, []byte("9106101700001 x"))
	require.Len(t, rows, 1)
	require.Equal(t, schemas.Parked, rows[0].Outcome)
	require.Contains(t, rows[0].Finding, "LAYOUT 910")
}

// TestJudgeReal: with the built-in lists no real unit is parked or doubted.
func TestJudgeReal(t *testing.T) {
	shared := os.Getenv("FLIS_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	files, err := filepath.Glob(filepath.Join(shared, "real", "cpr", "*"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("no real CPR files: set FLIS_SHARED to the folder that has real/cpr")
	}
	c, id := catalog(t)
	upserts := 0
	for i, name := range files {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		layout := cpr.A
		if !strings.HasPrefix(filepath.Base(name), "PNR_") {
			layout = cpr.B
		}
		o := cpr.Options{Layout: layout, Excerpt: true}
		f, err := cpr.Open(bytes.NewReader(b), int64(len(b)), o)
		require.NoError(t, err)
		require.NoError(t, f.Units(func(u *cpr.Unit) error {
			rows := judge(t, c, id, f.Layout, f.Encoding, u.Content)
			require.Contains(t, []schemas.Outcome{schemas.Accepted, schemas.Warned},
				rows[0].Outcome, "file %d: %s", i, rows[0].Finding)
			if rows[0].Outcome == schemas.Warned {
				t.Logf("file %d unit %d: %s", i, u.Nr, rows[0].Finding)
			}
			upserts += max(0, len(rows)-14)
			held := slices.ContainsFunc(rows, func(r schemas.Row) bool {
				return r.Op == schemas.OpUpsert && r.Dataset == "borger.person"
			})
			// Also the dead, emigrated and renumbered, who have no 002. Those of B live in
			// Greenland.
			require.Equal(t, layout == cpr.A, held, "file %d unit %d", i, u.Nr)
			return nil
		}))
	}
	require.Greater(t, upserts, 200)
	t.Logf("%d upserts", upserts)
}
