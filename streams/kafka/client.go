package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Options of a client. The zero value is good.
type Options struct {
	ClientID string        // "flis" unless said
	TLS      *tls.Config   // nil = plain text
	Patience time.Duration // how long a broker may be away before a call gives up; 30 s unless said
}

// Client is a connection to one cluster. Safe for concurrent use.
type Client struct {
	brokers   []string
	addr      net.Addr
	opts      Options
	transport *kafkago.Transport
	client    *kafkago.Client
	versions  map[protocol.ApiKey]int16 // greatest that the cluster speaks
	clusterID string
}

const (
	// metadataTTL keeps kafka-go's picture of the cluster fresh: it serves leaders from a cache.
	metadataTTL = time.Second
	// attemptMax is the time that one attempt at a request may take.
	attemptMax = 10 * time.Second
	// pauseLeast and pauseMost bound the pause between attempts; it doubles.
	pauseLeast = 20 * time.Millisecond
	pauseMost  = time.Second
)

// Dial connects to a cluster through any of its brokers ("host:port"). ErrUnreachable when none
// answers.
func Dial(ctx context.Context, brokers []string, opts Options) (*Client, error) {
	if len(brokers) == 0 {
		return nil, errors.New("dial kafka: no broker is named")
	}
	if opts.ClientID == "" {
		opts.ClientID = "flis"
	}
	if opts.Patience <= 0 {
		opts.Patience = 30 * time.Second
	}
	t := &kafkago.Transport{ClientID: opts.ClientID, TLS: opts.TLS, MetadataTTL: metadataTTL}
	addr := kafkago.TCP(brokers...)
	c := &Client{brokers: brokers, addr: addr, opts: opts, transport: t,
		client: &kafkago.Client{Addr: addr, Transport: t}}
	err := c.persist(ctx, "dial kafka", func(ctx context.Context) (err error) {
		if c.versions, err = c.apiVersions(ctx); err == nil {
			c.clusterID, err = c.askClusterID(ctx)
		}
		return err
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close drops the connections. Calls under way end as they would.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// ClusterID names the cluster; data of one cluster says nothing of positions in another.
func (c *Client) ClusterID() string { return c.clusterID }

// Brokers are the addresses that the client was given.
func (c *Client) Brokers() []string { return c.brokers }

// apiVersions asks what the broker speaks: kafka-go keeps that to itself and stops at versions of
// its own.
func (c *Client) apiVersions(ctx context.Context) (map[protocol.ApiKey]int16, error) {
	body, err := c.ask(ctx, &exchange{key: keyAPIVersions, limit: answerMax})
	if err != nil {
		return nil, err
	}
	d := &decoder{b: body}
	if err := errorOf(d.int16()); err != nil {
		return nil, err
	}
	versions := map[protocol.ApiKey]int16{}
	for range d.array() {
		key := protocol.ApiKey(d.int16())
		d.int16() // least
		versions[key] = d.int16()
	}
	if d.bad {
		return nil, errShort
	}
	return versions, nil
}

func (c *Client) askClusterID(ctx context.Context) (string, error) {
	m, err := c.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{}})
	if err != nil {
		return "", err
	}
	return m.ClusterID, nil
}

// ask sends a request to any broker.
func (c *Client) ask(ctx context.Context, x *exchange) ([]byte, error) {
	x.clientID = c.opts.ClientID
	m, err := c.transport.RoundTrip(ctx, c.addr, x)
	if err != nil {
		return nil, err
	}
	return m.(*reply).body, nil
}

// persist tries op until it succeeds, fails for good, or patience ends. Each attempt has its own
// time limit.
func (c *Client) persist(ctx context.Context, what string, op func(context.Context) error) error {
	end := time.Now().Add(c.opts.Patience)
	for pause := pauseLeast; ; pause = min(2*pause, pauseMost) {
		attempt, cancel := context.WithTimeout(ctx, attemptMax)
		err := op(attempt)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		case !temporary(err):
			return fmt.Errorf("%s: %w", what, err)
		case time.Now().Add(pause).After(end):
			return fmt.Errorf("%s: %w", what, c.gaveUp(err))
		}
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// gaveUp says in one line that patience has ended.
func (c *Client) gaveUp(err error) error {
	if disconnected(err) {
		return fmt.Errorf("%w at %s for %s: %w", ErrUnreachable, strings.Join(c.brokers, ","),
			c.opts.Patience, err)
	}
	return fmt.Errorf("%w after %s: %w", ErrGaveUp, c.opts.Patience, err)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
