package cpr

import (
	"fmt"
	"unicode/utf8"
)

// Encoding names how characters are written. Layout positions count characters, whatever bytes
// they take.
type Encoding string

// The encodings.
const (
	Latin1 Encoding = "ISO-8859-1"
	UTF8   Encoding = "UTF-8"
)

// Encode writes UTF-8 text in an encoding. A character that ISO-8859-1 lacks is an error.
func Encode(text string, enc Encoding) ([]byte, error) {
	if enc == UTF8 {
		return []byte(text), nil
	}
	b := make([]byte, 0, len(text))
	for _, r := range text {
		if r > 0xff {
			return nil, fmt.Errorf("encode text: a character is not in %s", enc)
		}
		b = append(b, byte(r))
	}
	return b, nil
}

// detector finds a file's encoding from its bytes, in pieces: valid UTF-8 with at least one
// character beyond ASCII is UTF-8, anything else ISO-8859-1 (of which ASCII is a part).
type detector struct {
	rest    []byte // an unfinished character at the end of the last piece
	wide    bool
	invalid bool
}

// write looks at the next piece.
func (d *detector) write(b []byte) {
	if d.invalid {
		return
	}
	if len(d.rest) > 0 {
		b = append(d.rest, b...)
		d.rest = nil
	}
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		if !utf8.FullRune(b) {
			d.rest = append([]byte(nil), b...)
			return
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			d.invalid = true
			return
		}
		d.wide = true
		b = b[n:]
	}
}

// encoding is the verdict on what was written.
func (d *detector) encoding() Encoding {
	if d.wide && !d.invalid && len(d.rest) == 0 {
		return UTF8
	}
	return Latin1
}
