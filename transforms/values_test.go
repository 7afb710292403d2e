package transforms

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flis-dk/flis/schemas"
)

// TestInstantsAreTimes: written moments read as package time reads them, and fall on the same
// Danish day.
func TestInstantsAreTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sec := rapid.Int64Range(-10_000_000_000, 250_000_000_000).Draw(t, "seconds")
		zone := time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "zone"))
		layout := rapid.SampledFrom([]string{time.RFC3339, "2006-01-02T15:04:05.000Z07:00"}).Draw(t,
			"layout")
		text := time.Unix(sec, 0).In(zone).Format(layout)
		want, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		got, ok := parseInstant(formISOOffset, []byte(text), 0)
		require.True(t, ok, text)
		require.Equal(t, want.UnixMicro(), int64(got))
		require.Equal(t, schemas.DayOf(want), danishDay(got))
		millis, ok := parseInstant(formEpochMillis, nil, sec*1000)
		require.True(t, ok)
		require.Equal(t, got, millis)
	})
}

// TestDanishDayAtTheEdges: midnights and the hours about them, through the years of summer time.
func TestDanishDayAtTheEdges(t *testing.T) {
	for d := schemas.CivilDay(1979, 1, 1); d < schemas.CivilDay(2030, 1, 1); d++ {
		m := d.Midnight()
		require.Equal(t, d, danishDay(m))
		require.Equal(t, d-1, danishDay(m-1))
		require.Equal(t, d, danishDay(m+3600*1_000_000-1))
	}
}

func TestDatesAreTimes(t *testing.T) {
	forms := map[string]string{formISO: "2006-01-02", formYMD: "20060102",
		formDMYDash: "02-01-2006", formDMYDot: "02.01.2006"}
	for form, layout := range forms {
		rapid.Check(t, func(t *rapid.T) {
			text := rapid.StringMatching(`[0-9]{2}[-.]?[0-9]{2}[-.]?[0-9]{2}[-.]?[0-9]{2}`).Draw(t,
				"any")
			if rapid.Bool().Draw(t, "real") {
				day := schemas.Day(rapid.Int32Range(int32(firstDay), int32(lastDay)).Draw(t, "day"))
				text = day.Civil().Format(layout)
			}
			want, err := time.Parse(layout, text)
			got, ok := parseCivil(form, []byte(text))
			require.Equal(t, err == nil, ok, text)
			if ok {
				require.Equal(t, schemas.CivilDay(want.Date()), got)
			}
		})
	}
}

func TestNumbersAreRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mantissa := rapid.Int64Range(-1_000_000_000_000, 1_000_000_000_000).Draw(t, "mantissa")
		n := number{mantissa, rapid.IntRange(0, 6).Draw(t, "scale")}
		r := ratio{rapid.Int64Range(1, 5000).Draw(t, "num"), rapid.Int64Range(1, 5000).Draw(t,
			"den")}
		scale := rapid.IntRange(0, 4).Draw(t, "wanted")
		got, ok := n.times(r, scale)
		exact := new(big.Rat).Mul(big.NewRat(n.mantissa, pow10(n.scale)), big.NewRat(r.num, r.den))
		if !ok {
			require.Positive(t, new(big.Rat).Abs(exact).Cmp(big.NewRat(pow10(13), 1)),
				"only great numbers do not fit")
			return
		}
		want, isInt := new(big.Int).SetString(new(big.Rat).Mul(exact, big.NewRat(pow10(scale),
			1)).FloatString(0), 10)
		require.True(t, isInt)
		require.Equal(t, want.Int64(), got)
	})
	rapid.Check(t, func(t *rapid.T) {
		n := number{rapid.Int64Range(-1e15, 1e15).Draw(t, "mantissa"), rapid.IntRange(1, 9).Draw(t,
			"scale")}
		exact := big.NewRat(n.mantissa, pow10(n.scale))
		got, ok := parseNumber(numberDot, []byte(exact.FloatString(n.scale)))
		require.True(t, ok)
		require.Equal(t, n, got)
	})
}

func TestNumbersThatDoNotFit(t *testing.T) {
	_, ok := number{mantissa: 1 << 62}.times(ratio{1 << 30, 1}, 4)
	require.False(t, ok)
	_, ok = number{mantissa: -1 << 63}.times(ratio{1, 1}, 0)
	require.False(t, ok)
	_, ok = number{mantissa: 1<<63 - 1}.plus(number{mantissa: 1})
	require.False(t, ok)
	for _, s := range []string{"", "-", "1-", ".5", "5.", "1.2.3", "1 000", "+1", "0x1",
		fmt.Sprint(uint64(1) << 63)} {
		_, ok := parseNumber(numberDot, []byte(s))
		require.False(t, ok, s)
	}
	for _, s := range []string{"1.23", "1.2345,0", ".123,0", "1,2,3", "12.34.567,0"} {
		_, ok := parseNumber(numberComma, []byte(s))
		require.False(t, ok, s)
	}
}
