// Package codes holds the dated code lists: municipalities, countries, law codes, vendors' own
// codes.
//
// It owns the CSV form (UTF-8, ";", LF, no quoting, a heading line; `kilde` says where a row is
// from) and the look-ups. It refuses a row that it cannot place: a bad date, a missing code, a
// wrong number of fields, a code that another row of the file says something else of for the same
// days. A list is read-only once loaded and safe for concurrent use.
//
//	lists, err := codes.Load(schemas.Builtin, overlay)
//	e, ok := lists.Lookup("paragraf", "SEL-83", day)
package codes

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// Entry is one row of a list: a code in the days [From, To).
type Entry struct {
	Code, Last string // Last: the end of a range of codes, itself included; "" for a single code
	Name       string
	Successor  string
	From, To   schemas.Day
	Fields     map[string]string // every column of the row, by heading; shared, not to be changed
	Place      string            // "codes/lokal.csv:50"
}

// Lists is every list by name.
type Lists struct {
	lists  map[string]list
	print  string
	holder map[string]schemas.Kommunekode
}

// list keeps the entries of a code in order of From.
type list struct {
	entries map[string][]Entry
	ranges  []Entry
}

// Names of the two lists whose key is not a single code.
const (
	organisations = "organisationsnoegle" // form, vaerdi → kommunekode
	local         = "lokal"               // system, liste, kode → standard
)

// Load reads codes/*.csv of each file system; a row of a later one replaces the row with the same
// code and gyldig_fra of an earlier one, else it is added.
func Load(files ...fs.FS) (*Lists, error) {
	l := &Lists{lists: map[string]list{}}
	sum := sha256.New()
	for _, f := range files {
		names, err := fs.Glob(f, "codes/*.csv")
		if err != nil {
			return nil, fmt.Errorf("list code lists: %w", err)
		}
		for _, name := range names {
			b, err := fs.ReadFile(f, name)
			if err != nil {
				return nil, fmt.Errorf("read code list: %w", err)
			}
			fmt.Fprintf(sum, "%s %d\n%s", name, len(b), b)
			if err := l.add(name, string(b)); err != nil {
				return nil, fmt.Errorf("read code list: %w", err)
			}
		}
	}
	l.print = hex.EncodeToString(sum.Sum(nil))[:16]
	l.holder = l.holders()
	return l, nil
}

// add reads one file. Rows of one file may not contradict each other; they go over those of files
// before it. Every fault of the file is told.
func (l *Lists) add(file, text string) error {
	name := strings.TrimSuffix(path.Base(file), ".csv")
	into, ok := l.lists[name]
	if !ok {
		into = list{entries: map[string][]Entry{}}
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	heading := strings.Split(lines[0], ";")
	if err := checkHeading(name, text, heading); err != nil {
		return fmt.Errorf("%s:1: %w", file, err)
	}
	own := map[string][]Entry{} // of this file, by key
	var faults []error
	for i, line := range lines[1:] {
		if line == "" {
			continue
		}
		e, key, err := parseLine(name, line, heading)
		e.Place = fmt.Sprintf("%s:%d", file, i+2)
		if err == nil {
			err = contradiction(own[key], e)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", e.Place, err))
			continue
		}
		own[key] = append(own[key], e)
		if e.Last != "" {
			into.ranges = append(into.ranges, e)
			continue
		}
		into.entries[key] = place(into.entries[key], e)
	}
	l.lists[name] = into
	return errors.Join(faults...)
}

// headings is what each list's heading must have; other columns are the list's own.
func headings(name string) []string {
	switch name {
	case local:
		return []string{"system", "liste", "kode", "standard"}
	case organisations:
		return []string{"form", "vaerdi", "kommunekode"}
	}
	return []string{"kode"}
}

// checkHeading refuses what a spreadsheet makes of a list, in words that say how to save it.
func checkHeading(name, text string, heading []string) error {
	if strings.HasPrefix(text, "\ufeff") {
		return errors.New("the file begins with a byte order mark: save it as UTF-8 without")
	}
	if strings.Contains(text, "\r") {
		return errors.New("lines end in CR LF: save the file with LF alone")
	}
	for _, want := range headings(name) {
		ranges := want == "kode" && slices.Contains(heading, "kode_fra")
		if !ranges && !slices.Contains(heading, want) {
			return fmt.Errorf("the first line is no heading of the list %s: it has no column %s; want %s",
				name, want, strings.Join(append(headings(name), "gyldig_fra", "gyldig_til", "kilde"), ";"))
		}
	}
	return nil
}

// parseLine takes a row apart by the heading.
func parseLine(name, line string, heading []string) (Entry, string, error) {
	cells := strings.Split(line, ";")
	if len(cells) != len(heading) {
		return Entry{}, "", fmt.Errorf(
			"%d fields, the heading has %d (fields are separated by ;)",
			len(cells),
			len(heading),
		)
	}
	fields := make(map[string]string, len(cells))
	for i, h := range heading {
		fields[h] = cells[i]
	}
	return parseEntry(name, fields)
}

// contradiction finds a row of the same key that holds on a day of e and says something else. A row
// that is there twice, word for word, says nothing new.
func contradiction(rows []Entry, e Entry) error {
	for _, x := range rows {
		if x.From < e.To && e.From < x.To && !maps.Equal(x.Fields, e.Fields) {
			return fmt.Errorf(
				"the code stands in line %s too, for the same days: end one row where the other begins",
				x.Place[strings.LastIndexByte(x.Place, ':')+1:],
			)
		}
	}
	return nil
}

// place keeps entries in order of From; one with the same From is replaced.
func place(entries []Entry, e Entry) []Entry {
	i, found := slices.BinarySearchFunc(entries, e.From, func(x Entry, from schemas.Day) int {
		return cmp.Compare(x.From, from)
	})
	if found {
		entries[i] = e
		return entries
	}
	return slices.Insert(entries, i, e)
}

// parseEntry places a row: its key within the list, and the days on which it holds.
func parseEntry(name string, f map[string]string) (Entry, string, error) {
	e := Entry{
		Code:      cmp.Or(f["kode"], f["kode_fra"]),
		Last:      f["kode_til"],
		Name:      cmp.Or(f["navn"], f["tekst"]),
		Successor: f["efterfoelger"],
		Fields:    f,
	}
	key := e.Code
	switch name {
	case organisations:
		e.Code = f["kommunekode"]
		key = f["form"] + schemas.KeySeparator + f["vaerdi"]
		if _, err := schemas.ParseKommunekode(e.Code); err != nil {
			return e, "", err
		}
	case local:
		e.Code = f["standard"]
		key = f["system"] + schemas.KeySeparator + f["liste"] + schemas.KeySeparator + f["kode"]
	}
	if e.Code == "" {
		return e, "", errors.New("the code is empty")
	}
	var err error
	if e.From, err = day(f["gyldig_fra"], schemas.Always); err != nil {
		return e, "", err
	}
	if e.To, err = day(f["gyldig_til"], schemas.Open); err != nil {
		return e, "", err
	}
	if e.From >= e.To {
		return e, "", errors.New("gyldig_fra is not before gyldig_til")
	}
	return e, key, nil
}

// day reads a bound of validity; none is since ever, or open.
func day(s string, empty schemas.Day) (schemas.Day, error) {
	if s == "" {
		return empty, nil
	}
	return schemas.ParseDay(s)
}

// Fingerprint is the hash of every file loaded, 16 hex digits.
func (l *Lists) Fingerprint() string { return l.print }

// Has says whether there is a list of that name.
func (l *Lists) Has(name string) bool {
	_, ok := l.lists[name]
	return ok
}

// Codes is every single code of a list, of any time, in order.
func (l *Lists) Codes(name string) []string {
	return slices.Sorted(maps.Keys(l.lists[name].entries))
}

// Lookup finds the code as of a day. Schemas.Open asks for the code at any time: its last row.
func (l *Lists) Lookup(name, code string, at schemas.Day) (Entry, bool) {
	into := l.lists[name]
	entries := into.entries[code]
	if at == schemas.Open && len(entries) > 0 {
		return entries[len(entries)-1], true
	}
	for _, e := range entries {
		if e.From <= at && at < e.To {
			return e, true
		}
	}
	for _, e := range into.ranges {
		if len(code) == len(e.Code) && e.Code <= code && code <= e.Last {
			return e, true
		}
	}
	return Entry{}, false
}

// Organisation is the municipality that a source names by a key of some form: KOM4 and KOM3 are the
// code itself, the rest (SOR, GLN, CVR, STS, SD, MYN) stand in the list organisationsnoegle.
func (l *Lists) Organisation(form, value string, at schemas.Day) (schemas.Kommunekode, bool) {
	if form == "KOM3" && len(value) == 3 {
		form, value = "KOM4", "0"+value
	}
	if form == "KOM4" {
		e, ok := l.Lookup("kommune", value, schemas.Open)
		return schemas.Kommunekode(value), ok && e.Fields["type"] == "kommune"
	}
	e, ok := l.Lookup(organisations, form+schemas.KeySeparator+value, at)
	return schemas.Kommunekode(e.Code), ok
}

// Local is the standard code for a vendor's own one.
func (l *Lists) Local(s schemas.System, name, code string, at schemas.Day) (string, bool) {
	e, ok := l.Lookup(local, string(s)+schemas.KeySeparator+name+schemas.KeySeparator+code, at)
	return e.Code, ok
}

// Holder is the municipality that holds what CPR says of a municipality code: itself, or the open
// one that took it over (model.md 3.2, KOMKOD). False: nobody (Greenland, tax codes, Christiansoe,
// an unknown code).
func (l *Lists) Holder(code string) (schemas.Kommunekode, bool) {
	k, ok := l.holder[code]
	return k, ok
}

// holders follows the chain of successors of every municipality once.
func (l *Lists) holders() map[string]schemas.Kommunekode {
	m := map[string]schemas.Kommunekode{}
	for code := range l.lists["kommune"].entries {
		at := code
		for range 10 { // a chain of successors is short; a ring ends here
			e, ok := l.Lookup("kommune", at, schemas.Open)
			if !ok || e.Fields["type"] != "kommune" {
				break
			}
			if e.Successor == "" {
				if e.To == schemas.Open {
					m[code] = schemas.Kommunekode(at)
				}
				break
			}
			at = e.Successor
		}
	}
	return m
}

// Municipalities is every municipality that is open now, in order of code.
func (l *Lists) Municipalities() []schemas.Kommunekode {
	var open []schemas.Kommunekode
	for code := range l.lists["kommune"].entries {
		if h, ok := l.holder[code]; ok && string(h) == code {
			open = append(open, h)
		}
	}
	slices.Sort(open)
	return open
}

// Locals is every row that a system has in a list of its own, in order of place; none: it has no
// such list.
func (l *Lists) Locals(s schemas.System, name string) []Entry {
	prefix := string(s) + schemas.KeySeparator + name + schemas.KeySeparator
	var rows []Entry
	for key, entries := range l.lists[local].entries {
		if strings.HasPrefix(key, prefix) {
			rows = append(rows, entries...)
		}
	}
	slices.SortFunc(rows, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(len(a.Place), len(b.Place)), cmp.Compare(a.Place, b.Place))
	})
	return rows
}
