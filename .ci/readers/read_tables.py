"""Opens every Delta table below a root, as the delivered kommune=0101/borger/adresse, with foreign readers and compares
all that they say.

    read_tables.py ROOT MANIFEST.json

MANIFEST: {"tables": [{"path": "kommune=0101/borger/adresse", "version": 3, "rows": [{column: value, ...}, ...]}, ...]}
A table may be listed several times, once for each version whose rows are known. Values: strings, integers, booleans;
decimals as numbers or strings; dates "2024-03-01"; time stamps RFC 3339; null or left out = null.

Compared, of each reader: columns and their types, counts, all values, filters on every column (newest version and one
in the middle), and time travel: each version of the log has as many rows as its files say, and the listed rows
where it is listed.
Exit 1 and one line for each difference; values are never printed, for a table may name persons.
"""

import collections
import datetime
import decimal
import glob
import json
import os
import sys

import deltalake
import duckdb
import duckdb_extension_delta
import duckdb_extension_httpfs
import polars
import pyarrow
import pyarrow.compute

UTC = datetime.timezone.utc


class Log:
    """What the log itself says, replayed from its JSON alone (a log that is cleaned begins at its first entry)."""

    def __init__(self, table):
        self.columns, self.partitions, self.counts = [], [], {}
        files = {}
        for name in sorted(glob.glob(os.path.join(glob.escape(table), "_delta_log", "[0-9]" * 20 + ".json"))):
            with open(name, encoding="utf-8") as f:
                for line in f:
                    action = json.loads(line)
                    if m := action.get("metaData"):
                        self.columns = [(c["name"], c["type"]) for c in json.loads(m["schemaString"])["fields"]]
                        self.partitions = m["partitionColumns"]
                    if r := action.get("remove"):
                        files.pop(r["path"], None)
                    if a := action.get("add"):
                        files[a["path"]] = json.loads(a["stats"])["numRecords"] if a.get("stats") else None
            known = None not in files.values()
            self.counts[int(os.path.basename(name)[:20])] = sum(files.values()) if known else None


def norm(value, kind):
    """One form for a value, whoever read it."""
    if value is None or value != value:  # NaN, NaT
        return None
    if kind.startswith("decimal"):
        return decimal.Decimal(str(value)).normalize() + 0
    if kind in ("integer", "long"):
        return int(value)
    if kind == "boolean":
        return bool(value)
    if kind == "date":
        if isinstance(value, str):
            return datetime.date.fromisoformat(value)
        return value.date() if isinstance(value, datetime.datetime) else value
    if kind == "timestamp":
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        if hasattr(value, "to_pydatetime"):
            value = value.to_pydatetime()
        return value.astimezone(UTC)
    return value


def norm_rows(rows, columns):
    return collections.Counter(tuple(norm(r.get(n), k) for n, k in columns) for r in rows)


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


def literal(value, kind):
    """A value as SQL that DuckDB and DataFusion share."""
    if kind.startswith("decimal"):
        return "cast('%s' as %s)" % (value, kind)
    if kind == "date":
        return "date '%s'" % value
    if kind == "timestamp":
        return "cast('%s' as timestamptz)" % value.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    if kind == "string":
        return "'%s'" % value.replace("'", "''")
    return str(value)


class DeltaRS:
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

    def filtered(self, name, op, value, kind):
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

    def filtered(self, name, op, value, kind):
        where = '"%s" is null' % name if op == "null" else '"%s" %s %s' % (name, op, literal(value, kind))
        return self.query("select count(*) as n from t where " + where)["n"][0].as_py()


class DuckDB:
    name = "DuckDB"

    def __init__(self):
        self.db = duckdb.connect()
        for m in (duckdb_extension_httpfs, duckdb_extension_delta):
            ext = glob.glob(os.path.dirname(m.__file__) + "/extensions/*/*.duckdb_extension")[0]
            self.db.execute("LOAD '%s'" % ext)
        self.db.execute("set timezone = 'UTC'")

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

    def filtered(self, name, op, value, kind):
        where = '"%s" is null' % name if op == "null" else '"%s" %s %s' % (name, op, literal(value, kind))
        return self.query("count(*)", "where " + where).fetchone()[0]


class Polars:
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

    def filtered(self, name, op, value, kind):
        c = polars.col(name)
        if op != "null":
            v = polars.lit(value, dtype=self.frame.collect_schema()[name])
        f = {"null": lambda: c.is_null(), "=": lambda: c == v, "<": lambda: c < v, ">=": lambda: c >= v}[op]()
        return self.frame.filter(f).select(polars.len()).collect().item()


class Pandas:
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

    def filtered(self, name, op, value, kind):
        if op == "null":
            return int(self.frame[name].isna().sum())
        return len(self.table.to_pandas(filters=[(name, {"=": "=="}.get(op, op), value)]))


class Check:
    def __init__(self):
        self.differences, self.done = [], collections.Counter()

    def differs(self, reader, where, what):
        self.differences.append("%s: %s: %s" % (reader.name, where, what))

    def same(self, reader, where, what, got, want):
        self.done[reader.name] += 1
        if got != want:
            self.differs(reader, where, "%s: %s, want %s" % (what, got, want))

    def attempt(self, reader, where, step, *args):
        try:
            step(reader, where, *args)
        except BaseException as e:  # a panic of a Rust reader is no Exception
            if isinstance(e, KeyboardInterrupt):
                raise
            self.differs(reader, where, "%s: %s" % (type(e).__name__, str(e).splitlines()[0][:300] if str(e) else ""))

    def version(self, reader, where, table, log, version, entry, filters):
        reader.open(table, version)
        if log.counts.get(version) is not None:
            self.same(reader, where, "count", reader.count(), log.counts[version])
        if entry is not None:
            self.attempt(reader, where, self.entry, log.columns, entry, filters)

    def entry(self, reader, where, columns, entry, filters):
        self.same(reader, where, "columns", reader.columns(), columns)
        self.same(reader, where, "count", reader.count(), len(entry["rows"]))
        want, got = norm_rows(entry["rows"], columns), norm_rows(reader.rows(), columns)
        self.done[reader.name] += 1
        if got != want:
            less, more = want - got, got - want
            self.differs(reader, where, "%d rows are missing, %d are too many: %s" % (
                less.total(), more.total(), self.which(less, more, columns)))
        for i, (name, kind) in enumerate(columns if filters else []):
            self.attempt(reader, "%s column %s" % (where, name), self.filters, name, kind, [r[i] for r in want.elements()])

    def which(self, less, more, columns):
        """The columns in which the multisets of values differ."""
        names = [n for i, (n, _) in enumerate(columns)
                 if collections.Counter(r[i] for r in less.elements()) != collections.Counter(r[i] for r in more.elements())]
        return "they differ in " + ", ".join(names) if names else "their columns are the same, one by one"

    def filters(self, reader, where, name, kind, values):
        some = sorted({v for v in values if v is not None})
        self.same(reader, where, "is null", reader.filtered(name, "null", None, kind), values.count(None))
        if kind == "binary":
            return
        for v in {some[i] for i in (0, len(some) // 3, len(some) // 2, -1)} if some else ():
            self.same(reader, where, "=", reader.filtered(name, "=", v, kind), values.count(v))
            if kind != "boolean":
                less = sum(1 for x in values if x is not None and x < v)
                self.same(reader, where, "<", reader.filtered(name, "<", v, kind), less)
                self.same(reader, where, ">=", reader.filtered(name, ">=", v, kind), len(values) - values.count(None) - less)


def main(root, manifest):
    with open(manifest, encoding="utf-8") as f:
        tables = json.load(f, parse_float=decimal.Decimal)["tables"]
    listed = collections.defaultdict(dict)
    for t in tables:
        listed[t["path"]][t["version"]] = t
    found = {os.path.relpath(d, root) for d, folders, _ in os.walk(root) if "_delta_log" in folders}
    check, readers = Check(), [DeltaRS(), DeltaSQL(), DuckDB(), Polars(), Pandas()]
    for path in sorted(found ^ set(listed)):
        check.differences.append("%s: %s" % (path, "is not in the manifest" if path in found else "is not on disk"))
    for path in sorted(found & set(listed)):
        table = os.path.abspath(os.path.join(root, path))
        log = Log(table)
        newest = max(log.counts)
        for r in readers:
            check.attempt(r, path + " newest", check.version, table, log, None, listed[path].get(newest), True)
            for v in log.counts:
                entry = listed[path].get(v)
                check.attempt(r, "%s version %d" % (path, v), check.version, table, log, v, entry, v == newest // 2)
        for v in set(listed[path]) - set(log.counts):
            check.differences.append("%s: version %d is not in the log" % (path, v))
    for d in check.differences:
        print(d)
    if not found:
        print("no table below " + root)
    for r in readers:
        mine = sum(d.startswith(r.name + ":") for d in check.differences)
        print("%s: %d comparisons, %d differences, %d tables" % (r.name, check.done[r.name], mine, len(found)), file=sys.stderr)
    return 1 if check.differences or not found else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
