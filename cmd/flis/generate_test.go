package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFLIS98 feeds a generated Denmark day by day through feed, normalise and close, and judges every
// delivered table on every day against what was knowable; the flows of each day are the change of
// the stock, in every municipality. Then mistakes are planted into a copy of the truth.
func TestFLIS98(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dk")
	mustFlis(t, "generate", "--dir", dir, "--seed", "7", "--persons", "300", "--municipalities", "8",
		"--days", "10", "--changes-per-day", "60", "--from", "2026-03-20")
	out, errOut, code := flis(t, "generate", "play", "--dir", dir)
	require.Zero(t, code, "%s\n%s", out, errOut)
	verdicts := regexp.MustCompile(`(?m)^(\S+): (\d+) true rows compared, 0 tables differ; `+
		`flows are not the change of the stock on 0 days$`).FindAllStringSubmatch(out, -1)
	require.Len(t, verdicts, 10, out)
	require.Greater(t, len(verdicts[9][2]), 3, "thousands of rows were compared")
	require.Contains(t, out, "was fed and sealed before", "files come twice")

	require.Contains(t, mustFlis(t, "generate", "score", "--dir", dir), " 0 tables differ")
	for name, plant := range map[string]func(string) string{
		"row dropped": func(s string) string { return regexp.MustCompile(`\["0\d+",[^]]*\],`).ReplaceAllString(s, "") },
		"row doubled": func(s string) string {
			return regexp.MustCompile(`(\["0\d+",[^]]*\],)`).ReplaceAllString(s, "$1$1")
		},
		"day shifted": func(s string) string {
			return regexp.MustCompile(`"20(\d\d)-(\d\d)-12"`).ReplaceAllString(s, `"20$1-$2-13"`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "sandhed", "kendt", "2026-03-20.jsonl")
			whole, err := os.ReadFile(file)
			require.NoError(t, err)
			planted := plant(string(whole))
			require.NotEqual(t, string(whole), planted)
			require.NoError(t, os.WriteFile(file, []byte(planted), 0o600))
			defer func() { require.NoError(t, os.WriteFile(file, whole, 0o600)) }()
			out, _, code := flis(t, "generate", "score", "--dir", dir)
			require.Equal(t, 3, code, out)
			require.Regexp(t, `(?m)^  \d{4} \S+: \d+ rows are true, \d+ delivered$`, out)
			require.NotRegexp(t, `\b[6-9]\d{9}\b`, out, "numbers are masked")
		})
	}
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "a"), nil, 0o600))
	for _, x := range []struct {
		says string
		code int
		args []string
	}{
		{"is not empty", 2, []string{"--dir", full}},
		{"want yyyy-mm-dd", 2, []string{"--from", "2026-02-30"}},
		{"want 1 to 98", 2, []string{"--municipalities", "99"}},
		{"want one of", 2, []string{"--vendors", "nobody"}},
		{"plan.jsonl", 1, []string{"play", "--dir", full}},
		{"plan.jsonl", 1, []string{"score", "--dir", full}},
	} {
		args := append([]string{"generate"}, x.args...)
		if len(x.args) > 0 && x.args[0] != "--dir" && x.args[0] != "play" && x.args[0] != "score" {
			args = append(args, "--dir", filepath.Join(t.TempDir(), "dk"))
		}
		_, errOut, code := flis(t, args...)
		require.Equal(t, x.code, code, "%v: %s", x.args, errOut)
		require.Contains(t, errOut, x.says)
	}
}
