package sinks

import (
	"fmt"
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// guard tells what waits for approval, and what was approved.
func (t *certificateText) guard() {
	if h := t.c.Held; h != nil {
		rows := [][]string{{"tabellerne står, som de stod; leverancer, der venter: " +
			strings.Join(h.Days, ", ")}}
		for i := range h.Ends {
			rows = append(rows, []string{endText(&h.Ends[i])})
		}
		t.section("Masseafslutning, der venter på godkendelse", rows)
	}
	for _, a := range t.c.Approvals {
		at := a.At.Time().In(schemas.Copenhagen).Format("2006-01-02 15:04:05")
		rows := [][]string{{fmt.Sprintf("bevis nr. %d, af %s, %s: %s", a.Number, a.By, at, a.Reason)}}
		for i := range a.Ends {
			rows = append(rows, []string{endText(&a.Ends[i])})
		}
		t.section("Masseafslutning, der er godkendt", rows)
	}
}

func endText(e *MassEnd) string {
	return fmt.Sprintf("%s fra %s: %d af %d åbne rækker", e.Dataset, e.System, e.Ended, e.Open)
}
