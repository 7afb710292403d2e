package sinks

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
)

// tableCheckpoint is the distance between checkpoints of a delivered table.
const tableCheckpoint = 20

// tableRef reads what a table's version is: the entry must carry the txn of this very close. Now
// and then it leaves a checkpoint, so that a reader need not replay ten years.
func tableRef(ctx context.Context, log *delta.Log, version int64, u schemas.Unit,
	n int64) (*TableRef, error) {
	commit, raw, err := log.Entry(ctx, version)
	if err != nil {
		return nil, err
	}
	if got := commit.Txns[u.String()]; got != n {
		return nil, fmt.Errorf("was made by close %d, not by %d: "+
			"something else than a close has written the table; restore it from a copy", got, n)
	}
	snapshot, err := log.Snapshot(ctx, version)
	if err != nil {
		return nil, err
	}
	if version > 0 && version%tableCheckpoint == 0 {
		if err := log.Checkpoint(ctx, snapshot); err != nil {
			return nil, err
		}
	}
	ref := &TableRef{Version: version, Since: n, Entry: hashOf(raw), Files: len(snapshot.Files),
		Digest: FilesDigest(snapshot.Files)}
	for _, a := range snapshot.Files {
		rows, err := rowsOf(a)
		if err != nil {
			return nil, err
		}
		ref.Rows += rows
	}
	for _, a := range commit.Adds {
		f, err := fileRef(a)
		if err != nil {
			return nil, err
		}
		ref.New = append(ref.New, f)
	}
	for _, r := range commit.Removes {
		ref.Removed = append(ref.Removed, r.Path)
	}
	slices.SortFunc(ref.New, func(a, b FileRef) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(ref.Removed)
	return ref, nil
}

func fileRef(a delta.Add) (FileRef, error) {
	rows, err := rowsOf(a)
	return FileRef{Path: a.Path, SHA256: a.Tags[delta.TagSHA256], Bytes: a.Size, Rows: rows}, err
}

func rowsOf(a delta.Add) (int64, error) {
	var s struct {
		Rows *int64 `json:"numRecords"`
	}
	if err := json.Unmarshal([]byte(a.Stats), &s); err != nil || s.Rows == nil {
		return 0, fmt.Errorf("file %s: the log does not tell its rows", a.Path)
	}
	return *s.Rows, nil
}

// FilesDigest fixes a set of files: SHA-256 over one line "path\tsha256\tbytes\n" a file, in
// order of path.
func FilesDigest(files map[string]delta.Add) string {
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "%s\t%s\t%d\n", p, files[p].Tags[delta.TagSHA256], files[p].Size)
	}
	return hashOf([]byte(b.String()))
}

// Files are the live files of a table as the certificate names it, each with the SHA-256 to check
// before it is read (invariant 7). The Delta log says which they are, the certificate that they
// are the right ones.
func (r *TableRef) live(ctx context.Context, log *delta.Log) (map[string]delta.Add, error) {
	_, raw, err := log.Entry(ctx, r.Version)
	if err != nil {
		return nil, err
	}
	if hashOf(raw) != r.Entry {
		return nil, fmt.Errorf("entry %d of the Delta log is not the one that the certificate names",
			r.Version)
	}
	s, err := log.Snapshot(ctx, r.Version)
	if err != nil {
		return nil, err
	}
	if FilesDigest(s.Files) != r.Digest {
		return nil, fmt.Errorf("version %d has other files than the certificate names", r.Version)
	}
	return s.Files, nil
}
