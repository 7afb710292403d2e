package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flis-dk/flis/cmd/flis/scenario"
)

// TestSystemThatNoAgreementNames: what a system sends that no agreement names is journalled and
// parked, not left unread.
func TestSystemThatNoAgreementNames(t *testing.T) {
	t.Parallel()
	dir, s := story(t, "", scenario.Switch)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "aftaler.yaml"), []byte("format: 1\naftaler:\n"+
		"  - {kommune: alle, omraade: borger, system: cpr, bevis: fil, leverer: dagligt}\n"), 0o600))
	for _, f := range s.Days[0].Files {
		if f.System != "kmd-nexus" {
			continue
		}
		path := filepath.Join(t.TempDir(), f.Name)
		require.NoError(t, os.WriteFile(path, f.Content, 0o600))
		require.Contains(
			t,
			mustFlis(t, "feed", "kmd-nexus", path, "--dir", dir),
			"no agreement names kmd-nexus",
		)
		break
	}
	mustFlis(t, "run", "--once", "--dir", dir)
	require.Contains(t, mustFlis(t, "parked", "list", "--dir", dir), "TENANT ce_source")
	require.Contains(
		t,
		mustFlis(t, "status", "--dir", dir),
		"kmd-nexus: 1 journal entries, 0 published",
	)
	mustFlis(t, "audit", "--dir", dir)
}
