package cpr

// kinPlan is where a layout tells of relatives.
type kinPlan struct {
	children, mother, father, custody []rowSource
}

// The value of a child, a parent and a protection.
const (
	kinNumber  = 0
	beskyttype = 0
)

// The values of custody.
const (
	reltyp = iota
	relpnr
)

// The values of time abroad.
const (
	outLand = iota
	inLand
)

// restA is what layout A tells of protection, relatives and time abroad.
func (p *plan) restA() {
	t := p.table
	p.protect = []rowSource{t.row("004", true, "", "START_DT-BESKYTTELSE", "",
		"SLET_DT-BESKYTTELSE", "", "", "BESKYTTYPE")}
	p.kinPlan = kinPlan{
		children: []rowSource{t.row("014", true, "", "", "", "", "", "", "PNR-BARN")},
		mother:   []rowSource{t.row("015", true, "", "MOR_DT", "MOR_DT_UMRK", "", "", "", "PNRMOR")},
		father:   []rowSource{t.row("015", true, "", "FAR_DT", "FAR_DT_UMRK", "", "", "", "PNRFAR")},
		custody: []rowSource{t.row("016", true, "", "START_DT-FORÆLDREMYN",
			"START_DT_UMRK-FORÆLDREMYN", "SLET_DT-FORÆLDREMYN", "", "", "RELTYP-FORÆLDREMYN",
			"RELPNR")},
	}
	p.abroad = []rowSource{
		t.row("005", true, "", "UDRDTO", "UDRDTO_UMRK", "", "", "", "UDR_LANDEKOD", ""),
		t.row("024", false, "ANNKOR", "UDRDTO", "UDRDTO_UMRK", "INDRDTO", "INDRDTO_UMRK", "",
			"UDR_LANDEKOD", "INDR_LANDEKOD"),
	}
	p.gone = []rowSource{
		t.row("007", true, "", "FORSVINDDTO", "FORSVINDDTO_UMRK", "", "", "", "", ""),
		t.row("025", false, "ANNKOR", "FORSVINDDTO", "FORSVINDDTO_UMRK", "GENFINDDTO",
			"GENFINDDTO_UMRK", "", "", ""),
	}
}

// restB is that of layout B, which has history of protection too.
func (p *plan) restB() {
	t := p.table
	ended := t.row("016", false, "", "start_dt", "", "slut_dt", "", "start_ts", "beskyttype")
	ended.endElse = t.field("016", "slet_dt")
	p.protect = []rowSource{
		t.row("015", true, "", "start_dt", "", "slet_dt", "", "start_ts", "beskyttype"), ended}
	p.kinPlan = kinPlan{
		children: []rowSource{t.row("045", true, "", "", "", "", "", "", "pnrchild")},
		mother: []rowSource{
			t.row("001", true, "", "mor_dt", "mor_dt_umrk", "", "", "mor_ts", "pnrmor")},
		father: []rowSource{
			t.row("001", true, "", "far_dt", "far_dt_umrk", "", "", "far_ts", "pnrfar")},
		custody: []rowSource{t.row("046", true, "", "start_dt", "start_dt_umrk", "slet_dt", "",
			"start_ts", "reltyp", "relpnr")},
	}
	p.abroad = []rowSource{
		t.row("028", true, "", "udrdto", "udrdto_umrk", "", "", "udr_ts", "udr_landekod", ""),
		t.row("029", false, "annkor", "udrdto", "udrdto_umrk", "indrdto", "indrdto_umrk", "udr_ts",
			"udr_landekod", "indr_landekod"),
	}
	p.gone = []rowSource{
		t.row("030", true, "", "forsvinddto", "", "", "", "ts", "", ""),
		t.row("031", false, "annkor", "forsvinddto", "forsvinddto_umrk", "genfinddto", "", "ts",
			"", ""),
	}
}
