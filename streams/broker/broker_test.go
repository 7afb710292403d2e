package broker

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const topic = "raw.test.event.v1"

// childDir, set, makes the test binary a process that serves that folder and produces until it is
// killed.
const childDir = "FLIS_BROKER_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// child prints its address, and then the number of each record that was acknowledged.
func child(dir string) {
	b, err := Start(dir, Options{NoSync: true})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	from, err := strconv.Atoi(os.Getenv("FROM"))
	if err != nil {
		panic(err)
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintln(out, b.Addr())
	for i := from; ; i += 10 {
		if err := produce(b.Addr(), i, 10); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Fprintln(out, i+9)
		_ = out.Flush()
	}
}

// produce writes n records with the values from, from+1 …, in one batch.
func produce(addr string, from, n int) error {
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, &kgo.Record{Topic: topic, Value: fmt.Append(nil, from+i)})
	}
	return produceRecords(addr, rs)
}

func produceRecords(addr string, rs []*kgo.Record) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(messageMax))
	if err != nil {
		return err
	}
	defer c.Close()
	return c.ProduceSync(context.Background(), rs...).FirstErr()
}

// readAll gives the values of the topic from an offset on, and where the log starts.
func readAll(t *testing.T, b *Broker, from int64) (values []string, first int64) {
	info := b.cluster.PartitionInfo(topic, 0)
	first = info.LogStartOffset
	at := max(first, from)
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumePartitions(
		map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(at)}}))
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for at < info.HighWatermark {
		fs := c.PollFetches(ctx)
		require.NoError(t, fs.Err())
		for _, r := range fs.Records() {
			require.Equal(t, at, r.Offset)
			values = append(values, string(r.Value))
			at++
		}
	}
	return values, first
}

func start(t *testing.T, dir string) *Broker {
	b, err := Start(dir, Options{})
	require.NoError(t, err)
	return b
}

func TestKeepsRecordsAddressAndID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "broker")
	b := start(t, dir)
	addr, id := b.Addr(), clusterOf(t, b)
	require.NoError(t, b.cluster.CreateTopic(topic, 1, nil))
	require.NoError(t, produce(addr, 0, 10))
	require.NoError(t, b.Close())
	b = start(t, dir)
	defer b.Close()
	require.Equal(t, addr, b.Addr())
	require.Equal(t, id, clusterOf(t, b))
	values, _ := readAll(t, b, 0)
	require.Len(t, values, 10)
	other := start(t, filepath.Join(t.TempDir(), "other"))
	defer other.Close()
	require.NotEqual(t, id, clusterOf(t, other), "another folder is another cluster")
}

func clusterOf(t *testing.T, b *Broker) string {
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	require.NoError(t, err)
	defer c.Close()
	m, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), c)
	require.NoError(t, err)
	return *m.ClusterID
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir)
	_, err := Start(dir, Options{})
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, dir)
	require.NoError(t, b.Close())
	b = start(t, dir)
	require.NoError(t, b.Close())
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	_, ok := Find(dir)
	require.False(t, ok)
	b := start(t, dir)
	addr, ok := Find(dir)
	require.True(t, ok)
	require.Equal(t, b.Addr(), addr)
	require.NoError(t, b.Close())
	ln, err := net.Listen("tcp", addr) // the port is another's now
	require.NoError(t, err)
	defer ln.Close()
	_, ok = Find(dir)
	require.False(t, ok)
	lock, err := acquire(filepath.Join(dir, lockFile)) // another process is starting
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, addrFile)))
	go func() {
		time.Sleep(300 * time.Millisecond)
		_ = write(filepath.Join(dir, addrFile), addr)
	}()
	_, ok = Find(dir)
	require.True(t, ok, "it is waited for")
	require.NoError(t, lock.Close())
	b = start(t, dir)
	defer b.Close()
	require.NotEqual(t, addr, b.Addr(), "the last port was taken")
	found, ok := Find(dir)
	require.True(t, ok)
	require.Equal(t, b.Addr(), found)
}

func TestStartRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := Start(file, Options{})
	require.Error(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	dir := t.TempDir()
	_, err = Start(dir, Options{Port: ln.Addr().(*net.TCPAddr).Port})
	require.ErrorContains(t, err, "address already in use")
	b := start(t, dir) // the lock was let go
	require.NoError(t, b.Close())
}

// TestKillLosesNothingAcknowledged kills a process that serves and produces, several times over.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir)
	require.NoError(t, b.cluster.CreateTopic(topic, 1, nil))
	require.NoError(t, b.Close())
	next := 0
	for round := range 4 {
		acked := runAndKill(t, dir, next, 50+37*round)
		b := start(t, dir)
		values, first := readAll(t, b, 0)
		require.Zero(t, first)
		require.Greater(t, len(values), acked)
		require.LessOrEqual(t, len(values), acked+1+10, "one batch at most is there and not acknowledged")
		for i, v := range values {
			require.Equal(t, strconv.Itoa(i), v)
		}
		next = len(values)
		require.NoError(t, b.Close())
	}
}

// runAndKill gives the number of the last acknowledged record.
func runAndKill(t *testing.T, dir string, from, batches int) (acked int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, "FROM="+strconv.Itoa(from))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.True(t, strings.HasPrefix(lines.Text(), "127.0.0.1:"), lines.Text())
	for i := 0; lines.Scan(); i++ {
		acked, err = strconv.Atoi(lines.Text())
		require.NoError(t, err)
		if i == batches {
			require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
		}
	}
	_ = cmd.Wait()
	return acked
}

func TestTrim(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir)
	require.NoError(t, b.cluster.CreateTopic(topic, 1, nil))
	for i := range 10 {
		require.NoError(t, produce(b.Addr(), i*10, 10))
	}
	require.NoError(t, b.Trim(t.Context(), topic, 0, 35))
	values, first := readAll(t, b, 35)
	require.Equal(t, int64(35), first)
	require.Equal(t, "35", values[0])
	require.NoError(t, b.Trim(t.Context(), topic, 0, 20), "already gone")
	require.NoError(t, b.Trim(t.Context(), topic, 0, 1000), "beyond the end: all but the last batch")
	_, first = readAll(t, b, 0)
	require.Equal(t, int64(99), first)
	require.Error(t, b.Trim(t.Context(), topic, 1, 5))
	require.Error(t, b.Trim(t.Context(), "no-such-topic", 0, 5))
	require.NoError(t, b.Close())
	b = start(t, dir)
	defer b.Close()
	values, _ = readAll(t, b, 90)
	require.Equal(t, "99", values[len(values)-1], "offsets go on where they were")
	require.NoError(t, produce(b.Addr(), 100, 1))
	values, _ = readAll(t, b, 100)
	require.Equal(t, []string{"100"}, values)
}

// TestTrimThenKill: a trimmed log that crashed goes on at its old offsets.
func TestTrimThenKill(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir)
	require.NoError(t, b.cluster.CreateTopic(topic, 1, nil))
	require.NoError(t, produce(b.Addr(), 0, 10))
	require.NoError(t, produce(b.Addr(), 10, 10))
	require.NoError(t, b.Trim(t.Context(), topic, 0, 20))
	crashed := t.TempDir()
	require.NoError(t, os.CopyFS(crashed, os.DirFS(dir))) // what a crash at this moment leaves
	require.NoError(t, b.Close())
	b = start(t, crashed)
	defer b.Close()
	require.NoError(t, produce(b.Addr(), 20, 1))
	values, _ := readAll(t, b, 20)
	require.Equal(t, []string{"20"}, values)
}

// TestTrimFreesDisk: what the journal has passed does not fill the disk.
func TestTrimFreesDisk(t *testing.T) {
	dir := t.TempDir()
	b, err := Start(dir, Options{NoSync: true})
	require.NoError(t, err)
	defer b.Close()
	require.NoError(t, b.cluster.CreateTopic(topic, 1, nil))
	const units, size = 9, 8 << 20
	for range units {
		require.NoError(t, produceRecords(b.Addr(), []*kgo.Record{{Topic: topic, Value: noise(size)}}))
	}
	require.Greater(t, sizeOf(t, dir), int64(units*size))
	require.NoError(t, b.Trim(t.Context(), topic, 0, units))
	require.Less(t, sizeOf(t, dir), int64(units*size/2))
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func sizeOf(t *testing.T, dir string) (n int64) {
	require.NoError(t, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		n += info.Size()
		return err
	}))
	return n
}
