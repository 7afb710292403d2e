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
	FLIS_SIM_SEEDS=5000 FLIS_CLOSE_SEEDS=600 FLIS_REPLAY_SEEDS=400 FLIS_CURATED_SEEDS=1500 \
	FLIS_WHOLE_TIME=50m go test -run 'Simulat|Kill|Replay' -timeout 120m ./...
