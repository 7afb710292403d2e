// Package kafka reads and writes topics of an Apache Kafka cluster, or of one that speaks its
// protocol.
//
// It owns the fetch loop over raw record batches: checksum, decompression within a budget, the last
// offset of a batch, append time, aborted transactions, control records, and the typed errors of a
// log that is not what it was. It refuses to keep progress: a position is the caller's, and no
// group offset is ever a place to resume from. It skips nothing silently: what cannot be handed out
// whole is handed out marked (Record.Oversized, Record.Malformed), and a log with a hole stops its
// partition.
//
// kafka-go lends the connections (TLS, metadata, pools) and the encoder of produce requests; Fetch
// and Metadata are written and read here, because its own types lose what is needed (topic ids, the
// batch's last offset).
//
//	c, err := kafka.Dial(ctx, []string{"127.0.0.1:9092"}, kafka.Options{})
//	from := []kafka.Assignment{{Topic: "raw.cura.borger.v1", Next: 25}}
//	f := kafka.NewFetcher(c, from, kafka.FetchOptions{})
//	chunks, err := f.Poll(ctx) // each: records and the position after them, or why it stopped
package kafka
