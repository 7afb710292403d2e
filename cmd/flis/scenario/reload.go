package scenario

import (
	"fmt"
	"strconv"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/streams"
	"github.com/flis-dk/flis/transforms"
)

// GrantTopic is where the events of a Reload go.
const GrantTopic = "raw.kmd-nexus.grant.v1"

// Reload makes grants of the three municipalities that have kmd-nexus in the story with OnlyOld:
// five a citizen, each an event of its own. It is what is measured with.
type Reload struct {
	Run    int64                             // tells the ids of one reload from those of another
	Encode func(json []byte) ([]byte, error) // the registry's framing and Avro
}

var reloadSenders = [...]string{"99901011000016", "99907511000016", "99901831000016"}

// Message is the i-th event.
func (r *Reload) Message(i int) (streams.Message, error) {
	citizen := i / 5
	sor := reloadSenders[citizen%len(reloadSenders)]
	value, err := r.Encode(fmt.Appendf(
		nil,
		`{"grantId":%d,`+
			`"patientIdentifier":"%02d%02d%02d-%04d","organisationSor":%q,`+
			`"paragraph":{"law":"SEL","section":"83"},"catalogCode":%q,"workflowState":"ACTIVE",`+
			`"validity":{"from":"2025-%02d-%02dT00:00:00+01:00"},"amount":{"minutes":%d,"every":"WEEK"},`+
			`"supplier":{"kind":"MUNICIPAL"}}`,
		r.Run/1000+int64(i),
		61+citizen%28,
		1+citizen/28%12,
		citizen/336%100,
		citizen/33600%10000,
		sor,
		[...]string{"PERSONLIG", "PRAKTISK", "MADSERVICE"}[i%3],
		1+i%12,
		1+i%28,
		15*(1+i%40),
	))
	if err != nil {
		return streams.Message{}, fmt.Errorf("encode event %d: %w", i, err)
	}
	return streams.Message{Topic: GrantTopic, Key: strconv.AppendInt(nil, int64(i), 10), Value: value,
		Time: schemas.Instant(r.Run / 1000),
		Headers: []transforms.Header{
			{Name: "ce_id", Value: fmt.Appendf(nil, "m-%d-%d", r.Run, i)},
			{Name: "ce_source", Value: []byte("//kmd-nexus/" + sor)},
			{Name: "ce_type", Value: []byte("grant")},
			{Name: "ce_time", Value: []byte("2026-03-02T10:00:00Z")}}}, nil
}
