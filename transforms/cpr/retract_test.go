package cpr_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms"
	"github.com/flis-dk/flis/transforms/cpr"
	"github.com/flis-dk/flis/transforms/fold"
)

// told is the rows of blocks, each produced on its own day, in order.
func told(t *testing.T, c *transforms.Catalog, id uint32, blocks map[string]string) []schemas.Row {
	var rows []schemas.Row
	for day, block := range blocks {
		d, err := schemas.ParseDay(day)
		require.NoError(t, err)
		rows = append(rows, judgeOn(t, c, id, day, int64(d), cpr.A, cpr.Latin1, []byte(block))...)
	}
	return rows
}

// holds folds a dataset per municipality and key, as a close does.
func holds(rows []schemas.Row, kind schemas.Kind, dataset schemas.DatasetName) []string {
	statements, snapshots := map[string][]schemas.Row{}, map[string][]schemas.Row{}
	scopes := map[string]string{}
	for _, r := range rows {
		switch {
		case r.Dataset != dataset:
		case r.Op == schemas.OpSnapshot:
			snapshots[r.Scope] = append(snapshots[r.Scope], r)
		default:
			key := fmt.Sprintf("%s %q", r.Kommune, r.Key)
			statements[key] = append(statements[key], r)
			scopes[key] = r.Scope
		}
	}
	var out []string
	for key, rows := range statements {
		for _, s := range fold.Key(kind, rows, snapshots[scopes[key]]) {
			out = append(out, fmt.Sprintf("%s %s..%s", key, s.From, s.To))
		}
	}
	slices.Sort(out)
	return out
}

// TestProtectionRetracts: a block of layout A speaks of a type from START_DT, or, where it lacks
// the type, from PRODDTO; also to a municipality that it knows no more.
func TestProtectionRetracts(t *testing.T) {
	c, id := catalog(t)
	first := record(t, "001", "STATUS", "01", "FOED_DT", "1970-01-10") +
		record(t, "002", "KOMKOD", "0101", "TILFLYDTO", "200001010000") +
		record(t, "004", "BESKYTTYPE", "0001", "START_DT-BESKYTTELSE", "2010-01-01") +
		record(t, "004", "BESKYTTYPE", "0003", "START_DT-BESKYTTELSE", "2010-01-01")
	// Moved before it was told; 0003 is away; 0001 begins later.
	second := record(t, "001", "STATUS", "01", "FOED_DT", "1970-01-10") +
		record(t, "023", "KOMKOD", "0101", "TILFLYDTO", "200001010000", "FRAFLYDTO", "202402010000") +
		record(t, "002", "KOMKOD", "0157", "TILFLYDTO", "202402010000") +
		record(t, "004", "BESKYTTYPE", "0001", "START_DT-BESKYTTELSE", "2012-01-01")
	rows := told(t, c, id, map[string]string{"2024-01-01": first, "2024-03-01": second})
	require.Equal(t, []string{
		`0101 "6101700001\x1f0001" 2010-01-01..2024-02-01`,
		`0101 "6101700001\x1f0003" 2010-01-01..2024-03-01`,
		`0157 "6101700001\x1f0001" 2024-02-01..`,
	}, holds(rows, schemas.State, "borger.beskyttelse"))
	// The move never was.
	rows = told(t, c, id, map[string]string{"2024-01-01": first, "2024-03-01": second,
		"2024-04-01": first})
	require.Equal(t, []string{
		`0101 "6101700001\x1f0001" 2010-01-01..`,
		`0101 "6101700001\x1f0003" 2010-01-01..`,
	}, holds(rows, schemas.State, "borger.beskyttelse"))
}

// TestReversalEndsEvent: a death and an emigration that a later block lacks take their events with
// them.
func TestReversalEndsEvent(t *testing.T) {
	c, id := catalog(t)
	alive := record(t, "001", "STATUS", "01", "FOED_DT", "1970-01-10") +
		record(t, "002", "KOMKOD", "0101", "TILFLYDTO", "197001100000")
	dead := record(t, "001", "STATUS", "90", "STATUSHAENSTART", "202402010000",
		"FOED_DT", "1970-01-10") +
		record(t, "023", "KOMKOD", "0101", "TILFLYDTO", "197001100000", "FRAFLYDTO", "202402010000")
	born := `0101 "6101700001\x1ffoedt\x1f1970-01-09T23:00:00.000000Z" 1970-01-10..`
	died := `0101 "6101700001\x1fdoed\x1f2024-01-31T23:00:00.000000Z" 2024-02-01..`
	blocks := map[string]string{"2024-01-01": alive, "2024-03-01": dead}
	require.Equal(t, []string{died, born},
		holds(told(t, c, id, blocks), schemas.Fact, "borger.haendelse"))
	blocks["2024-03-02"] = alive
	require.Equal(t, []string{born},
		holds(told(t, c, id, blocks), schemas.Fact, "borger.haendelse"))
}
