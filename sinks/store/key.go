package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// tmp is the folder of unfinished objects below a Local root; no key may begin with it.
const tmp = "_tmp"

// keyMax is the longest key, in bytes: S3's limit is 1024, and a bucket prefix must fit too.
const keyMax = 900

// ErrKey: the key breaks the rules of the package doc; nothing was read or written.
var ErrKey = errors.New("bad key")

// CheckKey says what is wrong with a key. Every implementation calls it before it touches anything,
// so that a key made from a name out of data can never leave the root.
func CheckKey(key string) error {
	if key == "" || len(key) > keyMax {
		return fmt.Errorf("%w: length %d, want 1 to %d", ErrKey, len(key), keyMax)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%w: an empty part, a dot or two dots", ErrKey)
		}
	}
	if strings.IndexFunc(key, notPlain) >= 0 {
		return fmt.Errorf("%w: want ASCII letters, digits and ._=-/ only", ErrKey)
	}
	if key == tmp || strings.HasPrefix(key, tmp+"/") {
		return fmt.Errorf("%w: %s is the store's own", ErrKey, tmp)
	}
	return nil
}

func notPlain(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("._=-/", r)
}

// CreateBytes is Create of bytes that are at hand.
func CreateBytes(ctx context.Context, st Store, key string, b []byte) error {
	return st.Create(ctx, key, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// ReadAll reads a whole object; for objects that are small by their nature. See ReadLimit for
// others.
func ReadAll(ctx context.Context, st Store, key string) ([]byte, error) {
	return ReadLimit(ctx, st, key, 1<<30)
}

// ReadLimit reads a whole object and refuses, before it reads a byte, one that is larger than limit
// bytes.
func ReadLimit(ctx context.Context, st Store, key string, limit int64) (b []byte, err error) {
	o, err := st.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if o.Size() > limit {
		return nil, fmt.Errorf("read %s: %d bytes, limit %d", key, o.Size(), limit)
	}
	var buf bytes.Buffer
	buf.Grow(int(o.Size()))
	if _, err := io.Copy(&buf, io.NewSectionReader(o, 0, o.Size())); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if int64(buf.Len()) != o.Size() {
		return nil, fmt.Errorf(
			"read %s: %d bytes of %d: %w",
			key,
			buf.Len(),
			o.Size(),
			io.ErrUnexpectedEOF,
		)
	}
	return buf.Bytes(), nil
}
