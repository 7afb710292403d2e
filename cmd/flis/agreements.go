package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/codes"
	"github.com/flis-dk/flis/schemas/yamlfile"
)

// agreementFile is the form of the agreements file (flis init writes a commented one).
type agreementFile struct {
	Format     int              `yaml:"format"`
	Agreements []agreementEntry `yaml:"aftaler"`
}

type agreementEntry struct {
	Kommune  string   `yaml:"kommune"`
	Area     string   `yaml:"omraade"`
	System   string   `yaml:"system"`
	Datasets []string `yaml:"datasaet"`
	From     string   `yaml:"fra"`
	To       string   `yaml:"til"`
	Proof    string   `yaml:"bevis"`
	Calendar string   `yaml:"leverer"`
	Deadline string   `yaml:"frist"`
	Update   string   `yaml:"opdatering"`
	Since    string   `yaml:"historik_fra"`
	Shadow   bool     `yaml:"skygge"`
	Reporter string   `yaml:"indberetter"`

	At yamlfile.Pos `yaml:"-"`
}

// everyKommune in an agreement stands for all open municipalities.
const everyKommune = "alle"

const defaultDeadline = "05:30"

// cprForAll is the agreements of an installation that has none: CPR for every municipality.
var cprForAll = agreementEntry{
	Kommune:  everyKommune,
	Area:     "borger",
	System:   "cpr",
	Proof:    string(schemas.ProofFile),
	Calendar: string(schemas.Weekdays),
}

// loadAgreements reads the file; "" gives CPR for all. Errors name the file, the line and the
// entry.
func loadAgreements(
	file string,
	lists *codes.Lists,
	known map[schemas.DatasetName]bool,
	systems []string,
) (
	*schemas.Agreements, error) {
	entries := []agreementEntry{cprForAll}
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("load agreements: %w", err)
		}
		var f agreementFile
		if err := yamlfile.Decode(file, b, &f); err != nil {
			return nil, usage("load agreements: %w", err)
		}
		if f.Format != 1 {
			return nil, usage("load agreements: %s: format is %d: this build reads format 1", file, f.Format)
		}
		entries = f.Agreements
	}
	var all []schemas.Agreement
	var ends []int // of each entry's agreements in all
	for i, e := range entries {
		as, err := e.expand(lists, known)
		if err == nil && !slices.Contains(systems, e.System) {
			err = fmt.Errorf("system %q is not known; there are %s", e.System, strings.Join(systems, ", "))
		}
		if err != nil {
			return nil, usage("load agreements: %s: entry %d (%s %s %s): %w", e.At, i+1, e.Kommune, e.Area,
				e.System, err)
		}
		all = append(all, as...)
		ends = append(ends, len(all))
	}
	as, err := schemas.NewAgreements(all)
	if err != nil {
		return nil, usage("load agreements: %s: %w", conflicting(entries, ends, all), err)
	}
	return as, nil
}

// conflicting is the place of the first entry that does not go with those before it.
func conflicting(entries []agreementEntry, ends []int, all []schemas.Agreement) yamlfile.Pos {
	i := sort.Search(len(entries)-1, func(i int) bool {
		_, err := schemas.NewAgreements(slices.Clone(all[:ends[i]]))
		return err != nil
	})
	return entries[i].At
}

// expand gives one agreement a municipality.
func (e *agreementEntry) expand(
	lists *codes.Lists,
	known map[schemas.DatasetName]bool,
) ([]schemas.Agreement, error) {
	a, err := e.parse(known)
	if err != nil {
		return nil, err
	}
	kommuner := lists.Municipalities()
	if e.Kommune != everyKommune {
		k, err := schemas.ParseKommunekode(e.Kommune)
		if err != nil {
			return nil, err
		}
		if h, ok := lists.Holder(e.Kommune); !ok || h != k {
			return nil, fmt.Errorf("kommune %s is not an open municipality", k)
		}
		kommuner = []schemas.Kommunekode{k}
	}
	if err := e.checkReporter(lists); err != nil {
		return nil, err
	}
	out := make([]schemas.Agreement, len(kommuner))
	for i, k := range kommuner {
		out[i] = a
		out[i].Kommune = k
		if a.Reporter == "" {
			out[i].Reporter = k
		}
	}
	return out, nil
}

func (e *agreementEntry) parse(known map[schemas.DatasetName]bool) (schemas.Agreement, error) {
	a := schemas.Agreement{
		Area:     schemas.Area(e.Area),
		Datasets: e.Datasets,
		From:     schemas.Always,
		To:       schemas.Open,
		Since:    schemas.Always,
		Proof:    schemas.Proof(e.Proof),
		Calendar: schemas.Calendar(e.Calendar),
		Shadow:   e.Shadow,
		Update:   e.Update,
		Reporter: schemas.Kommunekode(e.Reporter),
	}
	var err error
	if a.System, err = schemas.ParseSystem(e.System); err != nil {
		return a, err
	}
	if err := e.checkDatasets(known); err != nil {
		return a, err
	}
	for _, d := range []struct {
		name, text string
		into       *schemas.Day
	}{{"fra", e.From, &a.From}, {"til", e.To, &a.To}, {"historik_fra", e.Since, &a.Since}} {
		if d.text == "" {
			continue
		}
		if *d.into, err = schemas.ParseDay(d.text); err != nil {
			return a, fmt.Errorf("%s: %w", d.name, err)
		}
	}
	if a.Deadline, err = parseDeadline(e.Deadline); err != nil {
		return a, err
	}
	return a, checkWords(&a)
}

// checkReporter wants another open municipality as indberetter, of one municipality.
func (e *agreementEntry) checkReporter(lists *codes.Lists) error {
	if e.Reporter == "" {
		return nil
	}
	k, err := schemas.ParseKommunekode(e.Reporter)
	if err != nil {
		return fmt.Errorf("indberetter: %w", err)
	}
	if h, ok := lists.Holder(e.Reporter); !ok || h != k {
		return fmt.Errorf("indberetter %s is not an open municipality", k)
	}
	if e.Kommune == everyKommune {
		return errors.New("indberetter is said of one municipality, not of alle")
	}
	return nil
}

func (e *agreementEntry) checkDatasets(known map[schemas.DatasetName]bool) error {
	hasArea := false
	for d := range known {
		hasArea = hasArea || d.Area() == schemas.Area(e.Area)
	}
	if !hasArea {
		return fmt.Errorf("omraade %q is no area of the standard model", e.Area)
	}
	for _, d := range e.Datasets {
		if !known[schemas.DatasetName(e.Area+"."+d)] {
			return fmt.Errorf("datasaet %q is no dataset of %s", d, e.Area)
		}
	}
	return nil
}

func checkWords(a *schemas.Agreement) error {
	switch a.Proof {
	case schemas.ProofCount, schemas.ProofFile, schemas.ProofNone:
	default:
		return fmt.Errorf("bevis %q: want kontroltal, fil or ingen", a.Proof)
	}
	switch a.Calendar {
	case schemas.Daily, schemas.Weekdays:
	default:
		return fmt.Errorf("leverer %q: want dagligt or hverdage", a.Calendar)
	}
	switch a.Update {
	case "":
		a.Update = "dagligt"
	case "dagligt":
	default:
		return fmt.Errorf("opdatering %q: want dagligt", a.Update)
	}
	return nil
}

// parseDeadline reads "05:30", the time on the day after the delivery, into minutes; "" is the
// default.
func parseDeadline(s string) (int, error) {
	if s == "" {
		s = defaultDeadline
	}
	h, m, ok := strings.Cut(s, ":")
	hours, errH := strconv.Atoi(h)
	minutes, errM := strconv.Atoi(m)
	if !ok || errH != nil || errM != nil || len(s) != 5 || hours > 23 || minutes > 59 || hours < 0 ||
		minutes < 0 {
		return 0, fmt.Errorf("frist %q: want hh:mm in quotes", s)
	}
	return hours*60 + minutes, nil
}
