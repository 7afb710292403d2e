package sinks

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flis-dk/flis/schemas"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func read(t require.TestingT, c *rowCursor) (rows []schemas.Row) {
	for ; !c.done(); c.advance() {
		r, err := c.row()
		require.NoError(t, err)
		rows = append(rows, r)
	}
	require.NoError(t, c.err)
	return rows
}

func TestSortedRowsAreWhatSortingGives(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		s := newSortedRows(dir, rapid.SampledFrom([]int{1, 600, 1 << 20}).Draw(t, "budget"))
		keys := rapid.SliceOf(
			rapid.StringOfN(rapid.SampledFrom([]rune{'a', 'b', 0, 1}), 0, 3, -1),
		).Draw(
			t,
			"keys",
		)
		type item struct {
			key []byte
			row schemas.Row
		}
		var items []item
		for i, k := range keys {
			x := item{
				appendText(nil, k),
				schemas.Row{
					Stream:     "s",
					Offset:     int64(i),
					Ordinal:    -1,
					EventID:    fmt.Sprint(i),
					Key:        k,
					Scope:      k,
					Op:         "upsert",
					From:       schemas.Always,
					To:         schemas.Open,
					Stated:     -5,
					Background: i%2 == 0,
					Snapshot:   "x",
					Count:      3,
					Kommune:    "0101",
					Absent:     "gone",
				},
			}
			if i%3 > 0 {
				x.row.Payload = bytes.Repeat([]byte{byte(i)}, i%3-1)
			}
			items = append(items, x)
			require.NoError(t, s.add(x.key, &x.row))
		}
		require.NoError(t, s.sort())
		defer func() { require.NoError(t, s.close()) }()
		slices.SortStableFunc(
			items,
			func(a, b item) int { return strings.Compare(a.row.Key, b.row.Key) },
		)
		for _, prefix := range []string{"", "a", "b\x00"} {
			var want []schemas.Row
			for _, x := range items {
				if p := appendText(nil, prefix); bytes.HasPrefix(x.key, p[:len(p)-2]) {
					want = append(want, x.row)
				}
			}
			p := appendText(nil, prefix)
			require.Equal(t, want, read(t, s.slice(p[:len(p)-2])))
		}
	})
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "scratch files have no name")
}

// Keys that have much in common, end inside of others or are equal are where words could mislead.
func TestManyKeysAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSortedRows("", 1<<20)
		var keys []string
		for i := range rapid.IntRange(2, 400).Draw(t, "n") {
			key := strings.Repeat("same", rapid.IntRange(0, 3).Draw(t, "prefix")) +
				rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a'}), 0, 12, -1).Draw(t, "key")
			keys = append(keys, key)
			require.NoError(t, s.add([]byte(key), &schemas.Row{Offset: int64(i), Key: key}))
		}
		slices.Sort(keys)
		s.order()
		for i, x := range s.spans {
			require.Equal(t, keys[i], string(s.key(x)))
			if i > 0 && keys[i-1] == keys[i] {
				require.Negative(t, compareAdded(s.spans[i-1], x), "equal keys keep their order")
			}
		}
	})
}

func TestScratchOfAnEarlierProcessIsRemoved(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/" + strings.Replace(scratchPattern, "*", "1", 1)
	require.NoError(t, os.WriteFile(name, []byte("x"), 0o600))
	_, err := NewTables(TablesConfig{Dir: dir})
	require.NoError(t, err)
	require.NoFileExists(t, name)
}

func TestSortedRowsTellOfADamagedFile(t *testing.T) {
	s := newSortedRows(t.TempDir(), 1)
	for i := range 3 {
		require.NoError(t, s.add([]byte{byte(i)}, &schemas.Row{Key: "k"}))
	}
	require.NoError(t, s.sort())
	require.NoError(t, s.runs[1].file.Truncate(s.runs[1].size-1))
	c := s.slice(nil)
	for ; !c.done(); c.advance() {
		_, err := c.row()
		require.NoError(t, err)
	}
	require.Error(t, c.err)
	require.NoError(t, s.close())
}
