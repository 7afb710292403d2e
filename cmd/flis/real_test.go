package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/scenario"
	"github.com/flis-dk/flis/schemas"
)

// story writes the demo's deliveries and an installation; brokers "" = the embedded broker.
func story(t *testing.T, brokers string, v scenario.Vendors) (dir string, s *scenario.Story) {
	t.Helper()
	dir = t.TempDir()
	s = scenario.Play(schemas.DayOf(time.Now())-scenario.Days+1, v)
	config := "dir: .\nagreements: aftaler.yaml\n"
	if brokers != "" {
		config += fmt.Sprintf("kafka:\n  brokers: [%q]\n  partitions: 3\n", brokers)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "flis.yaml"), []byte(config), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "aftaler.yaml"), []byte(s.Agreements), 0o600))
	return dir, s
}

// feedDay feeds a day's files in order.
func feedDay(t *testing.T, dir string, d scenario.Day) {
	t.Helper()
	in := t.TempDir()
	for _, f := range d.Files {
		path := filepath.Join(in, f.Name)
		require.NoError(t, os.WriteFile(path, f.Content, 0o600))
		args := []string{"feed", string(f.System), path, "--dir", dir}
		if f.Layout != "" {
			args = append(args, "--layout", f.Layout)
		}
		mustFlis(t, args...)
	}
}

func realBroker(t *testing.T) string {
	t.Helper()
	addr := os.Getenv("FLIS_KAFKA")
	if addr == "" {
		t.Skip("no real broker: set FLIS_KAFKA to host:port (.ci/run starts one)")
	}
	return addr
}

var storyTables = []string{
	"borger.person",
	"borger.personnummer",
	"borger.adresse",
	"borger.civilstand",
	"borger.statsborgerskab",
	"aeldre.visiteret_tid",
	"aeldre.plejebolig",
	"aeldre.besoeg",
}

// tables is every delivered row of the story's municipalities, but for when we knew.
func tables(t *testing.T, dir string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, k := range []string{"0101", "0751", "0461", "0183", "0825"} {
		for _, d := range storyTables {
			if len(certificates(t, dir, k, d)) == 0 {
				continue
			}
			for _, r := range shown(t, dir, k, d) {
				delete(r, "registreret_fra")
				all[k+" "+d] = append(all[k+" "+d], rowText(r, "", "", ""))
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

func certificates(t *testing.T, dir, kommune, dataset string) []string {
	t.Helper()
	area, _, _ := strings.Cut(dataset, ".")
	files, err := filepath.Glob(filepath.Join(dir, "levering", "bevis", kommune, area, "*.json"))
	require.NoError(t, err)
	return files
}

// TestRealKill kills flis run -9 at ten random moments while deliveries arrive on a real broker:
// nothing is lost and nothing doubled, by audit and by comparison with an installation that was
// left in peace.
func TestRealKill(t *testing.T) {
	t.Parallel()
	broker := realBroker(t)
	dir, s := story(t, broker, scenario.Switch)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	kills := 0
	for _, d := range s.Days {
		done := make(chan struct{})
		go func() {
			defer close(done)
			feedDay(t, dir, d)
		}()
		for fed := false; !fed || kills%4 != 0; kills++ {
			killOne(t, dir, r, kills)
			select {
			case <-done:
				fed = true
			default:
			}
		}
	}
	for ; kills < 10; kills++ {
		killOne(t, dir, r, kills)
	}
	made, err := filepath.Glob(filepath.Join(dir, "intern", "journal", "*", "_delta_log", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, made, "the killed runs must have got as far as the journal")
	t.Logf("%d kills; the killed runs left %d journal entries and %d claims", kills, len(made),
		len(claims(t, dir)))
	mustFlis(t, "run", "--once", "--dir", dir)
	t.Log(mustFlis(t, "audit", "--dir", dir))

	calm, _ := story(t, broker, scenario.Switch)
	mustFlis(t, "run", "--once", "--dir", calm)
	mustFlis(t, "audit", "--dir", calm)
	require.Equal(t, tables(t, calm), tables(t, dir))
}

// claims is the closes that were begun.
func claims(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "levering", "bevis", "*", "*", "*.krav.json"))
	require.NoError(t, err)
	return files
}

// killOne kills a run that goes on, whose entries are made after five seconds, or one that commits and
// closes at once: by turns, so that the deaths fall before, in and after both.
func killOne(t *testing.T, dir string, r *rand.Rand, n int) {
	t.Helper()
	if n%2 == 0 {
		killAfter(t, dir, time.Duration(50+r.IntN(1500))*time.Millisecond, "--once")
		return
	}
	killAfter(t, dir, time.Duration(50+r.IntN(7000))*time.Millisecond)
}

// killAfter starts flis run and kills it -9 after a while.
func killAfter(t *testing.T, dir string, after time.Duration, more ...string) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	c := exec.CommandContext(context.WithoutCancel(t.Context()), path,
		append([]string{"run", "--dir", dir}, more...)...)
	c.Env = plainEnv()
	require.NoError(t, c.Start())
	time.Sleep(after)
	_ = c.Process.Signal(syscall.SIGKILL)
	_ = c.Wait()
}

// TestRealCopies lets two copies of normalise and two of close share the work.
func TestRealCopies(t *testing.T) {
	t.Parallel()
	broker := realBroker(t)
	dir, s := story(t, broker, scenario.Switch)
	path, err := binary()
	require.NoError(t, err)
	var copies []*exec.Cmd
	for _, verb := range []string{"normalise", "normalise", "close", "close"} {
		c := exec.CommandContext(context.WithoutCancel(t.Context()), path, verb, "--dir", dir)
		c.Env = plainEnv()
		require.NoError(t, c.Start())
		copies = append(copies, c)
	}
	for _, d := range s.Days {
		feedDay(t, dir, d)
	}
	time.Sleep(8 * time.Second)
	for _, c := range copies {
		require.NoError(t, c.Process.Signal(syscall.SIGTERM))
		require.NoError(t, c.Wait(), "told to end, a copy ends well")
	}
	mustFlis(t, "run", "--once", "--dir", dir)
	mustFlis(t, "audit", "--dir", dir)
}
