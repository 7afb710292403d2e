package main_test

import (
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/stretchr/testify/require"
)

// TestComposeFile checks the form of docker-compose.yml with Compose's own loader, and that flis is
// pointed at the services that are there.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{filepath.Join("..", "..", "docker-compose.yml")},
		cli.WithName("flis"), cli.WithWorkingDirectory(filepath.Join("..", "..")))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"kafka", "registry", "flis"}, project.ServiceNames())
	flis := project.Services["flis"]
	require.Equal(t, "kafka:9092", *flis.Environment["FLIS_KAFKA_BROKERS"])
	require.Equal(t, "http://registry:8080/apis/ccompat/v7", *flis.Environment["FLIS_REGISTRY_URL"])
	require.Contains(t, flis.DependsOn, "kafka")
	require.Equal(
		t,
		"LogAppendTime",
		*project.Services["kafka"].Environment["KAFKA_LOG_MESSAGE_TIMESTAMP_TYPE"],
	)
}
