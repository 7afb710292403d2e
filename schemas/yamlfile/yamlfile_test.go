package yamlfile_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas/yamlfile"
)

type inner struct {
	Name string `yaml:"name"`
	Pos  yamlfile.Pos
}

type outer struct {
	Code  string              `yaml:"code"`
	Count int                 `yaml:"count"`
	On    bool                `yaml:"on"`
	Codes []string            `yaml:"codes"`
	Table map[string]string   `yaml:"table"`
	Lists map[string][]string `yaml:"lists"`
	Inner *inner              `yaml:"inner"`
	Items []inner             `yaml:"items"`
}

func TestDecode(t *testing.T) {
	var o outer
	err := yamlfile.Decode("a.yaml", []byte(`code: "0101"
count: 3
on: true
codes: ["083", 83a]
table: {DAY: "7", "1": x}
lists: {a: [b]}
inner:
  name: 2026-01-01
items:
  - name: x
  - {name: y}
`), &o)
	require.NoError(t, err)
	require.Equal(t, "0101", o.Code)
	require.Equal(t, []string{"083", "83a"}, o.Codes)
	require.Equal(t, map[string]string{"DAY": "7", "1": "x"}, o.Table)
	require.Equal(t, "2026-01-01", o.Inner.Name)
	require.Equal(t, "a.yaml:8", o.Inner.Pos.String())
	require.Equal(t, 11, o.Items[1].Pos.Line)
}

func TestBad(t *testing.T) {
	for text, want := range map[string]string{
		"code: 0101":              "a.yaml:1: 0101 is read as int: write it in quotes",
		"code: yes\ncode: x":      `a.yaml:2: key "code" stands already in line 1`,
		"codes:\n - a\n - 83":     "a.yaml:3: 83 is read as int: write it in quotes",
		"koode: x":                `a.yaml:1: unknown key "koode"`,
		"codes: a":                "a.yaml:1: want a list, have one value",
		"inner: []":               "a.yaml:1: want a block of keys, have a list",
		"count: 1.5":              "a.yaml:1: want a plain decimal integer",
		"count: 0x10":             "a.yaml:1: want a plain decimal integer",
		"count: 010":              "a.yaml:1: want a plain decimal integer",
		"on: maybe":               "a.yaml:1: want true or false",
		"code:":                   "a.yaml:1: has no value: write it in quotes",
		"code: !!str 1":           "a.yaml:1: tags are not used here",
		"code: &x y":              "a.yaml:1: anchors and aliases",
		"table: {1: x}":           "a.yaml:1: key 1 is read as int: write it in quotes",
		"code: x\n---\ncode: y":   "one document",
		"":                        "a.yaml: EOF",
		"code: [":                 "a.yaml:1: did not find",
		"code: x\n\ty: z":         "a.yaml:2: found",
		"inner:\n  <<: {name: x}": "a.yaml:2: a key is a plain word",
	} {
		var o outer
		require.ErrorContains(t, yamlfile.Decode("a.yaml", []byte(text), &o), want, text)
	}
}

func TestEveryFaultIsTold(t *testing.T) {
	var o outer
	err := yamlfile.Decode("a.yaml", []byte("code: 1\ncount: x\nnope: 1\n"), &o)
	for _, want := range []string{"a.yaml:1:", "a.yaml:2:", "a.yaml:3:"} {
		require.ErrorContains(t, err, want)
	}
}
