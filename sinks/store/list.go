package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
)

// List implements Store. It reads one folder at a time: an object made meanwhile may be in it or
// not.
func (l *Local) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		w := &walk{l: l, ctx: ctx, prefix: prefix, after: after, yield: yield}
		if err := w.begin(); err != nil {
			yield(Info{}, fmt.Errorf("list %s: %w", prefix, err))
		}
	}
}

type walk struct {
	l             *Local
	ctx           context.Context
	prefix, after string
	yield         func(Info, error) bool
}

// errStop ends a walk whose consumer has had enough.
var errStop = errors.New("stop")

func (w *walk) begin() error {
	dir := w.prefix[:strings.LastIndexByte(w.prefix, '/')+1]
	if dir != "" {
		if err := CheckKey(dir[:len(dir)-1]); err != nil {
			return err
		}
	}
	if err := w.folder(dir); !errors.Is(err, errStop) {
		return err
	}
	return nil
}

// folder lists a folder; dir is "" or ends in a slash. A folder sorts as its name with the slash,
// which is what makes the order that of the keys.
func (w *walk) folder(dir string) error {
	if err := w.l.begin(w.ctx, "x"); err != nil {
		return err
	}
	es, err := os.ReadDir(w.l.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names := make([]string, 0, len(es))
	for _, e := range es {
		switch {
		case e.IsDir() && dir+e.Name() == tmp:
		case e.IsDir():
			names = append(names, dir+e.Name()+"/")
		default:
			names = append(names, dir+e.Name())
		}
	}
	slices.Sort(names)
	for _, n := range names {
		if err := w.entry(n); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(name string) error {
	if strings.HasSuffix(name, "/") {
		in := strings.HasPrefix(name, w.prefix) || strings.HasPrefix(w.prefix, name)
		if !in || name < w.after && !strings.HasPrefix(w.after, name) {
			return nil
		}
		return w.folder(name)
	}
	if !strings.HasPrefix(name, w.prefix) || name <= w.after || CheckKey(name) != nil {
		return nil
	}
	fi, err := os.Stat(w.l.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !w.yield(Info{Key: name, Size: fi.Size(), Modified: fi.ModTime()}, nil) {
		return errStop
	}
	return nil
}
