package generate_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/generate"
	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/codes"
)

const seedDigest = "68bc4696c4d68618"

// friday is the last day of three weeks from a Monday: nothing of a quiet period is under way.
var (
	monday = schemas.CivilDay(2026, 2, 16)
	friday = monday + 18
)

func options(t *testing.T) generate.Options {
	return generate.Options{Dir: filepath.Join(t.TempDir(), "dk"), Seed: 7, Persons: 400,
		Municipalities: 98, From: monday, Days: 19, ChangesPerDay: 60}
}

func write(t *testing.T, o generate.Options) string {
	t.Helper()
	require.NoError(t, generate.Write(t.Context(), o))
	return o.Dir
}

// tree is the hash of each file.
func tree(t *testing.T, dir string) map[string]string {
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		all[rel] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	}))
	return all
}

func TestTheSeedIsTheWhole(t *testing.T) {
	first := tree(t, write(t, options(t)))
	require.Greater(t, len(first), 80)
	require.Equal(t, first, tree(t, write(t, options(t))))
	other := options(t)
	other.Seed++
	require.NotEqual(t, first, tree(t, write(t, other)))
}

// The bytes of a seed are a promise: whoever names a seed names them. A change of them is a change of
// the generator, which the changelog tells.
func TestTheSeedStays(t *testing.T) {
	o := options(t)
	o.Days, o.Persons = 3, 30
	dir := write(t, o)
	var all bytes.Buffer
	for _, name := range []string{"plan.jsonl", "aftaler.yaml", "sandhed/virkelig/2026-02-17.jsonl",
		"leverancer/2026-02-16/cpr/D260216.L980098"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		all.Write(b)
	}
	require.Equal(t, seedDigest, fmt.Sprintf("%x", sha256.Sum256(all.Bytes()))[:16])
}

// truth is the rows of a log on a day, as text.
func truth(t *testing.T, dir string, log generate.Log, day schemas.Day) map[string]int {
	t.Helper()
	all := map[string]int{}
	require.NoError(t, generate.Truth(dir, log, day, func(r generate.Row) error {
		all[fmt.Sprint(r)]++
		return nil
	}))
	require.NotEmpty(t, all)
	return all
}

func TestWhatIsKnownCatchesUpWithWhatIs(t *testing.T) {
	o := options(t)
	o.Quiet = true
	dir := write(t, o)
	require.Equal(t, truth(t, dir, generate.Real, friday), truth(t, dir, generate.Known, friday))
	loud := write(t, options(t))
	require.NotEqual(t, truth(t, loud, generate.Real, friday), truth(t, loud, generate.Known, friday),
		"habits keep some of it back")
}

func TestTruthAddsUp(t *testing.T) {
	dir := write(t, options(t))
	for _, log := range []generate.Log{generate.Real, generate.Known} {
		all := map[schemas.Kommunekode]*generate.Population{}
		require.NoError(t, generate.Truth(dir, log, friday, func(r generate.Row) error {
			if all[r.Kommune] == nil {
				all[r.Kommune] = generate.NewPopulation()
			}
			all[r.Kommune].Take(&r)
			return nil
		}))
		require.Greater(t, len(all), 80)
		for k, p := range all {
			require.Empty(t, p.Wrong(), k)
		}
	}
}

// TestSmallDenmarks: few municipalities, few people, few days, one vendor.
func TestSmallDenmarks(t *testing.T) {
	for i := range 60 {
		o := options(t)
		o.Seed, o.Municipalities, o.Persons, o.Days = uint64(i), 1+i%5, 1+i*3, 1+i%7
		if i%3 == 0 {
			o.Vendors = generate.Vendors()[i%9/3 : i%9/3+1]
		}
		dir := write(t, o)
		require.NotEmpty(t, truth(t, dir, generate.Known, monday+schemas.Day(o.Days)))
	}
}

func TestPopulationSeesAFlowThatLacks(t *testing.T) {
	p := generate.NewPopulation()
	stay := generate.Row{Dataset: "borger.adresse", From: monday, Until: friday}
	p.Take(&stay)
	come := generate.Row{Dataset: "borger.haendelse", From: monday, Until: schemas.Open,
		Values: []string{"", "foedt", "", "", "0101", "", "0"}}
	p.Take(&come)
	require.Equal(t, []schemas.Day{friday}, p.Wrong())
}

func TestEverythingHappens(t *testing.T) {
	o := options(t)
	o.Persons, o.ChangesPerDay = 3000, 600
	dir := write(t, o)
	var all bytes.Buffer
	for name := range tree(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		all.Write(b)
	}
	text := all.String()
	for _, word := range []string{`"foedt"`, `"doed"`, `"tilflytning"`, `"fraflytning"`,
		`"intern_flytning"`, `"udvandring"`, `"indvandring"`, `"forsvundet"`, `"genfundet"`,
		`"skiftet"`, `"foerste_bopael"`, `"0171"`, `"borger.beskyttelse"`, `"foraeldremyndighed"`, `"bor"`, "CANCELLED", "DELETED",
		`"section":"999"`, `"type":"kontrol"`, "gentaget", ", fra: "} {
		require.Contains(t, text, word)
	}
	for _, record := range []string{"002", "003", "004", "005", "007", "013", "014", "015", "016",
		"022", "023", "024", "025", "027", "029", "030", "099"} {
		require.Regexp(t, `(?m)^`+record+`[0-9]{10}`, text)
	}
}

var pnr = regexp.MustCompile(`(?m)^001(\d{10})`)

func TestNumbersAreNobodys(t *testing.T) {
	o := options(t)
	o.Persons, o.Days, o.Quiet = 10_000, 1, true
	dir := write(t, o)
	b, err := os.ReadFile(filepath.Join(dir, "leverancer", "2026-02-16", "cpr", "D260216.L980098"))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, m := range pnr.FindAllStringSubmatch(string(b), -1) {
		require.False(t, seen[m[1]], "a number is given once")
		seen[m[1]] = true
		day, _ := strconv.Atoi(m[1][:2])
		require.True(t, day > 60 && day <= 91, "day + 60: no real person has it")
	}
	require.InDelta(t, o.Persons, len(seen), 5)
}

func TestMunicipalitiesHaveTheirShares(t *testing.T) {
	o := options(t)
	o.Persons, o.Days, o.Quiet = 20_000, 1, true
	dir := write(t, o)
	living := map[schemas.Kommunekode]float64{}
	require.NoError(t, generate.Truth(dir, generate.Known, monday, func(r generate.Row) error {
		if r.Dataset == "borger.adresse" && r.Until == schemas.Open {
			living[r.Kommune]++
		}
		return nil
	}))
	require.Len(t, living, 98)
	require.InEpsilon(t, 660.0/5974*20_000, living["0101"], 0.08)
	require.InEpsilon(t, 367.0/5974*20_000, living["0751"], 0.08)
	require.Less(t, living["0825"], 30.0)
	require.Positive(t, living["0825"])
}

// TestWindows: the files of days that lie in different passes fit together.
func TestWindows(t *testing.T) {
	o := options(t)
	o.Persons, o.Days, o.ChangesPerDay = 60, 150, 5
	dir := write(t, o)
	previous, files := "", 0
	plan, err := generate.ReadPlan(dir)
	require.NoError(t, err)
	for _, s := range plan {
		if s.System != "cpr" || s.Again {
			continue
		}
		b, err := os.ReadFile(s.Path)
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		require.Equal(t, previous, strings.TrimSpace(lines[0][min(27, len(lines[0])):]))
		previous = lines[0][19:27]
		require.Equal(t, fmt.Sprintf("9999999999999%08d", len(lines)-2), lines[len(lines)-1])
		files++
	}
	require.Greater(t, files, 100)
	quiet := options(t)
	quiet.Persons, quiet.Days, quiet.ChangesPerDay, quiet.Quiet = 60, 159, 5, true
	dir = write(t, quiet)
	last := monday + 158
	require.Equal(t, truth(t, dir, generate.Real, last), truth(t, dir, generate.Known, last))
}

func TestSendersAreInTheList(t *testing.T) {
	lists, err := codes.Load(schemas.Builtin)
	require.NoError(t, err)
	dir := write(t, options(t))
	var all bytes.Buffer
	for name := range tree(t, dir) {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		all.Write(b)
	}
	for form, key := range map[string]string{"SOR": `//kmd-nexus/(\d+)`, "GLN": `//cura/(\d+)`} {
		found := regexp.MustCompile(key).FindAllStringSubmatch(all.String(), -1)
		require.NotEmpty(t, found)
		for _, m := range found {
			_, ok := lists.Organisation(form, m[1], monday)
			require.True(t, ok, m[1])
		}
	}
}

func TestClosedMunicipalitiesAreInTheList(t *testing.T) {
	lists, err := codes.Load(schemas.Builtin)
	require.NoError(t, err)
	text, err := os.ReadFile("foer2007.csv")
	require.NoError(t, err)
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	require.NotEmpty(t, rows)
	for _, row := range rows {
		f := strings.Split(row, ";")
		holder, ok := lists.Holder(f[0])
		require.True(t, ok, row)
		require.EqualValues(t, f[1], holder)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*generate.Options){
		"persons":        func(o *generate.Options) { o.Persons = 0 },
		"municipalities": func(o *generate.Options) { o.Municipalities = 99 },
		"days":           func(o *generate.Options) { o.Days = 0 },
		"vendor":         func(o *generate.Options) { o.Vendors = []schemas.System{"nobody"} },
		"changes":        func(o *generate.Options) { o.ChangesPerDay = -1 },
	} {
		o := options(t)
		change(&o)
		err := generate.Write(t.Context(), o)
		require.ErrorIs(t, err, generate.ErrOptions, name)
		require.ErrorContains(t, err, name)
		require.NoDirExists(t, o.Dir)
	}
	o := options(t)
	o.Days = 1
	write(t, o)
	require.ErrorIs(t, generate.Write(t.Context(), o), generate.ErrOptions, "nothing is written over")
}
