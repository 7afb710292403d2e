package sinks

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/flis-dk/flis/sinks/parquet"
)

// plainFormat is a file format for the simulation: the number of columns, then each value as null
// flag, length, bytes.
func plainFormat() fileFormat { return fileFormat{write: writePlain, scan: scanPlain} }

func writePlain(w io.Writer, b *parquet.Batch) (*parquet.Meta, error) {
	out := []byte{byte(len(b.Fields))}
	for i := range b.Len() {
		for k, f := range b.Fields {
			v := b.Vectors[k]
			switch {
			case v.Null(i):
				out = append(out, 0)
			case f.Kind == parquet.String || f.Kind == parquet.Binary:
				out = append(out, 1)
				out = binary.AppendUvarint(out, uint64(len(v.Bytes(i))))
				out = append(out, v.Bytes(i)...)
			default:
				out = append(out, 1)
				out = binary.AppendVarint(out, v.Int(i))
			}
		}
	}
	_, err := w.Write(out)
	return &parquet.Meta{Rows: int64(b.Len()), Bytes: int64(len(out)), SHA256: hashOf(out)}, err
}

func scanPlain(
	r io.ReaderAt,
	size int64,
	fields []parquet.Field,
	fn func(*parquet.Batch) error,
) error {
	data := make([]byte, size)
	if _, err := r.ReadAt(data, 0); err != nil && err != io.EOF {
		return err
	}
	out := parquet.NewBatch(fields)
	to := map[string]*parquet.Vector{}
	for i, f := range fields {
		to[f.Name] = out.Vectors[i]
	}
	all := append(fieldsOf(journalColumns()), placeFields()...)
	sink := parquet.NewBatch(all[:data[0]])
	for in := bytes.NewReader(data[1:]); in.Len() > 0; {
		for i, f := range sink.Fields {
			v, ok := to[f.Name]
			if !ok {
				v = sink.Vectors[i]
			}
			if err := readPlain(in, f, v); err != nil {
				return err
			}
		}
		for _, f := range all[data[0]:] {
			if v, ok := to[f.Name]; ok {
				v.AppendNull()
			}
		}
	}
	return fn(out)
}

func readPlain(in *bytes.Reader, f parquet.Field, v *parquet.Vector) error {
	flag, err := in.ReadByte()
	switch {
	case err != nil:
		return err
	case flag == 0:
		v.AppendNull()
		return nil
	case f.Kind != parquet.String && f.Kind != parquet.Binary:
		n, err := binary.ReadVarint(in)
		v.AppendInt(n)
		return err
	}
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(in, b)
	v.AppendBytes(b)
	return err
}
