package cpr

// rowSource is a record type whose records are rows of one dataset. A field of length 0 is not in
// the layout.
type rowSource struct {
	rec                            string
	current                        bool // beats history
	annkor                         Field
	start, startMark, end, endMark Field
	endElse                        Field // where end is blank
	ts                             Field // registration time (B)
	values                         []Field
}

// The values of an address, by index into rowSource.values.
const (
	komkod = iota
	vejkod
	husnr
	etage
	sidedoer
	uuid
	tilflykomdto
	fraflykomkod
)

// The values of a civil status.
const (
	civst = iota
	aegtepnr
	sepHenvis
)

// The value of a citizenship.
const landekod = 0

// separation is a record type that tells a separation by the key that a civil status refers to.
type separation struct {
	rec    string
	annkor Field // none in the current record
	henvis Field // SEP_HENVIS, a time stamp that serves as key
	start  Field
}

// oldNumber is the record type of a person's earlier numbers.
type oldNumber struct {
	rec      string
	old, end Field
}

// plan is what the parser reads of a layout.
// Positions are those of the tables; the rules of each dataset are in model.md section 3.2.
type plan struct {
	layout Layout
	table  table
	used   map[string]bool // record types that are read; the rest are ignored and counted
	// Of 001.
	pnrgaeld Field
	status   Field
	since    Field // STATUSHAENSTART
	koen     Field
	foedt    Field
	foedtUnk Field  // FOED_DT_UMRK
	statusTS Field  // B only
	birth    string // record type of the place of birth
	birthKod Field
	clear    []Field // 003: KOMKOD VEJKOD HUSNR POSTNR; none in B
	old      oldNumber
	// The current record first, then history.
	address []rowSource
	civil   []rowSource
	citizen []rowSource
	parted  []separation
	kinPlan
	protect []rowSource
	abroad  []rowSource
	gone    []rowSource // disappeared
}

// plans is what is read of each layout. Read-only.
var plans = map[Layout]*plan{A: planA(A, tableA), AUUID: planA(AUUID, tableAUUID), B: planB()}

// planA is that of layout A, and of A-UUID, whose 002 also names the address in DAR.
func planA(l Layout, t table) *plan {
	f := t.field
	p := &plan{layout: l, table: t,
		pnrgaeld: f("001", "PNRGAELD"), status: f("001", "STATUS"),
		since: f("001", "STATUSHAENSTART"), koen: f("001", "KOEN"),
		foedt: f("001", "FOED_DT"), foedtUnk: f("001", "FOED_DT_UMRK"),
		birth: "009", birthKod: f("009", "START_MYNKOD-FØDESTED"),
		clear: t.fields("003", "KOMKOD", "VEJKOD", "HUSNR", "POSTNR"),
		old:   oldNumber{"022", f("022", "PNR"), f("022", "SLUT_DT-PERSON")},
		address: []rowSource{
			t.row("002", true, "", "TILFLYDTO", "TILFLYDT_UMRK", "", "", "", "KOMKOD", "VEJKOD",
				"HUSNR", "ETAGE", "SIDEDOER", "", "TILFLYKOMDTO", "FRAFLYKOMKOD"),
			t.row("023", false, "ANNKOR", "TILFLYDTO", "TILFLYDT_UMRK", "FRAFLYDTO",
				"FRAFLYDTO_UMRK", "", "KOMKOD", "VEJKOD", "HUSNR", "ETAGE", "SIDEDOER", "", "", ""),
		},
		civil: []rowSource{
			t.row("012", true, "", "HAENSTART-CIVILSTAND", "HAENSTART_UMRK-CIVILSTAND", "", "", "",
				"CIVST", "AEGTEPNR", "SEP_HENVIS-CIVILSTAND"),
			t.row("029", false, "ANNKOR", "HAENSTART-CIVILSTAND", "HAENSTART_UMRK-CIVILSTAND",
				"HAENSLUT-CIVILSTAND", "HAENSLUT_UMRK-CIVILSTAND", "",
				"CIVST", "AEGTEPNR", "SEP_HENVIS-CIVILSTAND"),
		},
		citizen: []rowSource{
			t.row("010", true, "", "HAENSTART-STATSBORGERSKAB", "HAENSTART_UMRK-STATSBORGERSKAB",
				"", "", "", "LANDEKOD"),
			t.row("027", false, "ANNKOR", "HAENSTART-STATSBORGERSKAB",
				"HAENSTART_UMRK-STATSBORGERSKAB", "HAENSLUT-STATSBORGERSKAB",
				"HAENSLUT_UMRK-STATSBORGERSKAB", "", "LANDEKOD"),
		},
		parted: []separation{
			{"013", Field{}, f("013", "SEP_HENVIS-SEPARATION"),
				f("013", "START_DT-SEPARATION")},
			{"030", f("030", "ANNKOR"), f("030", "SEP_HENVIS-SEPARATION"),
				f("030", "START_DT-SEPARATION")},
		},
	}
	p.restA()
	if l == AUUID {
		p.address[0].values[uuid] = f("002", "ADRESSE_UUID")
	}
	return p.complete()
}

// planB is that of layout B, where each record has its registration time.
func planB() *plan {
	t := tableB
	f := t.field
	p := &plan{layout: B, table: t,
		pnrgaeld: f("001", "pnrgaeld"), status: f("001", "status"),
		since: f("001", "statushaenstart"), koen: f("001", "koen"),
		foedt: f("001", "foed_dt"), foedtUnk: f("001", "foed_dt_umrk"),
		statusTS: f("001", "status_ts"),
		birth:    "005", birthKod: f("005", "start_mynkod"),
		old: oldNumber{"065", f("065", "gammelt_pnr"), f("065", "slut_dt")},
		address: []rowSource{
			t.row("025", true, "", "tilflydto", "tilflydto_umrk", "", "", "adr_ts", "komkod",
				"vejkod", "husnr", "etage", "sidedoer", "", "tilflykomdto", "fraflykomkod"),
			t.row("026", false, "annkor", "tilflydto", "tilflydto_umrk", "fraflydto",
				"fraflydto_umrk", "adr_ts", "komkod", "vejkod", "husnr", "etage", "sidedoer",
				"", "", ""),
		},
		civil: []rowSource{
			t.row("035", true, "", "haenstart", "haenstart_umrk", "", "", "civ_ts",
				"civst", "aegtepnr", "sep_henvis_ts"),
			t.row("036", false, "annkor", "haenstart", "haenstart_umrk", "haenslut",
				"haenslut_umrk", "civ_ts", "civst", "aegtepnr", "sep_henvis_ts"),
		},
		citizen: []rowSource{
			t.row("040", true, "", "haenstart", "haenstart_umrk", "", "", "stat_ts", "landekod"),
			t.row("041", false, "annkor", "haenstart", "haenstart_umrk", "haenslut",
				"haenslut_umrk", "stat_ts", "landekod"),
		},
		parted: []separation{
			{"085", Field{}, f("085", "sep_henvis"), f("085", "start_dt")},
			{"086", f("086", "annkor"), f("086", "sep_henvis"), f("086", "start_dt")},
		},
	}
	p.restB()
	return p.complete()
}

// complete notes which record types are read.
func (p *plan) complete() *plan {
	p.used = map[string]bool{"001": true, p.birth: true, p.old.rec: true}
	if p.clear != nil {
		p.used["003"] = true
	}
	for _, rows := range [][]rowSource{p.address, p.civil, p.citizen, p.protect, p.abroad, p.gone,
		p.children, p.mother, p.father, p.custody} {
		for _, s := range rows {
			p.used[s.rec] = true
		}
	}
	for _, s := range p.parted {
		p.used[s.rec] = true
	}
	return p
}

// fields finds fields by name; the empty name is the field that is not there.
func (t table) fields(rec string, names ...string) []Field {
	fs := make([]Field, len(names))
	for i, name := range names {
		if name != "" {
			fs[i] = t.field(rec, name)
		}
	}
	return fs
}

// row is a record type as a source of rows, its fields by name.
func (t table) row(rec string, current bool, annkor, start, startMark, end, endMark, ts string,
	values ...string) rowSource {
	f := t.fields(rec, annkor, start, startMark, end, endMark, ts)
	return rowSource{rec: rec, current: current, annkor: f[0], start: f[1], startMark: f[2],
		end: f[3], endMark: f[4], ts: f[5], values: t.fields(rec, values...)}
}
