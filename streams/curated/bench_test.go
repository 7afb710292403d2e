package curated_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/streams/curated"
	"github.com/flis-dk/flis/streams/curated/curatedtest"
)

// benchTables is one certificate of so many persons.
type benchTables struct{ persons int }

func (benchTables) Head(context.Context) (int64, error) { return 1, nil }

func (benchTables) Certificate(context.Context, int64) (curated.Certificate, error) {
	return curated.Certificate{Hash: "1"}, nil
}

func (t benchTables) Changes(_ context.Context, _, _ int64, fn func(*curated.Change) error) error {
	filler := strings.Repeat("timeline ", 20)
	for i := range t.persons {
		err := fn(&curated.Change{Dataset: "borger.person", Key: fmt.Sprintf("person %07d", i),
			After: fmt.Appendf(nil, "%s%d", filler, i)})
		if err != nil {
			return err
		}
	}
	return nil
}

func BenchmarkPublish(b *testing.B) {
	const persons = 200_000
	for b.Loop() {
		p := curated.Publisher{Unit: unit, Log: curatedtest.NewLog("topic"),
			Tables: benchTables{persons}, Key: theKey, Schemas: theIDs}
		_, err := p.Run(b.Context())
		require.NoError(b, err)
	}
	b.ReportAllocs()
	b.ReportMetric(persons*float64(b.N)/b.Elapsed().Seconds(), "entities/s")
}

func BenchmarkFollow(b *testing.B) {
	const persons = 200_000
	log := curatedtest.NewLog("topic")
	p := curated.Publisher{Unit: unit, Log: log, Tables: benchTables{persons}, Key: theKey,
		Schemas: theIDs}
	_, err := p.Run(b.Context())
	require.NoError(b, err)
	for b.Loop() {
		c, err := curated.OpenConsumer(b.TempDir(), log, curated.Options{})
		require.NoError(b, err)
		caught, err := c.Catch(b.Context())
		require.NoError(b, err)
		require.Equal(b, int64(1), caught.Number)
		c.Close()
	}
	b.ReportAllocs()
	b.ReportMetric(persons*float64(b.N)/b.Elapsed().Seconds(), "entities/s")
}
