package avro

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"time"
)

// ErrUnknownID: the registry answers, and has no Avro schema of that id. A bad record, not a bad
// world.
var ErrUnknownID = errors.New("schema id unknown")

// Registry gives schemas by the id in a value's framing. Safe for concurrent use.
type Registry interface {
	// ByID is the schema's JSON. ErrUnknownID when there is none; any other error means that the
	// registry cannot be asked now.
	ByID(ctx context.Context, id uint32) (string, error)
	// Register gives the id of a schema under a subject ("raw.kmd-nexus.grant.v1-value"), making it
	// if need be.
	Register(ctx context.Context, subject, schema string) (uint32, error)
}

// askTimeout is how long a stream waits for its registry before it stops and says so.
const askTimeout = 30 * time.Second

// Ask is ByID for callers that know no context: it gives up after 30 seconds.
func Ask(r Registry, id uint32) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	return r.ByID(ctx, id)
}

// ID is the deterministic id of a schema in a registry without state: 31 bits of its fingerprint.
func (s *Schema) ID() uint32 { return uint32(s.Fingerprint>>33) & 0x7fffffff }

// Local is a registry of the schemas that are built in, of an overlay, and of those registered
// while the process runs.
type Local struct {
	mu   sync.RWMutex
	byID map[uint32]*Schema
}

// NewLocal reads every .avsc below systems/ and domain/ of each file system (nil ones are passed
// over). Two schemas with one id are an error.
func NewLocal(files ...fs.FS) (*Local, error) {
	l := &Local{byID: map[uint32]*Schema{}}
	for _, f := range files {
		if f == nil {
			continue
		}
		for _, root := range []string{"systems", "domain"} {
			if err := l.load(f, root); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// load admits every schema below a root; a root that is not there holds none.
func (l *Local) load(files fs.FS, root string) error {
	return fs.WalkDir(files, root, func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && p == root {
			return nil
		}
		if err != nil || e.IsDir() || path.Ext(p) != ".avsc" {
			return err
		}
		b, err := fs.ReadFile(files, p)
		if err != nil {
			return fmt.Errorf("read schema: %w", err)
		}
		s, err := Admit(string(b))
		if err != nil {
			return fmt.Errorf("read schema %s: %w", p, err)
		}
		if _, err := l.add(s); err != nil {
			return fmt.Errorf("read schema %s: %w", p, err)
		}
		return nil
	})
}

// add keeps a schema under its id. Two schemas of one id cannot both be read by it: one of them has
// to change.
func (l *Local) add(s *Schema) (uint32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := s.ID()
	if old, ok := l.byID[id]; ok && old.Fingerprint != s.Fingerprint {
		return 0, fmt.Errorf("schemas %s and %s have the same id %d; change one of them",
			old.Root.Name, s.Root.Name, id)
	}
	l.byID[id] = s
	return id, nil
}

// ByID implements Registry.
func (l *Local) ByID(_ context.Context, id uint32) (string, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s, ok := l.byID[id]
	if !ok {
		return "", ErrUnknownID
	}
	return s.JSON, nil
}

// Register implements Registry: the id is the schema's own, whatever the subject.
func (l *Local) Register(_ context.Context, _, schema string) (uint32, error) {
	s, err := Admit(schema)
	if err != nil {
		return 0, err
	}
	return l.add(s)
}
