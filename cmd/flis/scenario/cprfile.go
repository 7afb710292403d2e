package scenario

import (
	"fmt"
	"strings"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/transforms/cpr"
)

// opgavenr is the subscription's number that stands in every file of the story.
const opgavenr = "110101"

type fields = map[string]string

// cprFile writes an extract in layout A: the start record, every person's block, the end record
// with its count.
func cprFile(produced, previous schemas.Day, blocks [][]cpr.Record) []byte {
	start := fields{
		"SORTFELT-10": strings.Repeat("0", 10),
		"OPGAVENR":    opgavenr,
		"PRODDTO":     compact(produced),
	}
	if previous != schemas.Always {
		start["PRODDTOFORRIG"] = compact(previous)
	}
	records := []cpr.Record{{Type: "000", Fields: start}}
	for _, b := range blocks {
		records = append(records, b...)
	}
	count := fmt.Sprintf("%08d", len(records)-1)
	records = append(records, cpr.Record{Type: "999",
		Fields: fields{"SORTFELT-10": strings.Repeat("9", 10), "TAELLER": count}})
	var b strings.Builder
	for _, r := range records {
		line, err := cpr.Format(cpr.A, r)
		if err != nil {
			panic("scenario: " + err.Error()) // the story is part of the program
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return latin1(b.String())
}

// latin1 writes text in the files' encoding; every character of the story is in it.
func latin1(text string) []byte {
	b := make([]byte, 0, len(text))
	for _, r := range text {
		b = append(b, byte(r))
	}
	return b
}

// block is everything that CPR tells of a person who holds the number now.
func (p *person) block() []cpr.Record {
	rs := []cpr.Record{
		p.record("001", fields{"STATUS": p.status, "STATUSHAENSTART": stamp(p.since), "KOEN": p.koen,
			"FOED_DT": p.born.String(), "START_DT-PERSON": p.born.String()}),
	}
	for i, s := range p.stays {
		if s.until == schemas.Open {
			rs = append(rs, p.present(i)...)
		}
	}
	if p.left != schemas.Always {
		rs = append(rs, p.record("005", fields{"UDR_LANDEKOD": p.land, "UDRDTO": stamp(p.left)}))
	}
	rs = append(
		rs,
		p.record(
			"008",
			fields{"FORNVN": "Anonym", "EFTERNVN": "Opdigtet", "NVNHAENSTART": stamp(p.born)},
		),
		p.record("009", fields{"START_MYNKOD-FØDESTED": string(p.stays[0].kommune)}),
		p.record("010", fields{"LANDEKOD": p.citizen, "HAENSTART-STATSBORGERSKAB": stamp(p.born)}),
		p.record("012", fields{"CIVST": p.civil, "HAENSTART-CIVILSTAND": stamp(p.civilFrom)}),
	)
	for _, f := range p.former {
		rs = append(rs, cpr.Record{Type: "022", Fields: fields{"PNRGÆLD": p.pnr, "PNR": f.pnr,
			"START_DT-PERSON": f.from.String(), "SLUT_DT-PERSON": f.until.String()}})
	}
	for _, s := range p.stays {
		if s.until != schemas.Open {
			rs = append(
				rs,
				p.record("023", fields{"KOMKOD": string(s.kommune), "VEJKOD": s.vej, "HUSNR": s.husnr,
					"ETAGE": s.etage, "SIDEDOER": s.side,
					"TILFLYDTO": stamp(s.from), "FRAFLYDTO": stamp(s.until)}),
			)
		}
	}
	if p.civil == "G" {
		rs = append(rs, p.record("029", fields{"CIVST": "U", "HAENSTART-CIVILSTAND": stamp(p.born),
			"HAENSLUT-CIVILSTAND": stamp(p.civilFrom)}))
	}
	return rs
}

// present is the records of the address that the person has now.
func (p *person) present(i int) []cpr.Record {
	s := p.stays[i]
	address := fields{"KOMKOD": string(s.kommune), "VEJKOD": s.vej, "HUSNR": s.husnr, "ETAGE": s.etage,
		"SIDEDOER": s.side, "TILFLYDTO": stamp(s.from), "TILFLYKOMDTO": stamp(s.from)}
	if i > 0 && p.stays[i-1].kommune != s.kommune {
		address["FRAFLYKOMKOD"] = string(p.stays[i-1].kommune)
		address["FRAFLYKOMDTO"] = stamp(p.stays[i-1].until)
	}
	return []cpr.Record{p.record("002", address), p.record("003", fields{"KOMKOD": string(s.kommune),
		"VEJKOD": s.vej, "HUSNR": s.husnr, "POSTNR": postcodes[s.kommune]})}
}

var postcodes = map[schemas.Kommunekode]string{
	"0101": "2100",
	"0751": "8000",
	"0461": "5000",
	"0183": "2635",
	"0825": "9940",
}

// oldBlock is what CPR tells of a number that was changed.
func (p *person) oldBlock(f former) []cpr.Record {
	old := &person{pnr: f.pnr}
	return []cpr.Record{old.record("001", fields{"PNRGAELD": p.pnr, "STATUS": "60",
		"STATUSHAENSTART": stamp(f.until), "KOEN": p.koen, "FOED_DT": p.born.String(),
		"START_DT-PERSON": f.from.String(), "SLUT_DT-PERSON": f.until.String()})}
}

func (p *person) record(kind string, f fields) cpr.Record {
	f["PNR"] = p.pnr
	return cpr.Record{Type: kind, Fields: f}
}

// event is a 099 record: why the person is in the file.
func (p *person) event(code string, day schemas.Day) cpr.Record {
	return p.record("099", fields{"TIMESTAMPU": stamp(day), "HAENDELSE": code})
}

func compact(d schemas.Day) string { return d.Civil().Format("20060102") }

// stamp is a moment in CPR's form; the minute of the day does not matter to the story.
func stamp(d schemas.Day) string { return compact(d) + "1200" }
