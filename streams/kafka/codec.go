package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// The compression codecs of a batch's attributes.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

const (
	// windowMax lets every zstd level through (level 22 asks for 128 MiB); a larger window is
	// refused.
	windowMax = 128 << 20
	// blockMax bounds one snappy block, which has to be decoded in one piece.
	blockMax = 64 << 20
)

var errTooLarge = errors.New("decodes to more than the budget")

// codecs holds one decompressor of each kind, used again for each batch: one batch is open at a
// time.
type codecs struct {
	zstd   *zstd.Decoder
	lz4    *lz4.Reader
	gzip   *gzip.Reader
	snappy *snappyReader
	window []byte
}

// open gives a stream of the decoded payload; nil for a payload that is not compressed. The stream
// of the call before is no longer valid.
func (c *codecs) open(codec uint16, payload []byte) (io.Reader, error) {
	switch in := bytes.NewReader(payload); codec {
	case codecNone:
		return nil, nil
	case codecGzip:
		return c.openGzip(in)
	case codecSnappy:
		if c.snappy == nil {
			c.snappy = new(snappyReader)
		}
		return c.snappy, c.snappy.reset(payload)
	case codecLZ4:
		if c.lz4 == nil {
			c.lz4 = lz4.NewReader(in)
		}
		c.lz4.Reset(in)
		return c.lz4, nil
	case codecZstd:
		return c.openZstd(in)
	}
	return nil, fmt.Errorf("compression codec %d is not known", codec)
}

func (c *codecs) openGzip(in io.Reader) (_ io.Reader, err error) {
	if c.gzip == nil {
		c.gzip = new(gzip.Reader)
	}
	return c.gzip, c.gzip.Reset(in)
}

func (c *codecs) openZstd(in io.Reader) (_ io.Reader, err error) {
	if c.zstd == nil {
		// Below(0): a small input would be decoded whole, however large it becomes.
		c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecodeBuffersBelow(0), zstd.WithDecoderMaxWindow(windowMax))
		if err != nil {
			return nil, err
		}
	}
	return c.zstd, c.zstd.Reset(in)
}

// xerial is the header of the framing that Java clients put around snappy blocks: magic, version,
// least version.
const (
	xerialMagic  = "\x82SNAPPY\x00"
	xerialHeader = len(xerialMagic) + 8
)

// snappyReader decodes snappy in either form in use: bare (librdkafka), or blocks in xerial
// framing.
type snappyReader struct {
	in     []byte
	framed bool
	out    []byte // decoded, not yet read
	buf    []byte
}

func (s *snappyReader) reset(in []byte) error {
	s.in, s.out, s.framed = in, nil, false
	if bytes.HasPrefix(in, []byte(xerialMagic)) {
		if len(in) < xerialHeader {
			return io.ErrUnexpectedEOF
		}
		s.in, s.framed = in[xerialHeader:], true
	}
	return nil
}

// Read gives decoded bytes, block by block.
func (s *snappyReader) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if len(s.in) == 0 {
			return 0, io.EOF
		}
		if err := s.block(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

func (s *snappyReader) block() error {
	block := s.in
	s.in = nil
	if s.framed {
		if len(block) < 4 {
			return io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(block)
		if block = block[4:]; uint64(n) > uint64(len(block)) {
			return io.ErrUnexpectedEOF
		}
		block, s.in = block[:n], block[n:]
	}
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return err
	}
	// Snappy's best copy makes 64 bytes of 3: a block that claims more than 32 for 1 is damaged.
	if n > 32*len(block) {
		return snappy.ErrCorrupt
	}
	if n > blockMax {
		return errTooLarge
	}
	s.out, err = snappy.Decode(s.buf[:cap(s.buf)], block)
	if len(s.out) <= 1<<20 {
		s.buf = s.out
	}
	return err
}
