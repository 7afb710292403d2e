package cpr

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/flis-dk/flis/schemas"
)

const (
	// recordMax bounds a line; the longest record of a layout has 382 characters.
	recordMax = 16 << 10
	headerLen = 13 // record type and number
	// bufferSize is that of the whole file's reader; a record that stands apart takes a small
	// one.
	bufferSize, recordBuffer = 64 << 10, 1 << 10
	bom                      = "\xef\xbb\xbf"
)

// form is how the records of a file are told apart.
type form struct {
	encoding Encoding
	stream   bool // one run of records without line ends, each at its full length
	table    table
}

// reader reads the records of a file one by one.
type reader struct {
	form
	in     *bufio.Reader
	offset int64 // of the byte after the last record read
	nr     int64 // number of the last record read, from 1, blank lines not counted
	start  int64 // offset of the last record read
	buf    []byte
}

// newReader reads the first size bytes of r.
func newReader(r io.ReaderAt, size int64, f form) *reader {
	return &reader{form: f, in: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), bufferSize)}
}

// next is the next record without its line end and trailing blanks; io.EOF after the last. The
// bytes hold until the next call.
func (r *reader) next() ([]byte, error) {
	for {
		r.start = r.offset
		read := r.line
		if r.stream {
			read = r.run
		}
		b, err := read()
		if err != nil {
			return nil, err
		}
		if r.start == 0 && bytes.HasPrefix(b, []byte(bom)) {
			r.start += int64(len(bom))
			b = b[len(bom):]
		}
		if b = bytes.TrimRight(b, " \r"); len(b) == 0 {
			continue
		}
		r.nr++
		if len(b) < headerLen {
			return nil, at(r.nr, "cut the file anew: each record begins with type and number",
				"the record is shorter than %d characters", headerLen)
		}
		return b, nil
	}
}

// line reads up to LF; 0x85 is a character of ISO-8859-1, not a line end.
func (r *reader) line() ([]byte, error) {
	r.buf = r.buf[:0]
	for {
		b, err := r.in.ReadSlice('\n')
		r.offset += int64(len(b))
		r.buf = append(r.buf, b...)
		switch {
		case len(r.buf) > recordMax:
			return nil, at(r.nr+1, "deliver records by lines that end in LF",
				"no line end in %d bytes", recordMax)
		case err == nil:
			return r.buf[:len(r.buf)-1], nil
		case errors.Is(err, io.EOF) && len(r.buf) > 0:
			return r.buf, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// run reads as many characters as the record type has.
func (r *reader) run() ([]byte, error) {
	r.buf = r.buf[:0]
	head, err := r.in.Peek(len(bom) + 3)
	if len(bytes.TrimRight(head, " \r\n")) == 0 && len(head) < 3 {
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, io.EOF // a line end after the last record
	}
	if r.start == 0 && bytes.HasPrefix(head, []byte(bom)) {
		_, _ = r.in.Discard(len(bom)) // just peeked at
		r.offset, r.start = int64(len(bom)), int64(len(bom))
		head = head[len(bom):]
	}
	t := r.table[string(head[:min(3, len(head))])]
	if t == nil {
		return nil, at(r.nr+1, "feed the file with its own layout, or by lines",
			"the layout has no such record type, so its length is not known")
	}
	for range t.Len {
		if err := r.character(); err != nil {
			if !errors.Is(err, io.EOF) {
				return nil, err
			}
			return nil, at(r.nr+1, "fetch the file again", "the file ends inside a record")
		}
	}
	return r.buf, nil
}

// character takes one character over, as it is: bytes that are no character count as one each.
func (r *reader) character() error {
	b, err := r.in.Peek(1)
	if err != nil {
		return err
	}
	n := 1
	if r.encoding == UTF8 && b[0] >= utf8.RuneSelf {
		b, _ = r.in.Peek(utf8.UTFMax) // fewer at the end of the file
		_, n = utf8.DecodeRune(b)
	}
	r.buf = append(r.buf, b[:n]...)
	r.offset += int64(n)
	_, err = r.in.Discard(n)
	return err
}

// at makes a finding on a record of a file, by its number.
func at(nr int64, mend, rule string, args ...any) *schemas.Finding {
	return schemas.Reject(schemas.CodeLayout, recordPath(nr), mend, rule, args...)
}

// probe finds a file's encoding and whether it is one run of records.
func probe(r io.ReaderAt, size int64, o Options) (form, error) {
	f := form{encoding: o.Encoding}
	first := make([]byte, min(size, recordMax))
	if _, err := r.ReadAt(first, 0); err != nil && !errors.Is(err, io.EOF) {
		return f, err
	}
	f.stream = isStream(bytes.TrimPrefix(first, []byte(bom)), o.Layout)
	if f.encoding != "" {
		return f, nil
	}
	var d detector
	in := io.NewSectionReader(r, 0, size)
	buf := make([]byte, 64<<10)
	for {
		n, err := in.Read(buf)
		d.write(buf[:n])
		if errors.Is(err, io.EOF) {
			f.encoding = d.encoding()
			return f, nil
		}
		if err != nil {
			return f, err
		}
	}
}

// isStream says whether the first record runs on without a line end: it is longer than the
// layout, or any, has it.
func isStream(first []byte, told Layout) bool {
	longest := 0
	for _, l := range []Layout{A, AUUID, B} {
		if told != "" && told != l {
			continue
		}
		if t := tableOf(l)[string(first[:min(3, len(first))])]; t != nil {
			longest = max(longest, t.Len)
		}
	}
	end := bytes.IndexByte(first, '\n')
	if end < 0 {
		end = len(first)
	}
	return longest > 0 && utf8.RuneCount(bytes.TrimRight(first[:end], " \r")) > longest
}
