package parquet

import "bytes"

// Stat is what a file's column spans. Min and Max are int64 or string, both nil where there is no value, of a Bool
// or Binary, and where a string is longer than 64 bytes.
type Stat struct {
	Min, Max any
	Nulls    int64
}

// statBytes is the longest string that goes into statistics.
const statBytes = 64

type stat struct {
	some, long       bool
	nulls            int64
	minInt, maxInt   int64
	minText, maxText []byte
}

func (s *stat) add(f *Field, v *Vector) {
	s.nulls += int64(v.nulls)
	switch {
	case f.Kind == Bool || f.Kind == Binary:
	case v.dict && v.bytes:
		for i := range v.ends {
			s.addText(v.distinct(int32(i)))
		}
	case v.dict:
		for _, x := range v.ints {
			s.addInt(x)
		}
	default:
		for i := range v.n {
			switch {
			case v.Null(i):
			case v.bytes:
				s.addText(v.Bytes(i))
			default:
				s.addInt(v.Int(i))
			}
		}
	}
}

func (s *stat) addInt(x int64) {
	if !s.some {
		s.minInt, s.maxInt, s.some = x, x, true
	}
	s.minInt, s.maxInt = min(s.minInt, x), max(s.maxInt, x)
}

func (s *stat) addText(x []byte) {
	if len(x) > statBytes {
		s.long = true
		return
	}
	if !s.some || bytes.Compare(x, s.minText) < 0 {
		s.minText = append(s.minText[:0], x...)
	}
	if !s.some || bytes.Compare(x, s.maxText) > 0 {
		s.maxText = append(s.maxText[:0], x...)
	}
	s.some = true
}

func (s *stat) stat(f *Field) Stat {
	switch {
	case !s.some || s.long:
		return Stat{Nulls: s.nulls}
	case f.bytes():
		return Stat{Min: string(s.minText), Max: string(s.maxText), Nulls: s.nulls}
	}
	return Stat{Min: s.minInt, Max: s.maxInt, Nulls: s.nulls}
}
