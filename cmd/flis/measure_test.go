package main_test

import (
	enc "encoding/binary"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/scenario"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/streams/kafka"
)

// TestMeasureReload publishes FLIS_MEASURE vendor events to the real broker, takes them into the
// journal and closes them, each on one core and in a process of its own, and prints what it took.
// It measures; it judges only that nothing is lost. make measure runs it.
func TestMeasureReload(t *testing.T) {
	t.Parallel()
	n, err := strconv.Atoi(os.Getenv("FLIS_MEASURE"))
	if err != nil {
		t.Skip("measuring takes minutes: set FLIS_MEASURE to a number of events, and FLIS_KAFKA")
	}
	dir, _ := story(t, realBroker(t), scenario.OnlyOld)
	out := mustFlis(t, "normalise", "--once", "--dir", dir) // makes the topics
	require.NotContains(
		t,
		out,
		"normalised kmd-nexus",
		"the close would count others' events: use a new broker",
	)
	publishGrants(t, n)
	report(t, "normalise", n, timed(t, "normalise", "--once", "--dir", dir))
	report(t, "close", n, timed(t, "close", "--once", "--dir", dir))
	out = mustFlis(t, "status", "--dir", dir)
	require.Contains(t, out, "system     kmd-nexus")
	t.Log(out)
}

// publishGrants sends grants of five a citizen in the three municipalities that have kmd-nexus.
func publishGrants(t *testing.T, n int) {
	t.Helper()
	text, err := schemas.Builtin.ReadFile("systems/kmd-nexus/grant.avsc")
	require.NoError(t, err)
	sc, err := avro.Admit(string(text))
	require.NoError(t, err)
	c, err := kafka.Dial(t.Context(), []string{realBroker(t)}, kafka.Options{})
	require.NoError(t, err)
	defer c.Close()
	p := kafka.NewProducer(c)
	load := scenario.Reload{Run: time.Now().UnixNano(), Encode: func(json []byte) ([]byte, error) {
		body, err := avro.EncodeJSON(sc, json)
		return append(enc.BigEndian.AppendUint32([]byte{0}, sc.ID()), body...), err
	}}
	var batch []kafka.Message
	for i := range n {
		m, err := load.Message(i)
		require.NoError(t, err)
		k := kafka.Message{Topic: m.Topic, Key: m.Key, Value: m.Value}
		for _, h := range m.Headers {
			k.Headers = append(k.Headers, kafka.Header{Name: h.Name, Value: h.Value})
		}
		if batch = append(batch, k); len(batch) == 20_000 || i == n-1 {
			require.NoError(t, p.Send(t.Context(), batch))
			batch = batch[:0]
		}
	}
}

// usage is what a process took.
type usage struct {
	wall, cpu time.Duration
	rss       int64 // bytes, at most
}

// timed runs the program on one core.
func timed(t *testing.T, args ...string) usage {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), path, args...)
	c.Env = append(plainEnv(), "GOMAXPROCS=1")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	began := time.Now()
	require.NoError(t, c.Run())
	u := c.ProcessState.SysUsage().(*syscall.Rusage)
	return usage{
		time.Since(began),
		c.ProcessState.UserTime() + c.ProcessState.SystemTime(),
		u.Maxrss << 10,
	}
}

func report(t *testing.T, what string, n int, u usage) {
	t.Helper()
	t.Logf(
		"%-10s %d events: %.1f s wall, %.1f s cpu, %.0f events/s wall, %.0f events per cpu-second, %d MiB at most",
		what,
		n,
		u.wall.Seconds(),
		u.cpu.Seconds(),
		float64(n)/u.wall.Seconds(),
		float64(n)/u.cpu.Seconds(),
		u.rss>>20,
	)
}
