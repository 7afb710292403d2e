package curated_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/streams/curated"
)

// mistake is a fault planted between a publisher and its log; the zero value is none.
type mistake struct {
	name   string
	append func(s *sim, l simLog, ctx context.Context, records []curated.Record) error
	read   func(s *sim, r *curated.Record) bool // false = the publisher does not see the record
}

func (m mistake) log(s *sim, l simLog) curated.Log { return &mistaken{simLog: l, sim: s, mistake: m} }

// mistaken is the log through a mistake.
type mistaken struct {
	simLog
	sim     *sim
	mistake mistake
}

func (l *mistaken) Append(ctx context.Context, records []curated.Record) error {
	if l.mistake.append != nil {
		return l.mistake.append(l.sim, l.simLog, ctx, records)
	}
	return l.simLog.Append(ctx, records)
}

func (l *mistaken) Read(ctx context.Context, from, to int64,
	fn func(*curated.Record) error) error {
	return l.simLog.Read(ctx, from, to, func(r *curated.Record) error {
		if l.mistake.read != nil && !l.mistake.read(l.sim, r) {
			return nil
		}
		return fn(r)
	})
}

func mistakes() []mistake {
	return []mistake{
		{
			name: "marker before its records",
			append: func(s *sim, l simLog, ctx context.Context, records []curated.Record) error {
				if early := s.early(records[0]); early != nil {
					records = append([]curated.Record{*early}, records...)
				}
				return l.Append(ctx, records)
			},
		},
		{
			name: "more proven than was read back",
			append: func(s *sim, l simLog, ctx context.Context, records []curated.Record) error {
				if m, err := curated.ParseMarker(records[0].Value); err == nil &&
					records[0].Key == curated.MarkerKey {
					m.Proven = s.end()
					r := records[0]
					r.Value = append(slices.Clone(r.Value[:5]), m.Avro()...)
					records = []curated.Record{r}
				}
				return l.Append(ctx, records)
			},
		},
		{
			name: "null value forgotten",
			append: func(_ *sim, l simLog, ctx context.Context, records []curated.Record) error {
				return l.Append(ctx, slices.DeleteFunc(slices.Clone(records),
					func(r curated.Record) bool { return r.Value == nil }))
			},
		},
		{
			name: "marker only once",
			append: func(s *sim, l simLog, ctx context.Context, records []curated.Record) error {
				if records[0].Key == curated.MarkerKey && s.marked(records[0].Number) {
					return nil
				}
				return l.Append(ctx, records)
			},
		},
		{
			name: "stale record left last",
			read: func(s *sim, r *curated.Record) bool {
				return r.Key == curated.MarkerKey || !s.stale(r)
			},
		},
		{
			name: "number not raised by a repair",
			append: func(_ *sim, l simLog, ctx context.Context, records []curated.Record) error {
				records = slices.Clone(records)
				for i := range records {
					if records[i].Key != curated.MarkerKey {
						records[i].Number = max(1, records[i].Number-1)
					}
				}
				return l.Append(ctx, records)
			},
		},
		{
			name: "records before the end of the log not read back",
			read: func(s *sim, r *curated.Record) bool {
				return r.Key == curated.MarkerKey || r.Offset < s.end()-2
			},
		},
	}
}

// early is the marker of the record's certificate, as a publisher would make it before it writes;
// nil where there is one already, or none to make it of.
func (s *sim) early(r curated.Record) *curated.Record {
	if r.Key == curated.MarkerKey || s.marked(r.Number) {
		return nil
	}
	for _, old := range s.log.All() {
		m, err := curated.ParseMarker(old.Value)
		if err != nil || old.Key != curated.MarkerKey {
			continue
		}
		m.Number, m.Proven, m.Certificate.Hash = r.Number, s.end(), fmt.Sprintf("hash-%d", r.Number)
		old.Number, old.Value = r.Number, append(slices.Clone(old.Value[:5]), m.Avro()...)
		return &old
	}
	return nil
}

func (s *sim) end() int64 {
	_, end, _ := s.log.Bounds(context.Background())
	return end
}

func (s *sim) marked(n int64) bool {
	return slices.ContainsFunc(s.log.All(), func(r curated.Record) bool {
		return r.Key == curated.MarkerKey && r.Number == n
	})
}

// stale says whether a record comes after one of its key that is newer.
func (s *sim) stale(r *curated.Record) bool {
	return slices.ContainsFunc(s.log.All(), func(o curated.Record) bool {
		return o.Key == r.Key && o.Number > r.Number
	})
}

// TestMistakes: each planted mistake is caught within so many seeds.
func TestMistakes(t *testing.T) {
	const most = 200
	for _, m := range mistakes() {
		t.Run(m.name, func(t *testing.T) {
			for seed := range uint64(most) {
				if fault := playSeed(t, seed, m, map[string]int{}); fault != "" {
					t.Logf("seed %d: %s", seed, fault)
					return
				}
			}
			require.Fail(t, "not caught")
		})
	}
}
