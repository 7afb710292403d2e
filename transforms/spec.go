package transforms

import (
	"github.com/flis-dk/flis/schemas/yamlfile"
)

// The file form of a mapping; docs/mapping.md is its description. Paths are of the source's schema,
// dots between; in a target with `each` they are of the item, and with a dot before (".borgerCpr")
// of the record. "*" is the item itself.

type mappingSpec struct {
	Pos       yamlfile.Pos    `yaml:"-"`
	System    string          `yaml:"system"`
	Event     string          `yaml:"event"`
	Kommune   *kommuneSpec    `yaml:"kommune"` // nil: the sender's
	Reg       *momentSpec     `yaml:"kilde_registreret"`
	Stated    *momentSpec     `yaml:"stated"`
	Sequence  string          `yaml:"sequence"`
	Snapshot  *snapshotSpec   `yaml:"snapshot"`
	Tombstone []tombstoneSpec `yaml:"tombstone"`
	Ignore    []condition     `yaml:"ignore"`
	Unused    []string        `yaml:"unused"`
	Targets   []targetSpec    `yaml:"targets"`
}

// condition is an equality with a set per field; several fields = and.
type condition map[string][]string

type kommuneSpec struct {
	Pos      yamlfile.Pos `yaml:"-"`
	Field    string       `yaml:"field"`
	Form     string       `yaml:"form"`
	National bool         `yaml:"national"`
}

type momentSpec struct {
	Pos     yamlfile.Pos `yaml:"-"`
	Field   string       `yaml:"field"`
	Date    string       `yaml:"date"`
	Time    string       `yaml:"time"`
	Missing string       `yaml:"missing"`
}

type daySpec struct {
	Pos     yamlfile.Pos `yaml:"-"`
	Field   string       `yaml:"field"`
	Date    string       `yaml:"date"`
	Ende    string       `yaml:"ende"`
	Missing string       `yaml:"missing"`
}

type snapshotSpec struct {
	Pos      yamlfile.Pos `yaml:"-"`
	Scope    columnSpec   `yaml:"scope"`
	Absent   string       `yaml:"absent"`
	From     *daySpec     `yaml:"fra"`
	ID       string       `yaml:"id"`
	Count    string       `yaml:"count"`
	When     condition    `yaml:"when"`
	Empty    condition    `yaml:"empty"`
	Datasets []string     `yaml:"datasets"`
}

type tombstoneSpec struct {
	Pos     yamlfile.Pos          `yaml:"-"`
	Dataset string                `yaml:"dataset"`
	Columns map[string]columnSpec `yaml:"columns"`
	Scope   *columnSpec           `yaml:"scope"`
}

type targetSpec struct {
	Pos        yamlfile.Pos          `yaml:"-"`
	Dataset    string                `yaml:"dataset"`
	Each       string                `yaml:"each"`
	When       condition             `yaml:"when"`
	Present    []string              `yaml:"present"`
	Absent     []string              `yaml:"absent"`
	Op         string                `yaml:"op"`
	Delete     condition             `yaml:"delete"`
	Withdraw   condition             `yaml:"withdraw"`
	Background string                `yaml:"background"`
	Kommune    *kommuneSpec          `yaml:"kommune"`
	Reg        *momentSpec           `yaml:"kilde_registreret"`
	GyldigFra  *daySpec              `yaml:"gyldig_fra"`
	GyldigTil  *daySpec              `yaml:"gyldig_til"`
	Columns    map[string]columnSpec `yaml:"columns"`
}

type columnSpec struct {
	Pos      yamlfile.Pos      `yaml:"-"`
	Field    string            `yaml:"field"`
	Constant string            `yaml:"constant"`
	Join     []string          `yaml:"join"`
	With     string            `yaml:"with"`
	Sum      []string          `yaml:"sum"`
	Minutes  []string          `yaml:"minutes"`
	Date     string            `yaml:"date"`
	Days     int               `yaml:"days"`
	Time     string            `yaml:"time"`
	Number   string            `yaml:"number"`
	Factor   string            `yaml:"factor"`
	FactorBy *factorSpec       `yaml:"factor_by"`
	Boolean  map[string]string `yaml:"boolean"`
	CPR      bool              `yaml:"cpr"`
	ID       bool              `yaml:"id"`
	Lookup   string            `yaml:"lookup"`
	At       string            `yaml:"at"`
	Ukendt   string            `yaml:"ukendt"`
	Default  string            `yaml:"default"`
}

type factorSpec struct {
	Pos     yamlfile.Pos      `yaml:"-"`
	Field   string            `yaml:"field"`
	Factors map[string]string `yaml:"factors"`
}
