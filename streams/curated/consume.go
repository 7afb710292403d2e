package curated

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flis-dk/flis/schemas"
)

// Options of a consumer. The zero value is good.
type Options struct {
	Budget int64 // bytes of records held in memory; 0 = 64 MiB
	NoSync bool  // a power cut may take the copy, kill -9 does not
}

// Consumer keeps a copy of a curated topic. It may be killed anywhere: the copy on disk is always
// that of one certificate, whole, with the offset that it goes on from. One goroutine has it.
type Consumer struct {
	log     Log
	dir     string
	options Options

	copy *Copy // what stands on disk
	base *Copy // what the next copy is made of: copy, or nothing while it is made anew
	at   int64 // offset to read next
	// floor is the number that a copy must have at least to take the place of the one that stands
	floor   int64
	pending *spool
	marker  *Marker // the greatest that was read and is not applied
	fresh   bool    // it was not tried yet
	whole   bool    // pending is all that the log holds
	// renewing: what stands on disk is being made anew from the beginning of the topic
	renewing bool
}

// Caught tells how a copy stands.
type Caught struct {
	State
	Marker  int64 // number of the greatest marker that was read and does not fit; 0 = none
	Renewed bool  // the copy was made anew, from the beginning of the topic
}

const budgetDefault = 64 << 20

// OpenConsumer opens the copy in a folder, which is made if it is missing.
func OpenConsumer(dir string, log Log, o Options) (*Consumer, error) {
	o.Budget = cmp.Or(o.Budget, budgetDefault)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open copy: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, scratchPrefix+"*"))
	for _, name := range left {
		err = errors.Join(err, removed(name))
	}
	if err != nil {
		return nil, fmt.Errorf("clear copy: %w", err)
	}
	c := &Consumer{log: log, dir: dir, options: o, pending: newSpool(dir)}
	if c.copy, err = OpenCopy(dir); err != nil {
		return nil, err
	}
	c.base, c.at, c.floor = c.copy, c.copy.Next, c.copy.Number
	return c, nil
}

// Copy is what stands on disk.
func (c *Consumer) Copy() *Copy { return c.copy }

// Close gives up what was read and not applied.
func (c *Consumer) Close() { c.pending.close() }

// Catch reads the topic to the end that it has now and brings the copy to the greatest marker that
// its digest agrees with. Where it does not, the copy is made anew from the beginning of the topic;
// where that does not agree either (the publisher has not ended, or must run), the copy stays as it
// was. An error leaves it as it was, too.
func (c *Consumer) Catch(ctx context.Context) (Caught, error) {
	caught, err := c.catch(ctx)
	if err != nil {
		err = fmt.Errorf("follow the topic: %w", err)
	}
	caught.State = c.copy.State
	if c.marker != nil {
		caught.Marker = c.marker.Number
	}
	return caught, err
}

func (c *Consumer) catch(ctx context.Context) (caught Caught, err error) {
	first, end, err := c.log.Bounds(ctx)
	if err != nil {
		return caught, err
	}
	switch {
	case c.base.Number > 0 && c.base.Topic != c.log.ID():
		c.floor = 0
		c.restart(first)
	case c.at < first, c.at > end:
		c.restart(first)
	case c.base.Number == 0 && c.at == first:
		c.whole = true
	}
	tried, fits, err := c.forward(ctx, end)
	if err == nil && tried && !fits && !c.whole {
		c.restart(first)
		_, fits, err = c.forward(ctx, end)
	}
	caught.Renewed = fits && c.renewing
	c.renewing = c.renewing && !fits
	return caught, err
}

// restart begins anew, with nothing; the copy on disk stays until another fits.
func (c *Consumer) restart(first int64) {
	c.pending.close()
	c.base, c.pending, c.at = &Copy{dir: c.dir}, newSpool(c.dir), first
	c.marker, c.fresh, c.whole, c.renewing = nil, false, true, true
}

// forward reads to an end and tries the greatest marker, if one has come.
func (c *Consumer) forward(ctx context.Context, end int64) (tried, fits bool, err error) {
	if c.at < end {
		if err := c.log.Read(ctx, c.at, end, c.take); err != nil {
			return false, false, err
		}
		c.at = end
	}
	if !c.fresh {
		return false, false, nil
	}
	fits, err = c.try()
	return true, fits, err
}

// take keeps a record for later: what is not above the base is in it.
func (c *Consumer) take(r *Record) error {
	if err := c.keep(r); err != nil {
		return err
	}
	c.at = r.Offset + 1
	return nil
}

func (c *Consumer) keep(r *Record) error {
	if r.Number <= c.base.Number {
		return nil
	}
	if r.Key != MarkerKey {
		if _, ok := datasetOf(r.Key); !ok {
			return nil
		}
		return c.pending.add(r.Key, r.Value, r.Number, r.Offset)
	}
	m, err := markerOf(r)
	if m != nil && m.Number >= c.floor && (c.marker == nil || m.Number >= c.marker.Number) {
		c.marker, c.fresh = m, true
	}
	return err
}

// try makes the copy that the marker is of, and keeps it if it is the one. A copy on disk that was
// changed by another is one that does not fit.
func (c *Consumer) try() (fits bool, err error) {
	w, err := newCopyWriter(c.dir)
	if err != nil {
		return false, err
	}
	err = c.pending.merge(c.base, w, c.marker.Number, c.options.Budget)
	damaged := errors.Is(err, ErrCopy) && c.base.Number > 0
	switch {
	case err != nil && !damaged:
		w.drop()
		return false, err
	case damaged || !w.sums.equal(c.marker):
		w.drop()
		c.fresh = false
		return false, nil
	}
	return true, c.commit(w, c.marker)
}

// commit makes the copy the one on disk.
func (c *Consumer) commit(w *copyWriter, m *Marker) error {
	rest, least, err := c.pending.after(m.Number)
	if err != nil {
		w.drop()
		return err
	}
	s := State{Topic: c.log.ID(), Number: m.Number, Hash: m.Certificate.Hash,
		Leverance: m.Certificate.Leverance, Next: c.at}
	if least >= 0 {
		s.Next = least
	}
	made, err := w.commit(c.dir, s, !c.options.NoSync)
	if err != nil {
		rest.close()
		return err
	}
	c.pending.close()
	c.copy, c.base, c.pending, c.floor = made, made, rest, made.Number
	c.marker, c.fresh, c.whole = nil, false, false
	return nil
}

// Entity is one of the tables that a copy begins with.
type Entity struct {
	Dataset schemas.DatasetName
	Key     string // as the journal spells it
	Value   []byte // in registry framing
}

// Load makes the copy of certificate number from its tables, in the place of whatever copy there
// is: entities calls fn with each entity once, in any order. key is the municipality's. The
// consumer then goes on from the marker where that is not beyond the tables, else from the
// beginning of the topic, passing over what the tables hold already.
func (c *Consumer) Load(ctx context.Context, number int64, cert Certificate, key []byte,
	entities func(fn func(*Entity) error) error) error {
	first, end, err := c.log.Bounds(ctx)
	if err != nil {
		return fmt.Errorf("load copy: %w", err)
	}
	m, err := newestMarker(ctx, c.log, first, end)
	if err != nil {
		return fmt.Errorf("load copy: %w", err)
	}
	c.restart(first)
	if m != nil && m.Number <= number && m.Proven >= first {
		c.at = m.Proven
	}
	err = entities(func(e *Entity) error {
		return c.pending.add(EntityKey(key, e.Dataset, e.Key), e.Value, number, -1)
	})
	if err == nil {
		err = c.loaded(number, cert)
	}
	if err != nil { // nothing of what was given is kept
		c.pending.close()
		c.pending, c.base, c.at = newSpool(c.dir), c.copy, c.copy.Next
		c.whole, c.renewing = false, false
	}
	return err
}

func (c *Consumer) loaded(number int64, cert Certificate) error {
	w, err := newCopyWriter(c.dir)
	if err != nil {
		return err
	}
	if err := c.pending.merge(c.base, w, number, c.options.Budget); err != nil {
		w.drop()
		return err
	}
	c.renewing = false
	return c.commit(w, &Marker{Number: number, Certificate: cert})
}
