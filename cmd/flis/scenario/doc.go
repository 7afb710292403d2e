// Package scenario plays a small Denmark: the deliveries of three days, from CPR and two elder-care
// vendors, as the files that the sources would send. Its people are made up and carry day + 60
// numbers, so that none can be a real person.
//
// It owns the story and its truth; it knows nothing of how the deliveries are processed. The same
// first day always gives the same bytes.
//
//	for _, day := range scenario.Play(today, scenario.Switch).Days {
//		feed(day.Files)
//	}
package scenario
