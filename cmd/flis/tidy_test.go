package main_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// The caps and rules of the house; each failure names the rule. Tests are held to the rules and not
// to the caps: their tables are read as tables.
const (
	maxFileLines     = 600
	maxFunctionLines = 70
	maxColumns       = 100 // a tab is one, as linters count
	moduleRoot       = "../.."
	modulePath       = "github.com/flis-dk/flis/"
)

// homes: each third-party module is imported by one package only (tests aside).
var homes = map[string][]string{
	"github.com/segmentio/kafka-go":      {"streams/kafka"},
	"github.com/klauspost/compress":      {"streams/kafka"},
	"github.com/pierrec/lz4":             {"streams/kafka"},
	"github.com/twmb/franz-go":           {"streams/broker"},
	"github.com/apache/arrow":            {"sinks/parquet"},
	"github.com/linkedin/goavro":         {"schemas/avro"},
	"github.com/twmb/avro":               {"schemas/avro"},
	"go.yaml.in/yaml":                    {"schemas/yamlfile"},
	"github.com/spf13/viper":             {"cmd/flis"},
	"github.com/spf13/cobra":             {"cmd/flis"},
	"github.com/spf13/pflag":             {"cmd/flis"},
	"golang.org/x/text":                  {"transforms/cpr"},
	"github.com/stretchr/testify":        {"sinks/store/storetest"},
	"github.com/compose-spec/compose-go": nil,
	"pgregory.net/rapid":                 nil,
	"golang.org/x/tools":                 nil,
}

// layers, lowest first: a package may import its own layer's root and what is below.
var layers = map[string]int{"schemas": 0, "transforms": 1, "streams": 2, "sinks": 2, "cmd": 3}

type goFile struct {
	path string // relative to the module
	file *ast.File
	set  *token.FileSet
	text []byte
}

func (s *goFile) dir() string  { return filepath.ToSlash(filepath.Dir(s.path)) }
func (s *goFile) room() string { return strings.Split(s.path, "/")[0] }
func (s *goFile) test() bool {
	return strings.HasSuffix(s.path, "_test.go") || strings.HasSuffix(s.dir(), "test")
}

func goFiles(t *testing.T) []*goFile {
	var all []*goFile
	err := filepath.WalkDir(moduleRoot, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") && p != moduleRoot ||
			e.IsDir() && e.Name() == "testdata" {
			return fs.SkipDir
		}
		if filepath.Ext(p) != ".go" {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(moduleRoot, p)
		all = append(all, &goFile{path: filepath.ToSlash(rel), file: file, set: set, text: text})
		return err
	})
	require.NoError(t, err)
	require.Greater(t, len(all), 20, "the walk must find the module")
	return all
}

// longText is a text that cannot be broken without hiding it from a search.
var longText = regexp.MustCompile(`"[^"]{50,}"`)

func TestTidySizes(t *testing.T) {
	t.Parallel()
	for _, s := range goFiles(t) {
		n := 0
		raw := false // inside a raw string: text for people, or a table
		for line := range strings.Lines(string(s.text)) {
			n++
			held := raw || strings.Contains(line, "`") || longText.MatchString(line)
			if strings.Count(line, "`")%2 == 1 {
				raw = !raw
			}
			if !held && !s.test() && utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > maxColumns {
				t.Errorf("%s:%d: more than %d columns", s.path, n, maxColumns)
			}
		}
		if n > maxFileLines && !s.test() {
			t.Errorf("%s: %d lines, a file has at most %d", s.path, n, maxFileLines)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || s.test() {
				continue
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line; n > maxFunctionLines {
				t.Errorf(
					"%s: %s has %d lines, a function has at most %d",
					s.path,
					f.Name.Name,
					n,
					maxFunctionLines,
				)
			}
		}
	}
}

func TestTidyImports(t *testing.T) {
	t.Parallel()
	for _, s := range goFiles(t) {
		for _, i := range s.file.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if own, ok := strings.CutPrefix(path, modulePath); ok {
				checkLayer(t, s, own)
				continue
			}
			for module, home := range homes {
				if !s.test() && strings.HasPrefix(path, module) && !slices.Contains(home, s.dir()) {
					t.Errorf("%s imports %s, whose home is %v", s.path, path, home)
				}
			}
			pure := s.room() == "transforms" && !s.test()
			if pure && slices.Contains([]string{"os", "net", "net/http", "context"}, path) {
				t.Errorf("%s imports %s: transforms are pure", s.path, path)
			}
			if s.dir() == "schemas" && !s.test() && strings.Contains(strings.Split(path, "/")[0], ".") {
				t.Errorf("%s imports %s: the vocabulary imports the standard library only", s.path, path)
			}
		}
	}
}

func checkLayer(t *testing.T, s *goFile, own string) {
	t.Helper()
	room := strings.Split(own, "/")[0]
	switch {
	case s.test():
	case layers[room] > layers[s.room()], layers[room] == layers[s.room()] && room != s.room():
		t.Errorf("%s imports %s: imports run cmd → streams, sinks → transforms → schemas", s.path, own)
	case room == s.room() && strings.Count(own, "/") > 0 && s.dir() != s.room() && s.room() != "schemas" &&
		s.room() != "cmd" && !sharedSubfolder(own):
		t.Errorf("%s imports %s: no sibling reaches into another's subfolder", s.path, own)
	}
}

// sharedSubfolder names the subfolders that are contracts for their siblings.
func sharedSubfolder(own string) bool { return own == "sinks/store" || own == "sinks/parquet" }

var (
	unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)
	cprLike    = regexp.MustCompile(`\b(0[1-9]|[12][0-9]|3[01])(0[1-9]|1[0-2])[0-9]{6}\b`)
)

func TestTidyWords(t *testing.T) {
	t.Parallel()
	for _, s := range goFiles(t) {
		for n, line := range strings.Split(string(s.text), "\n") {
			if unfinished.MatchString(line) && !strings.HasPrefix(s.path, "cmd/flis/tidy") {
				t.Errorf("%s:%d: unfinished work is not left in the code", s.path, n+1)
			}
			if cprLike.MatchString(line) {
				t.Errorf("%s:%d: ten digits that could be a CPR number", s.path, n+1)
			}
		}
		if slices.Contains([]string{"util", "utils", "common", "helpers", "misc"}, s.file.Name.Name) {
			t.Errorf("%s: a package is named after what it owns", s.path)
		}
	}
}

func TestTidyDeclarations(t *testing.T) {
	t.Parallel()
	for _, s := range goFiles(t) {
		if s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					t.Errorf("%s: no init functions", s.path)
				}
				if exportedFunction(d) && d.Doc == nil && s.room() != "cmd" {
					t.Errorf("%s: %s is exported and has no comment", s.path, d.Name.Name)
				}
			case *ast.GenDecl:
				checkExportedTypes(t, s, d)
			}
		}
		if s.room() == "transforms" && bytes.Contains(s.text, []byte("time.Now(")) {
			t.Errorf("%s calls time.Now: transforms are pure", s.path)
		}
	}
}

func exportedFunction(d *ast.FuncDecl) bool {
	if !d.Name.IsExported() {
		return false
	}
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}

func checkExportedTypes(t *testing.T, s *goFile, d *ast.GenDecl) {
	t.Helper()
	if d.Tok != token.TYPE || s.room() == "cmd" {
		return
	}
	for _, spec := range d.Specs {
		ts := spec.(*ast.TypeSpec)
		if ts.Name.IsExported() && ts.Doc == nil && d.Doc == nil {
			t.Errorf("%s: type %s is exported and has no comment", s.path, ts.Name.Name)
		}
	}
}

// TestTidyReading keeps the second reading of CPR a second one: it imports the standard library
// only.
func TestTidyReading(t *testing.T) {
	t.Parallel()
	found := false
	for _, s := range goFiles(t) {
		if !strings.HasPrefix(s.path, "cmd/flis/cprreading") ||
			strings.HasSuffix(s.path, "_compare_test.go") {
			continue
		}
		found = true
		for _, i := range s.file.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			if strings.HasPrefix(path, modulePath) {
				t.Errorf("%s imports %s: the reading judges the parser and knows nothing of it", s.path, path)
			}
		}
	}
	require.True(t, found, "the reading is there")
}
