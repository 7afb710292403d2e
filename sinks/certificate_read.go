package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// decodeStrict reads canonical JSON only: any other form of the same value is refused, so that
// one value has one hash.
func decodeStrict(key string, b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	again, err := Canonical(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return fmt.Errorf("read %s: not canonical JSON of format %d", key, CertificateFormat)
	}
	return nil
}

// sum is the hash of the certificate as it stands, its own sum aside.
func (c *Certificate) sum() (string, error) {
	plain := *c
	plain.Sum = ""
	b, err := Canonical(&plain)
	return hashOf(b), err
}

// encode fixes the certificate: its sum, then its bytes.
func (c *Certificate) encode() ([]byte, error) {
	var err error
	if c.Sum, err = c.sum(); err != nil {
		return nil, err
	}
	return Canonical(c)
}

func checkFormat(key string, b []byte) error {
	var f struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("read %s: damaged: %w", key, err)
	}
	if f.Format != CertificateFormat {
		return fmt.Errorf("read %s: format %d, this program knows %d; use a newer build",
			key, f.Format, CertificateFormat)
	}
	return nil
}

func decodeCertificate(u schemas.Unit, n int64, b []byte) (*Certificate, error) {
	key := schemas.CertificateKey(u, n)
	if err := checkFormat(key, b); err != nil {
		return nil, err
	}
	c := &Certificate{hash: hashOf(b)}
	if err := decodeStrict(key, b, c); err != nil {
		return nil, err
	}
	if sum, err := c.sum(); err != nil || sum != c.Sum {
		return nil, errors.Join(
			fmt.Errorf("read %s: it was changed (selv_sha256): restore it from a copy",
				key),
			err,
		)
	}
	if c.Unit != u.String() || c.Number != n || c.Kind != KindClose {
		return nil, fmt.Errorf("read %s: is %s %s number %d: the file was moved", key, c.Kind, c.Unit,
			c.Number)
	}
	return c, nil
}

func decodeClaim(u schemas.Unit, n int64, b []byte) (*Claim, error) {
	key := ClaimKey(u, n)
	if err := checkFormat(key, b); err != nil {
		return nil, err
	}
	c := &Claim{}
	if err := decodeStrict(key, b, c); err != nil {
		return nil, err
	}
	if c.Unit != u.String() || c.Number != n || c.Kind != KindClaim {
		return nil, fmt.Errorf("read %s: is %s %s number %d: the file was moved", key, c.Kind, c.Unit,
			c.Number)
	}
	return c, nil
}

// ReadCertificate reads certificate n of a unit and checks its form; store.ErrNotFound where
// there is none. That it belongs to the chain is said by the next one, or by Head.
func ReadCertificate(ctx context.Context, st store.Store, u schemas.Unit, n int64,
) (*Certificate, error) {
	b, err := readObject(ctx, st, schemas.CertificateKey(u, n), certificateBytesMax)
	if err != nil {
		return nil, err
	}
	return decodeCertificate(u, n, b)
}

// ReadClaim reads the claim of certificate n; store.ErrNotFound where there is none.
func ReadClaim(ctx context.Context, st store.Store, u schemas.Unit, n int64,
) (*Claim, string, error) {
	b, err := readObject(ctx, st, ClaimKey(u, n), certificateBytesMax)
	if err != nil {
		return nil, "", err
	}
	c, err := decodeClaim(u, n, b)
	return c, hashOf(b), err
}

// Head gives the newest certificate of a unit, nil where there is none. A stale list is no
// danger: the number after the last one listed is asked for until there is none. The link to the
// one before is verified.
func Head(ctx context.Context, st store.Store, u schemas.Unit) (*Certificate, error) {
	return headAfter(ctx, st, u, nil)
}

// headAfter goes on from a certificate that this process has read, without a list.
func headAfter(ctx context.Context, st store.Store, u schemas.Unit, known *Certificate,
) (*Certificate, error) {
	if known != nil {
		return probeHead(ctx, st, u, known)
	}
	last := int64(0)
	prefix := "bevis/" + u.String() + "/"
	for info, err := range st.List(ctx, prefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		n, ok := certificateNumber(strings.TrimPrefix(info.Key, prefix))
		if ok && n > last {
			last = n
		}
	}
	if last == 0 {
		return probeHead(ctx, st, u, nil)
	}
	head, err := ReadCertificate(ctx, st, u, last)
	if err != nil {
		return nil, err
	}
	if err := checkLink(ctx, st, u, head); err != nil {
		return nil, err
	}
	return probeHead(ctx, st, u, head)
}

// probeHead reads forward from a certificate until there is none.
func probeHead(ctx context.Context, st store.Store, u schemas.Unit, head *Certificate,
) (*Certificate, error) {
	for {
		n := int64(1)
		if head != nil {
			n = head.Number + 1
		}
		next, err := ReadCertificate(ctx, st, u, n)
		if errors.Is(err, store.ErrNotFound) {
			return head, nil
		}
		if err != nil {
			return nil, err
		}
		if head != nil && next.Previous != head.hash {
			return nil, brokenChain(u, n)
		}
		head = next
	}
}

func checkLink(ctx context.Context, st store.Store, u schemas.Unit, c *Certificate) error {
	if c.Number == 1 {
		if c.Previous != "" {
			return brokenChain(u, 1)
		}
		return nil
	}
	before, err := ReadCertificate(ctx, st, u, c.Number-1)
	if err != nil {
		return fmt.Errorf("read certificate before %s number %d: %w", u, c.Number, err)
	}
	if before.hash != c.Previous {
		return brokenChain(u, c.Number)
	}
	return nil
}

func brokenChain(u schemas.Unit, n int64) error {
	return fmt.Errorf("certificate %s number %d: names another predecessor than number %d is: "+
		"one of the two was changed; restore it from a copy", u, n, n-1)
}

// certificateNumber reads "00000012.json"; claims and other names are no certificate.
func certificateNumber(name string) (int64, bool) {
	digits, ok := strings.CutSuffix(name, ".json")
	if !ok || len(digits) != 8 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n > 0
}
