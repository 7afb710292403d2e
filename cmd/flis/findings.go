package main

import (
	"regexp"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// findingSeparator joins findings in a journal row.
const findingSeparator = "; "

// findingStart is where a finding begins in a row's text: its code, then a path or the rule.
var findingStart = regexp.MustCompile(`(?:^|; )(ENVELOPE|SCHEMA|DECODE|BUDGET|MAPPING|` +
	`CODE|TENANT|DATE|LAYOUT|UNUSED|POISON)(?: ([^:]*(?::[^ ][^:]*)*))?: `)

// parseFindings takes the text of a row apart again: what schemas.Finding.Error wrote, joined by ";
// ". Text that is no finding is one without a code.
func parseFindings(text string) []schemas.Finding {
	if text == "" {
		return nil
	}
	at := findingStart.FindAllStringSubmatchIndex(text, -1)
	if len(at) == 0 || at[0][0] > 0 {
		return []schemas.Finding{{Rule: text}}
	}
	all := make([]schemas.Finding, len(at))
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		f := schemas.Finding{Code: schemas.Code(text[m[2]:m[3]])}
		if m[4] >= 0 {
			f.Path = text[m[4]:m[5]]
		}
		f.Rule, f.Mend = cutMend(text[m[1]:end])
		all[i] = f
	}
	return all
}

// cutMend cuts what stands in the last brackets; those that it holds itself belong to it.
func cutMend(text string) (rule, mend string) {
	if !strings.HasSuffix(text, ")") {
		return text, ""
	}
	depth := 0
	for i := len(text) - 1; i > 0; i-- {
		switch text[i] {
		case ')':
			depth++
		case '(':
			depth--
		}
		if depth == 0 && text[i-1] == ' ' {
			return text[:i-1], text[i+1 : len(text)-1]
		}
		if depth == 0 {
			return text, ""
		}
	}
	return text, ""
}

// findingText is the finding in three parts, for a person.
func findingText(f *schemas.Finding) string {
	text := string(f.Code)
	if f.Path != "" {
		text += "  " + printable(f.Path)
	}
	text += ": " + printable(f.Rule)
	if f.Mend != "" {
		text += "; to mend: " + printable(f.Mend)
	}
	return text
}
