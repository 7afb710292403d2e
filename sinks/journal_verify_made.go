package sinks

import (
	"context"
	"errors"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// made finds the files that were made of others. A log that cannot be read as a whole is a problem
// that the walk over its entries finds, and names better; then only their own files are looked at.
func (v *journalVerifier) made(ctx context.Context) error {
	v.seen = map[string]bool{}
	err := v.scan.again(ctx)
	if errors.Is(err, errOverlap) {
		v.problem("%v", err)
	}
	return ctx.Err()
}

// kind reads an entry's rows of one kind: those of its own files, and those that a made file has
// of it. Where both are there they are the same; where its own are gone, as entries that replaced
// them say, the others stand in.
func (v *journalVerifier) kind(ctx context.Context, kind string, c *delta.Commit,
	k *entryRecount) {
	f := v.scan.cover.find(kind, v.h.version)
	gone := false
	var files []*delta.Add
	for i := range c.Adds {
		if a := &c.Adds[i]; kindOf(a.Path) == kind && !made(a) {
			files = append(files, a)
			v.tag(a)
			gone = gone || f != nil && v.replaced(ctx, a)
		}
	}
	own := newContentSum()
	for _, a := range files {
		if !gone {
			v.file(ctx, a, own, k)
		}
	}
	if f != nil {
		v.other(ctx, kind, f, gone, own, k)
	}
}

// other reads the entry's rows from a made file; they count only where its own are gone.
func (v *journalVerifier) other(ctx context.Context, kind string, f *coverFile, gone bool,
	own *contentSum, k *entryRecount) {
	v.count(f)
	other := newContentSum()
	err := v.scan.made(ctx, kind, f, v.h.version, 0, func(r *schemas.Row) error {
		other.add(r)
		if gone {
			return v.row(k, r)
		}
		return nil
	})
	if err != nil {
		v.problem("file %s: %s", f.add.Path, plainText(err))
		k.incomplete = k.incomplete || gone
		return
	}
	expired := f.add.Tags[tagExpired] != ""
	if !gone && !k.incomplete && !expired && own.String() != other.String() {
		v.problem("file %s holds other rows of the entry than the entry's own files", f.add.Path)
	}
}

// tag checks whose an own file says that it is.
func (v *journalVerifier) tag(a *delta.Add) {
	if r, ok := rangeOf(a); ok && r.from != v.h.version {
		v.problem("file %s says that it is of entry %d", a.Path, r.from)
	}
}

// replaced says whether a file is gone that no longer has to be there.
func (v *journalVerifier) replaced(ctx context.Context, a *delta.Add) bool {
	if _, live := v.scan.cover.live[a.Path]; live {
		return false
	}
	o, err := v.j.st.Open(ctx, v.j.prefix+"/"+a.Path)
	if err == nil {
		err = o.Close()
	}
	return errors.Is(err, store.ErrNotFound)
}

func (v *journalVerifier) file(ctx context.Context, a *delta.Add, own *contentSum,
	k *entryRecount) {
	err := v.scan.file(ctx, a, func(r *schemas.Row) error {
		own.add(r)
		return v.row(k, r)
	})
	if err != nil {
		v.problem("file %s: %s", a.Path, plainText(err))
		k.incomplete = true
		return
	}
	v.a.Files++
	v.a.Bytes += a.Size
}

// count takes a made file into the sums once.
func (v *journalVerifier) count(f *coverFile) {
	if !v.seen[f.add.Path] {
		v.seen[f.add.Path] = true
		v.a.Files++
		v.a.Bytes += f.add.Size
	}
}

// row counts a row, of a replay as such.
func (v *journalVerifier) row(k *entryRecount, r *schemas.Row) error {
	if k.in.Replay != nil {
		k.again(r, v.h.positions)
		return nil
	}
	return k.row(r)
}
