// Package cpr reads the files of the Danish civil register (CPR): it frames them into one unit
// per person, and parses a unit into the record systems/cpr/person.avsc.
//
// It owns the record layouts (A, A-UUID, B) as tables, the rules of residence (which municipality
// holds which part of a row) and of what a block says (dates, order, corrections). It refuses to
// guess a layout from lengths, to read a file whose own controls fail, and to say anything of
// names, church, notes and the like. Pure: no I/O but through the reader it is handed, no clock.
//
//	file, err := cpr.Open(r, size, cpr.Options{Layouts: map[string]cpr.Layout{"123456": cpr.A}})
//	err = file.Units(func(u *cpr.Unit) error { return send(u.Nr, u.PNR, u.Content) })
//	rules, err := cpr.RulesOf(lists)
//	parse := cpr.NewParser(rules)
//	record, parts, reject := parse(unit)
package cpr
