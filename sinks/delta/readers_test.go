package delta

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// TestTableForReaders writes tables with all that our tables can have, and reads them back. With
// FLIS_READERS set to an empty folder they stay there, with the manifest that
// .ci/readers/read_tables.py takes:
//
//	FLIS_READERS=/tmp/r go test -run TableForReaders ./sinks/delta
//	python .ci/readers/read_tables.py /tmp/r /tmp/r/manifest.json
func TestTableForReaders(t *testing.T) {
	root := os.Getenv("FLIS_READERS")
	if root == "" {
		root = t.TempDir()
	}
	st, err := store.OpenLocal(root)
	require.NoError(t, err)
	var manifest struct {
		Tables []manifestTable `json:"tables"`
	}
	for _, k := range []struct {
		path      string
		partition []string
		inFile    bool
	}{
		// Below a folder as kommune=0101 Polars 2.1 opens no partitioned table: it takes that
		// folder for a partition.
		{"delt/borger/delt", []string{"aar", "maaned"}, true},
		{"delt/borger/delt_historik", []string{"aar", "maaned"}, false},
		{"kommune=0751/aeldre/hel", nil, true},
	} {
		x := &exercise{
			t:         t,
			st:        st,
			path:      k.path,
			partition: k.partition,
			inFile:    k.inFile,
			rows:      map[string][]row{},
		}
		manifest.Tables = append(manifest.Tables, x.write()...)
	}
	b, err := json.Marshal(manifest)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "manifest.json"), b, 0o600))
}

type row = map[string]any

type manifestTable struct {
	Path    string `json:"path"`
	Version int64  `json:"version"`
	Rows    []row  `json:"rows"`
}

var exerciseFields = []parquet.Field{
	{Name: "kommunekode", Kind: parquet.String, Dictionary: true, Stats: true},
	{Name: "aar", Kind: parquet.Int32, Dictionary: true, Stats: true},
	{Name: "maaned", Kind: parquet.String, Nullable: true, Dictionary: true, Stats: true},
	{Name: "navn", Kind: parquet.String, Nullable: true},
	{Name: "kode", Kind: parquet.String, Nullable: true, Dictionary: true, Stats: true},
	{Name: "antal", Kind: parquet.Int32, Nullable: true, Stats: true},
	{Name: "stor", Kind: parquet.Int64, Stats: true},
	{Name: "beloeb", Kind: parquet.Decimal, Precision: 18, Scale: 2, Nullable: true, Stats: true},
	{Name: "andel", Kind: parquet.Decimal, Precision: 9, Scale: 4, Nullable: true, Stats: true},
	{Name: "aktiv", Kind: parquet.Bool, Nullable: true, Stats: true},
	{Name: "gyldig_fra", Kind: parquet.Date, Stats: true},
	{Name: "gyldig_til", Kind: parquet.Date, Nullable: true, Dictionary: true, Stats: true},
	{Name: "kilde_registreret", Kind: parquet.Timestamp, Stats: true},
	{Name: "tom", Kind: parquet.String, Nullable: true, Dictionary: true, Stats: true},
	{Name: "tomt_beloeb", Kind: parquet.Decimal, Precision: 18, Scale: 2, Nullable: true, Stats: true},
}

type exercise struct {
	t         *testing.T
	st        store.Store
	path      string
	partition []string
	inFile    bool // partition columns stand in the files too

	log     *Log
	version int64
	rows    map[string][]row // by file
	files   map[string]Add
}

// write makes six versions, a checkpoint at 3, and gives each version's rows.
func (x *exercise) write() []manifestTable {
	x.log, x.files, x.version = Open(x.st, x.path), map[string]Add{}, -1
	columns := Columns(exerciseFields)
	columns[3].Comment = "Navnet som det står i kilden"
	first := &Commit{Metadata: &Metadata{ID: "5f0c9c4e-0000-4000-8000-00000000000a", Schema: columns,
		PartitionColumns: x.partition, Configuration: map[string]string{
			"delta.logRetentionDuration": Interval(
				3650,
			), "delta.deletedFileRetentionDuration": Interval(30)}}}
	var all []manifestTable
	all = append(all, x.commit(first, 0))
	all = append(all, x.commit(&Commit{Txns: map[string]int64{"b/t/0": 1}}, 1, 2, 3))
	all = append(all, x.commit(&Commit{Txns: map[string]int64{"b/t/0": 9}, Removes: x.remove(1)}, 4))
	all = append(all, x.commit(&Commit{Txns: map[string]int64{"b/t/1": 7}}, 5))
	s, err := x.log.Snapshot(x.t.Context(), x.version)
	require.NoError(x.t, err)
	require.NoError(x.t, x.log.Checkpoint(x.t.Context(), s))
	all = append(all, x.commit(&Commit{Removes: append(x.remove(2), x.remove(4)...)}, 6))
	return append(all, x.commit(&Commit{}, 7))
}

func (x *exercise) remove(n int) []Remove {
	for p, a := range x.files {
		if strings.HasSuffix(p, fmt.Sprintf("del-%d.parquet", n)) {
			delete(x.files, p)
			return []Remove{{Path: p, Deleted: 1_750_000_000_000, DataChange: true,
				Partition: a.Partition, Size: a.Size}}
		}
	}
	x.t.Fatalf("no file %d", n)
	return nil
}

func (x *exercise) commit(c *Commit, files ...int) manifestTable {
	for _, n := range files {
		a := x.file(n)
		x.files[a.Path] = a
		c.Adds = append(c.Adds, a)
	}
	x.version++
	c.Info = map[string]any{
		"operation": "WRITE",
		"forfatter": "prøve",
		"timestamp": 1_750_000_000_000 + x.version,
	}
	require.NoError(x.t, x.log.Create(x.t.Context(), x.version, c))
	s, err := x.log.Snapshot(x.t.Context(), -1)
	require.NoError(x.t, err)
	require.Equal(x.t, len(x.files), len(s.Files))
	m := manifestTable{Path: x.path, Version: x.version}
	for p := range s.Files {
		m.Rows = append(m.Rows, x.rows[p]...)
	}
	return m
}

// file writes file n, of year 2020+n and a month, null in every fourth.
func (x *exercise) file(n int) Add {
	month := fmt.Sprintf("2024-%02d", n+1)
	rows := make([]row, 0, 20+n)
	for i := range int64(20 + n) {
		rows = append(rows, exerciseRow(int64(n), i, month))
	}
	fields := exerciseFields
	if !x.inFile {
		fields = append(append([]parquet.Field{}, fields[0]), fields[3:]...)
	}
	b := parquet.NewBatch(fields)
	for _, r := range rows {
		for c, f := range fields {
			appendTo(b.Vectors[c], &f, r[f.Name])
		}
	}
	a := Add{Path: fmt.Sprintf("del-%d.parquet", n), Modified: 1_700_000_000_000, DataChange: true}
	if x.partition != nil {
		dir := fmt.Sprintf("aar=%d/maaned=%s/", 2020+n, month)
		a.Partition = map[string]string{"aar": fmt.Sprint(2020 + n), "maaned": month}
		if n%4 == 3 {
			dir = fmt.Sprintf("aar=%d/maaned=%s/", 2020+n, nullPartition)
			delete(a.Partition, "maaned")
		}
		a.Path = dir + a.Path
	}
	var m *parquet.Meta
	require.NoError(
		x.t,
		x.st.Create(context.Background(), x.path+"/"+a.Path, func(w io.Writer) (err error) {
			pw, err := parquet.NewWriter(w, fields)
			if err == nil {
				err = pw.Write(b)
			}
			if err == nil {
				m, err = pw.Close()
			}
			return err
		}),
	)
	var err error
	a.Stats, err = Stats(m, fields)
	require.NoError(x.t, err)
	a.Size, a.Tags, x.rows[a.Path] = m.Bytes, map[string]string{TagSHA256: m.SHA256}, rows
	x.scan(a.Path, fields, rows)
	return a
}

func (x *exercise) scan(path string, fields []parquet.Field, want []row) {
	b, err := store.ReadAll(x.t.Context(), x.st, x.path+"/"+path)
	require.NoError(x.t, err)
	n := 0
	require.NoError(
		x.t,
		parquet.Scan(bytes.NewReader(b), int64(len(b)), fields, func(b *parquet.Batch) error {
			for i := range b.Len() {
				require.Equal(x.t, want[n]["stor"], b.Vectors[len(fields)-9].Int(i))
				n++
			}
			return nil
		}),
	)
	require.Equal(x.t, len(want), n)
}

var names = []any{"Åse Ærø", "Søren \"Bødker\" O'Hara", "日本", "", nil, "a\\b\nc", "ÆØÅ æøå é"}

func exerciseRow(n, i int64, month string) row {
	day := time.Date(1895+int(i)*7, time.Month(i%12+1), 28, 0, 0, 0, 0, time.UTC)
	stamp := time.Date(1899, 12, 31, 23, 59, 59, 999_999_000, time.UTC).
		AddDate(int(i)*4, int(n), int(i))
	r := row{"kommunekode": "0101", "aar": 2020 + n, "maaned": month, "navn": names[i%7],
		"kode": fmt.Sprintf("%c%d", 'Ø'-rune(i%2), i%3), "antal": i - 10, "stor": (i - 5) * (1<<53 + 1),
		"beloeb": fmt.Sprintf(
			"%d.%02d",
			(i-9)*511111111111111,
			i*5%100,
		), "andel": fmt.Sprintf("-%d.%04d", i*3333, i),
		"aktiv": i%2 == 0, "gyldig_fra": day.Format(time.DateOnly),
		"gyldig_til":        day.AddDate(0, 0, 1).Format(time.DateOnly),
		"kilde_registreret": stamp.Format("2006-01-02T15:04:05.000000Z"), "tom": nil, "tomt_beloeb": nil}
	if n%4 == 3 {
		r["maaned"] = nil
	}
	if i%5 == 4 {
		for _, c := range []string{"kode", "antal", "beloeb", "andel", "aktiv", "gyldig_til"} {
			r[c] = nil
		}
	}
	return r
}

func appendTo(v *parquet.Vector, f *parquet.Field, x any) {
	switch x := x.(type) {
	case nil:
		v.AppendNull()
	case int64:
		v.AppendInt(x)
	case bool:
		v.AppendInt(map[bool]int64{true: 1}[x])
	case string:
		v2 := strings.ReplaceAll(x, ".", "")
		var unscaled int64
		day, dayErr := time.Parse(time.DateOnly, x)
		stamp, stampErr := time.Parse(time.RFC3339Nano, x)
		_, numberErr := fmt.Sscan(v2, &unscaled)
		switch {
		case f.Kind == parquet.Date && dayErr == nil:
			v.AppendInt(day.Unix() / 86400)
		case f.Kind == parquet.Timestamp && stampErr == nil:
			v.AppendInt(stamp.UnixMicro())
		case f.Kind == parquet.Decimal && numberErr == nil:
			v.AppendInt(unscaled)
		default:
			v.AppendString(x)
		}
	}
}
