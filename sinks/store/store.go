// Package store is object storage: the one place that knows how bytes become durable.
//
// It owns atomic creation (put-if-absent) and nothing else: no retries, no formats. Every
// implementation passes storetest.Conformance, which races writers for one key. Keys are
// slash-separated, relative, of plain ASCII letters, digits and "._=-"; a key is never reused for
// other bytes, but for Replace.
package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors that callers decide on; compare with errors.Is.
var (
	// ErrNotFound: no object has the key.
	ErrNotFound = errors.New("object not found")
	// ErrExists: Create lost; an object with the key was there before.
	ErrExists = errors.New("object exists")
	// ErrUnknown: the request may or may not have taken effect; read back to learn which.
	ErrUnknown = errors.New("outcome unknown")
)

// Store keeps objects. All methods may be called concurrently, from any number of processes. Five
// methods: Replace is there for the two hints that are overwritten (_last_checkpoint, broker
// address); nothing that matters is written by it.
type Store interface {
	// Open gives random access to an object; ErrNotFound if there is none. The caller closes it.
	Open(ctx context.Context, key string) (Object, error)
	// Create makes the object if the key is free: all of it, durable, or nothing. ErrExists when it
	// is not free, ErrUnknown when the answer was lost. write is called once, before the key is
	// claimed; its error is returned and nothing is left.
	Create(ctx context.Context, key string, write func(io.Writer) error) error
	// Replace overwrites or makes the object atomically.
	Replace(ctx context.Context, key string, data []byte) error
	// List yields the objects whose key begins with prefix and is greater than after, in order of
	// key.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
	// Delete removes the object; no error when there is none.
	Delete(ctx context.Context, key string) error
}

// Object is an open object.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Info describes an object.
type Info struct {
	Key      string
	Size     int64
	Modified time.Time
}
