package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

const table = "kommune=0101/borger/adresse"

var sum = map[string]string{TagSHA256: strings.Repeat("0a", 32)}

func metadata() *Metadata {
	return &Metadata{ID: "5f0c9c4e-0000-4000-8000-000000000001", PartitionColumns: []string{"aar"},
		Schema: []Column{{Name: "aar", Type: "string", Nullable: true, Stats: true},
			{Name: "beloeb", Type: "decimal(18,2)", Nullable: true, Comment: "beløb i kr."}},
		Configuration: map[string]string{"delta.logRetentionDuration": Interval(3650)}}
}

func addOf(name string) Add {
	return Add{
		Path:       "aar=2024/" + name,
		Partition:  map[string]string{"aar": "2024"},
		Size:       10,
		Modified:   1,
		DataChange: true,
		Stats:      `{"numRecords":1}`,
		Tags:       sum,
	}
}

func removeOf(name string) Remove {
	return Remove{Path: "aar=2024/" + name, Partition: map[string]string{"aar": "2024"}, Size: 10,
		Deleted: 2, DataChange: true}
}

func first() *Commit {
	return &Commit{
		Info:     map[string]any{"forfatter": "a"},
		Metadata: metadata(),
		Txns:     map[string]int64{"s/0": 1},
		Adds:     []Add{addOf("f0")},
	}
}

func next(i int64) *Commit {
	return &Commit{Info: map[string]any{"n": i}, Txns: map[string]int64{"s/0": i * 10},
		Adds: []Add{addOf(fmt.Sprint("f", i))}, Removes: []Remove{removeOf(fmt.Sprint("f", i-1))}}
}

// build makes a table of n entries with checkpoints at those versions.
func build(t *testing.T, st store.Store, n int64, checkpoints ...int64) *Log {
	t.Helper()
	l := Open(st, table)
	require.NoError(t, l.Create(t.Context(), 0, first()))
	for i := int64(1); i < n; i++ {
		require.NoError(t, l.Create(t.Context(), i, next(i)))
	}
	for _, v := range checkpoints {
		s, err := l.Snapshot(t.Context(), v)
		require.NoError(t, err)
		require.NoError(t, l.Checkpoint(t.Context(), s))
	}
	return l
}

func TestEntryText(t *testing.T) {
	c := first()
	unknown := Add{Path: "aar=" + nullPartition + "/f1", Size: 5, Modified: 3, Tags: sum}
	c.Adds = append(c.Adds, unknown)
	c.Removes = []Remove{removeOf("gammel")}
	b, err := c.Encode(0)
	require.NoError(t, err)
	want := `{"commitInfo":{"forfatter":"a"}}
{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"configuration":{"delta.dataSkippingStatsColumns":"aar",` +
		`"delta.logRetentionDuration":"interval 3650 days"},` +
		`"format":{"options":{},"provider":"parquet"},` +
		`"id":"5f0c9c4e-0000-4000-8000-000000000001","partitionColumns":["aar"],"schemaString":"{\"fields\":[` +
		`{\"metadata\":{},\"name\":\"aar\",\"nullable\":true,\"type\":\"string\"},` +
		`{\"metadata\":{\"comment\":\"beløb i kr.\"},` +
		`\"name\":\"beloeb\",\"nullable\":true,\"type\":\"decimal(18,2)\"}],` +
		`\"type\":\"struct\"}"}}
{"txn":{"appId":"s/0","version":1}}
{"remove":{"dataChange":true,"deletionTimestamp":2,"extendedFileMetadata":true,` +
		`"partitionValues":{"aar":"2024"},"path":"aar=2024/gammel","size":10}}
{"add":{"dataChange":true,"modificationTime":1,"partitionValues":{"aar":"2024"},"path":"aar=2024/f0","size":10,` +
		`"stats":"{\"numRecords\":1}","tags":{"sha256":"` + sum[TagSHA256] + `"}}}
{"add":{"dataChange":false,"modificationTime":3,"partitionValues":{"aar":null},` +
		`"path":"aar=__HIVE_DEFAULT_PARTITION__/f1",` +
		`"size":5,"tags":{"sha256":"` + sum[TagSHA256] + `"}}}
`
	require.Equal(t, want, string(b))
	got, err := Parse(b)
	require.NoError(t, err)
	unknown.Partition = map[string]string{}
	c.Adds[1] = unknown
	require.Equal(t, c, got)
}

// broken is a commit that breaks a rule, and what its error says.
type broken struct {
	rule   string
	change func(*Commit)
	err    string
}

func changeAdd(change func(*Add)) func(*Commit) { return func(c *Commit) { change(&c.Adds[0]) } }

func changeMeta(change func(*Metadata)) func(*Commit) {
	return func(c *Commit) { change(c.Metadata) }
}

func brokenFiles() []broken {
	add := changeAdd
	return []broken{
		{"1 danish partition", add(func(a *Add) {
			a.Path, a.Partition = "aar=Børn/f", map[string]string{"aar": "Børn"}
		}),
			"path"},
		{"1 partition of other characters", add(func(a *Add) {
			a.Path, a.Partition = "aar=a.b/f", map[string]string{"aar": "a.b"}
		}),
			"ASCII"},
		{
			"1 empty partition",
			add(func(a *Add) { a.Path, a.Partition = "aar=/f", map[string]string{"aar": ""} }),
			"ASCII",
		},
		{"2 flat path", add(func(a *Add) { a.Path = "f" }), "has no folder"},
		{"2 not of hive", add(func(a *Add) { a.Path, a.Partition = "2024/f", nil }), "as kommune=0101"},
		{"2 other value", add(func(a *Add) { a.Path = "aar=2023/f" }), "is another"},
		{
			"2 null in path only",
			add(func(a *Add) { a.Path = "aar=" + nullPartition + "/f" }),
			"is another",
		},
		{"3 percent", add(func(a *Add) { a.Path = "aar=2024/f%20g" }), "path"},
		{"4 dot", add(func(a *Add) { a.Path = "./aar=2024/f" }), "path"},
		{"4 absolute", add(func(a *Add) { a.Path = "/aar=2024/f" }), "path"},
		{"4 scheme", add(func(a *Add) { a.Path = "file:///aar=2024/f" }), "path"},
		{"4 parent", add(func(a *Add) { a.Path = "../aar=2024/f" }), "path"},
		{"5 null in values only", add(func(a *Add) { a.Partition = nil }), "is another"},
		{"5 hive default as a value", add(func(a *Add) {
			a.Path, a.Partition = "aar="+nullPartition+"/f", map[string]string{"aar": nullPartition}
		}), "ASCII"},
		{"7 size", add(func(a *Add) { a.Size = 0 }), "size 0"},
	}
}

func brokenTables() []broken {
	add, meta := changeAdd, changeMeta
	column := func(name, typ string) func(*Commit) {
		return meta(func(m *Metadata) { m.Schema = append(m.Schema, Column{Name: name, Type: typ}) })
	}
	return []broken{
		{
			"1 partition column",
			meta(func(m *Metadata) { m.Schema[0].Name, m.PartitionColumns[0] = "år", "år" }),
			"ASCII",
		},
		{"8 id", meta(func(m *Metadata) { m.ID = "" }), "id"},
		{"8 no schema", meta(func(m *Metadata) { m.Schema = nil }), "schema is empty"},
		{"8 partition column missing", meta(func(m *Metadata) { m.PartitionColumns = []string{"x"} }),
			"not in the schema"},
		{"9 bigint", column("x", "bigint"), "type"},
		{"9 int", column("x", "int"), "type"},
		{"9 twice", column("aar", "string"), "twice"},
		{"9 no name", column("", "string"), "empty"},
		{"9 large decimal", column("x", "decimal(38,2)"), "type"},
		{"11 timestamp_ntz", column("x", "timestamp_ntz"), "type"},
		{"13 stats", add(func(a *Add) { a.Stats = `{}` }), "numRecords"},
		{"13 stats form", add(func(a *Add) { a.Stats = `x` }), "numRecords"},
		{"stats without a bound", add(func(a *Add) {
			a.Stats = `{"numRecords":2,"nullCount":{"a":1},"minValues":{"a":1}}`
		}),
			"not whole"},
		{"stats without bounds", add(func(a *Add) { a.Stats = `{"numRecords":2,"nullCount":{"a":1}}` }),
			"not whole"},
		{"stats without nulls", add(func(a *Add) {
			a.Stats = `{"numRecords":2,"minValues":{"a":1},"maxValues":{"a":1}}`
		}),
			"without nullCount"},
		{"stats of a danish name", meta(func(m *Metadata) { m.Schema[0].Name = "år, måned" }),
			"with statistics"},
		{
			"20 interval",
			meta(func(m *Metadata) { m.Configuration["delta.logRetentionDuration"] = "3650 days" }),
			"interval",
		},
		{"sha256", add(func(a *Add) { a.Tags = nil }), "SHA-256"},
		{"entry 0", func(c *Commit) { c.Metadata = nil }, "no metadata"},
		{"remove", func(c *Commit) { c.Removes = []Remove{{Path: "../x"}} }, "path"},
		{"info", func(c *Commit) { c.Info["f"] = func() {} }, "commitInfo"},
	}
}

// Every rule that a writer can break is refused before anything is written.
func TestEncodeRefuses(t *testing.T) {
	for _, c := range append(brokenFiles(), brokenTables()...) {
		t.Run(c.rule, func(t *testing.T) {
			commit := first()
			c.change(commit)
			m := store.NewMemory()
			require.ErrorContains(t, Open(m, table).Create(t.Context(), 0, commit), c.err)
			for range m.List(t.Context(), "", "") {
				t.Fatal("something was written")
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, b := range map[string]string{
		"empty":            "",
		"no JSON":          "{",
		"two on a line":    `{"txn":{"appId":"a","version":1}}{}`,
		"reader 2":         `{"protocol":{"minReaderVersion":2,"minWriterVersion":5}}`,
		"reader 0":         `{"protocol":{}}`,
		"writer 7":         `{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["x"]}}`,
		"empty features":   `{"protocol":{"minReaderVersion":1,"minWriterVersion":2,"readerFeatures":[]}}`,
		"text version":     `{"protocol":{"minReaderVersion":"1","minWriterVersion":"2"}}`,
		"escape":           `{"add":{"path":"../../kommune=0147/x","size":1}}`,
		"escape of remove": `{"remove":{"path":"/etc/passwd"}}`,
		"absolute":         `{"add":{"path":"file:///x","size":1}}`,
		"deletion vector":  `{"add":{"path":"x","size":1,"deletionVector":{"storageType":"u"}}}`,
		"negative size":    `{"add":{"path":"x","size":-1}}`,
		"txn":              `{"txn":{"appId":"a"}}`,
		"schema": `{"metaData":{"id":"x","schemaString":` +
			`"{\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"array\"}}]}"}}`,
		"no schema":       `{"metaData":{"id":"x"}}`,
		"too long a line": `{"commitInfo":{"x":"` + strings.Repeat("a", lineBytes) + `"}}`,
		"too many lines":  strings.Repeat("{}\n", entryLines+1),
	} {
		_, err := Parse([]byte(b))
		require.ErrorContains(t, err, "parse entry", name)
	}
}

// What rule 21 says that every reader takes.
func TestParseTakes(t *testing.T) {
	c, err := Parse(
		[]byte("{\"add\":{\"path\":\"x\",\"size\":1,\"nyt\":[1],\"deletionVector\":null}}\r\n" +
			"\r\n{\"fremtid\":{}}\r\n" +
			`{"protocol":{"minReaderVersion":1,"minWriterVersion":1,"readerFeatures":null}}` + "\n" +
			`{"commitInfo":{"a":1.50,"b":"\u0026"}}`),
	)
	require.NoError(t, err)
	require.Equal(t, []Add{{Path: "x", Size: 1, Partition: map[string]string{}}}, c.Adds)
	require.Equal(t, map[string]any{"a": json.Number("1.50"), "b": "&"}, c.Info)
}

func TestSnapshot(t *testing.T) {
	for _, checkpoints := range [][]int64{nil, {0}, {3}, {1, 4}, {5}} {
		l := build(t, store.NewMemory(), 6, checkpoints...)
		for v := int64(-1); v < 6; v++ {
			s, err := l.Snapshot(t.Context(), v)
			require.NoError(t, err)
			n := v
			if v < 0 {
				n = 5
			}
			require.Equal(t, n, s.Version)
			require.Equal(t, *metadata(), s.Metadata)
			require.Len(t, s.Files, 1)
			require.Equal(t, sum, s.Files[addOf(fmt.Sprint("f", n)).Path].Tags)
			require.Equal(t, map[string]int64{"s/0": max(1, n*10)}, s.Txns)
			if n > 0 {
				require.JSONEq(t, fmt.Sprintf(`{"n":%d}`, n), string(s.Last))
			}
		}
		_, err := l.Snapshot(t.Context(), 6)
		require.ErrorIs(t, err, store.ErrNotFound)
	}
	_, err := Open(store.NewMemory(), "nothing").Snapshot(t.Context(), -1)
	require.ErrorIs(t, err, store.ErrNotFound)
}

// The snapshot must come from the checkpoint, not only agree with it.
func TestSnapshotUsesCheckpoint(t *testing.T) {
	m := store.NewMemory()
	l := build(t, m, 6, 4)
	for v := range int64(4) {
		require.NoError(t, m.Delete(t.Context(), l.key(v)))
	}
	s, err := l.Snapshot(t.Context(), -1)
	require.NoError(t, err)
	require.Equal(t, int64(5), s.Version)
	_, err = l.Snapshot(t.Context(), 3)
	require.ErrorIs(t, err, ErrDamaged)
	require.NotErrorIs(t, err, store.ErrNotFound)
	require.ErrorContains(t, err, "entry 0 is missing, entry 4 is there")
}

func TestHole(t *testing.T) {
	for _, gone := range []int64{0, 2, 4} {
		m := store.NewMemory()
		l := build(t, m, 6, 4)
		require.NoError(t, m.Delete(t.Context(), l.hintKey()))
		require.NoError(t, m.Delete(t.Context(), l.key(gone)))
		_, err := l.Snapshot(t.Context(), -1)
		require.ErrorIs(t, err, ErrDamaged)
		require.NotErrorIs(t, err, store.ErrNotFound)
		require.ErrorContains(t, err, fmt.Sprintf("entry %d is missing", gone))
	}
}

func TestCheckpointTrouble(t *testing.T) {
	for name, spoil := range map[string]func(*store.Memory, *Log) error{
		"hint is no JSON": func(m *store.Memory, l *Log) error {
			return m.Replace(context.Background(), l.hintKey(), []byte("{"))
		},
		"hint is negative": func(m *store.Memory, l *Log) error {
			return m.Replace(context.Background(), l.hintKey(), []byte(`{"version":-7}`))
		},
		"hint without hash": func(m *store.Memory, l *Log) error {
			return m.Replace(context.Background(), l.hintKey(), []byte(`{"version":4,"size":3}`))
		},
		"checkpoint is gone": func(m *store.Memory, l *Log) error {
			return m.Delete(context.Background(), l.checkpointKey(4))
		},
		"checkpoint is damaged": func(m *store.Memory, l *Log) error {
			return m.Replace(context.Background(), l.checkpointKey(4), []byte("PAR1"))
		},
		"its entry is gone": func(m *store.Memory, l *Log) error {
			return m.Delete(context.Background(), l.key(4))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := store.NewMemory()
			l := build(t, m, 6, 4)
			require.NoError(t, spoil(m, l))
			s, err := l.Snapshot(t.Context(), -1)
			if name == "its entry is gone" {
				require.ErrorIs(t, err, ErrDamaged)
				require.NotErrorIs(t, err, store.ErrNotFound)
				return
			}
			require.NoError(t, err)
			require.Equal(t, int64(5), s.Version)
		})
	}
}

// Rule 18 at every operation at which a checkpointer can die.
func TestCheckpointCrash(t *testing.T) {
	for _, f := range []store.Fault{
		store.CrashBefore, store.CrashAfter, store.LoseAnswer, store.LoseRequest, store.Refuse,
	} {
		for at := range 8 {
			m := store.NewMemory()
			l := build(t, m, 6, 2)
			s, err := l.Snapshot(t.Context(), 4)
			require.NoError(t, err)
			n := -1
			_ = Open(m.With(func(store.Op, string) store.Fault {
				if n++; n == at {
					return f
				}
				return store.Proceed
			}), table).Checkpoint(t.Context(), s)
			h, err := l.hint(t.Context())
			require.NoError(t, err)
			_, err = l.readCheckpoint(t.Context(), h)
			require.NoError(t, err)
			require.NoError(t, l.Checkpoint(t.Context(), s))
			h, err = l.hint(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(4), h.Version)
		}
	}
}

func TestCheckpointKeepsNewerHint(t *testing.T) {
	l := build(t, store.NewMemory(), 6, 4, 2)
	h, err := l.hint(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(4), h.Version)
}

func TestCheckpointOfOthers(t *testing.T) {
	m := store.NewMemory()
	l := build(t, m, 6)
	s, err := l.Snapshot(t.Context(), 2)
	require.NoError(t, err)
	require.NoError(t, l.Checkpoint(t.Context(), s))
	s.Files["aar=2024/other"] = addOf("other")
	require.ErrorContains(t, l.Checkpoint(t.Context(), s), "of other files")
}

// Create under each fault: the answer is the truth, or unknown.
func TestCreateFaults(t *testing.T) {
	for _, f := range []store.Fault{
		store.Refuse, store.LoseRequest, store.LoseAnswer, store.CrashBefore, store.CrashAfter,
	} {
		for _, other := range []bool{false, true} {
			for times := 1; times <= attempts; times++ {
				m := store.NewMemory()
				l := build(t, m, 1)
				mine, theirs := next(1), next(1)
				theirs.Info["forfatter"] = "b"
				if other {
					require.NoError(t, l.Create(t.Context(), 1, theirs))
				}
				n := 0
				h := m.With(func(op store.Op, _ string) store.Fault {
					if n++; op == store.OpCreate && n <= 2*times-1 {
						return f
					}
					return store.Proceed
				})
				err := Open(h, table).Create(t.Context(), 1, mine)
				c, _, readErr := l.Entry(t.Context(), 1)
				won := readErr == nil && c.Info["forfatter"] == nil
				switch {
				case err == nil:
					require.True(t, won, "fault %d", f)
				case errors.Is(err, store.ErrExists):
					require.True(t, other, "fault %d", f)
				case errors.Is(err, store.ErrUnknown):
					require.Equal(t, attempts, times, "fault %d", f)
				default:
					require.Contains(t, []store.Fault{store.Refuse, store.CrashBefore, store.CrashAfter}, f)
				}
				if f == store.LoseAnswer {
					require.Equal(t, other, errors.Is(err, store.ErrExists))
				}
			}
		}
	}
}

func TestCreateRace(t *testing.T) {
	m := store.NewMemory()
	l := build(t, m, 1)
	a, b := next(1), next(1)
	b.Info["forfatter"] = "b"
	require.NoError(t, l.Create(t.Context(), 1, a))
	require.ErrorIs(t, l.Create(t.Context(), 1, b), store.ErrExists)
	require.NoError(t, l.Create(t.Context(), 1, a), "the same bytes are the writer's own")
}

func TestApplyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		version int64
		commit  *Commit
		err     string
	}{
		"again":         {0, first(), "version 0"},
		"skipping":      {2, next(2), "version 0"},
		"remove absent": {1, next(5), "not there"},
		"add twice":     {1, &Commit{Adds: []Add{addOf("f0")}}, "which is there"},
		"partition": {1, &Commit{Adds: []Add{{Path: "x=1/f", Partition: map[string]string{"x": "1"}}}},
			"no partition column"},
	} {
		s := &Snapshot{Version: -1}
		require.NoError(t, s.Apply(0, first()))
		require.ErrorContains(t, s.Apply(c.version, c.commit), c.err, name)
	}
	require.ErrorContains(t, (&Snapshot{Version: -1}).Apply(0, &Commit{}), "no metadata")
}

func TestStats(t *testing.T) {
	fields := []parquet.Field{{Name: "b", Kind: parquet.Decimal, Precision: 18, Scale: 2},
		{Name: "d", Kind: parquet.Date},
		{
			Name: "t",
			Kind: parquet.Timestamp,
		}, {Name: "s", Kind: parquet.String}, {Name: "n", Kind: parquet.Int32},
		{
			Name: "j",
			Kind: parquet.Bool,
		}, {Name: "tom", Kind: parquet.Date}, {Name: "uden", Kind: parquet.String}}
	m := &parquet.Meta{Rows: 3, Stats: map[string]parquet.Stat{
		"b": {
			Min: int64(-999999999999999901),
			Max: int64(5),
		}, "d": {Min: int64(-1), Max: int64(19783), Nulls: 1},
		"t": {Min: int64(-1), Max: int64(1711845000123000)}, "s": {Min: "Æ", Max: "Å\"<"},
		"n": {Min: int64(-2), Max: int64(2)},
		"j": {Nulls: 2}, "tom": {Nulls: 3}}}
	s, err := Stats(m, fields)
	require.NoError(t, err)
	require.Equal(
		t,
		`{"maxValues":{"b":0.05,"d":"2024-03-01","n":2,"s":"Å\"<","t":"2024-03-31T00:30:00.123000Z"},`+
			`"minValues":{"b":-9999999999999999.01,"d":"1969-12-31","n":-2,"s":"Æ","t":"1969-12-31T23:59:59.999999Z"},`+
			`"nullCount":{"b":0,"d":1,"n":0,"s":0,"t":0,"tom":3},"numRecords":3}`,
		s,
	)
	require.NoError(t, checkStats(s))
	m.Stats["d"] = parquet.Stat{Min: int64(-1 << 31), Max: int64(0)}
	s, err = Stats(m, fields)
	require.NoError(t, err)
	require.Equal(t, `{"numRecords":3}`, s, "a year that readers do not share: no bounds at all")
	s, err = Stats(&parquet.Meta{Rows: 3}, fields)
	require.NoError(t, err)
	require.Equal(t, `{"numRecords":3}`, s)
}

func TestColumns(t *testing.T) {
	var fields []parquet.Field
	for k := parquet.Bool; k <= parquet.Binary; k++ {
		fields = append(fields, parquet.Field{Name: fmt.Sprint("k", k), Kind: k, Precision: 9, Scale: 4,
			Nullable: k%2 == 0, Stats: true})
	}
	cs := Columns(fields)
	s, err := schemaString(cs)
	require.NoError(t, err)
	got, err := parseSchema(s)
	require.NoError(t, err)
	require.Equal(
		t,
		map[string]string{"a": "b"},
		splitStats(withStats(map[string]string{"a": "b"}, cs), got),
	)
	require.Equal(t, cs, got)
	require.False(t, cs[0].Stats, "of boolean there are none")
}

func FuzzParse(f *testing.F) {
	b, err := first().Encode(0)
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(`{"add":{"path":"x","partitionValues":{"a":null},"size":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		for _, a := range c.Adds {
			require.NoError(t, store.CheckKey(a.Path))
		}
		_ = (&Snapshot{Version: -1}).Apply(0, c)
	})
}
