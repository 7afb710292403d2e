"""Plants mistakes in copies of one table and says which of them read_tables.py does not see.

    mistakes.py ROOT MANIFEST.json

Exit 1 and one line for each that a reader who must see it did not see.
"""

import contextlib
import copy
import glob
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile

import pyarrow
import pyarrow.parquet

import read_tables

EVERY = ("delta-rs", "delta-rs SQL", "DuckDB", "Polars", "pandas")


def change(log, action, edit):
    """Edits the body of each such action of the log."""
    for name in glob.glob(log + "/*.json"):
        with open(name, encoding="utf-8") as f:
            actions = [json.loads(line) for line in f]
        for a in actions:
            if action in a:
                edit(a[action])
        with open(name, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(a) + "\n" for a in actions if a)


def stats(edit):
    def of(add):
        s = json.loads(add["stats"])
        edit(s)
        add["stats"] = json.dumps(s)
    return lambda table, rows: change(table + "/_delta_log", "add", of)


def size(by):
    return lambda table, rows: change(table + "/_delta_log", "add", lambda a: a.update(size=a["size"] + by))


def value(table, rows):
    """Another value in every file, with a log that fits."""
    def edit(add):
        path = os.path.join(table, add["path"])
        t = pyarrow.parquet.ParquetFile(path).read()
        i = t.column_names.index("haendelse_id")
        t = t.set_column(i, t.schema.field(i), pyarrow.array(["x"] + t["haendelse_id"].to_pylist()[1:], t.schema.field(i).type))
        pyarrow.parquet.write_table(t, path)
        with open(path, "rb") as f:
            data = f.read()
        add["size"], add["tags"]["sha256"] = len(data), hashlib.sha256(data).hexdigest()
    change(table + "/_delta_log", "add", edit)


def listed(table, rows):
    rows[0]["leverance"] = "1999-12-31"


def kept(table, rows):
    """A replaced file stays in the log."""
    for name in glob.glob(table + "/_delta_log/*.json"):
        with open(name, encoding="utf-8") as f:
            lines = [line for line in f if not line.startswith('{"remove"')]
        with open(name, "w", encoding="utf-8") as f:
            f.writelines(lines)


def column_type(table, rows):
    change(table + "/_delta_log", "metaData", lambda m: m.update(
        schemaString=m["schemaString"].replace('"name":"leverance","nullable":false,"type":"date"',
                                               '"name":"leverance","nullable":false,"type":"string"')))


def bound(which, text):
    return stats(lambda s: s[which].update(leverance=text))


# What is planted, and who must see it.
MISTAKES = {
    "another value in a file": (value, EVERY),
    "another value in the rows to expect": (listed, EVERY),
    "a replaced file that stays": (kept, EVERY),
    "size 10 bytes more": (size(10), ("files", "delta-rs", "Polars")),
    "a least value too great": (bound("minValues", "9999-12-30"), ("files", "delta-rs", "delta-rs SQL", "DuckDB", "Polars")),
    "a greatest value too small": (bound("maxValues", "1900-01-01"), ("files", "delta-rs", "delta-rs SQL", "DuckDB", "Polars")),
    "a wrong count of nulls": (stats(lambda s: s["nullCount"].update(gyldig_til=1 + s["nullCount"]["gyldig_til"])), ("files",)),
    "a wrong count of rows": (stats(lambda s: s.update(numRecords=1 + s["numRecords"])), ("files",)),
    "a date that the log calls a string": (column_type, ("files", "Polars")),
}

FILTERED = {"a least value too great", "a greatest value too small"}  # seen by filters alone


@contextlib.contextmanager
def quiet():
    """Without the standard error of Rust readers that panic."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def seen(root, manifest, full):
    """The readers that report a difference."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), quiet():
        read_tables.main(root, manifest, full)
    return {line.split(":")[0] for line in out.getvalue().splitlines()}


def main(root, manifest):
    with open(manifest, encoding="utf-8") as f:
        tables = json.load(f)["tables"]
    several = {t["path"] for t in tables if t["version"] > 0 and "historik" not in t["path"]}
    path = min(several, key=lambda p: (max(len(t["rows"]) for t in tables if t["path"] == p), p))
    tables = [t for t in tables if t["path"] == path]
    missed = 0
    for name, (plant, readers) in {"no mistake": (None, ()), **MISTAKES}.items():
        with tempfile.TemporaryDirectory() as d:
            shutil.copytree(os.path.join(root, path), os.path.join(d, path))
            mine = copy.deepcopy(tables)
            if plant:
                plant(os.path.join(d, path), mine[-1]["rows"])
            with open(d + "/manifest.json", "w", encoding="utf-8") as f:
                json.dump({"tables": mine}, f)
            got = seen(d, d + "/manifest.json", name in FILTERED)
        if (not plant and got) or not set(readers) <= got:
            missed += 1
            print("%s: seen by %s, want %s" % (name, ", ".join(sorted(got)) or "none", ", ".join(readers) or "none"))
        elif os.environ.get("VERBOSE"):
            print("%s: seen by %s" % (name, ", ".join(sorted(got))))
    print("%d mistakes planted in a copy of %s, %d not seen" % (len(MISTAKES), path, missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
