package main_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/scenario"
)

// fakeRegistry speaks as much of Confluent's API as the program asks for. It can go away and come
// back at its address.
type fakeRegistry struct {
	addr    string
	mu      sync.Mutex
	schemas []string // by id - 1
	server  *http.Server
}

func newFakeRegistry(t *testing.T) *fakeRegistry {
	t.Helper()
	f := &fakeRegistry{addr: "127.0.0.1:0"}
	f.up(t)
	t.Cleanup(f.down)
	return f
}

func (f *fakeRegistry) up(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", f.addr)
	require.NoError(t, err)
	f.addr = l.Addr().String()
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: time.Second}
	go func() { _ = f.server.Serve(l) }()
}

func (f *fakeRegistry) down() { _ = f.server.Close() }

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if text, ok := strings.CutPrefix(r.URL.Path, "/schemas/ids/"); ok {
		id, err := strconv.Atoi(text)
		if err != nil || id < 1 || id > len(f.schemas) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error_code":40403,"message":"Schema not found"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"schema": f.schemas[id-1]})
		return
	}
	var body struct{ Schema string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Schema == "" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	for i, s := range f.schemas {
		if s == body.Schema {
			fmt.Fprintf(w, `{"id":%d}`, i+1)
			return
		}
	}
	f.schemas = append(f.schemas, body.Schema)
	fmt.Fprintf(w, `{"id":%d}`, len(f.schemas))
}

// TestRegistryGoesAway: a registry that does not answer stops feed, run and doctor with a line that
// names it; what was published waits, and goes on when it is back.
func TestRegistryGoesAway(t *testing.T) {
	t.Parallel()
	f := newFakeRegistry(t)
	w := newBadWorld(t)
	w.write("flis.yaml", fmt.Sprintf(
		"dir: .\nagreements: aftaler.yaml\nkafka: {partitions: 1}\nregistry: {url: \"http://%s\"}\n",
		f.addr,
	))
	events := w.write("n.jsonl", eventLine(t, "g-1", nexus0101, grantType, nexusGrant(1, anna, nil)))
	f.down()
	w.oneLine(1, []string{"register schema", f.addr}, "feed", "kmd-nexus", events)
	f.up(t)
	w.flis(0, "feed", "kmd-nexus", events)
	f.down()
	w.oneLine(1, []string{"ask registry for schema", f.addr}, "run", "--once")
	says(t, w.flis(1, "doctor"), "FAIL  registry", f.addr)
	f.up(t)
	w.run()
	require.Len(t, shown(t, w.dir, "0101", "aeldre.visiteret_tid"), 1)
	says(t, w.flis(0, "parked", "list"), "nothing is parked")

	w.quiet(anna)
	w.write("flis.yaml", "dir: .\nagreements: aftaler.yaml\nregistry:\n  url: \"registry:8080\"\n")
	says(t, w.flis(2, "run", "--once"), "registry", "http://host:port")
}

// TestRegistryThatHangs takes the connection and never answers: the program gives up.
func TestRegistryThatHangs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a time-out of seconds")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	w := newBadWorld(t)
	w.write("flis.yaml", fmt.Sprintf(
		"dir: .\nagreements: aftaler.yaml\nkafka: {patience: 1s}\nregistry: {url: \"http://%s\"}\n",
		l.Addr(),
	))
	events := w.write("n.jsonl", eventLine(t, "g-1", nexus0101, grantType, nexusGrant(1, anna, nil)))
	w.oneLine(
		1,
		[]string{"register schema", l.Addr().String(), "Timeout"},
		"feed",
		"kmd-nexus",
		events,
	)
}

// TestRealRegistry takes the story through a real registry, on the real broker where there is one.
func TestRealRegistry(t *testing.T) {
	t.Parallel()
	url := os.Getenv("FLIS_REGISTRY")
	if url == "" {
		t.Skip("no real registry: set FLIS_REGISTRY to its URL (.ci/registry/registry starts one)")
	}
	dir, s := story(t, os.Getenv("FLIS_KAFKA"), scenario.Switch)
	config := filepath.Join(dir, "flis.yaml")
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, fmt.Appendf(text, "registry:\n  url: %q\n", url), 0o600))
	says(t, mustFlis(t, "doctor", "--dir", dir), "ok    registry", url)
	for _, d := range s.Days {
		feedDay(t, dir, d)
		mustFlis(t, "run", "--once", "--dir", dir)
	}
	mustFlis(t, "audit", "--dir", dir)
	require.Contains(
		t,
		mustFlis(t, "parked", "list", "--dir", dir),
		"1 record parked",
		"the story's own",
	)

	calm, s := story(t, "", scenario.Switch)
	for _, d := range s.Days {
		feedDay(t, calm, d)
	}
	mustFlis(t, "run", "--once", "--dir", calm)
	require.Equal(t, tables(t, calm), tables(t, dir), "the registry changes no row")
}
