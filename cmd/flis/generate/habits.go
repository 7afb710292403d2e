package generate

import (
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// habit is what a vendor does with a municipality's events of one day.
type habit struct {
	lag    schemas.Day // of what is late; 0 = nothing is
	share  int         // one of so many events is late; 1 = all
	sealed habitSeal
}

type habitSeal int

// When the vendor's seal comes, where a part is late.
const (
	sealsAll     habitSeal = iota // on the day, and counts what is late
	sealsLater                    // with the late part
	sealsTwice                    // on the day without the late part, then anew with it
	resendEvery  = 40             // one event of so many comes twice
	lateFileOf   = 9              // one CPR file of so many comes a day late
	repeatFileOf = 8              // one day of so many a file of the day before comes again
)

// habitOf is drawn for each vendor, municipality and day.
func (o *Options) habitOf(s schemas.System, k schemas.Kommunekode, day schemas.Day) habit {
	if o.Quiet {
		return habit{}
	}
	r := newRandom(o.Seed, 5, uint64(slices.Index(Vendors(), s)), kommuneNr(k), uint64(day))
	lag := schemas.Day(r.between(1, 3))
	switch n := r.intN(100); {
	case n < 5:
		return habit{lag, 1, sealsLater} // an outage
	case n < 9:
		return habit{lag, 2, sealsLater} // half of a day
	case n < 15:
		return habit{lag, 8, sealsAll}
	case n < 21:
		return habit{lag, 8, sealsTwice}
	}
	return habit{}
}

// cprFile is one file of CPR.
type cprFile struct {
	produced, previous schemas.Day
	arrives            schemas.Day
}

// cprFiles is the chain: the first load, then a file each weekday. A late one comes before its
// follower.
func (o *Options) cprFiles() []cprFile {
	all := []cprFile{{o.From, schemas.Always, o.From}}
	for d := o.From + 1; d <= o.last(); d++ {
		if nextWeekday(d) != d {
			continue
		}
		before := all[len(all)-1]
		f := cprFile{d, before.produced, max(d, before.arrives)}
		if !o.Quiet && newRandom(o.Seed, 6, uint64(d)).chance(lateFileOf) {
			f.arrives = min(max(f.arrives, d+1), o.last())
		}
		all = append(all, f)
	}
	return all
}

// fileOf is the file that tells what is produced on a day; false for one beyond the period.
func fileOf(files []cprFile, produced schemas.Day) (cprFile, bool) {
	i := slices.IndexFunc(files, func(f cprFile) bool { return f.produced >= produced })
	if i < 0 {
		return cprFile{}, false
	}
	return files[i], true
}
