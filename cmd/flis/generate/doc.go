// Package generate makes a synthetic Denmark (FLIS-98): persons in households over up to 98
// municipalities of true relative sizes, what CPR and three elder-care vendors deliver of them day
// by day with the habits of real sources, and beside it the truth, by which any pipeline's tables
// can be judged at any day.
//
// It owns the lives, the habits, the files' forms and the truth, which is derived from the lives
// and never by reading a file back. It refuses to know how a pipeline works: it imports the
// vocabulary only. All people are made up and carry day + 60 numbers. The same options give the
// same bytes; memory does not grow with persons or days. The formats are in docs/flis98.md.
//
//	err := generate.Write(ctx, generate.Options{Dir: "flis98", Seed: 1, Persons: 300,
//		Municipalities: 98, From: day, Days: 20})
package generate
