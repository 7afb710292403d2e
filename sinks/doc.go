// Package sinks turns judged records into durable data: the journal, the close, the certificate.
//
// It owns the formats of the journal, of the close state and of the certificate, each with a
// format number, and the protocols by which two writers or two closers of the same thing do no
// harm (docs/decisions). Everything that matters becomes durable by one put-if-absent; the rest
// is files that nobody reads until an entry or a certificate names them. It refuses to repair: a
// file whose SHA-256 differs, an entry whose hash does not chain, a hole in a stream stop the
// caller with an error that says which. It knows neither Kafka nor Arrow: the formats lie in its
// subfolders delta and parquet, storage in store.
//
// A writer of the journal reads where it stands, adds rows, commits:
//
//	j, err := sinks.OpenJournal(ctx, st, "kmd-nexus")
//	next := j.Progress()[stream].Next  // fetch from here, judge
//	e := j.NewEntry("normalise-7f3a")
//	err = e.Add(rows...)
//	err = e.Advance(stream, sinks.Position{Next: next + n, Anchor: anchor})
//	err = e.Commit(ctx)                // ErrLostRace: read Progress again and start over
package sinks
