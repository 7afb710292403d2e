package parquet

import (
	"bytes"
	"unicode/utf8"
)

// Stat is what a file's column spans. Min and Max are int64 or string, both nil where there is no
// value, and of a Bool or Binary. Of strings longer than 64 bytes they are bounds: the beginning,
// and for Max the last rune there is after it.
type Stat struct {
	Min, Max any
	Nulls    int64
}

// statBytes is the longest string that goes into statistics.
const statBytes = 64

const lastRune = "\U0010FFFF"

type stat struct {
	some             bool
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
	lo, hi := x, x
	if len(x) > statBytes {
		cut := statBytes
		for cut > 0 && !utf8.RuneStart(x[cut]) {
			cut--
		}
		lo, hi = x[:cut], append(x[:cut:cut], lastRune...)
	}
	if !s.some || bytes.Compare(lo, s.minText) < 0 {
		s.minText = append(s.minText[:0], lo...)
	}
	if !s.some || bytes.Compare(hi, s.maxText) > 0 {
		s.maxText = append(s.maxText[:0], hi...)
	}
	s.some = true
}

func (s *stat) stat(f *Field) Stat {
	switch {
	case !s.some:
		return Stat{Nulls: s.nulls}
	case f.bytes():
		return Stat{Min: string(s.minText), Max: string(s.maxText), Nulls: s.nulls}
	}
	return Stat{Min: s.minInt, Max: s.maxInt, Nulls: s.nulls}
}
