package generate

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// Population checks of one municipality that flows add up to the difference of stocks
// (docs/befolkning.md): on each day the addresses that begin, less those that end, are the signed
// events. It takes rows of borger.adresse and borger.haendelse in any order and passes over others.
type Population struct {
	left map[schemas.Day]int
}

// NewPopulation has seen nothing.
func NewPopulation() *Population { return &Population{map[schemas.Day]int{}} }

// Columns of borger.haendelse.
const (
	eventKind = 1
	eventFrom = 3
	eventTo   = 4
)

// Take adds a row.
func (p *Population) Take(r *Row) {
	switch r.Dataset {
	case "borger.adresse":
		p.add(r.From, 1)
		p.add(r.Until, -1)
	case "borger.haendelse":
		switch r.Values[eventKind] {
		case "foedt", "tilflytning", "indvandring", "genfundet", "foerste_bopael":
			if r.Values[eventTo] != "" {
				p.add(r.From, -1)
			}
		case "fraflytning", "udvandring", "forsvundet", "doed":
			if r.Values[eventFrom] != "" {
				p.add(r.From, 1)
			}
		}
	}
}

func (p *Population) add(d schemas.Day, n int) {
	if d == schemas.Open {
		return
	}
	if p.left[d] += n; p.left[d] == 0 {
		delete(p.left, d)
	}
}

// Wrong is the days on which the flows are not the change of the stock, in order.
func (p *Population) Wrong() []schemas.Day {
	var all []schemas.Day
	for d := range p.left {
		all = append(all, d)
	}
	slices.Sort(all)
	return all
}
