package delta

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/flis-dk/flis/sinks/parquet"
)

// Column is one column of a table.
type Column struct {
	Name string
	// Delta's name: string, integer, long, boolean, date, timestamp, binary, decimal(p,s)
	Type     string
	Nullable bool
	Comment  string // for people; "" = none
	Stats    bool   // each Add has its min, max and nulls, or has nothing but its count of rows
}

// Columns names the columns of files with these fields. Delta has no min and max of boolean and
// binary.
func Columns(fields []parquet.Field) []Column {
	cs := make([]Column, len(fields))
	for i, f := range fields {
		t := typeNames[f.Kind]
		if f.Kind == parquet.Decimal {
			t = fmt.Sprintf("decimal(%d,%d)", f.Precision, f.Scale)
		}
		cs[i] = Column{Name: f.Name, Type: t, Nullable: f.Nullable, Stats: f.Stats && hasStats(&f)}
	}
	return cs
}

func hasStats(f *parquet.Field) bool { return f.Kind != parquet.Bool && f.Kind != parquet.Binary }

var typeNames = map[parquet.Kind]string{
	parquet.Bool: "boolean", parquet.Int32: "integer", parquet.Int64: "long", parquet.Date: "date",
	parquet.Timestamp: "timestamp", parquet.String: "string", parquet.Binary: "binary",
}

// columnType is every type that is written; others, or other spellings, are not read by all (rules
// 9 and 11).
var columnType = regexp.MustCompile(
	`^(string|integer|long|boolean|date|timestamp|binary|decimal\((1[0-8]|[1-9]), ?([0-9]|1[0-8])\))$`)

type schemaJSON struct {
	Type   string      `json:"type"`
	Fields []fieldJSON `json:"fields"`
}

type fieldJSON struct {
	Name     string            `json:"name"`
	Type     json.RawMessage   `json:"type"`
	Nullable *bool             `json:"nullable"`
	Metadata map[string]string `json:"metadata"`
}

// schemaString writes all four properties of every field (rule 9).
func schemaString(cs []Column) (string, error) {
	if len(cs) == 0 {
		return "", errors.New("schema is empty")
	}
	fields := []any{}
	seen := map[string]bool{}
	for _, c := range cs {
		if c.Stats && !plainName.MatchString(c.Name) {
			return "", fmt.Errorf("column %q: with statistics, want ASCII letters, digits and _", c.Name)
		}
		if c.Name == "" || seen[c.Name] || !columnType.MatchString(c.Type) {
			return "", fmt.Errorf("column %q %q: empty, there twice, or of a type that readers do not share",
				c.Name, c.Type)
		}
		seen[c.Name] = true
		meta := map[string]string{}
		if c.Comment != "" {
			meta["comment"] = c.Comment
		}
		fields = append(
			fields,
			object{"name": c.Name, "type": c.Type, "nullable": c.Nullable, "metadata": meta},
		)
	}
	b, err := Canonical(object{"type": "struct", "fields": fields})
	return string(b), err
}

// statsProperty lists the columns with statistics. Without it delta-rs 1.6 takes a column that has
// none in an Add's stats for one whose every comparison fails, and its pandas and pyarrow filters
// silently lose all rows.
const statsProperty = "delta.dataSkippingStatsColumns"

// withStats puts the property beside the configuration's own.
func withStats(configuration map[string]string, cs []Column) map[string]string {
	m := maps.Clone(configuration)
	if m == nil {
		m = map[string]string{}
	}
	var names []string
	for _, c := range cs {
		if c.Stats {
			names = append(names, c.Name)
		}
	}
	if names != nil {
		m[statsProperty] = strings.Join(names, ",")
	}
	return m
}

// splitStats takes the property off again.
func splitStats(configuration map[string]string, cs []Column) map[string]string {
	m := maps.Clone(configuration)
	if list, ok := m[statsProperty]; ok {
		delete(m, statsProperty)
		for _, name := range strings.Split(list, ",") {
			if i := slices.IndexFunc(cs, func(c Column) bool { return c.Name == name }); i >= 0 {
				cs[i].Stats = true
			}
		}
	}
	return m
}

func parseSchema(s string) ([]Column, error) {
	var j schemaJSON
	if err := json.Unmarshal([]byte(s), &j); err != nil {
		return nil, fmt.Errorf("schemaString: %w", err)
	}
	cs := make([]Column, len(j.Fields))
	for i, f := range j.Fields {
		c := Column{
			Name:     f.Name,
			Nullable: f.Nullable == nil || *f.Nullable,
			Comment:  f.Metadata["comment"],
		}
		if json.Unmarshal(f.Type, &c.Type) != nil || !columnType.MatchString(c.Type) {
			return nil, fmt.Errorf("schemaString: column %q has a type that is not ours", f.Name)
		}
		cs[i] = c
	}
	return cs, nil
}
