package main

import (
	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks"
)

func closeCommand() *cobra.Command {
	var kommune, area string
	var once bool
	c := &cobra.Command{
		Use:   "close",
		Short: "Fold what is new in the journal into the delivered tables",
		Long: `close is the second half of flis run. It makes the next certificate of each municipality and area that has
something new, or a day to settle. Any number of copies may work at once, on all units or on some: each certificate is made
once, and whoever finds one begun finishes that very one.`,
		Example: `  flis close --once
  flis close --once --kommune 0101 --area borger`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := openInstallation(c)
			if err != nil {
				return err
			}
			units, err := in.units(kommune, area)
			if err != nil {
				return err
			}
			if !once {
				return stopped(in.closeOn(c.Context(), units))
			}
			closer, err := in.newCloser()
			if err != nil {
				return err
			}
			return in.closeRound(c.Context(), closer, units)
		},
	}
	c.Flags().StringVar(&kommune, "kommune", "", "only this municipality, four digits")
	c.Flags().StringVar(&area, "area", "", "only this area, as borger")
	c.Flags().BoolVar(&once, "once", false, "one round, then end")
	return c
}

// units are those that have an agreement and fit.
func (in *installation) units(kommune, area string) ([]schemas.Unit, error) {
	if kommune != "" {
		if _, err := schemas.ParseKommunekode(kommune); err != nil {
			return nil, usage("--kommune: %w", err)
		}
	}
	var fit []schemas.Unit
	for _, u := range in.agreements.Certified() {
		if (kommune == "" || string(u.Kommune) == kommune) && (area == "" || string(u.Area) == area) {
			fit = append(fit, u)
		}
	}
	if len(fit) == 0 {
		return nil, usage("no agreement fits --kommune %q --area %q", kommune, area)
	}
	return fit, nil
}

func (in *installation) newCloser() (*sinks.Closer, error) {
	deps, err := in.closeDeps()
	if err != nil {
		return nil, err
	}
	return sinks.NewCloser(deps), nil
}
