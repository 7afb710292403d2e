package transforms

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// number is mantissa × 10^-scale, exact.
type number struct {
	mantissa int64
	scale    int
}

// ratio is an exact factor.
type ratio struct{ num, den int64 }

// maxFraction is how many decimals a number may have; maxDigits how many digits.
const (
	maxFraction = 9
	maxDigits   = 18
)

// Number forms.
const (
	numberDot           = "dot"            // -1234.50
	numberComma         = "comma"          // -1.234,50 and 3,25
	numberTrailingMinus = "trailing-minus" // 1234.50-
)

// numberForms is the closed set of `number`.
func numberForms() []string { return []string{numberDot, numberComma, numberTrailingMinus} }

// parseNumber reads a whole text; blanks, exponents and empty texts are refused.
func parseNumber(form string, b []byte) (number, bool) {
	var n number
	minus := false
	switch {
	case form == numberTrailingMinus && len(b) > 0 && b[len(b)-1] == '-':
		minus, b = true, b[:len(b)-1]
	case form != numberTrailingMinus && len(b) > 0 && b[0] == '-':
		minus, b = true, b[1:]
	}
	point := byte('.')
	if form == numberComma {
		point = ','
		if b = ungroup(b); b == nil {
			return n, false
		}
	}
	digits, seen := 0, false
	for i, c := range b {
		switch {
		case c == point && !seen && i > 0 && i < len(b)-1:
			seen = true
		case c >= '0' && c <= '9' && digits < maxDigits:
			n.mantissa = n.mantissa*10 + int64(c-'0')
			digits++
			if seen {
				n.scale++
			}
		default:
			return n, false
		}
	}
	if minus {
		n.mantissa = -n.mantissa
	}
	return n, digits > 0 && n.scale <= maxFraction
}

// ungroup takes the dots out of "1.234.567,50"; nil where they do not stand between groups of
// three.
func ungroup(b []byte) []byte {
	s := string(b)
	if !strings.Contains(s, ".") {
		return b
	}
	whole, rest, _ := strings.Cut(s, ",")
	groups := strings.Split(whole, ".")
	for i, g := range groups {
		if len(g) != 3 && (i > 0 || len(g) == 0 || len(g) > 3) {
			return nil
		}
	}
	whole = strings.Join(groups, "")
	if len(whole) < len(s) && strings.Contains(s, ",") {
		whole += "," + rest
	}
	return []byte(whole)
}

// times is number × ratio with so many decimals, half away from zero; false where it does not fit
// 18 digits.
func (n number) times(r ratio, scale int) (int64, bool) {
	up, ok := mul(r.num, pow10(scale))
	down, ok2 := mul(r.den, pow10(n.scale))
	if !ok || !ok2 || n.mantissa == math.MinInt64 {
		return 0, false
	}
	minus := (n.mantissa < 0) != (up < 0)
	hi, lo := bits.Mul64(magnitude(n.mantissa), magnitude(up))
	if hi >= uint64(down) {
		return 0, false
	}
	q, rest := bits.Div64(hi, lo, uint64(down))
	if rest >= uint64(down)-rest {
		q++
	}
	if q >= uint64(pow10(maxDigits)) {
		return 0, false
	}
	if minus {
		return -int64(q), true
	}
	return int64(q), true
}

// magnitude is the absolute value; that of the least int64 fits an unsigned one.
func magnitude(v int64) uint64 {
	if v < 0 {
		return uint64(-v)
	}
	return uint64(v)
}

// mul multiplies exactly; false where it does not fit.
func mul(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true
	}
	return int64(lo), true
}

// pow10 is 10^n for n up to 18.
func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// parseRatio reads "60", "1/100", "12/52".
func parseRatio(s string) (ratio, bool) {
	a, b, two := strings.Cut(s, "/")
	if !two {
		b = "1"
	}
	num, err := strconv.ParseInt(a, 10, 32)
	den, err2 := strconv.ParseInt(b, 10, 32)
	return ratio{num, den}, err == nil && err2 == nil && num != 0 && den > 0
}

// times joins two factors; each part of a factor has 31 bits, so the product fits.
func (r ratio) times(o ratio) ratio { return ratio{r.num * o.num, r.den * o.den} }

// plus adds exactly; false where it does not fit.
func (n number) plus(o number) (number, bool) {
	if n.scale < o.scale {
		n, o = o, n
	}
	m, ok := mul(o.mantissa, pow10(n.scale-o.scale))
	sum := n.mantissa + m
	return number{sum, n.scale}, ok && (sum > n.mantissa) == (m > 0)
}
