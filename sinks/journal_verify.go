package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// Problem is one difference that an audit found, in words for a person.
type Problem struct {
	Entry int64 // version in the journal's log
	Text  string
}

// JournalAudit is what Verify proved, and what it could not.
type JournalAudit struct {
	System   schemas.System
	Entries  int64 // contiguous, each with the hash of the one before
	Files    int64 // there, of the size and SHA-256 that their entry says
	Bytes    int64
	Records  int64 // rows of ordinal 0, as many as their entries count
	Events   int64 // all other rows
	Empty    int64 // offsets that hold no record, as their entries say
	Missing  int64 // offsets in accepted gaps
	Gaps     []Gap
	Problems []Problem
}

// Gap is an accepted gap: offsets [From, To) of the stream are not in the journal.
type Gap struct {
	Entry    int64
	Stream   schemas.Stream
	From, To int64
	Reason   string
}

// VerifyJournal is Verify of a journal that may be too damaged to be opened.
func VerifyJournal(ctx context.Context, st store.Store, system schemas.System,
	progress func(*JournalAudit)) (*JournalAudit, error) {
	return newJournal(st, system).Verify(ctx, progress)
}

// Verify reads everything from the first entry on: entries contiguous and chained by hash, each
// file there with its size and SHA-256, the offsets of each stream without a hole but for
// accepted gaps, each record and event once, as many as the entries count. It goes on after a
// problem; an error is a world that cannot be read at all, or a newer format. progress is called
// after each entry and may be nil. Memory is that of one file.
func (j *Journal) Verify(ctx context.Context,
	progress func(*JournalAudit)) (*JournalAudit, error) {
	v := &journalVerifier{j: j, a: &JournalAudit{System: j.system},
		scan: j.scanner(Want{Events: true, Raw: true, Payload: true}),
		h:    journalHead{version: -1, positions: positions{}}}
	if err := v.all(ctx, progress); err != nil {
		return v.a, fmt.Errorf("verify journal %s: %w", j.system, err)
	}
	return v.a, nil
}

func (v *journalVerifier) all(ctx context.Context, progress func(*JournalAudit)) error {
	newest, err := v.newest(ctx)
	if err != nil {
		return err
	}
	if err := v.made(ctx); err != nil {
		return err
	}
	for n := int64(0); n <= newest; n++ {
		if err := v.entry(ctx, n); err != nil {
			return err
		}
		if progress != nil {
			progress(v.a)
		}
	}
	return v.snapshot(ctx, newest)
}

// newest is the greatest number that an entry has, whatever is missing before it.
func (v *journalVerifier) newest(ctx context.Context) (int64, error) {
	newest := int64(-1)
	for i, err := range v.j.st.List(ctx, v.j.logFolder(), "") {
		if err != nil {
			return 0, err
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(i.Key, v.j.logFolder()), ".json")
		if n, err := strconv.ParseInt(name, 10, 64); ok && err == nil {
			newest = max(newest, n)
		}
	}
	return newest, nil
}

// snapshot compares where the entries led with what the log says by its newest checkpoint.
func (v *journalVerifier) snapshot(ctx context.Context, newest int64) error {
	if newest < 0 {
		return nil
	}
	s, err := v.j.log.Snapshot(ctx, newest)
	switch {
	case len(v.a.Problems) > 0: // whatever it says, it is said
		return nil
	case errors.Is(err, delta.ErrDamaged) || errors.Is(err, store.ErrNotFound):
		v.problem("the log cannot be replayed: %v", err)
	case err != nil:
		return err
	default:
		if err := v.h.agree(s.Txns); err != nil {
			v.problem("%v", err)
		}
	}
	return nil
}

// journalVerifier walks the entries; h is where they have led so far.
type journalVerifier struct {
	j    *Journal
	a    *JournalAudit
	h    journalHead
	scan *journalScanner
	seen map[string]bool // made files that were counted
}

func (v *journalVerifier) problem(format string, args ...any) {
	p := Problem{Entry: v.h.version, Text: fmt.Sprintf(format, args...)}
	v.a.Problems = append(v.a.Problems, p)
}

// entry checks one entry. An error is a store that does not answer, or a newer format; all else
// is a problem, after which the next entry is still read.
func (v *journalVerifier) entry(ctx context.Context, n int64) error {
	before := v.h
	v.h.version = n
	c, data, err := v.j.log.Entry(ctx, n)
	if errors.Is(err, store.ErrNotFound) {
		v.problem("entry %d is missing", n)
		v.h.hash = ""
		return nil
	}
	if err != nil {
		if _, unread := store.ReadAll(ctx, v.j.st, v.j.entryKey(n)); unread != nil {
			return fmt.Errorf("read entry %d: %w", n, unread)
		}
		v.problem("entry %d: %v", n, err)
		v.h.hash = ""
		return nil
	}
	v.a.Entries++
	v.h.hash = hashOf(data)
	in, err := readInfo(c.Info)
	if errors.Is(err, ErrFormat) {
		return err
	}
	if err != nil {
		v.problem("entry %d: %v", n, err)
		return nil
	}
	if in.Previous != before.hash && (before.hash != "" || n == 0) {
		v.problem("entry %d follows an entry of SHA-256 %.12s, entry %d has %.12s",
			n, in.Previous, n-1, before.hash)
	}
	v.positions(c, in)
	v.files(ctx, c, in)
	return nil
}

// positions checks that each stream goes on where it stood.
func (v *journalVerifier) positions(c *delta.Commit, in *entryInfo) {
	n := v.h.version
	for _, s := range slices.Sorted(maps.Keys(in.Moved)) {
		m := in.Moved[s]
		if was := v.h.positions[s].Next; was != m.From {
			v.problem("stream %s stood at %d, entry %d goes on from %d", s, was, n, m.From)
		}
		if t, ok := c.Txns[string(s)]; !ok || t != m.Next {
			v.problem("stream %s: entry %d moves it to %d, its txn says %d", s, n, m.Next, t)
		}
		if in.Kind == kindGap {
			v.a.Gaps = append(v.a.Gaps, Gap{n, s, m.From, m.Next, in.Reason})
			v.a.Missing += m.Next - m.From
		}
		v.a.Empty += m.Empty
		v.h.positions[s] = m.position()
	}
	for s := range c.Txns {
		if _, ok := in.Moved[schemas.Stream(s)]; !ok && isStream(s) {
			v.problem("entry %d has a txn of stream %s and does not move it", n, s)
		}
	}
	if in.All != nil && !maps.Equal(in.All, v.h.positions) {
		v.problem("entry %d names other positions or anchors than the entries before it led to", n)
	}
}

// files reads the entry's files and counts their rows again.
func (v *journalVerifier) files(ctx context.Context, c *delta.Commit, in *entryInfo) {
	k := newEntryRecount(in)
	for _, kind := range v.scan.want.kinds() {
		v.kind(ctx, kind, c, k)
	}
	v.a.Records += k.records
	v.a.Events += k.events
	for _, text := range k.differences() {
		v.problem("entry %d: %s", v.h.version, text)
	}
}

// plainText is an error in words for a person who knows files and not our code.
func plainText(err error) string {
	if errors.Is(err, store.ErrNotFound) {
		return "is missing"
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "is cut short"
	}
	return err.Error()
}

// entryRecount counts the rows of one entry and holds them against what the entry says.
type entryRecount struct {
	in              *entryInfo
	records, events int64
	counts          map[recordCount]int64
	at              map[schemas.Stream]*lastRow
	last            *lastRow
	faults          map[string]int64
	incomplete      bool
}

// lastRow is the last row of a stream, in the raw file and in that of the events.
type lastRow struct {
	stream  schemas.Stream
	move    streamMove
	records int64
	raw     int64 // offset of the last record
	event   int64 // offset and ordinal of the last event
	ordinal int32
}

func newEntryRecount(in *entryInfo) *entryRecount {
	return &entryRecount{in: in, counts: map[recordCount]int64{},
		at: map[schemas.Stream]*lastRow{}, faults: map[string]int64{}}
}

// row takes rows as they lie: ascending (offset, ordinal) of a stream proves each to be there
// once.
func (k *entryRecount) row(r *schemas.Row) error {
	p := k.last
	if p == nil || p.stream != r.Stream {
		var ok bool
		if p, ok = k.at[r.Stream]; !ok {
			p = &lastRow{stream: r.Stream, move: k.in.Moved[r.Stream], raw: -1, event: -1}
			k.at[r.Stream] = p
		}
		k.last = p
	}
	if r.Offset < p.move.From || r.Offset >= p.move.Next {
		k.faults["rows outside the offsets that it moves"]++
	}
	if r.Ordinal == 0 {
		k.records++
		p.records++
		k.counts[recordCount{Kommune: r.Kommune, Leverance: r.Leverance.String(), Outcome: r.Outcome}]++
		if r.Offset <= p.raw {
			k.faults["records twice or out of order"]++
		}
		p.raw = r.Offset
		return nil
	}
	k.events++
	if r.Offset < p.event || r.Offset == p.event && r.Ordinal <= p.ordinal {
		k.faults["events twice or out of order"]++
	}
	p.event, p.ordinal = r.Offset, r.Ordinal
	return nil
}

// differences says in words where the entry and its files do not agree.
func (k *entryRecount) differences() []string {
	var out []string
	for _, f := range slices.Sorted(maps.Keys(k.faults)) {
		out = append(out, fmt.Sprintf("%s: %d", f, k.faults[f]))
	}
	if k.incomplete {
		return append(out, "its rows cannot be counted")
	}
	if k.records != k.in.Records || k.events != k.in.Events {
		out = append(out, fmt.Sprintf("counts %d records and %d events, its files hold %d and %d",
			k.in.Records, k.in.Events, k.records, k.events))
	}
	out = append(out, k.streams()...)
	for _, t := range k.in.Counts {
		n := t.Records
		t.Records = 0
		if has := k.counts[t]; has != n {
			out = append(out, fmt.Sprintf("counts %d records %s of %s for %s, its files hold %d",
				n, t.Outcome, t.Kommune, t.Leverance, has))
		}
		delete(k.counts, t)
	}
	if len(k.counts) > 0 {
		out = append(out, fmt.Sprintf("its files hold %d kinds of records that it does not count",
			len(k.counts)))
	}
	return out
}

// streams checks that every offset is a record or said to be empty.
func (k *entryRecount) streams() []string {
	var out []string
	for _, s := range slices.Sorted(maps.Keys(k.in.Moved)) {
		m := k.in.Moved[s]
		var has int64
		if p := k.at[s]; p != nil {
			has = p.records
		}
		if k.in.Kind != kindGap && has+m.Empty != m.Next-m.From {
			const text = "stream %s from %d to %d holds %d records and %d empty offsets: %s"
			lacks := missing(m.Next - m.From - has - m.Empty)
			out = append(out, fmt.Sprintf(text, s, m.From, m.Next, has, m.Empty, lacks))
		}
	}
	return out
}

// missing says how far a count is off.
func missing(n int64) string {
	if n < 0 {
		return strings.TrimPrefix(fmt.Sprint(n), "-") + " too many"
	}
	return fmt.Sprint(n) + " are missing"
}
