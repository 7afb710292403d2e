package curated_test

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/streams/curated"
	"github.com/flis-dk/flis/streams/curated/curatedtest"
)

// guideDriver is what the guide leaves to its reader: records, a copy, and a marker's Avro.
const guideDriver = `
import json, sys
from hashlib import sha256

class BeginAnew(Exception): pass
class Box:
    def __init__(self, **k): self.__dict__.update(k)

def decode_marker(value):
    at = [5]
    def long():
        shift = n = 0
        while True:
            b = value[at[0]]; at[0] += 1
            n |= (b & 127) << shift; shift += 7
            if b < 128: return (n >> 1) ^ -(n & 1)
    def text():
        n = long(); s = value[at[0]:at[0] + n]; at[0] += n
        return s.decode()
    m = Box(format=long(), kommune=text(), omraade=text(), nr=long(), bevis_sha256=text(),
            leverance=text(), laes_fra=long(), noegle_id=text(), datasaet=[])
    while (n := long()):
        for _ in range(n):
            m.datasaet.append(Box(navn=text(), skema=text(), antal=long(), aftryk=text()))
    assert m.format == 1 and at[0] == len(value)
    return m

class Log:
    def __init__(self, records, end): self.records, self.end = records, end
    def read(self, start): return [r for r in self.records if r.offset >= start]

class Copy:
    def __init__(self): self.n, self.next, self.entities = 0, 0, {}
    def replace(self, entities, n, next): self.entities, self.n, self.next = entities, n, next

copy = Copy()
for line in sys.stdin:
    x = json.loads(line)
    log = Log([Box(offset=r["Offset"], key=r["Key"], headers={"flis_bevis": r["Number"]},
        value=None if r["Value"] is None else bytes.fromhex(r["Value"])) for r in x["Records"]], x["End"])
    try:
        catch_up(log, copy)
    except BeginAnew:
        fresh = Copy()
        try:
            catch_up(log, fresh)
            copy = fresh
        except BeginAnew:
            pass
    print(json.dumps({"Number": copy.n, "Entities": {k: v.hex() for k, v in copy.entities.items()}}))
`

// guideRecord is a record as the driver reads it.
type guideRecord struct {
	Offset, Number int64
	Key            string
	Value          *string
}

// TestGuide runs the consumer that the guide shows, in its own language, over a topic with what
// comes twice, late and compacted: it is another reading of the protocol.
func TestGuide(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	guide, err := os.ReadFile("../../docs/kuraterede-emner.md")
	require.NoError(t, err)
	_, code, ok := strings.Cut(string(guide), "```python\n")
	require.True(t, ok)
	code, _, _ = strings.Cut(code, "```")
	script := filepath.Join(t.TempDir(), "guide.py")
	begin, rest, _ := strings.Cut(guideDriver, "\ncopy = Copy()")
	require.NoError(t, os.WriteFile(script, []byte(begin+"\n"+code+"\ncopy = Copy()"+rest), 0o600))

	var in strings.Builder
	r := rand.New(rand.NewPCG(7, 0))
	rig := newRig(t)
	for range 40 {
		playGuide(t, rig, r)
		in.WriteString(guideLine(t, rig.log) + "\n")
	}
	cmd := exec.Command(python, script)
	cmd.Stdin, cmd.Stderr = strings.NewReader(in.String()), os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	newest := int64(0)
	for line := range strings.Lines(string(out)) {
		var got struct {
			Number   int64
			Entities map[string]string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &got))
		newest = got.Number
		want := map[string]string{}
		for k, v := range keyed(rig.tables.at(newest)) {
			want[k] = v
		}
		require.Len(t, got.Entities, len(want))
		for k, v := range got.Entities {
			b, err := hex.DecodeString(v)
			require.NoError(t, err)
			require.Equal(t, want[k], string(b[5:]), "certificate %d", newest)
		}
	}
	require.Equal(t, int64(len(rig.tables.states)), newest)
}

// playGuide makes a certificate, lets something old land, compacts, and publishes.
func playGuide(t *testing.T, rig *rig, r *rand.Rand) {
	t.Helper()
	rig.tables.next(r)
	if all := rig.log.All(); len(all) > 0 && r.IntN(2) == 0 {
		require.NoError(t, rig.log.Append(t.Context(), []curated.Record{all[r.IntN(len(all))]}))
	}
	if r.IntN(3) == 0 {
		_, end, err := rig.log.Bounds(t.Context())
		require.NoError(t, err)
		rig.log.Compact(end, end-r.Int64N(end+1))
	}
	rig.publish()
}

func guideLine(t *testing.T, log *curatedtest.Log) string {
	t.Helper()
	_, end, err := log.Bounds(t.Context())
	require.NoError(t, err)
	line := struct {
		End     int64
		Records []guideRecord
	}{End: end}
	for _, rec := range log.Held() {
		g := guideRecord{Offset: rec.Offset, Number: rec.Number, Key: rec.Key}
		if rec.Value != nil {
			text := hex.EncodeToString(rec.Value)
			g.Value = &text
		}
		line.Records = append(line.Records, g)
	}
	b, err := json.Marshal(line)
	require.NoError(t, err)
	return string(b)
}
