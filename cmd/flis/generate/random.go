package generate

// random is a stream of numbers that this package owns, so that a seed means the same for ever
// (splitmix64; no library's generator promises that).
type random struct{ state uint64 }

// newRandom is the stream of one purpose of one thing: streams of other parts share nothing.
func newRandom(seed uint64, parts ...uint64) *random {
	r := random{seed}
	for _, p := range parts {
		r.state = r.next() ^ p*0x9e3779b97f4a7c15
	}
	return &r
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// intN is in [0, n); n must be greater than 0.
func (r *random) intN(n int) int { return int(r.next() >> 1 % uint64(n)) }

// between is in [low, high].
func (r *random) between(low, high int) int { return low + r.intN(high-low+1) }

// chance is true one time in n.
func (r *random) chance(n int) bool { return r.intN(n) == 0 }

// fraction is in [0, 1).
func (r *random) fraction() float64 { return float64(r.next()>>11) / (1 << 53) }

// pick is one of several by weight.
func (r *random) pick(weights []int) int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	n := r.intN(sum)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	return len(weights) - 1
}
