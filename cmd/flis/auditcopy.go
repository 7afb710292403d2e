package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
)

func controlCodes(texts []string) ([]sinks.ControlCode, error) {
	codes := make([]sinks.ControlCode, len(texts))
	for i, t := range texts {
		var err error
		if codes[i], err = sinks.ParseControlCode(t); err != nil {
			return nil, usage("%w", err)
		}
	}
	return codes, nil
}

// auditCopy proves what a copy of delivered folders can prove alone: no configuration, no
// installation and no network are asked.
func auditCopy(out *cobra.Command, folder string, codes []sinks.ControlCode) error {
	if _, err := os.Stat(filepath.Join(folder, "bevis")); err != nil {
		return usage("audit copy: there is no folder bevis in %s: name the folder that holds "+
			"bevis/<kommune> and kommune=<kommune>", folder)
	}
	st, err := store.OpenCopy(folder)
	if err != nil {
		return err
	}
	report, err := sinks.Audit(out.Context(), sinks.AuditDeps{Tables: st, Codes: codes}, nil)
	if err != nil {
		return err
	}
	for _, p := range report.Proofs {
		out.Println(copyProof(&p))
	}
	for _, o := range report.Open {
		out.Printf("open     %s\n", o)
	}
	out.Printf("proved   %d certificates with %d plain versions, %d tables, %d files, %d bytes read: %s\n",
		report.Certificates, report.Texts, report.Tables, report.Files, report.Bytes,
		proved(len(report.Problems), "as they were closed"))
	out.Println(`beyond   that the tables follow from what the sources sent: flis audit in the installation
         folds them anew; that this copy is not an older one: name the newest code with --code`)
	return differences(out, report.Problems)
}

// copyProof says in words what was proved of one unit.
func copyProof(p *sinks.UnitProof) string {
	switch c := p.Newest; {
	case c == nil && p.Wrong == 0:
		return fmt.Sprintf("%-8s no certificate yet", p.Unit)
	case c == nil:
		return fmt.Sprintf("%s  %d differences, named below; no certificate could be read", p.Unit, p.Wrong)
	case p.Wrong > 0:
		return fmt.Sprintf("%s  %d differences, named below", p.Unit, p.Wrong)
	case p.Unit.Kommune == schemas.National:
		return fmt.Sprintf("%s  certificates 1 to %d follow on each other without a gap", p.Unit, c.Number)
	default:
		return fmt.Sprintf("%s  certificates 1 to %d follow on each other without a gap; the newest, of "+
			"delivery %s, names %d tables with %d files and %d current rows: each is there, unchanged",
			p.Unit, c.Number, c.Leverance, p.Tables, p.Files, p.Rows)
	}
}
