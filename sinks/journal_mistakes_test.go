package sinks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"strings"

	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

func logKey(key string) bool { return strings.Contains(key, "/_delta_log/") }

// hasty puts data files off until the entry that names them is made.
type hasty struct {
	store.Store
	later []func() error
}

func (h *hasty) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	if !logKey(key) {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return err
		}
		h.later = append(h.later, func() error { return store.CreateBytes(ctx, h.Store, key, b.Bytes()) })
		return nil
	}
	if err := h.Store.Create(ctx, key, write); err != nil {
		return err
	}
	for len(h.later) > 0 {
		f := h.later[0]
		h.later = h.later[1:]
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// overwriting claims an entry of the log whether it is free or not.
type overwriting struct{ store.Store }

func (o overwriting) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	if !logKey(key) {
		return o.Store.Create(ctx, key, write)
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	return o.Store.Replace(ctx, key, b.Bytes())
}

// trusting takes a lost answer as success, and reads what it believes to have written.
type trusting struct {
	store.Store
	believed map[string][]byte
}

func (s *trusting) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	var b bytes.Buffer
	err := s.Store.Create(ctx, key, func(w io.Writer) error { return write(io.MultiWriter(w, &b)) })
	if !logKey(key) || !errors.Is(err, store.ErrUnknown) {
		return err
	}
	if s.believed == nil {
		s.believed = map[string][]byte{}
	}
	if b.Len() == 0 {
		if err := write(&b); err != nil {
			return err
		}
	}
	s.believed[key] = b.Bytes()
	return nil
}

func (s *trusting) Open(ctx context.Context, key string) (store.Object, error) {
	if b, ok := s.believed[key]; ok {
		return believed{bytes.NewReader(b)}, nil
	}
	return s.Store.Open(ctx, key)
}

type believed struct{ *bytes.Reader }

func (believed) Close() error { return nil }

var errNoAnswer = errors.New("no answer")

// giveUp and stubborn together take a lost answer as failure: the same entry again, under the
// next number.
type giveUp struct{ store.Store }

func (s giveUp) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	err := s.Store.Create(ctx, key, write)
	if logKey(key) && errors.Is(err, store.ErrUnknown) {
		return errNoAnswer
	}
	return err
}

type stubborn struct{ entryLog }

func (s stubborn) Create(ctx context.Context, version int64, c *delta.Commit) error {
	err := s.entryLog.Create(ctx, version, c)
	if errors.Is(err, errNoAnswer) {
		return s.entryLog.Create(ctx, version+1, c)
	}
	return err
}

// stale keeps the first previous hash of a writer's entry when it is rebased.
type stale struct {
	entryLog
	lost map[string]any
}

func (s *stale) Create(ctx context.Context, version int64, c *delta.Commit) error {
	if s.lost != nil && s.lost["writer"] == c.Info["writer"] {
		c.Info = maps.Clone(c.Info)
		c.Info["previous"] = s.lost["previous"]
	}
	err := s.entryLog.Create(ctx, version, c)
	s.lost = nil
	if errors.Is(err, store.ErrExists) {
		s.lost = c.Info
	}
	return err
}
