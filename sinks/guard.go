package sinks

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// KindApproval is the kind of an approval's object.
const KindApproval = "GODKENDELSE"

// Guard says when ends of open rows wait for an approval: at least Rows of them, and more than
// Percent of the open rows that the table has of the system (docs/decisions/0006).
type Guard struct {
	Percent int64 `json:"procent"`
	Rows    int64 `json:"raekker"`
}

// holds says whether so many ends are a mass end. A table without open rows has none to lose.
func (g *Guard) holds(ended, open int64) bool {
	return g != nil && open > 0 && ended >= g.Rows && ended*100 > open*g.Percent
}

// MassEnd is the open rows of one system in one table that a close would end. List is a file
// beside the close state, for it names persons: a line "key TAB end LF" for each row in order of
// key, where end is the last day (exclusive) that is left of the key, empty where nothing is.
type MassEnd struct {
	Dataset schemas.DatasetName `json:"datasaet"`
	System  schemas.System      `json:"system"`
	Ended   int64               `json:"afsluttes"`
	Open    int64               `json:"aabne"`
	List    FileRef             `json:"liste"`
	Causes  []EndCause          `json:"kilder,omitempty"` // greatest first

	approval *Approval // that covers it; nil = none
}

// EndCause is what ends rows: of a key the greatest of its new statements.
type EndCause struct {
	Op        schemas.Op `json:"operation"`
	Leverance string     `json:"leverance"`
	Snapshot  string     `json:"oejebliksbillede,omitempty"` // its id, or its digest: see snapshotName
	File      string     `json:"fil,omitempty"`              // SHA-256 of the file that was fed
	Rows      int64      `json:"antal"`
}

// Held says that a close waits: tables and positions stay as they were.
type Held struct {
	Since int64     `json:"siden"`    // number of the first certificate of this wait
	After string    `json:"efter"`    // delivery of the certificate before it
	Days  []string  `json:"dage"`     // deliveries of which something waits, in order
	Ends  []MassEnd `json:"tabeller"` // in order of dataset and system
	// of what was seen, snapshots of which members are missing
	Incomplete []string `json:"ufuldstaendige_snapshots,omitempty"`
}

// Digest fixes what would end, and how.
func (h *Held) Digest() string {
	var b strings.Builder
	for _, e := range h.Ends {
		fmt.Fprintf(&b, "%s\t%s\t%s\n", e.Dataset, e.System, e.List.SHA256)
	}
	return hashOf([]byte(b.String()))
}

// text is what a day lacks while it waits, for people.
func (h *Held) text(u schemas.Unit) string {
	var parts []string
	for _, e := range h.Ends {
		parts = append(parts, fmt.Sprintf("%s fra %s %d af %d åbne rækker", e.Dataset, e.System,
			e.Ended, e.Open))
	}
	return fmt.Sprintf("masseafslutning venter på flis approve %s %s: %s", u.Kommune, u.Area,
		strings.Join(parts, ", "))
}

// waits says whether a delivery is not, or not as a whole, in the tables: something of it waits,
// or it came after and was not closed before.
func (h *Held) waits(d schemas.Day, was DayState) bool {
	if h == nil {
		return false
	}
	return slices.Contains(h.Days, d.String()) || d.String() > h.After && was.State != Closed
}

func (h *Held) equal(o *Held) bool {
	a, errA := Canonical(h)
	b, errB := Canonical(o)
	return errA == nil && errB == nil && string(a) == string(b)
}

// Approval is someone's word that what a certificate says would end may end. It is an object
// beside the certificate, made once.
type Approval struct {
	Format      int             `json:"format"`
	Kind        string          `json:"slags"`
	Unit        string          `json:"enhed"`
	Number      int64           `json:"nr"` // of the certificate that waits
	Certificate string          `json:"bevis_sha256"`
	Digest      string          `json:"masseafslutning_sha256"`
	By          string          `json:"af"`
	Reason      string          `json:"grund"`
	At          schemas.Instant `json:"tid"`

	hash string
	held *Held
}

// ApprovalRef is an approval as a claim and a certificate pin it, with what it let end.
type ApprovalRef struct {
	Number int64           `json:"nr"`
	SHA256 string          `json:"sha256"`
	By     string          `json:"af"`
	Reason string          `json:"grund"`
	At     schemas.Instant `json:"tid"`
	Ends   []MassEnd       `json:"tabeller"`
}

const approvalSuffix = ".godkendelse.json"

// ApprovalKey is the key of the approval of what certificate n says would end.
func ApprovalKey(u schemas.Unit, n int64) string {
	return strings.TrimSuffix(schemas.CertificateKey(u, n), ".json") + approvalSuffix
}

// ErrNothingWaits: a unit's newest certificate says of no mass end.
var ErrNothingWaits = errors.New("nothing waits for approval")

// ErrNamesPerson: what is said in an approval stands in certificates, which name no citizen.
var ErrNamesPerson = errors.New("the name or the reason holds what may be a personal number: " +
	"leave it out")

// Approve writes an approval of what the unit's newest certificate says would end. digest is that
// of the wait that was shown, or its first digits (twelve at least): an approval of something
// else than waits now is refused.
func Approve(ctx context.Context, st store.Store, u schemas.Unit, digest string, a Approval,
) (*Approval, error) {
	if personal.MatchString(a.By) || personal.MatchString(a.Reason) {
		return nil, fmt.Errorf("approve %s: %w", u, ErrNamesPerson)
	}
	c, err := Head(ctx, st, u)
	if err != nil {
		return nil, err
	}
	if c == nil || c.Held == nil {
		return nil, fmt.Errorf("approve %s: %w", u, ErrNothingWaits)
	}
	is := c.Held.Digest()
	if len(digest) < digestDigits || !strings.HasPrefix(is, digest) {
		return nil, fmt.Errorf("approve %s: what waits now has the digest %.*s: look at it again, "+
			"and approve that", u, digestDigits, is)
	}
	a.Format, a.Kind, a.Unit, a.Number = CertificateFormat, KindApproval, u.String(), c.Number
	a.Certificate, a.Digest = c.hash, is
	b, err := Canonical(&a)
	if err != nil {
		return nil, err
	}
	got, err := createOrRead(ctx, st, ApprovalKey(u, c.Number), b)
	if err != nil {
		return nil, err
	}
	return decodeApproval(u, c.Number, got)
}

// digestDigits is how much of a digest is shown, and must be given.
const digestDigits = 12

func decodeApproval(u schemas.Unit, n int64, b []byte) (*Approval, error) {
	key := ApprovalKey(u, n)
	if err := checkFormat(key, b); err != nil {
		return nil, err
	}
	a := &Approval{hash: hashOf(b)}
	if err := decodeStrict(key, b, a); err != nil {
		return nil, err
	}
	if a.Kind != KindApproval || a.Unit != u.String() || a.Number != n {
		return nil, fmt.Errorf("read %s: is %s %s number %d: the file was moved", key, a.Kind, a.Unit,
			a.Number)
	}
	return a, nil
}

// readApproval reads an approval and checks it against the certificate that it approves.
func readApproval(ctx context.Context, st store.Store, u schemas.Unit, n int64,
) (*Approval, error) {
	b, err := readObject(ctx, st, ApprovalKey(u, n), certificateBytesMax)
	if err != nil {
		return nil, err
	}
	a, err := decodeApproval(u, n, b)
	if err != nil {
		return nil, err
	}
	c, err := ReadCertificate(ctx, st, u, n)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ApprovalKey(u, n), err)
	}
	if c.hash != a.Certificate || c.Held == nil || c.Held.Digest() != a.Digest {
		return nil, fmt.Errorf("read %s: approves something else than certificate %d says would end: "+
			"one of the two was changed; restore it from a copy", ApprovalKey(u, n), n)
	}
	a.held = c.Held
	return a, nil
}

// approvals are those of a wait, the oldest first.
func approvals(ctx context.Context, st store.Store, u schemas.Unit, c *Certificate,
) ([]*Approval, error) {
	if c == nil || c.Held == nil {
		return nil, nil
	}
	prefix := "bevis/" + u.String() + "/"
	var all []*Approval
	for info, err := range st.List(ctx, prefix, ClaimKey(u, c.Held.Since-1)) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix), approvalSuffix)
		n, is := certificateNumber(name + ".json")
		if !ok || !is || n < c.Held.Since || n > c.Number {
			continue
		}
		a, err := readApproval(ctx, st, u, n)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// of is what an approval's certificate says would end of one system in one table; nil = nothing.
func (h *Held) of(e *MassEnd) *MassEnd {
	i := slices.IndexFunc(h.Ends, func(x MassEnd) bool {
		return x.Dataset == e.Dataset && x.System == e.System
	})
	if i < 0 {
		return nil
	}
	return &h.Ends[i]
}

func compareEnds(a, b MassEnd) int {
	return cmp.Or(cmp.Compare(a.Dataset, b.Dataset), cmp.Compare(a.System, b.System))
}

// personal finds what may be a personal number in a name that a vendor chose.
var personal = regexp.MustCompile(`[0-9]{6}[ -]?[0-9]{4}`)

const nameMax = 64

// snapshotName is the id of a snapshot as it may be shown: a digest of it, where it may name a
// person.
func snapshotName(id string) string {
	if len(id) > nameMax || personal.MatchString(id) {
		return "sha256-" + hashOf([]byte(id))[:digestDigits]
	}
	return id
}

// ReadEnds hands fn the rows of a list in order of key. Keys may name persons: they are for who
// asked, and for no log.
func ReadEnds(ctx context.Context, state store.Store, u schemas.Unit, e *MassEnd,
	fn func(key, end string) error) error {
	o, err := files{st: state, folder: schemas.StatePrefix(u)}.open(ctx, &e.List)
	if err != nil {
		return fmt.Errorf("read what would end: %w", err)
	}
	defer func() { _ = o.Close() }()
	lines := bufio.NewScanner(io.NewSectionReader(o, 0, o.Size()))
	lines.Buffer(nil, lineMax)
	for lines.Scan() {
		key, end, _ := strings.Cut(lines.Text(), "\t")
		if err := fn(key, end); err != nil {
			return err
		}
	}
	return lines.Err()
}

// lineMax is more than a key can be long.
const lineMax = 1 << 20
