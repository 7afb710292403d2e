package main_test

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadingVerbs looks at the demo with every verb that reads.
func TestReadingVerbs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "flis-demo")
	mustFlis(t, "demo", "--dir", dir)
	for name, test := range map[string]func(*testing.T, string){"show": testShow,
		"show refuses": testShowRefuses,
		"damage":       testShowDamage, "explain": testExplain, "parked": testParked,
		"check":         testCheck,
		"check refuses": testCheckRefuses} {
		t.Run(name, func(t *testing.T) { test(t, dir) })
	}
}

func testShow(t *testing.T, dir string) {
	const dataset = "borger.adresse"
	now := shown(t, dir, "0101", dataset)
	require.NotEmpty(t, now)
	rows, err := csv.NewReader(strings.NewReader(mustFlis(t, "show", "0101", dataset, "--dir", dir,
		"--format",
		"csv"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+len(now))
	for i, r := range rows[1:] {
		for c, name := range rows[0] {
			require.Equal(t, now[i][name], r[c], name)
		}
	}
	text := mustFlis(t, "show", "0101", dataset, "--dir", dir)
	require.Regexp(t, `^borger\.adresse of 0101 København: certificate 3, `+
		`leverance \d{4}-\d\d-\d\d, `, text)
	require.Regexp(t, `\n\n`+regexp.QuoteMeta(itoa(len(now)))+` rows\n$`, text)

	history := shown(t, dir, "0101", dataset, "--history")
	replaced := shown(t, dir, "0101", dataset, "--table", "historik")
	require.NotEmpty(t, replaced, "the story replaces rows")
	require.Len(t, history, len(now)+len(replaced))
	first := shown(t, dir, "0101", dataset, "--certificate", "1")
	require.Equal(t, withoutEnd(first), withoutEnd(shown(t, dir, "0101", dataset, "--known-at",
		first[0]["leverance"])))
	require.NotEqual(t, withoutEnd(first), withoutEnd(now))
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func withoutEnd(rows []map[string]string) []map[string]string {
	for _, r := range rows {
		delete(r, "registreret_til")
	}
	return rows
}

func testShowRefuses(t *testing.T, dir string) {
	for _, x := range []struct {
		code int
		says string
		args []string
	}{
		{2, "there is no such dataset; there are aeldre.besoeg, ", []string{"0101", "borger.adr"}},
		{2, "want four digits", []string{"101", "borger.adresse"}},
		{2, "the list of municipalities does not have it", []string{"0999", "borger.adresse"}},
		{2, "want yyyy-mm-dd", []string{"0101", "borger.adresse", "--as-of", "2026-02-30"}},
		{2, "want table, csv or json", []string{"0101", "borger.adresse", "--format", "xml"}},
		{2, "want current or historik", []string{"0101", "borger.adresse", "--table", "nu"}},
		{2, "accepts 2 arg(s)", []string{"0101"}},
		{1, "no certificate of number 99", []string{"0101", "borger.adresse", "--certificate",
			"99"}},
		{1, "no agreement says who delivers it", []string{"0147", "aeldre.besoeg"}},
	} {
		out, errOut, code := flis(t, append([]string{"show", "--dir", dir}, x.args...)...)
		require.Equal(t, x.code, code, "%v: %s", x.args, errOut)
		require.Contains(t, errOut, x.says)
		require.Empty(t, out)
	}
	out, errOut, code := flis(t, "show", "0101", "borger.adresse", "--dir", t.TempDir())
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "flis run --once")
	require.Empty(t, out)
}

func testShowDamage(t *testing.T, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "levering", "kommune=0825", "borger", "person",
		"*.parquet"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		whole, err := os.ReadFile(f)
		require.NoError(t, err)
		bad := append([]byte{}, whole...)
		bad[len(bad)/2] ^= 1
		require.NoError(t, os.WriteFile(f, bad, 0o600))
		defer func() { require.NoError(t, os.WriteFile(f, whole, 0o600)) }()
	}
	out, errOut, code := flis(t, "show", "0825", "borger.person", "--dir", dir, "--format", "csv")
	require.Equal(t, 1, code)
	require.Empty(t, out, "nothing of a damaged table is printed")
	require.Contains(t, errOut, "kommune=0825/borger/person")
	require.Contains(t, errOut, ".parquet")
	require.Contains(t, errOut, "restore the file from a copy")
}

func testExplain(t *testing.T, dir string) {
	replaced := shown(t, dir, "0101", "borger.adresse", "--table", "historik")[0]
	out := mustFlis(t, "explain", "0101", "borger.adresse", replaced["cpr"], "--dir", dir)
	_, id, _ := strings.Cut(replaced["haendelse_id"], "|")
	sum, unit, _ := strings.Cut(id, "-")
	require.Contains(t, out, "file    "+sum[:12]+", unit "+unit+"\n")
	require.Regexp(t, `record  raw\.cpr\.person\.v1/0/\d+, entry 0 of the journal of cpr, `, out)
	require.Regexp(t, `since   was taken back by the snapshot of raw\.cpr\.person\.v1/0/\d+ `+
		`\([0-9a-f]{12}, unit \d+\)`, out)
	require.NotContains(t, out, "not in the journal")

	for _, x := range []struct{ kommune, dataset, key string }{{"0101", "borger.personnummer",
		"cpr"},
		{"0101", "borger.person", "cpr"}, {"0751", "aeldre.visiteret_tid", "visitation_id"},
		{"0101", "aeldre.besoeg", "besoeg_id"}} {
		for i, r := range shown(t, dir, x.kommune, x.dataset, "--history") {
			if i%17 > 0 {
				continue
			}
			out := mustFlis(t, "explain", x.kommune, x.dataset, r[x.key], "--dir", dir)
			require.NotContains(t, out, "not in the journal", x.dataset)
			require.Contains(t, out, "  record  raw.", x.dataset)
		}
	}
	_, errOut, code := flis(t, "explain", "0101", "borger.adresse", "nobody", "--dir", dir)
	require.Equal(t, 1, code)
	require.Contains(t, errOut, "no row of the key")
	require.NotContains(t, errOut, "nobody", "a key may be a personal number")
	_, errOut, code = flis(t, "explain", "0101", "borger.adresse", "", "--dir", dir)
	require.Equal(t, 2, code, errOut)
}

func testParked(t *testing.T, dir string) {
	out := mustFlis(t, "parked", "list", "--dir", dir)
	require.Regexp(t, `(?m)^kmd-nexus  raw\.kmd-nexus\.grant\.v1/0/\d+  \d{4}-\d\d-\d\d  0101  `+
		`\S+  MAPPING paragraph\.section: `, out)
	require.Regexp(t, `\n\n1 record parked: MAPPING 1\n$`, out)
	where := strings.Fields(out)[1]
	whole := mustFlis(t, "parked", "show", "kmd-nexus", where, "--dir", dir)
	require.Contains(t, whole, "header     ce_type: grant\n")
	require.Contains(t, whole, "finding    MAPPING  paragraph.section: ")
	require.Contains(t, whole, "; to mend: ")
	_, value, ok := strings.Cut(whole, "as JSON by schema ")
	require.True(t, ok)
	_, value, _ = strings.Cut(value, "\n")
	var record map[string]any
	require.NoError(t, json.Unmarshal([]byte(value), &record))
	require.Contains(t, record, "patientIdentifier")
	require.NotContains(t, out, record["patientIdentifier"], "list shows no values")

	require.Equal(t, "nothing is parked\n", mustFlis(t, "parked", "list", "--dir", dir, "--kommune",
		"0461"))
	require.Equal(t, "nothing is parked\n", mustFlis(t, "parked", "list", "--dir", dir, "--day",
		"2020-01-01"))
	require.Equal(t, "nothing is parked\n", mustFlis(t, "parked", "list", "--dir", dir, "--system",
		"cpr"))
	for _, x := range []struct {
		code int
		says string
		args []string
	}{
		{2, "there are [cpr cura kmd-nexus vitae]", []string{"list", "--system", "nexus"}},
		{2, "want four digits", []string{"list", "--kommune", "101"}},
		{2, "want STREAM/OFFSET", []string{"show", "cura", "17"}},
		{1, "has no record", []string{"show", "cura", "raw.cura.borgerdokument.v1/0/100000"}},
		{1, "is not parked", []string{"show", "cura", "raw.cura.borgerdokument.v1/0/0"}},
	} {
		_, errOut, code := flis(t, append(append([]string{"parked"}, x.args...), "--dir", dir)...)
		require.Equal(t, x.code, code, "%v: %s", x.args, errOut)
		require.Contains(t, errOut, x.says)
	}
}

// delivered is the demo's files by a part of their name.
func delivered(t *testing.T, dir, part string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "leverancer", "*", "*"+part+"*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func testCheck(t *testing.T, dir string) {
	before := mustFlis(t, "status", "--dir", dir)
	parked := 0
	for _, f := range delivered(t, dir, "nexus") {
		out, errOut, code := flis(t, "check", "kmd-nexus", f, "--dir", dir, "--format", "json")
		var report struct {
			Verdicts []struct {
				Record, Outcome string
				Findings        []struct{ Code, Path, Rule, Mend string }
			}
			Summary struct {
				Records  int
				Outcomes map[string]int
			}
		}
		require.NoError(t, json.Unmarshal([]byte(out), &report), errOut)
		require.Positive(t, report.Summary.Records)
		if report.Summary.Outcomes["parkeret"] == 0 {
			require.Zero(t, code)
			continue
		}
		require.Equal(t, 3, code)
		parked += report.Summary.Outcomes["parkeret"]
		v := report.Verdicts[0]
		require.Regexp(t, `^line \d+$`, v.Record)
		require.Equal(t, "MAPPING", v.Findings[0].Code)
		require.Equal(t, "paragraph.section", v.Findings[0].Path)
		require.NotEmpty(t, v.Findings[0].Mend)
	}
	require.Equal(t, 1, parked, "check and stream must agree")
	for _, f := range delivered(t, dir, "L110101") {
		out := mustFlis(t, "check", "cpr", f, "--layout", "A", "--dir", dir, "--all")
		require.Regexp(t, `(?m)^unit 1 `, out)
		require.Regexp(t, `(?m)^\d+ records: \d+ accepteret, \d+ advarsel, 0 ignoreret, `+
			`0 delvist_parkeret, 0 parkeret`, out)
	}
	require.Equal(t, before, mustFlis(t, "status", "--dir", dir), "check keeps nothing")
}

// checkInput checks what standard input brings.
func checkInput(t *testing.T, input []byte, args ...string) (out, errOut string, code int) {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	tmp := t.TempDir()
	c := exec.Command(path, args...)
	c.Env = append(os.Environ(), "TMPDIR="+tmp)
	var o, e strings.Builder
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(string(input)), &o, &e
	if err := c.Run(); err != nil {
		require.NotNil(t, c.ProcessState, err)
	}
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left, "check keeps nothing")
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

func testCheckRefuses(t *testing.T, dir string) {
	nexus, err := os.ReadFile(delivered(t, dir, "nexus")[0])
	require.NoError(t, err)
	good, _, _ := strings.Cut(string(nexus), "\n")
	lines := "\n{\n" + `{"id":"x","type":"nope","source":"//kmd-nexus/1"}` + "\n" +
		strings.Replace(good, `"data":{`, `"data":{"extra":1,`, 1) + "\n\n" + good + "\n"
	out, errOut, code := checkInput(t, []byte(lines), "check", "kmd-nexus", "-", "--dir", dir)
	require.Equal(t, 3, code, errOut)
	require.Contains(t, out,
		"line 2     parkeret\n           ENVELOPE: the line is no CloudEvent: "+
			"the JSON ends too early; to mend: ")
	require.Regexp(t, `line 3     parkeret  .*\n           ENVELOPE  ce_type: is missing or not the `+
		`event of this topic; to mend: send an event of kmd-nexus, .*: grant, housing, visit, `, out)
	require.Regexp(t, `line 4     parkeret  .*\n           `+
		`DECODE  data: has a key that the schema does not have`, out)
	require.NotContains(t, out, "line 6", "accepted records are not printed")
	require.Contains(t, out,
		"4 records: 1 accepteret, 0 advarsel, 0 ignoreret, 0 delvist_parkeret, "+
			"3 parkeret\nby code: DECODE 1, ENVELOPE 3\n")

	out, _, code = checkInput(t, []byte(lines), "check", "kmd-nexus/visit", "-", "--dir", dir)
	require.Equal(t, 3, code)
	require.Contains(t, out, "lines of other events passed over")
	out, _, code = checkInput(t, nil, "check", "cura", "-", "--dir", dir, "--format", "json")
	require.Zero(t, code)
	require.True(t, json.Valid([]byte(out)), out)

	file, err := os.ReadFile(delivered(t, dir, "L110101")[0])
	require.NoError(t, err)
	out, _, code = checkInput(t, file[:len(file)/2], "check", "cpr", "-", "--layout", "A", "--dir",
		dir, "--format", "json")
	require.Equal(t, 3, code)
	require.Contains(t, out, `{"record":"file","outcome":"afvist","findings":[{"code":"LAYOUT",`)
	out, _, code = checkInput(t, file, "check", "cpr", "-", "--dir", dir)
	require.Equal(t, 3, code)
	require.Contains(t, out, "flis feed would refuse the file")

	for _, x := range [][]string{{"nobody", "-"}, {"kmd-nexus/nope", "-"},
		{"cpr", "-", "--layout", "C"},
		{"cpr", "-", "--format", "xml"}, {"cpr"}} {
		_, errOut, code := checkInput(t, nil, append([]string{"check", "--dir", dir}, x...)...)
		require.Equal(t, 2, code, errOut)
	}
	missing := filepath.Join(t.TempDir(), "D6101700001")
	_, errOut, code = flis(t, "check", "cpr", missing, "--dir", dir)
	require.Equal(t, 1, code)
	require.NotContains(t, errOut, "6101700001", "a file's name may hold a personal number")
}
