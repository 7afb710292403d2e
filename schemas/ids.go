package schemas

import (
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
)

// Kommunekode is a municipality's code of four digits as CPR writes it ("0101").
// National ("0000") stands for a row that names no municipality and is routed at close.
type Kommunekode string

// National is the pseudo municipality of rows that are routed at close (design.md section 6,
// Ownership).
const National Kommunekode = "0000"

var kommunekode = regexp.MustCompile(`^[0-9]{4}$`)

// ParseKommunekode accepts exactly four digits. A shorter form ("101") is refused: the caller knows
// which form its source uses and pads it itself.
func ParseKommunekode(s string) (Kommunekode, error) {
	if !kommunekode.MatchString(s) {
		return "", fmt.Errorf("municipality code %q: want four digits in quotes, as \"0101\"", s)
	}
	return Kommunekode(s), nil
}

// System names a source system as one vendor runs it ("kmd-nexus", "cpr").
type System string

var systemName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// ParseSystem accepts lower-case ASCII letters, digits and hyphens, a letter first.
func ParseSystem(s string) (System, error) {
	if !systemName.MatchString(s) {
		return "", fmt.Errorf("system %q: want lower-case letters, digits and hyphens, as kmd-nexus", s)
	}
	return System(s), nil
}

// Area is one of the eight subject areas of the standard model ("borger", "aeldre").
type Area string

// DatasetName is "<area>.<dataset>", as "borger.adresse".
type DatasetName string

// Area is the part before the dot; the whole name where there is none (a snapshot of a whole area).
func (d DatasetName) Area() Area {
	a, _, _ := strings.Cut(string(d), ".")
	return Area(a)
}

// Short is the part after the dot, empty for a whole area.
func (d DatasetName) Short() string {
	_, s, _ := strings.Cut(string(d), ".")
	return s
}

// CPR is a personal number of ten characters. It masks itself whenever it is printed or logged;
// Reveal gives the number for what must hold it: a key, a payload, a delivered column.
type CPR string

const masked = "**********"

// String masks the number.
func (CPR) String() string { return masked }

// GoString masks the number.
func (CPR) GoString() string { return masked }

// Format masks the number under every verb.
func (CPR) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// LogValue masks the number.
func (CPR) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText masks the number.
func (CPR) MarshalText() ([]byte, error) { return []byte(masked), nil }

// Reveal is the number itself.
func (c CPR) Reveal() string { return string(c) }

// Stream names one partition of one topic of one cluster: "<cluster>/<topic>/<partition>".
type Stream string

// NewStream joins the three parts.
func NewStream(cluster, topic string, partition int) Stream {
	return Stream(fmt.Sprintf("%s/%s/%d", cluster, topic, partition))
}

// Parts takes the name apart; ok is false for what is no stream.
func (s Stream) Parts() (cluster, topic string, partition int, ok bool) {
	parts := strings.Split(string(s), "/")
	if len(parts) != 3 {
		return "", "", 0, false
	}
	partition, err := strconv.Atoi(parts[2])
	return parts[0], parts[1], partition, err == nil
}

// Topic is the middle part; "" for what is no stream.
func (s Stream) Topic() string {
	_, topic, _, _ := s.Parts()
	return topic
}
