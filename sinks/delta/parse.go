package delta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/flis-dk/flis/sinks/store"
)

// Budgets of an entry: hostile bytes cost bounded memory (invariant 11). Ours hold a few files of
// some 500 bytes.
const (
	entryBytes = 64 << 20
	lineBytes  = 8 << 20
	entryLines = 200_000
)

type actionJSON struct {
	CommitInfo json.RawMessage `json:"commitInfo"`
	Protocol   *protocolJSON   `json:"protocol"`
	MetaData   *metadataJSON   `json:"metaData"`
	Txn        *txnJSON        `json:"txn"`
	Add        *addJSON        `json:"add"`
	Remove     *removeJSON     `json:"remove"`
}

type protocolJSON struct {
	MinReaderVersion, MinWriterVersion int64
	ReaderFeatures, WriterFeatures     []string
}

type metadataJSON struct {
	ID               string            `json:"id"`
	SchemaString     string            `json:"schemaString"`
	PartitionColumns []string          `json:"partitionColumns"`
	Configuration    map[string]string `json:"configuration"`
}

type txnJSON struct {
	AppID   string `json:"appId"`
	Version *int64 `json:"version"`
}

type addJSON struct {
	Path             string             `json:"path"`
	PartitionValues  map[string]*string `json:"partitionValues"`
	Size             int64              `json:"size"`
	ModificationTime int64              `json:"modificationTime"`
	DataChange       bool               `json:"dataChange"`
	Stats            string             `json:"stats"`
	Tags             map[string]string  `json:"tags"`
	DeletionVector   json.RawMessage    `json:"deletionVector"`
}

type removeJSON struct {
	Path              string             `json:"path"`
	PartitionValues   map[string]*string `json:"partitionValues"`
	Size              int64              `json:"size"`
	DeletionTimestamp int64              `json:"deletionTimestamp"`
	DataChange        bool               `json:"dataChange"`
}

// Parse reads an entry. Actions and fields that protocol 1/2 does not know are passed over, as it
// asks; a protocol beyond it, a path that leaves the table, a deletion vector and an entry beyond
// the budget are errors.
func Parse(b []byte) (*Commit, error) {
	if len(b) > entryBytes {
		return nil, fmt.Errorf("parse entry: %d bytes, limit %d", len(b), entryBytes)
	}
	c := &Commit{}
	n := 0
	for line := range bytes.Lines(b) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		n++
		if len(line) > lineBytes || n > entryLines {
			return nil, fmt.Errorf("parse entry: line %d of %d bytes: limit %d lines of %d",
				n, len(line), entryLines, lineBytes)
		}
		if err := c.line(line); err != nil {
			return nil, fmt.Errorf("parse entry: line %d: %w", n, err)
		}
	}
	if n == 0 {
		return nil, errors.New("parse entry: it is empty")
	}
	return c, nil
}

func (c *Commit) line(line []byte) error {
	var a actionJSON
	if err := json.Unmarshal(line, &a); err != nil {
		return err
	}
	return errors.Join(c.info(a.CommitInfo), a.Protocol.check(), c.metadata(a.MetaData), c.txn(a.Txn),
		c.add(a.Add), c.remove(a.Remove))
}

func (c *Commit) info(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&c.Info); err != nil {
		return fmt.Errorf("commitInfo: %w", err)
	}
	return nil
}

func (p *protocolJSON) check() error {
	if p == nil {
		return nil
	}
	if p.MinReaderVersion != readerVersion ||
		p.MinWriterVersion > writerVersion || p.MinWriterVersion < 1 ||
		p.ReaderFeatures != nil ||
		p.WriterFeatures != nil {
		return fmt.Errorf(
			"protocol %d/%d, want 1/2 without features",
			p.MinReaderVersion,
			p.MinWriterVersion,
		)
	}
	return nil
}

func (c *Commit) metadata(m *metadataJSON) error {
	if m == nil {
		return nil
	}
	cs, err := parseSchema(m.SchemaString)
	if err != nil {
		return err
	}
	c.Metadata = &Metadata{ID: m.ID, Schema: cs, PartitionColumns: m.PartitionColumns,
		Configuration: splitStats(m.Configuration, cs)}
	return nil
}

func (c *Commit) txn(t *txnJSON) error {
	if t == nil {
		return nil
	}
	if t.AppID == "" || t.Version == nil {
		return errors.New("txn lacks appId or version")
	}
	if c.Txns == nil {
		c.Txns = map[string]int64{}
	}
	c.Txns[t.AppID] = *t.Version
	return nil
}

func (c *Commit) add(a *addJSON) error {
	if a == nil {
		return nil
	}
	if err := store.CheckKey(a.Path); err != nil {
		return fmt.Errorf("add: path: %w", err)
	}
	if a.DeletionVector != nil && string(a.DeletionVector) != "null" {
		return errors.New("add: has a deletion vector")
	}
	if a.Size < 0 {
		return errors.New("add: size is negative")
	}
	c.Adds = append(c.Adds, Add{Path: a.Path, Partition: notNull(a.PartitionValues), Size: a.Size,
		Modified: a.ModificationTime, DataChange: a.DataChange, Stats: a.Stats, Tags: a.Tags})
	return nil
}

func (c *Commit) remove(r *removeJSON) error {
	if r == nil {
		return nil
	}
	if err := store.CheckKey(r.Path); err != nil {
		return fmt.Errorf("remove: path: %w", err)
	}
	c.Removes = append(
		c.Removes,
		Remove{Path: r.Path, Partition: notNull(r.PartitionValues), Size: r.Size,
			Deleted: r.DeletionTimestamp, DataChange: r.DataChange},
	)
	return nil
}

func notNull(values map[string]*string) map[string]string {
	m := make(map[string]string, len(values))
	for k, v := range values {
		if v != nil {
			m[k] = *v
		}
	}
	return m
}
