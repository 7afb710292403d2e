package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/scenario"
	"github.com/flis-dk/flis/schemas"
)

// vendorChange is one of the tests VS of model.md section 5.
type vendorChange struct {
	old, new string
	day      schemas.Day // D
	facts    careFacts
	first    schemas.Day // day of the first delivery
}

// lastWednesday is one that five deliveries around it lie before today and inside the window.
func lastWednesday() schemas.Day {
	d := schemas.DayOf(time.Now()) - 4
	for d.Civil().Weekday() != time.Wednesday {
		d--
	}
	return d
}

func newVendorChange(from, to string, d schemas.Day) *vendorChange {
	return &vendorChange{from, to, d, factsAround(d), lastWednesday() - switchAt}
}

func agreed(system, more string) string {
	return fmt.Sprintf(
		"  - {kommune: %q, omraade: aeldre, system: %s, bevis: kontroltal, leverer: dagligt%s}\n",
		changing,
		system,
		more,
	)
}

// world is an installation with the agreements.
func (v *vendorChange) world(t *testing.T, agreements ...string) *badWorld {
	w := newBadWorld(t)
	w.write("aftaler.yaml", "format: 1\naftaler:\n"+strings.Join(agreements, ""))
	return w
}

// send feeds what a vendor tells in a delivery.
func (v *vendorChange) send(w *badWorld, system string, known int, all bool) {
	w.t.Helper()
	text := shapes[system].delivery(w.t, v.facts, known, all, v.first+schemas.Day(known))
	w.flis(0, "feed", system, w.write(fmt.Sprintf("%s-%d", system, known), text))
}

// only: one vendor tells everything.
func (v *vendorChange) only(t *testing.T, system string) *badWorld {
	w := v.world(t, agreed(system, ""))
	for i := range deliveries {
		v.send(w, system, i, i == 0)
	}
	w.run()
	return w
}

// switched: the old vendor tells what is known before the third delivery, and later what it has
// found out of its own time; the new one all that it has taken over, and what happens from then on.
func (v *vendorChange) switched(t *testing.T, cut schemas.Day) *badWorld {
	w := v.world(t, agreed(v.old, fmt.Sprintf(", til: %q", cut)),
		agreed(v.new, fmt.Sprintf(", fra: %q", cut)))
	for i := range deliveries {
		if i < switchAt {
			v.send(w, v.old, i, i == 0)
		} else {
			v.send(w, v.new, i, i == switchAt)
		}
		if late := v.lateFacts(i); len(late.facts.grants) > 0 && i >= switchAt {
			late.send(w, v.old, i, false)
		}
		if i == 1 || i == switchAt {
			w.flis(0, "run", "--once")
		}
	}
	w.run()
	return w
}

// lateFacts is the change with nothing known but what the old vendor tells late.
func (v *vendorChange) lateFacts(known int) *vendorChange {
	late := *v
	late.facts = careFacts{grants: slices.DeleteFunc(slices.Clone(v.facts.grants),
		func(g grantFact) bool { return !g.late || g.known != known })}
	return &late
}

// careRows is the delivered rows, from the Parquet that the newest certificate names.
type careRows map[string][]map[string]string

func careDelivered(w *badWorld) careRows {
	all := careRows{}
	for _, d := range []string{"visiteret_tid", "plejebolig", "besoeg"} {
		all[d] = shown(w.t, w.dir, changing, "aeldre."+d)
	}
	return all
}

// on is the rows that are true on a day.
func on(rows []map[string]string, day schemas.Day) (all []map[string]string) {
	for _, r := range rows {
		if to, ends := r["gyldig_til"]; r["gyldig_fra"] <= day.String() && (!ends || day.String() < to) {
			all = append(all, r)
		}
	}
	return all
}

// perGroup is citizens and hours of visiteret tid by ydelsesgruppe on a day (Æ3).
func (x careRows) perGroup(day schemas.Day, who string) (all []string) {
	citizens, minutes := map[string]map[string]bool{}, map[string]float64{}
	for _, r := range on(x["visiteret_tid"], day) {
		var n float64
		_, _ = fmt.Sscan(r["minutter_pr_uge"], &n)
		g := r["ydelsesgruppe"]
		if citizens[g] == nil {
			citizens[g] = map[string]bool{}
		}
		citizens[g][r[who]] = true
		minutes[g] += n
	}
	for g, who := range citizens {
		all = append(all, fmt.Sprintf("%s %s: %d citizens, %.2f hours", day, g, len(who), minutes[g]/60))
	}
	slices.Sort(all)
	return all
}

// inYear is the distinct citizens by group of the Mondays of a year's time.
func (x careRows) inYear(d schemas.Day, who string) (all []string) {
	citizens := map[string]map[string]bool{}
	for day := d - 364; day < d+364; day++ {
		if day.Civil().Weekday() != time.Monday {
			continue
		}
		all = append(all, x.perGroup(day, "cpr")...)
		for _, r := range on(x["visiteret_tid"], day) {
			if citizens[r["ydelsesgruppe"]] == nil {
				citizens[r["ydelsesgruppe"]] = map[string]bool{}
			}
			citizens[r["ydelsesgruppe"]][r[who]] = true
		}
	}
	for _, g := range slices.Sorted(maps.Keys(citizens)) {
		all = append(all, fmt.Sprintf("year %s: %d citizens", g, len(citizens[g])))
	}
	return all
}

// ages is how many of each age live in a nursing home or wait for one on a day (Æ2).
func (x careRows) ages(day schemas.Day) (all []string) {
	count := map[string]int{}
	for _, r := range on(x["plejebolig"], day) {
		var d, m, y int
		_, _ = fmt.Sscanf(r["cpr"][:6], "%2d%2d%2d", &d, &m, &y)
		born := schemas.CivilDay(1900+y, time.Month(m), d-60)
		count[fmt.Sprintf("%s %s: age %d", day, r["fase"], int(day-born)/365)]++
	}
	for k, n := range count {
		all = append(all, fmt.Sprintf("%s: %d", k, n))
	}
	slices.Sort(all)
	return all
}

// said is what the rows of a day say, but for what may differ.
func said(rows []map[string]string) (all []string) {
	for _, r := range rows {
		var cells []string
		for _, c := range slices.Sorted(maps.Keys(r)) {
			if !strings.HasSuffix(c, "_id") && c != "kilde_system" && c != "leverance" &&
				!strings.Contains(c, "registreret") && !strings.HasPrefix(c, "gyldig") {
				cells = append(cells, c+"="+r[c])
			}
		}
		all = append(all, strings.Join(cells, " "))
	}
	slices.Sort(all)
	return all
}

// answers is everything that must not change with the vendor.
func (x careRows) answers(d schemas.Day, who string, visits bool) (all []string) {
	for _, day := range []schemas.Day{d - 30, d - 1, d, d + 1, d + 30} {
		all = append(all, x.perGroup(day, who)...)
		all = append(all, x.ages(day)...)
		for _, name := range []string{"visiteret_tid", "plejebolig"} {
			rows := on(x[name], day)
			if day < d {
				rows = withoutLaterEnds(rows)
			}
			for _, line := range said(rows) {
				all = append(all, day.String()+" "+line)
			}
		}
	}
	if visits {
		all = append(all, said(x["besoeg"])...)
	}
	return append(all, x.inYear(d, who)...)
}

// withoutLaterEnds leaves out the last day of the grant that was ended after the switch: the old
// vendor owns the time before, and never heard of it.
func withoutLaterEnds(rows []map[string]string) (all []map[string]string) {
	for _, r := range rows {
		if r["cpr"] == citizen(3) {
			r = maps.Clone(r)
			delete(r, "slutdato")
		}
		all = append(all, r)
	}
	return all
}

// sameAnswers names only what differs.
func sameAnswers(t *testing.T, want, got []string) {
	t.Helper()
	var differ []string
	for _, l := range want {
		if !slices.Contains(got, l) {
			differ = append(differ, "- "+l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			differ = append(differ, "+ "+l)
		}
	}
	require.Empty(t, differ)
	require.Len(t, got, len(want))
}

// TestVendorChanges: VS5 (kmd-nexus → cura in the middle of a week) and VS8 (vitae → kmd-nexus on
// 1 January, the new vendor with converted history): what a municipality asks has the same answer
// whether the old vendor tells everything, the new one does, or they change on D.
func TestVendorChanges(t *testing.T) {
	t.Parallel()
	year := lastWednesday().Civil().Year()
	for name, v := range map[string]*vendorChange{
		"VS5": newVendorChange("kmd-nexus", "cura", lastWednesday()),
		"VS8": newVendorChange("vitae", "kmd-nexus", schemas.CivilDay(year, 1, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			visits := name == "VS5" // vitae tells none
			old, other := v.only(t, v.old), v.only(t, v.new)
			w := v.switched(t, v.day)
			rows := careDelivered(w)
			want := careDelivered(old).answers(v.day, "cpr", visits)
			require.Greater(t, len(want), 100, "the question must have an answer")
			sameAnswers(t, want, careDelivered(other).answers(v.day, "cpr", visits))
			sameAnswers(t, want, rows.answers(v.day, "cpr", visits))
			v.checkLate(t, rows)
			v.checkCertificates(t, w, old)
			v.checkMistakes(t, want, visits, rows, careDelivered(old), careDelivered(other))
		})
	}
}

// checkLate: the old vendor's correction after the switch counts in its own time.
func (v *vendorChange) checkLate(t *testing.T, rows careRows) {
	t.Helper()
	of := slices.DeleteFunc(slices.Clone(rows["visiteret_tid"]),
		func(r map[string]string) bool { return r["cpr"] != citizen(5) })
	require.Len(t, of, 1)
	require.Equal(t, v.old, of[0]["kilde_system"])
	require.Equal(t, "105.0000", of[0]["minutter_pr_uge"])
}

// checkCertificates: the newest names both agreements with D; what was clipped is counted in some,
// and nothing was where one vendor owns all time.
func (v *vendorChange) checkCertificates(t *testing.T, w, alone *badWorld) {
	t.Helper()
	newest, clipped := certificatesOf(w)
	_, none := certificatesOf(alone)
	require.Zero(t, none)
	require.Greater(t, clipped, int64(8), "each of the new vendor's statements of earlier time")
	var ends []string
	for _, a := range newest.Agreements {
		ends = append(ends, a.System+" "+a.From+" "+a.To)
	}
	slices.Sort(ends)
	require.Equal(t, []string{v.new + " " + v.day.String() + " ", v.old + "  " + v.day.String()}, ends)
}

type someCertificate struct {
	Agreements []struct {
		System string `json:"system"`
		From   string `json:"fra"`
		To     string `json:"til"`
	} `json:"tilslutninger"`
	Counts struct {
		Clipped int64 `json:"afskaaret"`
	} `json:"antal"`
}

func certificatesOf(w *badWorld) (newest someCertificate, clipped int64) {
	w.t.Helper()
	for _, f := range w.files("levering/bevis/0751/aeldre/????????.json") {
		b, err := os.ReadFile(filepath.Clean(f))
		require.NoError(w.t, err)
		newest = someCertificate{}
		require.NoError(w.t, json.Unmarshal(b, &newest))
		clipped += newest.Counts.Clipped
	}
	return newest, clipped
}

// checkMistakes plants what a vendor change can go wrong by: each changes an answer.
func (v *vendorChange) checkMistakes(t *testing.T, want []string, visits bool,
	rows, old, other careRows) {
	t.Helper()
	both, gap := careRows{}, careRows{}
	for d := range old {
		both[d] = append(slices.Clone(old[d]), other[d]...)
		gap[d] = append(cutAt(old[d], v.day-1, false), cutAt(other[d], v.day, true)...)
	}
	lost := careRows{"visiteret_tid": nil, "plejebolig": rows["plejebolig"], "besoeg": rows["besoeg"]}
	for _, r := range rows["visiteret_tid"] {
		if r["minutter_pr_uge"] != "105.0000" {
			lost["visiteret_tid"] = append(lost["visiteret_tid"], r)
		}
	}
	for mistake, got := range map[string][]string{
		"clip forgotten":                 both.answers(v.day, "cpr", visits),
		"clip on two different days":     gap.answers(v.day, "cpr", visits),
		"late correction lost":           lost.answers(v.day, "cpr", visits),
		"ids counted instead of persons": rows.answers(v.day, "visitation_id", visits),
	} {
		require.NotEqual(t, want, got, mistake)
	}
	byID, byPerson := rows.inYear(v.day, "visitation_id"), rows.inYear(v.day, "cpr")
	require.NotEqual(t, byPerson, byID, "a citizen has an id of each vendor within the year")
	w := v.switched(t, v.day+7)
	require.NotEqual(t, want, careDelivered(w).answers(v.day, "cpr", visits), "clip by the wrong day")
}

// cutAt is the part of the rows before a day, or from it on.
func cutAt(rows []map[string]string, day schemas.Day, after bool) (all []map[string]string) {
	for _, r := range rows {
		c := maps.Clone(r)
		if to, ends := c["gyldig_til"]; after {
			c["gyldig_fra"] = max(c["gyldig_fra"], day.String())
		} else if !ends || to > day.String() {
			c["gyldig_til"] = day.String()
		}
		if to, ends := c["gyldig_til"]; !ends || c["gyldig_fra"] < to {
			all = append(all, c)
		}
	}
	return all
}

// TestStoryWithoutVendorChange: the demo's story has the same answers whoever tells it.
func TestStoryWithoutVendorChange(t *testing.T) {
	t.Parallel()
	asked := map[scenario.Vendors][]string{}
	for _, v := range []scenario.Vendors{scenario.OnlyOld, scenario.OnlyNew, scenario.Switch} {
		dir, s := story(t, "", v)
		for _, d := range s.Days {
			feedDay(t, dir, d)
		}
		mustFlis(t, "run", "--once", "--dir", dir)
		rows := careRows{}
		for _, d := range []string{"visiteret_tid", "plejebolig", "besoeg"} {
			rows[d] = shown(t, dir, string(scenario.Changing), "aeldre."+d)
		}
		asked[v] = rows.answers(s.Days[1].Day, "cpr", true)
	}
	require.Greater(t, len(asked[scenario.Switch]), 100, "the question must have an answer")
	sameAnswers(t, asked[scenario.OnlyOld], asked[scenario.OnlyNew])
	sameAnswers(t, asked[scenario.OnlyOld], asked[scenario.Switch])
}
