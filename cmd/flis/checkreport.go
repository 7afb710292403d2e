package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/flis-dk/flis/schemas"
)

// checkVerdict is one record of a report. It holds no value of the record but in Rows.
type checkVerdict struct {
	Where    string          `json:"record"` // "line 3", "unit 3"; "file" = the whole of it
	Event    string          `json:"event,omitempty"`
	ID       string          `json:"id,omitempty"` // ce_source|ce_id
	Outcome  schemas.Outcome `json:"outcome"`
	Findings []checkFinding  `json:"findings"`
	Rows     []checkRow      `json:"rows,omitempty"` // with --rows
}

// checkFinding is schemas.Finding with the names that a program reads.
type checkFinding struct {
	Code schemas.Code `json:"code"`
	Path string       `json:"path"`
	Rule string       `json:"rule"`
	Mend string       `json:"mend"`
}

// refusedFile stands where records have an outcome: nothing of the file would be sent.
const refusedFile schemas.Outcome = "afvist"

// add keeps a finding once: what a part says its record may say again.
func (v *checkVerdict) add(f schemas.Finding) {
	if x := checkFinding(f); !slices.Contains(v.Findings, x) {
		v.Findings = append(v.Findings, x)
	}
}

// checkSummary counts records by outcome, and findings by code.
type checkSummary struct {
	Records  int64                     `json:"records"`
	Outcomes map[schemas.Outcome]int64 `json:"outcomes"`
	Codes    map[schemas.Code]int64    `json:"codes"`
	Others   int64                     `json:"other_events"` // lines of events not asked for
	Refused  bool                      `json:"file_refused"`
}

// checkReport prints verdicts as they come: nothing grows with the file.
type checkReport struct {
	out     *bufio.Writer
	json    bool
	all     bool
	printed int64
	others  int64
	sum     checkSummary
}

// newCheckReport prints to out; in JSON one object, {"verdicts": […], "summary": {…}}.
func newCheckReport(out io.Writer, f *checkFlags) *checkReport {
	return &checkReport{out: bufio.NewWriter(out), json: f.format == "json", all: f.all,
		sum: checkSummary{Outcomes: map[schemas.Outcome]int64{}, Codes: map[schemas.Code]int64{}}}
}

// verdict counts, and prints what is not simply accepted.
func (r *checkReport) verdict(v *checkVerdict) error {
	r.sum.Records++
	r.sum.Outcomes[v.Outcome]++
	for _, f := range v.Findings {
		r.sum.Codes[f.Code]++
	}
	if v.Outcome == schemas.Accepted && !r.all && len(v.Rows) == 0 {
		return nil
	}
	return r.print(v)
}

func (r *checkReport) print(v *checkVerdict) error {
	r.printed++
	if r.json {
		return r.printJSON(v)
	}
	fmt.Fprintf(r.out, "%-10s %s", v.Where, v.Outcome)
	if v.ID != "" {
		fmt.Fprintf(r.out, "  %s", printable(v.ID))
	}
	_, err := r.out.WriteString("\n")
	for _, f := range v.Findings {
		finding := schemas.Finding(f)
		_, err = fmt.Fprintf(r.out, "           %s\n", findingText(&finding))
	}
	for i := range v.Rows {
		_, err = r.out.WriteString(v.Rows[i].text())
	}
	return err
}

func (r *checkReport) printJSON(v *checkVerdict) error {
	if v.Findings == nil {
		v.Findings = []checkFinding{}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	begin := ",\n  "
	if r.printed == 1 {
		begin = "{\"verdicts\": [\n  "
	}
	_, _ = r.out.WriteString(begin)
	_, err = r.out.Write(b)
	return err
}

// end prints the summary. cause is what ended the file before its end: a finding of the file is
// part of the report.
func (r *checkReport) end(cause error) error {
	var f *schemas.Finding
	if errors.As(cause, &f) {
		r.sum.Refused = true
		r.sum.Codes[f.Code]++
		v := checkVerdict{Where: "file", Outcome: refusedFile}
		v.add(*f)
		cause = r.print(&v)
	}
	if cause != nil {
		return errors.Join(cause, r.out.Flush())
	}
	r.sum.Others = r.others
	if err := r.summary(); err != nil {
		return err
	}
	if r.sum.Refused || r.sum.Outcomes[schemas.Parked]+r.sum.Outcomes[schemas.PartlyParked] > 0 {
		return badRecords()
	}
	return nil
}

// summary ends the report and hands on what is buffered.
func (r *checkReport) summary() error {
	if r.json {
		b, err := json.Marshal(r.sum)
		if err != nil {
			return err
		}
		begin := "\n], \"summary\": "
		if r.printed == 0 {
			begin = "{\"verdicts\": [], \"summary\": "
		}
		fmt.Fprintf(r.out, "%s%s}\n", begin, b)
		return r.out.Flush()
	}
	if r.printed > 0 {
		_ = r.out.WriteByte('\n')
	}
	fmt.Fprintf(r.out, "%s", counted(r.sum.Records, "record"))
	order := []schemas.Outcome{schemas.Accepted, schemas.Warned, schemas.Ignored,
		schemas.PartlyParked, schemas.Parked}
	for i, o := range order {
		begin := ", "
		if i == 0 {
			begin = ": "
		}
		fmt.Fprintf(r.out, "%s%d %s", begin, r.sum.Outcomes[o], o)
	}
	for i, c := range slices.Sorted(maps.Keys(r.sum.Codes)) {
		begin := ", "
		if i == 0 {
			begin = "\nby code: "
		}
		fmt.Fprintf(r.out, "%s%s %d", begin, c, r.sum.Codes[c])
	}
	if r.others > 0 {
		fmt.Fprintf(r.out, "\n%s of other events passed over", counted(r.others, "line"))
	}
	if r.sum.Refused {
		fmt.Fprint(r.out, "\nflis feed would refuse the file: nothing of it would be sent")
	}
	_ = r.out.WriteByte('\n')
	return r.out.Flush()
}
