package schemas

import "fmt"

// Names of topics and keys of stores are made here and nowhere else (invariant 6).

// RawTopic is the topic of a system's event: "raw.<system>.<event>.v1".
func RawTopic(s System, event string) string { return fmt.Sprintf("raw.%s.%s.v1", s, event) }

// RawTopicPrefix is what all raw topics of a system begin with.
func RawTopicPrefix(s System) string { return fmt.Sprintf("raw.%s.", s) }

// CuratedTopic is the topic of what a unit's tables say: "kommune.<code>.<area>.v1".
func CuratedTopic(u Unit) string { return fmt.Sprintf("kommune.%s.%s.v1", u.Kommune, u.Area) }

// ControlEvent is the event of every system that carries seals and heartbeats.
const ControlEvent = "kontrol"

// JournalPrefix is the folder of a system's journal table.
func JournalPrefix(s System) string { return "journal/" + string(s) }

// TablePrefix is the folder of a delivered table; history is its <dataset>_historik.
func TablePrefix(k Kommunekode, d DatasetName, history bool) string {
	p := fmt.Sprintf("kommune=%s/%s/%s", k, d.Area(), d.Short())
	if history {
		p += "_historik"
	}
	return p
}

// CertificateKey is the key of certificate n of a unit.
func CertificateKey(u Unit, n int64) string { return fmt.Sprintf("bevis/%s/%08d.json", u, n) }

// StatePrefix is the folder of a unit's close state, beside the journal and never delivered.
func StatePrefix(u Unit) string { return "lukketilstand/" + u.String() }

// ShadowPrefix is where all that is made of a shadow system lies in the internal root: close state,
// tables and certificates under the names that they would have without it.
func ShadowPrefix(s System) string { return "skygge/" + string(s) }
