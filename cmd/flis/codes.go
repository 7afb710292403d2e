package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/schemas/codes"
)

func codesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "codes",
		Short: "The code lists: what there is, whether it holds together, what an update would change",
		Long: `codes tells of the dated code lists that columns are checked and translated by. They are built in
(schemas/codes); a folder codes/ in the overlay that flis.yaml names as catalog adds rows of a
municipality's own, and whole lists, and replaces the row with the same key and gyldig_fra. A list
is a CSV file: UTF-8, ";", LF, a heading line; kilde says where a row is from (p public, d the
domain's documents, o own knowledge, unchecked), codes/lister.csv who owns a list and how much of it
is here (full, part, sample).`,
		Example: `  flis codes list
  flis codes show paragraf --at 2026-01-01
  flis codes check`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, sub := range []*cobra.Command{codesListCommand(), codesShowCommand(), codesCheckCommand(),
		codesDiffCommand()} {
		sub.Args = usageArgs(sub.Args)
		c.AddCommand(sub)
	}
	return c
}

// codeFiles are where lists come from: what is built in, the configured overlay, and more folders.
func codeFiles(c *cobra.Command, more ...string) ([]fs.FS, error) {
	cfg, err := loadConfig(c.Flags())
	if err != nil {
		return nil, err
	}
	files := []fs.FS{schemas.Builtin}
	if cfg.Catalog != "" {
		more = append([]string{cfg.Catalog}, more...)
	}
	for _, dir := range more {
		if found, err := filepath.Glob(filepath.Join(dir, "codes", "*.csv")); err != nil ||
			len(found) == 0 {
			return nil, usage("load code lists: there is no codes/*.csv in %s", dir)
		}
		files = append(files, os.DirFS(dir))
	}
	return files, nil
}

func loadCodes(c *cobra.Command, more ...string) (*codes.Lists, error) {
	files, err := codeFiles(c, more...)
	if err != nil {
		return nil, err
	}
	l, err := codes.Load(files...)
	if err != nil {
		return nil, usage("load code lists: %w", err)
	}
	return l, nil
}

func codesListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "A line for each list",
		Long:    "list prints each list's name, owner, coverage, number of rows, and how many rows are from where.",
		Example: `  flis codes list`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := loadCodes(c)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "liste\trækker\tdækning\tdateret\tejer\tkilder\ttitel")
			for _, name := range l.Names() {
				a, _ := l.About(name)
				dated := "nej"
				if a.Dated {
					dated = "ja"
				}
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", name, a.Rows, a.Coverage, dated, a.Owner,
					sourcesText(a.Sources), a.Title)
			}
			return quiet(w.Flush())
		},
	}
}

func sourcesText(sources map[string]int) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(sources)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, sources[k]))
	}
	return strings.Join(parts, ", ")
}

func codesShowCommand() *cobra.Command {
	var at string
	c := &cobra.Command{
		Use:   "show LIST",
		Short: "The rows of a list",
		Long: `show prints a list as it is loaded, overlay included, one row a line with each column that has a value.
With --at only the rows that hold on the day.`,
		Example: `  flis codes show civilstand
  flis codes show kommune --at 2006-12-31`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			day, err := flagDay("--at", at)
			if err != nil {
				return err
			}
			l, err := loadCodes(c)
			if err != nil {
				return err
			}
			if !l.Has(args[0]) {
				return usage("show %s: %w; there are %s", args[0], codes.ErrNoList,
					strings.Join(l.Names(), ", "))
			}
			for _, e := range l.Rows(args[0]) {
				if day == nil || e.From <= *day && *day < e.To {
					c.Println(rowText(&e))
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&at, "at", "", "only rows that hold on the day, yyyy-mm-dd")
	return c
}

// rowText is a row by its columns, those with a value.
func rowText(e *codes.Entry) string {
	var parts []string
	for _, k := range slices.SortedFunc(maps.Keys(e.Fields), compareColumns) {
		if e.Fields[k] != "" {
			parts = append(parts, k+"="+e.Fields[k])
		}
	}
	return strings.Join(parts, "  ")
}

// compareColumns puts the code first, then the name, the rest by name.
func compareColumns(a, b string) int {
	first := func(s string) string {
		for i, k := range []string{"kode", "kode_fra", "system", "liste", "form", "vaerdi", "navn",
			"tekst"} {
			if s == k {
				return fmt.Sprint(i)
			}
		}
		return "x" + s
	}
	return strings.Compare(first(a), first(b))
}

func codesCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FOLDER]",
		Short: "Whether the lists hold together",
		Long: `check loads the lists that are built in, the configured overlay and, if given, a FOLDER with codes/*.csv, and
tells each fault with file and line: a row that cannot be placed or contradicts another, a list
without an owner, a successor that is in no row, a column of a dataset whose list there is not.
Exit code 3 when there is one.`,
		Example: `  flis codes check`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			files, err := codeFiles(c, args...)
			if err != nil {
				return err
			}
			l, err := codes.Load(files...)
			if err != nil {
				c.PrintErrln(err)
				return badRecords()
			}
			faults := l.Faults()
			datasets, err := schemas.LoadDatasets(schemas.Builtin, "domain")
			if err != nil {
				return err
			}
			for _, d := range datasets {
				for _, col := range d.Columns {
					if col.List != "" && !l.Has(col.List) {
						faults = append(faults, fmt.Errorf("%s.%s: there is no list %s", d.Name, col.Name,
							col.List))
					}
				}
			}
			if len(faults) > 0 {
				c.PrintErrln(errors.Join(faults...))
				return badRecords()
			}
			c.Printf("%d lists hold together, fingerprint %s\n", len(l.Names()), l.Fingerprint())
			return nil
		},
	}
}

func codesDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff FOLDER",
		Short: "What an update of the lists would change",
		Long: `diff compares the lists as they are with those that they would be with the codes/*.csv of FOLDER on top:
"+" a row that is new, "~" one that differs, with each column before and after. Take the update in by
putting the files into the overlay's codes/; flis replay SYSTEM --dry-run then tells which delivered
rows it changes. Exit code 3 when the folder's files are bad.`,
		Example: `  mkdir -p ny/codes
  printf 'kode;navn;gyldig_fra;gyldig_til;efterfoelger;kilde\nX;Andet;2027-01-01;;;o\n' > ny/codes/koen.csv
  flis codes diff ny`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			before, err := loadCodes(c)
			if err != nil {
				return err
			}
			files, err := codeFiles(c, args...)
			if err != nil {
				return err
			}
			after, err := codes.Load(files...)
			if err != nil {
				c.PrintErrln(err)
				return badRecords()
			}
			changes := codes.Compare(before, after)
			for _, x := range changes {
				c.Println(changeText(&x))
			}
			c.Printf("%d rows differ\n", len(changes))
			return nil
		},
	}
}

func changeText(x *codes.Change) string {
	switch {
	case x.Before == nil:
		return fmt.Sprintf("+ %s  %s", x.List, rowText(x.After))
	case x.After == nil:
		return fmt.Sprintf("- %s  %s", x.List, rowText(x.Before))
	}
	parts := make([]string, len(x.Columns))
	for i, k := range x.Columns {
		parts[i] = fmt.Sprintf("%s: %q → %q", k, x.Before.Fields[k], x.After.Fields[k])
	}
	return fmt.Sprintf("~ %s %s  %s", x.List, x.Key, strings.Join(parts, "; "))
}
