package sinks

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// Snapshots of accounts spare a new process the count of the whole journal. They follow from the
// journal alone, are named by the entry that they reach, and are never needed: one that is wrong,
// damaged or missing is counted anew.
const (
	snapshotFolder  = "regnskab"
	snapshotMagic   = "FLIS regnskab"
	snapshotSuffix  = ".bin"
	snapshotDigits  = 20
	snapshotsKept   = 3
	snapshotEntries = 200 // since the last: a new one
	snapshotRows    = 1_000_000
	snapshotAge     = time.Hour
)

// snapshotKey names the accounts of a system up to an entry, with the entry's SHA-256.
func snapshotKey(s schemas.System, version int64, entry string) string {
	return fmt.Sprintf("%s%0*d-%s%s", snapshotPrefix(s), snapshotDigits, version, entry,
		snapshotSuffix)
}

func snapshotPrefix(s schemas.System) string { return snapshotFolder + "/" + string(s) + "/" }

// snapshotFile is a snapshot as its key tells of it.
type snapshotFile struct {
	key     string
	version int64
	entry   string
}

func parseSnapshotKey(s schemas.System, key string) (snapshotFile, bool) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(key, snapshotPrefix(s)), snapshotSuffix)
	digits, entry, dash := strings.Cut(name, "-")
	version, err := strconv.ParseInt(digits, 10, 64)
	return snapshotFile{key, version, entry}, ok && dash && err == nil &&
		key == snapshotKey(s, version, entry)
}

// snapshots are those of a system up to an entry, the newest first.
func snapshots(ctx context.Context, st store.Store, s schemas.System, to int64,
) (all []snapshotFile, err error) {
	for info, err := range st.List(ctx, snapshotPrefix(s), "") {
		if err != nil {
			return nil, err
		}
		if n, ok := parseSnapshotKey(s, info.Key); ok && n.version <= to {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(a, b snapshotFile) int {
		return cmp.Or(cmp.Compare(b.version, a.version), cmp.Compare(a.key, b.key))
	})
	return all, nil
}

// header says what a snapshot is of.
func (n *snapshotFile) header(s schemas.System) []byte {
	return fmt.Appendf(nil, "%s %d\n%s %d %s\n", snapshotMagic, AccountsFormat, s, n.version, n.entry)
}

// writeSnapshot puts a snapshot if its key is free: header, fields, SHA-256 of both.
func writeSnapshot(ctx context.Context, st store.Store, s schemas.System, entry string,
	a *Accounts) error {
	n := snapshotFile{snapshotKey(s, a.Version, entry), a.Version, entry}
	err := st.Create(ctx, n.key, func(out io.Writer) error {
		sum := sha256.New()
		w := io.MultiWriter(out, sum)
		if _, err := w.Write(n.header(s)); err != nil {
			return err
		}
		if err := a.encode(w); err != nil {
			return err
		}
		_, err := out.Write(sum.Sum(nil))
		return err
	})
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// readSnapshot checks a snapshot whole before it decodes any of it.
func readSnapshot(ctx context.Context, st store.Store, s schemas.System, n snapshotFile,
) (a *Accounts, err error) {
	o, err := st.Open(ctx, n.key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if err := checkSnapshot(o, sha256.New()); err != nil {
		return nil, err
	}
	head, size := n.header(s), o.Size()-sha256.Size
	in := bufio.NewReader(io.NewSectionReader(o, 0, size))
	first, err := in.ReadString('\n')
	if err != nil || !strings.HasPrefix(first, snapshotMagic+" ") {
		return nil, errSnapshot
	}
	if !bytes.HasPrefix(head, []byte(first)) {
		return nil, errSnapshotFormat
	}
	second, err := in.ReadString('\n')
	if err != nil || first+second != string(head) {
		return nil, fmt.Errorf("%w: it is of another journal or entry", errSnapshot)
	}
	if a, err = decodeAccounts(in, size); err != nil {
		return nil, err
	}
	a.Version = n.version
	return a, nil
}

// checkSnapshot compares the SHA-256 at the end with that of what is before.
func checkSnapshot(o store.Object, sum hash.Hash) error {
	size := o.Size() - sha256.Size
	if size < 0 {
		return errSnapshot
	}
	if _, err := io.Copy(sum, io.NewSectionReader(o, 0, size)); err != nil {
		return err
	}
	var want [sha256.Size]byte
	if _, err := io.ReadFull(io.NewSectionReader(o, size, sha256.Size), want[:]); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want[:]) {
		return errSnapshot
	}
	return nil
}

// savedAccounts is the newest snapshot that a closer has read or written.
type savedAccounts struct {
	version, rows int64           // rows: those that the accounts had counted in this process
	at            schemas.Instant // 0 = none
}

// loadAccounts gives the accounts to go on from: the newest snapshot up to an entry that is of
// this journal, else none.
func (c *Closer) loadAccounts(ctx context.Context, j Events, s schemas.System, to int64,
) *Accounts {
	if c.deps.Accounts == nil || to < 0 {
		return NewAccounts()
	}
	all, err := snapshots(ctx, c.deps.Accounts, s, to)
	if err != nil {
		c.note(s, "cannot list snapshots of the accounts: %v", err)
	}
	for _, n := range all {
		entry, err := j.EntryHash(ctx, n.version)
		if err == nil && entry != n.entry {
			err = errors.New("the journal has another entry there")
		}
		var a *Accounts
		if err == nil {
			a, err = readSnapshot(ctx, c.deps.Accounts, s, n)
		}
		if err == nil {
			return a
		}
		c.note(s, "snapshot %s of the accounts is not used: %v", n.key, err)
		if errors.Is(err, errSnapshot) { // its place is to be free for a whole one
			_ = c.deps.Accounts.Delete(ctx, n.key)
		}
	}
	if to >= snapshotEntries {
		c.note(s, "no snapshot of the accounts up to entry %d: they are counted from entry 0", to)
	}
	return NewAccounts()
}

func (c *Closer) note(s schemas.System, text string, args ...any) {
	c.deps.Progress(Progress{Note: string(s) + ": " + fmt.Sprintf(text, args...)})
}

// saveAccounts writes a snapshot of each system whose accounts have gone far enough since the
// last, and deletes old ones. What fails is only told: the next round tries again.
func (t *turn) saveAccounts(ctx context.Context) {
	c := t.closer
	if c.deps.Accounts == nil {
		return
	}
	for s, a := range c.accounts {
		last := c.saved[s]
		if last.at == 0 {
			last.at = t.now
			c.saved[s] = last
		}
		j, ok := t.journals[s]
		if !ok || !last.due(a, t.now) {
			continue
		}
		if err := c.saveOne(ctx, j, s, a); err != nil {
			c.note(s, "cannot write a snapshot of the accounts: %v", err)
			continue
		}
		c.saved[s] = savedAccounts{a.Version, a.rows, t.now}
	}
}

func (l *savedAccounts) due(a *Accounts, now schemas.Instant) bool {
	age := time.Duration(now-l.at) * time.Microsecond
	return a.Version > l.version && (a.Version-l.version >= snapshotEntries ||
		a.rows-l.rows >= snapshotRows || age >= snapshotAge)
}

// saveOne keeps the newest snapshots of this journal up to its own; those beyond it may be
// another closer's, which has seen more.
func (c *Closer) saveOne(ctx context.Context, j Events, s schemas.System, a *Accounts) error {
	entry, err := j.EntryHash(ctx, a.Version)
	if err != nil {
		return err
	}
	if err := writeSnapshot(ctx, c.deps.Accounts, s, entry, a); err != nil {
		return err
	}
	all, err := snapshots(ctx, c.deps.Accounts, s, a.Version)
	if err != nil {
		return err
	}
	kept := 0
	for _, n := range all {
		if h, err := j.EntryHash(ctx, n.version); kept < snapshotsKept && err == nil && h == n.entry {
			kept++
			continue
		}
		if err := c.deps.Accounts.Delete(ctx, n.key); err != nil {
			return err
		}
	}
	return nil
}
