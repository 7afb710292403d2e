// Package broker is the embedded Kafka broker of demo, tests and small installations: kfake, kept
// in a folder.
//
// It owns one folder: data that survive kill -9, a lock that lets one process in at a time, and the
// file broker.addr by which commands started beside it find it. It refuses a folder that another
// process serves. It is no cluster: one node, plain text, loopback only, no LogAppendTime, and
// retention by Trim alone.
//
//	b, err := broker.Start("flis-data/broker", broker.Options{})
//	defer b.Close()
//	c, err := kafka.Dial(ctx, []string{b.Addr()}, kafka.Options{})
package broker

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Options of an embedded broker. The zero value is good.
type Options struct {
	Port   int  // 0 = the port of the last start, else any free one
	NoSync bool // acknowledge before the disk has it: kill -9 still loses nothing, a power cut may
}

// ErrLocked: another process serves the folder.
var ErrLocked = errors.New("another process runs the broker of this folder")

// Broker is a running broker. Safe for concurrent use.
type Broker struct {
	cluster *kfake.Cluster
	lock    *os.File
	dir     string
	addr    string
}

// Files in the broker's folder.
const (
	lockFile  = "broker.lock"
	addrFile  = "broker.addr"
	idFile    = "cluster.id"
	dataFiles = "log"
)

const (
	// messageMax lets every raw topic's largest unit through.
	messageMax = 16 << 20
	// segmentBytes is the size in which Trim gives disk space back.
	segmentBytes = 32 << 20
)

// Start opens the folder, making it if need be, and serves it on 127.0.0.1 until Close. ErrLocked
// when another process does.
func Start(dir string, opts Options) (*Broker, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	lock, err := acquire(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("start broker in %s: %w", dir, err)
	}
	b := &Broker{lock: lock, dir: dir}
	if err := b.open(opts); err != nil {
		if b.cluster != nil {
			b.cluster.Close()
		}
		_ = lock.Close()
		return nil, fmt.Errorf("start broker in %s: %w", dir, err)
	}
	return b, nil
}

func (b *Broker) open(opts Options) error {
	id, err := clusterID(filepath.Join(b.dir, idFile))
	if err != nil {
		return err
	}
	port := opts.Port
	if port == 0 {
		port = b.lastPort()
	}
	// From here on the address is unknown: the port of the last start may be another's.
	err = os.Remove(filepath.Join(b.dir, addrFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if b.cluster, err = b.serve(id, port, opts); err != nil && opts.Port == 0 && port != 0 {
		b.cluster, err = b.serve(id, 0, opts) // the last port is taken
	}
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // kfake reads each segment whole to index it, once
	b.addr = b.cluster.ListenAddrs()[0]
	return write(filepath.Join(b.dir, addrFile), b.addr)
}

func (b *Broker) serve(id string, port int, opts Options) (*kfake.Cluster, error) {
	all := []kfake.Opt{kfake.NumBrokers(1), kfake.Ports(port), kfake.ClusterID(id),
		kfake.DataDir(filepath.Join(b.dir, dataFiles)),
		kfake.BrokerConfigs(map[string]string{
			"message.max.bytes": strconv.Itoa(messageMax),
			"log.segment.bytes": strconv.Itoa(segmentBytes),
			// A compacted topic wakes kfake's cleaner, which else removes what is a week old, of
			// every topic and of the compacted one too.
			"log.retention.ms": "-1",
		})}
	if !opts.NoSync {
		all = append(all, kfake.SyncWrites())
	}
	return kfake.NewCluster(all...)
}

func (b *Broker) lastPort() int {
	text, err := os.ReadFile(filepath.Join(b.dir, addrFile))
	if err != nil {
		return 0
	}
	_, port, err := net.SplitHostPort(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}

// Addr is "127.0.0.1:<port>".
func (b *Broker) Addr() string { return b.addr }

// Close writes the state, stops serving and lets the folder go. It may be called once.
func (b *Broker) Close() error {
	b.cluster.Close()
	if err := b.lock.Close(); err != nil {
		return fmt.Errorf("close broker in %s: %w", b.dir, err)
	}
	return nil
}

// Trim removes what lies before an offset, for partitions that the journal has long passed: it is
// the only retention here. The last batch always stays, because the end of an empty log would not
// survive a crash. Removal is by whole segments and batches: an offset inside a batch hides the
// records before it at once and frees them later.
func (b *Broker) Trim(ctx context.Context, topic string, partition int, before int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info := b.cluster.PartitionInfo(topic, int32(partition))
	if info == nil {
		return fmt.Errorf("trim %s/%d: no such partition", topic, partition)
	}
	before = min(before, info.HighWatermark-1)
	if before <= info.LogStartOffset {
		return nil
	}
	if err := b.cluster.DeleteRecords(topic, int32(partition), before); err != nil {
		return fmt.Errorf("trim %s/%d before %d: %w", topic, partition, before, err)
	}
	return nil
}

// Find gives the address of the broker that serves the folder, waiting for one that is starting;
// false when there is none. Of two commands that both find none and both start, one gets ErrLocked
// and does well to look again.
func Find(dir string) (addr string, ok bool) {
	for end := time.Now().Add(findPatience); time.Now().Before(end); time.Sleep(findPause) {
		if !locked(filepath.Join(dir, lockFile)) {
			return "", false
		}
		if addr, ok = answering(filepath.Join(dir, addrFile)); ok {
			return addr, true
		}
	}
	return "", false
}

const (
	findPatience = 5 * time.Second
	findPause    = 50 * time.Millisecond
)

// answering reads an address and says whether something answers there.
func answering(file string) (addr string, ok bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", false
	}
	addr = strings.TrimSpace(string(text))
	conn, err := net.DialTimeout("tcp", addr, findPatience)
	if err != nil {
		return "", false
	}
	_ = conn.Close()
	return addr, true
}

// clusterID reads the folder's id, or makes one: positions of one folder say nothing of another.
func clusterID(file string) (string, error) {
	id, err := os.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return strings.TrimSpace(string(id)), err
	}
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	made := base64.RawURLEncoding.EncodeToString(b[:])
	return made, write(file, made)
}

// write replaces a file whole.
func write(file, text string) error {
	if err := os.WriteFile(file+".new", []byte(text+"\n"), 0o640); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
