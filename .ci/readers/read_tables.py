"""Opens every Delta table below a root, as the delivered kommune=0101/borger/adresse, with foreign readers and compares
all that they say.

    read_tables.py ROOT MANIFEST.json

MANIFEST: {"tables": [{"path": "kommune=0101/borger/adresse", "version": 3, "rows": [{column: value, ...}, ...]}, ...]}
A table may be listed several times, once for each version whose rows are known. Values: strings, integers, booleans;
decimals as numbers or strings; dates "2024-03-01"; time stamps RFC 3339; null or left out = null.

Compared, of each reader and every table: columns and their types, counts, all values, time travel (each version of the log
has as many rows as its files say, and the listed rows where it is listed), and a filter on every column. Of tables that
differ by municipality only the largest gets all filters, at its newest version and at one in the middle. Of every file: size,
SHA-256 and statistics against the file itself.
Exit 1 and one line for each difference; values are never printed, for a table may name persons.
"""

import datetime
import decimal
import glob
import hashlib
import json
import os
import sys

os.environ.setdefault("TOKIO_WORKER_THREADS", "1")  # many small queries: threads only cost
os.environ.setdefault("POLARS_MAX_THREADS", "1")

import deltalake
import duckdb
import duckdb_extension_delta
import duckdb_extension_httpfs
import polars
import pyarrow
import pyarrow.compute
import pyarrow.parquet

import compare


def arrow_kind(t):
    p = pyarrow.types
    if p.is_string(t) or p.is_large_string(t) or t == pyarrow.string_view():
        return "string"
    if p.is_binary(t) or p.is_large_binary(t):
        return "binary"
    if p.is_decimal(t):
        return "decimal(%d,%d)" % (t.precision, t.scale)
    if p.is_timestamp(t):
        return "timestamp" if (t.unit, t.tz) == ("us", "UTC") else str(t)
    names = {"int32": "integer", "int64": "long", "bool": "boolean", "date32[day]": "date"}
    return names.get(str(t), str(t))


class Reader:
    def filtered(self, filters):
        return [self.filter(*f) for f in filters]


class Files(Reader):
    """The files themselves, against what their Adds say. A wrong bound makes other readers lose rows silently."""

    name = "files"

    def check(self, check, where, table, log):
        for path, add in sorted(log.adds.items()):
            check.attempt(self, where + "/" + path, self.file, check, os.path.join(table, path), add, dict(log.columns))

    def file(self, _, where, check, path, add, kinds):
        if not os.path.exists(path):  # cleaned
            return
        with open(path, "rb") as f:
            data = f.read()
        check.same(self, where, "size", add["size"], len(data))
        check.same(self, where, "sha256", add["tags"]["sha256"], hashlib.sha256(data).hexdigest())
        rows = pyarrow.parquet.ParquetFile(path).read()
        stats = json.loads(add["stats"], parse_float=decimal.Decimal)
        check.same(self, where, "numRecords", stats["numRecords"], len(rows))
        for name, nulls in stats.get("nullCount", {}).items():
            if name in rows.column_names:
                check.same(self, where, "nullCount of " + name, nulls, rows[name].null_count)
                self.bounds(check, "%s column %s" % (where, name), stats, name, kinds[name], rows[name])

    def bounds(self, check, where, stats, name, kind, column):
        got = [compare.norm(stats[s].get(name), kind) for s in ("minValues", "maxValues")]
        values = [compare.norm(v, kind) for v in pyarrow.compute.unique(column).to_pylist() if v is not None]
        want = [min(values), max(values)] if values else [None, None]
        if kind == "string" and values:  # a long text is cut
            check.same(self, where, "bounds hold", got[0] <= want[0] and want[1] <= got[1], True)
        else:
            check.same(self, where, "bounds are exact", got == want, True)


class DeltaRS(Reader):
    name = "delta-rs"

    def open(self, table, version):
        self.table = deltalake.DeltaTable(table, version=version)
        self.data = self.table.to_pyarrow_dataset()

    def columns(self):
        return [(f.name, arrow_kind(f.type)) for f in self.data.schema]

    def rows(self):
        return self.data.to_table().to_pylist()

    def count(self):
        return self.data.count_rows()

    def filter(self, name, op, value, kind):
        f = pyarrow.compute.field(name)
        if op == "null":
            return self.data.count_rows(filter=f.is_null())
        i = self.data.schema.get_field_index(name)
        v = pyarrow.scalar(value, type=self.data.schema.field(i).type)
        return self.data.count_rows(filter={"=": f == v, "<": f < v, ">=": f >= v}[op])


class DeltaSQL(DeltaRS):
    """delta-rs by its own SQL engine, which takes other ways through statistics and partitions."""

    name = "delta-rs SQL"

    def query(self, text):
        q = deltalake.QueryBuilder().register("t", self.table)
        return pyarrow.table(q.execute(text).read_all())

    def columns(self):
        return [(f.name, arrow_kind(f.type)) for f in self.query("select * from t limit 1").schema]

    def rows(self):
        return self.query("select * from t").to_pylist()

    def count(self):
        return self.query("select count(*) as n from t")["n"][0].as_py()

    def filter(self, name, op, value, kind):
        where = compare.condition(name, op, value, kind)
        return self.query("select count(*) as n from t where " + where)["n"][0].as_py()


class DuckDB(Reader):
    name = "DuckDB"

    def __init__(self):
        self.db = duckdb.connect()
        for m in (duckdb_extension_httpfs, duckdb_extension_delta):
            ext = glob.glob(os.path.dirname(m.__file__) + "/extensions/*/*.duckdb_extension")[0]
            self.db.execute("LOAD '%s'" % ext)
        self.db.execute("set timezone = 'UTC'; set threads = 1")

    def open(self, table, version):
        self.source = "delta_scan('%s'%s)" % (table.replace("'", "''"), "" if version is None else ", version=%d" % version)

    def query(self, what, where=""):
        return self.db.execute("select %s from %s %s" % (what, self.source, where))

    def columns(self):
        names = {"varchar": "string", "bigint": "long", "timestamp with time zone": "timestamp", "blob": "binary"}
        got = self.db.execute("describe select * from " + self.source).fetchall()
        return [(c[0], names.get(c[1].lower(), c[1].lower())) for c in got]

    def rows(self):
        return self.query("*").to_arrow_table().to_pylist()

    def count(self):
        return self.query("count(*)").fetchone()[0]

    def filter(self, name, op, value, kind):
        where = compare.condition(name, op, value, kind)
        return self.query("count(*)", "where " + where).fetchone()[0]


class Polars(Reader):
    name = "Polars"

    def open(self, table, version):
        self.frame = polars.scan_delta(table, version=version)

    def columns(self):
        names = {"String": "string", "Int32": "integer", "Int64": "long", "Boolean": "boolean", "Date": "date", "Binary": "binary"}
        got = []
        for name, t in self.frame.collect_schema().items():
            kind = names.get(str(t), str(t))
            if isinstance(t, polars.Decimal):
                kind = "decimal(%d,%d)" % (t.precision, t.scale)
            if isinstance(t, polars.Datetime) and (t.time_unit, t.time_zone) == ("us", "UTC"):
                kind = "timestamp"
            got.append((name, kind))
        return got

    def rows(self):
        return self.frame.collect().to_dicts()

    def count(self):
        return self.frame.select(polars.len()).collect().item()

    def filter(self, name, op, value, kind):
        c = polars.col(name)
        if op != "null":
            v = polars.lit(value, dtype=self.frame.collect_schema()[name])
        f = {"null": lambda: c.is_null(), "=": lambda: c == v, "<": lambda: c < v, ">=": lambda: c >= v}[op]()
        return self.frame.filter(f).select(polars.len()).collect().item()


class Pandas(Reader):
    """As the documentation tells analysts to do it: DeltaTable(path).to_pandas()."""

    name = "pandas"

    def open(self, table, version):
        self.table = deltalake.DeltaTable(table, version=version)
        self.frame = self.table.to_pandas()

    def columns(self):
        kinds = dict(DeltaRS.columns(type("T", (), {"data": self.table.to_pyarrow_dataset()})))
        got = []
        for name, t in self.frame.dtypes.items():
            stamp = kinds[name] == "timestamp"
            got.append((name, str(t) if stamp and str(t) not in ("datetime64[us, UTC]", "datetime64[ns, UTC]") else kinds[name]))
        return got

    def rows(self):
        return self.frame.astype(object).where(self.frame.notna(), None).to_dict("records")

    def count(self):
        return len(self.frame)

    def filter(self, name, op, value, kind):
        if op == "null":
            return int(self.frame[name].isna().sum())
        return len(self.table.to_pandas(filters=[(name, {"=": "=="}.get(op, op), value)]))


def main(root, manifest, full=True):
    """full: all filters on the largest tables; else one a column on every table."""
    pyarrow.set_cpu_count(1)
    check, files = compare.Check(root, manifest, full), Files()
    for path in sorted(check.found):
        table = os.path.abspath(os.path.join(root, path))
        files.check(check, path, table, compare.Log(table))
    readers = [DeltaRS(), DeltaSQL(), DuckDB(), Polars(), Pandas()]
    for path in sorted(check.found & set(check.listed)):
        check.table(readers, path)
    return check.end([files, *readers])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
