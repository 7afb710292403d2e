package transforms

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/flis-dk/flis/schemas"
)

// JudgeAgain judges a record that the journal holds, from its raw row (ordinal 0 of generation 0,
// with its value). Rows, and the error, are as of Judge.
func (c *Catalog) JudgeAgain(dst []schemas.Row, raw *schemas.Row) ([]schemas.Row, error) {
	headers, err := parseHeaders(raw.Headers)
	if err != nil {
		return dst, fmt.Errorf("read headers of %s/%d: %w", raw.Stream, raw.Offset, err)
	}
	return c.Judge(dst, &Record{Stream: raw.Stream, Offset: raw.Offset, Arrived: raw.Arrived,
		Topic: raw.Stream.Topic(), Key: raw.RawKey, Value: raw.Payload, Headers: headers})
}

// parseHeaders reads what appendHeaders wrote.
func parseHeaders(text []byte) ([]Header, error) {
	var pairs [][2]*string
	if len(text) > 0 {
		if err := json.Unmarshal(text, &pairs); err != nil {
			return nil, err
		}
	}
	headers := make([]Header, len(pairs))
	for i, p := range pairs {
		if p[0] == nil {
			return nil, fmt.Errorf("header %d has no name", i)
		}
		headers[i].Name = *p[0]
		if p[1] == nil {
			continue // a header without a value
		}
		var err error
		if headers[i].Value, err = base64.StdEncoding.DecodeString(*p[1]); err != nil {
			return nil, err
		}
	}
	return headers, nil
}
