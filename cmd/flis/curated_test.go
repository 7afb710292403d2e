package main_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/scenario"
	"github.com/flis-dk/flis/schemas"
)

// followedUnits are those that the tests subscribe to.
var followedUnits = []schemas.Unit{{Kommune: "0101", Area: "borger"},
	{Kommune: "0751", Area: "aeldre"}}

const subscriptions = `abonnementer:
  - {kommune: "0101", omraade: borger}
  - {kommune: "0751", omraade: aeldre}
`

func subscribe(t *testing.T, dir string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "flis.yaml"), os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = f.WriteString(subscriptions)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// caughtUp lets a copy catch up and compares it with the tables: as the program does, and row by
// row with what flis show prints.
func caughtUp(t *testing.T, dir, copies string, u schemas.Unit, datasets []string, more ...string) {
	t.Helper()
	k, a := string(u.Kommune), string(u.Area)
	copied := filepath.Join(copies, k+a)
	args := append([]string{"follow", k, a, "--copy", copied, "--dir", dir}, more...)
	mustFlis(t, append(args, "--once")...)
	require.Contains(t, mustFlis(t, "follow", k, a, "--copy", copied, "--dir", dir, "--compare"),
		"is what the tables")
	for _, d := range datasets {
		if !strings.HasPrefix(d, a+".") {
			continue
		}
		out := mustFlis(
			t,
			"follow",
			k,
			a,
			"--copy",
			copied,
			"--dir",
			dir,
			"--print",
			d,
			"--format",
			"json",
		)
		require.Equal(t, sortedRows(t, mustFlis(t, "show", k, d, "--dir", dir, "--format", "json")),
			sortedRows(t, out), "%s %s", k, d)
	}
}

func sortedRows(t *testing.T, text string) []string {
	t.Helper()
	var rows []json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &rows))
	all := []string{}
	for _, r := range rows {
		all = append(all, string(r))
	}
	slices.Sort(all)
	return all
}

// TestFollow takes the story day by day, with a vendor change and late and corrected events in it:
// after each close each copy is the tables, whether it has followed all along, begins with the
// topic, or begins with the tables.
func TestFollow(t *testing.T) {
	t.Parallel()
	dir, s := story(t, "", scenario.Switch)
	subscribe(t, dir)
	copies := t.TempDir()
	for _, d := range s.Days {
		feedDay(t, dir, d)
		require.Contains(t, mustFlis(t, "run", "--once", "--dir", dir), "published 0101/borger")
		for _, u := range followedUnits {
			caughtUp(t, dir, copies, u, storyTables)
			caughtUp(t, dir, t.TempDir(), u, storyTables[:1])
			caughtUp(t, dir, t.TempDir(), u, storyTables[:1], "--tables")
		}
	}
	require.NotContains(t, mustFlis(t, "publish", "--dir", dir), "published", "twice is once")
}

// TestFollowKilled kills run, publish and follow -9 at random moments, side by side.
func TestFollowKilled(t *testing.T) {
	t.Parallel()
	dir, s := story(t, "", scenario.Switch)
	followKilled(t, dir, s)
}

func followKilled(t *testing.T, dir string, s *scenario.Story) {
	t.Helper()
	subscribe(t, dir)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	copies := t.TempDir()
	for _, d := range s.Days {
		feedDay(t, dir, d)
		for range 4 {
			after := func() time.Duration { return time.Duration(20+r.IntN(600)) * time.Millisecond }
			run := [][]string{{"run", "--once"}, {"run"}}[r.IntN(2)]
			killSome(t, dir, copies, run, []time.Duration{after(), after(), after(), after()})
		}
		mustFlis(t, "run", "--once", "--dir", dir)
		for _, u := range followedUnits {
			caughtUp(t, dir, copies, u, storyTables)
		}
	}
	for _, u := range followedUnits {
		caughtUp(t, dir, t.TempDir(), u, storyTables)
	}
	mustFlis(t, "audit", "--dir", dir)
}

// killSome starts two publishers and two consumers and kills each after a while of its own.
func killSome(t *testing.T, dir, copies string, run []string, after []time.Duration) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	u := followedUnits
	verbs := [][]string{
		run,
		{"publish"},
		{
			"follow",
			string(u[0].Kommune),
			string(u[0].Area),
			"--copy",
			filepath.Join(copies, "0101borger"),
		},
		{
			"follow",
			string(u[1].Kommune),
			string(u[1].Area),
			"--copy",
			filepath.Join(copies, "0751aeldre"),
		},
	}
	for i, verb := range verbs {
		c := exec.CommandContext(context.WithoutCancel(t.Context()), path,
			append(verb, "--dir", dir)...)
		c.Env = plainEnv()
		require.NoError(t, c.Start())
		time.AfterFunc(after[i], func() { _ = c.Process.Signal(syscall.SIGKILL) })
		defer func() { _ = c.Wait() }()
	}
}

// TestFollowCompacted is TestFollowKilled on a real broker, with topics that are compacted within
// seconds, null values and all.
func TestFollowCompacted(t *testing.T) {
	t.Parallel()
	addr := realBroker(t)
	client := &kafkago.Client{Addr: kafkago.TCP(addr)}
	for _, u := range followedUnits {
		name := schemas.CuratedTopic(u)
		_, err := client.DeleteTopics(t.Context(),
			&kafkago.DeleteTopicsRequest{Topics: []string{name}})
		require.NoError(t, err)
		quick := kafkago.TopicConfig{Topic: name, NumPartitions: 1, ReplicationFactor: 1}
		for k, v := range map[string]string{"cleanup.policy": "compact", "segment.ms": "500",
			"min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "500"} {
			quick.ConfigEntries = append(quick.ConfigEntries,
				kafkago.ConfigEntry{ConfigName: k, ConfigValue: v})
		}
		require.Eventually(t, func() bool {
			res, err := client.CreateTopics(t.Context(),
				&kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{quick}})
			return err == nil && res.Errors[name] == nil
		}, 20*time.Second, 200*time.Millisecond)
	}
	dir, s := story(t, addr, scenario.Switch)
	followKilled(t, dir, s)
	requireCompacted(t, client, schemas.CuratedTopic(followedUnits[0]))
}

// requireCompacted waits until the log holds fewer records than it has offsets: else the test has
// not shown what it is for.
func requireCompacted(t *testing.T, client *kafkago.Client, topic string) {
	t.Helper()
	require.Eventually(t, func() bool {
		ends, err := client.ListOffsets(t.Context(), &kafkago.ListOffsetsRequest{
			Topics: map[string][]kafkago.OffsetRequest{topic: {kafkago.LastOffsetOf(0)}}})
		require.NoError(t, err)
		end := ends.Topics[topic][0].LastOffset
		held := int64(0)
		for next := int64(0); next < end; {
			res, err := client.Fetch(t.Context(), &kafkago.FetchRequest{Topic: topic, Offset: next,
				MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second})
			require.NoError(t, err)
			before := next
			for {
				r, err := res.Records.ReadRecord()
				if err != nil {
					break
				}
				next = r.Offset + 1
				held++
			}
			if next == before {
				break
			}
		}
		t.Logf("%s holds %d records of %d offsets", topic, held, end)
		return held < end
	}, 30*time.Second, time.Second)
}

func TestPublishUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustFlis(t, "init", "--dir", dir)
	require.Contains(t, mustFlis(t, "publish", "--dir", dir), "nobody subscribes")
	key := strings.TrimSpace(mustFlis(t, "publish", "--key", "0101", "--dir", dir))
	require.Regexp(t, "^[0-9a-f]{64}$", key)
	require.NotEqual(t, key, strings.TrimSpace(mustFlis(t, "publish", "--key", "0751", "--dir", dir)))
	subscribe(t, dir)
	for want, args := range map[string][]string{
		"entry 2 (0751 aeldre): no agreement delivers it": {"publish"},
		"--copy must name the folder":                     {"follow", "0101", "borger"},
		"there is no such area":                           {"follow", "0101", "skat", "--copy", dir},
		"want four digits":                                {"follow", "101", "borger", "--copy", dir},
		"has no such dataset": {"follow", "0101", "borger", "--copy", dir, "--print",
			"aeldre.besoeg"},
	} {
		_, errOut, code := flis(t, append(args, "--dir", dir)...)
		require.Equal(t, 2, code, "%v", args)
		require.Contains(t, errOut, want)
	}
	_, errOut, code := flis(t, "follow", "0101", "borger", "--copy", filepath.Join(dir, "kopi"),
		"--once", "--dir", dir)
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "made by flis publish once someone subscribes")
}

// TestCopyChanged: a copy that is not the tables is told, and mended from the topic.
func TestCopyChanged(t *testing.T) {
	t.Parallel()
	dir, s := story(t, "", scenario.Switch)
	subscribe(t, dir)
	feedDay(t, dir, s.Days[0])
	mustFlis(t, "run", "--once", "--dir", dir)
	copied := filepath.Join(t.TempDir(), "kopi")
	args := []string{"follow", "0101", "borger", "--copy", copied, "--dir", dir}
	mustFlis(t, append(args, "--once")...)
	file := filepath.Join(copied, "kopi.flis")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	b[len(b)/2] ^= 1
	require.NoError(t, os.WriteFile(file, b, 0o600))
	_, errOut, code := flis(t, append(args, "--compare")...)
	require.Equal(t, 1, code)
	require.NotContains(t, errOut, "6101", "no personal data in an error")
	feedDay(t, dir, s.Days[1])
	mustFlis(t, "run", "--once", "--dir", dir)
	require.Contains(t, mustFlis(t, append(args, "--once")...), "made anew")
	mustFlis(t, append(args, "--compare")...)
}
