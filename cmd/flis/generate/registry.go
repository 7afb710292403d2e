package generate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// version is a person as the register tells of them in one file.
type version struct {
	life       *life
	file       cprFile
	events     []*change // why the person is in the file
	renumbered bool      // the old number's end is told in the same file
}

// versions are what CPR tells of a household, file by file.
func (h *household) versions(files []cprFile) []version {
	people := make([]*life, 0, len(h.people))
	var all []version
	for _, l := range h.people {
		people = append(people, l.clone())
		if h.arrives == schemas.Always {
			all = append(all, version{life: l.clone(), file: files[0]})
		}
	}
	changes := slices.Clone(h.changes)
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.known, b.known) })
	for len(changes) > 0 {
		f, ok := fileOf(files, changes[0].produced())
		if !ok {
			break
		}
		told := map[int][]*change{}
		for len(changes) > 0 && changes[0].produced() <= f.produced {
			c := &changes[0]
			if c.register != nil {
				people = c.register(people)
			}
			for _, i := range c.who {
				told[i] = append(told[i], c)
			}
			changes = changes[1:]
		}
		for i, l := range people {
			if c := told[i]; c != nil {
				renumbered := slices.ContainsFunc(c, func(x *change) bool { return x.event == "P03" })
				all = append(all, version{l.clone(), f, c, renumbered})
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

func personEntity(
	h *household,
	l *life,
) string {
	return fmt.Sprintf("h%08d/cpr/p%02d", h.nr, l.slot)
}
