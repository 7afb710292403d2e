package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Op names an operation of a Store to a Hook.
type Op string

// The operations.
const (
	OpOpen    Op = "open"
	OpCreate  Op = "create"
	OpReplace Op = "replace"
	OpList    Op = "list"
	OpDelete  Op = "delete"
)

// Fault is what a Hook does to an operation.
type Fault uint8

// The faults. Of a read (open, list) LoseRequest and LoseAnswer are as Refuse.
const (
	Proceed     Fault = iota
	Refuse            // no effect, ErrInjected
	LoseRequest       // no effect, ErrUnknown
	LoseAnswer        // takes effect, ErrUnknown
	CrashBefore       // no effect; this handle returns ErrCrashed from now on
	CrashAfter        // takes effect; this handle returns ErrCrashed from now on
)

// Errors of planted faults.
var (
	ErrInjected = errors.New("injected fault")
	ErrCrashed  = errors.New("process crashed")
)

// Hook decides on each operation, just before it takes effect: of a create after write was called.
// It is called without a lock, so it may block (to interleave two writers) or use the store through
// another handle.
type Hook func(op Op, key string) Fault

// Memory is a Store in memory, for tests and simulation. A value is one process's handle; With
// makes handles of other processes over the same objects:
//
//	m := store.NewMemory()
//	n := 0
//	dying := m.With(func(store.Op, string) store.Fault {
//		if n++; n == 7 {
//			return store.CrashAfter
//		}
//		return store.Proceed
//	})
//	// … run on dying until ErrCrashed, then go on with m.With(nil): what was written is there.
type Memory struct {
	objects *objects
	hook    Hook

	mu      sync.Mutex
	crashed bool
}

type objects struct {
	mu    sync.Mutex
	ticks int64 // operations that changed something: the clock of Info.Modified
	m     map[string]memoryObject
}

type memoryObject struct {
	data     []byte
	modified time.Time
}

// NewMemory makes an empty store without faults.
func NewMemory() *Memory { return &Memory{objects: &objects{m: map[string]memoryObject{}}} }

// With is a new handle over the same objects, with its own hook (nil = no faults), not crashed.
func (m *Memory) With(h Hook) *Memory { return &Memory{objects: m.objects, hook: h} }

// Clone copies the objects into a store of its own, without a hook and not crashed.
func (m *Memory) Clone() *Memory {
	m.objects.mu.Lock()
	defer m.objects.mu.Unlock()
	return &Memory{objects: &objects{m: maps.Clone(m.objects.m), ticks: m.objects.ticks}}
}

// Open implements Store.
func (m *Memory) Open(ctx context.Context, key string) (o Object, err error) {
	err = m.do(ctx, OpOpen, key, func(s *objects) error {
		x, ok := s.m[key]
		if !ok {
			return ErrNotFound
		}
		o = memoryReader{bytes.NewReader(x.data)}
		return nil
	})
	return o, err
}

type memoryReader struct{ *bytes.Reader }

func (memoryReader) Close() error { return nil }

// Create implements Store.
func (m *Memory) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	if err := errors.Join(m.alive(), ctx.Err(), CheckKey(key)); err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	return m.do(ctx, OpCreate, key, func(s *objects) error {
		if _, ok := s.m[key]; ok {
			return ErrExists
		}
		s.put(key, b.Bytes())
		return nil
	})
}

// Replace implements Store.
func (m *Memory) Replace(ctx context.Context, key string, data []byte) error {
	return m.do(ctx, OpReplace, key, func(s *objects) error {
		s.put(key, bytes.Clone(data))
		return nil
	})
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key string) error {
	return m.do(ctx, OpDelete, key, func(s *objects) error {
		delete(s.m, key)
		return nil
	})
}

// List implements Store; it is a snapshot of the moment at which it begins.
func (m *Memory) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		var all []Info
		err := m.do(ctx, OpList, prefix, func(s *objects) error {
			for k, o := range s.m {
				if strings.HasPrefix(k, prefix) && k > after {
					all = append(all, Info{k, int64(len(o.data)), o.modified})
				}
			}
			return nil
		})
		if err != nil {
			yield(Info{}, err)
			return
		}
		slices.SortFunc(all, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
		for _, i := range all {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (s *objects) put(key string, data []byte) {
	s.ticks++
	s.m[key] = memoryObject{data, time.Unix(s.ticks, 0).UTC()}
}

func (m *Memory) alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crashed {
		return ErrCrashed
	}
	return nil
}

func (m *Memory) do(ctx context.Context, op Op, key string, effect func(*objects) error) error {
	err := errors.Join(m.alive(), ctx.Err())
	if op != OpList {
		err = errors.Join(err, CheckKey(key))
	}
	if err == nil {
		err = m.faulty(op, key, effect)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	return nil
}

func (m *Memory) faulty(op Op, key string, effect func(*objects) error) error {
	f := Proceed
	if m.hook != nil {
		f = m.hook(op, key)
	}
	if f == LoseAnswer || f == CrashAfter || f == Proceed {
		m.objects.mu.Lock()
		err := effect(m.objects)
		m.objects.mu.Unlock()
		if f == Proceed {
			return err
		}
	}
	switch {
	case f == CrashBefore || f == CrashAfter:
		m.mu.Lock()
		m.crashed = true
		m.mu.Unlock()
		return ErrCrashed
	case f == Refuse || op == OpOpen || op == OpList:
		return ErrInjected
	}
	return ErrUnknown
}
