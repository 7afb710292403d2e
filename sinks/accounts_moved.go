package sinks

import "github.com/flis-dk/flis/schemas"

// leave takes an event id out of the municipality where it is parked, when it comes again as
// another's. As long as a record of a reporter cannot be read it is the reporter's; mended, it may
// be of one for whom that one reports, and the reporter's day lacks nothing any more.
func (a *Accounts) leave(id uint64, r *schemas.Row) {
	k, ok := a.parked[id]
	if ok && k != r.Kommune {
		set := a.ids[k]
		if old, found := set.find(id); found && old.class() == classParked &&
			old.day() >= a.newest-DuplicateDays {
			x := a.of(k, old.day())
			x.add(classParked, -1)
			if f := fileOf(r.EventID); f != "" {
				x.Files[f]--
			}
			set.put(id, newIDInfo(old.day(), old.content(), classNone))
		}
	}
	if classOf(r.Outcome) == classParked {
		a.parked[id] = r.Kommune
	} else {
		delete(a.parked, id)
	}
}
