package delta

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/flis-dk/flis/sinks/parquet"
)

// Stats makes the stats of an Add: the count of rows, and min, max and nulls of the fields with
// Stats. Decimals are their exact digits (rule 14), timestamps UTC text (rule 13). They are whole
// or not there at all: where one bound has no form that all readers share there is only the count,
// for delta-rs takes a missing bound for one that no value meets.
func Stats(m *parquet.Meta, fields []parquet.Field) (string, error) {
	mins, maxs, nulls := object{}, object{}, object{}
	whole := true
	for i := range fields {
		f := &fields[i]
		s, ok := m.Stats[f.Name]
		if !ok || !hasStats(f) {
			continue
		}
		nulls[f.Name] = s.Nulls
		if s.Min == nil {
			continue
		}
		mins[f.Name], maxs[f.Name] = statValue(f, s.Min), statValue(f, s.Max)
		whole = whole && mins[f.Name] != nil && maxs[f.Name] != nil
	}
	o := object{"numRecords": m.Rows}
	if whole && len(nulls) > 0 {
		o["minValues"], o["maxValues"], o["nullCount"] = mins, maxs, nulls
	}
	b, err := Canonical(o)
	return string(b), err
}

// Years that every reader's dates have.
const (
	firstYear = 1
	lastYear  = 9999
)

// statValue is nil for what has no form that all readers share.
func statValue(f *parquet.Field, v any) any {
	x, ok := v.(int64)
	if !ok {
		return v
	}
	switch f.Kind {
	case parquet.Decimal:
		return json.Number(decimalText(x, f.Scale))
	case parquet.Date:
		return timeText(time.Unix(x*86400, 0), time.DateOnly)
	case parquet.Timestamp:
		return timeText(time.UnixMicro(x), "2006-01-02T15:04:05.000000Z")
	case parquet.Int32, parquet.Int64:
		return x
	}
	return nil
}

func timeText(t time.Time, form string) any {
	if t = t.UTC(); t.Year() < firstYear || t.Year() > lastYear {
		return nil
	}
	return t.Format(form)
}

// decimalText is the number in JSON's form, as many digits behind the point as the scale.
func decimalText(x int64, scale int) string {
	sign, digits := "", strconv.FormatInt(x, 10)
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	if scale == 0 {
		return sign + digits
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	at := len(digits) - scale
	return sign + digits[:at] + "." + digits[at:]
}

type statsJSON struct {
	NumRecords *int64                     `json:"numRecords"`
	MinValues  map[string]json.RawMessage `json:"minValues"`
	MaxValues  map[string]json.RawMessage `json:"maxValues"`
	NullCount  map[string]int64           `json:"nullCount"`
}

// checkStats says whether they are whole: see Stats.
func checkStats(s string) error {
	var j statsJSON
	if err := json.Unmarshal([]byte(s), &j); err != nil || j.NumRecords == nil {
		return errors.New("stats have no numRecords")
	}
	for c, nulls := range j.NullCount {
		_, lo := j.MinValues[c]
		_, hi := j.MaxValues[c]
		if lo != hi || lo == (nulls == *j.NumRecords) {
			return fmt.Errorf("stats of %s are not whole", c)
		}
	}
	if len(j.MinValues) > len(j.NullCount) || len(j.MaxValues) > len(j.NullCount) {
		return errors.New("stats have bounds without nullCount")
	}
	return nil
}
