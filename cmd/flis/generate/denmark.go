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

// Some municipalities that the reform of 2007 closed, with their successors, of the public copy of
// the authority register (kommune.csv).
//
//go:embed foer2007.csv
var closedCSV string

// reform is the day on which municipalities became larger ones.
func reform() schemas.Day { return schemas.CivilDay(2007, 1, 1) }

// denmark is the municipalities that take part.
type denmark struct {
	kommuner []schemas.Kommunekode // by code
	sums     []int                 // of inhabitants up to and with each
	// before is the closed municipalities that each took over.
	before map[schemas.Kommunekode][]schemas.Kommunekode
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
	d, sum := &denmark{before: map[schemas.Kommunekode][]schemas.Kommunekode{}}, 0
	for _, line := range strings.Split(strings.TrimSpace(closedCSV), "\n")[1:] {
		f := strings.Split(line, ";")
		k := schemas.Kommunekode(f[1])
		d.before[k] = append(d.before[k], schemas.Kommunekode(f[0]))
	}
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

// nearCodes is how far apart in the list neighbours are.
const nearCodes = 4

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
			to = d.kommuner[(i+nearCodes*len(d.kommuner)+r.between(-nearCodes, nearCodes))%len(d.kommuner)]
		}
		if to != from {
			return to
		}
	}
}

// asSent gives the stays of before the reform the codes of their time: CPR tells an address anew
// with the successor's code.
func (d *denmark) asSent(r *random, stays []stay) []stay {
	var all []stay
	for _, s := range stays {
		old := d.before[s.kommune]
		if len(old) == 0 || s.from >= reform() {
			all = append(all, s)
			continue
		}
		before := s
		before.holder, before.kommune = s.kommune, old[r.intN(len(old))]
		before.until = min(s.until, reform())
		all = append(all, before)
		if s.until > reform() {
			s.from = reform()
			all = append(all, s)
		}
	}
	return all
}
