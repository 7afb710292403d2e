package generate_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/generate"
)

// TestJudgeCatches: what is planted into a copy of the truth is found and named, whatever the order
// of the rows.
func TestJudgeCatches(t *testing.T) {
	dir := write(t, options(t))
	var rows []generate.Row
	require.NoError(t, generate.Truth(dir, generate.Known, friday, func(r generate.Row) error {
		rows = append(rows, r)
		return nil
	}))
	for name, plant := range map[string]func([]generate.Row, int) []generate.Row{
		"dropped": func(all []generate.Row, i int) []generate.Row {
			return append(all[:i], all[i+1:]...)
		},
		"doubled": func(all []generate.Row, i int) []generate.Row { return append(all, all[i]) },
		"a day later": func(all []generate.Row, i int) []generate.Row {
			all[i].From++
			return all
		},
		"ends": func(all []generate.Row, i int) []generate.Row {
			all[i].Until = all[i].From + 7
			return all
		},
		"another municipality": func(all []generate.Row, i int) []generate.Row {
			all[i].Kommune = "0999"
			return all
		},
		"another vendor": func(all []generate.Row, i int) []generate.Row {
			all[i].System = "other"
			return all
		},
		"another value": func(all []generate.Row, i int) []generate.Row {
			all[i].Values = append([]string{}, all[i].Values...)
			all[i].Values[1] += "x"
			return all
		},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		for range 6 {
			i := r.IntN(len(rows))
			if name == "ends" && rows[i].Until == rows[i].From+7 {
				continue
			}
			table := generate.TableName{Kommune: rows[i].Kommune, Dataset: rows[i].Dataset}
			planted := plant(append([]generate.Row{}, rows...), i)
			r.Shuffle(len(planted), func(a, b int) { planted[a], planted[b] = planted[b], planted[a] })
			j := generate.NewJudge()
			j.Look(table)
			for _, x := range rows {
				j.True(x)
			}
			for _, x := range planted {
				j.Delivered(x)
			}
			wrong := j.Differences()
			require.NotEmpty(t, wrong, name)
			d := wrong[0]
			require.Equal(t, table, d.TableName, name)
			require.NotEmpty(t, append(d.Missing, d.Excess...), name)
			for _, text := range append(d.Missing, d.Excess...) {
				require.NotRegexp(t, `\b[6-9]\d{9}\b`, text, "numbers are masked")
			}
			require.NotContains(t, d.String(), rows[i].Values[0])
		}
	}
	j := generate.NewJudge()
	for _, x := range rows {
		j.True(x)
		j.Delivered(x)
	}
	require.Empty(t, j.Differences())
	require.Equal(t, len(rows), j.Rows())
}

func TestTruthOfNothing(t *testing.T) {
	err := generate.Truth(t.TempDir(), generate.Known, friday, func(generate.Row) error { return nil })
	require.Error(t, err, "no truth is no agreement")
	require.ErrorContains(t, err, friday.String())
	_, err = generate.ReadPlan(t.TempDir())
	require.Error(t, err)
}
