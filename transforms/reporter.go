package transforms

import "github.com/flis-dk/flis/schemas"

// Who reports may be another than whose the record is (docs/agreements.md, indberetter). A record
// belongs to the municipality that its own field names, else to that of the header flis_kommune,
// else to its sender; and its sender is that municipality or its reporter.

const mendTenant = "send it as the municipality that it belongs to, or have the sender made its " +
	"indberetter"

// belongs notes whose the record is: ordinal 0 is counted there.
func (v *verdict) belongs(k schemas.Kommunekode) {
	v.kommune, v.rows[v.first].Kommune = k, k
}

// reports says whether the sender is the reporter of another municipality.
func (v *verdict) reports(k schemas.Kommunekode) bool {
	return v.sender != schemas.National && v.c.agreements.Reports(v.t.system.name, v.sender, k)
}

// mayReport says whether what an agreement covers may come from the sender. Rows of a source that
// speaks for all come from nobody in particular.
func (v *verdict) mayReport(k schemas.Kommunekode, a *schemas.Agreement) bool {
	return k == v.sender || v.kommune == schemas.National || a.Reporter == v.sender
}

// names takes the municipality that the record's own field names; false: it may not be that one.
func (v *verdict) names(field *kommuneRef, k schemas.Kommunekode) bool {
	switch {
	case k == v.kommune:
		return true
	case v.env.kommune != "":
		v.m.park(schemas.CodeTenant, field.ref, "send the two alike",
			"names another municipality than flis_kommune")
		return false
	case !v.reports(k):
		v.m.park(schemas.CodeTenant, field.ref, mendTenant,
			"names another municipality than ce_source")
		return false
	}
	v.belongs(k)
	return true
}

// agreed says whether the system has any agreement with the municipality that the record belongs
// to: a reporter need not have one of its own.
func (v *verdict) agreed() bool {
	if v.kommune == schemas.National || len(v.c.agreements.Of(v.t.system.name, v.kommune)) > 0 {
		return true
	}
	v.park(noAgreement(headerSource))
	return false
}
