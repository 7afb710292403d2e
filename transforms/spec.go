package transforms

import (
	"github.com/flis-dk/flis/schemas/yamlfile"
)

// The file form of a mapping; docs/mapping.md is its description. Paths are of the source's schema,
// dots between; in a target with `each` they are of the item, and with a dot before (".borgerCpr")
// of the record. "*" is the item itself.

// mappingSpec is a whole file.
type mappingSpec struct {
	Pos    yamlfile.Pos `yaml:"-"`
	System string       `yaml:"system"`
	Event  string       `yaml:"event"`
	// Kommune is whose record it is; nil: the sender's. It must be the sender's, but for national
	// sources.
	Kommune *kommuneSpec `yaml:"kommune"`
	// Reg is the column, Stated what orders; nil: ce_time, else the arrival.
	Reg    *momentSpec `yaml:"kilde_registreret"`
	Stated *momentSpec `yaml:"stated"`
	// Sequence is a field that orders within one time; "": ce_sequence, else the offset.
	Sequence string        `yaml:"sequence"`
	Snapshot *snapshotSpec `yaml:"snapshot"`
	// Snapshots are those that the items of an array say, each of a scope of its own.
	Snapshots []snapshotSpec  `yaml:"snapshots"`
	Tombstone []tombstoneSpec `yaml:"tombstone"`
	// Ignore is conditions of records, or of items (array.field), that are left out by list.
	Ignore []condition `yaml:"ignore"`
	// Unused is fields, or whole records and arrays, that are not read.
	Unused  []string     `yaml:"unused"`
	Targets []targetSpec `yaml:"targets"`
}

// condition is an equality with a set per field; several fields = and.
type condition map[string][]string

// kommuneSpec names a municipality: {field, form}, or {national: true} alone.
type kommuneSpec struct {
	Pos      yamlfile.Pos `yaml:"-"`
	Field    string       `yaml:"field"`
	Form     string       `yaml:"form"`
	National bool         `yaml:"national"`
}

// momentSpec is a point in time; `missing: leverance` = where null, midnight of the delivery's day.
type momentSpec struct {
	Pos     yamlfile.Pos `yaml:"-"`
	Field   string       `yaml:"field"`
	Date    string       `yaml:"date"`
	Time    string       `yaml:"time"`
	Missing string       `yaml:"missing"`
}

// daySpec is a bound of valid time. `ende` is said of an end only: inclusive = the last valid day.
// `missing: always` = where null, since ever; `missing: leverance` = from the delivery's day.
type daySpec struct {
	Pos     yamlfile.Pos `yaml:"-"`
	Field   string       `yaml:"field"`
	Date    string       `yaml:"date"`
	Ende    string       `yaml:"ende"`
	Missing string       `yaml:"missing"`
}

// snapshotSpec is what a record says of all of its scope. `when`: it is one at all; `empty`: it has
// no members, and nothing more of the record is read; `id` and `count`: it spans several records.
// Each is the array whose items say it, of snapshots only.
type snapshotSpec struct {
	Pos      yamlfile.Pos `yaml:"-"`
	Each     string       `yaml:"each"`
	Scope    columnSpec   `yaml:"scope"`
	Absent   string       `yaml:"absent"`
	From     *daySpec     `yaml:"fra"`
	ID       string       `yaml:"id"`
	Count    string       `yaml:"count"`
	When     condition    `yaml:"when"`
	Empty    condition    `yaml:"empty"`
	Datasets []string     `yaml:"datasets"`
}

// tombstoneSpec is what a null value does: {dataset, columns of its key} or {scope}.
type tombstoneSpec struct {
	Pos     yamlfile.Pos          `yaml:"-"`
	Dataset string                `yaml:"dataset"`
	Columns map[string]columnSpec `yaml:"columns"`
	Scope   *columnSpec           `yaml:"scope"`
}

// targetSpec is one dataset. `delete`: of the key over all time; `withdraw`: of the segment; `op:
// replace`: what was said of the key before is gone.
type targetSpec struct {
	Pos     yamlfile.Pos `yaml:"-"`
	Dataset string       `yaml:"dataset"`
	// Each is the array whose items the target goes through: one level.
	Each string    `yaml:"each"`
	When condition `yaml:"when"`
	// Present and Absent are fields that must be there, or not, for the target to take the record.
	Present  []string  `yaml:"present"`
	Absent   []string  `yaml:"absent"`
	Op       string    `yaml:"op"`
	Delete   condition `yaml:"delete"`
	Withdraw condition `yaml:"withdraw"`
	// Background is a boolean field: the row holds only where no other does.
	Background string `yaml:"background"`
	// Scope is that of one of the snapshots; nil: that of the record's snapshot.
	Scope     *columnSpec           `yaml:"scope"`
	Kommune   *kommuneSpec          `yaml:"kommune"`
	Reg       *momentSpec           `yaml:"kilde_registreret"`
	GyldigFra *daySpec              `yaml:"gyldig_fra"`
	GyldigTil *daySpec              `yaml:"gyldig_til"`
	Columns   map[string]columnSpec `yaml:"columns"`
}

// columnSpec is one column: where its value comes from (field, constant, join, sum or minutes) and
// what is done with it, in the order of the fields here.
type columnSpec struct {
	Pos      yamlfile.Pos      `yaml:"-"`
	Field    string            `yaml:"field"`
	Constant string            `yaml:"constant"`
	Join     []string          `yaml:"join"`
	With     string            `yaml:"with"` // between the parts of join
	Sum      []string          `yaml:"sum"`
	Minutes  []string          `yaml:"minutes"` // start and end
	Date     string            `yaml:"date"`    // form, of dateForms
	Days     int               `yaml:"days"`    // added to a date
	Time     string            `yaml:"time"`    // form, of timeForms
	Number   string            `yaml:"number"`  // form, of numberForms
	Factor   string            `yaml:"factor"`  // exact: "60", "12/52"
	FactorBy *factorSpec       `yaml:"factor_by"`
	Boolean  map[string]string `yaml:"boolean"` // code → true, false
	CPR      bool              `yaml:"cpr"`     // hyphen dropped, form checked
	ID       bool              `yaml:"id"`      // "<system>:" before it
	Lookup   string            `yaml:"lookup"`  // a list of `lokal`
	At       string            `yaml:"at"`      // field of the look-up's day, or always
	Ukendt   string            `yaml:"ukendt"`  // park or behold
	Default  string            `yaml:"default"` // in place of null
}

// factorSpec is a factor that a code of the record chooses, as {DAY: "7", MONTH: "12/52"}.
type factorSpec struct {
	Pos     yamlfile.Pos      `yaml:"-"`
	Field   string            `yaml:"field"`
	Factors map[string]string `yaml:"factors"`
}
