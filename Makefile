# Everything that is not a plain go command. CI is .ci/run.
.PHONY: ci bench spark soak
ci:
	.ci/run
bench:
	go test -run '^$$' -bench . -benchmem ./...
spark:
	.ci/readers/spark
soak:
	FLIS_SOAK=10 go test -run 'Simulat|Kill' -timeout 60m ./...
