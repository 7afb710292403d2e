package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

const (
	agreementsName = "aftaler.yaml"
	keyName        = "noegle"
)

func initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a commented flis.yaml, an agreements file and a key file",
		Long: `init makes a new installation: flis.yaml (the configuration), aftaler.yaml (which system speaks for which
municipality) and noegle (the deployment's key, for topic keys that would else be personal numbers) in the
folder given by --dir, or ./flis-data. Files that are there already are left as they are.`,
		Example: `  flis init --dir ./flis-data
  flis doctor --dir ./flis-data`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir := c.Flag("dir").Value.String()
			if dir == "" {
				dir = "flis-data"
			}
			return writeInstallation(c, dir)
		},
	}
}

func writeInstallation(c *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make installation: %w", err)
	}
	for _, f := range []struct{ name, text string }{
		{configName, configTemplate}, {agreementsName, agreementsTemplate}, {keyName, newKey()},
	} {
		path := filepath.Join(dir, f.name)
		made, err := createFile(path, f.text)
		if err != nil {
			return fmt.Errorf("make installation: %w", err)
		}
		if made {
			c.Printf("wrote  %s\n", path)
		} else {
			c.Printf("kept   %s (it was there)\n", path)
		}
	}
	c.Printf(`
As it stands, this installation takes CPR for all 98 municipalities and nothing else:
edit %s to say which other systems speak for which municipality.

Next:  flis doctor --dir %s
       flis feed cpr FILE --dir %s
       flis run --once --dir %s
`, filepath.Join(dir, agreementsName), dir, dir, dir)
	return nil
}

// createFile makes a file that only its owner reads; made is false when it was there.
func createFile(path, text string) (made bool, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.WriteString(text)
	return true, errors.Join(err, f.Sync(), f.Close())
}

func newKey() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b) + "\n"
}

// loadKey reads the deployment's key, and makes one in the installation's folder when none is
// there.
func loadKey(c *config) ([]byte, error) {
	path := c.Key
	if path == "" {
		path = filepath.Join(c.Dir, keyName)
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("load key: %w", err)
		}
		if _, err := createFile(path, newKey()); err != nil {
			return nil, fmt.Errorf("load key: %w", err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != 32 {
		return nil, usage("load key: %s must hold 64 hex digits; flis init writes one", path)
	}
	return key, nil
}

const configTemplate = `# flis.yaml: the configuration of an installation. Every key is shown with its default.
# FLIS_KAFKA_BROKERS=host:9092,host:9092 and the like in the environment come before this file, flags before both.
# Paths are relative to this file. An unknown key is an error.

# All state of an embedded installation; with kafka.brokers, the journal and the tables.
dir: .

# kafka:
#   brokers: ["broker1:9092", "broker2:9092"]   # none: the broker inside flis
#   partitions: 4                               # of a topic that flis makes
#   group: flis                                 # shares the partitions between copies of flis normalise
#   patience: 30s                               # how long a broker may be away before a command gives up

# registry:
#   url: "http://registry:8080/apis/ccompat/v7" # Confluent's API; none: the schemas that are built in

# Which system speaks for which municipality.
agreements: aftaler.yaml

# A folder whose domain/, systems/, codes/ and mappings/ add to and replace what is built in.
# catalog: katalog

# The deployment's key (64 hex digits).
key: noegle

# A close that would end more than percent of a table's open rows, and at least rows, waits for flis approve.
# guard:
#   percent: 2
#   rows: 100

# Who has a curated topic, kommune.<code>.<area>.v1; none: no topic is made.
# abonnementer:
#   - {kommune: "0101", omraade: borger}        # "alle": every municipality with an agreement

# cpr:
#   layouts: {"110101": "A"}                    # opgavenr: layout A, A-UUID or B
`

const agreementsTemplate = `# aftaler.yaml: which system speaks for which municipality, in which area, for which valid time.
# A vendor change is two entries: the old one with til, the new one with fra, on the same day.
# Municipality codes and days stand in quotes. "alle" is every open municipality.
format: 1
aftaler:
  - {kommune: alle, omraade: borger, system: cpr, bevis: fil, leverer: hverdage, frist: "05:30"}

# - kommune: "0101"
#   omraade: aeldre
#   system: kmd-nexus
#   til: "2026-07-01"      # exclusive; none: open
#   bevis: kontroltal      # the vendor seals each day with its count; fil, ingen
#   leverer: dagligt       # hverdage: not on Saturdays, Sundays and public holidays
#   frist: "05:30"         # on the day after: then the day is closed with what is missing named
# - kommune: "0101"
#   omraade: aeldre
#   system: cura
#   fra: "2026-07-01"
#   bevis: kontroltal
#   leverer: dagligt
`
