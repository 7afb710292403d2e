package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/flis-dk/flis/schemas/yamlfile"
	"github.com/flis-dk/flis/sinks"
	"github.com/flis-dk/flis/transforms/cpr"
)

// config is the whole configuration of an installation, loaded once. Where a path is not absolute
// it is relative to the folder of flis.yaml, or to the working folder when there is none.
type config struct {
	Dir   string `yaml:"dir" mapstructure:"dir"`
	Kafka struct {
		Brokers    []string `yaml:"brokers" mapstructure:"brokers"`
		Partitions int      `yaml:"partitions" mapstructure:"partitions"`
		Group      string   `yaml:"group" mapstructure:"group"`
		Patience   string   `yaml:"patience" mapstructure:"patience"` // "30s": how long a broker may be away
	} `yaml:"kafka" mapstructure:"kafka"`
	Registry struct {
		URL string `yaml:"url" mapstructure:"url"`
	} `yaml:"registry" mapstructure:"registry"`
	Agreements string `yaml:"agreements" mapstructure:"agreements"`
	Catalog    string `yaml:"catalog" mapstructure:"catalog"`
	Key        string `yaml:"key" mapstructure:"key"`
	Guard      struct {
		Percent int64 `yaml:"percent" mapstructure:"percent"`
		Rows    int64 `yaml:"rows" mapstructure:"rows"`
	} `yaml:"guard" mapstructure:"guard"`
	// days that raw values are kept in the journals; 0 = for ever
	RawDays int `yaml:"raa_opbevaring" mapstructure:"raa_opbevaring"`
	// who has a curated topic; units that are in no entry have none
	Subscriptions []subscription `yaml:"abonnementer" mapstructure:"abonnementer"`
	CPR           struct {
		Layouts map[string]string `yaml:"layouts" mapstructure:"layouts"`
	} `yaml:"cpr" mapstructure:"cpr"`
}

// embedded says whether the broker is the one that runs inside flis.
func (c *config) embedded() bool { return len(c.Kafka.Brokers) == 0 }

const configName = "flis.yaml"

// configKeys is every key that FLIS_* and flags may set; FLIS_KAFKA_BROKERS is kafka.brokers, a
// list by commas.
var configKeys = []string{
	"dir",
	"kafka.brokers",
	"kafka.partitions",
	"kafka.group",
	"kafka.patience",
	"registry.url",
	"agreements",
	"catalog",
	"key",
	"guard.percent",
	"guard.rows",
	"raa_opbevaring",
}

func configFlags(flags *pflag.FlagSet) {
	flags.String("dir", "", "folder of all state of this installation (default ./flis-data)")
	flags.String(
		"config",
		"",
		"configuration file (default flis.yaml in the --dir, else in the working folder)",
	)
}

// loadConfig reads flis.yaml, then FLIS_* over it, then the flags over both. It is strict: an
// unknown key, a value of the wrong kind or an unknown FLIS_ variable is an error that says where.
func loadConfig(flags *pflag.FlagSet) (*config, error) {
	v := viper.New()
	v.SetDefault("kafka.partitions", 4)
	v.SetDefault("kafka.group", "flis")
	v.SetDefault("kafka.patience", "30s")
	v.SetDefault("raa_opbevaring", rawDays)
	v.SetDefault("guard.percent", guardPercent)
	v.SetDefault("guard.rows", guardRows)
	file, err := configFile(flags)
	if err != nil {
		return nil, err
	}
	if file != "" {
		if err := readConfigFile(v, file); err != nil {
			return nil, err
		}
	}
	if err := checkEnvironment(os.Environ()); err != nil {
		return nil, err
	}
	v.SetEnvPrefix("FLIS")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	for _, k := range configKeys {
		if err := v.BindEnv(k); err != nil {
			return nil, fmt.Errorf("load configuration: %w", err)
		}
	}
	if f := flags.Lookup("dir"); f.Changed {
		v.Set("dir", f.Value.String())
	}
	var c config
	if err := v.UnmarshalExact(&c); err != nil {
		return nil, usage("load configuration: %w", err)
	}
	if c.Dir == "" {
		c.Dir = "flis-data"
	}
	return &c, c.resolve(file, flags.Lookup("dir").Changed)
}

// configFile finds the file: the one that is named, else flis.yaml in --dir, else in the working
// folder; "" = none.
func configFile(flags *pflag.FlagSet) (string, error) {
	if named := flags.Lookup("config").Value.String(); named != "" {
		if _, err := os.Stat(named); err != nil {
			return "", usage("load configuration: %w", err)
		}
		return named, nil
	}
	folders := []string{"."}
	if d := flags.Lookup("dir").Value.String(); d != "" {
		folders = []string{d, "."}
	}
	for _, d := range folders {
		p := filepath.Join(d, configName)
		switch _, err := os.Stat(p); {
		case err == nil:
			return p, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("load configuration: %w", err)
		}
	}
	return "", nil
}

// readConfigFile checks the file strictly, with file and line, and then hands it to viper.
func readConfigFile(v *viper.Viper, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("load configuration: %w", err)
	}
	var c config
	if err := yamlfile.Decode(file, b, &c); err != nil {
		return usage("load configuration: %w", err)
	}
	v.SetConfigFile(file)
	if err := v.ReadInConfig(); err != nil {
		return usage("load configuration: %w", err)
	}
	return nil
}

func checkEnvironment(environ []string) error {
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		key := strings.ToLower(strings.TrimPrefix(name, "FLIS_"))
		if !strings.HasPrefix(name, "FLIS_") {
			continue
		}
		if !slices.ContainsFunc(
			configKeys,
			func(k string) bool { return strings.ReplaceAll(k, ".", "_") == key },
		) {
			return usage("load configuration: %s in the environment is no setting; there are FLIS_%s", name,
				strings.ToUpper(strings.ReplaceAll(strings.Join(configKeys, ", FLIS_"), ".", "_")))
		}
	}
	return nil
}

// resolve makes the paths absolute or relative to where they were written.
func (c *config) resolve(file string, dirByFlag bool) error {
	base := filepath.Dir(file)
	if file == "" {
		base = ""
	}
	paths := []*string{&c.Agreements, &c.Catalog, &c.Key}
	if !dirByFlag && os.Getenv("FLIS_DIR") == "" {
		paths = append(paths, &c.Dir)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	if c.Kafka.Partitions < 1 || c.Kafka.Partitions > 256 {
		return usage("load configuration: kafka.partitions is %d: want 1 to 256", c.Kafka.Partitions)
	}
	if p, err := time.ParseDuration(c.Kafka.Patience); err != nil || p <= 0 {
		return usage(
			"load configuration: kafka.patience is %q: want a duration, as 30s",
			c.Kafka.Patience,
		)
	}
	if g := c.Guard; g.Percent < 0 || g.Percent > 100 || g.Rows < 1 {
		return usage("load configuration: guard in flis.yaml: percent %d, rows %d: want 0 to 100, and "+
			"at least 1", g.Percent, g.Rows)
	}
	if c.RawDays != 0 && c.RawDays < rawDaysLeast {
		return usage("load configuration: raa_opbevaring is %d: want days, at least %d, or 0 for ever",
			c.RawDays, rawDaysLeast)
	}
	for task, l := range c.CPR.Layouts {
		if _, err := cpr.ParseLayout(l); err != nil {
			return usage("load configuration: cpr.layouts of %q: %w", task, err)
		}
	}
	return nil
}

// What a close may end without an approval, unless the configuration says otherwise.
const (
	guardPercent = 2
	guardRows    = 100
)

// guard is when a mass end waits. A configuration that is made in code names no rows.
func (c *config) guard() *sinks.Guard {
	if c.Guard.Rows == 0 {
		return &sinks.Guard{Percent: guardPercent, Rows: guardRows}
	}
	return &sinks.Guard{Percent: c.Guard.Percent, Rows: c.Guard.Rows}
}

// How long raw values are kept unless the configuration says otherwise, and the least that it may
// say: a month that is closed, with its corrections, can be replayed.
const (
	rawDays      = 400
	rawDaysLeast = 62
)

// patience is how long a broker may be away; resolve has checked it.
func (c *config) patience() time.Duration {
	p, _ := time.ParseDuration(c.Kafka.Patience)
	return p
}
