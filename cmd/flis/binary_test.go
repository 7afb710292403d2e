package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// binary is the program, built once for the tests that run it as its users do.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "flis-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "flis")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// flis runs the program and gives what it printed and its exit code.
func flis(t *testing.T, args ...string) (out, errOut string, code int) {
	t.Helper()
	return flisEnv(t, nil, args...)
}

func flisEnv(t *testing.T, env []string, args ...string) (out, errOut string, code int) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	c := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	c.Env = append(plainEnv(), env...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err = c.Run()
	if err != nil && c.ProcessState == nil {
		require.NoError(t, err)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

// plainEnv is the environment without the FLIS_ variables that steer tests: the program knows none
// of them.
func plainEnv() []string {
	return slices.DeleteFunc(
		os.Environ(),
		func(v string) bool { return strings.HasPrefix(v, "FLIS_") },
	)
}

// mustFlis runs the program, which must succeed.
func mustFlis(t *testing.T, args ...string) string {
	t.Helper()
	out, errOut, code := flis(t, args...)
	require.Zero(t, code, "flis %s\n%s\n%s", strings.Join(args, " "), out, errOut)
	return out
}

// shown is the rows that flis show prints of a dataset, as text; null columns are absent.
func shown(t *testing.T, dir, kommune, dataset string, more ...string) []map[string]string {
	t.Helper()
	args := append([]string{"show", kommune, dataset, "--dir", dir, "--format", "json"}, more...)
	dec := json.NewDecoder(strings.NewReader(mustFlis(t, args...)))
	dec.UseNumber()
	var rows []map[string]any
	require.NoError(t, dec.Decode(&rows))
	all := make([]map[string]string, len(rows))
	for i, r := range rows {
		all[i] = map[string]string{}
		for k, v := range r {
			if v != nil {
				all[i][k] = fmt.Sprint(v)
			}
		}
	}
	return all
}
