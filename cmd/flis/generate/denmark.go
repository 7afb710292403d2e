package generate

import (
	_ "embed"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// Inhabitants by municipality on 1 January 2025, rounded: own knowledge (kilde o), no source at
// hand; good for relative sizes only.
//
//go:embed indbyggere.csv
var inhabitantsCSV string

// denmark is the municipalities that take part.
type denmark struct {
	kommuner []schemas.Kommunekode // by code
	sums     []int                 // of inhabitants up to and with each
}

// newDenmark takes the n largest municipalities.
func newDenmark(n int) *denmark {
	type size struct {
		k schemas.Kommunekode
		n int
	}
	var all []size
	for _, line := range strings.Split(strings.TrimSpace(inhabitantsCSV), "\n")[1:] {
		f := strings.Split(line, ";")
		count, err := strconv.Atoi(f[1])
		if err != nil {
			panic("generate: indbyggere.csv: " + err.Error()) // it is part of the program
		}
		all = append(all, size{schemas.Kommunekode(f[0]), count})
	}
	slices.SortStableFunc(all, func(a, b size) int { return b.n - a.n })
	all = all[:min(n, len(all))]
	slices.SortFunc(all, func(a, b size) int { return strings.Compare(string(a.k), string(b.k)) })
	d, sum := &denmark{}, 0
	for _, s := range all {
		sum += s.n
		d.kommuner, d.sums = append(d.kommuner, s.k), append(d.sums, sum)
	}
	return d
}

// at is the municipality at a share of the population, 0 <= u < 1.
func (d *denmark) at(u float64) schemas.Kommunekode {
	want := int(u * float64(d.sums[len(d.sums)-1]))
	return d.kommuner[sort.SearchInts(d.sums, want+1)]
}

// settle spreads households: the n first always have the municipalities' shares, as near as whole
// households can (multiples of the golden ratio).
func (d *denmark) settle(household int) schemas.Kommunekode {
	_, u := math.Modf(0.5 + float64(household)*0.6180339887498949)
	return d.at(u)
}

// moveTo is where one who leaves a municipality goes: half stay in the part of the country (codes
// near each other), the rest go by size.
func (d *denmark) moveTo(r *random, from schemas.Kommunekode) schemas.Kommunekode {
	if len(d.kommuner) == 1 {
		return from
	}
	for {
		to := d.at(r.fraction())
		if r.chance(2) {
			i, _ := slices.BinarySearch(d.kommuner, from)
			n := len(d.kommuner)
			to = d.kommuner[((i+r.between(-4, 4))%n+n)%n]
		}
		if to != from {
			return to
		}
	}
}
