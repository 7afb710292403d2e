package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
)

// Sub is the part of a store whose keys begin with "<prefix>/", as a store of its own: who has it
// cannot name a key outside. Prefix is a key itself.
func Sub(st Store, prefix string) Store { return &sub{st, prefix + "/"} }

type sub struct {
	whole  Store
	prefix string
}

// Open implements Store.
func (s *sub) Open(ctx context.Context, key string) (Object, error) {
	if err := errors.Join(ctx.Err(), CheckKey(key)); err != nil {
		return nil, err
	}
	return s.whole.Open(ctx, s.prefix+key)
}

// Create implements Store.
func (s *sub) Create(ctx context.Context, key string, write func(io.Writer) error) error {
	if err := errors.Join(ctx.Err(), CheckKey(key)); err != nil {
		return err
	}
	return s.whole.Create(ctx, s.prefix+key, write)
}

// Replace implements Store.
func (s *sub) Replace(ctx context.Context, key string, data []byte) error {
	if err := errors.Join(ctx.Err(), CheckKey(key)); err != nil {
		return err
	}
	return s.whole.Replace(ctx, s.prefix+key, data)
}

// Delete implements Store.
func (s *sub) Delete(ctx context.Context, key string) error {
	if err := errors.Join(ctx.Err(), CheckKey(key)); err != nil {
		return err
	}
	return s.whole.Delete(ctx, s.prefix+key)
}

// List implements Store.
func (s *sub) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	if after != "" {
		after = s.prefix + after
	}
	return func(yield func(Info, error) bool) {
		for info, err := range s.whole.List(ctx, s.prefix+prefix, after) {
			info.Key = strings.TrimPrefix(info.Key, s.prefix)
			if !yield(info, err) {
				return
			}
		}
	}
}
