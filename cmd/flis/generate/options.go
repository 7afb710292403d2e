package generate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// Options says what is generated; the same options give the same files.
type Options struct {
	Dir            string
	Seed           uint64
	Persons        int // on the first day
	Municipalities int // the largest ones, 98 at most
	Days           int
	From           schemas.Day
	// Vendors that municipalities use; none = all.
	Vendors []schemas.System
	// ChangesPerDay is about how many persons CPR tells of on a day; 0 = as in Denmark.
	ChangesPerDay int
	// VendorEventsPerDay is about how many visits vendors tell of on a day; 0 = some.
	VendorEventsPerDay int
	// Quiet: no mistakes, nothing late, doubled, missing or changed: for measuring speed.
	Quiet bool
	// NoTruth leaves the truth out, which is most of the bytes: for measuring speed.
	NoTruth bool
	// Progress is told after each 10,000 households; may be nil.
	Progress func(persons int)
}

func (o *Options) last() schemas.Day { return o.From + schemas.Day(o.Days) - 1 }

// What households are, of their composition in settler.household.
const (
	householdSize = 2.13
	oldShare      = 0.197 // of persons, 67 years and more
	perChange     = 2.05  // persons that one change concerns
)

// ErrOptions: what was asked for cannot be; compare with errors.Is.
var ErrOptions = errors.New("generate")

// check fills in what is left out and refuses what cannot be.
func (o *Options) check() error {
	switch {
	case o.Persons < 1 || o.Persons > maxPersons:
		return fmt.Errorf("%w: persons %d: want 1 to %d", ErrOptions, o.Persons, maxPersons)
	case o.Municipalities < 1 || o.Municipalities > 98:
		return fmt.Errorf("%w: municipalities %d: want 1 to 98", ErrOptions, o.Municipalities)
	case o.Days < 1 || o.Days > maxDays:
		return fmt.Errorf("%w: days %d: want 1 to %d", ErrOptions, o.Days, maxDays)
	case o.ChangesPerDay < 0 || o.VendorEventsPerDay < 0:
		return fmt.Errorf("%w: changes and events a day: want 0 or more", ErrOptions)
	}
	if len(o.Vendors) == 0 {
		o.Vendors = Vendors()
	}
	for _, v := range o.Vendors {
		if !slices.Contains(Vendors(), v) {
			return fmt.Errorf("%w: vendor %s: want one of %v", ErrOptions, v, Vendors())
		}
	}
	if o.ChangesPerDay == 0 {
		o.ChangesPerDay = max(1, o.Persons/500)
	}
	if o.VendorEventsPerDay == 0 {
		o.VendorEventsPerDay = max(1, o.Persons/25)
	}
	return nil
}

const (
	maxPersons = 6_500_000
	maxDays    = 4000
	maxEvents  = 90 // visits of a person on a day
)

// visitsADay of each person who has care.
func (o *Options) visitsADay() float64 {
	return min(maxEvents, float64(o.VendorEventsPerDay)/(float64(o.Persons)*oldShare*careShare/100))
}

// rate is changes a household and day.
func (o *Options) rate() float64 {
	return float64(o.ChangesPerDay) * householdSize / float64(o.Persons) / perChange
}

// arrivals is households that come from abroad on a day.
func (o *Options) arrivals() int { return o.ChangesPerDay / 25 }
