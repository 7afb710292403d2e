package main_test

import (
	"bytes"
	"context"
	avrolong "encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams/broker"
	"github.com/flis-dk/flis/streams/kafka"
)

// badWorld is an installation that is fed bad input, and all that the program said meanwhile.
type badWorld struct {
	t    *testing.T
	dir  string
	said *strings.Builder
}

// in is the same world in a subtest.
func (w badWorld) in(t *testing.T) *badWorld {
	w.t = t
	return &w
}

// The municipalities of a badWorld, as kmd-nexus and cura name them; 0751 has an agreement with
// neither.
const (
	sor0101 = "99901011000016"
	sor0183 = "99901831000016"
	sor0751 = "99907511000016"
	gln0461 = "5798004610008"
)

func newBadWorld(t *testing.T) *badWorld {
	t.Helper()
	w := &badWorld{t: t, dir: t.TempDir(), said: &strings.Builder{}}
	w.write("flis.yaml", "dir: .\nagreements: aftaler.yaml\nkafka:\n  partitions: 1\n")
	w.write("aftaler.yaml", `format: 1
aftaler:
  - {kommune: "0101", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}
  - {kommune: "0183", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}
  - {kommune: "0101", omraade: aeldre, system: kmd-nexus, bevis: ingen, leverer: dagligt}
  - {kommune: "0183", omraade: aeldre, system: kmd-nexus, bevis: ingen, leverer: dagligt}
  - {kommune: "0461", omraade: aeldre, system: cura, bevis: ingen, leverer: dagligt}
`)
	return w
}

func (w *badWorld) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// flis runs the program on the world, wants its exit code, keeps and gives what it said.
func (w *badWorld) flis(code int, args ...string) string {
	w.t.Helper()
	out, errOut, got := flis(w.t, append(args, "--dir", w.dir)...)
	said := out + errOut
	w.said.WriteString(said)
	require.Equal(w.t, code, got, "flis %s\n%s", strings.Join(args, " "), said)
	return said
}

// run works everything through and wants the audit clean: nothing is lost or doubled.
func (w *badWorld) run() {
	w.t.Helper()
	w.flis(0, "run", "--once")
	w.flis(0, "audit")
}

// parked wants one line of the parked list with all of the words.
func (w *badWorld) parked(words ...string) {
	w.t.Helper()
	list := w.flis(0, "parked", "list")
	for _, line := range strings.Split(list, "\n") {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return
		}
	}
	w.t.Errorf("no parked record with %q in\n%s", words, list)
}

// quiet wants that no personal number was said, in any form.
func (w *badWorld) quiet(numbers ...string) {
	w.t.Helper()
	w.flis(0, "status")
	w.flis(0, "parked", "list")
	said := w.said.String()
	require.NotEmpty(w.t, said)
	for _, n := range numbers {
		for _, form := range []string{n, n[:6] + "-" + n[6:]} {
			require.NotContains(w.t, said, form, "a personal number must not be said")
		}
	}
}

// says wants every word in a text.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		require.Contains(t, text, word)
	}
}

// cprExtract is a file of layout A with its controls: previous "" begins a chain.
func cprExtract(day, previous string, lines ...string) string {
	compact := func(d string) string { return fmt.Sprintf("%8s", strings.ReplaceAll(d, "-", "")) }
	text := "000" + strings.Repeat("0", 10) + "110101" + compact(day) + compact(previous) + "\n"
	for _, l := range lines {
		text += l + "\n"
	}
	return text + "999" + strings.Repeat("9", 10) + fmt.Sprintf("%08d", len(lines)) + "\n"
}

// cprResident is a person's block: since a moment in a municipality.
func cprResident(pnr, kommune, since string) []string {
	return []string{a001(pnr, "01", "197001011200"),
		cprLine("002", pnr, 14, kommune, 18, "0222", 22, "009", 70, since, 83, since),
		cprLine(
			"010",
			pnr,
			14,
			"5100",
			18,
			"197001011200",
		), cprLine("012", pnr, 14, "U", 71, "197001011200")}
}

const (
	dora = "6401700004"
	emil = "6501700005"
)

// TestBadCPRFileIsRefused: a file whose own controls do not hold is refused whole, by feed and
// check alike; nothing of it is sent; the next good file goes on.
func TestBadCPRFileIsRefused(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	good := cprExtract("2026-03-02", "2026-03-01", cprResident(anna, "0101", "202001011200")...)
	before := w.write(
		"good",
		cprExtract("2026-03-01", "", cprResident(bent, "0101", "202001011200")...),
	)
	w.flis(0, "feed", "cpr", before, "--layout", "A")
	cut := []string{"no end record 999", "fetch the file again"}
	wrongCount := strings.Replace(good, "99900000004", "99900000007", 1)
	require.NotEqual(t, good, wrongCount)
	for name, c := range map[string]struct {
		content string
		words   []string
	}{
		"cut between records":            {good[:strings.Index(good, "\n010")+1], append(cut, "record 3")},
		"cut inside a record":            {good[:strings.Index(good, "\n012")+20], append(cut, "record 5")},
		"wrong count":                    {wrongCount, []string{"record 6", "counts 7 records, the file has 4"}},
		"empty":                          {"", []string{"record 1", "the file is empty", "fetch the file again"}},
		"wrong length, without newlines": {strings.ReplaceAll(good, "\n", ""), []string{"record "}},
		"UTF-16":                         {string(utf16le(good)), []string{"record 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			file := w.write("bad", c.content)
			said := w.flis(3, "feed", "cpr", file, "--layout", "A")
			says(t, said, append(c.words, "LAYOUT", "file ")...)
			require.NotContains(t, said, file, "a file's name may hold a personal number")
			says(t, w.flis(3, "check", "cpr", file, "--layout", "A"), append(c.words, "LAYOUT", "afvist")...)
		})
	}
	says(t, w.flis(2, "feed", "cpr", w.write("g", good), "--layout", "C"), "--layout", "A-UUID")
	said := w.flis(3, "feed", "cpr", w.write("g", good))
	says(t, said, "LAYOUT", `OPGAVENR "110101"`, "--layout")
	w.run()
	require.Empty(t, shownOf(t, w.dir, "0101", "borger.person", anna))
	require.NotEmpty(t, shownOf(t, w.dir, "0101", "borger.person", bent))
	w.flis(
		0,
		"feed",
		"cpr",
		w.write("g", "\ufeff"+good),
		"--layout",
		"A",
	) // a byte order mark is no fault
	w.run()
	require.NotEmpty(t, shownOf(t, w.dir, "0101", "borger.person", anna))
	w.quiet(anna, bent)
}

func utf16le(s string) []byte {
	b := []byte{0xff, 0xfe}
	for _, r := range s {
		b = append(b, byte(r), 0)
	}
	return b
}

// shownOf is the rows of one person.
func shownOf(t *testing.T, dir, kommune, dataset, cpr string) []map[string]string {
	t.Helper()
	var own []map[string]string
	for _, r := range shown(t, dir, kommune, dataset) {
		if r["cpr"] == cpr {
			own = append(own, r)
		}
	}
	return own
}

// TestSkippedCPRFile: a hole in the chain of PRODDTOFORRIG stops the feed; a reason goes past it,
// and is recorded.
func TestSkippedCPRFile(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.flis(
		0,
		"feed",
		"cpr",
		w.write("1", cprExtract("2026-03-01", "", cprResident(anna, "0101", "202001011200")...)),
		"--layout",
		"A",
	)
	third := w.write(
		"3",
		cprExtract("2026-03-03", "2026-03-02", cprResident(bent, "0101", "202001011200")...),
	)
	says(
		t,
		w.flis(1, "feed", "cpr", third, "--layout", "A"),
		"a file is missing",
		"2026-03-02",
		"2026-03-01",
		"feed the missing file first",
		"--gap",
	)
	w.run()
	require.Empty(t, shownOf(t, w.dir, "0101", "borger.person", bent))
	w.flis(0, "feed", "cpr", third, "--layout", "A", "--gap", "CPR-kontoret has lost it")
	w.run()
	require.NotEmpty(t, shownOf(t, w.dir, "0101", "borger.person", bent))
	require.Contains(
		t,
		controlText(t, w.dir, "cpr"),
		"CPR-kontoret has lost it",
		"the gap is recorded",
	)
	fourth := w.write(
		"4",
		cprExtract("2026-03-04", "2026-03-03", cprResident(carl, "0101", "202001011200")...),
	)
	w.flis(0, "feed", "cpr", fourth, "--layout", "A")
	says(t, w.flis(0, "feed", "cpr", fourth, "--layout", "A"), "nothing sent")
	older := w.write(
		"2",
		cprExtract("2026-03-02", "2026-03-01", cprResident(dora, "0101", "202001011200")...),
	)
	says(t, w.flis(1, "feed", "cpr", older, "--layout", "A"), "2026-03-02", "2026-03-04", "--gap")
	w.run()
	w.quiet(anna, bent, carl, dora)
}

// controlText is all values of a system's control topic, while no flis runs.
func controlText(t *testing.T, dir, system string) string {
	t.Helper()
	var text strings.Builder
	withBroker(t, dir, func(ctx context.Context, c *kafka.Client) {
		topic := schemas.RawTopic(schemas.System(system), schemas.ControlEvent)
		first, end, err := c.Bounds(ctx, topic, 0)
		require.NoError(t, err)
		for ; first < end; first++ {
			r, err := c.ReadAt(ctx, topic, 0, first)
			require.NoError(t, err)
			text.Write(r.Value)
		}
	})
	return text.String()
}

// withBroker serves an installation's broker folder while no flis runs.
func withBroker(t *testing.T, dir string, do func(context.Context, *kafka.Client)) {
	t.Helper()
	b, err := broker.Start(filepath.Join(dir, "broker"), broker.Options{NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	c, err := kafka.Dial(t.Context(), []string{b.Addr()}, kafka.Options{})
	require.NoError(t, err)
	defer c.Close()
	do(t.Context(), c)
}

// TestBadCPRUnits: a bad person parks that person alone.
func TestBadCPRUnits(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	var lines []string
	lines = append(lines, cprResident(anna, "0101", "202013011200")...) // month 13
	tooLong := cprResident(bent, "0101", "202001011200")
	tooLong[0] += strings.Repeat(" ", 106-len(tooLong[0])) + "X"
	lines = append(lines, tooLong...)
	lines = append(lines, cprResident(carl, "0999", "202001011200")...) // nobody's municipality
	lines = append(lines, cprResident(dora, "0101", "202001011200")[1:]...)
	lines = append(lines, cprResident(emil, "0101", "202001011200")...)
	file := w.write("f", cprExtract("2026-03-01", "", lines...))
	w.flis(0, "feed", "cpr", file, "--layout", "A")
	w.run()
	w.parked("cpr", "-1 ", "DATE 002.TILFLYDTO: ", "a day of the calendar")
	w.parked("cpr", "-2 ", "LAYOUT 001: ", "at most 106 characters")
	w.parked("cpr", "-4 ", "LAYOUT 001: ", "one record 001, this one 0")
	require.Contains(t, w.flis(0, "parked", "list"), "3 records parked: DATE 1, LAYOUT 2")
	for _, cpr := range []string{anna, bent, carl, dora} {
		for _, d := range cprDatasets {
			require.Empty(t, shownOf(t, w.dir, "0101", d, cpr), "nothing partial stays")
		}
	}
	require.Len(t, shownOf(t, w.dir, "0101", "borger.adresse", emil), 1, "the next one goes on")
	said := w.flis(3, "check", "cpr", file, "--layout", "A")
	says(
		t,
		said,
		"unit 1",
		"002.TILFLYDTO",
		"to mend: correct the date",
		"unit 2",
		"unit 4",
		"DATE 1, LAYOUT 2",
	)
	require.NotContains(t, said, "unit 3", "a municipality that nobody knows parks nothing")
	mended := w.write(
		"m",
		cprExtract("2026-03-02", "2026-03-01", cprResident(anna, "0101", "202012011200")...),
	)
	w.flis(0, "feed", "cpr", mended, "--layout", "A")
	w.run()
	require.Len(t, shownOf(t, w.dir, "0101", "borger.adresse", anna), 1)
	w.quiet(anna, bent, carl, dora, emil)
}

// eventLine is a CloudEvent of a push system on a line.
func eventLine(t *testing.T, id, source, kind string, data any) string {
	t.Helper()
	b, err := json.Marshal(
		map[string]any{"specversion": "1.0", "id": id, "source": source, "type": kind,
			"time": time.Now().UTC().Format(time.RFC3339), "data": data},
	)
	require.NoError(t, err)
	return string(b) + "\n"
}

// nexusGrant is a grant of kmd-nexus, with what a case changes.
func nexusGrant(id int, pnr string, change map[string]any) map[string]any {
	g := map[string]any{
		"grantId":           id,
		"patientIdentifier": pnr[:6] + "-" + pnr[6:],
		"organisationSor":   sor0101,
		"paragraph":         map[string]any{"law": "SEL", "section": "83"},
		"catalogCode":       "PERSONLIG",
		"workflowState":     "ACTIVE",
		"validity":          map[string]any{"from": "2025-01-01T00:00:00+01:00", "to": nil},
		"amount":            map[string]any{"minutes": 60, "every": "WEEK"},
		"supplier":          map[string]any{"cvr": nil, "kind": "MUNICIPAL"},
	}
	for k, v := range change {
		g[k] = v
	}
	return g
}

const (
	nexus0101 = "//kmd-nexus/" + sor0101
	grantType = "grant"
)

// TestBadEvents: each bad line of a vendor's file is parked whole, by run as check foretold; the
// good ones go on.
func TestBadEvents(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	grant := func(id int, source string, change map[string]any) string {
		return eventLine(t, fmt.Sprintf("g-%02d", id), source, grantType, nexusGrant(id, anna, change))
	}
	cases := []struct {
		line  string
		words []string
	}{
		{grant(10, nexus0101, map[string]any{"organisationSor": "99909990000016"}),
			[]string{"CODE", "organisationSor"}},
		{grant(11, "//kmd-nexus/99909990000016", nil), []string{"CODE", "ce_source"}},
		{grant(12, nexus0101, map[string]any{"supplier": map[string]any{"cvr": nil, "kind": "ALIEN"}}),
			[]string{"CODE", "supplier.kind"}},
		{grant(13, "//kmd-nexus/"+sor0751, map[string]any{"organisationSor": sor0751}),
			[]string{"TENANT", "ce_source"}},
		{
			grant(14, nexus0101, map[string]any{"organisationSor": sor0183}),
			[]string{"TENANT", "organisationSor"},
		},
		{grant(15, nexus0101, map[string]any{
			"validity": map[string]any{"from": "2025-02-30T00:00:00+01:00", "to": nil}}),
			[]string{"DATE", "validity.from"}},
		{
			grant(16, nexus0101, map[string]any{"grantId": "sixteen"}),
			[]string{"|g-16 ", "DECODE data.grantId"},
		},
		{grant(17, "//cura/"+gln0461, nil), []string{"ENVELOPE", "ce_source"}},
		{
			grant(18, nexus0101, map[string]any{"patientIdentifier": "no-number"}),
			[]string{"patientIdentifier"},
		},
		{
			`{"specversion":"1.0","id":"broken-1","source":"` + nexus0101 + `","type":"grant","data":{"grantId":` + "\n",
			[]string{"ENVELOPE"},
		},
		{"no JSON at all of " + anna + "\n", []string{"ENVELOPE"}},
		{eventLine(t, "t-1", nexus0101, "telepathy", map[string]any{"x": 1}), []string{"ENVELOPE"}},
	}
	text := grant(1, nexus0101, nil)
	for _, c := range cases {
		text += c.line
	}
	text += grant(2, nexus0101, nil)
	file := w.write("events.jsonl", text)
	checked := w.flis(3, "check", "kmd-nexus", file)
	fed := w.flis(3, "feed", "kmd-nexus", file)
	for _, line := range []int{8, 11, 12, 13} {
		says(t, fed, fmt.Sprintf("line %d", line))
	}
	w.run()
	list := w.flis(0, "parked", "list")
	for _, c := range cases {
		w.parked(append(c.words, "kmd-nexus", "raw.kmd-nexus.grant.v1/0/")...)
	}
	require.Contains(t, list, fmt.Sprintf("%d records parked", len(cases)))
	says(
		t,
		checked,
		"14 records: 2 accepteret, 0 advarsel, 0 ignoreret, 0 delvist_parkeret, 12 parkeret",
	)
	for line, code := range map[int]string{2: "CODE", 3: "CODE", 4: "CODE", 5: "TENANT", 6: "TENANT", 7: "DATE",
		8: "DECODE", 9: "ENVELOPE", 10: "CODE", 11: "ENVELOPE", 12: "ENVELOPE", 13: "ENVELOPE"} {
		_, rest, _ := strings.Cut(checked, fmt.Sprintf("line %d ", line))
		rest, _, _ = strings.Cut(rest, "\nline ")
		says(t, rest, code, "; to mend: ")
	}
	rows := shown(t, w.dir, "0101", "aeldre.visiteret_tid")
	require.Len(t, rows, 2, "the good ones before and after, nothing of the others")
	w.quiet(anna)
}

// TestSystemWithoutAgreement: a system that no agreement names is told so when it is fed.
func TestSystemWithoutAgreement(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.write("aftaler.yaml", "format: 1\naftaler:\n"+
		"  - {kommune: \"0101\", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n")
	file := w.write("e.jsonl", eventLine(t, "g-1", nexus0101, grantType, nexusGrant(1, anna, nil)))
	says(t, w.flis(3, "check", "kmd-nexus", file), "TENANT", "agreement")
	says(t, w.flis(0, "feed", "kmd-nexus", file), "no agreement")
	w.run()
	w.quiet(anna)
}

// head is the envelope of an event that is stated after everything that was fed.
func head(id, source, kind string) []kafka.Header {
	at := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
	return []kafka.Header{
		{Name: "ce_id", Value: []byte(id)},
		{Name: "ce_source", Value: []byte(source)},
		{Name: "ce_type", Value: []byte(kind)},
		{Name: "ce_time", Value: []byte(at)},
	}
}

// avroText writes an Avro string.
func avroText(b []byte, s string) []byte {
	return append(avrolong.AppendVarint(b, int64(len(s))), s...)
}

// sendBadBytes publishes good records, changed, and nulls.
func (w *badWorld) sendBadBytes() {
	t := w.t
	grants, documents := "raw.kmd-nexus.grant.v1", "raw.cura.borgerdokument.v1"
	withBroker(t, w.dir, func(ctx context.Context, c *kafka.Client) {
		r, err := c.ReadAt(ctx, grants, 0, 0)
		require.NoError(t, err)
		grant := bytes.Clone(r.Value)
		r, err = c.ReadAt(ctx, documents, 0, 0)
		require.NoError(t, err)
		document := bytes.Clone(r.Value)
		foreign := bytes.Clone(grant)
		copy(foreign[1:5], []byte{0x7f, 0xff, 0xff, 0xf0})
		stolen := bytes.Clone(grant)
		copy(stolen[1:5], document[1:5])
		begin := avrolong.AppendVarint(avroText(avroText(document[:5:5], bent), gln0461), 2)
		huge := append(
			avrolong.AppendVarint(begin[:len(begin):len(begin)], 1<<31),
			bytes.Repeat([]byte{0}, 64)...)
		block := append(
			avrolong.AppendVarint(avrolong.AppendVarint(begin[:len(begin):len(begin)], -(1<<31)), 1<<40),
			0,
		)
		text := append(avrolong.AppendVarint(document[:5:5], 1<<31), "short"...)
		negative := append(avrolong.AppendVarint(document[:5:5], -5), "short"...)
		nexus := func(id string) []kafka.Header { return head(id, nexus0101, grantType) }
		curaHead := func(id string) []kafka.Header { return head(id, "//cura/"+gln0461, "borgerdokument") }
		null := append(nexus("null-1"), kafka.Header{Name: "flis_kommune", Value: []byte("0101")})
		require.NoError(t, kafka.NewProducer(c).Send(ctx, []kafka.Message{
			{Topic: grants, Key: []byte("9"), Value: foreign, Headers: nexus("foreign")},
			{Topic: grants, Key: []byte("9"), Value: stolen, Headers: nexus("stolen")},
			{Topic: grants, Key: []byte("9"), Value: grant[5:], Headers: nexus("bare")},
			{Topic: grants, Key: []byte("9"), Value: []byte{}, Headers: nexus("empty")},
			{
				Topic:   grants,
				Key:     []byte("9"),
				Value:   append(bytes.Clone(grant), 0, 0),
				Headers: nexus("trailing"),
			},
			{Topic: grants, Key: []byte("9"), Value: grant[:len(grant)-9], Headers: nexus("cut")},
			{Topic: grants, Key: []byte("1"), Value: nil, Headers: null},
			{Topic: grants, Key: []byte("2"), Value: nil, Headers: nil},
			{Topic: grants, Key: nil, Value: nil, Headers: append(nexus("null-2"), null[4])},
			{Topic: documents, Key: []byte("9"), Value: huge, Headers: curaHead("huge")},
			{Topic: documents, Key: []byte("9"), Value: block, Headers: curaHead("block")},
			{Topic: documents, Key: []byte("9"), Value: text, Headers: curaHead("text")},
			{Topic: documents, Key: []byte("9"), Value: negative, Headers: curaHead("negative")},
		}))
	})
}

// TestBadBytes sends records that no feed of ours would: each is parked by its code, the delete
// deletes, and the memory of the process stays small.
func TestBadBytes(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	grantLine := func(id int) string {
		return eventLine(t, fmt.Sprintf("g-%d", id), nexus0101, grantType, nexusGrant(id, anna, nil))
	}
	w.flis(0, "feed", "kmd-nexus", w.write("n.jsonl", grantLine(1)+grantLine(2)))
	cura := map[string]any{"borgerCpr": bent, "kommuneGln": gln0461, "version": 1, "ydelser": []any{},
		"boliger": []any{}, "besoeg": []any{}, "leveret": []any{}}
	w.flis(
		0,
		"feed",
		"cura",
		w.write("c.jsonl", eventLine(t, "d-1", "//cura/"+gln0461, "borgerdokument", cura)),
	)
	w.run()
	require.Len(t, shown(t, w.dir, "0101", "aeldre.visiteret_tid"), 2)

	w.sendBadBytes()
	path, err := binary()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, "normalise", "--once", "--dir", w.dir)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	w.said.Write(said)
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	require.Less(t, peak, int64(400<<10), "KiB of memory at most, the embedded broker with it")
	w.run()
	for id, code := range map[string]string{"foreign": "SCHEMA", "stolen": "SCHEMA", "bare": "SCHEMA",
		"empty": "SCHEMA", "trailing": "DECODE", "cut": "DECODE", "null-2": "ENVELOPE"} {
		w.parked("kmd-nexus", "|"+id+" ", " "+code)
	}
	w.parked("kmd-nexus", "ENVELOPE ce_id", "ENVELOPE flis_kommune")
	for _, id := range []string{"block", "text", "negative"} {
		w.parked("cura", "|"+id+" ", " DECODE")
	}
	w.parked("cura", "|huge ", " BUDGET")
	rows := shown(t, w.dir, "0101", "aeldre.visiteret_tid")
	require.Len(t, rows, 1, "the delete with its headers deletes, that without does not")
	require.Contains(t, rows[0]["visitation_id"], "2")
	w.flis(0, "feed", "kmd-nexus", w.write("n3.jsonl", grantLine(3)))
	w.run()
	require.Len(t, shown(t, w.dir, "0101", "aeldre.visiteret_tid"), 2, "the next one goes on")
	w.quiet(anna, bent)
}
