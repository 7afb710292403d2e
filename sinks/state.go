package sinks

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/parquet"
	"github.com/flis-dk/flis/sinks/store"
)

// stateFormat is the number that close state carries.
const stateFormat = 1

// closeState is the index of a unit's close state: its files, and those of its tables, with the
// range of keys of each. It lies beside the files and not in the certificate, which names it,
// because keys may be CPR numbers.
type closeState struct {
	Format   int                                   `json:"format"`
	Unit     string                                `json:"enhed"`
	Datasets map[schemas.DatasetName]*datasetState `json:"datasaet"`
}

// datasetState is one dataset of a unit. Scopes and Keys hold every statement that the unit has
// seen, twice seen by: by scope the snapshots and who belongs to it, by key the statements and
// the snapshots that bear on the key.
type datasetState struct {
	Scopes     []rangeFile `json:"omfang,omitempty"`
	Keys       []rangeFile `json:"noegler,omitempty"`
	Table      []rangeFile `json:"tabel,omitempty"`
	Incomplete []string    `json:"ufuldstaendige,omitempty"`
	National   string      `json:"national,omitempty"` // digest of what a join rests on
	Shape      string      `json:"kolonner,omitempty"` // digest of the table's columns
	Past       string      `json:"kolonner_historik,omitempty"`
}

// rangeFile is an immutable file of sorted groups. First and Last are group keys; no group lies
// in two files.
type rangeFile struct {
	FileRef
	First     []byte `json:"foerste"`
	Last      []byte `json:"sidste"`
	Partition string `json:"periode,omitempty"`
}

func (d *datasetState) clone() *datasetState {
	return &datasetState{
		Scopes:     slices.Clone(d.Scopes),
		Keys:       slices.Clone(d.Keys),
		Table:      slices.Clone(d.Table),
		Incomplete: slices.Clone(d.Incomplete),
		National:   d.National,
		Shape:      d.Shape,
		Past:       d.Past,
	}
}

func (d *datasetState) empty() bool {
	return len(d.Scopes)+len(d.Keys)+len(d.Table)+len(d.Incomplete) == 0 &&
		d.National+d.Shape+d.Past == ""
}

// dataset is the state of a dataset, empty where there is none.
func (s *closeState) dataset(n schemas.DatasetName) *datasetState {
	if d := s.Datasets[n]; d != nil {
		return d
	}
	return &datasetState{}
}

// readState reads the index that a certificate names; nil certificate, or none named: the empty
// state.
func readState(
	ctx context.Context,
	st store.Store,
	u schemas.Unit,
	c *Certificate,
) (*closeState, error) {
	if c == nil || c.State == nil {
		return &closeState{
			Format:   stateFormat,
			Unit:     u.String(),
			Datasets: map[schemas.DatasetName]*datasetState{},
		}, nil
	}
	b, err := store.ReadLimit(ctx, st, c.State.Path, c.State.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read close state of %s: %w", u, err)
	}
	if hashOf(b) != c.State.SHA256 {
		return nil, fmt.Errorf(
			"read close state of %s: %w: the index is not the one that the certificate names",
			u,
			errFile,
		)
	}
	s := &closeState{}
	if err := decodeStrict(c.State.Path, b, s); err != nil {
		return nil, err
	}
	if s.Format != stateFormat || s.Unit != u.String() {
		return nil, fmt.Errorf(
			"read close state of %s: format %d of %s, want format %d: use a newer build",
			u,
			s.Format,
			s.Unit,
			stateFormat,
		)
	}
	return s, nil
}

// write puts the index under its content's name.
func (s *closeState) write(ctx context.Context, st store.Store, u schemas.Unit) (*FileRef, error) {
	b, err := delta.Canonical(s)
	if err != nil {
		return nil, err
	}
	ref := &FileRef{SHA256: hashOf(b), Bytes: int64(len(b))}
	for _, d := range s.Datasets {
		for _, f := range d.Keys {
			ref.Rows += f.Rows
		}
	}
	ref.Path = schemas.StatePrefix(u) + "/" + ref.SHA256 + ".json"
	got, err := createOrRead(ctx, st, ref.Path, b)
	if err == nil && !bytes.Equal(got, b) {
		err = fmt.Errorf("write close state of %s: %w: %s has other content", u, errFile, ref.Path)
	}
	return ref, err
}

// Rows of close state that are not of the journal: who belongs to a scope, and which events of a
// snapshot over several records have landed.
const (
	opMember  schemas.Op = "medlem"
	opLanding schemas.Op = "landet"
)

// part is one of the two orders of close state.
type part byte

const (
	partScopes part = iota + 1
	partKeys
)

func partOf(r *schemas.Row) part {
	if r.Op == opMember || r.Op == opLanding || r.OfSnapshot() && r.Key == "" {
		return partScopes
	}
	return partKeys
}

// appendGroup is the key of the group that a row belongs to: its system, and its scope or key.
func appendGroup(b []byte, p part, r *schemas.Row) []byte {
	b = appendText(b, r.System)
	if p == partScopes {
		return appendText(b, r.Scope)
	}
	return appendText(b, r.Key)
}

// appendOrder orders the rows of a group.
func appendOrder(b []byte, r *schemas.Row) []byte {
	b = append(b, orderClass(r))
	switch r.Op {
	case opLanding:
		return appendText(appendText(b, r.Snapshot), r.EventID)
	case opMember:
		return appendText(b, r.Key)
	}
	b = appendNumber(appendNumber(appendNumber(b, r.Stated), r.Sequence), r.Ordinal)
	return appendNumber(appendText(b, r.Stream), r.Offset)
}

// compareState is the order that appendOrder spells.
func compareState(a, b *schemas.Row) int {
	if c := cmp.Compare(orderClass(a), orderClass(b)); c != 0 {
		return c
	}
	switch a.Op {
	case opLanding:
		return cmp.Or(cmp.Compare(a.Snapshot, b.Snapshot), cmp.Compare(a.EventID, b.EventID))
	case opMember:
		return cmp.Compare(a.Key, b.Key)
	}
	return schemas.CompareOrder(a, b)
}

func orderClass(r *schemas.Row) byte {
	switch r.Op {
	case opLanding:
		return 1
	case opMember:
		return 2
	}
	return 0
}

// scopeRows are what a statement means for its scope: the key belongs to it, and a part of a
// snapshot has landed. Both stay whatever a later generation says: what has landed has landed.
func scopeRows(r *schemas.Row) (rows []schemas.Row) {
	if r.Scope == "" || r.Op == schemas.OpWithdrawn {
		return nil
	}
	if r.Op != schemas.OpSnapshot {
		rows = append(rows, schemas.Row{
			System:  r.System,
			Kommune: r.Kommune,
			Dataset: r.Dataset,
			Scope:   r.Scope,
			Key:     r.Key,
			Op:      opMember,
		})
	}
	if r.Snapshot != "" {
		rows = append(
			rows,
			schemas.Row{
				System:   r.System,
				Kommune:  r.Kommune,
				Dataset:  r.Dataset,
				Scope:    r.Scope,
				Op:       opLanding,
				Snapshot: r.Snapshot,
				EventID:  r.EventID,
			},
		)
	}
	return rows
}

func stateColumns() []journalColumn {
	type row = schemas.Row
	const codes, plain = true, false
	text := func(name string, codes bool, at func(*row) *string) journalColumn {
		return textColumn(name, codes, false, at)
	}
	long := func(name string, at func(*row) *int64) journalColumn {
		return numberColumn(name, parquet.Int64, false, at)
	}
	day := func(name string, at func(*row) *schemas.Day) journalColumn {
		return numberColumn(name, parquet.Int32, false, at)
	}
	moment := func(name string, at func(*row) *schemas.Instant) journalColumn {
		return numberColumn(name, parquet.Int64, false, at)
	}
	short := func(name string, at func(*row) *int32) journalColumn {
		return numberColumn(name, parquet.Int32, false, at)
	}
	return []journalColumn{
		textColumn("kilde_system", codes, false, func(r *row) *schemas.System { return &r.System }),
		text("omfang", plain, func(r *row) *string { return &r.Scope }),
		text("noegle", plain, func(r *row) *string { return &r.Key }),
		moment("udsagt", func(r *row) *schemas.Instant { return &r.Stated }),
		long("sekvens", func(r *row) *int64 { return &r.Sequence }),
		short("loebenr", func(r *row) *int32 { return &r.Ordinal }),
		textColumn("stroem", codes, false, func(r *row) *schemas.Stream { return &r.Stream }),
		long("stroem_offset", func(r *row) *int64 { return &r.Offset }),
		short("generation", func(r *row) *int32 { return &r.Generation }),
		text("haendelse_id", plain, func(r *row) *string { return &r.EventID }),
		day("leverance", func(r *row) *schemas.Day { return &r.Leverance }),
		textColumn("operation", codes, false, func(r *row) *schemas.Op { return &r.Op }),
		day("fra", func(r *row) *schemas.Day { return &r.From }),
		day("til", func(r *row) *schemas.Day { return &r.To }),
		moment("kilde_registreret", func(r *row) *schemas.Instant { return &r.Registered }),
		flagColumn("baggrund", func(r *row) *bool { return &r.Background }),
		text("oejebliksbillede", codes, func(r *row) *string { return &r.Snapshot }),
		long("antal", func(r *row) *int64 { return &r.Count }),
		textColumn("fravaer", codes, false, func(r *row) *schemas.Absent { return &r.Absent }),
		long("aftryk", func(r *row) *int64 { return &r.Digest }),
		blobColumn("indhold", func(r *row) *[]byte { return &r.Payload }),
	}
}

// Places of stateColumns that are read without decoding a row.
const (
	stateSystem = iota
	stateScope
	stateKey
)
