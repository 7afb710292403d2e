# Everything that is not a plain go command. CI is .ci/run.
.PHONY: ci bench measure spark soak
ci:
	.ci/run
bench:
	go test -run '^$$' -bench . -benchmem ./...
measure:
	FLIS_MEASURE=1000000 go test -v -count=1 -timeout 60m -run TestMeasure ./cmd/flis
spark:
	.ci/readers/spark
soak:
	FLIS_SOAK=10 go test -run 'Simulat|Kill' -timeout 60m ./...
