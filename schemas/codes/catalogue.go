package codes

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// catalogue is the list of lists: owner, coverage, whether its rows are dated.
const catalogue = "lister"

// Coverage is how much of its owner's list a list holds.
type Coverage string

// The coverages (model.md 4). Of a list that is not full, the rest is added by an overlay.
const (
	Full   Coverage = "full"
	Part   Coverage = "part"   // the part that is known
	Sample Coverage = "sample" // a labelled sample; others supply the list
)

// About is what the list of lists says of one.
type About struct {
	Name, Title, Owner string
	Coverage           Coverage
	Dated              bool
	Rows               int
	Sources            map[string]int // rows by their kilde
}

// Names is every list, in order.
func (l *Lists) Names() []string { return slices.Sorted(maps.Keys(l.lists)) }

// About describes a list; false where there is none.
func (l *Lists) About(name string) (About, bool) {
	if !l.Has(name) {
		return About{}, false
	}
	a := About{Name: name, Sources: map[string]int{}}
	if e, ok := l.Lookup(catalogue, name, schemas.Open); ok {
		a.Title, a.Owner = e.Name, e.Fields["ejer"]
		a.Coverage, a.Dated = Coverage(e.Fields["status"]), e.Fields["dateret"] == "ja"
	}
	for _, e := range l.Rows(name) {
		a.Rows++
		a.Sources[cmp.Or(e.Fields["kilde"], "listen selv")]++
	}
	return a, true
}

// Rows is every row of a list, in order of key and begin; ranges come last.
func (l *Lists) Rows(name string) []Entry {
	var all []Entry
	for _, key := range l.Codes(name) {
		all = append(all, l.lists[name].entries[key]...)
	}
	return append(all, l.lists[name].ranges...)
}

// rowKey tells a row of a list among the others.
func rowKey(name string, e *Entry) string {
	_, key, err := parseEntry(name, e.Fields)
	if err != nil {
		key = e.Code
	}
	return strings.ReplaceAll(key, schemas.KeySeparator, " ")
}

// Faults is what is wrong with the lists as a whole, each with its place: a list that the list of
// lists does not name, a coverage that there is not, a successor that is in no row.
func (l *Lists) Faults() []error {
	var all []error
	for _, name := range l.Names() {
		a, _ := l.About(name)
		switch a.Coverage {
		case Full, Part, Sample:
		case "":
			all = append(all, fmt.Errorf("list %s: is not in codes/%s.csv: add a row with its owner "+
				"and status (full, part or sample)", name, catalogue))
		default:
			all = append(all, fmt.Errorf("list %s: status %q in codes/%s.csv: want full, part or sample",
				name, a.Coverage, catalogue))
		}
		for _, e := range l.Rows(name) {
			if _, ok := l.Lookup(name, e.Successor, schemas.Open); e.Successor != "" && !ok {
				all = append(all, fmt.Errorf("%s: efterfoelger %s is no code of the list", e.Place,
					e.Successor))
			}
		}
	}
	for _, e := range l.Rows(catalogue) {
		if !l.Has(e.Code) {
			all = append(all, fmt.Errorf("%s: there is no list %s", e.Place, e.Code))
		}
	}
	return all
}

// Change is one row that differs between two sets of lists.
type Change struct {
	List, Key     string
	Before, After *Entry   // nil = the row is not there
	Columns       []string // that differ, of a row that is in both
}

// Compare gives what differs from one set of lists to another, in order of list, key and begin.
// Rows are compared by key and gyldig_fra.
func Compare(from, to *Lists) []Change {
	var all []Change
	names := slices.Concat(from.Names(), to.Names())
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		before, after := rowsByKey(from, name), rowsByKey(to, name)
		keys := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
		slices.Sort(keys)
		for _, k := range slices.Compact(keys) {
			c := Change{List: name, Before: before[k], After: after[k]}
			e := cmp.Or(c.Before, c.After)
			c.Key = rowKey(name, e)
			if c.Before != nil && c.After != nil {
				c.Columns = differing(c.Before.Fields, c.After.Fields)
				if len(c.Columns) == 0 {
					continue
				}
			}
			all = append(all, c)
		}
	}
	return all
}

func rowsByKey(l *Lists, name string) map[string]*Entry {
	rows := map[string]*Entry{}
	for _, e := range l.Rows(name) {
		rows[fmt.Sprintf("%s\x00%012d", rowKey(name, &e), int64(e.From)+1<<32)] = &e
	}
	return rows
}

func differing(a, b map[string]string) []string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if a[k] != b[k] {
			all = append(all, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if _, ok := b[k]; !ok && a[k] != "" {
			all = append(all, k)
		}
	}
	return all
}

// ErrNoList: there is no list of that name.
var ErrNoList = errors.New("no such code list")
