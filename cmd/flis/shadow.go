package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/sinks/store"
)

// shadow is a system that is tried out: folded by the close protocol as it stands, from the same
// journals, under agreements that are its alone, into a place that nobody is given
// (docs/decisions/0008-skygge.md).
type shadow struct {
	system     schemas.System
	agreements *schemas.Agreements
	place      store.Store   // close state, tables and certificates
	closer     *sinks.Closer // nil until it is first needed
}

// shadows are those that the agreements name.
func (in *installation) shadows() []*shadow {
	if in.shadowing != nil {
		return in.shadowing
	}
	for _, s := range in.speaking.ShadowSystems() {
		in.shadowing = append(in.shadowing, &shadow{system: s, agreements: in.speaking.Shadow(s),
			place: store.Sub(in.internal, schemas.ShadowPrefix(s))})
	}
	return in.shadowing
}

// of gives those of the units that the shadow has an agreement for; none given = all it has.
func (s *shadow) of(units []schemas.Unit) []schemas.Unit {
	own := s.agreements.Units()
	if len(units) == 0 {
		return own
	}
	return slices.DeleteFunc(own, func(u schemas.Unit) bool { return !slices.Contains(units, u) })
}

// closeShadows brings the shadows of the units up to the journals. What goes wrong with one is
// said, and stops nothing that is delivered.
func (in *installation) closeShadows(ctx context.Context, units []schemas.Unit) {
	for _, s := range in.shadows() {
		own := s.of(units)
		if len(own) == 0 || ctx.Err() != nil {
			continue
		}
		closed, err := in.closeShadow(ctx, s, own)
		if closed > 0 {
			in.out.Printf("closed %d units of the shadow %s, beside what is delivered\n", closed, s.system)
		}
		if err != nil && ctx.Err() == nil {
			in.out.PrintErrf("flis: shadow %s: %v (what is delivered goes on without it)\n", s.system, err)
		}
	}
}

func (in *installation) closeShadow(ctx context.Context, s *shadow, units []schemas.Unit,
) (closed int, err error) {
	if s.closer == nil {
		deps, err := in.closeDeps()
		if err != nil {
			return 0, err
		}
		deps.Tables, deps.Agreements, deps.Progress = s.place, s.agreements, nil
		deps.Datasets = maps.Clone(in.datasets)
		delete(deps.Datasets, schemas.StatusDataset) // tells of what is delivered
		deps.Guard = nil                             // nothing is delivered: a mass end is for flis diff to show, not to wait
		deps.Engine, err = sinks.NewTables(sinks.TablesConfig{State: s.place, Delivered: s.place,
			Datasets: in.datasets,
			Dir:      filepath.Join(in.cfg.Dir, scratchName, "skygge-"+string(s.system))})
		if err != nil {
			return 0, err
		}
		s.closer = sinks.NewCloser(deps)
	}
	report, err := s.closer.Round(ctx, in.clock(), units)
	if err != nil {
		return 0, err
	}
	return len(report.Closed), failures(report.Failed)
}

// auditShadows proves the shadows' chains as those of what is delivered.
func (in *installation) auditShadows(ctx context.Context) (problems []string, err error) {
	for _, s := range in.shadows() {
		report, err := sinks.Audit(ctx, sinks.AuditDeps{Tables: s.place, State: s.place,
			Journal: sinks.JournalEvents(in.internal), Datasets: in.datasets, Refold: in.refold}, nil)
		if err != nil {
			return nil, fmt.Errorf("shadow %s: %w", s.system, err)
		}
		in.out.Printf("shadow   %s: %d certificates, %d tables with %d files, %d rows made anew: %s\n",
			s.system, report.Certificates, report.Tables, report.Files, report.Rows,
			proved(len(report.Problems), "nothing of it is delivered, and all is as certified"))
		for _, p := range report.Problems {
			problems = append(problems, fmt.Sprintf("shadow %s: %s", s.system, p))
		}
	}
	return problems, nil
}

// shadowOf finds the shadow of a unit; name "" = the only one there is.
func (in *installation) shadowOf(u schemas.Unit, name string) (*shadow, error) {
	fit := map[schemas.System]*shadow{}
	for _, s := range in.shadows() {
		if len(s.agreements.Unit(u)) > 0 {
			fit[s.system] = s
		}
	}
	names := slices.Sorted(maps.Keys(fit))
	switch s := fit[schemas.System(name)]; {
	case s != nil:
		return s, nil
	case len(names) == 0:
		return nil, usage("%s has no shadow: give it an agreement with skygge: true, "+
			"and run flis run --once", u)
	case name != "":
		return nil, usage("--system %s is no shadow of %s; there is %v", name, u, names)
	case len(names) > 1:
		return nil, usage("%s has several shadows: give --system, one of %v", u, names)
	}
	return fit[names[0]], nil
}
