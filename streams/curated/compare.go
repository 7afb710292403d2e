package curated

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// Difference is a dataset of which a copy is not what the tables are.
type Difference struct {
	Dataset      schemas.DatasetName
	Copy, Tables int64 // entities
}

// Compare reads a copy whole and the tables of its certificate, and names each dataset in which
// they differ: none = the copy is the tables. It needs the municipality's key. The memory it takes
// does not grow with either.
func Compare(ctx context.Context, c *Copy, t Tables, key []byte) ([]Difference, error) {
	if c.Number == 0 {
		return nil, errors.New("compare copy: there is no copy yet")
	}
	cert, err := t.Certificate(ctx, c.Number)
	if err != nil {
		return nil, fmt.Errorf("compare copy: %w", err)
	}
	if cert.Hash != c.Hash {
		return nil, fmt.Errorf("compare copy: it is of another certificate %d than there is here",
			c.Number)
	}
	held, named := digests{}, digests{}
	err = c.Entities(func(k string, value []byte) error {
		d, _ := datasetOf(k)
		held.of(d).add(k, value[min(frameBytes, len(value)):], 1)
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("compare copy: %w", err)
	}
	err = t.Changes(ctx, 0, c.Number, func(e *Change) error {
		named.of(e.Dataset).add(EntityKey(key, e.Dataset, e.Key), e.After, 1)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("compare copy: %w", err)
	}
	return differences(held, named), nil
}

func differences(held, named digests) []Difference {
	for d := range named {
		held.of(d)
	}
	var all []Difference
	for d, h := range held {
		if n := named.of(d); *h != *n {
			all = append(all, Difference{d, h.Count, n.Count})
		}
	}
	slices.SortFunc(all, func(a, b Difference) int {
		return strings.Compare(string(a.Dataset), string(b.Dataset))
	})
	return all
}
