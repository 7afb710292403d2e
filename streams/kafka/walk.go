package kafka

import (
	"cmp"
	"slices"
)

// abortedTxn is an aborted transaction of a fetched range: the producer's records from first on, up
// to its abort marker, never happened.
type abortedTxn struct {
	producer, first int64
}

// walker reads a record set from an offset on: whole batches only, committed records only.
type walker struct {
	set     []byte
	asked   int64 // offset at which the walk began
	next    int64 // position: everything below has been handed out or passed over
	epoch   int32 // leader epoch of the last batch
	aborted []abortedTxn
	open    *scan
	dropped map[int64]struct{} // producers inside an aborted transaction
}

// newWalker takes over both slices. next is the offset asked for.
func newWalker(set []byte, next int64, aborted []abortedTxn) *walker {
	slices.SortFunc(aborted, func(a, b abortedTxn) int { return cmp.Compare(a.first, b.first) })
	return &walker{set: set, asked: next, next: next, aborted: aborted, epoch: -1}
}

// limits are what a walk may take.
type limits struct {
	record int // bytes of one decoded record
	total  int // bytes of all of them; at least one record is read whatever its size
}

// walk appends records to dst until the set is exhausted (true) or the limit reached (false); then
// it is called again. A batch that is cut short ends the set: it comes with the next fetch. Bytes
// that are no batch give the reason; what came before them is handed out.
func (w *walker) walk(dst []Record, a *arena, c *codecs, l *limits) (_ []Record, done bool,
	reason string) {
	for l.total > 0 {
		if w.open == nil {
			if done, reason = w.enter(c); done {
				return dst, true, reason
			}
			continue
		}
		r, ok := w.open.next(a, l.record)
		if !ok {
			w.next = w.open.last + 1
			w.open = nil
			continue
		}
		l.total -= overhead + headerOverhead*len(r.Headers)
		if !r.Oversized {
			l.total -= r.Size
		}
		dst = w.take(dst, r)
	}
	return dst, false, ""
}

// take appends what the record has at or above the position.
func (w *walker) take(dst []Record, r Record) []Record {
	end := r.Offset + r.Span
	if end <= w.next {
		return dst
	}
	if r.Offset < w.next {
		r.Offset, r.Span = w.next, end-w.next
	}
	w.next = end
	return append(dst, r)
}

// enter opens the next batch that has records to hand out; done at the end of the set.
func (w *walker) enter(c *codecs) (done bool, reason string) {
	b, v, reason := readBatch(w.set)
	if v != whole {
		return true, reason
	}
	w.set = w.set[b.size:]
	if b.last < w.next {
		return false, ""
	}
	w.epoch = b.epoch
	if w.passedOver(&b) {
		w.next = b.last + 1
		return false, ""
	}
	w.open = openScan(b, c)
	return false, ""
}

// passedOver says whether a batch counts for the position only: a control batch, or one of an
// aborted transaction.
func (w *walker) passedOver(b *batch) bool {
	for len(w.aborted) > 0 && w.aborted[0].first <= b.last {
		if w.dropped == nil {
			w.dropped = map[int64]struct{}{}
		}
		w.dropped[w.aborted[0].producer] = struct{}{}
		w.aborted = w.aborted[1:]
	}
	if b.attrs&attrControl != 0 {
		if b.abortMarker() {
			delete(w.dropped, b.producer)
		}
		return true
	}
	_, drop := w.dropped[b.producer]
	return drop && b.attrs&attrTransactional != 0
}
