package generate

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flis-dk/flis/schemas"
)

// Folders and files of a generated Denmark (docs/flis98.md).
const (
	deliveriesName = "leverancer"
	truthName      = "sandhed"
	knownName      = "kendt"
	realName       = "virkelig"
	planName       = "plan.jsonl"
	agreementsName = "aftaler.yaml"
	markName       = "flis98.json"

	fileMode, folderMode = 0o600, 0o700
)

// windowDays is how many days are written in one pass over the households; it bounds the open
// files.
const windowDays = 60

// spool writes files of one window of days, each opened when it is first written to.
type spool struct {
	dir         string
	from, until schemas.Day // [from, until)
	files       map[string]*spooled
}

type spooled struct {
	*bufio.Writer
	file *os.File
	size int // units that its owner counts
}

// at is the file of a day, nil where the day is not of the window.
func (s *spool) at(day schemas.Day, folders ...string) (*spooled, error) {
	if day < s.from || day >= s.until {
		return nil, nil
	}
	name := filepath.Join(append([]string{s.dir}, folders...)...)
	if f := s.files[name]; f != nil {
		return f, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), folderMode); err != nil {
		return nil, fmt.Errorf("write generated files: %w", err)
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	if err != nil {
		return nil, fmt.Errorf("write generated files: %w", err)
	}
	f := &spooled{Writer: bufio.NewWriterSize(file, 16<<10), file: file}
	s.files[name] = f
	return f, nil
}

// close flushes everything; the first error is told.
func (s *spool) close() error {
	var first error
	for _, f := range s.files {
		err := f.Flush()
		if closed := f.file.Close(); err == nil {
			err = closed
		}
		if err != nil && first == nil {
			first = fmt.Errorf("write generated files: %w", err)
		}
	}
	s.files = map[string]*spooled{}
	return first
}

// appendTruth writes a line of the truth: an entity, and all its rows from now on.
func appendTruth(b []byte, entity string, day schemas.Day, rows []Row) []byte {
	b = append(append(b, `{"enhed":"`...), entity...)
	b = append(append(b, `","dag":"`...), day.String()...)
	b = append(b, `","raekker":[`...)
	for i := range rows {
		r := &rows[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `["`...), r.Kommune...)
		for _, v := range []string{string(r.Dataset), r.From.String(), r.Until.String(),
			string(r.System)} {
			b = append(append(b, `","`...), v...)
		}
		for _, v := range r.Values {
			b = append(append(b, `","`...), v...)
		}
		b = append(b, `"]`...)
	}
	return append(b, "]}\n"...)
}
