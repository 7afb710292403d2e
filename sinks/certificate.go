package sinks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/delta"
	"github.com/flis-dk/flis/sinks/store"
)

// CertificateFormat is the number that certificates and claims carry
// (docs/decisions/0004-certificate.md).
const CertificateFormat = 1

// Kinds of certificates.
const (
	KindClose = "LUKNING"
	KindClaim = "KRAV"
)

// certificateBytesMax bounds what is read of one certificate (invariant 11).
const certificateBytesMax = 64 << 20

// JournalPoint is a place in a system's journal: everything in entries 0…Version.
type JournalPoint struct {
	Version int64  `json:"indgang"`          // -1 = nothing
	Hash    string `json:"sha256,omitempty"` // of the entry's bytes
}

// Points are the journal positions of a certificate, by system.
type Points map[schemas.System]JournalPoint

// FileRef names an immutable file by content.
type FileRef struct {
	Path   string `json:"sti"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Rows   int64  `json:"raekker"`
}

// TableRef is one Delta table as a certificate names it. Digest fixes every live file of that
// version; New are those that this close added, Removed those that it took out.
type TableRef struct {
	Version int64     `json:"version"`
	Since   int64     `json:"siden"` // number of the certificate that made this version
	Entry   string    `json:"indgang_sha256"`
	Rows    int64     `json:"raekker"`
	Files   int       `json:"filer"`
	Digest  string    `json:"filer_sha256"`
	New     []FileRef `json:"nye,omitempty"`
	Removed []string  `json:"fjernet,omitempty"`
}

// DatasetRef is a dataset's two tables; nil where there is none yet.
type DatasetRef struct {
	Current *TableRef `json:"nu,omitempty"`
	History *TableRef `json:"historik,omitempty"`
}

// CertificateRef names a certificate of another unit.
type CertificateRef struct {
	Number int64  `json:"nr"`
	SHA256 string `json:"sha256"`
}

// AgreementRef is an agreement in full, as a certificate pins it.
type AgreementRef struct {
	System   schemas.System      `json:"system"`
	Datasets []string            `json:"datasaet,omitempty"`
	From     string              `json:"fra,omitempty"`
	To       string              `json:"til,omitempty"`
	Proof    schemas.Proof       `json:"bevis"`
	Calendar schemas.Calendar    `json:"leverer"`
	Deadline int                 `json:"frist"`
	Update   string              `json:"opdatering,omitempty"`
	Since    string              `json:"historik_fra,omitempty"`
	Shadow   bool                `json:"skygge,omitempty"`
	Reporter schemas.Kommunekode `json:"indberetter,omitempty"`
}

// Claim pins everything that close Number of a unit depends on. Whoever finishes it finishes this
// very close.
type Claim struct {
	Format int    `json:"format"`
	Kind   string `json:"slags"`
	Unit   string `json:"enhed"`
	Number int64  `json:"nr"`
	// SHA-256 of the certificate before; "" at the first
	Previous     string            `json:"forrige"`
	Points       Points            `json:"positioner"`
	Leverance    string            `json:"leverance"`
	Now          schemas.Instant   `json:"nu"` // deadlines are judged at this moment
	Agreements   []AgreementRef    `json:"tilslutninger"`
	National     *CertificateRef   `json:"national,omitempty"`
	Engine       int               `json:"motor"`
	Fingerprints map[string]string `json:"fingeraftryk,omitempty"`
	Writer       string            `json:"skriver"`
	Guard        *Guard            `json:"vagt,omitempty"`
	Approvals    []ApprovalRef     `json:"godkendelser,omitempty"`
	Held         *Held             `json:"venter,omitempty"`   // the tables stay as they were
	Accounts     Points            `json:"regnskab,omitempty"` // days are judged by; nil = Points
	Basis        Basis             `json:"grundlag,omitempty"` // of a status: what it is made of
}

// Certificate is one close of one unit. It holds no personal data.
type Certificate struct {
	Format    int                    `json:"format"`
	Kind      string                 `json:"slags"`
	Unit      string                 `json:"enhed"`
	Number    int64                  `json:"nr"`
	Leverance string                 `json:"leverance"`
	Previous  string                 `json:"forrige"`
	Claim     string                 `json:"krav_sha256"`
	Now       schemas.Instant        `json:"nu"`
	Points    Points                 `json:"positioner"`
	National  *CertificateRef        `json:"national,omitempty"`
	Tables    map[string]*DatasetRef `json:"tabeller"`
	State     *FileRef               `json:"lukketilstand,omitempty"`
	Days      []DayReport            `json:"dage"`
	Calendar  map[string]DayState    `json:"kalender"`
	// each expected day up to this one has its final state
	Settled      string                    `json:"afgjort_til"`
	Began        map[schemas.System]string `json:"begyndt"` // first day of delivery of each system
	Counts       Counts                    `json:"antal"`
	Replays      []ReplayRef               `json:"genafledninger,omitempty"`
	Incomplete   []string                  `json:"ufuldstaendige_snapshots,omitempty"`
	Agreements   []AgreementRef            `json:"tilslutninger"`
	Fingerprints map[string]string         `json:"fingeraftryk,omitempty"`
	Engine       int                       `json:"motor"`
	Writer       string                    `json:"skriver"`
	Build        string                    `json:"bygning"`
	Guard        *Guard                    `json:"vagt,omitempty"`
	Approvals    []ApprovalRef             `json:"godkendelser,omitempty"`
	Held         *Held                     `json:"venter,omitempty"`
	Accounts     Points                    `json:"regnskab,omitempty"`
	Basis        Basis                     `json:"grundlag,omitempty"`

	// Sum is the SHA-256 of the certificate's own canonical JSON with this field empty: the newest
	// certificate has no later one that names its hash.
	Sum string `json:"selv_sha256"`

	hash string // SHA-256 of the stored bytes
}

// Counts tell what a close did with its statements.
type Counts struct {
	Rows int64 `json:"haendelser"` // statements read for this close
	Late int64 `json:"forsinkede"` // of them, for days that had their final state
	// cut or dropped because another agreement owns the time
	Clipped int64 `json:"afskaaret,omitempty"`
	Parked  int64 `json:"parkeret"` // records of the unit's sources that are parked now
}

// Hash is the SHA-256 of the certificate's stored bytes.
func (c *Certificate) Hash() string { return c.hash }

// LeveranceDay is the delivery that the certificate is of.
func (c *Certificate) LeveranceDay() schemas.Day {
	d, err := schemas.ParseDay(c.Leverance)
	if err != nil {
		return schemas.Always
	}
	return d
}

// ClaimKey is the key of the claim of certificate n.
func ClaimKey(u schemas.Unit, n int64) string {
	return strings.TrimSuffix(schemas.CertificateKey(u, n), ".json") + ".krav.json"
}

// Canonical gives v as canonical JSON: sorted keys, no blanks, UTF-8, no HTML escapes.
func Canonical(v any) ([]byte, error) { return delta.Canonical(v) }

// readObject reads a whole object and refuses one larger than most bytes.
func readObject(ctx context.Context, st store.Store, key string, most int64) ([]byte, error) {
	return store.ReadLimit(ctx, st, key, most)
}

func hashOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// createAttempts bounds how often a put is tried again whose answer was lost and that did not
// happen.
const createAttempts = 5

// createOrRead puts bytes if the key is free and gives back what holds the key. A lost answer is
// resolved by reading back; only a key that is still free is tried again.
func createOrRead(ctx context.Context, st store.Store, key string, b []byte) ([]byte, error) {
	var err error
	for range createAttempts {
		err = store.CreateBytes(ctx, st, key, b)
		switch {
		case err == nil:
			return b, nil
		case !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrUnknown):
			return nil, fmt.Errorf("create %s: %w", key, err)
		}
		got, rerr := readObject(ctx, st, key, certificateBytesMax)
		if rerr == nil {
			return got, nil
		}
		if !errors.Is(rerr, store.ErrNotFound) || errors.Is(err, store.ErrExists) {
			return nil, fmt.Errorf("read back %s: %w", key, rerr)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("create %s: %w", key, err)
}

func agreementRefs(all []schemas.Agreement) []AgreementRef {
	refs := make([]AgreementRef, 0, len(all))
	for _, a := range all {
		refs = append(refs, AgreementRef{System: a.System, Datasets: a.Datasets, From: a.From.String(),
			To: a.To.String(), Proof: a.Proof, Calendar: a.Calendar, Deadline: a.Deadline, Update: a.Update,
			Since: a.Since.String(), Shadow: a.Shadow, Reporter: a.Reporter})
	}
	return refs
}

// agreements turns the pinned agreements of a unit back into those that the close works by.
func agreements(u schemas.Unit, refs []AgreementRef) ([]schemas.Agreement, error) {
	all := make([]schemas.Agreement, 0, len(refs))
	for _, r := range refs {
		a := schemas.Agreement{Kommune: u.Kommune, Area: u.Area, System: r.System, Datasets: r.Datasets,
			Proof: r.Proof, Calendar: r.Calendar, Deadline: r.Deadline, Update: r.Update, Shadow: r.Shadow,
			Reporter: r.Reporter}
		var err [3]error
		a.From, err[0] = dayOr(r.From, schemas.Always)
		a.To, err[1] = dayOr(r.To, schemas.Open)
		a.Since, err[2] = dayOr(r.Since, schemas.Always)
		if e := errors.Join(err[:]...); e != nil {
			return nil, fmt.Errorf("read agreement of %s: %w", u, e)
		}
		all = append(all, a)
	}
	return all, nil
}

func dayOr(s string, none schemas.Day) (schemas.Day, error) {
	if s == "" {
		return none, nil
	}
	return schemas.ParseDay(s)
}
