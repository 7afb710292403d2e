// Package transforms turns a consumed record into journal rows: one pure verdict on it.
//
// It owns the mapping language (docs/mapping.md), its compilation against a writer's schema, and
// the order of checks: envelope, frame, schema, budget, parser, mapping, municipality. It refuses
// I/O and clocks: equal catalogs give equal rows for a record, whenever and wherever they are asked
// (invariant 5). Nothing of a record but its journal row holds its values: findings name code,
// path, rule and mend.
//
//	catalog, err := transforms.Load(transforms.Sources{Builtin: schemas.Builtin, Lists: lists, …})
//	rows, err = catalog.Judge(rows[:0], &record)
package transforms
