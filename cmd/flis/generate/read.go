package generate

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// Log is one of the two logs of the truth.
type Log string

// The logs.
const (
	Known Log = knownName // what was knowable: what had been delivered by the day
	Real  Log = realName  // what really was, whoever knew it
)

// Step is a line of the plan: a file that comes on a day.
type Step struct {
	Day    schemas.Day
	System schemas.System
	Path   string // with the folder of the generated Denmark
	Layout string // of CPR
	Again  bool   // the file came before
}

// ReadPlan is the plan of a generated Denmark, in the order in which files come.
func ReadPlan(dir string) ([]Step, error) {
	var all []Step
	err := eachLine(filepath.Join(dir, planName), func(line []byte) error {
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			return err
		}
		day, err := schemas.ParseDay(s.Day)
		all = append(all, Step{day, schemas.System(s.System), filepath.Join(dir, s.File), s.Layout,
			s.Again})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the plan of %s: %w", dir, err)
	}
	return all, nil
}

// AgreementsFile is the agreements under which a generated Denmark is delivered.
func AgreementsFile(dir string) string { return filepath.Join(dir, agreementsName) }

func eachLine(path string, fn func([]byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := newLines(f)
	for r.next() {
		if err := fn(r.line); err != nil {
			return err
		}
	}
	return r.err
}

// lines reads lines of any length.
type lines struct {
	in   *bufio.Reader
	line []byte
	err  error
}

func newLines(r io.Reader) *lines { return &lines{in: bufio.NewReaderSize(r, 32<<10)} }

func (l *lines) next() bool {
	l.line = l.line[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		l.line = append(l.line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return len(l.line) > 0
		}
		l.err = err
		return err == nil
	}
}

// logLine is one line of a log.
type logLine struct {
	Entity string     `json:"enhed"`
	Day    string     `json:"dag"`
	Rows   [][]string `json:"raekker"`
}

// household is the part of the entity by which each day's file is sorted.
func (t *logLine) household() string { return t.Entity[:9] }

// dayLog is one day's file, read along with the others.
type dayLog struct {
	file *os.File
	in   *lines
	now  logLine
	more bool
}

func (d *dayLog) advance() error {
	d.now = logLine{}
	if d.more = d.in.next(); !d.more {
		return d.in.err
	}
	if err := json.Unmarshal(d.in.line, &d.now); err != nil {
		return err
	}
	if len(d.now.Entity) < 9 {
		return errors.New("a line without enhed")
	}
	return nil
}

// Truth hands fn the true rows of a day, household by household; memory is bounded by one
// household and a buffer for each day before. A row holds until fn returns.
func Truth(dir string, log Log, day schemas.Day, fn func(Row) error) error {
	days, err := openLogs(filepath.Join(dir, truthName, string(log)), day)
	defer func() {
		for _, d := range days {
			d.file.Close() // read only
		}
	}()
	if err == nil {
		err = merge(days, fn)
	}
	if err != nil {
		return fmt.Errorf("read the truth of %s: %w", day, err)
	}
	return nil
}

// openLogs opens the files of the days up to one, in order of days.
func openLogs(folder string, last schemas.Day) ([]*dayLog, error) {
	names, err := fs.Glob(os.DirFS(folder), "*.jsonl")
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s: %w", folder, fs.ErrNotExist)
	}
	slices.Sort(names)
	var all []*dayLog
	for _, name := range names {
		if err != nil || name > last.String()+".jsonl" {
			break
		}
		var f *os.File
		if f, err = os.Open(filepath.Join(folder, name)); err == nil {
			d := &dayLog{file: f, in: newLines(f)}
			all = append(all, d)
			err = d.advance()
		}
	}
	return all, err
}

// merge walks the households of all days side by side: of an entity the last line holds.
func merge(days []*dayLog, fn func(Row) error) error {
	for {
		first := ""
		for _, d := range days {
			if d.more && (first == "" || d.now.household() < first) {
				first = d.now.household()
			}
		}
		if first == "" {
			return nil
		}
		latest := map[string][][]string{}
		for _, d := range days {
			for d.more && d.now.household() == first {
				latest[d.now.Entity] = d.now.Rows
				if err := d.advance(); err != nil {
					return err
				}
			}
		}
		for _, rows := range latest {
			for _, r := range rows {
				row, err := parseRow(r)
				if err == nil {
					err = fn(row)
				}
				if err != nil {
					return err
				}
			}
		}
	}
}

const rowHead = 5 // kommune, dataset, gyldig_fra, gyldig_til, kilde_system

func parseRow(r []string) (Row, error) {
	if len(r) <= rowHead {
		return Row{}, errors.New("a row without columns")
	}
	row := Row{Kommune: schemas.Kommunekode(r[0]), Dataset: schemas.DatasetName(r[1]),
		Until: schemas.Open, System: schemas.System(r[4]), Values: r[rowHead:]}
	var err error
	if row.From, err = schemas.ParseDay(r[2]); err == nil && r[3] != "" {
		row.Until, err = schemas.ParseDay(r[3])
	}
	return row, err
}
