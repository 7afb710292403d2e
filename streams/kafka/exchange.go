package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
)

// API keys that are written and read here.
const (
	keyFetch       protocol.ApiKey = 1
	keyMetadata    protocol.ApiKey = 3
	keyAPIVersions protocol.ApiKey = 18
)

// answerMax caps an answer whose size is not bounded by what was asked for.
const answerMax = 64 << 20

// exchange is one request written and read here: kafka-go lends the connection and nothing else. It
// keeps to protocol.RawExchanger, so that no message type of the process is replaced.
type exchange struct {
	key      protocol.ApiKey
	version  int16
	flex     bool
	clientID string
	body     []byte
	limit    int    // bytes of an answer
	buf      []byte // reused for the answer when it is large enough
}

// reply is the answer's body behind its header.
type reply struct {
	key  protocol.ApiKey
	body []byte // aliases buf
	buf  []byte
}

// ApiKey is the request's key.
func (x *exchange) ApiKey() protocol.ApiKey { return x.key }

// Required is always true: see exchange.
func (x *exchange) Required(map[protocol.ApiKey]int16) bool { return true }

// ApiKey is the key of the request that was answered.
func (r *reply) ApiKey() protocol.ApiKey { return r.key }

// RawExchange writes the request and reads its answer. An error closes the connection.
func (x *exchange) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(x.request()); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(size[:])))
	if n < 4 || n > x.limit {
		return nil, fmt.Errorf("read answer to %s: %d bytes where at most %d are expected", x.key, n,
			x.limit)
	}
	buf := x.buf
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(rw, buf); err != nil {
		return nil, err
	}
	d := &decoder{b: buf, flex: x.flex}
	if d.int32() != correlation {
		return nil, fmt.Errorf("read answer to %s: it answers another request", x.key)
	}
	d.tags()
	if d.bad {
		return nil, errShort
	}
	return &reply{key: x.key, body: d.b, buf: buf}, nil
}

// correlation is one number for all requests: a connection carries one at a time.
const correlation = 1

var errShort = errors.New("the answer is shorter than its fields")

func (x *exchange) request() []byte {
	e := &encoder{b: make([]byte, 4, 64+len(x.body))}
	e.int16(int16(x.key))
	e.int16(x.version)
	e.int32(correlation)
	e.str(x.clientID)
	e.flex = x.flex
	e.tags()
	e.raw(x.body)
	binary.BigEndian.PutUint32(e.b, uint32(len(e.b)-4))
	return e.b
}

// routed is an exchange for one broker: the leader of a partition.
type routed struct {
	*exchange
	broker int32
}

// Broker names the broker that the request goes to.
func (r *routed) Broker(protocol.Cluster) (protocol.Broker, error) {
	return protocol.Broker{ID: r.broker}, nil
}
