package delta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/flis-dk/flis/sinks/store"
)

// TagSHA256 is the tag of an Add that holds the file's SHA-256 in hex. Every file that we add has
// one.
const TagSHA256 = "sha256"

// Add names a data file of the table.
type Add struct {
	// Path is relative to the table; "<column>=<value>/" for each partition column.
	Path           string
	Partition      map[string]string // value by column; a column that is not in it is null
	Size, Modified int64             // exact bytes; milliseconds since 1970
	DataChange     bool
	Stats          string // JSON of Stats, "" = none
	Tags           map[string]string
}

// Remove takes a data file out of the table.
type Remove struct {
	Path       string
	Deleted    int64 // milliseconds since 1970
	DataChange bool
	Partition  map[string]string
	Size       int64
}

// Metadata is what the table is.
type Metadata struct {
	ID               string // UUID
	Schema           []Column
	PartitionColumns []string
	Configuration    map[string]string
}

// Commit is one entry of the log.
type Commit struct {
	// commitInfo. It should name the writer: equal entries are taken for one writer's
	Info     map[string]any
	Metadata *Metadata // of version 0, or a change
	Txns     map[string]int64
	Adds     []Add
	Removes  []Remove
}

// The protocol that every table has: no feature lists (rule 10).
const (
	readerVersion = 1
	writerVersion = 2
)

// nullPartition is how a path spells a null partition value; the value itself is JSON null (rule
// 5).
const nullPartition = "__HIVE_DEFAULT_PARTITION__"

var (
	plainValue = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	sha256Hex  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	interval   = regexp.MustCompile(`^interval [0-9]+ (hours|days|weeks)$`)
)

// Interval is a number of days in the form of the configuration's durations (rule 20).
func Interval(days int) string { return fmt.Sprintf("interval %d days", days) }

// Canonical is JSON with sorted keys and no blanks, numbers as they were written: the form of all
// that is hashed.
func Canonical(v any) ([]byte, error) {
	var plain any
	b, err := marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&plain); err != nil {
		return nil, fmt.Errorf("make canonical: %w", err)
	}
	return marshal(plain)
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("make JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Encode makes the entry's bytes, one action a line, the same for the same commit. It refuses what
// breaks a rule.
func (c *Commit) Encode(version int64) ([]byte, error) {
	if version == 0 && c.Metadata == nil {
		return nil, errors.New("entry 0 has no metadata")
	}
	var e entry
	info := c.Info
	if info == nil {
		info = map[string]any{}
	}
	e.action("commitInfo", info, nil)
	if version == 0 {
		e.action(
			"protocol",
			object{"minReaderVersion": readerVersion, "minWriterVersion": writerVersion},
			nil,
		)
	}
	if c.Metadata != nil {
		m, err := c.Metadata.encode()
		e.action("metaData", m, err)
	}
	for _, app := range slices.Sorted(maps.Keys(c.Txns)) {
		e.action("txn", object{"appId": app, "version": c.Txns[app]}, nil)
	}
	for i := range c.Removes {
		r, err := c.Removes[i].encode()
		e.action("remove", r, err)
	}
	for i := range c.Adds {
		a, err := c.Adds[i].encode()
		e.action("add", a, err)
	}
	if e.err == nil && e.b.Len() > entryBytes {
		e.err = fmt.Errorf("%d bytes, limit %d", e.b.Len(), entryBytes)
	}
	if e.err != nil {
		return nil, fmt.Errorf("make entry %d: %w", version, e.err)
	}
	return e.b.Bytes(), nil
}

type object = map[string]any

type entry struct {
	b   bytes.Buffer
	err error
}

func (e *entry) action(name string, body any, err error) {
	if e.err != nil {
		return
	}
	var line []byte
	if err == nil {
		line, err = Canonical(object{name: body})
	}
	if err != nil {
		e.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	e.b.Write(line)
	e.b.WriteByte('\n')
}

// encode writes all fields that readers ask for (rule 8); name, description and createdTime may be
// left out.
func (m *Metadata) encode() (object, error) {
	schema, err := schemaString(m.Schema)
	if err != nil {
		return nil, err
	}
	if m.ID == "" {
		return nil, errors.New("id is empty")
	}
	for _, p := range m.PartitionColumns {
		if !slices.ContainsFunc(m.Schema, func(c Column) bool { return c.Name == p }) {
			return nil, fmt.Errorf("partition column %s is not in the schema", p)
		}
		if !plainName.MatchString(p) {
			return nil, fmt.Errorf("partition column %s: want ASCII letters, digits and _", p)
		}
	}
	for k, v := range m.Configuration {
		if strings.HasSuffix(k, "Duration") && !interval.MatchString(v) {
			return nil, fmt.Errorf("%s is %q, want as \"interval 30 days\"", k, v)
		}
	}
	return object{
		"id": m.ID, "format": object{"provider": "parquet", "options": object{}}, "schemaString": schema,
		"partitionColumns": orEmpty(
			m.PartitionColumns,
		), "configuration": withStats(m.Configuration, m.Schema),
	}, nil
}

var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

func orEmpty(s []string) []string { return append([]string{}, s...) }

// encode writes all fields that readers ask for (rule 6).
func (a *Add) encode() (object, error) {
	partition, err := partitionValues(a.Path, a.Partition)
	switch {
	case err != nil:
		return nil, err
	case a.Size <= 0 || a.Modified < 0: // rule 7: with size 0 Spark reads no rows
		return nil, fmt.Errorf("%s: size %d, modified %d", a.Path, a.Size, a.Modified)
	case !sha256Hex.MatchString(a.Tags[TagSHA256]):
		return nil, fmt.Errorf("%s: tag %s is not a SHA-256 in hex", a.Path, TagSHA256)
	case a.Stats != "" && checkStats(a.Stats) != nil:
		return nil, fmt.Errorf("%s: %w", a.Path, checkStats(a.Stats))
	}
	o := object{
		"path":             a.Path,
		"partitionValues":  partition,
		"size":             a.Size,
		"modificationTime": a.Modified,
		"dataChange":       a.DataChange,
		"tags":             a.Tags,
	}
	if a.Stats != "" {
		o["stats"] = a.Stats
	}
	return o, nil
}

func (r *Remove) encode() (object, error) {
	partition, err := partitionValues(r.Path, r.Partition)
	if err != nil {
		return nil, err
	}
	return object{
		"path":                 r.Path,
		"partitionValues":      partition,
		"size":                 r.Size,
		"deletionTimestamp":    r.Deleted,
		"dataChange":           r.DataChange,
		"extendedFileMetadata": true,
	}, nil
}

// partitionValues checks that path is relative and plain (rules 1, 4) and says of each partition
// the same as values (rule 2): a reader takes either. The result has null for each null.
func partitionValues(path string, values map[string]string) (map[string]*string, error) {
	if err := store.CheckKey(path); err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	all := map[string]*string{}
	dirs := strings.Split(path, "/")
	for _, d := range dirs[:len(dirs)-1] {
		name, inPath, ok := strings.Cut(d, "=")
		if !ok || !plainName.MatchString(name) {
			return nil, fmt.Errorf("path %s: a folder must be as kommune=0101", path)
		}
		value, some := values[name]
		switch {
		case !some && inPath != nullPartition, some && inPath != value:
			return nil, fmt.Errorf("path %s: partition %s is another in partitionValues", path, name)
		case some && !plainValue.MatchString(value):
			return nil, fmt.Errorf("path %s: partition %s: want ASCII letters, digits and -", path, name)
		case some:
			all[name] = &value
		default:
			all[name] = nil
		}
	}
	for name := range values {
		if all[name] == nil {
			return nil, fmt.Errorf("path %s: has no folder for partition %s", path, name)
		}
	}
	return all, nil
}
