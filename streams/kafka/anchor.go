package kafka

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// AnchorOf is the hash by which a record is known again: SHA-256, in hex, over offset, time, marks,
// key, value and headers. Every number is 8 bytes, big-endian; each byte string comes after its
// length, -1 for null.
func AnchorOf(r Record) string {
	e := &encoder{}
	e.int64(r.Offset)
	e.int64(int64(r.Time))
	e.int64(marks(r))
	for _, b := range [][]byte{r.Key, r.Value} {
		framed(e, b)
	}
	e.int64(int64(len(r.Headers)))
	for _, h := range r.Headers {
		framed(e, append([]byte{}, h.Name...))
		framed(e, h.Value)
	}
	sum := sha256.Sum256(e.b)
	return hex.EncodeToString(sum[:])
}

func marks(r Record) (m int64) {
	if r.Oversized {
		m |= 1
	}
	if r.Malformed {
		m |= 2
	}
	return m
}

func framed(e *encoder, b []byte) {
	if b == nil {
		e.int64(-1)
		return
	}
	e.int64(int64(len(b)))
	e.raw(b)
}

// ReadAt reads the one record at an offset; it is the caller's to keep. ErrNoRecord where the
// offset holds none, *HoleError below the log's start, *ShrunkError beyond its end.
//
// An anchor names the offset of the last real record, not next-1: what lies between may be control
// records, aborted or compacted ones.
func (c *Client) ReadAt(ctx context.Context, topic string, partition int, offset int64) (Record,
	error) {
	first, next, err := c.Bounds(ctx, topic, partition)
	switch {
	case err != nil:
		return Record{}, err
	case offset < first:
		return Record{}, &HoleError{Topic: topic, Partition: partition, Asked: offset, LogStart: first}
	case offset >= next:
		return Record{}, &ShrunkError{Topic: topic, Partition: partition, Asked: offset, End: next}
	}
	f := NewFetcher(c, []Assignment{{Topic: topic, Partition: partition, Next: offset}},
		FetchOptions{MaxBytes: 1 << 20})
	for {
		chunks, err := f.Poll(ctx)
		if err != nil {
			return Record{}, err
		}
		for _, ch := range chunks {
			if r, done, err := pick(&ch, offset); done {
				return r, err
			}
		}
	}
}

// pick finds the record in a chunk; done when the chunk settles whether there is one.
func pick(ch *Chunk, offset int64) (r Record, done bool, err error) {
	switch {
	case ch.Err != nil:
		return r, true, ch.Err
	case len(ch.Records) > 0 && ch.Records[0].Offset == offset:
		return clone(ch.Records[0]), true, nil
	case ch.Next > offset:
		return r, true, fmt.Errorf("read %s/%d at offset %d: %w", ch.Topic, ch.Partition, offset,
			ErrNoRecord)
	}
	return r, false, nil
}

func clone(r Record) Record {
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	r.Headers = slices.Clone(r.Headers)
	for i := range r.Headers {
		r.Headers[i].Value = bytes.Clone(r.Headers[i].Value)
	}
	return r
}
