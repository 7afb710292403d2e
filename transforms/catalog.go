package transforms

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
)

// Sources is what a catalog is made of. A file of Overlay replaces that of the same path in Builtin
// and Mappings.
type Sources struct {
	Builtin    fs.FS // schemas.Builtin: domain/, systems/
	Mappings   fs.FS // Mappings: mappings/
	Overlay    fs.FS // nil: none
	Lists      *codes.Lists
	Agreements *schemas.Agreements
	Registry   avro.Registry
	Parsers    map[schemas.System]Parser // systems whose records are units of files
	Build      string                    // of the program: its code is part of what rows rest on
}

// Catalog is everything that a verdict rests on, compiled. Its content never changes; safe for
// concurrent use.
type Catalog struct {
	lists      *codes.Lists
	agreements *schemas.Agreements
	registry   avro.Registry
	datasets   map[schemas.DatasetName]*dataset
	topics     map[string]*topic
	systems    map[schemas.System]*system
	enhed      *avro.Schema
	kontrol    *avro.Schema
	control    *avro.Scan // of kontrol
	print      string
	plans      sync.Map // planKey → *plan
	machines   sync.Pool
}

// topic is one raw topic; its topic of reloads shares it.
type topic struct {
	name    string
	system  *system
	event   string
	program *program // nil: the control topic
	parser  Parser   // nil: values are of the event's own schema
	schema  *avro.Schema
	own     *plan // for records that a parser makes
}

// system is a source: what its events have in common, gathered from their mappings.
type system struct {
	name     schemas.System
	forms    []string // how it names municipalities
	national bool
	events   []string
	print    string // of all that its verdicts rest on
}

// reloadSuffix names the topic of lower priority that reloads travel in.
const reloadSuffix = ".genindlaes"

// flisSystem is the folder of schemas that are our own: the envelope of a file's unit and the
// control record. It is no source and has no mappings.
const flisSystem = "flis" // schemas of our own, of no source

// Load reads and checks everything: every fault of every file is told.
func Load(s Sources) (*Catalog, error) {
	files, err := readFiles(s)
	if err != nil {
		return nil, err
	}
	c := &Catalog{lists: s.Lists, agreements: s.Agreements, registry: s.Registry,
		datasets: map[schemas.DatasetName]*dataset{}, topics: map[string]*topic{},
		systems: map[schemas.System]*system{}}
	c.machines.New = func() any {
		return &machine{lists: s.Lists, text: make([]byte, 0, 1024),
			codes: map[*column]map[string]known{}}
	}
	errs := []error{c.loadDatasets(files), c.loadOwn(files)}
	if errors.Join(errs...) == nil {
		errs = append(errs, c.loadSystems(files, s.Parsers))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.print = fingerprint(files, s, "")
	for name, x := range c.systems {
		x.print = fingerprint(files, s, name)
	}
	return c, nil
}

// readFiles gives every .avsc and .yaml by path, the overlay's in place of ours.
func readFiles(s Sources) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, f := range []fs.FS{s.Builtin, s.Mappings, s.Overlay} {
		if f == nil {
			continue
		}
		for _, root := range []string{"domain", "systems", "mappings"} {
			err := fs.WalkDir(f, root, func(p string, e fs.DirEntry, err error) error {
				if errors.Is(err, fs.ErrNotExist) && p == root {
					return nil
				}
				if err != nil || e.IsDir() || path.Ext(p) != ".avsc" && path.Ext(p) != ".yaml" {
					return err
				}
				files[p], err = fs.ReadFile(f, p)
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("read catalog: %w", err)
			}
		}
	}
	return files, nil
}

// loadDatasets reads domain/<area>/<dataset>.avsc. A dataset that does not parse is left out and
// told; mappings that feed it are then told too.
func (c *Catalog) loadDatasets(files map[string][]byte) error {
	var errs []error
	for _, p := range sortedKeys(files) {
		if !strings.HasPrefix(p, "domain/") || path.Ext(p) != ".avsc" {
			continue
		}
		d, err := newDataset(p, files[p])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.datasets[d.Name] = d
	}
	return errors.Join(errs...)
}

// newDataset reads one table strictly: as the standard model (ParseDataset) and as an Avro schema
// that can be admitted. The key's columns are found here once.
func newDataset(file string, text []byte) (*dataset, error) {
	d, err := schemas.ParseDataset(file, text)
	if err != nil {
		return nil, err
	}
	s, err := avro.Admit(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	x := &dataset{Dataset: d, flat: avro.NewFlat(d), print: s.Print()}
	for _, k := range d.Key {
		x.key = append(x.key, d.Column(k))
	}
	return x, nil
}

// loadOwn reads the two schemas of ours that every source shares.
func (c *Catalog) loadOwn(files map[string][]byte) error {
	var errs []error
	for file, into := range map[string]**avro.Schema{"enhed": &c.enhed, "kontrol": &c.kontrol} {
		p := "systems/" + flisSystem + "/" + file + ".avsc"
		s, err := avro.Admit(string(files[p]))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p, err))
		}
		*into = s
	}
	if errors.Join(errs...) != nil {
		return errors.Join(errs...)
	}
	var err error
	if c.control, err = avro.NewScan(c.kontrol, c.kontrol, controlPaths()); err != nil {
		return fmt.Errorf("systems/%s/kontrol.avsc: %w", flisSystem, err)
	}
	return nil
}

// loadSystems compiles every mapping in order of path. Each mapping has a schema and each schema a
// mapping; older versions of a schema ("grant.1.avsc") have none of their own.
func (c *Catalog) loadSystems(files map[string][]byte, parsers map[schemas.System]Parser) error {
	var errs []error
	for _, p := range sortedKeys(files) {
		parts := strings.Split(p, "/")
		if len(parts) != 3 || parts[0] != "mappings" || path.Ext(p) != ".yaml" {
			continue
		}
		event := strings.TrimSuffix(parts[2], ".yaml")
		if err := c.loadEvent(files, parts[1], event, parsers); err != nil {
			errs = append(errs, err)
		}
	}
	for _, p := range sortedKeys(files) {
		parts := strings.Split(strings.TrimSuffix(p, ".avsc"), "/")
		if parts[0] != "systems" || len(parts) != 3 || parts[1] == flisSystem ||
			strings.Contains(parts[2], ".") {
			continue
		}
		if _, ok := files["mappings/"+parts[1]+"/"+parts[2]+".yaml"]; !ok {
			errs = append(errs, fmt.Errorf("%s: has no mapping mappings/%s/%s.yaml", p, parts[1],
				parts[2]))
		}
	}
	return errors.Join(errs...)
}

// loadEvent compiles mappings/<name>/<event>.yaml against systems/<name>/<event>.avsc. The names in
// the mapping are those of its path.
func (c *Catalog) loadEvent(files map[string][]byte, name, event string,
	parsers map[schemas.System]Parser) error {
	file := "mappings/" + name + "/" + event + ".yaml"
	text, ok := files["systems/"+name+"/"+event+".avsc"]
	if !ok {
		return fmt.Errorf("%s:1: there is no schema systems/%s/%s.avsc", file, name, event)
	}
	if _, err := schemas.ParseSystem(name); err != nil || event == schemas.ControlEvent {
		return fmt.Errorf("%s:1: the name of the system or the event cannot be used", file)
	}
	schema, err := avro.Admit(string(text))
	if err != nil {
		return fmt.Errorf("systems/%s/%s.avsc: %w", name, event, err)
	}
	p, err := compileMapping(place{file, name, event}, files[file], schema, c.lists, c.datasets)
	rules := checkSchemaFile("systems/"+name+"/"+event+".avsc", text, schema, event)
	if err = errors.Join(rules, err); err != nil {
		return err
	}
	return c.addEvent(p, parsers[p.system])
}

// addEvent makes the topics of an event, and with a system's first event its control topic. With a
// parser the topic's values are units of files, and the event's own schema is that of the parser's
// records.
func (c *Catalog) addEvent(p *program, parser Parser) error {
	s, ok := c.systems[p.system]
	if !ok {
		s = &system{name: p.system}
		c.systems[p.system] = s
		c.addTopic(&topic{system: s, event: schemas.ControlEvent, schema: c.kontrol})
	}
	s.events = append(s.events, p.event)
	s.national = s.national || p.national
	if p.kommune != nil && p.kommune.form != "" && !slices.Contains(s.forms, p.kommune.form) {
		s.forms = append(s.forms, p.kommune.form)
	}
	t := &topic{system: s, event: p.event, program: p, parser: parser, schema: p.schema}
	if parser != nil {
		own, err := newPlan(p, p.schema)
		if err != nil {
			return err
		}
		t.own, t.schema = own, c.enhed
	}
	c.addTopic(t)
	return nil
}

// addTopic names the topic and its topic of reloads: both give the same verdicts.
func (c *Catalog) addTopic(t *topic) {
	t.name = schemas.RawTopic(t.system.name, t.event)
	c.topics[t.name], c.topics[t.name+reloadSuffix] = t, t
}

// fingerprint is of all that a row can depend on; of one system, of all that its rows can depend
// on, and of the build: what another system's mapping says is no change of this one's.
func fingerprint(files map[string][]byte, s Sources, only schemas.System) string {
	h := sha256.New()
	for _, p := range sortedKeys(files) {
		folder := path.Base(path.Dir(p))
		if only == "" || strings.HasPrefix(p, "domain/") || folder == string(only) ||
			folder == flisSystem {
			fmt.Fprintf(h, "%s %d\n%s", p, len(files[p]), files[p])
		}
	}
	fmt.Fprintf(h, "lists %s\n", s.Lists.Fingerprint())
	for _, a := range s.Agreements.All() {
		if only == "" || a.System == only {
			fmt.Fprintf(h, "agreement %+v\n", a)
		}
	}
	if only != "" {
		fmt.Fprintf(h, "build %s\n", s.Build)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// Fingerprint is that of mappings, schemas, lists and agreements together, 16 hex digits.
func (c *Catalog) Fingerprint() string { return c.print }

// SystemFingerprint is that of what one system's verdicts rest on, the build with it:
// Row.Canonical. An unknown system's is that of the whole catalog.
func (c *Catalog) SystemFingerprint(s schemas.System) string {
	if x := c.systems[s]; x != nil {
		return x.print
	}
	return c.print
}

// Systems is every source, in order of name.
func (c *Catalog) Systems() []schemas.System {
	var all []schemas.System
	for s := range c.systems {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// Events is the events of a system that have a mapping, in order of name; the control event aside.
func (c *Catalog) Events(s schemas.System) []string {
	if c.systems[s] == nil {
		return nil
	}
	return slices.Sorted(slices.Values(c.systems[s].events))
}

// TopicSchema is the schema by which values of a raw topic are written; false for a topic that is
// none of ours.
func (c *Catalog) TopicSchema(name string) (*avro.Schema, bool) {
	t, ok := c.topics[name]
	if !ok {
		return nil, false
	}
	return t.schema, true
}

// Datasets is the standard model, in order of name.
func (c *Catalog) Datasets() []*schemas.Dataset {
	var all []*schemas.Dataset
	for _, name := range sortedKeys(c.datasets) {
		all = append(all, c.datasets[name].Dataset)
	}
	return all
}

// Dataset is one dataset of the standard model; nil for an unknown name.
func (c *Catalog) Dataset(name schemas.DatasetName) *schemas.Dataset {
	if d, ok := c.datasets[name]; ok {
		return d.Dataset
	}
	return nil
}
