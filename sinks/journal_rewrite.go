package sinks

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
)

// Tags of a file beside its SHA-256. A file of an entry's own rows has the entry, "17", and, where
// it is not the first of its kind there, its place among them. A file that was made of others has
// the entries whose rows it holds, "17-17" or "3-17": all rows of its kind of all these entries.
const (
	tagEntries = "indgange"
	tagPart    = "del"
	tagExpired = "udloebet" // day up to which the raw values of its rows may be gone
)

// Transactions that the snapshot carries on for the upkeep; no stream's id has this form.
const (
	txnRewrite = "vedligehold" // newest entry that takes files out
	txnVoid    = "fejning"     // entryInfo.Void of the newest sweep
)

// fileRange is what the tag says of a file.
type fileRange struct {
	from, to int64
	made     bool  // of others; then its rows say each where they were
	part     int64 // of several own files of an entry
}

// rangeOf gives false for a file without the tag, which an older build named: it stays as it is.
func rangeOf(a *delta.Add) (r fileRange, ok bool) {
	first, last, made := strings.Cut(a.Tags[tagEntries], "-")
	if !made {
		last = first
	}
	var err, err2, err3 error
	r.made = made
	r.from, err = strconv.ParseInt(first, 10, 64)
	r.to, err2 = strconv.ParseInt(last, 10, 64)
	if p, some := a.Tags[tagPart]; some {
		r.part, err3 = strconv.ParseInt(p, 10, 32)
	}
	return r, err == nil && err2 == nil && err3 == nil && 0 <= r.from && r.from <= r.to && r.part >= 0
}

// made says whether a file holds rows of other entries than the one that names it.
func made(a *delta.Add) bool {
	r, ok := rangeOf(a)
	return !a.DataChange || ok && r.made
}

// kindOf is filesRaw or filesEvents.
func kindOf(path string) string {
	if strings.HasPrefix(path, filesRaw+"-") {
		return filesRaw
	}
	return filesEvents
}

// triedAt is the version that a file's name says it was made for.
func triedAt(path string) (int64, bool) {
	parts := strings.Split(strings.TrimSuffix(path, ".parquet"), "-")
	if len(parts) < 4 || len(parts[len(parts)-2]) != 20 {
		return 0, false
	}
	v, err := strconv.ParseInt(parts[len(parts)-2], 10, 64)
	return v, err == nil
}

// nameFiles says of an entry's own files that they are its. Files that a sweep took for orphans
// are not named again, however late their writer comes: it is the fence between a slow writer and
// the deletion of its files.
func nameFiles(h journalHead, adds []delta.Add, version int64) ([]delta.Add, error) {
	named := make([]delta.Add, len(adds))
	parts := map[string]int{}
	for i := range adds {
		a := adds[i]
		if v, ok := triedAt(a.Path); ok && v < h.void {
			return nil, fmt.Errorf("file %s was swept: %w", a.Path, ErrLostRace)
		}
		if a.Tags[tagEntries] == "" {
			kind := kindOf(a.Path)
			a.Tags = maps.Clone(a.Tags)
			a.Tags[tagEntries] = strconv.FormatInt(version, 10)
			if n := parts[kind]; n > 0 {
				a.Tags[tagPart] = strconv.Itoa(n)
			}
			parts[kind]++
		}
		named[i] = a
	}
	return named, nil
}

// placeFields are the columns that a made file has beside those of the format: the entry of a row,
// and its place in that entry's rows of its kind. The table's schema has them from the first made
// file on.
func placeFields() []parquet.Field {
	return []parquet.Field{{Name: "indgang", Kind: parquet.Int64, Nullable: true},
		{Name: "plads", Kind: parquet.Int64, Nullable: true}}
}

// change is an entry that replaces files, made on a snapshot.
type change struct {
	base    *delta.Snapshot
	adds    []delta.Add
	removes []delta.Remove
}

// widened is the metadata with the columns of made files; nil = it has them already.
func (c *change) widened() *delta.Metadata {
	m := c.base.Metadata
	for _, col := range m.Schema {
		if col.Name == placeFields()[0].Name {
			return nil
		}
	}
	m.Schema = append(m.Schema[:len(m.Schema):len(m.Schema)], delta.Columns(placeFields())...)
	return &m
}

// admitRewrite lets a change stand only while no other took files out since its snapshot: what it
// removes is there.
func admitRewrite(h journalHead, base int64) error {
	if h.removed > base {
		return fmt.Errorf("entry %d replaced files: %w", h.removed, ErrLostRace)
	}
	return nil
}

// rewrite makes the entry of a change. It moves no stream, so writers cost it a try and no more.
func (j *Journal) rewrite(ctx context.Context, in *entryInfo, ch *change) (int64, error) {
	in.Before = ch.base.Txns[txnRewrite]
	v, err := j.place(ctx, func(h journalHead, try int) (*delta.Commit, error) {
		if err := j.rules.rewrites(h, ch.base.Version); err != nil {
			return nil, err
		}
		c, err := j.next(h, try, in, ch.adds)
		if err != nil {
			return nil, err
		}
		c.Removes, c.Metadata = ch.removes, ch.widened()
		c.Txns[txnRewrite] = h.version + 1
		return c, nil
	})
	if err == nil {
		j.checkpoint(ctx, v)
	}
	return v, err
}
