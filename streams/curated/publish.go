package curated

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/flis-dk/flis/schemas"
)

// Schema is how the values of a dataset are written.
type Schema struct {
	ID    uint32 // of the registry
	Print string // fingerprint, 16 hex digits
}

// ValueBytesMax is the largest value that is published; the topic takes a little more.
const ValueBytesMax = 8<<20 - 64<<10

// Publisher brings a topic to what the newest certificate says. It keeps nothing: it may be killed
// anywhere, and any number of them may run at once. One Publisher is for one goroutine.
type Publisher struct {
	Unit     schemas.Unit
	Log      Log
	Tables   Tables
	Key      []byte                         // MunicipalityKey
	Schemas  map[schemas.DatasetName]Schema // of every dataset of the area
	MarkerID uint32                         // of schemas/systems/flis/markoer.avsc
	Progress func(records int64)            // after each batch; may be nil
}

// Report tells what a run did.
type Report struct {
	Number   int64 // the certificate that the topic now equals; 0 = there is none yet
	Records  int64 // written, markers aside
	Repaired int64 // of them, written anew because an older one came after
	Markers  int64
}

// turnsMax bounds how often a run starts over because others write the same topic.
const turnsMax = 10_000

// Run publishes every certificate that the topic lacks, and reads back that the topic is what the
// newest one says. After an error nothing is wrong in the topic that the next run does not mend.
func (p *Publisher) Run(ctx context.Context) (Report, error) {
	r := &publication{Publisher: p}
	err := r.open(ctx)
	for turns := 0; err == nil; turns++ {
		var done bool
		if done, err = r.turn(ctx); done {
			break
		}
		if turns == turnsMax {
			err = errors.New("others write it faster than it can be read back")
		}
	}
	if err != nil {
		err = fmt.Errorf("publish %s: %w", p.Unit, err)
	}
	return r.report, err
}

// publication is one run.
type publication struct {
	*Publisher
	report Report
	base   *Marker // what the topic is known to hold; Number 0 = nothing is known
	beyond int64   // the greatest number that was read in the topic

	number   int64 // of the certificate that is being written
	sequence int64
	batch    []Record
	held     int // bytes in batch
}

// open finds where the topic stands.
func (r *publication) open(ctx context.Context) error {
	first, end, err := r.Log.Bounds(ctx)
	if err != nil {
		return err
	}
	m, err := newestMarker(ctx, r.Log, first, end)
	if err != nil {
		return err
	}
	if m == nil || m.Proven < first {
		m = &Marker{Proven: first}
	}
	if m.Number > 0 && m.Unit != r.Unit {
		return fmt.Errorf("its topic holds the markers of %s: the topic is another's", m.Unit)
	}
	r.base = m
	return nil
}

// turn writes the next certificate that the topic lacks; done: it lacks none, and holds nothing
// that is not the newest.
func (r *publication) turn(ctx context.Context) (done bool, err error) {
	head, err := r.Tables.Head(ctx)
	if err != nil {
		return false, err
	}
	if err := r.checkBase(ctx, head); err != nil {
		return false, err
	}
	if head == 0 {
		return true, nil
	}
	if r.base.Number == head {
		err = r.settle(ctx, head, r.base.digests(), false)
		r.report.Number = head
		return err == nil && r.base.Number == head && r.beyond <= head, err
	}
	if r.base.Number > 0 && !r.sameForm() {
		return false, r.forget(ctx)
	}
	next := r.base.Number + 1
	if r.base.Number == 0 {
		next = head
	}
	sums, err := r.write(ctx, r.base.Number, next)
	if errors.Is(err, ErrGone) && r.base.Number > 0 {
		return false, r.forget(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("certificate %d: %w", next, err)
	}
	return false, r.settle(ctx, next, sums, true)
}

// checkBase compares the topic's marker with the certificates: neither may have been put back.
func (r *publication) checkBase(ctx context.Context, head int64) error {
	const mend = "the certificates were restored from an older copy, or the topic is another " +
		"installation's; bring the certificates back, or delete the topic: it is made anew"
	if n := max(r.base.Number, r.beyond); n > head {
		return fmt.Errorf("its topic holds certificate %d, and the newest is %d: %s", n, head, mend)
	}
	if r.base.Number == 0 {
		return nil
	}
	c, err := r.Tables.Certificate(ctx, r.base.Number)
	if err == nil && c.Hash != r.base.Certificate.Hash {
		err = fmt.Errorf("its topic holds another certificate %d than there is: %s", r.base.Number,
			mend)
	}
	return err
}

// sameForm says whether the records that stand are those that would be written now.
func (r *publication) sameForm() bool {
	if r.base.KeyID != keyID(r.Key) {
		return false
	}
	for _, p := range r.base.Parts {
		if s, ok := r.Schemas[p.Dataset]; (!ok || s.Print != p.Schema) && p.Count > 0 {
			return false
		}
	}
	return true
}

// forget makes the next turn write everything, and take away what is in the topic and in no table.
func (r *publication) forget(ctx context.Context) error {
	first, _, err := r.Log.Bounds(ctx)
	r.base = &Marker{Proven: first}
	return err
}

// write publishes what differs between two certificates, and gives the digests of the later one.
func (r *publication) write(ctx context.Context, from, to int64) (digests, error) {
	sums := r.base.digests()
	r.begin(to)
	err := r.Tables.Changes(ctx, from, to, func(c *Change) error {
		key := EntityKey(r.Key, c.Dataset, c.Key)
		if c.Before != nil {
			sums.of(c.Dataset).add(key, c.Before, -1)
		}
		if c.After != nil {
			sums.of(c.Dataset).add(key, c.After, 1)
		}
		return r.put(ctx, key, c)
	})
	if err != nil {
		return nil, err
	}
	return sums, r.flush(ctx)
}

func (r *publication) begin(number int64) {
	r.number, r.sequence, r.batch, r.held = number, 0, r.batch[:0], 0
}

// put writes what an entity is after a change.
func (r *publication) put(ctx context.Context, key string, c *Change) error {
	var value []byte
	if c.After != nil {
		s, ok := r.Schemas[c.Dataset]
		if !ok {
			return fmt.Errorf("dataset %s has no schema", c.Dataset)
		}
		if len(c.After) > ValueBytesMax {
			return fmt.Errorf("dataset %s: an entity's timeline takes %d bytes, the topic takes %d: "+
				"find the entity with most rows by flis show, and have its source mended", c.Dataset,
				len(c.After), ValueBytesMax)
		}
		value = frame(s.ID, c.After)
	}
	return r.append(ctx, key, value)
}

// What one Append takes at most, unless one record is larger.
const (
	batchRecords = 2000
	batchBytes   = 4 << 20
)

func (r *publication) append(ctx context.Context, key string, value []byte) error {
	r.sequence++
	r.report.Records++
	r.batch = append(r.batch, Record{Key: key, Value: value, Number: r.number,
		Sequence: r.sequence})
	if r.held += len(key) + len(value); len(r.batch) < batchRecords && r.held < batchBytes {
		return nil
	}
	return r.flush(ctx)
}

func (r *publication) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	err := r.Log.Append(ctx, r.batch)
	r.batch, r.held = r.batch[:0], 0
	if err == nil && r.Progress != nil {
		r.Progress(r.report.Records)
	}
	return err
}

// settle reads back what stands behind the proven part of the log, mends it, marks the
// certificate, and reads on until the mark is the last word. Where another publisher is ahead, it
// leaves the rest to the next turn, with that one's marker as base.
func (r *publication) settle(ctx context.Context, n int64, sums digests, mark bool) error {
	t := newTail(r.base.Proven, n)
	for {
		if err := t.read(ctx, r.Log); err != nil {
			return err
		}
		r.beyond = max(r.beyond, t.beyond)
		switch {
		case t.newer != nil:
			r.base = t.newer
			return nil
		case len(t.stale) > 0:
			if err := r.repair(ctx, t); err != nil {
				return err
			}
			mark = true
		case mark || t.marked < n:
			if err := r.mark(ctx, t, sums); err != nil {
				return err
			}
			mark = false
		default:
			r.base = t.last
			return nil
		}
	}
}

// mark writes the marker of the certificate.
func (r *publication) mark(ctx context.Context, t *tail, sums digests) error {
	c, err := r.Tables.Certificate(ctx, t.number)
	if err != nil {
		return err
	}
	m := &Marker{Unit: r.Unit, Number: t.number, Certificate: c, Proven: min(t.end, t.ahead),
		KeyID: keyID(r.Key)}
	for d, s := range r.Schemas {
		m.Parts = append(m.Parts, Part{Dataset: d, Schema: s.Print, Digest: *sums.of(d)})
	}
	sortParts(m.Parts)
	r.report.Markers++
	return r.Log.Append(ctx, []Record{{Key: MarkerKey, Value: frame(r.MarkerID, m.Avro()),
		Number: t.number}})
}

// repair writes each entity anew whose last record is of an earlier certificate, and a null value
// for what is in no table.
func (r *publication) repair(ctx context.Context, t *tail) error {
	r.begin(t.number)
	missing := map[keyHash]bool{}
	for k := range t.stale {
		missing[k] = true
	}
	before := r.report.Records
	err := r.Tables.Changes(ctx, 0, t.number, func(c *Change) error {
		key := EntityKey(r.Key, c.Dataset, c.Key)
		if h := hashOf(key); !missing[h] || c.After == nil {
			return nil
		} else {
			delete(missing, h)
		}
		return r.put(ctx, key, c)
	})
	if err == nil {
		err = r.remove(ctx, t, missing)
	}
	if err == nil {
		err = r.flush(ctx)
	}
	r.report.Repaired += r.report.Records - before
	return err
}

// remove writes a null value for each of the keys.
func (r *publication) remove(ctx context.Context, t *tail, keys map[keyHash]bool) error {
	if len(keys) == 0 {
		return nil
	}
	err := r.Log.Read(ctx, t.from, t.end, func(rec *Record) error {
		h := hashOf(rec.Key)
		if !keys[h] {
			return nil
		}
		delete(keys, h)
		return r.append(ctx, rec.Key, nil)
	})
	for h := range keys { // compacted away since: what replaced it, if anything, is still to be read
		delete(t.stale, h)
	}
	return err
}

// keyHash stands for a record key where many are kept.
type keyHash [16]byte

func hashOf(key string) keyHash {
	sum := sha256.Sum256([]byte(key))
	return keyHash(sum[:16])
}

// tail is what stands in the log from an offset on, as seen by the publisher of a certificate.
type tail struct {
	from, end int64
	number    int64
	// stale are the keys whose last record, those of later certificates aside, is of an earlier one
	// or not ours
	stale  map[keyHash]struct{}
	ahead  int64   // offset of the first record of a later certificate
	beyond int64   // the greatest number of a record
	marked int64   // number of the last marker; 0 = it is none
	last   *Marker // the last marker
	newer  *Marker // the greatest of a later certificate
}

func newTail(from, number int64) *tail {
	return &tail{from: from, end: from, number: number, stale: map[keyHash]struct{}{},
		ahead: 1<<63 - 1}
}

// read goes on to the end that the log has now.
func (t *tail) read(ctx context.Context, log Log) error {
	_, end, err := log.Bounds(ctx)
	if err != nil || end <= t.end {
		return err
	}
	if err := log.Read(ctx, t.end, end, t.take); err != nil {
		return err
	}
	t.end = end
	return nil
}

func (t *tail) take(r *Record) error {
	t.beyond = max(t.beyond, r.Number)
	if r.Number > t.number {
		t.ahead = min(t.ahead, r.Offset)
	}
	if r.Key == MarkerKey {
		return t.marker(r)
	}
	switch {
	case r.Number < t.number:
		t.stale[hashOf(r.Key)] = struct{}{}
	case r.Number == t.number && len(t.stale) > 0:
		delete(t.stale, hashOf(r.Key))
	}
	return nil
}

func (t *tail) marker(r *Record) error {
	m, err := markerOf(r)
	t.marked, t.last = 0, m
	if m == nil {
		return err
	}
	t.marked = m.Number
	if m.Number > t.number && (t.newer == nil || m.Number >= t.newer.Number) {
		t.newer = m
	}
	return nil
}
