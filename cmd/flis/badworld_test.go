package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/streams/broker"
)

// oneLine wants an error of one line on standard error, with all of the words.
func (w *badWorld) oneLine(code int, words []string, args ...string) {
	w.t.Helper()
	out, errOut, got := flis(w.t, append(args, "--dir", w.dir)...)
	w.said.WriteString(out + errOut)
	require.Equal(w.t, code, got, "flis %s\n%s%s", strings.Join(args, " "), out, errOut)
	require.Equal(w.t, 1, strings.Count(errOut, "\n"), "one clear line, not\n%s", errOut)
	says(w.t, errOut, words...)
}

// feedPeople feeds a chain's file of one day: the persons live in 0101.
func (w *badWorld) feedPeople(day, previous string, pnrs ...string) {
	w.t.Helper()
	var lines []string
	for _, p := range pnrs {
		lines = append(lines, cprResident(p, "0101", "202001011200")...)
	}
	w.flis(0, "feed", "cpr", w.write("in", cprExtract(day, previous, lines...)), "--layout", "A")
}

// TestFullDisk fills the disk of an installation: run stops with a line that names the disk, and
// goes on exactly when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := onSmallDisk(t)
	w.feedPeople("2026-03-01", "", anna, bent)
	w.flis(0, "run", "--once")
	for day := range 2 { // room for a file or two, and for none
		numbers := []string{fmt.Sprintf("66%02d70%04d", day+1, 1), fmt.Sprintf("66%02d70%04d", day+1, 2)}
		w.feedPeople(fmt.Sprintf("2026-03-%02d", day+2), fmt.Sprintf("2026-03-%02d", day+1), numbers...)
		ballast := w.fill(int64(40<<10) * int64(1-day))
		out, errOut, code := flis(t, "run", "--once", "--dir", w.dir)
		require.Equal(t, 1, code, "%s%s", out, errOut)
		require.Equal(t, 1, strings.Count(errOut, "\n"), "one clear line, not\n%s", errOut)
		says(t, errOut, "no space left on device", "the disk is full; make room", w.dir)
		require.NoError(t, os.Remove(ballast))
		w.run()
		for _, n := range numbers {
			require.Len(t, shownOf(t, w.dir, "0101", "borger.person", n), 1)
		}
	}
	ballast := w.fill(0)
	file := filepath.Join(t.TempDir(), "f")
	var many []string
	for i := range 100 { // more than what is left of the last page
		many = append(many, cprResident(fmt.Sprintf("670270%04d", i), "0101", "202001011200")...)
	}
	many = append(many, cprResident(carl, "0101", "202001011200")...)
	require.NoError(
		t,
		os.WriteFile(file, []byte(cprExtract("2026-03-04", "2026-03-03", many...)), 0o600),
	)
	w.oneLine(1, []string{"disk"}, "feed", "cpr", file, "--layout", "A")
	require.NoError(t, os.Remove(ballast))
	w.flis(0, "feed", "cpr", file, "--layout", "A")
	w.run()
	require.Len(t, shownOf(t, w.dir, "0101", "borger.person", carl), 1)
	w.quiet(anna, bent, carl)
}

// onSmallDisk is a world on a disk of its own, of few bytes.
func onSmallDisk(t *testing.T) *badWorld {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small disk")
	}
	w := newBadWorld(t)
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=8m"); err != nil {
		t.Skip("no small disk can be mounted: ", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(small, 0)) })
	agreements, err := os.ReadFile(filepath.Join(w.dir, "aftaler.yaml"))
	require.NoError(t, err)
	w.dir = small
	w.write("aftaler.yaml", string(agreements))
	w.write("flis.yaml", "dir: .\nagreements: aftaler.yaml\nkafka: {partitions: 1, patience: 1s}\n")
	return w
}

// fill takes all room of the disk but some bytes, and gives the file that takes it.
func (w *badWorld) fill(leave int64) string {
	w.t.Helper()
	path := filepath.Join(w.dir, "ballast")
	f, err := os.Create(path)
	require.NoError(w.t, err)
	_, err = io.Copy(f, zeros{})
	require.ErrorIs(w.t, err, syscall.ENOSPC)
	info, err := f.Stat()
	require.NoError(w.t, err)
	require.NoError(w.t, f.Truncate(info.Size()-leave))
	require.NoError(w.t, f.Close())
	return path
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// TestUnreachableBroker: no broker at the address.
func TestUnreachableBroker(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().String()
	require.NoError(t, l.Close())
	w := newBadWorld(t)
	w.write("flis.yaml",
		fmt.Sprintf("dir: .\nagreements: aftaler.yaml\nkafka: {brokers: [%q], patience: 1s}\n", closed))
	began := time.Now()
	for _, verb := range [][]string{{"run", "--once"}, {"run"}, {"normalise", "--once"}} {
		w.oneLine(1, []string{closed, "kafka does not answer"}, verb...)
	}
	require.Less(t, time.Since(began), 20*time.Second)
	says(t, w.flis(0, "status"), closed)
}

// TestBrokerGoesAwayAndComesBack ends the broker under a run that follows, and starts it again: the
// run goes on.
func TestBrokerGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	folder := t.TempDir()
	b, err := broker.Start(folder, broker.Options{NoSync: true})
	require.NoError(t, err)
	w.write("flis.yaml", fmt.Sprintf(
		"dir: .\nagreements: aftaler.yaml\nkafka:\n  brokers: [%q]\n  partitions: 1\n  patience: 2s\n",
		b.Addr(),
	))
	w.feedPeople("2026-03-01", "", anna)
	w.run()
	path, err := binary()
	require.NoError(t, err)
	c := exec.CommandContext(context.WithoutCancel(t.Context()), path, "run", "--dir", w.dir)
	var said lockedBuffer
	c.Stdout, c.Stderr = &said, &said
	require.NoError(t, c.Start())
	time.Sleep(500 * time.Millisecond)
	require.NoError(t, b.Close())
	err = c.Wait()
	require.Error(t, err)
	require.Equal(t, 1, c.ProcessState.ExitCode(), said.String())
	says(t, said.String(), "kafka does not answer", b.Addr())
	require.Equal(t, 1, strings.Count(said.String(), "flis: "), said.String())
	b, err = broker.Start(folder, broker.Options{NoSync: true})
	require.NoError(t, err)
	w.feedPeople("2026-03-02", "2026-03-01", bent)
	w.run()
	require.Len(t, shownOf(t, w.dir, "0101", "borger.person", bent), 1)
	require.NoError(t, b.Close())
}

// lockedBuffer takes what a process says.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestBrokerMadeAnew takes the embedded broker's folder away: what it held before is journalled,
// but positions of another broker say nothing, so run stops.
func TestBrokerMadeAnew(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.feedPeople("2026-03-01", "", anna)
	w.run()
	require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "broker")))
	w.oneLine(1, []string{"raw.cpr.person.v1", "made anew"}, "run", "--once")
	w.oneLine(1, []string{"raw.cpr.person.v1", "made anew"}, "run", "--once")
	require.Len(t, shownOf(t, w.dir, "0101", "borger.person", anna), 1, "what was closed can be read")
	mustFlis(t, "run", "--once", "--gap", "the disk of the broker was lost", "--dir", w.dir)
	w.feedPeople("2026-03-02", "2026-03-01", carl)
	w.run()
	require.Len(
		t,
		shownOf(t, w.dir, "0101", "borger.person", carl),
		1,
		"the new broker is read from its beginning",
	)
	require.Contains(t, mustFlis(t, "audit", "--dir", w.dir), "the disk of the broker was lost")
}

// TestTopicMadeAnew deletes the topics of the same broker; run makes them anew.
func TestTopicMadeAnew(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.feedPeople("2026-03-01", "", anna)
	w.run()
	require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "broker", "log"))) // its cluster.id stays
	w.oneLine(1, []string{"raw.cpr.person.v1", "made anew"}, "run", "--once")
	require.Len(t, shownOf(t, w.dir, "0101", "borger.person", anna), 1)
}

// TestRecordsGone trims what was not journalled yet.
func TestRecordsGone(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.feedPeople("2026-03-01", "", anna, bent)
	w.run()
	for day, pnr := range map[string]string{"2026-03-02": carl} {
		w.feedPeople(day, "2026-03-01", pnr, dora, emil)
	}
	b, err := broker.Start(filepath.Join(w.dir, "broker"), broker.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, b.Trim(t.Context(), "raw.cpr.person.v1", 0, 4)) // 2 and 3 were not read
	require.NoError(t, b.Close())
	w.oneLine(1, []string{"raw.cpr.person.v1/0", "offsets 2 to 3", "gone"}, "run", "--once")
	require.Empty(t, shownOf(t, w.dir, "0101", "borger.person", emil), "nothing is read past the hole")
	out := mustFlis(t, "run", "--once", "--gap", "the test removed them", "--dir", w.dir)
	require.Contains(t, out, "gap recorded")
	require.Len(t, shownOf(t, w.dir, "0101", "borger.person", emil), 1, "the stream goes on")
	require.Contains(t, mustFlis(t, "audit", "--dir", w.dir), "the test removed them")
	w.quiet(anna, bent, carl, dora, emil)
}

// TestForgottenRecords trims only what was journalled: that is no hole.
func TestForgottenRecords(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.feedPeople("2026-03-01", "", anna, bent)
	w.run()
	w.feedPeople("2026-03-02", "2026-03-01", carl)
	b, err := broker.Start(filepath.Join(w.dir, "broker"), broker.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, b.Trim(t.Context(), "raw.cpr.person.v1", 0, 2))
	require.NoError(t, b.Close())
	w.run()
	require.Len(t, shownOf(t, w.dir, "0101", "borger.person", carl), 1)
}

// flip changes one bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEmpty(t, b)
	b[len(b)/2] ^= 1
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

// files are those of a pattern below the world's folder, in order of name.
func (w *badWorld) files(pattern string) []string {
	w.t.Helper()
	all, err := filepath.Glob(filepath.Join(w.dir, pattern))
	require.NoError(w.t, err)
	require.NotEmpty(w.t, all, pattern)
	return all
}

// TestFlippedBits damages one file after the other: nothing of it is read as data, and its name is
// said.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.feedPeople("2026-03-01", "", anna)
	w.run()
	w.feedPeople("2026-03-02", "2026-03-01", bent)
	w.run()
	table := newestOf(t, w.files("levering/kommune=0101/borger/adresse/*.parquet"))
	w.whileFlipped(table, func(w *badWorld) {
		w.oneLine(
			1,
			[]string{filepath.Base(table), "nothing of it was read"},
			"show",
			"0101",
			"borger.adresse",
		)
		says(w.t, w.flis(1, "audit"), "DIFFERENCE", filepath.Base(table))
		require.Len(w.t, shown(w.t, w.dir, "0101", "borger.person"), 2, "another table can be read")
	})
	journal := w.files("intern/journal/cpr/*.parquet")[0]
	w.whileFlipped(journal, func(w *badWorld) {
		says(w.t, w.flis(1, "audit"), "DIFFERENCE", filepath.Base(journal))
		w.oneLine(1, []string{filepath.Base(journal)}, "parked", "list")
	})
	for _, c := range w.files("levering/bevis/0101/borger/*.json") {
		w.whileFlipped(c, func(w *badWorld) {
			says(w.t, w.flis(1, "audit"), "DIFFERENCE", "0101/borger")
		})
	}
	entry := w.files("intern/journal/cpr/_delta_log/*.json")[0]
	w.whileFlipped(entry, func(w *badWorld) {
		says(w.t, w.flis(1, "audit"), "cpr")
	})
	w.flis(0, "audit")
	w.quiet(anna, bent)
}

// newestOf is the file that was written last.
func newestOf(t *testing.T, files []string) string {
	t.Helper()
	slices.SortFunc(files, func(a, b string) int {
		x, err := os.Stat(a)
		require.NoError(t, err)
		y, err := os.Stat(b)
		require.NoError(t, err)
		return x.ModTime().Compare(y.ModTime())
	})
	return files[len(files)-1]
}

// whileFlipped damages a file, and puts it back as it was.
func (w *badWorld) whileFlipped(path string, do func(*badWorld)) {
	w.t.Helper()
	rel, err := filepath.Rel(w.dir, path)
	require.NoError(w.t, err)
	w.t.Run(rel, func(t *testing.T) {
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		flip(t, path)
		defer func() { require.NoError(t, os.WriteFile(path, before, 0o600)) }()
		do(w.in(t))
	})
}

// TestMissingCertificates takes a certificate out of the middle of its chain, and puts an old one
// in the place of the newest.
func TestMissingCertificates(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.feedPeople("2026-03-01", "", anna)
	w.run()
	w.feedPeople("2026-03-02", "2026-03-01", bent)
	w.run()
	w.feedPeople("2026-03-03", "2026-03-02", carl)
	w.run()
	chain := w.files("levering/bevis/0101/borger/????????.json")
	require.GreaterOrEqual(t, len(chain), 3)
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		return b
	}
	middle := read(chain[1])
	require.NoError(t, os.Remove(chain[1]))
	says(t, w.flis(1, "audit"), "DIFFERENCE", "0101", "2")
	require.NoError(t, os.WriteFile(chain[1], middle, 0o600))
	w.flis(0, "audit")

	last := chain[len(chain)-1]
	newest := read(last)
	require.NoError(t, os.WriteFile(last, read(chain[0]), 0o600))
	says(t, w.flis(1, "audit"), "0101")
	_, errOut, code := flis(t, "show", "0101", "borger.person", "--dir", w.dir)
	require.Equal(t, 1, code, "a certificate in another's place is not read: %s", errOut)
	require.NoError(t, os.WriteFile(last, newest, 0o600))
	require.NoError(t, os.Remove(last))
	says(t, w.flis(1, "audit"), "open", "0101/borger: close 3 is begun and has no certificate",
		"DIFFERENCE", "0101/status", "00000003.json")
	require.NoError(t, os.WriteFile(last, newest, 0o600))
	w.run()
	w.quiet(anna, bent, carl)
}

// TestTwoRunsAtOnce: of several at the same time on one folder each does the whole work; nothing
// doubles.
func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	w.feedPeople("2026-03-01", "", anna, bent)
	type end struct {
		said string
		code int
	}
	ends := make(chan end, 3)
	for range cap(ends) {
		go func() {
			out, errOut, code := flis(t, "run", "--once", "--dir", w.dir)
			ends <- end{out + errOut, code}
		}()
	}
	for range cap(ends) {
		e := <-ends
		require.Zero(t, e.code, e.said)
	}
	w.run()
	require.Len(t, shownOf(t, w.dir, "0101", "borger.person", anna), 1)

	path, err := binary()
	require.NoError(t, err)
	c := exec.CommandContext(context.WithoutCancel(t.Context()), path, "run", "--dir", w.dir)
	require.NoError(t, c.Start())
	time.Sleep(300 * time.Millisecond)
	w.feedPeople("2026-03-02", "2026-03-01", carl)
	w.flis(0, "run", "--once")
	require.NotEmpty(
		t,
		shownOf(t, w.dir, "0101", "borger.person", carl),
		"beside a running flis, its broker is found",
	)
	require.NoError(t, c.Process.Signal(syscall.SIGKILL))
	_ = c.Wait()
	w.run()
}

// TestConfigurationErrors: each says the file, the line and what is wanted, before anything is
// done.
func TestConfigurationErrors(t *testing.T) {
	t.Parallel()
	// changed is agreements whose second entry, on line 4, has something else in the place of what
	// is right.
	changed := func(right, wrong string) string {
		first := "  - {kommune: \"0101\", omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n"
		second := strings.Replace(first, "0101", "0183", 1)
		require.Contains(t, second, right)
		return "format: 1\naftaler:\n" + first + strings.Replace(second, right, wrong, 1)
	}
	for name, c := range map[string]struct {
		config, agreements string
		env                []string
		words              []string
	}{
		"unknown key": {config: "dir: .\ncolour: red\n", words: []string{"flis.yaml:2", "colour"}},
		"unknown inner key": {config: "dir: .\nkafka:\n  brokers: []\n  color: red\n",
			words: []string{"flis.yaml:4", "color"}},
		"wrong kind": {config: "dir: .\nkafka:\n  partitions: many\n", words: []string{"flis.yaml:3", "integer"}},
		"no YAML":    {config: "dir: [\n", words: []string{"flis.yaml:1"}},
		"partitions": {config: "dir: .\nkafka:\n  partitions: 0\n", words: []string{"kafka.partitions"}},
		"patience":   {config: "dir: .\nkafka:\n  patience: long\n", words: []string{"kafka.patience", "30s"}},
		"layout": {config: "dir: .\ncpr:\n  layouts: {\"110101\": \"Z\"}\n",
			words: []string{"cpr.layouts", "A-UUID"}},
		"code without quotes": {agreements: changed(`"0183"`, `0183`), words: []string{"quotes"}},
		"bad date": {agreements: changed("dagligt}", `dagligt, fra: "2026-02-30"}`),
			words: []string{"fra", "yyyy-mm-dd"}},
		"unknown area":         {agreements: changed("borger", "borgre"), words: []string{"borgre"}},
		"unknown dataset":      {agreements: changed("bevis", "datasaet: [adrese], bevis"), words: []string{"adrese"}},
		"unknown system":       {agreements: changed("cpr", "crp"), words: []string{"crp", "cpr, cura"}},
		"unknown municipality": {agreements: changed("0183", "0999"), words: []string{"0999"}},
		"unknown proof":        {agreements: changed("fil", "tro"), words: []string{"tro", "kontroltal"}},
		"unknown word":         {agreements: changed("dagligt}", `dagligt, frsit: "05:30"}`), words: []string{"frsit"}},
		"overlap":              {agreements: changed("0183", "0101"), words: []string{"0101", "same time"}},
		"unknown variable": {env: []string{"FLIS_COLOUR=red"},
			words: []string{"FLIS_COLOUR", "FLIS_KAFKA_BROKERS"}},
		"wrong kind, variable": {env: []string{"FLIS_KAFKA_PARTITIONS=many"}, words: []string{"partitions"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBadWorld(t)
			if c.config != "" {
				w.write("flis.yaml", c.config)
			}
			if c.agreements != "" {
				w.write("aftaler.yaml", c.agreements)
				c.words = append(c.words, "aftaler.yaml:4")
			}
			out, errOut, code := flisEnv(t, c.env, "run", "--once", "--dir", w.dir)
			require.Equal(t, 2, code, "%s%s", out, errOut)
			says(t, errOut, c.words...)
			entries, err := os.ReadDir(w.dir)
			require.NoError(t, err)
			require.Len(t, entries, 2, "nothing was done")
		})
	}
}

// TestUnknownNames: a name that is not there is a matter of usage, and what there is, is said.
func TestUnknownNames(t *testing.T) {
	t.Parallel()
	w := newBadWorld(t)
	file := w.write("f", "x\n")
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"feed", "crp", file}, []string{"crp", "cpr", "kmd-nexus"}},
		{[]string{"check", "crp", file}, []string{"crp", "cpr", "kmd-nexus"}},
		{[]string{"check", "cura/visit", file}, []string{"cura/visit", "borgerdokument"}},
		{[]string{"show", "0101", "borger.adrese"}, []string{"borger.adrese", "borger.adresse"}},
		{[]string{"show", "101", "borger.adresse"}, []string{"101"}},
		{[]string{"show", "0999", "borger.adresse"}, []string{"0999"}},
		{[]string{"show", "0101", "borger.adresse", "--as-of", "2026-02-30"}, []string{"--as-of"}},
		{[]string{"explain", "0101", "borger.adrese", anna}, []string{"borger.adrese"}},
		{[]string{"parked", "show", "crp", "raw.cpr.person.v1/0/0"}, []string{"crp"}},
		{[]string{"parked", "show", "cpr", "first"}, []string{"STREAM/OFFSET"}},
		{[]string{"parked", "list", "--kommune", "1"}, []string{"--kommune"}},
		{[]string{"close", "--once", "--area", "borgre"}, []string{"borgre"}},
		{[]string{"frobnicate"}, []string{"frobnicate"}},
		{[]string{"run", "--twice"}, []string{"--twice"}},
		{[]string{"feed", "cpr"}, []string{"flis feed --help"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			out, errOut, code := flis(t, append(c.args, "--dir", w.dir)...)
			require.Equal(t, 2, code, "%s%s", out, errOut)
			says(t, errOut, c.words...)
		})
	}
}
