package sinks

import (
	"context"
	"fmt"
	"sync"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// JournalEvents gives the close the journals that lie in a store. Each is opened once and then
// only read on.
func JournalEvents(st store.Store) func(context.Context, schemas.System) (Events, error) {
	var mu sync.Mutex
	opened := map[schemas.System]*Journal{}
	return func(ctx context.Context, s schemas.System) (Events, error) {
		mu.Lock()
		defer mu.Unlock()
		if j := opened[s]; j != nil {
			if err := j.Refresh(ctx); err != nil {
				return nil, err
			}
			return journalEvents{j, j.Version()}, nil
		}
		j, err := OpenJournal(ctx, st, s)
		if err != nil {
			return nil, err
		}
		opened[s] = j
		return journalEvents{j, j.Version()}, nil
	}
}

// journalEvents is a journal as it stood at one version.
type journalEvents struct {
	*Journal
	version int64
}

func (e journalEvents) Version() int64 { return e.version }

func (e journalEvents) EntryHash(ctx context.Context, version int64) (string, error) {
	_, data, err := e.log.Entry(ctx, version)
	if err != nil {
		return "", fmt.Errorf("read entry %d of the journal of %s: %w", version, e.system, err)
	}
	return hashOf(data), nil
}

// Rows reads values of statements only: those of records are the bulk of a journal.
func (e journalEvents) Rows(ctx context.Context, from, to int64, statements bool,
	fn func(*schemas.Row) error) error {
	if err := e.Scan(ctx, from, to, Want{Raw: true, Columns: recordColumns()}, fn); err != nil {
		return err
	}
	return e.Scan(ctx, from, to,
		Want{Events: true, Payload: statements, Columns: statementColumns()}, fn)
}

// recordColumns is what the accounts count a record by.
func recordColumns() []string {
	return []string{"loebenr", "generation", "haendelse_id", "haendelse",
		"leverance", "udfald", "kommunekode", "datasaet", "operation", "gyldig_fra",
		"oejebliksbillede", "aftryk"}
}

// statementColumns is what a statement says, and what a seal does; not how it was read.
func statementColumns() []string {
	return []string{"stroem", "stroem_offset", "loebenr", "generation", "kilde_system",
		"haendelse_id", "haendelse", "leverance", "udfald", "kommunekode", "datasaet", "noegle",
		"omfang", "operation", "gyldig_fra", "gyldig_til", "kilde_registreret", "udsagt",
		"sekvens", "baggrund", "oejebliksbillede", "antal", "fravaer", "indhold", "aftryk"}
}
