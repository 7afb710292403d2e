// Package parquet writes and scans Parquet files of flat columns, and the one nested file that
// Delta has: a checkpoint.
//
// It owns the Arrow library (v15) and hides all of it. It refuses values that do not fit their
// column, files whose columns are not of the asked types, and nulls where a field has none. What it
// writes: snappy, v1 pages, signed integers, dates as days, timestamps in microseconds UTC,
// decimals of fixed length; nothing delta-encoded.
//
//	fields := []parquet.Field{{Name: "kommunekode", Kind: parquet.String, Dictionary: true}}
//	w, err := parquet.NewWriter(file, fields)
//	b := parquet.NewBatch(fields)
//	b.Vectors[0].AppendString("0101")
//	err = w.Write(b)
//	meta, err := w.Close() // rows, bytes, SHA-256
//
// A Writer, a Batch and a Scan each belong to one goroutine.
package parquet
