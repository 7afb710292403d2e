package transforms

import "embed"

// Mappings is the mappings that are built in: mappings/<system>/<event>.yaml.
//
//go:embed mappings
var Mappings embed.FS
