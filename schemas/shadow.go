package schemas

import (
	"slices"
	"strings"
)

// sameTables says whether two agreements may speak in the same tables: those that are delivered are
// one set, and each shadow system has one of its own.
func (x *Agreement) sameTables(y *Agreement) bool {
	return x.Shadow == y.Shadow && (!x.Shadow || x.System == y.System)
}

// Delivered is the agreements without the shadows: all that delivered tables, certificates and
// states may know of.
func (a *Agreements) Delivered() *Agreements {
	return a.only(func(x *Agreement) bool { return !x.Shadow })
}

// Shadow is what a shadow system would own if its agreements were none of shadows.
func (a *Agreements) Shadow(s System) *Agreements {
	return a.only(func(x *Agreement) bool { return x.Shadow && x.System == s })
}

func (a *Agreements) only(fits func(*Agreement) bool) *Agreements {
	some := &Agreements{speakers: map[speaker][]Agreement{}, reporters: map[speaker]bool{}}
	for _, x := range a.all {
		if !fits(&x) {
			continue
		}
		x.Shadow = false
		some.all = append(some.all, x)
		k := speaker{x.System, x.Kommune}
		some.speakers[k] = append(some.speakers[k], x)
		some.reporters[speaker{x.System, x.Reporter}] = true
	}
	return some
}

// ShadowSystems is every system that has a shadow agreement, in order.
func (a *Agreements) ShadowSystems() []System {
	var all []System
	for _, x := range a.all {
		if x.Shadow {
			all = append(all, x.System)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// LocalColumn says whether a column holds an id that only its source system knows: such columns may
// differ though the rows say the same.
func LocalColumn(name string) bool { return strings.HasSuffix(name, "_id") }
