package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/streams"
)

// journalSink is a journal as streams knows it.
type journalSink struct {
	journal *sinks.Journal
	writer  string
	accept  string // why to go on where too much is parked; "" = the stream stops
}

// writerID names this process among all writers.
func writerID() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return "w" + hex.EncodeToString(b)
}

// Progress implements streams.Sink.
func (s journalSink) Progress(ctx context.Context) (map[schemas.Stream]streams.Position, error) {
	if err := s.journal.Refresh(ctx); err != nil {
		return nil, err
	}
	at := map[schemas.Stream]streams.Position{}
	for stream, p := range s.journal.Progress() {
		at[stream] = streams.Position{
			Next: p.Next,
			Anchor: streams.Anchor{Topic: p.Anchor.Topic, Epoch: p.Anchor.Epoch,
				Offset: p.Anchor.Offset, Hash: p.Anchor.SHA256},
		}
	}
	return at, nil
}

// Begin implements streams.Sink.
func (s journalSink) Begin() streams.Entry {
	e := s.journal.NewEntry(s.writer)
	e.AcceptParked(s.accept)
	return journalEntry{e}
}

type journalEntry struct{ entry *sinks.Entry }

// Add implements streams.Entry.
func (e journalEntry) Add(rows ...schemas.Row) error { return raced(e.entry.Add(rows...)) }

// Advance implements streams.Entry.
func (e journalEntry) Advance(stream schemas.Stream, to streams.Position) error {
	return raced(
		e.entry.Advance(stream, sinks.Position{Next: to.Next, Anchor: sinks.Anchor{Topic: to.Anchor.Topic,
			Epoch: to.Anchor.Epoch, Offset: to.Anchor.Offset, SHA256: to.Anchor.Hash}}),
	)
}

// Size implements streams.Entry.
func (e journalEntry) Size() int { return e.entry.Size() }

// Commit implements streams.Entry.
func (e journalEntry) Commit(ctx context.Context) error {
	err := e.entry.Commit(ctx)
	if errors.Is(err, sinks.ErrEmpty) {
		return nil
	}
	return raced(err)
}

// raced says in the words of streams that another writer was first, or that a stream must stop.
func raced(err error) error {
	var stop *sinks.BreakerError
	if errors.As(err, &stop) {
		return &streams.StoppedError{Stream: stop.Stream, Err: stop}
	}
	if errors.Is(err, sinks.ErrLostRace) {
		return fmt.Errorf("%w: %w", streams.ErrLostRace, err)
	}
	return err
}

// suspects is the sinks' note of records that may end the process, as streams knows it.
type suspects struct{ *sinks.Suspects }

// Alone implements streams.Suspects.
func (s suspects) Alone(stream schemas.Stream, offset int64) (poison bool, err error) {
	deaths, err := s.Suspects.Alone(stream, offset)
	return deaths >= sinks.PoisonDeaths, err
}
