package curated_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams/curated"
	"github.com/flis-dk/flis/streams/curated/curatedtest"
)

// rig is a publisher and a consumer over one topic, in peace.
type rig struct {
	t      *testing.T
	log    *curatedtest.Log
	tables *memoryTables
	p      curated.Publisher
	dir    string
}

func newRig(t *testing.T, states ...state) *rig {
	r := &rig{t: t, log: curatedtest.NewLog("topic"), tables: &memoryTables{states: states},
		dir: t.TempDir()}
	r.p = curated.Publisher{Unit: unit, Log: r.log, Tables: r.tables, Key: theKey, Schemas: theIDs,
		MarkerID: 9}
	return r
}

func (r *rig) publish() curated.Report {
	r.t.Helper()
	report, err := r.p.Run(r.t.Context())
	require.NoError(r.t, err)
	return report
}

// catch opens the copy, catches up once, and checks that it is what it says.
func (r *rig) catch() curated.Caught {
	r.t.Helper()
	c, err := curated.OpenConsumer(r.dir, r.log, curated.Options{NoSync: true})
	require.NoError(r.t, err)
	defer c.Close()
	caught, err := c.Catch(r.t.Context())
	require.NoError(r.t, err)
	if caught.Number > 0 {
		all, err := curated.Compare(r.t.Context(), c.Copy(), r.tables, r.p.Key)
		require.NoError(r.t, err)
		require.Empty(r.t, all)
	}
	return caught
}

var (
	first  = state{"borger.person|a": "1", "borger.person|b": "1", "borger.adresse|a": "x"}
	second = state{"borger.person|a": "2", "borger.adresse|a": "x", "borger.adresse|c": "y"}
)

func TestPublishAndFollow(t *testing.T) {
	r := newRig(t)
	require.Equal(t, curated.Report{}, r.publish(), "no certificate, nothing to say")
	require.Zero(t, r.catch().Number)
	r.tables.states = []state{first}
	require.Equal(t, curated.Report{Number: 1, Records: 3, Markers: 1}, r.publish())
	require.Equal(t, int64(1), r.catch().Number)
	r.tables.states = []state{first, second}
	require.Equal(t, curated.Report{Number: 2, Records: 3, Markers: 1}, r.publish(),
		"one changed, one gone, one new; what did not change is not written")
	require.Equal(t, curated.Report{Number: 2}, r.publish(), "twice is once")
	caught := r.catch()
	require.Equal(t, int64(2), caught.Number)
	require.False(t, caught.Renewed)
	require.Equal(t, int64(2), r.catch().Number, "and again from disk")
}

func TestEveryCertificateHasItsMarker(t *testing.T) {
	r := newRig(t, first)
	r.publish()
	r.tables.states = []state{first, second, second, first}
	report := r.publish()
	require.Equal(t, int64(3), report.Markers)
	var numbers []int64
	for _, rec := range r.log.All() {
		if rec.Key == curated.MarkerKey {
			numbers = append(numbers, rec.Number)
			m, err := curated.ParseMarker(rec.Value)
			require.NoError(t, err)
			require.Equal(t, unit, m.Unit)
			require.Equal(t, "2026-03-02", m.Certificate.Leverance)
			require.LessOrEqual(t, m.Proven, rec.Offset)
		}
	}
	require.Equal(t, []int64{1, 2, 3, 4}, numbers)
}

// TestForms: another key, another schema and tables that are no longer kept make the publisher
// write everything anew, and take away what nobody holds; the consumer begins anew by itself.
func TestForms(t *testing.T) {
	for name, change := range map[string]func(r *rig){
		"key": func(r *rig) { r.p.Key = curated.MunicipalityKey([]byte("another"), "0101") },
		"schema": func(r *rig) {
			r.p.Schemas = map[schemas.DatasetName]curated.Schema{
				"borger.person": {ID: 17, Print: "00000000000000b1"}, "borger.adresse": {ID: 8}}
		},
		"not kept": func(r *rig) { r.tables.kept = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, first)
			r.publish()
			r.catch()
			change(r)
			require.Zero(t, r.publish().Records, "nothing before the next certificate")
			r.tables.states = append(r.tables.states, second)
			report := r.publish()
			require.Equal(t, int64(2), report.Number)
			require.GreaterOrEqual(t, report.Records, int64(len(second)))
			require.Equal(t, int64(2), r.catch().Number)
			held := newest(r.log.Held())
			require.Len(t, held, len(second), "old keys are gone: %v", held)
		})
	}
}

func TestTopicMadeAnew(t *testing.T) {
	r := newRig(t, first, second)
	r.publish()
	r.catch()
	r.log = curatedtest.NewLog("made anew")
	r.p.Log = r.log
	require.Equal(t, int64(2), r.catch().Number, "the copy stays while the topic is empty")
	r.publish()
	caught := r.catch()
	require.Equal(t, int64(2), caught.Number)
	require.True(t, caught.Renewed)
	require.Equal(t, "made anew", caught.Topic)
}

func TestForeignRecords(t *testing.T) {
	r := newRig(t, first)
	r.publish()
	ctx := t.Context()
	require.NoError(t, r.log.Append(ctx, []curated.Record{
		{Key: "borger.person/ffff", Value: []byte("\x00\x00\x00\x00\x07what?")},
		{Key: "", Value: []byte("?")},
		{Key: curated.MarkerKey, Value: []byte("no marker"), Number: 1},
		{Key: curated.EntityKey(theKey, "borger.person", "a")},
	}))
	require.Equal(t, int64(1), r.catch().Number)
	report := r.publish()
	require.Equal(t, int64(3), report.Repaired, "two are taken away, one is written anew")
	require.Equal(t, int64(1), r.catch().Number)
	r.log.Compact(1<<40, 1<<40)
	require.Equal(t, keyed(first), newest(r.log.Held()))
	r.dir = t.TempDir()
	require.Equal(t, int64(1), r.catch().Number, "and from the beginning")
}

func TestNullsThatAreGone(t *testing.T) {
	r := newRig(t, first)
	r.publish()
	r.catch()
	r.tables.states = []state{first, second}
	r.publish()
	r.log.Compact(1<<40, 1<<40) // the consumer was away for longer than null values are kept
	caught := r.catch()
	require.Equal(t, int64(2), caught.Number)
	require.True(t, caught.Renewed, "the digest tells that a null value was missed")
}

func TestCopyWaitsForItsPublisher(t *testing.T) {
	r := newRig(t, first)
	r.publish()
	stale := r.log.All()[0]
	r.tables.states = []state{first, {"borger.person|a": "3"}}
	r.publish()
	for _, rec := range r.log.All() {
		if rec.Number == 1 && rec.Key != curated.MarkerKey && rec.Key < stale.Key {
			stale = rec
		}
	}
	require.NoError(t, r.log.Append(t.Context(), []curated.Record{stale}))
	r.log.Compact(1<<40, 0)
	caught := r.catch()
	require.Zero(t, caught.Number, "nothing is claimed that the digest does not agree with")
	require.Equal(t, int64(2), caught.Marker)
	require.NotZero(t, r.publish().Repaired)
	require.Equal(t, int64(2), r.catch().Number)
}

func TestPublisherRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(r *rig)
		want  string
	}{
		"certificates of an older copy": {func(r *rig) { r.tables.states = r.tables.states[:1] },
			"its topic holds certificate 2, and the newest is 1"},
		"other certificates": {func(r *rig) { r.p.Tables = otherHashes{r.tables} },
			"its topic holds another certificate 2 than there is"},
		"another's topic": {func(r *rig) { r.p.Unit.Area = "aeldre" },
			"its topic holds the markers of 0101/borger"},
		"a newer format": {func(r *rig) {
			_ = r.log.Append(context.Background(), []curated.Record{{Key: curated.MarkerKey, Number: 3,
				Value: []byte{0, 0, 0, 0, 9, 4}}})
		}, "use a newer build"},
		"a timeline beyond the limit": {func(r *rig) {
			r.tables.states = append(r.tables.states,
				state{"borger.person|a": string(make([]byte, curated.ValueBytesMax+1))})
		}, "certificate 3: dataset borger.person: an entity's timeline takes"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, first, second)
			r.publish()
			before := len(r.log.All())
			c.spoil(r)
			before = max(before, len(r.log.All()))
			_, err := r.p.Run(t.Context())
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "publish 0101/")
			require.Len(t, r.log.All(), before, "nothing is written")
		})
	}
}

// otherHashes is certificates that were made anew.
type otherHashes struct{ *memoryTables }

func (o otherHashes) Certificate(context.Context, int64) (curated.Certificate, error) {
	return curated.Certificate{Hash: "another"}, nil
}

func TestCopyDamaged(t *testing.T) {
	r := newRig(t, first)
	r.publish()
	r.catch()
	file := filepath.Join(r.dir, "kopi.flis")
	good, err := os.ReadFile(file)
	require.NoError(t, err)

	bad := append([]byte{}, good...)
	bad[len("flis-kopi 1\n")+3] ^= 1
	require.NoError(t, os.WriteFile(file, bad, 0o600))
	r.tables.states = []state{first, second}
	r.publish()
	caught := r.catch()
	require.Equal(t, int64(2), caught.Number)
	require.True(t, caught.Renewed, "entities that were changed never get into the next copy")

	for at := range good {
		bad := append([]byte{}, good...)
		bad[at] ^= 1
		require.NoError(t, os.WriteFile(file, bad, 0o600))
		require.ErrorIs(t, read(r.dir), curated.ErrCopy, "a bit of byte %d", at)
	}
	for _, b := range [][]byte{{}, good[:len(good)-1], []byte("something else altogether"),
		append([]byte("flis-kopi 2\n"), good[len("flis-kopi 1\n"):]...)} {
		require.NoError(t, os.WriteFile(file, b, 0o600))
		_, err := curated.OpenConsumer(r.dir, r.log, curated.Options{})
		require.ErrorIs(t, err, curated.ErrCopy)
	}
}

// read reads a copy to its end.
func read(dir string) error {
	c, err := curated.OpenCopy(dir)
	if err != nil {
		return err
	}
	return c.Entities(func(string, []byte) error { return nil })
}

func TestCompareTells(t *testing.T) {
	r := newRig(t, first)
	r.publish()
	r.catch()
	r.tables.states = []state{{"borger.person|a": "1", "borger.person|b": "1"}}
	c, err := curated.OpenCopy(r.dir)
	require.NoError(t, err)
	all, err := curated.Compare(t.Context(), c, r.tables, theKey)
	require.NoError(t, err)
	require.Equal(t, []curated.Difference{{Dataset: "borger.adresse", Copy: 1, Tables: 0}}, all)
	_, err = curated.Compare(t.Context(), c, otherHashes{r.tables}, theKey)
	require.ErrorContains(t, err, "another certificate 1")
	c, err = curated.OpenCopy(t.TempDir())
	require.NoError(t, err)
	_, err = curated.Compare(t.Context(), c, r.tables, theKey)
	require.ErrorContains(t, err, "no copy yet")
}

func TestLoadFails(t *testing.T) {
	r := newRig(t, first)
	r.publish()
	r.catch()
	c, err := curated.OpenConsumer(r.dir, r.log, curated.Options{})
	require.NoError(t, err)
	defer c.Close()
	broken := errors.New("the disk does not answer")
	err = c.Load(t.Context(), 1, curated.Certificate{}, theKey,
		func(fn func(*curated.Entity) error) error {
			require.NoError(t, fn(&curated.Entity{Dataset: "borger.person", Key: "z", Value: []byte("?")}))
			return broken
		})
	require.ErrorIs(t, err, broken)
	caught, err := c.Catch(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), caught.Number)
	require.True(t, r.catch().Number == 1, "the copy that stood is the one that stands")
}

func TestParseMarkerBad(t *testing.T) {
	m := curated.Marker{Unit: unit, Number: 3, Parts: []curated.Part{{Dataset: "borger.person"}}}
	good := append(make([]byte, 5), m.Avro()...)
	got, err := curated.ParseMarker(good)
	require.NoError(t, err)
	require.Equal(t, &m, got)
	for n := range good {
		_, err := curated.ParseMarker(good[:n])
		require.Error(t, err, "cut at %d", n)
	}
	_, err = curated.ParseMarker(append(good, 0))
	require.Error(t, err)
}

// FuzzParseMarker: no bytes make it panic or take much memory.
func FuzzParseMarker(f *testing.F) {
	m := curated.Marker{Unit: unit, Number: 3, Parts: []curated.Part{{Dataset: "borger.person"}}}
	f.Add(append(make([]byte, 5), m.Avro()...))
	f.Add([]byte{0, 0, 0, 0, 1, 2, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := curated.ParseMarker(b)
		if err == nil {
			again, err := curated.ParseMarker(append(make([]byte, 5), m.Avro()...))
			require.NoError(t, err)
			require.Equal(t, m, again)
		}
	})
}

func TestKeys(t *testing.T) {
	require.Equal(t, curated.MunicipalityKey([]byte("k"), "0101"),
		curated.MunicipalityKey([]byte("k"), "0101"))
	require.NotEqual(t, curated.MunicipalityKey([]byte("k"), "0101"),
		curated.MunicipalityKey([]byte("k"), "0751"))
	key := curated.EntityKey(theKey, "borger.person", "6101700001")
	require.Regexp(t, `^borger\.person/[0-9a-f]{32}$`, key)
	require.NotContains(t, key, "6101700001")
	require.NotEqual(t, key, curated.EntityKey(theKey, "borger.person", "6101700002"))
}
