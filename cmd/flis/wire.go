package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/streams/kafka"
	"github.com/flis-dk/flis/transforms"
	"github.com/flis-dk/flis/transforms/cpr"
)

// installation is everything that a verb works with, made once from the configuration.
type installation struct {
	cfg        *config
	files      fs.FS // the overlay; nil = none
	lists      *codes.Lists
	datasets   map[schemas.DatasetName]*schemas.Dataset
	agreements *schemas.Agreements // of what is delivered
	speaking   *schemas.Agreements // shadows too: who may send
	shadowing  []*shadow           // made when they are first closed
	registry   avro.Registry
	catalog    *transforms.Catalog
	internal   store.Store // journal and close state: ours alone
	delivered  store.Store // tables and certificates: the municipalities'
	clock      func() time.Time
	out        *cobra.Command // where a verb says what it does
	gap        string         // why to go past missing records; "" = do not
	accept     string         // why to go on where our change parks too much; "" = do not
}

// cprSystem is the one system whose deliveries are files of records.
const cprSystem schemas.System = "cpr"

// The folders of an installation. Journal and delivered tables are two roots, for two identities.
const (
	internalName  = "intern"
	deliveredName = "levering"
	brokerName    = "broker"
	scratchName   = "kladde"   // sorting room of the close
	suspectsName  = "mistanke" // notes of records that may have ended the process
)

func openInstallation(c *cobra.Command) (*installation, error) {
	cfg, err := loadConfig(c.Flags())
	if err != nil {
		return nil, err
	}
	return newInstallation(c, cfg, time.Now)
}

// openExisting is openInstallation for verbs that only read: they make no folder.
func openExisting(c *cobra.Command) (*installation, error) {
	cfg, err := loadConfig(c.Flags())
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(cfg.Dir, internalName)); err != nil {
		return nil, fmt.Errorf(
			"there is nothing in %s yet: feed a delivery and run flis run --once, or name another --dir",
			cfg.Dir,
		)
	}
	return newInstallation(c, cfg, time.Now)
}

// newInstallation puts the parts together. The clock is the only source of the present time.
func newInstallation(c *cobra.Command, cfg *config, clock func() time.Time) (*installation, error) {
	in := &installation{cfg: cfg, clock: clock, out: c}
	builtin := []fs.FS{schemas.Builtin}
	if cfg.Catalog != "" {
		if _, err := os.Stat(cfg.Catalog); err != nil {
			return nil, usage("load catalog: %w", err)
		}
		in.files = os.DirFS(cfg.Catalog)
		builtin = append(builtin, in.files)
	}
	var err error
	if in.lists, err = codes.Load(builtin...); err != nil {
		return nil, usage("load catalog: %w", err)
	}
	if err := in.loadDatasets(builtin); err != nil {
		return nil, usage("load catalog: %w", err)
	}
	known := map[schemas.DatasetName]bool{}
	for d := range in.datasets {
		known[d] = true
	}
	in.speaking, err = loadAgreements(cfg.Agreements, in.lists, known, systemNames(builtin))
	if err != nil {
		return nil, err
	}
	in.agreements = in.speaking.Delivered()
	if in.registry, err = openRegistry(cfg, builtin); err != nil {
		return nil, err
	}
	rules, err := cpr.RulesOf(in.lists)
	if err != nil {
		return nil, usage("load catalog: %w", err)
	}
	in.catalog, err = transforms.Load(
		transforms.Sources{Builtin: schemas.Builtin, Mappings: transforms.Mappings,
			Overlay: in.files, Lists: in.lists, Agreements: in.speaking, Registry: in.registry,
			Parsers: map[schemas.System]transforms.Parser{
				cprSystem: transforms.Parser(cpr.NewParser(rules)),
			}, Build: build()},
	)
	if err != nil {
		return nil, usage("load catalog: %w", err)
	}
	return in, in.openStores()
}

func (in *installation) loadDatasets(files []fs.FS) error {
	in.datasets = map[schemas.DatasetName]*schemas.Dataset{}
	for _, f := range files {
		all, err := schemas.LoadDatasets(f, "domain")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, d := range all {
			in.datasets[d.Name] = d
		}
	}
	return nil
}

// systemNames is every system that has schemas, but for our own.
func systemNames(files []fs.FS) []string {
	all := map[string]bool{}
	for _, f := range files {
		folders, _ := fs.ReadDir(f, "systems") // an overlay may have none
		for _, d := range folders {
			all[d.Name()] = d.Name() != "flis"
		}
	}
	maps.DeleteFunc(all, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(all))
}

func openRegistry(cfg *config, files []fs.FS) (avro.Registry, error) {
	if cfg.Registry.URL != "" {
		r, err := avro.NewConfluent(cfg.Registry.URL, &http.Client{Timeout: cfg.patience()})
		if err != nil {
			return nil, usage("open registry: %w", err)
		}
		return r, nil
	}
	r, err := avro.NewLocal(files...)
	if err != nil {
		return nil, usage("load catalog: %w", err)
	}
	return r, nil
}

func (in *installation) openStores() error {
	var err error
	if in.internal, err = store.OpenLocal(filepath.Join(in.cfg.Dir, internalName)); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if in.delivered, err = store.OpenLocal(filepath.Join(in.cfg.Dir, deliveredName)); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return nil
}

// systems is every system that an agreement names, in order.
func (in *installation) systems() []schemas.System {
	var all []schemas.System
	seen := map[schemas.System]bool{}
	for _, a := range in.speaking.All() {
		if !seen[a.System] {
			seen[a.System] = true
			all = append(all, a.System)
		}
	}
	return all
}

// sending is the systems that an agreement names, and each other one of the catalog whose topics
// are at the broker: what it sends is journalled, parked TENANT, and so raised (invariant 6).
func (in *installation) sending(ctx context.Context, cl *cluster) ([]schemas.System, error) {
	all := in.systems()
	topics, err := cl.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range in.catalog.Systems() {
		there := slices.ContainsFunc(topics, func(t kafka.Topic) bool {
			return strings.HasPrefix(t.Name, schemas.RawTopicPrefix(s))
		})
		if there && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all, nil
}

// journalled is the systems that an agreement names, and each other one of the catalog that has a
// journal.
func (in *installation) journalled(ctx context.Context) ([]schemas.System, error) {
	all := in.systems()
	for _, s := range in.catalog.Systems() {
		for _, err := range in.internal.List(ctx, schemas.JournalPrefix(s)+"/", "") {
			if err != nil {
				return nil, err
			}
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
			break
		}
	}
	return all, nil
}

// journals opens the journal of each system that has, or should have, one.
func (in *installation) journals(ctx context.Context) (map[schemas.System]*sinks.Journal, error) {
	systems, err := in.journalled(ctx)
	if err != nil {
		return nil, err
	}
	all := map[schemas.System]*sinks.Journal{}
	for _, s := range systems {
		j, err := sinks.OpenJournal(ctx, in.internal, s)
		if err != nil {
			return nil, err
		}
		all[s] = j
	}
	return all, nil
}

// closeDeps is what a closer works with. Scratch files hold personal data and have no name once
// they are open.
func (in *installation) closeDeps() (sinks.Deps, error) {
	engine, err := in.engine(in.internal, in.delivered)
	return sinks.Deps{
		Journal:    sinks.JournalEvents(in.internal),
		Tables:     in.delivered,
		Engine:     engine,
		Agreements: in.agreements,
		Datasets:   in.datasets,
		Clock:      in.clock,
		Progress:   in.closeProgress,
		Fingerprints: map[string]string{
			"katalog":    in.catalog.Fingerprint(),
			"kodelister": in.lists.Fingerprint(),
		},
		Writer:   writerID(),
		Build:    build(),
		Guard:    in.cfg.guard(),
		Accounts: in.internal,
	}, err
}

func (in *installation) engine(state, delivered store.Store) (*sinks.Tables, error) {
	return sinks.NewTables(
		sinks.TablesConfig{State: state, Delivered: delivered, Datasets: in.datasets,
			Dir: filepath.Join(in.cfg.Dir, scratchName)},
	)
}

// closeProgress shows that a long close goes on.
func (in *installation) closeProgress(p sinks.Progress) {
	if p.Certificate == 0 && p.Rows > 0 && p.Rows%progressRows == 0 {
		in.out.Printf("closing: %d journal rows read\n", p.Rows)
	}
	if p.Note != "" {
		in.out.Printf("closing: %s\n", p.Note)
	}
}

const progressRows = 100_000

// build names the program by what the Go tool noted in it.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
