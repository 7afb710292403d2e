package schemas

import (
	"cmp"
	"slices"
)

// StatusArea is the area of what FLIS itself tells of a municipality's closes. No agreement names
// it: each municipality that has one has it (docs/decisions/0011-status-lukning.md).
const StatusArea Area = "status"

// StatusDataset is the state of each day of each area.
const StatusDataset DatasetName = "status.lukning"

// StatusSystem is the system of rows that FLIS itself states.
const StatusSystem System = "flis"

// StatusUnit is the unit of a municipality's own status.
func StatusUnit(k Kommunekode) Unit { return Unit{k, StatusArea} }

// StatusAgreement is by what FLIS speaks for a municipality's status: always, and of nothing else.
func StatusAgreement(k Kommunekode) Agreement {
	return Agreement{Kommune: k, Area: StatusArea, System: StatusSystem, From: Always, To: Open,
		Since: Always, Proof: ProofNone, Calendar: Daily}
}

// Certified is every unit that gets certificates for a municipality: those of its agreements,
// shadows aside, and its status. In order.
func (a *Agreements) Certified() []Unit {
	var all []Unit
	for i := range a.all {
		if x := &a.all[i]; !x.Shadow {
			all = append(all, Unit{x.Kommune, x.Area}, StatusUnit(x.Kommune))
		}
	}
	slices.SortFunc(all, func(x, y Unit) int {
		return cmp.Or(cmp.Compare(x.Kommune, y.Kommune), cmp.Compare(x.Area, y.Area))
	})
	return slices.Compact(all)
}
