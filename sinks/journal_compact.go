package sinks

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// Limits of a made file, which are those of memory too: its rows are sorted there.
const (
	madeBytes = 32 << 20
	madeRows  = 100_000
	// removesMax bounds the files that one entry takes out.
	removesMax = 5_000
)

// MadeLeast is the fewest files that are worth one, unless the caller says otherwise.
const MadeLeast = 8

// CompactRules say how a journal is compacted.
type CompactRules struct {
	Writer string    // as of NewEntry
	Now    time.Time // when files were taken out: they are kept for some time from then
	// RawDays is how long raw values are kept, from their arrival; 0 = for ever.
	RawDays int
	// Least is the fewest files that are worth one; 0 = MadeLeast.
	Least int
	// Progress is called after each entry that was made; nil = nobody asks.
	Progress func(CompactReport)
}

// CompactReport is what Compact did.
type CompactReport struct {
	Entries int64 // that it made in the log
	Before  int64 // files that it took out
	After   int64 // files that it made of them
	Bytes   int64 // of the files that it made
	Expired int64 // of these, files without the raw values
	Live    int64 // files that the journal has now
	Raced   bool  // another compactor was at work: what is left is its
}

// Compact makes few files of many: of each run of small files of a kind one file with the same
// rows, sorted by municipality, dataset and key, in entries that change no data
// (docs/decisions/0009-journalens-liv.md). Raw values whose time is over are left out on the way.
// It may run beside writers, readers and other compactors, and stop at any point: nothing is lost
// or doubled. The files that it takes out stay until Sweep.
func (j *Journal) Compact(ctx context.Context, rules CompactRules) (CompactReport, error) {
	var done CompactReport
	for {
		on, err := j.compact(ctx, &rules, &done)
		if errors.Is(err, ErrLostRace) {
			done.Raced = true
			return done, nil
		}
		if err != nil {
			return done, fmt.Errorf("compact journal %s: %w", j.system, err)
		}
		if !on {
			return done, nil
		}
		if rules.Progress != nil {
			rules.Progress(done)
		}
	}
}

// compact makes one entry; false when there is nothing to do.
func (j *Journal) compact(ctx context.Context, rules *CompactRules,
	done *CompactReport) (bool, error) {
	s, err := j.current(ctx)
	if err != nil || s == nil {
		return false, err
	}
	done.Live = int64(len(s.Files))
	kind, groups := j.planned(s, rules)
	if len(groups) == 0 {
		return false, nil
	}
	ch := &change{base: s}
	for _, g := range groups {
		a, err := j.merge(ctx, rules, kind, s.Version, g)
		if errors.Is(err, store.ErrNotFound) {
			err = errors.Join(err, j.replaced(ctx, g))
		}
		if err != nil {
			return false, err
		}
		a.DataChange = kind == kindExpire
		ch.adds = append(ch.adds, a)
		done.Bytes += a.Size
		for i := range g {
			ch.removes = append(ch.removes, delta.Remove{Path: g[i].Path, Size: g[i].Size,
				Partition: g[i].Partition, Deleted: rules.Now.UnixMilli(), DataChange: a.DataChange})
		}
	}
	if _, err := j.rewrite(ctx, &entryInfo{Kind: kind, Writer: rules.Writer}, ch); err != nil {
		return false, err
	}
	done.Entries++
	done.Before += int64(len(ch.removes))
	done.After += int64(len(ch.adds))
	done.Live += int64(len(ch.adds) - len(ch.removes))
	if kind == kindExpire {
		done.Expired += int64(len(ch.adds))
	}
	return true, nil
}

// current is the newest snapshot, nil = no journal; the head is then not behind it.
func (j *Journal) current(ctx context.Context) (*delta.Snapshot, error) {
	s, err := j.snapshot(ctx)
	if err == nil && s != nil {
		err = j.Refresh(ctx)
	}
	return s, err
}

// replaced is ErrLostRace when another compactor has taken one of the files out, however long ago:
// this one slept.
func (j *Journal) replaced(ctx context.Context, group []delta.Add) error {
	s, err := j.snapshot(ctx)
	if err != nil {
		return err
	}
	for i := range group {
		if _, live := s.Files[group[i].Path]; !live {
			return ErrLostRace
		}
	}
	return nil
}

// planned is the next entry's work: first runs to merge, then raw values to leave out.
func (j *Journal) planned(s *delta.Snapshot, rules *CompactRules) (string, [][]delta.Add) {
	var groups [][]delta.Add
	for _, kind := range []string{filesRaw, filesEvents} {
		groups = append(groups, runs(unitsOf(s, kind), cmp.Or(rules.Least, MadeLeast))...)
	}
	if len(groups) > 0 {
		return kindCompact, bounded(groups)
	}
	if rules.RawDays > 0 {
		day := rules.Now.AddDate(0, 0, -rules.RawDays)
		for _, u := range unitsOf(s, filesRaw) {
			if u.expired(day) {
				groups = append(groups, u.adds)
			}
		}
	}
	return kindExpire, bounded(groups)
}

// bounded keeps an entry small; the rest is the next one's.
func bounded(groups [][]delta.Add) [][]delta.Add {
	n := 0
	for i, g := range groups {
		if n += len(g); n > removesMax && i > 0 {
			return groups[:i]
		}
	}
	return groups
}

// unit is the files of a kind that stay together: all of an entry, or one that was made.
type unit struct {
	fileRange
	adds        []delta.Add
	bytes, rows int64
	dry         bool // its raw values are gone
}

// unitsOf are the live files of a kind in order of entry.
func unitsOf(s *delta.Snapshot, kind string) []*unit {
	byFrom := map[int64]*unit{}
	for _, path := range slices.Sorted(maps.Keys(s.Files)) {
		a := s.Files[path]
		r, ok := rangeOf(&a)
		if !ok || kindOf(path) != kind {
			continue
		}
		u := byFrom[r.from]
		if u == nil {
			u = &unit{fileRange: r}
			byFrom[r.from] = u
		}
		u.adds = append(u.adds, a)
		u.bytes += a.Size
		u.rows += statsOf(&a).NumRecords
		u.dry = u.dry || a.Tags[tagExpired] != ""
	}
	return slices.SortedFunc(maps.Values(byFrom), func(a, b *unit) int {
		return cmp.Compare(a.from, b.from)
	})
}

// fileStats is what the upkeep needs of a file's statistics.
type fileStats struct {
	NumRecords int64 `json:"numRecords"`
	MaxValues  struct {
		Arrived time.Time `json:"ankommet"`
	} `json:"maxValues"`
}

// statsOf is zero where a file has none that can be read: it then counts as having no rows, and
// its values stay.
func statsOf(a *delta.Add) (s fileStats) {
	if json.Unmarshal([]byte(a.Stats), &s) != nil {
		return fileStats{}
	}
	return s
}

// expired says whether every row arrived before the day.
func (u *unit) expired(day time.Time) bool {
	for i := range u.adds {
		at := statsOf(&u.adds[i]).MaxValues.Arrived
		if at.IsZero() || !at.Before(day) {
			return false
		}
	}
	return !u.dry
}

// runs are the files to merge. A run is worth it when it has MadeLeast units and none is the
// greater part of it: each row is so rewritten but a few times, as its file doubles each time.
func runs(us []*unit, least int) [][]delta.Add {
	var groups [][]delta.Add
	for i := 0; i < len(us); {
		n := longest(us[i:], least)
		if n == 0 {
			i++
			continue
		}
		var g []delta.Add
		for _, u := range us[i : i+n] {
			g = append(g, u.adds...)
		}
		groups = append(groups, g)
		i += n
	}
	return groups
}

// longest is how many units from the first on make a good run; 0 = none.
func longest(us []*unit, least int) int {
	var bytes, rows, greatest int64
	n := 0
	for _, u := range us {
		if bytes+u.bytes > madeBytes || rows+u.rows > madeRows || u.dry != us[0].dry {
			break
		}
		bytes, rows, greatest = bytes+u.bytes, rows+u.rows, max(greatest, u.bytes)
		n++
	}
	if n < least || 2*greatest > bytes {
		return 0
	}
	return n
}

// merge makes one file of several and proves, before anyone can see it, that it holds the same
// rows.
func (j *Journal) merge(ctx context.Context, rules *CompactRules, kind string, version int64,
	group []delta.Add) (delta.Add, error) {
	s := j.scanner(Want{Events: true, Raw: true, Payload: true})
	var rows []placedRow
	span := fileRange{from: -1, made: true}
	tags := map[string]string{}
	for i := range group {
		some, err := s.placed(ctx, &group[i])
		if err != nil {
			return delta.Add{}, err
		}
		rows = append(rows, some...)
		r, _ := rangeOf(&group[i])
		if span.to = max(span.to, r.to); span.from < 0 || r.from < span.from {
			span.from = r.from
		}
		if t := group[i].Tags[tagExpired]; t != "" {
			tags[tagExpired] = max(tags[tagExpired], t)
		}
	}
	if kind == kindExpire {
		tags[tagExpired] = rules.Now.UTC().Format(time.DateOnly)
		for i := range rows {
			r := &rows[i].row
			r.Payload, r.Headers, r.RawKey = nil, nil, nil
		}
	}
	tags[tagEntries] = fmt.Sprintf("%d-%d", span.from, span.to)
	return j.make(ctx, rules.Writer, kindOf(group[0].Path), version, rows, span, tags)
}

// make writes the rows, sorted for foreign readers: statistics of municipality and dataset then
// tell row groups apart, and equal values lie together.
func (j *Journal) make(ctx context.Context, writer, kind string, version int64, rows []placedRow,
	span fileRange, tags map[string]string) (delta.Add, error) {
	want := sumOf(rows)
	slices.SortFunc(rows, func(a, b placedRow) int {
		return cmp.Or(
			cmp.Compare(a.row.Kommune, b.row.Kommune),
			cmp.Compare(a.row.Dataset, b.row.Dataset),
			cmp.Compare(a.row.Key, b.row.Key),
			a.compare(&b),
		)
	})
	cols := journalColumns()
	b := parquet.NewBatch(append(fieldsOf(cols), placeFields()...))
	for i := range rows {
		for k := range cols {
			cols[k].put(b.Vectors[k], &rows[i].row)
		}
		b.Vectors[len(cols)].AppendInt(rows[i].entry)
		b.Vectors[len(cols)+1].AppendInt(rows[i].place)
	}
	buf := j.buffer()
	defer j.giveBack(buf)
	a, err := j.putFile(ctx, buf, kind, writer, version+1, b, func(data []byte) error {
		again, err := j.scanner(Want{Events: true, Raw: true, Payload: true}).unpack(data, span)
		if err == nil && sumOf(again) != want {
			err = fmt.Errorf("%w: the file made holds other rows than its sources", ErrDamaged)
		}
		return err
	})
	if err == nil {
		maps.Copy(a.Tags, tags)
	}
	return a, err
}

// sumOf sorts the rows by where they were written.
func sumOf(rows []placedRow) string {
	slices.SortFunc(rows, func(a, b placedRow) int { return a.compare(&b) })
	s := newContentSum()
	for i := range rows {
		s.add(&rows[i].row)
	}
	return s.String()
}

// putFile makes the batch a durable file that no reader sees yet; check sees its bytes first.
func (j *Journal) putFile(ctx context.Context, buf *bytes.Buffer, kind, writer string,
	version int64, b *parquet.Batch, check func([]byte) error) (delta.Add, error) {
	m, err := j.files.write(buf, b)
	if err != nil {
		return delta.Add{}, err
	}
	data := buf.Bytes()
	if err := check(data); err != nil {
		return delta.Add{}, err
	}
	name := fmt.Sprintf("%s-%s-%020d-%s.parquet", kind, writer, version, m.SHA256[:hashPart])
	if err := j.create(ctx, name, data, m.SHA256); err != nil {
		return delta.Add{}, err
	}
	stats, err := delta.Stats(m, b.Fields)
	if err != nil {
		return delta.Add{}, err
	}
	return delta.Add{Path: name, Size: m.Bytes, DataChange: true, Stats: stats,
		Partition: map[string]string{}, Tags: map[string]string{delta.TagSHA256: m.SHA256}}, nil
}
