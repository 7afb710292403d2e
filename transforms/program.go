package transforms

import (
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
)

// program is a mapping compiled against the catalog's schema of its event. Read-only.
type program struct {
	system     schemas.System
	event      string
	schema     *avro.Schema
	paths      []string // of the record, by slot
	arrays     []array
	kommune    *kommuneRef // nil: the sender's
	national   bool
	registered *momentRef
	stated     *momentRef
	sequence   ref
	snapshot   *snapshot
	snapshots  []snapshot // of items
	tombstones []tombstone
	ignore     []test // of the record
	root       group  // targets of the record itself
	groups     []group
}

// array is an array of the record that targets go through.
type array struct {
	path  string
	slot  int
	paths []string // of an item, by slot
}

// group is the targets of one array, or those of the record (array -1).
type group struct {
	array   int
	targets []target
	ignore  []test
}

// ref is a bound path. The zero ref is none.
type ref struct {
	bound bool
	item  bool
	slot  int
	path  string // as the source names it
	typ   *avro.Type
	class avro.Kind // of typ
}

// test is a condition: every field's text is one of the set.
type test []equality

// equality is one field's set; values are compared as text.
type equality struct {
	ref  ref
	want []string
}

// kommuneRef is how a record or a row names its municipality: a field in a form, or none at all
// (national).
type kommuneRef struct {
	ref      ref
	form     string
	national bool
}

// dayRef is a bound of valid time.
type dayRef struct {
	ref       ref
	form      string // "" = the source's own logical type
	inclusive bool   // the last valid day: the interval ends the day after
	always    bool   // null = since ever
	leverance bool   // null = the day of delivery
}

// momentRef is a point in time: kilde_registreret, or what orders.
type momentRef struct {
	ref       ref
	date      bool
	form      string
	leverance bool // null = midnight of the day of delivery
}

// snapshot is what a record says of its whole scope. Its rows stand before those of its members.
type snapshot struct {
	array    int // whose items say it, -1 = the record
	scope    column
	absent   schemas.Absent
	from     *dayRef
	id       ref
	count    ref
	when     test
	empty    test
	datasets []schemas.DatasetName
}

// has says whether the snapshot can take back rows of the dataset.
func (s *snapshot) has(d schemas.DatasetName) bool {
	for _, x := range s.datasets {
		if x == d {
			return true
		}
	}
	return false
}

// tombstone is what a null value does: the delete of a key, or a snapshot without members.
type tombstone struct {
	dataset *dataset
	columns []column // the key's, in order
	scope   *column
}

// target is one dataset that a record or an item feeds. The tests that are nil: `when` always
// holds, `remove` and `withdraw` never.
type target struct {
	dataset    *dataset
	when       test
	present    []ref
	absent     []ref
	replace    bool
	remove     test // delete of the key
	withdraw   test // delete of the segment
	background ref
	kommune    *kommuneRef
	registered *momentRef
	from, to   *dayRef
	columns    []column // one per column of the dataset
	scoped     bool
	scope      *column // nil: the record's
}

// dataset is a table of the standard model with what writing its records needs.
type dataset struct {
	*schemas.Dataset
	flat  *avro.Flat
	key   []int // columns
	print string
}

// source is where a column's value comes from.
type source uint8

const (
	fromNothing source = iota // null
	fromField
	fromConstant
	fromJoin
	fromSum
	fromMinutes
)

// column is one line of a target's columns.
type column struct {
	name     string
	target   schemas.Column
	source   source
	refs     []ref
	constant avro.Value
	preset   *avro.Value // where the source is null
	with     string
	form     string // of a date, a time or a number
	days     int
	duration bool // minutes of something: never below zero
	factor   ratio
	by       ref // factor by a code
	factors  map[string]ratio
	boolean  map[string]bool
	cpr      bool
	prefix   string // "<system>:"
	lookup   string
	at       *dayRef // nil: gyldig_fra
	anyDay   bool    // a code of the list is known at any date
	keep     bool    // ukendt: behold
}

// path is what a finding about the column names.
func (c *column) path() ref {
	if len(c.refs) == 0 {
		return ref{path: c.name}
	}
	r := c.refs[0]
	for _, x := range c.refs[1:] {
		r.path += "+" + x.path
	}
	return r
}
