package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/avro"
	"github.com/flis-dk/flis/schemas/codes"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
	"github.com/flis-dk/flis/transforms"
	"github.com/flis-dk/flis/transforms/cpr"
)

// installation is everything that a verb works with, made once from the configuration.
type installation struct {
	cfg        *config
	files      fs.FS // the overlay; nil = none
	lists      *codes.Lists
	datasets   map[schemas.DatasetName]*schemas.Dataset
	agreements *schemas.Agreements
	registry   avro.Registry
	catalog    *transforms.Catalog
	internal   store.Store // journal and close state: ours alone
	delivered  store.Store // tables and certificates: the municipalities'
	clock      func() time.Time
	out        *cobra.Command // where a verb says what it does
}

// The folders of an installation. Journal and delivered tables are two roots, for two identities.
const (
	internalName  = "intern"
	deliveredName = "levering"
	brokerName    = "broker"
)

func openInstallation(c *cobra.Command) (*installation, error) {
	cfg, err := loadConfig(c.Flags())
	if err != nil {
		return nil, err
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
	if in.agreements, err = loadAgreements(cfg.Agreements, in.lists, known); err != nil {
		return nil, err
	}
	if in.registry, err = openRegistry(cfg, builtin); err != nil {
		return nil, err
	}
	parsers := map[schemas.System]transforms.Parser{"cpr": transforms.Parser(cpr.NewParser(in.lists.Holder))}
	in.catalog, err = transforms.Load(schemas.Builtin, in.files, in.lists, in.agreements, in.registry, parsers)
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

func openRegistry(cfg *config, files []fs.FS) (avro.Registry, error) {
	if cfg.Registry.URL != "" {
		r, err := avro.NewConfluent(cfg.Registry.URL, nil)
		if err != nil {
			return nil, usage("open registry: %w", err)
		}
		return r, nil
	}
	return avro.NewLocal(files...)
}

func (in *installation) openStores() error {
	var err error
	if in.internal, err = store.NewLocal(filepath.Join(in.cfg.Dir, internalName)); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if in.delivered, err = store.NewLocal(filepath.Join(in.cfg.Dir, deliveredName)); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return nil
}

// systems is every system that an agreement names, in order.
func (in *installation) systems() []schemas.System {
	var all []schemas.System
	seen := map[schemas.System]bool{}
	for _, a := range in.agreements.All() {
		if !seen[a.System] {
			seen[a.System] = true
			all = append(all, a.System)
		}
	}
	return all
}

// journals opens the journal of each system that an agreement names.
func (in *installation) journals(ctx context.Context) (map[schemas.System]*sinks.Journal, error) {
	all := map[schemas.System]*sinks.Journal{}
	for _, s := range in.systems() {
		j, err := sinks.OpenJournal(ctx, in.internal, s)
		if err != nil {
			return nil, err
		}
		all[s] = j
	}
	return all, nil
}
