package codes_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/codes"
)

func TestBuiltinMunicipalities(t *testing.T) {
	l, err := codes.Load(schemas.Builtin)
	require.NoError(t, err)
	require.Len(t, l.Municipalities(), 98)
	for code, want := range map[string]schemas.Kommunekode{"0101": "0101", "0747": "0730", "0189": "0190"} {
		got, ok := l.Holder(code)
		require.True(t, ok, code)
		require.Equal(t, want, got, code)
	}
	for _, code := range []string{"0411", "0956", "0012", "9999", ""} {
		_, ok := l.Holder(code)
		require.False(t, ok, code)
	}
}

func TestOrganisation(t *testing.T) {
	l, err := codes.Load(schemas.Builtin)
	require.NoError(t, err)
	day := schemas.CivilDay(2026, 1, 1)
	k, ok := l.Organisation("KOM3", "101", day)
	require.True(t, ok)
	require.Equal(t, schemas.Kommunekode("0101"), k)
	_, ok = l.Organisation("KOM4", "0411", day)
	require.False(t, ok)
	_, ok = l.Organisation("GLN", "no such", day)
	require.False(t, ok)
}

func TestOverlayAddsAndReplaces(t *testing.T) {
	over := fstest.MapFS{"codes/egen.csv": {Data: []byte("kode;navn;gyldig_fra;gyldig_til;kilde\n" +
		"a;gammel;2020-01-01;2024-01-01;o\na;ny;2024-01-01;;o\n")}}
	l, err := codes.Load(over, fstest.MapFS{"codes/egen.csv": {Data: []byte(
		"kode;navn;gyldig_fra;gyldig_til;kilde\na;nyere;2024-01-01;;o\nb;anden;;;o\n")}})
	require.NoError(t, err)
	for at, want := range map[schemas.Day]string{
		schemas.CivilDay(2021, 1, 1): "gammel", schemas.CivilDay(2024, 1, 1): "nyere", schemas.Open: "nyere",
	} {
		e, ok := l.Lookup("egen", "a", at)
		require.True(t, ok)
		require.Equal(t, want, e.Name)
	}
	_, ok := l.Lookup("egen", "a", schemas.CivilDay(2019, 1, 1))
	require.False(t, ok, "before the first row")
	_, ok = l.Lookup("egen", "b", schemas.CivilDay(1970, 1, 1))
	require.True(t, ok)
}

func TestBadLists(t *testing.T) {
	const lokal = "system;liste;kode;standard;gyldig_fra;gyldig_til;kilde\n"
	for name, c := range map[string][3]string{
		"no code": {"x", "kode;navn\n;x\n", "codes/x.csv:2: the code is empty"},
		"fields":  {"x", "kode;navn\na;b;c\n", "codes/x.csv:2: 3 fields, the heading has 2"},
		"date":    {"x", "kode;gyldig_fra\na;2024-13-01\n", "codes/x.csv:2:"},
		"empty period": {"x", "kode;gyldig_fra;gyldig_til\na;2024-01-01;2024-01-01\n",
			"codes/x.csv:2: gyldig_fra is not"},
		"municipality": {"organisationsnoegle", "form;vaerdi;kommunekode\nSOR;1;101\n", "noegle.csv:2:"},
		"no heading": {"lokal", "vitae;lov;083;SEL-83;;;o\n",
			"codes/lokal.csv:1: the first line is no heading of the list lokal: it has no column system; want " +
				"system;liste;kode;standard;gyldig_fra;gyldig_til;kilde"},
		"commas": {"lokal", lokal + "vitae,lov,083,SEL-83,,,o\n",
			"lokal.csv:2: 1 fields, the heading has 7 (fields are"},
		"mark":    {"lokal", "\ufeff" + lokal, "lokal.csv:1: the file begins with a byte order mark"},
		"windows": {"lokal", "kode\r\na\r\n", "lokal.csv:1: lines end in CR LF"},
		"twice": {"lokal", lokal + "v;lov;083;SEL-83;;;o\nv;lov;084;SEL-84;;;o\nv;lov;083;SEL-84;2024-01-01;;o\n",
			"codes/lokal.csv:4: the code stands in line 2 too, for the same days"},
	} {
		_, err := codes.Load(fstest.MapFS{"codes/" + c[0] + ".csv": {Data: []byte(c[1])}})
		require.ErrorContains(t, err, c[2], name)
	}
}

func TestEveryFaultIsTold(t *testing.T) {
	_, err := codes.Load(fstest.MapFS{"codes/x.csv": {Data: []byte("kode;navn\n;x\na;A\nb\n")}})
	require.ErrorContains(t, err, "codes/x.csv:2: the code is empty")
	require.ErrorContains(t, err, "codes/x.csv:4: 1 fields")
}

// TestRowsThatDoNotContradict: rows that meet, and one that is there twice.
func TestRowsThatDoNotContradict(t *testing.T) {
	l, err := codes.Load(fstest.MapFS{"codes/lokal.csv": {Data: []byte(
		"system;liste;kode;standard;gyldig_fra;gyldig_til\nv;lov;1;a;;2024-01-01\n" +
			"v;lov;1;b;2024-01-01;\nv;lov;1;b;2024-01-01;\nv;andre;1;c;;\n")}})
	require.NoError(t, err)
	rows := l.Locals("v", "lov")
	require.Len(t, rows, 2)
	require.Equal(t, "codes/lokal.csv:2", rows[0].Place)
	require.Empty(t, l.Locals("v", "andet"))
}
