package parquet

import (
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/compress"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
	"github.com/apache/arrow/go/v15/parquet/schema"
)

// Kind is the type of a column.
type Kind uint8

// The kinds. All but String and Binary are held as int64.
const (
	Bool      Kind = iota + 1
	Int32          //
	Int64          //
	Date           // days since 1970-01-01
	Timestamp      // microseconds since 1970-01-01 UTC
	Decimal        // unscaled; Field.Precision ≤ 18
	String         // UTF-8
	Binary         //
)

// Field is one column of a file.
type Field struct {
	Name             string
	Kind             Kind
	Precision, Scale int  // of a Decimal
	Nullable         bool //
	Dictionary       bool // few distinct values, as codes; on unique ones a third of the speed is left
	Stats            bool // min, max and nulls in Meta; never of a column that names a person
}

// decimalMax is the greatest precision whose every value fits int64.
const decimalMax = 18

func (f *Field) dataType() (arrow.DataType, error) {
	switch f.Kind {
	case Bool:
		return arrow.FixedWidthTypes.Boolean, nil
	case Int32:
		return arrow.PrimitiveTypes.Int32, nil
	case Int64:
		return arrow.PrimitiveTypes.Int64, nil
	case Date:
		return arrow.FixedWidthTypes.Date32, nil
	case Timestamp:
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, nil
	case Decimal:
		if f.Precision < 1 || f.Precision > decimalMax || f.Scale < 0 || f.Scale > f.Precision {
			return nil, fmt.Errorf("field %s: decimal(%d,%d), want a precision of 1 to 18",
				f.Name, f.Precision, f.Scale)
		}
		return &arrow.Decimal128Type{Precision: int32(f.Precision), Scale: int32(f.Scale)}, nil
	case String:
		return arrow.BinaryTypes.String, nil
	case Binary:
		return arrow.BinaryTypes.Binary, nil
	}
	return nil, fmt.Errorf("field %s: unknown kind %d", f.Name, f.Kind)
}

func (f *Field) bytes() bool { return f.Kind == String || f.Kind == Binary }

// inDictionary says whether the batch itself keeps distinct values; Arrow takes our indices but for
// these kinds.
func (f *Field) inDictionary() bool { return f.Dictionary && f.Kind != Bool && f.Kind != Decimal }

func fileSchema(fields []Field, props *parquet.WriterProperties) (*schema.Schema, error) {
	seen := map[string]bool{}
	columns := make([]arrow.Field, len(fields))
	for i, f := range fields {
		t, err := f.dataType()
		if err != nil {
			return nil, err
		}
		if f.Name == "" || seen[f.Name] {
			return nil, fmt.Errorf("field %d: name %q is empty or there twice", i, f.Name)
		}
		seen[f.Name] = true
		columns[i] = arrow.Field{Name: f.Name, Type: t, Nullable: f.Nullable}
	}
	s, err := pqarrow.ToParquet(arrow.NewSchema(columns, nil), props, pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, fmt.Errorf("make schema: %w", err)
	}
	return s, nil
}

const (
	pageBytes = 4 << 20
	// dictionaryBytes is beyond any batch: a fallback inside a column chunk would cost more than it
	// saves.
	dictionaryBytes = 1 << 30
	batchRows       = 16 << 10
)

// properties has no statistics in the footer: Arrow writes negative null counts into it, at which
// delta-rs opens the file no more, and a table's log has those of the files.
func properties(fields []Field) *parquet.WriterProperties {
	opts := []parquet.WriterProperty{
		parquet.WithVersion(parquet.V2_LATEST), parquet.WithDataPageVersion(parquet.DataPageV1),
		parquet.WithCompression(compress.Codecs.Snappy),
		parquet.WithDictionaryDefault(false), parquet.WithStats(false),
		parquet.WithDataPageSize(pageBytes), parquet.WithBatchSize(batchRows),
		parquet.WithDictionaryPageSizeLimit(dictionaryBytes),
	}
	for _, f := range fields {
		if f.Dictionary && f.Kind != Bool {
			opts = append(opts, parquet.WithDictionaryFor(f.Name, true))
		}
	}
	return parquet.NewWriterProperties(opts...)
}
