package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Local keeps objects as files below a root folder. All of the root must be one file system (link
// needs it).
//
// An object is written and synced in _tmp, then linked to its name: link(2) fails when the name is
// taken, and the name never shows a part. The folder's entry is synced before Create returns. After
// a failed fsync the kernel may have dropped the pages, so that a retry would lie (ATC'20,
// faults.md 1.4): every later call returns that error until the process starts anew.
type Local struct {
	root     string
	readOnly bool // every method that writes is refused
	sync     func(*os.File) error

	mu     sync.Mutex
	broken error
	dirs   map[string]bool // folders whose own entry this process has synced
}

const (
	dirMode  = 0o750
	bufBytes = 256 << 10
)

// OpenLocal makes the root folder if need be.
func OpenLocal(root string) (*Local, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(abs, tmp), dirMode); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	l := &Local{root: abs, sync: (*os.File).Sync, dirs: map[string]bool{abs: true}}
	return l, nil
}

// OpenCopy opens a folder that is only read, such as a copy on a medium that cannot be written.
func OpenCopy(root string) (*Local, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open copy: %w", err)
	}
	if _, err := os.Stat(abs); err != nil {
		return nil, fmt.Errorf("open copy: %w", err)
	}
	return &Local{root: abs, readOnly: true, dirs: map[string]bool{}}, nil
}

// OpenScratch is OpenLocal for objects that need not outlive the machine's next crash: it flushes
// nothing to the disk.
func OpenScratch(root string) (*Local, error) {
	l, err := OpenLocal(root)
	if err == nil {
		l.sync = func(*os.File) error { return nil }
	}
	return l, err
}

// Sweep removes unfinished objects that were last written before t: leavings of killed processes. A
// t younger than the longest write would fail a writer that is alive; its object would then not be
// made.
func (l *Local) Sweep(t time.Time) error {
	es, err := os.ReadDir(filepath.Join(l.root, tmp))
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	for _, e := range es {
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.ModTime().Before(t) {
			continue
		}
		err = errors.Join(err, os.Remove(filepath.Join(l.root, tmp, e.Name())))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}

// Open implements Store.
func (l *Local) Open(ctx context.Context, key string) (Object, error) {
	if err := l.begin(ctx, key); err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	f, err := os.Open(l.path(key))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("open %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	fi, err := f.Stat()
	if err == nil && fi.IsDir() {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, errors.Join(err, f.Close()))
	}
	return &localObject{f, fi.Size()}, nil
}

type localObject struct {
	*os.File
	size int64
}

func (o *localObject) Size() int64 { return o.size }

// Create implements Store. It never returns ErrUnknown: an error of the folder's fsync leaves the
// object in place, and is sticky, so that this process cannot go on as if it were durable.
func (l *Local) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	err := l.place(ctx, key, write, l.link)
	if err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	return nil
}

// Replace implements Store.
func (l *Local) Replace(ctx context.Context, key string, data []byte) error {
	write := func(w io.Writer) error { _, err := w.Write(data); return err }
	if err := l.place(ctx, key, write, os.Rename); err != nil {
		return fmt.Errorf("replace %s: %w", key, err)
	}
	return nil
}

// Delete implements Store. Folders stay: to remove an empty one would race with Create.
func (l *Local) Delete(ctx context.Context, key string) error {
	if err := l.change(ctx, key); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	err := os.Remove(l.path(key))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err == nil {
		err = l.syncDir(filepath.Dir(l.path(key)))
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func (l *Local) path(key string) string { return filepath.Join(l.root, filepath.FromSlash(key)) }

func (l *Local) begin(ctx context.Context, key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	return errors.Join(ctx.Err(), CheckKey(key))
}

// change is begin for what writes.
func (l *Local) change(ctx context.Context, key string) error {
	if l.readOnly {
		return errors.New("the folder was opened for reading only")
	}
	return l.begin(ctx, key)
}

// place writes a file in _tmp and gives it its name by claim.
func (l *Local) place(ctx context.Context, key string, write func(io.Writer) error,
	claim func(old, name string) error) error {
	if err := l.change(ctx, key); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Join(l.root, tmp), "*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already after a rename; Sweep finds what stays
	if err := l.fill(f, write); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	name := l.path(key)
	if err := l.makeDir(filepath.Dir(name)); err != nil {
		return err
	}
	err = claim(f.Name(), name)
	if err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	// Also after ErrExists: the winner may have died between its link and its sync, and the caller
	// is about to rely on what the winner wrote.
	return errors.Join(err, l.syncDir(filepath.Dir(name)))
}

func (l *Local) fill(f *os.File, write func(io.Writer) error) error {
	w := bufio.NewWriterSize(f, bufBytes)
	err := write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = l.fsync(f)
	}
	return errors.Join(err, f.Close())
}

// link claims a name. On network file systems link may report an error for a link that was made:
// the two names then are one file.
func (l *Local) link(old, name string) error {
	err := os.Link(old, name)
	if err == nil {
		return nil
	}
	a, errA := os.Lstat(old)
	b, errB := os.Lstat(name)
	switch {
	case errA == nil && errB == nil && os.SameFile(a, b):
		return nil
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	}
	return err
}

// makeDir makes a folder and its parents. Each folder's entry is synced once by this process, also
// when another process made it, for that one may not have come to its own sync.
func (l *Local) makeDir(dir string) error {
	l.mu.Lock()
	known := l.dirs[dir]
	l.mu.Unlock()
	if known {
		return nil
	}
	if err := l.makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := l.syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	l.mu.Lock()
	l.dirs[dir] = true
	l.mu.Unlock()
	return nil
}

func (l *Local) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(l.fsync(f), f.Close())
}

func (l *Local) fsync(f *os.File) error {
	err := l.sync(f)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = fmt.Errorf("store stopped, restart the process: fsync: %w", err)
	}
	return l.broken
}
