package streams_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/transforms"
)

type producer struct {
	sent []streams.Message
	fail error
}

func (p *producer) Send(_ context.Context, m []streams.Message) error {
	if p.fail != nil {
		return p.fail
	}
	p.sent = append(p.sent, m...)
	return nil
}

func newFeed(p *producer) *streams.Feed {
	return &streams.Feed{
		Producer: p,
		Key:      []byte("a key of the tests"),
		Clock:    func() time.Time { return time.Date(2026, 3, 2, 21, 0, 0, 0, time.UTC) },
		SchemaID: func(context.Context, string) (uint32, error) { return 7, nil },
		Encode: func(_ string, json []byte) ([]byte, error) {
			if strings.Contains(string(json), "bad") {
				return nil, schemas.Reject(schemas.CodeDecode, "minutter", "send a whole number", "is no long")
			}
			return []byte("avro"), nil
		},
	}
}

func units(contents ...string) iter.Seq2[streams.Unit, error] {
	return func(yield func(streams.Unit, error) bool) {
		for i, c := range contents {
			if !yield(streams.Unit{Nr: int64(i + 1), Entity: "6101700001", Content: []byte(c)}, nil) {
				return
			}
		}
	}
}

func header(m streams.Message, name string) string {
	for _, h := range m.Headers {
		if h.Name == name {
			return string(h.Value)
		}
	}
	return ""
}

func TestUnitsThenSeal(t *testing.T) {
	p := &producer{}
	d := streams.Delivery{
		System:   "cpr",
		Event:    "person",
		SHA256:   "abc",
		Layout:   "A",
		Encoding: "ISO-8859-1",
		Produced: schemas.CivilDay(
			2026,
			3,
			2,
		),
		Previous: schemas.CivilDay(2026, 2, 27),
		Day:      schemas.CivilDay(2026, 3, 2),
	}
	sent, err := newFeed(p).Units(t.Context(), d, units("one", "two"))
	require.NoError(t, err)
	require.EqualValues(t, 2, sent.Records)
	require.Len(t, p.sent, 3)
	require.Equal(t, "raw.cpr.person.v1", p.sent[0].Topic)
	require.Equal(t, "abc-1", header(p.sent[0], "ce_id"))
	require.Equal(t, "2026-03-02", header(p.sent[0], "flis_leverance"))
	require.EqualValues(t, 7, binary.BigEndian.Uint32(p.sent[0].Value[1:5]))
	for _, m := range p.sent {
		require.NotContains(t, string(m.Key), "6101700001", "a topic key is no personal number")
	}
	require.Equal(t, p.sent[0].Key, p.sent[1].Key, "one person, one key")
	seal, err := streams.ParseControl(p.sent[2].Value)
	require.NoError(t, err)
	require.Equal(t, streams.Control{Kind: streams.Seal, Day: d.Day, Count: 2, File: "abc",
		Produced: d.Produced, Previous: d.Previous}, seal)
}

func TestBrokenFileIsNotSealed(t *testing.T) {
	p := &producer{}
	broken := func(yield func(streams.Unit, error) bool) {
		_ = yield(streams.Unit{Nr: 1}, nil) && yield(streams.Unit{}, errors.New("record 7: too long"))
	}
	_, err := newFeed(p).Units(t.Context(), streams.Delivery{System: "cpr", Event: "person"}, broken)
	require.ErrorContains(t, err, "record 7")
	require.Empty(t, p.sent)
}

func TestControlCutShort(t *testing.T) {
	for n := range 8 {
		_, err := streams.ParseControl([]byte("\x00\x00\x00\x00\x07\x08segl")[:n+2])
		require.Error(t, err, n)
	}
}

func TestCheckChain(t *testing.T) {
	day := func(d int) schemas.Day { return schemas.CivilDay(2026, 3, d) }
	file := func(sha string, produced, previous schemas.Day) streams.Delivery {
		return streams.Delivery{SHA256: sha, Produced: produced, Previous: previous}
	}
	before := []streams.Control{
		{Kind: streams.Seal, File: "a", Produced: day(2), Previous: schemas.Always},
		{Kind: streams.Seal, File: "x", Produced: day(20), Previous: schemas.Always, Excerpt: true},
	}
	known, err := streams.CheckChain(before, file("a", day(2), schemas.Always))
	require.NoError(t, err)
	require.True(t, known)
	_, err = streams.CheckChain(before, file("b", day(3), day(2)))
	require.NoError(t, err)
	_, err = streams.CheckChain(before, file("c", day(4), day(3)))
	require.ErrorContains(t, err, "follows the file of 2026-03-03, the last one fed is of 2026-03-02")
	_, err = streams.CheckChain(before, file("d", day(2), day(1)))
	require.ErrorContains(t, err, "has been fed already")
	_, err = streams.CheckChain(
		append(before, streams.Control{Kind: streams.Gap, Produced: day(3)}),
		file("c", day(4), day(3)),
	)
	require.NoError(t, err, "an accepted gap goes past it")
	_, err = streams.CheckChain(nil, file("b", day(3), day(2)))
	require.NoError(t, err, "the first file of all")
}

func TestEvents(t *testing.T) {
	lines := []string{
		`{"specversion":"1.0","id":"1","source":"//kmd-nexus/9","type":"grant","time":"2026-03-02T10:00:00Z","data":{"grantId":17}}`,
		``,
		`{"specversion":"1.0","id":"2","source":"//kmd-nexus/9","type":"grant","time":"2026-03-02T10:00:00Z","data":{"grantId":17,"x":"bad"}}`,
		`{"specversion":"1.0","id":"3","source":"//kmd-nexus/9","type":"nosuch","time":"2026-03-02T10:00:00Z","data":{"grantId":1}}`,
		`not json`,
		`{"specversion":"1.0","id":"5","source":"//kmd-nexus/9","type":"grant","time":"2026-03-02T10:00:00Z","surprise":1}`,
		`{"specversion":"1.0","id":"6","source":"//kmd-nexus/9","type":"grant","flis_kommune":"0101","subject":"17"}`,
		`{"specversion":"1.0","id":"7","source":"//kmd-nexus/9","type":"kontrol","data":{"slags":"segl","antal":3}}`,
	}
	p := &producer{}
	sent, err := newFeed(
		p,
	).Events(t.Context(), streams.Delivery{System: "kmd-nexus", SHA256: "abc"}, []string{"grant", "visit"},
		strings.NewReader(strings.Join(lines, "\n")))
	require.NoError(t, err)
	require.EqualValues(t, 7, sent.Records)
	require.Len(t, p.sent, 8, "seven records and the seal of the file: nothing is lost")
	require.Equal(t, "\x00\x00\x00\x00\x07avro", string(p.sent[0].Value))
	require.Equal(t, "17", string(p.sent[0].Key))
	require.Nil(t, p.sent[5].Value, "a tombstone")
	require.Equal(t, "raw.kmd-nexus.kontrol.v1", p.sent[6].Topic)
	var said []string
	for _, b := range sent.Bad {
		said = append(said, fmt.Sprint(b.Code, " ", b.Path))
	}
	require.Equal(t, []string{"DECODE line 3 minutter", "ENVELOPE line 4 ce_type", "ENVELOPE line 5",
		"ENVELOPE line 6"}, said)
	require.Equal(t, "not json", string(p.sent[3].Value))
	require.NotContains(t, fmt.Sprint(sent.Bad[2]), "not json", "no content in an error")
}

// TestLinesThatAreNoObject: the two usual causes are told in words.
func TestLinesThatAreNoObject(t *testing.T) {
	for line, want := range map[string]string{"[{}]": "is a list of JSON", "\ufeff{}": "a byte order mark",
		"hello": "syntax error at byte 1"} {
		_, err := streams.ParseCloudEvent([]byte(line))
		require.ErrorContains(t, err, want)
	}
}

// source hands out chunks that were prepared, then nothing.
type source struct {
	chunks []streams.Chunk
	seeks  []map[schemas.Stream]streams.Position
	at     int
}

func (s *source) Seek(_ context.Context, from map[schemas.Stream]streams.Position) error {
	s.seeks = append(s.seeks, from)
	s.at = int(from["c/t/0"].Next)
	return nil
}

func (s *source) Poll(context.Context) ([]streams.Chunk, error) {
	if s.at >= len(s.chunks) {
		return nil, nil
	}
	s.at++
	return s.chunks[s.at-1 : s.at], nil
}

func (s *source) Done() bool { return s.at >= len(s.chunks) }

type sink struct {
	rows  []schemas.Row
	next  int64
	lose  int // so many commits are lost to another writer, who moves the stream one on
	tried int
}

type entry struct {
	s    *sink
	rows []schemas.Row
	to   int64
}

func (s *sink) Progress(context.Context) (map[schemas.Stream]streams.Position, error) {
	return map[schemas.Stream]streams.Position{"c/t/0": {Next: s.next}}, nil
}
func (s *sink) Begin() streams.Entry { return &entry{s: s} }

func (e *entry) Add(
	rows ...schemas.Row,
) error {
	e.rows = append(e.rows, rows...)
	return nil
}
func (e *entry) Advance(_ schemas.Stream, to streams.Position) error { e.to = to.Next; return nil }
func (e *entry) Size() int                                           { return len(e.rows) }
func (e *entry) Commit(context.Context) error {
	e.s.tried++
	if e.s.lose > 0 {
		e.s.lose--
		e.s.rows = append(e.s.rows, schemas.Row{Offset: e.s.next})
		e.s.next++
		return fmt.Errorf("commit: %w", streams.ErrLostRace)
	}
	e.s.rows = append(e.s.rows, e.rows...)
	e.s.next = e.to
	return nil
}

func normaliser(src *source, snk *sink, maxBytes int) *streams.Normaliser {
	return &streams.Normaliser{
		System:   "s",
		Source:   src,
		Sink:     snk,
		MaxBytes: maxBytes,
		Clock:    time.Now,
		Judge: func(dst []schemas.Row, r *transforms.Record) ([]schemas.Row, error) {
			return append(dst, schemas.Row{Offset: r.Offset}), nil
		},
		Park: func(dst []schemas.Row, r *transforms.Record, why *schemas.Finding) []schemas.Row {
			return append(dst, schemas.Row{Offset: r.Offset, Outcome: schemas.Parked, Finding: why.Error()})
		},
	}
}

func chunks(n int) []streams.Chunk {
	var cs []streams.Chunk
	for i := range int64(n) {
		cs = append(
			cs,
			streams.Chunk{Stream: "c/t/0", Items: []streams.Item{{Record: transforms.Record{Stream: "c/t/0", Offset: i}}},
				After: streams.Position{Next: i + 1}},
		)
	}
	return cs
}

func TestNormaliseOnce(t *testing.T) {
	for _, lose := range []int{0, 1, 3} {
		src, snk := &source{chunks: chunks(10)}, &sink{lose: lose}
		require.NoError(t, normaliser(src, snk, 4).Run(t.Context(), true))
		var offsets []int64
		for _, r := range snk.rows {
			offsets = append(offsets, r.Offset)
		}
		require.Equal(t, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, offsets, "lost races: %d", lose)
		require.Len(t, src.seeks, 1+lose)
	}
}

func TestNormaliseParksOversized(t *testing.T) {
	why := schemas.Reject(schemas.CodeBudget, "", "", "is too large")
	src := &source{chunks: []streams.Chunk{{Stream: "c/t/0", Items: []streams.Item{{Unreadable: why}},
		After: streams.Position{Next: 1}}}}
	snk := &sink{}
	require.NoError(t, normaliser(src, snk, 100).Run(t.Context(), true))
	require.Len(t, snk.rows, 1)
	require.Equal(t, schemas.Parked, snk.rows[0].Outcome)
	require.Contains(t, snk.rows[0].Finding, "BUDGET")
}

func TestNormaliseStopsWhenTheJournalFails(t *testing.T) {
	src, snk := &source{chunks: chunks(1)}, &sink{}
	n := normaliser(src, snk, 1)
	n.Judge = func([]schemas.Row, *transforms.Record) ([]schemas.Row, error) {
		return nil, errors.New("registry unreachable")
	}
	require.ErrorContains(t, n.Run(t.Context(), true), "normalise s: registry unreachable")
	require.Empty(t, snk.rows)
}

// deaths notes what a process that dies would leave.
type deaths struct {
	from, to int64
	killed   map[int64]int
	alone    []int64
	chunks   int
	survived int
}

func (d *deaths) Range(schemas.Stream) (int64, int64, bool, error) {
	return d.from, d.to, d.to > d.from, nil
}
func (d *deaths) Chunk(schemas.Stream, int64, int64) error { d.chunks++; return nil }
func (d *deaths) Clear(schemas.Stream) error               { d.from, d.to = 0, 0; return nil }
func (d *deaths) Survived(schemas.Stream) error            { d.survived++; return nil }
func (d *deaths) Alone(_ schemas.Stream, offset int64) (bool, error) {
	d.alone = append(d.alone, offset)
	return d.killed[offset] >= 2, nil
}

func TestNormaliseParksPoison(t *testing.T) {
	d := &deaths{from: 3, to: 6, killed: map[int64]int{4: 2, 5: 1}}
	src, snk := &source{chunks: chunks(8)}, &sink{}
	n := normaliser(src, snk, 1000)
	n.Suspects = d
	require.NoError(t, n.Run(t.Context(), true))
	require.Equal(t, []int64{3, 4, 5}, d.alone)
	require.Equal(t, 3, d.survived)
	require.Equal(t, 5, d.chunks)
	for _, r := range snk.rows {
		require.Equal(t, r.Offset == 4, r.Outcome == schemas.Parked, "offset %d", r.Offset)
	}
	require.Contains(t, snk.rows[4].Finding, "POISON")
}
