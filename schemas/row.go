package schemas

import (
	"cmp"
	"fmt"
)

// Op is what a domain event does (design.md section 6, Operations).
type Op string

// The operations. Raw is the raw record itself, ordinal 0.
const (
	OpRaw       Op = "raa"
	OpUpsert    Op = "upsert"    // a segment of valid time of a key
	OpReplace   Op = "replace"   // the whole timeline of a key: a delete of all time, then its upserts
	OpDelete    Op = "delete"    // a segment of a key says "nothing"
	OpSnapshot  Op = "snapshot"  // what the scope lacks has ended or never was
	OpSeal      Op = "seal"      // the source's control count of a delivery
	OpHeartbeat Op = "heartbeat" // the source lives; count 0 is a statement
	// OpWithdrawn: a later generation of the record says nothing here any more. It hides what
	// earlier ones said; with an Absent, it stands for a snapshot.
	OpWithdrawn Op = "tilbagekaldt"
)

// Outcome is the verdict on a record or on a part of one.
type Outcome string

// The outcomes of a record. A unit parked in part is Parked at the part's ordinal only; its ordinal
// 0 then carries PartlyParked.
const (
	Accepted     Outcome = "accepteret"
	Warned       Outcome = "advarsel"
	Ignored      Outcome = "ignoreret"
	Parked       Outcome = "parkeret"
	PartlyParked Outcome = "delvist_parkeret"
)

// Code is a stable reason for an outcome, part of the contract with vendors.
type Code string

// The reason codes.
const (
	CodeEnvelope Code = "ENVELOPE" // a header that must be there is missing or malformed
	CodeSchema   Code = "SCHEMA"   // schema id unknown to this topic
	CodeDecode   Code = "DECODE"   // bytes are not what the schema says
	CodeBudget   Code = "BUDGET"   // larger than a limit
	CodeMapping  Code = "MAPPING"  // a value that the mapping needs is missing or has the wrong form
	CodeCode     Code = "CODE"     // a code that its list does not have
	CodeTenant   Code = "TENANT"   // the system may not speak for this municipality
	CodeDate     Code = "DATE"     // an impossible date
	CodeLayout   Code = "LAYOUT"   // a unit of a file that breaks the file's layout
	CodeUnused   Code = "UNUSED"   // ignored by list
	CodePoison   Code = "POISON"   // killed the process twice
)

// Finding says what is wrong with a record, where, and how to mend it. It never holds a value of
// the record.
type Finding struct {
	Code Code
	Path string // field path in the source's own names, "ydelser[2].lov"; "" = the record
	Rule string // what should hold
	Mend string // what the sender can do
}

// Error is "CODE path: rule (mend)".
func (f *Finding) Error() string {
	s := string(f.Code)
	if f.Path != "" {
		s += " " + f.Path
	}
	s += ": " + f.Rule
	if f.Mend != "" {
		s += " (" + f.Mend + ")"
	}
	return s
}

// Reject makes a finding that is an error: the record, or the part, is parked.
func Reject(code Code, path, mend, rule string, args ...any) *Finding {
	return &Finding{Code: code, Path: path, Mend: mend, Rule: fmt.Sprintf(rule, args...)}
}

// Row is one row of the journal: a raw record (ordinal 0) or one of its domain events (1…n).
// Docs of the fields: docs/decisions/0002-journal.md.
type Row struct {
	Stream     Stream
	Offset     int64
	Ordinal    int32
	Generation int32
	System     System
	EventID    string  // ce_source + "|" + ce_id
	Event      string  // the event of the system, "grant"
	Arrived    Instant // broker append time
	Leverance  Day
	Outcome    Outcome
	Finding    string // of a parked or warned row: Finding.Error, several joined by "; "

	Kommune    Kommunekode // of the event; at ordinal 0 the sender's municipality or National
	Dataset    DatasetName // an area alone for a snapshot of a whole area; "" at ordinal 0
	Key        string      // the dataset's key columns joined by KeySeparator; "" for seal, snapshot
	Scope      string      // of a snapshot and of each statement that it may take back; "" = none
	Op         Op
	From, To   Day
	Registered Instant // kilde_registreret
	Stated     Instant // time of the statement: orders
	Sequence   int64   // source sequence, else the record's offset
	Background bool    // holds only where no other statement does
	// Snapshot is the id of a snapshot that spans several records; "" = this record is the whole.
	Snapshot string
	Count    int64 // of a snapshot over several records: its members; of a seal: its records
	Absent   Absent
	// of the raw record's value: with EventID it tells a record sent again from a conflicting one
	Digest  int64
	Payload []byte // Avro of the domain record; at ordinal 0 the raw value

	Headers   []byte // ordinal 0: the headers, as JSON [[name, value in base64] …]
	RawKey    []byte // ordinal 0: the record's key
	Schema    string // fingerprint of the writer's schema (CRC-64-AVRO, hex)
	Canonical string // fingerprint of mapping, code lists and agreements that the rows rest on
}

// Absent says what a snapshot means for a member that it lacks.
type Absent string

// The two meanings.
const (
	AbsentGone  Absent = "gone"  // never was
	AbsentEnded Absent = "ended" // has ended at the snapshot's day
)

// OfSnapshot says whether a row is a snapshot, or the withdrawal of one.
func (r *Row) OfSnapshot() bool {
	return r.Op == OpSnapshot || r.Op == OpWithdrawn && r.Absent != ""
}

// KeySeparator joins the columns of a key; no column of a key may hold it.
const KeySeparator = "\x1f"

// CompareOrder orders statements: at each instant of valid time the greatest wins (design.md
// section 6, Fold).
func CompareOrder(a, b *Row) int {
	return cmp.Or(
		cmp.Compare(a.Stated, b.Stated),
		cmp.Compare(a.Sequence, b.Sequence),
		cmp.Compare(a.Ordinal, b.Ordinal),
		cmp.Compare(a.Stream, b.Stream),
		cmp.Compare(a.Offset, b.Offset),
	)
}
