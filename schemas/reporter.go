package schemas

import "slices"

// Reports says whether a system's installation in one municipality, the reporter, may speak for
// another: an agreement of that one names the reporter as indberetter (Ishoej for Vallensbaek). At
// any valid time: the close cuts rows to the time that the agreement gives the system.
func (a *Agreements) Reports(s System, reporter, k Kommunekode) bool {
	return slices.ContainsFunc(a.Of(s, k), func(x Agreement) bool { return x.Reporter == reporter })
}

// Speaks says whether a system's installation in a municipality has anybody to speak for: the
// municipality itself, or one that names it as indberetter.
func (a *Agreements) Speaks(s System, k Kommunekode) bool {
	return len(a.Of(s, k)) > 0 || a.reporters[speaker{s, k}]
}
