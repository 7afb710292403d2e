package sinks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

func (s *lateScene) statusUnit() schemas.Unit { return schemas.StatusUnit(s.unit.Kommune) }

// rows are those of the status table, one line each.
func (s *lateScene) rows(o ReadOptions) string {
	s.t.Helper()
	var b strings.Builder
	err := ReadRows(s.ctx, s.mem, s.sets[schemas.StatusDataset], s.statusUnit(), o,
		func(c []Cell) error {
			missing := c[5].Text
			if c[5].Null {
				missing = "-"
			}
			fmt.Fprintf(&b, "%s %s %s %d [%s] %d/%d/%d %s %s\n", c[1].Text, schemas.Day(c[2].Int),
				c[3].Text, c[4].Int, missing, c[7].Int, c[8].Int, c[10].Int, schemas.Day(c[14].Int),
				c[18].Text)
			return nil
		})
	require.NoError(s.t, err)
	return b.String()
}

func (s *lateScene) statusHead() *Certificate {
	s.t.Helper()
	c, err := Head(s.ctx, s.mem, s.statusUnit())
	require.NoError(s.t, err)
	return c
}

// threeDays are one closed day, one that lacks something at its deadline, and one under way.
func (s *lateScene) threeDays() schemas.Day {
	day := s.w.today()
	s.records(day, schemas.Accepted, "a", "b")
	s.seal(day, 2)
	s.close()
	s.w.now = s.w.now.Add(24 * time.Hour)
	s.records(day+1, schemas.Accepted, "c")
	s.records(day+1, schemas.Parked, "d")
	s.close()
	s.w.now = s.w.now.Add(24 * time.Hour)
	s.records(day+2, schemas.Accepted, "e")
	s.close()
	return day
}

// TestStatusTable: what a report can show of each day, and what it could show before a day was
// revised. Each close is audited.
func TestStatusTable(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	day := s.threeDays()
	two := "aeldre 2026-03-04 lukket_med_forbehold 0 [leverandoer: intet segl; leverandoer: " +
		"1 parkeret] 2/1/1 2026-03-05 0101/aeldre|3\n" +
		"aeldre 2026-03-05 foreloebig 0 [leverandoer: intet segl] 1/1/0 2026-03-05 0101/aeldre|3\n"
	closed := "aeldre 2026-03-03 lukket 0 [-] 2/2/0 2026-03-03 0101/aeldre|1\n"
	require.Equal(t, closed+two, s.rows(ReadOptions{}))

	s.records(day, schemas.Accepted, "late")
	s.seal(day, 3)
	s.close()
	require.Equal(t, "aeldre 2026-03-03 lukket 1 [-] 3/3/0 2026-03-05 0101/aeldre|4\n"+two,
		s.rows(ReadOptions{}))
	known := day + 1
	require.Contains(t, s.rows(ReadOptions{KnownAt: &known}), closed, "as it was delivered")
	require.Contains(t, s.rows(ReadOptions{Table: OnlyHistory}), closed)
	require.Equal(t, Basis{"0101/aeldre": {4, s.head(s.unit).hash}}, s.statusHead().Basis)

	s.w.now = s.w.now.Add(time.Minute)
	n := s.statusHead().Number
	s.records(day+2, schemas.Accepted, "f")
	require.Empty(t, s.close().Days, "nothing new of any day")
	require.Equal(t, n, s.statusHead().Number, "an untouched table gets no certificate")
}

func (s *lateScene) head(u schemas.Unit) *Certificate {
	c, err := Head(s.ctx, s.mem, u)
	require.NoError(s.t, err)
	return c
}

// TestStatusOfManyCertificates: a status that begins late, or was left behind, is the same.
func TestStatusOfManyCertificates(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	day := s.w.today()
	status := s.closer.deps.Datasets
	s.closer.deps.Datasets = builtinDatasets(t)
	delete(s.closer.deps.Datasets, schemas.StatusDataset)
	s.threeDays()
	require.Nil(t, s.statusHead())
	s.closer.deps.Datasets = status
	s.records(day, schemas.Accepted, "late")
	s.close()
	other := newLateScene(t)
	other.threeDays()
	other.records(day, schemas.Accepted, "late")
	other.close()
	require.Equal(t, int64(1), s.statusHead().Number)
	withoutKnown := func(s *lateScene) (kept []string) {
		for line := range strings.Lines(s.rows(ReadOptions{})) {
			f := strings.Fields(line)
			kept = append(kept, strings.Join(append(f[:len(f)-2:len(f)-2], f[len(f)-1]), " "))
		}
		return kept
	}
	require.Equal(t, withoutKnown(other), withoutKnown(s))
}

// TestStatusCrash: whoever dies between the area's certificate and the status's own, or at any
// operation of the latter, leaves what the next round mends.
func TestStatusCrash(t *testing.T) {
	t.Parallel()
	for at := 0; ; at++ {
		s := newLateScene(t)
		s.records(s.w.today(), schemas.Accepted, "a")
		s.flush()
		left := at
		dying := s.mem.With(func(op store.Op, key string) store.Fault {
			if !strings.Contains(key, "/status/") {
				return store.Proceed
			}
			if left--; left == -1 {
				return store.CrashAfter
			}
			return store.Proceed
		})
		d := s.deps(dying)
		d.Workers = 1
		report, err := CloseRound(s.ctx, d, s.w.now, []schemas.Unit{s.unit})
		crashed := errors.Is(err, store.ErrCrashed)
		for _, err := range report.Failed {
			crashed = crashed || errors.Is(err, store.ErrCrashed)
		}
		if !crashed {
			require.Greater(t, at, 8, "operations of a status close")
			return
		}
		report, err = CloseRound(s.ctx, s.deps(s.mem), s.w.now, []schemas.Unit{s.unit})
		require.NoError(t, err)
		require.Empty(t, report.Failed)
		require.Equal(t, int64(1), s.statusHead().Number, "operation %d", at)
		require.NotEmpty(t, s.rows(ReadOptions{}))
		require.Empty(t, s.audit().Problems, "operation %d", at)
	}
}

// TestStatusClosersAtOnce: two closers that saw other certificates of the area make one chain.
func TestStatusClosersAtOnce(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	s.records(s.w.today(), schemas.Accepted, "a")
	s.flush()
	publish, met := s.closer.rules.publish, false
	s.closer.rules.publish = func(ctx context.Context, u *unitClose) error {
		if isStatus(u.unit) && !met {
			met = true
			s.seal(s.w.today(), 1)
			s.flush()
			report, err := CloseRound(s.ctx, s.deps(s.mem), s.w.now, []schemas.Unit{s.unit})
			require.NoError(t, err)
			require.Empty(t, report.Failed)
			require.Equal(t, int64(2), s.statusHead().Number)
		}
		return publish(ctx, u)
	}
	report, err := s.closer.Round(s.ctx, s.w.now, []schemas.Unit{s.unit})
	require.NoError(t, err)
	require.Empty(t, report.Failed)
	require.True(t, met)
	require.Contains(t, s.rows(ReadOptions{}), "lukket 0 [-] 1/1/0")
	require.Empty(t, s.audit().Problems)
}

// TestStatusClosersSideBySide: many rounds of two closers, none ordered before the other.
func TestStatusClosersSideBySide(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	closers := []*Closer{NewCloser(s.deps(s.mem)), NewCloser(s.deps(s.mem))}
	for i := range 6 {
		s.records(s.w.today(), schemas.Accepted, fmt.Sprint("r", i))
		s.seal(s.w.today(), int64(i+1))
		s.flush()
		var wg sync.WaitGroup
		for _, c := range closers {
			wg.Go(func() {
				report, err := c.Round(s.ctx, s.w.now, []schemas.Unit{s.unit})
				if err != nil || len(report.Failed) > 0 {
					t.Errorf("round: %v %v", err, report.Failed)
				}
			})
		}
		wg.Wait()
	}
	s.close()
	require.Contains(t, s.rows(ReadOptions{}), "lukket 5 [-] 6/6/0")
}

// TestPlantedMistakesOfStatusAreCaught: a whole table, well named, that tells something else than
// the areas' certificates.
func TestPlantedMistakesOfStatusAreCaught(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(*schemas.Row, *DayReport) bool{
		"not revised":     func(_ *schemas.Row, d *DayReport) bool { return d.Revised == 0 },
		"reserves hidden": func(_ *schemas.Row, d *DayReport) bool { return len(statusMissing(d)) == 0 },
		"said closed": func(r *schemas.Row, d *DayReport) bool {
			plain := *d
			plain.State = Closed
			r.Payload = appendStatus(nil, "aeldre", r.From, &plain)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLateScene(t)
			s.closer.rules.status = func(u schemas.Unit, c *Certificate) (kept []schemas.Row, err error) {
				rows, err := statusRows(u, c)
				for i := range rows {
					if plant(&rows[i], &c.Days[i]) {
						kept = append(kept, rows[i])
					}
				}
				return kept, err
			}
			day := s.w.today()
			s.records(day, schemas.Accepted, "a")
			s.seal(day, 1)
			for i := range 2 {
				s.records(day+1+schemas.Day(i), schemas.Accepted, fmt.Sprint("next", i))
				s.flush()
				_, err := s.closer.Round(s.ctx, s.w.now, []schemas.Unit{s.unit})
				require.NoError(t, err)
				s.records(day, schemas.Accepted, "late")
			}
			copied := AuditDeps{Tables: s.mem, Datasets: s.sets}
			report, err := Audit(s.ctx, copied, nil)
			require.NoError(t, err)
			require.Contains(t, strings.Join(report.Problems, "\n"), "the areas' certificates say")
		})
	}
}

// TestStatusRestsOnWhatIsThere: a status that names another certificate of its area than there is.
func TestStatusRestsOnWhatIsThere(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	s.threeDays()
	key := schemas.CertificateKey(s.unit, 3)
	require.NoError(t, s.mem.Delete(s.ctx, key))
	require.NoError(t, s.mem.Delete(s.ctx, ClaimKey(s.unit, 3)))
	report, err := Audit(s.ctx, AuditDeps{Tables: s.mem, Datasets: s.sets},
		[]schemas.Unit{s.statusUnit()})
	require.NoError(t, err)
	require.Contains(t, strings.Join(report.Problems, "\n"), key)
	r, err := CloseRound(s.ctx, s.deps(s.mem), s.w.now.Add(-time.Hour), []schemas.Unit{s.statusUnit()})
	require.NoError(t, err)
	require.ErrorContains(t, r.Failed[s.statusUnit()], "restore it from a copy")
}

// TestStatusQuietRound: with nothing new a round asks of each unit whether its next claim and
// certificate are there, and reads nothing else.
func TestStatusQuietRound(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	var all []schemas.Agreement
	for i := range 98 {
		a := s.all.All()[0]
		a.Kommune = schemas.Kommunekode(fmt.Sprintf("%04d", 101+i))
		all = append(all, a)
	}
	var err error
	s.all, err = schemas.NewAgreements(all)
	require.NoError(t, err)
	day := s.w.today()
	for _, a := range all {
		s.unit.Kommune = a.Kommune
		s.records(day, schemas.Accepted, "a")
	}
	s.flush()
	var mu sync.Mutex
	asked := map[string]int{}
	c := NewCloser(s.deps(s.mem.With(func(_ store.Op, key string) store.Fault {
		mu.Lock()
		defer mu.Unlock()
		asked[key]++
		return store.Proceed
	})))
	report, err := c.Round(s.ctx, s.w.now, nil)
	require.NoError(t, err)
	require.Len(t, report.Closed, 2*98)
	clear(asked)
	begin := time.Now()
	report, err = c.Round(s.ctx, s.w.now, nil)
	require.NoError(t, err)
	require.Empty(t, report.Closed)
	certificates := 0
	for key, n := range asked {
		if strings.HasPrefix(key, "bevis/") {
			certificates += n
			require.Contains(t, key, "00000002", "only what may be new is asked for")
		} else {
			require.NotContains(t, key, "status/")
		}
	}
	require.Equal(t, 4*98, certificates)
	t.Logf("98 municipalities, nothing new: %d requests, %s", certificates, time.Since(begin))
}

// TestStatusIsNoAgreement: nobody else speaks for it.
func TestStatusIsNoAgreement(t *testing.T) {
	t.Parallel()
	a := simAgreements().All()[0]
	a.Area = schemas.StatusArea
	_, err := schemas.NewAgreements([]schemas.Agreement{a})
	require.ErrorContains(t, err, "what FLIS itself tells")
	a.Area, a.Shadow = "aeldre", true
	all, err := schemas.NewAgreements([]schemas.Agreement{a})
	require.NoError(t, err)
	require.Empty(t, all.Certified(), "a shadow is delivered nothing")
}

// TestStatusBehind: a status that nobody has brought up to its area is said, and is no problem.
func TestStatusBehind(t *testing.T) {
	t.Parallel()
	s := newLateScene(t)
	s.records(s.w.today(), schemas.Accepted, "a")
	s.close()
	s.seal(s.w.today(), 1)
	s.flush()
	d := s.deps(s.mem)
	d.Datasets = builtinDatasets(t)
	delete(d.Datasets, schemas.StatusDataset)
	_, err := CloseRound(s.ctx, d, s.w.now, []schemas.Unit{s.unit})
	require.NoError(t, err)
	report := s.audit()
	require.Empty(t, report.Problems)
	require.Contains(t, strings.Join(report.Open, "\n"), "certificate 2 of 0101/aeldre is not in it")
}
