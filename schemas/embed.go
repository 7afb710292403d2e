package schemas

import "embed"

// Builtin is the standard model, the sources' schemas and the code lists that are built in:
// domain/<area>/<dataset>.avsc, systems/<system>/<event>.avsc, codes/<list>.csv.
//
//go:embed domain systems codes
var Builtin embed.FS
