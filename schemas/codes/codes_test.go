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
	for name, text := range map[string]string{
		"no code":       "kode;navn\n;x\n",
		"fields":        "kode;navn\na;b;c\n",
		"date":          "kode;gyldig_fra\na;2024-13-01\n",
		"empty period":  "kode;gyldig_fra;gyldig_til\na;2024-01-01;2024-01-01\n",
		"municipality?": "form;vaerdi;kommunekode\nSOR;1;101\n",
	} {
		file := "codes/x.csv"
		if name == "municipality?" {
			file = "codes/organisationsnoegle.csv"
		}
		_, err := codes.Load(fstest.MapFS{file: {Data: []byte(text)}})
		require.ErrorContains(t, err, "line 2", name)
	}
}
