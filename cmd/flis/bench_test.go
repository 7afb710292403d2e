package main

import (
	"context"
	enc "encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/scenario"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/transforms"
)

// benchEvents is large enough that several journal entries are made.
const benchEvents = 200_000

const benchSystem schemas.System = "kmd-nexus"

// replayed is a source that has its records in memory: what is measured begins behind the broker.
type replayed struct {
	chunks []streams.Chunk
	at     int
}

func (s *replayed) Seek(context.Context, map[schemas.Stream]streams.Position) error {
	s.at = 0
	return nil
}

func (s *replayed) Poll(context.Context) ([]streams.Chunk, error) {
	s.at++
	return s.chunks[s.at-1 : s.at], nil
}

func (s *replayed) Done() bool { return s.at == len(s.chunks) }

// benchChunks are vendor events as a fetch gives them.
func benchChunks(b *testing.B, n int) []streams.Chunk {
	text, err := schemas.Builtin.ReadFile("systems/kmd-nexus/grant.avsc")
	require.NoError(b, err)
	sc, err := avro.Admit(string(text))
	require.NoError(b, err)
	load := scenario.Reload{Run: time.Now().UnixNano(), Encode: func(json []byte) ([]byte, error) {
		body, err := avro.EncodeJSON(sc, json)
		return append(enc.BigEndian.AppendUint32([]byte{0}, sc.ID()), body...), err
	}}
	stream := schemas.NewStream("c", scenario.GrantTopic, 0)
	const each = 4000
	var all []streams.Chunk
	for from := 0; from < n; from += each {
		c := streams.Chunk{Stream: stream}
		for i := from; i < min(from+each, n); i++ {
			m, err := load.Message(i)
			require.NoError(b, err)
			c.Items = append(
				c.Items,
				streams.Item{Record: transforms.Record{Stream: stream, Offset: int64(i),
					Arrived: m.Time, Topic: m.Topic, Key: m.Key, Value: m.Value, Headers: m.Headers}},
			)
			c.After.Next = int64(i) + 1
		}
		all = append(all, c)
	}
	return all
}

// benchInstallation is a new one with the story's agreements.
func benchInstallation(b *testing.B) *installation {
	dir := b.TempDir()
	story := scenario.Play(schemas.DayOf(time.Now())-scenario.Days+1, scenario.OnlyOld)
	cfg := &config{Dir: dir, Agreements: filepath.Join(dir, "aftaler.yaml")}
	require.NoError(b, os.WriteFile(cfg.Agreements, []byte(story.Agreements), 0o600))
	c := &cobra.Command{}
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	in, err := newInstallation(c, cfg, time.Now)
	require.NoError(b, err)
	return in
}

func (in *installation) benchNormalise(b *testing.B, chunks []streams.Chunk) {
	journal, err := sinks.OpenJournal(b.Context(), in.internal, benchSystem)
	require.NoError(b, err)
	n := &streams.Normaliser{System: benchSystem, Source: &replayed{chunks: chunks},
		Sink:  journalSink{journal: journal, writer: writerID()},
		Judge: in.catalog.Judge, Park: in.catalog.Park, Clock: in.clock}
	require.NoError(b, n.Run(b.Context(), true))
}

func (in *installation) benchClose(b *testing.B) {
	closer, err := in.newCloser()
	require.NoError(b, err)
	report, err := closer.Round(b.Context(), in.clock(), nil)
	require.NoError(b, err)
	require.Empty(b, report.Failed)
	require.NotEmpty(b, report.Closed)
}

// BenchmarkNormalise is records → judge → journal entries on disk.
func BenchmarkNormalise(b *testing.B) {
	benchPath(b, true, false)
}

// BenchmarkClose is journal → tables and certificates on disk.
func BenchmarkClose(b *testing.B) {
	benchPath(b, false, true)
}

// BenchmarkEndToEnd is the whole path behind the broker.
func BenchmarkEndToEnd(b *testing.B) {
	benchPath(b, true, true)
}

func benchPath(b *testing.B, normalise, closes bool) {
	chunks := benchChunks(b, benchEvents)
	var cpu time.Duration
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		in := benchInstallation(b)
		if !normalise {
			in.benchNormalise(b, chunks)
		}
		runtime.GC() // what was prepared is not measured
		began := cpuTime(b)
		b.StartTimer()
		if normalise {
			in.benchNormalise(b, chunks)
		}
		if closes {
			in.benchClose(b)
		}
		cpu += cpuTime(b) - began
	}
	n := float64(benchEvents * b.N)
	b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(n/cpu.Seconds(), "events/cpu-s")
}

// cpuTime is what the process has taken: on a machine that is shared it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
