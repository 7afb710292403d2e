package sinks

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
)

// TestNumbers: a set of ranges says of any numbers what a set of each number says.
func TestNumbers(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		var s numbers
		model := map[int64]bool{}
		for range r.IntN(60) {
			n := 1 + r.Int64N(40)
			if r.IntN(4) == 0 {
				s.remove(n)
				delete(model, n)
			} else {
				s.add(n)
				model[n] = true
			}
		}
		for i, x := range s {
			require.LessOrEqual(t, x.from, x.to)
			require.True(t, i == 0 || s[i-1].to+1 < x.from, "%v", s)
		}
		from, to := 1+r.Int64N(42), r.Int64N(45)
		var first, count int64
		for n := to; n >= from; n-- {
			if !model[n] {
				first = n
				count++
			}
		}
		gotFirst, gotCount := s.missing(from, to)
		require.Equal(t, [2]int64{first, count}, [2]int64{gotFirst, gotCount}, "%v %d %d", s, from, to)
	}
}

// TestNumbersAreBounded: of too many holes the greatest numbers are forgotten, which proves
// nothing that is not so, and they count when they come again.
func TestNumbersAreBounded(t *testing.T) {
	t.Parallel()
	var s numbers
	for n := range int64(3 * holesMax) {
		s.add(2*n + 1)
	}
	require.Len(t, s, holesMax)
	_, missing := s.missing(1, 6*holesMax)
	require.Equal(t, int64(5*holesMax), missing)
	for n := range int64(6 * holesMax) {
		s.add(n + 1)
	}
	require.Equal(t, numbers{{1, 6 * holesMax}}, s)
}

func (s *proofScene) numbered(n int64, o schemas.Outcome) {
	s.add(schemas.Row{EventID: fmt.Sprint("n", n), Event: "besoeg", Outcome: o, Op: schemas.OpRaw,
		Count: n})
}

// beat is a heartbeat; last "" states no number.
func (s *proofScene) beat(last string, count int64) { s.beatOf(sceneDay, last, count) }

func (s *proofScene) beatOf(day, last string, count int64) {
	s.add(schemas.Row{Op: schemas.OpHeartbeat, Ordinal: 1, Event: schemas.ControlEvent, Key: last,
		Count: count, Leverance: onDay(s.t, day), Stated: schemas.Instant(s.offset)})
}

func sequenceStates() map[string]stateCase {
	const evening, morning = "2026-03-03 20:00", "2026-03-04 06:00"
	numbered := func(more func(*proofScene), all ...int64) func(*proofScene) {
		return func(s *proofScene) {
			for _, n := range all {
				s.numbered(n, schemas.Accepted)
			}
			more(s)
		}
	}
	beat := func(last string, count int64) func(*proofScene) {
		return func(s *proofScene) { s.beat(last, count) }
	}
	closed := "2026-03-03 lukket 0 []\n"
	return map[string]stateCase{
		"whole": {schemas.ProofSequence, numbered(beat("3", 3), 1, 2, 3), evening, closed},
		"any order, doubled": {
			schemas.ProofSequence,
			numbered(beat("3", 3), 3, 1, 1, 2, 3),
			evening,
			closed,
		},
		"begins anywhere": {schemas.ProofSequence, numbered(beat("72", 2), 71, 72), evening, closed},
		"ignored has landed": {schemas.ProofSequence, func(s *proofScene) {
			s.numbered(1, schemas.Ignored)
			s.beat("1", 1)
		}, evening, closed},
		"numbers of tomorrow": {schemas.ProofSequence, numbered(beat("2", 2), 1, 2, 9), evening, closed},
		"a hole": {schemas.ProofSequence, numbered(beat("6", 6), 1, 2, 5, 6), evening,
			"2026-03-03 foreloebig 0 [sekvens til 6: mangler 2, den første er 3]\n"},
		"the first of all is missing": {schemas.ProofSequence, numbered(beat("3", 3), 2, 3), evening,
			"2026-03-03 foreloebig 0 [sekvens til 3: mangler 1, den første er 1]\n"},
		"the last is missing": {schemas.ProofSequence, numbered(beat("3", 3), 1, 2), morning,
			"2026-03-03 lukket_med_forbehold 0 [sekvens til 3: mangler 1, den første er 3]\n"},
		"no heartbeat": {schemas.ProofSequence, numbered(func(*proofScene) {}, 1, 2), morning,
			"2026-03-03 lukket_med_forbehold 0 [intet hjerteslag]\n"},
		"a heartbeat that states no number": {schemas.ProofSequence, numbered(beat("", 2), 1, 2), morning,
			"2026-03-03 lukket_med_forbehold 0 [hjerteslag uden sekvens]\n"},
		"a heartbeat of 0 is a statement": {schemas.ProofSequence, beat("0", 0), evening, closed},
		"a heartbeat alone proves no event": {schemas.ProofSequence, beat("2", 2), evening,
			"2026-03-03 foreloebig 0 [sekvens til 2: mangler 2, den første er 1]\n"},
		"silence is not zero": {schemas.ProofSequence, numbered(beat("1", 1), 1), "2026-03-05 06:00",
			closed + "2026-03-04 lukket_med_forbehold 0 [intet modtaget; intet hjerteslag]\n"},
		"the last heartbeat counts": {schemas.ProofSequence, numbered(func(s *proofScene) {
			s.beat("9", 9)
			s.beat("2", 2)
		}, 1, 2), evening, closed},
		"parked has not landed": {schemas.ProofSequence, func(s *proofScene) {
			s.numbered(1, schemas.Accepted)
			s.numbered(2, schemas.PartlyParked)
			s.beat("2", 2)
		}, morning, "2026-03-03 lukket_med_forbehold 0 " +
			"[1 parkeret; sekvens til 2: mangler 1, den første er 2]\n"},
		"parked and mended": {schemas.ProofSequence, func(s *proofScene) {
			s.numbered(1, schemas.Parked)
			s.numbered(1, schemas.Accepted)
			s.beat("1", 1)
		}, evening, closed},
		"mended under another number": {schemas.ProofSequence, func(s *proofScene) {
			s.numbered(1, schemas.Parked)
			s.add(schemas.Row{EventID: "n1", Event: "besoeg", Op: schemas.OpRaw, Count: 2,
				Outcome: schemas.Accepted})
			s.beat("2", 2)
		}, evening, closed},
		"parked again under another number": {schemas.ProofSequence, func(s *proofScene) {
			s.numbered(1, schemas.Parked)
			s.add(schemas.Row{EventID: "n1", Event: "besoeg", Op: schemas.OpRaw, Count: 2,
				Outcome: schemas.Parked})
			s.beat("2", 2)
		}, morning, "2026-03-03 lukket_med_forbehold 0 " +
			"[1 parkeret; sekvens til 2: mangler 1, den første er 2]\n"},
		"mended as another municipality's": {schemas.ProofSequence, func(s *proofScene) {
			s.numbered(1, schemas.Parked)
			s.add(schemas.Row{EventID: "n1", Event: "besoeg", Op: schemas.OpRaw, Count: 1,
				Outcome: schemas.Accepted, Kommune: "0147"})
			s.beat("1", 1)
		}, evening, closed},
		"another's is as parked as before": {schemas.ProofSequence, func(s *proofScene) {
			s.numbered(1, schemas.Parked)
			s.numbered(2, schemas.Accepted)
			s.beat("2", 2)
		}, morning, "2026-03-03 lukket_med_forbehold 0 " +
			"[1 parkeret; sekvens til 2: mangler 1, den første er 1]\n"},
		"an old number again, of before the first heartbeat": {schemas.ProofSequence,
			numbered(beat("1001", 1), 1001, 7), evening, closed},
		"units of a file have the feed's numbers": {schemas.ProofSequence, func(s *proofScene) {
			s.add(schemas.Row{EventID: "//cura|" + strings.Repeat("ab", 32) + "-1", Event: "besoeg",
				Op: schemas.OpRaw, Count: 2, Outcome: schemas.Accepted})
			s.numbered(1, schemas.Accepted)
			s.beat("2", 2)
		}, morning, "2026-03-03 lukket_med_forbehold 0 [sekvens til 2: mangler 1, den første er 2]\n"},
		"mended by a replay": {schemas.ProofSequence, func(s *proofScene) {
			s.numbered(1, schemas.Parked)
			s.add(schemas.Row{EventID: "n1", Event: "besoeg", Op: schemas.OpRaw, Count: 1, Generation: 1,
				Outcome: schemas.Accepted, Snapshot: string(schemas.Parked), From: onDay(s.t, sceneDay)})
			s.beat("1", 1)
		}, evening, closed},
		"events without a number": {schemas.ProofSequence, func(s *proofScene) {
			s.numbered(1, schemas.Accepted)
			s.record("a", schemas.Accepted)
			s.beat("1", 1)
		}, morning, "2026-03-03 lukket_med_forbehold 0 [hændelser uden ce_sequence]\n"},
		"a seal of the file proves nothing": {schemas.ProofSequence, numbered(func(s *proofScene) {
			s.seal(strings.Repeat("ab", 32), 1)
		}, 1), morning, "2026-03-03 lukket_med_forbehold 0 [intet hjerteslag]\n"},
	}
}

func TestSequenceStates(t *testing.T) {
	t.Parallel()
	for name, c := range sequenceStates() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.proof)
			c.said(s)
			require.Equal(t, c.want, s.judge(c.now).text())
		})
	}
}

// TestGapIsFilled: a hole keeps each day that states a number beyond it open; filled, it revises
// all of them. The next municipality's numbers are its own.
func TestGapIsFilled(t *testing.T) {
	t.Parallel()
	s := newScene(t, schemas.ProofSequence)
	s.numbered(1, schemas.Accepted)
	s.beat("2", 2)
	s.add(schemas.Row{EventID: "n3", Event: "besoeg", Outcome: schemas.Accepted, Op: schemas.OpRaw,
		Count: 3, Leverance: onDay(t, "2026-03-04")})
	s.beatOf("2026-03-04", "3", 1)
	s.add(schemas.Row{EventID: "n2", Event: "besoeg", Outcome: schemas.Accepted, Op: schemas.OpRaw,
		Count: 2, Kommune: "0147"})
	v := s.judge("2026-03-05 06:00")
	require.Equal(t,
		"2026-03-03 lukket_med_forbehold 0 [sekvens til 2: mangler 1, den første er 2]\n"+
			"2026-03-04 lukket_med_forbehold 0 [sekvens til 3: mangler 1, den første er 2]\n", v.text())
	s.certify(v)
	s.numbered(2, schemas.Accepted)
	s.rows[onDay(t, sceneDay)] = 1
	require.Equal(t, "2026-03-03 lukket 1 []\n2026-03-04 lukket 1 []\n",
		s.judge("2026-03-05 08:00").text())
}

// TestSequenceIsOfTheSet: shuffled and doubled rows give the same view, in any number of steps.
func TestSequenceIsOfTheSet(t *testing.T) {
	t.Parallel()
	first := onDay(t, "2026-01-01")
	var rows []schemas.Row
	for n := range int64(900) {
		day := first + schemas.Day(n/30)
		if n%97 != 5 {
			rows = append(rows, schemas.Row{EventID: fmt.Sprint("n", n), Kommune: "0101", Count: n + 1,
				Outcome: schemas.Accepted, Leverance: day})
		}
		if n%30 == 29 {
			rows = append(rows, schemas.Row{Op: schemas.OpHeartbeat, Ordinal: 1, Kommune: "0101",
				Event: schemas.ControlEvent, Leverance: day, Key: fmt.Sprint(n + 1), Count: 30,
				Stated: schemas.Instant(n)})
		}
	}
	said := func(rows []schemas.Row) (all []string) {
		a := NewAccounts()
		for i := range rows {
			a.Add(&rows[i])
			if i%111 == 0 {
				a.Forget()
			}
		}
		for d := first; d < first+30; d++ {
			all = append(all, strings.Join(a.View().sequences["0101"].missing(d), ";"))
		}
		return all
	}
	want := said(rows)
	require.Equal(t, "sekvens til 30: mangler 1, den første er 6", want[0])
	require.Equal(t, "sekvens til 900: mangler 10, den første er 6", want[29])
	r := rand.New(rand.NewPCG(3, 3))
	for range 20 {
		some := append(append([]schemas.Row{}, rows...), rows[:200]...)
		r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		require.Equal(t, want, said(some))
	}
}

// TestBeginIsKept: a heartbeat long gone still says where the sequence began.
func TestBeginIsKept(t *testing.T) {
	t.Parallel()
	a := NewAccounts()
	day := onDay(t, "2024-01-01")
	a.Add(&schemas.Row{Op: schemas.OpHeartbeat, Ordinal: 1, Kommune: "0101", Leverance: day,
		Event: schemas.ControlEvent, Key: "5", Count: 5})
	a.Add(&schemas.Row{EventID: "a", Kommune: "0101", Count: 6, Outcome: schemas.Accepted,
		Leverance: day + 2*accountDays})
	a.Forget()
	require.Empty(t, a.sequences["0101"].beats)
	require.Equal(t, int64(1), a.View().sequences["0101"].begin())
}

// TestSequenceInASnapshot: what is written and read back says the same, and goes on.
func TestSequenceInASnapshot(t *testing.T) {
	t.Parallel()
	s := newScene(t, schemas.ProofSequence)
	s.numbered(1, schemas.Accepted)
	s.numbered(4, schemas.Accepted)
	s.record("a", schemas.Accepted)
	s.beat("4", 4)
	b := encodedAccounts(t, s.accounts)
	again, err := decodeAccounts(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.Equal(t, s.accounts.View(), again.View())
	require.Equal(t, s.accounts.sequences, again.sequences)
}

// TestPartitionsOneAfterTheOther: what is read of a topic in any order ends as one range, however
// many holes there were on the way.
func TestPartitionsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	const last, partitions = 100_000, 8
	s := newScene(t, schemas.ProofSequence)
	for p := range int64(partitions) {
		for n := p + 1; n <= last; n += partitions {
			s.numbered(n, schemas.Accepted)
		}
	}
	s.beat(fmt.Sprint(last), last)
	require.Equal(t, "2026-03-03 lukket 0 []\n", s.judge("2026-03-03 20:00").text())
}
