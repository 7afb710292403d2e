package generate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// version is a person as the register tells of them in one file.
type version struct {
	life  *life
	file  cprFile
	event string
	day   schemas.Day // of the newest change
}

// versions are what CPR tells of a household, file by file.
func (h *household) versions(files []cprFile) []version {
	people := make([]*life, 0, len(h.people))
	var all []version
	for _, l := range h.people {
		people = append(people, l.clone())
		if h.arrives == schemas.Always {
			all = append(all, version{l.clone(), files[0], "", files[0].produced})
		}
	}
	changes := slices.Clone(h.changes)
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.known, b.known) })
	for len(changes) > 0 {
		f, ok := fileOf(files, changes[0].produced())
		if !ok {
			break
		}
		told := map[int]*change{}
		for len(changes) > 0 && changes[0].produced() <= f.produced {
			c := &changes[0]
			if c.register != nil {
				people = c.register(people)
			}
			for _, i := range c.who {
				told[i] = c
			}
			changes = changes[1:]
		}
		for i, l := range people {
			if c := told[i]; c != nil {
				all = append(all, version{l.clone(), f, c.event, c.happened})
			}
		}
	}
	return all
}

// lived hands on each person whenever something really happened to them, in that order, and gives
// the people as they are at last.
func (h *household) lived(last schemas.Day, fn func(day schemas.Day, l *life)) []*life {
	var people []*life
	for _, l := range h.people {
		people = append(people, l.clone())
		if h.arrives == schemas.Always {
			fn(schemas.Always, people[len(people)-1])
		}
	}
	for i := range h.changes {
		c := &h.changes[i]
		if c.happened > last {
			break
		}
		if c.world != nil {
			people = c.world(people)
		}
		if c.world == nil && c.register != nil {
			continue
		}
		for _, slot := range c.who {
			fn(c.happened, people[slot])
		}
	}
	return people
}

func personEntity(h *household, l *life) string { return fmt.Sprintf("h%08d/cpr/p%02d", h.nr, l.slot) }
