"""What is compared with a table, whoever reads it: shared by read_tables.py and read_spark.py. Standard library only.

A reader has a name and: open(table, version or None), columns() → [(name, Delta type)], count(), rows() → [{name: value}],
filtered(filters) → the count of rows for each (column, operator "null" "=" "<" ">=", value, Delta type)."""

import collections
import datetime
import decimal
import glob
import json
import os
import sys
import zlib

UTC = datetime.timezone.utc


class Log:
    """What the log itself says, replayed from its JSON alone (a log that is cleaned begins at its first entry)."""

    def __init__(self, table):
        self.columns, self.partitions, self.counts, self.adds, self.infos = [], [], {}, {}, {}
        files = {}
        for name in sorted(glob.glob(os.path.join(glob.escape(table), "_delta_log", "[0-9]" * 20 + ".json"))):
            version = int(os.path.basename(name)[:20])
            with open(name, encoding="utf-8") as f:
                for line in f:
                    action = json.loads(line, parse_float=decimal.Decimal)
                    if m := action.get("metaData"):
                        self.columns = [(c["name"], c["type"]) for c in json.loads(m["schemaString"])["fields"]]
                        self.partitions = m["partitionColumns"]
                    if r := action.get("remove"):
                        files.pop(r["path"], None)
                    if a := action.get("add"):
                        self.adds[a["path"]] = a
                        files[a["path"]] = json.loads(a["stats"])["numRecords"] if a.get("stats") else None
                    if "commitInfo" in action:
                        self.infos[version] = action["commitInfo"]
            self.counts[version] = sum(files.values()) if None not in files.values() else None


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


def condition(name, op, value, kind):
    """A filter as SQL that DuckDB and DataFusion share."""
    return '"%s" is null' % name if op == "null" else '"%s" %s %s' % (name, op, literal(value, kind))


def literal(value, kind):
    if kind.startswith("decimal"):
        return "cast('%s' as %s)" % (value, kind)
    if kind == "date":
        return "date '%s'" % value
    if kind == "timestamp":
        return "cast('%s' as timestamptz)" % value.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    if kind == "string":
        return "'%s'" % value.replace("'", "''")
    return str(value)


def every_filter(name, kind, values):
    """Null and, of the least, the greatest and two values between, all comparisons; each with the count to expect."""
    some = sorted({v for v in values if v is not None})
    yield (name, "null", None, kind), values.count(None)
    if kind == "binary":
        return
    for v in sorted({some[i] for i in (0, len(some) // 3, len(some) // 2, -1)}) if some else ():
        yield (name, "=", v, kind), values.count(v)
        if kind != "boolean":
            less = sum(1 for x in values if x is not None and x < v)
            yield (name, "<", v, kind), less
            yield (name, ">=", v, kind), len(values) - values.count(None) - less


def one_filter(where, name, kind, values):
    """One of them; which one differs from table to table."""
    every = list(every_filter(name, kind, values))
    yield every[zlib.crc32((where + name).encode()) % len(every)]


class Check:
    def __init__(self, root, manifest, full=True):
        """manifest: see read_tables.py. full: all filters on the largest tables, too."""
        self.differences, self.done, self.root = [], collections.Counter(), root
        with open(manifest, encoding="utf-8") as f:
            tables = json.load(f, parse_float=decimal.Decimal)["tables"]
        self.listed = collections.defaultdict(dict)
        for t in tables:
            self.listed[t["path"]][t["version"]] = t
        self.found = {os.path.relpath(d, root) for d, folders, _ in os.walk(root) if "_delta_log" in folders}
        for path in sorted(self.found ^ set(self.listed)):
            self.differences.append("%s: is not %s" % (path, "in the manifest" if path in self.found else "on disk"))
        self.full = self.fullest() if full else set()

    def fullest(self):
        """Of the tables that differ by municipality only, the one with most rows: it gets every filter."""
        best = {}
        for path in sorted(self.found & set(self.listed)):
            kind = "/".join(p for p in path.split("/") if not p.startswith("kommune="))
            size = max(len(t["rows"]) for t in self.listed[path].values())
            best[kind] = max(best.get(kind, (-1, "")), (size, path))
        return {path for _, path in best.values()}

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

    def table(self, readers, path):
        table = os.path.abspath(os.path.join(self.root, path))
        log, entries, full = Log(table), self.listed[path], path in self.full
        newest = max(log.counts)
        for r in readers:
            self.attempt(r, path + " newest", self.version, table, log, None, entries.get(newest), "all" if full else "one")
            for v in log.counts:
                filters = "all" if full and v == newest // 2 != newest else ""
                self.attempt(r, "%s version %d" % (path, v), self.version, table, log, v, entries.get(v), filters)
        for v in set(entries) - set(log.counts):
            self.differences.append("%s: version %d is not in the log" % (path, v))

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
                sum(less.values()), sum(more.values()), which(less, more, columns)))
        for i, (name, kind) in enumerate(columns if filters else []):
            values = [r[i] for r in want.elements()]
            some = every_filter(name, kind, values) if filters == "all" else one_filter(where, name, kind, values)
            self.attempt(reader, "%s column %s" % (where, name), self.filters, list(some))

    def filters(self, reader, where, some):
        for (f, want), got in zip(some, reader.filtered([f for f, _ in some]), strict=True):
            self.same(reader, where, "is null" if f[1] == "null" else f[1], got, want)

    def end(self, readers):
        """Says all and gives the exit code."""
        for d in self.differences:
            print(d)
        if not self.found:
            print("no table below " + self.root)
        for r in readers:
            mine = sum(d.startswith(r.name + ":") for d in self.differences)
            print("%s: %d comparisons, %d differences, %d tables" % (
                r.name, self.done[r.name], mine, len(self.found)), file=sys.stderr)
        return 1 if self.differences or not self.found else 0


def which(less, more, columns):
    """The columns in which the multisets of values differ."""
    names = [n for i, (n, _) in enumerate(columns)
             if collections.Counter(r[i] for r in less.elements()) != collections.Counter(r[i] for r in more.elements())]
    return "they differ in " + ", ".join(names) if names else "their columns are the same, one by one"
