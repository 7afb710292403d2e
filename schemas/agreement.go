package schemas

import (
	"fmt"
	"slices"
)

// Proof is how a source proves that a delivery is complete (design.md section 6, Close).
type Proof string

// The proofs.
const (
	ProofCount    Proof = "kontroltal" // the source's seal names the count
	ProofFile     Proof = "fil"        // the feed seals each file
	ProofSequence Proof = "sekvens"    // gapless ce_sequence with heartbeat
	ProofNone     Proof = "ingen"
)

// Calendar is the days on which a source delivers.
type Calendar string

// The calendars.
const (
	Daily    Calendar = "dagligt"
	Weekdays Calendar = "hverdage" // Monday to Friday but for Danish public holidays
)

// Agreement (tilslutning): this system speaks for this municipality in this area for the valid time
// [From, To). A vendor change is two of them.
type Agreement struct {
	Kommune  Kommunekode
	Area     Area
	System   System
	Datasets []string // short names; none = every dataset of the area that the system feeds
	From, To Day      // valid time owned; Always and Open where the agreement says nothing
	Proof    Proof
	Calendar Calendar
	Deadline int         // minutes after midnight of the day after the delivery
	Update   string      // dagligt, time, 15m
	Since    Day         // historik_fra: rows that ended before it are dropped; Always = none
	Shadow   bool        // folded beside, never delivered
	Reporter Kommunekode // indberetter; the municipality itself unless said
}

// Agreements is every agreement of an installation, in a fixed order. Read-only after it is made:
// safe for concurrent use.
type Agreements struct {
	all       []Agreement
	speakers  map[speaker][]Agreement
	reporters map[speaker]bool // those that any agreement names as indberetter
}

type speaker struct {
	system  System
	kommune Kommunekode
}

// NewAgreements sorts and checks: two agreements of one municipality and area may not own the same
// dataset at the same valid time. A shadow meets only those of its own system.
func NewAgreements(all []Agreement) (*Agreements, error) {
	all = slices.Clone(all)
	slices.SortFunc(all, compareAgreements)
	a := &Agreements{all: all, speakers: map[speaker][]Agreement{}, reporters: map[speaker]bool{}}
	for i, x := range all {
		if x.Area == StatusArea {
			return nil, fmt.Errorf("agreement %s %s %s: the area is what FLIS itself tells; "+
				"take the agreement away", x.Kommune, x.Area, x.System)
		}
		if x.From >= x.To {
			return nil, fmt.Errorf(
				"agreement %s %s %s: fra %s is not before til %s",
				x.Kommune,
				x.Area,
				x.System,
				x.From,
				x.To,
			)
		}
		for _, y := range all[:i] {
			if x.overlaps(&y) {
				return nil, fmt.Errorf(
					"agreements of %s %s: %s and %s own the same datasets at the same time; "+
						"end one where the other begins, or name their datasaet",
					x.Kommune,
					x.Area,
					y.System,
					x.System,
				)
			}
		}
		k := speaker{x.System, x.Kommune}
		a.speakers[k] = append(a.speakers[k], x)
		a.reporters[speaker{x.System, x.Reporter}] = true
	}
	return a, nil
}

func compareAgreements(x, y Agreement) int {
	kx := fmt.Sprintf("%s %s %s %12d", x.Kommune, x.Area, x.System, int64(x.From)+1<<32)
	ky := fmt.Sprintf("%s %s %s %12d", y.Kommune, y.Area, y.System, int64(y.From)+1<<32)
	switch {
	case kx < ky:
		return -1
	case kx > ky:
		return 1
	}
	return 0
}

func (x *Agreement) overlaps(y *Agreement) bool {
	if x.Kommune != y.Kommune || x.Area != y.Area || !x.sameTables(y) || x.From >= y.To ||
		y.From >= x.To {
		return false
	}
	if len(x.Datasets) == 0 || len(y.Datasets) == 0 {
		return true
	}
	return slices.ContainsFunc(
		x.Datasets,
		func(d string) bool { return slices.Contains(y.Datasets, d) },
	)
}

// Owns says whether the agreement covers the dataset.
func (x *Agreement) Owns(d DatasetName) bool {
	return x.Area == d.Area() && (len(x.Datasets) == 0 || slices.Contains(x.Datasets, d.Short()))
}

// All is every agreement, in order of municipality, area, system and begin. The caller does not
// change it.
func (a *Agreements) All() []Agreement { return a.all }

// Of is the agreements of a system with a municipality, over all areas; none = the system may not
// speak for it.
func (a *Agreements) Of(s System, k Kommunekode) []Agreement { return a.speakers[speaker{s, k}] }

// Unit is one (municipality, area): what one certificate is about.
type Unit struct {
	Kommune Kommunekode
	Area    Area
}

// String is "<kommune>/<area>", the unit's path in every root.
func (u Unit) String() string { return string(u.Kommune) + "/" + string(u.Area) }

// Units is every unit that has an agreement, in order.
func (a *Agreements) Units() []Unit {
	var us []Unit
	for _, x := range a.all {
		if u := (Unit{x.Kommune, x.Area}); len(us) == 0 || us[len(us)-1] != u {
			us = append(us, u)
		}
	}
	return us
}

// Unit is the agreements of one unit.
func (a *Agreements) Unit(u Unit) []Agreement {
	var out []Agreement
	for _, x := range a.all {
		if x.Kommune == u.Kommune && x.Area == u.Area {
			out = append(out, x)
		}
	}
	return out
}
