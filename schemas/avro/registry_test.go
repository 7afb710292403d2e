package avro_test

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
)

func TestLocal(t *testing.T) {
	l, err := avro.NewLocal(schemas.Builtin, nil)
	require.NoError(t, err)
	s := admit(t, rich)
	_, err = avro.Ask(l, s.ID())
	require.ErrorIs(t, err, avro.ErrUnknownID)
	id, err := l.Register(t.Context(), "any", rich)
	require.NoError(t, err)
	require.Equal(t, s.ID(), id)
	text, err := avro.Ask(l, id)
	require.NoError(t, err)
	require.Equal(t, rich, text)
	again, err := avro.NewLocal(fstest.MapFS{"systems/x/rich.avsc": {Data: []byte(rich)}})
	require.NoError(t, err)
	_, err = avro.Ask(again, id)
	require.NoError(t, err, "the same id in every process")
	_, err = avro.NewLocal(fstest.MapFS{"systems/x/bad.avsc": {Data: []byte(
		`{"type":"array","items":"null"}`)}})
	require.ErrorContains(t, err, "systems/x/bad.avsc")
	_, err = l.Register(t.Context(), "any", `{"type":"array","items":"null"}`)
	require.Error(t, err)
}

// registry is a small one of Confluent's API.
type registry struct {
	calls   int
	answers map[string]string
	status  int
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.calls++
	if r.status != 0 {
		w.WriteHeader(r.status)
		return
	}
	answer, ok := r.answers[req.Method+" "+req.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		answer = `{"error_code":40403,"message":"Schema not found"}`
	}
	_, _ = w.Write([]byte(answer))
}

func TestConfluent(t *testing.T) {
	r := &registry{answers: map[string]string{
		"GET /apis/ccompat/v7/schemas/ids/7": `{"schema":"\"int\""}`,
		"GET /apis/ccompat/v7/schemas/ids/8": `{"schema":"x",
  "schemaType":"PROTOBUF"}`,
		"GET /apis/ccompat/v7/schemas/ids/9":                         `<html>`,
		"POST /apis/ccompat/v7/subjects/raw.a.b.v1-value/versions":   `{"id":7}`,
		"POST /apis/ccompat/v7/subjects/raw.a.bad.v1-value/versions": `{"nothing":1}`,
	}}
	server := httptest.NewServer(r)
	defer server.Close()
	c, err := avro.NewConfluent(server.URL+"/apis/ccompat/v7/", server.Client())
	require.NoError(t, err)
	for range 3 {
		text, err := c.ByID(t.Context(), 7)
		require.NoError(t, err)
		require.Equal(t, `"int"`, text)
		id, err := c.Register(t.Context(), "raw.a.b.v1-value", `"int"`)
		require.NoError(t, err)
		require.EqualValues(t, 7, id)
	}
	require.Equal(t, 2, r.calls, "answers are kept")
	_, err = c.ByID(t.Context(), 5)
	require.ErrorIs(t, err, avro.ErrUnknownID)
	_, err = c.ByID(t.Context(), 8)
	require.ErrorIs(t, err, avro.ErrUnknownID, "no Avro")
	_, err = c.ByID(t.Context(), 9)
	require.Error(t, err)
	require.NotErrorIs(t, err, avro.ErrUnknownID, "no registry's answer: the world is wrong")
	_, err = c.Register(t.Context(), "raw.a.bad.v1-value", `"int"`)
	require.Error(t, err, "an answer without id")
}

func TestConfluentBadWorld(t *testing.T) {
	r := &registry{status: http.StatusServiceUnavailable}
	server := httptest.NewServer(r)
	c, err := avro.NewConfluent(server.URL, server.Client())
	require.NoError(t, err)
	_, err = c.ByID(t.Context(), 1)
	require.ErrorContains(t, err, "503")
	require.NotErrorIs(t, err, avro.ErrUnknownID)
	r.status = http.StatusNotFound // a wrong base path has no error code of a registry
	_, err = c.ByID(t.Context(), 1)
	require.NotErrorIs(t, err, avro.ErrUnknownID)
	server.Close()
	_, err = c.ByID(t.Context(), 1)
	require.Error(t, err)
	require.NotErrorIs(t, err, avro.ErrUnknownID)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.ByID(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	for _, bad := range []string{"", "localhost:8081", "ftp://x", "http://"} {
		_, err := avro.NewConfluent(bad, nil)
		require.Error(t, err, bad)
	}
}

// TestBuiltinVersions: versions of a schema ("grant.1.avsc" before "grant.avsc") read each other,
// all ways.
func TestBuiltinVersions(t *testing.T) {
	versions := map[string][]*avro.Schema{}
	for _, root := range []string{"systems", "domain"} {
		require.NoError(t, fs.WalkDir(schemas.Builtin, root, func(p string, e fs.DirEntry,
			err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := fs.ReadFile(schemas.Builtin, p)
			require.NoError(t, err)
			name, _, _ := strings.Cut(path.Base(p), ".")
			key := path.Dir(p) + "/" + name
			versions[key] = append(versions[key], admit(t, string(b)))
			return nil
		}))
	}
	require.NotEmpty(t, versions)
	for name, all := range versions {
		require.NoError(t, avro.FullTransitive(all), name)
	}
}
