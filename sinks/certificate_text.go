package sinks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

// TextKey is the key of the plain version of certificate n, beside it.
func TextKey(u schemas.Unit, n int64) string {
	return strings.TrimSuffix(schemas.CertificateKey(u, n), ".json") + ".txt"
}

// ControlCode names a certificate so that nobody can put another in its place, nor an older copy
// of the whole folder: "<kommune>/<area>:<n>:<SHA-256>". Who keeps it elsewhere can ask an audit
// for it.
func (c *Certificate) ControlCode() string {
	return fmt.Sprintf("%s:%d:%s", c.Unit, c.Number, c.hash)
}

// Text is the certificate in plain Danish, a function of the certificate alone, with its own sum
// at the end. The JSON is the proof, the text is for people. It holds no personal data.
func (c *Certificate) Text() string {
	t := &certificateText{c: c}
	t.head()
	t.days()
	t.tables()
	t.counts()
	t.guard()
	t.replays()
	t.sources()
	t.how()
	t.line("\n%s%s", textSum, hashOf([]byte(t.b.String())))
	return t.b.String()
}

// textSum begins the last line of a plain certificate: the SHA-256 of all that stands above the
// blank line before it.
const textSum = "Tekstens SHA-256  "

// checkText compares a plain certificate with its own sum and with the certificate. Another build
// may have worded it otherwise.
func checkText(c *Certificate, text string) error {
	body, sum, ok := strings.Cut(text, "\n"+textSum)
	switch {
	case !ok || strings.TrimSuffix(sum, "\n") != hashOf([]byte(body)):
		return errors.New("its plain version was changed: remove it, the next close writes it again")
	case !strings.Contains(body, c.ControlCode()+"\n"):
		return errors.New("its plain version tells of another certificate: " +
			"remove it, the next close writes it again")
	}
	return nil
}

type certificateText struct {
	c *Certificate
	b strings.Builder
}

func (t *certificateText) line(format string, args ...any) {
	fmt.Fprintf(&t.b, strings.TrimRight(format, "\n")+"\n", args...)
}

// section writes a heading and lines in columns.
func (t *certificateText) section(title string, rows [][]string) {
	t.line("\n%s", title)
	w := tabwriter.NewWriter(&t.b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, "  "+strings.Join(r, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
}

func (t *certificateText) head() {
	kommune, area, _ := strings.Cut(t.c.Unit, "/")
	t.line("BEVIS nr. %d for kommune %s, område %s", t.c.Number, kommune, area)
	t.line("")
	t.line("Leverance    %s", t.c.Leverance)
	t.line("Lukket       %s (dansk tid)",
		t.c.Now.Time().In(schemas.Copenhagen).Format("2006-01-02 15:04:05"))
	t.line("Kontrolkode  %s", t.c.ControlCode())
}

// stateText is a day's state as people say it.
func stateText(s DayState) string {
	text := map[string]string{Provisional: "foreløbig", Closed: "lukket",
		ClosedWithReserves: "lukket med forbehold"}[s.State]
	if s.Revised > 0 {
		text += fmt.Sprintf(", revideret %d", s.Revised)
	}
	return text
}

// days tells of the days that this close is about, and of those before that lack something.
func (t *certificateText) days() {
	told := map[string]bool{}
	var rows [][]string
	for i := range t.c.Days {
		d := &t.c.Days[i]
		told[d.Day] = true
		rows = append(rows, []string{d.Day, stateText(d.dayState())})
		for _, s := range d.Sources {
			rows = append(rows, []string{"", sourceText(&s)})
			for _, m := range s.Missing {
				rows = append(rows, []string{"", "  mangler: " + m})
			}
		}
		if d.Late > 0 {
			rows = append(rows, []string{"", fmt.Sprintf("%d hændelser kom efter lukningen", d.Late)})
		}
	}
	if len(rows) == 0 {
		rows = [][]string{{"ingen dag har fået en anden tilstand"}}
	}
	if t.c.Basis != nil {
		return // its rows are the days
	}
	t.section("Dage i denne lukning", rows)
	rows = nil
	for _, day := range slices.Sorted(maps.Keys(t.c.Calendar)) {
		if s := t.c.Calendar[day]; !told[day] && len(s.Missing) > 0 {
			rows = append(rows, []string{day, stateText(s) + ": " + strings.Join(s.Missing, "; ")})
		}
	}
	if len(rows) > 0 {
		t.section("Tidligere dage, som mangler noget", rows)
	}
}

func sourceText(s *SourceReport) string {
	parts := []string{fmt.Sprintf("%s (%s): modtaget %d, accepteret %d, ignoreret %d, parkeret %d",
		s.System, s.Proof, s.Received, s.Accepted, s.Ignored, s.Parked)}
	if s.Sealed != nil {
		parts = append(parts, fmt.Sprintf("kontroltal %d", *s.Sealed))
	}
	for _, x := range []struct {
		n    int64
		text string
	}{{s.Duplicates, "dubletter"}, {s.Conflicts, "med samme id og andet indhold"},
		{s.Heartbeats, "hjerteslag"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", x.text, x.n))
		}
	}
	switch {
	case s.Proven:
		parts = append(parts, "fuldstændigheden er bevist")
	case !s.Expected:
		parts = append(parts, "ikke ventet denne dag")
	}
	return strings.Join(parts, ", ")
}

func (t *certificateText) tables() {
	rows := [][]string{{"datasæt", "rækker", "filer", "version", "historiske rækker", "filer", ""}}
	for _, name := range slices.Sorted(maps.Keys(t.c.Tables)) {
		d := t.c.Tables[name]
		row := append([]string{name}, tableText(d.Current, true)...)
		row = append(row, tableText(d.History, false)...)
		change := "uændret"
		for _, r := range []*TableRef{d.Current, d.History} {
			if r != nil && r.Since == t.c.Number {
				change = "ændret i denne lukning"
			}
		}
		rows = append(rows, append(row, change))
	}
	if len(rows) == 1 {
		rows = [][]string{{"ingen"}}
	}
	t.section("Tabeller, som de står med dette bevis", rows)
}

func tableText(r *TableRef, version bool) []string {
	if r == nil {
		r = &TableRef{}
	}
	cells := []string{strconv.FormatInt(r.Rows, 10), strconv.Itoa(r.Files)}
	if version {
		cells = append(cells, strconv.FormatInt(r.Version, 10))
	}
	return cells
}

func (t *certificateText) counts() {
	n := t.c.Counts
	t.section("Optælling", [][]string{
		{"hændelser læst til denne lukning", strconv.FormatInt(n.Rows, 10)},
		{"heraf til dage, der var lukket", strconv.FormatInt(n.Late, 10)},
		{"skåret fra, fordi en anden tilslutning ejer tiden", strconv.FormatInt(n.Clipped, 10)},
		{"poster, der er parkeret nu", strconv.FormatInt(n.Parked, 10)},
	})
	if len(t.c.Incomplete) == 0 {
		return
	}
	rows := make([][]string, len(t.c.Incomplete))
	for i, s := range t.c.Incomplete {
		rows[i] = []string{s}
	}
	t.section("Ufuldstændige øjebliksbilleder, uden virkning endnu", rows)
}

// sources tells what the certificate rests on.
func (t *certificateText) sources() {
	rows := make([][]string, 0, len(t.c.Points)+len(t.c.Agreements)+1)
	for _, s := range slices.Sorted(maps.Keys(t.c.Points)) {
		p := t.c.Points[s]
		text := "intet endnu"
		if p.Version >= 0 {
			text = fmt.Sprintf("til og med indgang %d (%s)", p.Version, short(p.Hash))
		}
		rows = append(rows, []string{"journalen for " + string(s), text})
	}
	for _, name := range slices.Sorted(maps.Keys(t.c.Basis)) {
		ref := t.c.Basis[name]
		rows = append(rows, []string{"beviset for " + name,
			fmt.Sprintf("nr. %d (%s)", ref.Number, short(ref.SHA256))})
	}
	if t.c.National != nil {
		rows = append(rows, []string{"det nationale bevis",
			fmt.Sprintf("nr. %d (%s)", t.c.National.Number, short(t.c.National.SHA256))})
	}
	for _, a := range t.c.Agreements {
		if t.c.Basis != nil {
			break // no one else speaks
		}
		rows = append(rows, []string{"tilslutningen af " + string(a.System), agreementText(a)})
	}
	if t.c.Previous != "" {
		rows = append(rows, []string{"det forrige bevis",
			fmt.Sprintf("nr. %d (%s)", t.c.Number-1, short(t.c.Previous))})
	}
	t.section("Det hviler på", rows)
}

func agreementText(a AgreementRef) string {
	parts := []string{fmt.Sprintf("bevis %s, leverer %s, frist %02d:%02d", a.Proof, a.Calendar,
		a.Deadline/60, a.Deadline%60)}
	if a.From != "" {
		parts = append(parts, "fra "+a.From)
	}
	if a.To != "" {
		parts = append(parts, "til "+a.To+" (dagen ikke med)")
	}
	if len(a.Datasets) > 0 {
		parts = append(parts, "datasæt "+strings.Join(a.Datasets, " "))
	}
	return strings.Join(parts, ", ")
}

// short is enough of a hash to compare by eye; the certificate has all of it.
func short(hash string) string { return hash[:min(len(hash), 16)] }

func (t *certificateText) how() {
	t.section("Efterprøv det selv, også uden net, på en kopi af kommunens mapper", [][]string{
		{"flis audit --copy MAPPE --code " + t.c.ControlCode()},
	})
}

// ensureText writes the plain version of a certificate where it is not there, or is another's: the
// one who wrote the certificate may have died before, and a certificate that was lost may have been
// made again by another writer. It is derived, so it may be written over.
func ensureText(ctx context.Context, st store.Store, u schemas.Unit, c *Certificate) error {
	key := TextKey(u, c.Number)
	b, err := readObject(ctx, st, key, certificateBytesMax)
	switch {
	case errors.Is(err, store.ErrNotFound):
		_, err = createOrRead(ctx, st, key, []byte(c.Text()))
		return err
	case err != nil || checkText(c, string(b)) == nil:
		return err
	}
	return st.Replace(ctx, key, []byte(c.Text()))
}
