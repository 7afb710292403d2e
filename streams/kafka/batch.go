package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/flis-dk/flis/schemas"
)

// Layout of a record batch of magic 2: byte offsets of its fields.
const (
	atLength    = 8
	atEpoch     = 12
	atMagic     = 16
	atCRC       = 17
	atAttrs     = 21
	atLastDelta = 23
	atFirstTime = 27
	atMaxTime   = 35
	atProducer  = 43
	atCount     = 57
	headerSize  = 61
)

// Attributes of a batch.
const (
	attrCodec         = 0x07
	attrAppendTime    = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch is the header of one record batch, and its records as they came.
type batch struct {
	base, last  int64 // offsets; last counts records that compaction removed
	epoch       int32
	attrs       uint16
	first, max  int64 // milliseconds
	producer    int64
	count       int32
	payload     []byte
	total, size int // bytes in the log and in the record set; total > size when it was cut short
}

// verdict says what the next bytes of a record set are.
type verdict uint8

const (
	whole    verdict = iota
	cutShort         // the rest comes with the next fetch
	corrupt          // reason says why
)

// readBatch reads the batch at the start of set and checks its sum.
func readBatch(set []byte) (b batch, v verdict, reason string) {
	if len(set) < atMagic+1 {
		return b, cutShort, ""
	}
	n := int64(int32(binary.BigEndian.Uint32(set[atLength:])))
	if n < atMagic+1-atEpoch {
		return b, corrupt, "the batch's length is impossible"
	}
	b.total, b.size = int(n)+atEpoch, min(int(n)+atEpoch, len(set))
	b.base = int64(binary.BigEndian.Uint64(set))
	if magic := set[atMagic]; magic != 2 {
		return b, corrupt, "the batch has a record format older than magic 2 (Kafka 0.11), or is damaged"
	}
	if b.total < headerSize {
		return b, corrupt, "the batch's length is impossible"
	}
	if b.total > len(set) {
		return b, cutShort, ""
	}
	set = set[:b.total:b.total]
	if crc32.Checksum(set[atAttrs:], castagnoli) != binary.BigEndian.Uint32(set[atCRC:]) {
		return b, corrupt, "the batch's checksum (CRC-32C) is wrong"
	}
	b.epoch = int32(binary.BigEndian.Uint32(set[atEpoch:]))
	b.attrs = binary.BigEndian.Uint16(set[atAttrs:])
	b.first = int64(binary.BigEndian.Uint64(set[atFirstTime:]))
	b.max = int64(binary.BigEndian.Uint64(set[atMaxTime:]))
	b.producer = int64(binary.BigEndian.Uint64(set[atProducer:]))
	b.count = int32(binary.BigEndian.Uint32(set[atCount:]))
	b.payload = set[headerSize:]
	delta := int32(binary.BigEndian.Uint32(set[atLastDelta:]))
	if delta < 0 || b.base < 0 || b.base > math.MaxInt64-1-int64(delta) {
		return b, corrupt, "the batch's offsets are impossible"
	}
	b.last = b.base + int64(delta)
	return b, whole, ""
}

// abortMarker says whether a control batch ends a transaction by aborting it.
func (b *batch) abortMarker() bool {
	p := payload{rest: b.payload}
	n, ok := p.varint()
	if !ok || n < 1 || n > int64(len(p.rest)) {
		return false
	}
	p.rest = p.rest[1:] // attributes
	p.varint()          // timestamp
	p.varint()          // offset
	size, ok := p.varint()
	return ok && size == 4 && len(p.rest) >= 4 && binary.BigEndian.Uint16(p.rest[2:]) == 0
}

// at is the time of a record: the broker's where the batch is stamped at append, else the
// producer's.
func (b *batch) at(delta int64) schemas.Instant {
	ms := b.first + delta
	if b.attrs&attrAppendTime != 0 {
		ms = b.max
	}
	const most = math.MaxInt64 / 1000
	return schemas.Instant(max(-most, min(most, ms)) * 1000)
}
