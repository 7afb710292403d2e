// Package schemas is the vocabulary of the system: identifiers, days, the journal row, datasets,
// agreements, names.
//
// It imports nothing but the standard library, does no I/O but on the file systems it is handed,
// and holds no mutable state. Each identifier is a type of its own, so that a mix-up does not
// compile:
//
//	k, err := schemas.ParseKommunekode("0101")
//	topic := schemas.RawTopic("kmd-nexus", "grant")
package schemas
