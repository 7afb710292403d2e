package sinks

import (
	"context"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

var certificateUnit = schemas.Unit{Kommune: "0101", Area: "aeldre"}

func putCertificate(t *testing.T, st store.Store, n int64, previous string) *Certificate {
	t.Helper()
	c := &Certificate{Format: CertificateFormat, Kind: KindClose, Unit: certificateUnit.String(),
		Number:   n,
		Previous: previous, Days: []DayReport{}}
	b, err := c.encode()
	require.NoError(t, err)
	require.NoError(t, store.CreateBytes(context.Background(), st,
		schemas.CertificateKey(certificateUnit, n), b))
	got, err := ReadCertificate(context.Background(), st, certificateUnit, n)
	require.NoError(t, err)
	return got
}

// staleList is a store whose list shows nothing of what was made lately.
type staleList struct{ store.Store }

func (staleList) List(context.Context, string, string) iter.Seq2[store.Info, error] {
	return func(func(store.Info, error) bool) {}
}

func TestHead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	st := store.NewMemory()
	none, err := Head(ctx, st, certificateUnit)
	require.NoError(t, err)
	require.Nil(t, none)
	c := putCertificate(t, st, 1, "")
	c = putCertificate(t, st, 2, c.Hash())
	c = putCertificate(t, st, 3, c.Hash())
	require.NoError(t, store.CreateBytes(ctx, st, ClaimKey(certificateUnit, 4), []byte("{}")))
	for _, s := range []store.Store{st, staleList{st}} {
		got, err := Head(ctx, s, certificateUnit)
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	putCertificate(t, st, 4, "another")
	_, err = Head(ctx, st, certificateUnit)
	require.ErrorContains(t, err, "names another predecessor")
}

func TestCertificateIsReadStrictly(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	good := &Certificate{Format: CertificateFormat, Kind: KindClose, Unit: certificateUnit.String(),
		Number: 1}
	canonical, err := good.encode()
	require.NoError(t, err)
	cases := map[string]struct{ bytes, want string }{
		"good":           {string(canonical), ""},
		"blank":          {string(canonical) + "\n", "not canonical"},
		"newer format":   {`{"format":2}`, "use a newer build"},
		"no format":      {`{}`, "format 0"},
		"not JSON":       {`{"format":1`, "damaged"},
		"unknown key":    {`{"format":1,"hemmeligt":1}`, "unknown field"},
		"another number": {`{"format":1,"nr":9}`, "canonical"},
		"empty":          {"", "damaged"},
	}
	for name, c := range cases {
		st := store.NewMemory()
		require.NoError(t, store.CreateBytes(ctx, st, schemas.CertificateKey(certificateUnit, 1),
			[]byte(c.bytes)))
		_, err := ReadCertificate(ctx, st, certificateUnit, 1)
		if c.want == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.want, name)
		}
	}
}

// TestNewerEngine: an older build does not finish what a newer one began.
func TestNewerEngine(t *testing.T) {
	t.Parallel()
	s := &standing{unit: certificateUnit, claim: &Claim{Number: 1, Engine: EngineNumber + 1}}
	require.ErrorContains(t, s.checkClaim(), "finish it with that build")
	s.claim.Engine = EngineNumber
	require.NoError(t, s.checkClaim())
	s.claim.Previous = "x"
	require.ErrorContains(t, s.checkClaim(), "after another certificate")
}
