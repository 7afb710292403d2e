package generate

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// Write makes a Denmark in an empty folder, or one that is not there. Its files are complete when
// the mark flis98.json, the last, stands.
func Write(ctx context.Context, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	if entries, err := os.ReadDir(o.Dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%w: %s is not empty: give another folder", ErrOptions, o.Dir)
	}
	d := newDenmark(o.Municipalities)
	w := &writer{o: &o, denmark: d, market: newMarket(&o, d), files: o.cprFiles()}
	for from := o.From; from <= o.last(); from += windowDays {
		if err := w.window(ctx, from, min(from+windowDays, o.last()+1)); err != nil {
			return err
		}
	}
	if err := w.file(agreementsName, w.market.agreements()); err != nil {
		return err
	}
	if err := w.plan(); err != nil {
		return err
	}
	return w.mark()
}

// writer makes the files of one Denmark.
type writer struct {
	o       *Options
	denmark *denmark
	market  market
	files   []cprFile
	persons int
	*spool
	seals seals
	buf   []byte
}

// window is one pass over all households: it writes the files of some days.
func (w *writer) window(ctx context.Context, from, until schemas.Day) error {
	o := w.o
	w.spool = &spool{dir: o.Dir, from: from, until: until, files: map[string]*spooled{}}
	w.seals = seals{}
	s := &settler{seed: o.Seed, denmark: w.denmark, numbers: newNumbers(), first: o.From}
	c := &carer{Options: o, market: w.market, visitsADay: o.visitsADay()}
	err := w.frames()
	w.persons = 0
	for nr, later := 0, 0; err == nil; nr++ {
		if err = ctx.Err(); err != nil {
			break
		}
		arrives := schemas.Always
		if w.persons >= o.Persons {
			if o.arrivals() == 0 {
				break
			}
			arrives = o.From + 1 + schemas.Day(later/o.arrivals())
			later++
			if arrives > o.last() {
				break
			}
		}
		var h *household
		if h, err = s.household(nr, arrives); err != nil {
			break
		}
		if arrives == schemas.Always {
			w.persons += len(h.people)
		}
		s.plot(h, o.rate(), o.last(), o.Quiet)
		err = w.household(c, h)
		if o.Progress != nil && nr%10_000 == 9_999 {
			o.Progress(w.persons)
		}
	}
	if err == nil {
		err = w.seal()
	}
	if err == nil {
		err = w.ends()
	}
	if closed := w.close(); err == nil {
		err = closed
	}
	return err
}

// household writes what is told of one, and the truth.
func (w *writer) household(c *carer, h *household) error {
	for _, v := range h.versions(w.files) {
		if err := w.version(h, &v); err != nil {
			return err
		}
	}
	var err error
	people := h.lived(w.o.last(), func(day schemas.Day, l *life) {
		if err == nil {
			err = w.truth(
				realName,
				max(day, w.o.From),
				personEntity(h, l),
				func() []Row { return truthOf(l) },
			)
		}
	})
	for _, l := range people {
		for _, x := range c.careOf(h, l) {
			all := c.statements(h, l, &x)
			if err == nil {
				err = w.statements(all)
			}
		}
	}
	return err
}

// truth writes a line of one of the two logs.
func (w *writer) truth(log string, day schemas.Day, entity string, rows func() []Row) error {
	if w.o.NoTruth {
		return nil
	}
	f, err := w.at(day, truthName, log, day.String()+".jsonl")
	if f == nil || err != nil {
		return err
	}
	w.buf = appendTruth(w.buf[:0], entity, day, rows())
	_, err = f.Write(w.buf)
	return err
}

// version writes a person's block into its file.
func (w *writer) version(h *household, v *version) error {
	err := w.truth(knownName, v.file.arrives, personEntity(h, v.life),
		func() []Row { return truthOf(v.life) })
	f, opened := w.cpr(&v.file)
	if f == nil || err != nil || opened != nil {
		return firstError(err, opened)
	}
	var b block
	b.person(v.life, v.events)
	if v.renumbered {
		b.former(v.life, v.life.former[len(v.life.former)-1])
	}
	f.size += b.count
	_, err = f.Write(b.text)
	return err
}

func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *cprFile) name() string {
	return "D" + f.produced.Civil().Format("060102") + ".L" + opgavenr
}

func (w *writer) cpr(f *cprFile) (*spooled, error) {
	return w.at(f.arrives, deliveriesName, f.arrives.String(), "cpr", f.name())
}

// frames begins the files of CPR.
func (w *writer) frames() error {
	for i := range w.files {
		f, err := w.cpr(&w.files[i])
		if err != nil {
			return err
		}
		if f != nil {
			var b block
			b.add(startRecord(w.files[i].produced, w.files[i].previous))
			if _, err := f.Write(b.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// ends closes the files of CPR with their counts.
func (w *writer) ends() error {
	for i := range w.files {
		f, err := w.cpr(&w.files[i])
		if err != nil {
			return err
		}
		if f != nil {
			var b block
			b.add(endRecord(f.size))
			if _, err := f.Write(b.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// step is a line of the plan.
type step struct {
	Day    string `json:"dag"`
	System string `json:"system"`
	File   string `json:"fil"`
	Layout string `json:"layout,omitempty"`
	Again  bool   `json:"gentaget,omitempty"` // the file came before
}

// plan says in which order the files come.
func (w *writer) plan() error {
	var lines []byte
	var before []step
	for d := w.o.From; d <= w.o.last(); d++ {
		var today []step
		for i := range w.files {
			if f := &w.files[i]; f.arrives == d {
				today = append(today, step{Day: d.String(), System: "cpr", Layout: "A",
					File: filepath.ToSlash(filepath.Join(deliveriesName, d.String(), "cpr", f.name()))})
			}
		}
		for _, s := range Vendors() {
			name := vendorFile(s, d)
			if _, err := os.Stat(filepath.Join(w.o.Dir, name)); err == nil {
				today = append(today, step{Day: d.String(), System: string(s), File: filepath.ToSlash(name)})
			}
		}
		all := today
		if len(before) > 0 && !w.o.Quiet && newRandom(w.o.Seed, 7, uint64(d)).chance(repeatFileOf) {
			again := before[len(before)-1]
			again.Day, again.Again = d.String(), true
			all = append(slices.Clone(today), again)
		}
		for _, s := range all {
			line, err := json.Marshal(s)
			if err != nil {
				return fmt.Errorf("write plan: %w", err)
			}
			lines = append(append(lines, line...), '\n')
		}
		before = today
	}
	return w.file(planName, string(lines))
}

func vendorFile(s schemas.System, arrives schemas.Day) string {
	return filepath.Join(
		deliveriesName,
		arrives.String(),
		string(s),
		string(s)+"-"+arrives.String()+".jsonl",
	)
}

func (w *writer) file(name, text string) error {
	if err := os.WriteFile(filepath.Join(w.o.Dir, name), []byte(text), fileMode); err != nil {
		return fmt.Errorf("write generated files: %w", err)
	}
	return nil
}

// mark is what was asked for: whoever finds the files can make them again.
func (w *writer) mark() error {
	o := w.o
	text, err := json.MarshalIndent(map[string]any{"format": 1, "seed": o.Seed, "personer": w.persons,
		"kommuner": o.Municipalities, "fra": o.From.String(), "dage": o.Days, "systemer": o.Vendors,
		"aendringer_pr_dag": o.ChangesPerDay, "besoeg_pr_dag": o.VendorEventsPerDay,
		"rolig": o.Quiet}, "", "  ")
	if err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	return w.file(markName, string(text)+"\n")
}
