"""The fold as SQL against the delivered tables: docs/fold.sql by DuckDB over the journals of an installation, its rows
against those that delta-rs reads of every table that a newest certificate names, at the version that it names.

    run_fold.py [--schemas DIR] [--sql FILE] [--facts FILE] INSTALLATION_DIR...
    run_fold.py --mistakes [--part I/N] INSTALLATION_DIR...

Prints a line for each dataset and each difference: columns and counts, no values. Exit 1 on any difference.
Left out, by name: area "status", whose table status.lukning is made of certificates and not of journals.
--facts: what of the harder things the installation has, as JSON (check wants each in one of them).
--mistakes: plants each mistake of MISTAKES (part I of N of them); exit 1 if one makes no difference in any installation.
"""

import argparse
import collections
import datetime
import decimal
import functools
import glob
import json
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
STANDARD = [("gyldig_fra", "date"), ("gyldig_til", "date"), ("kilde_registreret", "timestamp"), ("registreret_fra", "date"),
            ("registreret_til", "date"), ("kilde_system", "string"), ("leverance", "date"), ("haendelse_id", "string")]
LEFT_OUT = {"status"}  # areas whose tables are made of certificates, not of journals
EPOCH = datetime.date(1970, 1, 1)
EPOCH_TIME = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


# Avro, as far as domain records need it: binary without framing.

class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise ValueError("payload ends early")
        self.at += n
        return self.data[self.at - n:self.at]

    def long(self):
        n = shift = 0
        while True:
            b = self.take(1)[0]
            n |= (b & 0x7F) << shift
            if b < 0x80:
                return (n >> 1) ^ -(n & 1)
            shift += 7


def base(schema):
    """The type of a column without null: name, and the schema itself."""
    if isinstance(schema, list):
        schema = [s for s in schema if s != "null"][0]
    return (schema, {}) if isinstance(schema, str) else (schema.get("logicalType", schema["type"]), schema)


def read(schema, b):
    """A value as text, None for null."""
    if isinstance(schema, list):
        schema = schema[b.long()]
    if schema == "null":
        return None
    kind, s = base(schema)
    if kind == "string":
        return b.take(b.long()).decode()
    if kind == "boolean":
        return "true" if b.take(1)[0] else "false"
    if kind in ("int", "long"):
        return str(b.long())
    if kind == "date":
        return str(EPOCH + datetime.timedelta(days=b.long()))
    if kind == "timestamp-micros":
        return (EPOCH_TIME + datetime.timedelta(microseconds=b.long())).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    if kind == "decimal":
        n = int.from_bytes(b.take(b.long()), "big", signed=True)
        return str(decimal.Decimal(n).scaleb(-s.get("scale", 0)))
    raise ValueError("type %s" % kind)


def decode(schema, payload):
    if payload is None:
        return None
    b = Bytes(payload)
    row = {f["name"]: read(f["type"], b) for f in schema["fields"]}
    if b.at != len(payload):
        raise ValueError("%s: %d bytes left over" % (schema["name"], len(payload) - b.at))
    return json.dumps(row, ensure_ascii=False)


def sql_type(schema):
    kind, s = base(schema)
    return {"timestamp-micros": "timestamp", "decimal": "decimal(%d,%d)" % (s.get("precision", 1), s.get("scale", 0))}.get(kind, kind)


def live_files(table):
    """The files that the newest version of a Delta table has: path -> the entry of its rows, None where each row has its own.

    A file of one entry's rows is tagged with that entry; without the tag it is the entry that added it. One of many
    entries' rows is tagged "3-17", and its rows have the column indgang."""
    live = {}
    for log in sorted(glob.glob(os.path.join(glob.escape(table), "_delta_log", "[0-9]" * 20 + ".json"))):
        with open(log, encoding="utf-8") as f:
            actions = [json.loads(line) for line in f]
        for a in actions:  # within an entry no path is both taken out and put in but to be put in anew
            if "remove" in a:
                live.pop(os.path.join(table, a["remove"]["path"]), None)
        for a in actions:
            if "add" in a:
                tag = (a["add"].get("tags") or {}).get("indgange", str(int(os.path.basename(log)[:20])))
                live[os.path.join(table, a["add"]["path"])] = None if "-" in tag else int(tag)
    return live


class Installation:
    """What the fold begins with, as lists of rows."""

    def __init__(self, root, schemas, delivered="levering"):
        """delivered: the folder of certificates and tables; those of a shadow are in intern/skygge/<system>."""
        self.root, self.delivered = root, os.path.join(root, delivered)
        self.schemas = {}
        for path in sorted(glob.glob(os.path.join(schemas, "*", "*.avsc"))):
            with open(path, encoding="utf-8") as f:
                area = os.path.basename(os.path.dirname(path))
                self.schemas["%s.%s" % (area, os.path.basename(path)[:-5])] = json.load(f)
        self.datasaet = [(d, d.split(".")[0], s["slags"]) for d, s in self.schemas.items()]
        self.files = []  # (path, entry) of the live files
        for table in sorted(glob.glob(os.path.join(glob.escape(root), "intern", "journal", "*"))):
            self.files += sorted(live_files(table).items())
        self.beviser, self.positioner, self.aftaler, self.newest = [], [], [], {}
        self.left_out = set()
        self.facts = collections.Counter()
        for path in sorted(glob.glob(os.path.join(glob.escape(self.delivered), "bevis", "*", "*", "[0-9]" * 8 + ".json"))):
            with open(path, encoding="utf-8") as f:
                c = json.load(f)
            enhed, nr = c["enhed"], c["nr"]
            if enhed.split("/")[1] in LEFT_OUT:
                self.left_out.add(enhed)
                continue
            self.facts.update(held="venter" in c, approved="godkendelser" in c, replayed="genafledninger" in c,
                              clipped=c["antal"].get("afskaaret", 0) > 0)
            self.beviser.append((enhed, *enhed.split("/"), nr, c["leverance"], (c.get("national") or {}).get("nr")))
            self.positioner += [(enhed, nr, s, p["indgang"]) for s, p in c["positioner"].items()]
            for a in c["tilslutninger"]:
                for d in a.get("datasaet") or [""]:
                    name = "%s.%s" % (enhed.split("/")[1], d) if d and "." not in d else d
                    self.aftaler.append((enhed, nr, a["system"], name, a.get("fra") or None, a.get("til") or None,
                                         a.get("historik_fra") or None))
            if enhed not in self.newest or nr > self.newest[enhed]["nr"]:
                self.newest[enhed] = c


INPUTS = {
    "beviser": "enhed varchar, kommune varchar, omraade varchar, nr integer, leverance date, national integer",
    "positioner": "enhed varchar, nr integer, kilde_system varchar, indgang bigint",
    "aftaler": "enhed varchar, nr integer, kilde_system varchar, datasaet varchar, fra date, til date, historik_fra date",
    "datasaet": "datasaet varchar, omraade varchar, slags varchar",
}


def rows_of(inst, path, entry, wrong):
    """The rows of a journal's file as fold.sql wants them."""
    import pyarrow
    import pyarrow.parquet
    t = pyarrow.parquet.ParquetFile(path).read()
    datasets, payloads, ordinals = (t[c].to_pylist() for c in ("datasaet", "indhold", "loebenr"))
    texts = [decode(inst.schemas[d], p) if o > 0 and d in inst.schemas else None
             for d, p, o in zip(datasets, payloads, ordinals)]
    if entry is None:
        inst.facts["compacted"] += 1
        entries = t["indgang"]
        if wrong:  # as if all that a made file holds had come with its last entry
            entries = pyarrow.array([max(entries.to_pylist())] * len(t), pyarrow.int64())
    else:
        entries = pyarrow.array([entry] * len(t), pyarrow.int64())
    drop = ["headere", "raa_noegle", "indhold"] + [c for c in ("indgang", "plads") if c in t.column_names]
    t = t.drop_columns(drop).append_column("indhold", pyarrow.array(texts, pyarrow.string()))
    return t.append_column("indgang", entries)


def load(inst, wrong=False, threads=2):
    """A DuckDB with the inputs of fold.sql. wrong: a row of a compacted file counts from the file's last entry on."""
    import duckdb
    import pyarrow
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'; set threads = %d; create macro get_json_object(a, b) as json_extract_string(a, b)" % threads)
    for name, columns in INPUTS.items():
        rows = getattr(inst, name)
        names = [c.split()[0] for c in columns.split(", ")]
        text = pyarrow.table({n: pyarrow.array([None if r[i] is None else str(r[i]) for r in rows], pyarrow.string())
                              for i, n in enumerate(names)})
        casts = ", ".join("cast(%s as %s) as %s" % (c.split()[0], c.split()[1], c.split()[0]) for c in columns.split(", "))
        db.register("raw_rows", text)
        db.execute("create table %s as select %s from raw_rows" % (name, casts))
        db.unregister("raw_rows")
    parts = [rows_of(inst, path, entry, wrong) for path, entry in inst.files]
    if not parts:
        sys.exit("%s: no journal" % inst.root)
    db.register("raw_rows", pyarrow.concat_tables(parts, promote_options="permissive"))
    db.execute("create table journal as select * from raw_rows")
    db.unregister("raw_rows")
    twice = db.execute("select count(*) from (select 1 from journal group by stroem, stroem_offset, loebenr, generation, "
                       "kilde_system having count(*) > 1)").fetchone()[0]
    if twice:
        sys.exit("%s: %d rows of the journals are there twice" % (inst.root, twice))
    return db


def statements(text):
    text = re.sub(r"--[^\n]*", "", text)
    return [s.strip() for s in text.split(";") if s.strip()]


class Fold:
    """The tables of a text, each made once; of another text only those from the first statement on that differs."""

    def __init__(self, db):
        self.db, self.made = db, []

    def run(self, text):
        wanted = statements(text)
        same = 0
        while same < min(len(wanted), len(self.made)) and wanted[same] == self.made[same]:
            same += 1
        self.made = self.made[:same]
        for s in wanted[same:]:
            self.db.execute(re.sub(r"^create or replace temp view", "create or replace temp table", s))
            self.made.append(s)


def rows_query(schema, dataset, table):
    """The columns of a delivered table, from the rows of the fold."""
    columns = ["split_part(enhed, '/', 1) as kommunekode"]
    columns += ["cast(get_json_object(indhold, '$.%s') as %s) as %s" % (f["name"], sql_type(f["type"]).replace("timestamp", "timestamptz"), f["name"])
                for f in schema["fields"]]
    columns += [n for n, _ in STANDARD]
    return "select %s from raekker where datasaet = '%s' and tabel = '%s' and enhed = ?" % (
        ", ".join(c.replace(" as string)", " as varchar)") for c in columns), dataset, table)


def delivered(inst, enhed, dataset, table, version):
    import deltalake
    kommune, area = enhed.split("/")
    path = os.path.join(inst.delivered, "kommune=" + kommune, area, dataset.split(".")[1] + ("_historik" if table == "historik" else ""))
    return deltalake.DeltaTable(path, version=version).to_pyarrow_table()


def norm(v):
    if isinstance(v, datetime.datetime):
        return v.astimezone(datetime.timezone.utc)
    if isinstance(v, decimal.Decimal):
        return v.normalize() + 0
    return v


def multiset(table, names):
    lists = [table[n].to_pylist() for n in names]
    return collections.Counter(tuple(norm(v) for v in r) for r in zip(*lists))


@functools.cache
def delivered_rows(inst, enhed, dataset, table, version, names):
    """The rows of a delivered table; None where its columns are others."""
    t = delivered(inst, enhed, dataset, table, version)
    return multiset(t, names) if tuple(t.column_names) == names else None


class Difference:
    def __init__(self, inst, enhed, dataset, table, names, less, more):
        self.where = (enhed, dataset, table)
        self.missing, self.extra = sum(less.values()), sum(more.values())
        # pair rows by key and begin, to say which columns differ
        keys = [names.index(k) for k in inst.schemas[dataset]["noegle"]] + [names.index("gyldig_fra")]
        left = collections.defaultdict(list)
        for r in less.elements():
            left[tuple(r[i] for i in keys)].append(r)
        self.columns, self.alone = collections.Counter(), [0, 0]
        for r in more.elements():
            k = tuple(r[i] for i in keys)
            if left.get(k):
                o = left[k].pop()
                self.columns.update(["+".join(n for n, a, b in zip(names, o, r) if a != b)])
            else:
                self.alone[1] += 1
        self.alone[0] = sum(map(len, left.values()))
        self.less, self.more, self.names = less, more, names

    def __str__(self):
        parts = ["%d rows only in the delivered table, %d only in the SQL's" % (self.missing, self.extra)]
        if self.columns:
            parts.append("of one key and begin: " + ", ".join("%s in %d" % x for x in sorted(self.columns.items())))
        if any(self.alone):
            parts.append("without a partner: %d delivered, %d SQL" % tuple(self.alone))
        return "%s %s %s: %s" % (*self.where, "; ".join(parts))


def compare(inst, db, first=False):
    """Differences (or the first of them), and counts by dataset and table."""
    differences, counts = [], collections.defaultdict(lambda: [0, 0, 0, 0])
    produced = {tuple(r) for r in db.execute("select distinct enhed, datasaet, tabel from raekker").fetchall()}
    named = {}
    for enhed, c in inst.newest.items():
        for dataset, tables in c["tabeller"].items():
            for table in ("nu", "historik"):
                if tables.get(table):
                    named[enhed, dataset, table] = tables[table]["version"]
    for where in sorted(produced | set(named)):
        if first and differences:
            break
        enhed, dataset, table = where
        schema = inst.schemas.get(dataset)
        if schema is None:
            differences.append("%s %s %s: no schema" % where)
            continue
        names = ("kommunekode", *(f["name"] for f in schema["fields"]), *(n for n, _ in STANDARD))
        got = collections.Counter()
        if where in produced:
            got = multiset(db.execute(rows_query(schema, dataset, table), [enhed]).to_arrow_table(), names)
        want = delivered_rows(inst, *where, named[where], names) if where in named else collections.Counter()
        if want is None:
            differences.append("%s %s %s: columns differ" % where)
            continue
        n = counts[dataset, table]
        n[0] += 1
        n[1] += sum(want.values())
        n[2] += sum(got.values())
        if got != want:
            n[3] += 1
            differences.append(Difference(inst, enhed, dataset, table, names, want - got, got - want))
    return differences, counts


ORDER = "order by udsagt, sekvens, loebenr, stroem, stroem_offset, generation) as rang"
MISTAKES = {
    "the time of the statement does not order": (ORDER, ORDER.replace("udsagt, ", "")),
    "the source's sequence does not order": (ORDER, ORDER.replace("sekvens, ", "")),
    "the ordinal orders backwards": (ORDER, ORDER.replace("loebenr", "loebenr desc")),
    "ties fall by the greater stream and offset": (ORDER, ORDER.replace("stroem, stroem_offset", "stroem desc, stroem_offset desc")),
    "agreements do not clip the begin": ("greatest(u.fra, coalesce(a.fra, u.fra)) as fra", "u.fra as fra"),
    "agreements do not clip the end": ("least(u.til, coalesce(a.til, u.til)) as til", "u.til as til"),
    "an agreement's datasets are ignored": ("a.datasaet in ('', u.datasaet)\nwhere u.slags = 'tilstand'", "true\nwhere u.slags = 'tilstand'"),
    "background is ignored": ('order by case when u.baggrund then 1 else 0 end, case when u.baggrund then u.rang else -u.rang end', 'order by -u.rang'),
    "of several backgrounds the last holds": ('case when u.baggrund then u.rang else -u.rang end) as plads', '-u.rang) as plads'),
    "a snapshot takes nothing back": (' and (u.taget is null or u.taget > t.trin)', ''),
    "a snapshot takes back what it does not speak of": ("  b.fra, b.til, b.kilde", "  date '0001-01-01', date '9999-12-31', b.kilde"),
    "a snapshot of no municipality reaches none": ("from beviser b join positioner p on p.enhed = concat('0000/', b.omraade) and p.nr = b.national", "from beviser b join positioner p on false"),
    "a deleted segment is not kept": ("and (h.operation in ('upsert', 'delete')", "and (h.operation in ('upsert')"),
    "a replace leaves what was said": ("h.operation = 'replace' and h.indhold is null;", "false;"),
    "what is said again is new": ('c.begynder as rang', 'w.rang as rang'),
    "the nothing of a snapshot breaks a run that its record goes on with": ('coalesce(case when vaerdi is null then min(case when vaerdi is not null then rang end)\n  over (partition by enhed, nr, datasaet, noegle, sfra, led order by rang rows between 1 following and unbounded following) end, rang) as virker', 'rang as virker'),
    "what is hidden and holds again is new": ("c.begynder as rang", "w.begynder as rang"),
    "a snapshot over several records takes effect in part": ("h.oejebliksbillede = '' or h.antal <= coalesce(m.landet, 0)", "true"),
    "each record of a snapshot over several speaks for itself": ("where oejebliksbillede = '' or plads = 1", "where true"),
    "adjoining equal segments stay two": ("= kilde_system then 0 else 1 end", "= kilde_system then 1 else 1 end"),
    "segments meet over a change of vendor": ("\n        and lag(kilde_system) over (partition by enhed, nr, datasaet, noegle order by sfra) = kilde_system", ""),
    "a segment has the metadata of its last part": ("noegle, oe order by sfra) as plads", "noegle, oe order by sfra desc) as plads"),
    "a copy counts anew": (" or (n.generation = p.generation and n.plads < p.plads)", ""),
    "generation is ignored": ("where n.generation > p.generation or (n.generation = p.generation and n.plads", "where (n.plads"),
    "the lower generation holds": ("where n.generation > p.generation", "where n.generation < p.generation"),
    "a withdrawn key is kept": ("loebenr > 0 and (operation = 'tilbagekaldt'\n  or", "loebenr > 0 and (false\n  or"),
    "a withdrawn snapshot still takes back": ("operation = 'tilbagekaldt' and fravaer <> ''", "false"),
    "a replay of one copy leaves the others": ("and n.gruppe = p.gruppe\nwhere n.generation > p.generation or", "and n.gruppe = p.gruppe\nwhere (n.generation > p.generation and n.stroem_offset = p.stroem_offset and n.stroem = p.stroem) or"),
    "a replay is known from the first": ("min(n.indgang) as afloest", "min(case when n.generation > p.generation then -1 else n.indgang end) as afloest"),
    "a certificate reads on": ("and l.kilde_system = h.kilde_system and h.indgang <= l.indgang", "and l.kilde_system = h.kilde_system"),
    "historik_fra is ignored": ("where a.historik_fra is null\n", "where true\n"),
    "personnummer goes to whom a person was ever told": ("and (a.noegle = r.noegle or a.noegle = get_json_object(r.indhold", "and (true or a.noegle = r.noegle or a.noegle = get_json_object(r.indhold"),
    "what is replaced the same day leaves history": ("or e.leverance > f.leverance", "or true"),
}
# Of the installation itself, not of the text: see load.
WRONG_ENTRY = "a compacted row counts from its file's last entry on"


def planted(part, of):
    names = list(MISTAKES) + [WRONG_ENTRY]
    return names[part::of]


def seen(name, text, loaded, late):
    """The installation that sees the mistake, "" if none does."""
    if name == WRONG_ENTRY:
        for root, inst, fold in late:
            fold.run(text)
            if compare(inst, fold.db, first=True)[0]:
                return root
        return ""
    old, new, *kind = MISTAKES[name]
    if old not in text:
        sys.exit("mistake %r: its text is not in the SQL" % name)
    for root, inst, fold in sorted(loaded, key=lambda x: not os.path.basename(x[0]).startswith(tuple(kind) or "random")):
        fold.run(text.replace(old, new))
        if compare(inst, fold.db, first=True)[0]:
            return root
    return ""


def mistakes(roots, schemas, text, part, of):
    """Each mistake against each installation, until one of them sees it."""
    loaded, late = [], []
    names = planted(part, of)
    for root in roots:
        inst = Installation(root, schemas)
        loaded.append((root, inst, Fold(load(inst, threads=1))))
        if inst.facts["compacted"] and WRONG_ENTRY in names:
            late.append((root, inst, Fold(load(inst, wrong=True, threads=1))))
    missed = 0
    for name in names:
        start = time.monotonic()
        root = seen(name, text, loaded, late)
        print("%s: %s, %.1f s" % (name, "seen in " + os.path.basename(root) if root else "NOT SEEN", time.monotonic() - start), flush=True)
        missed += not root
    print("%d mistakes planted, %d not seen" % (len(names), missed))
    return 1 if missed else 0


def folders(root):
    """Where certificates and tables are: those delivered, and those of vendors that are tried out."""
    shadows = glob.glob(os.path.join(glob.escape(root), "intern", "skygge", "*", "bevis"))
    return ["levering"] + sorted(os.path.relpath(os.path.dirname(x), root) for x in shadows)


def report(root, delivered, schemas, text):
    """Folds, compares and prints; the number of differences, and the facts of the installation."""
    start = time.monotonic()
    inst = Installation(root, schemas, delivered)
    fold = Fold(load(inst))
    loaded = time.monotonic()
    fold.run(text)
    folded = time.monotonic()
    differences, counts = compare(inst, fold.db)
    rows, generation = fold.db.execute("select count(*), max(generation) from journal").fetchone()
    print("%s: %d journal rows, generation %d; %d certificates, %d of them held, %d after an approval; "
          "load %.1f s, fold %.1f s, compare %.1f s" % (
              inst.delivered, rows, generation, len(inst.beviser), inst.facts["held"], inst.facts["approved"],
              loaded - start, folded - loaded, time.monotonic() - folded))
    if inst.left_out:
        print("left out, as not made of journals: area status of %d municipalities" % len(inst.left_out))
    print("%-26s %-9s %6s %9s %9s %9s" % ("datasaet", "tabel", "tables", "delivered", "SQL", "differ"))
    for (dataset, table), n in sorted(counts.items()):
        print("%-26s %-9s %6d %9d %9d %9d" % (dataset, table, *n))
        inst.facts["rows" if table == "nu" else "history"] += n[1]
    for d in differences:
        print(d)
    inst.facts["shadow"] = int(delivered != "levering" and bool(counts))
    fold.db.close()
    return len(differences) if counts else 1, inst.facts


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dirs", nargs="+")
    p.add_argument("--schemas", default=os.path.join(HERE, "..", "..", "schemas", "domain"))
    p.add_argument("--sql", default=os.path.join(HERE, "..", "..", "docs", "fold.sql"))
    p.add_argument("--facts")
    p.add_argument("--mistakes", action="store_true")
    p.add_argument("--part", default="0/1")
    a = p.parse_args()
    with open(a.sql, encoding="utf-8") as f:
        text = f.read()
    if a.mistakes:
        return mistakes(a.dirs, a.schemas, text, *map(int, a.part.split("/")))
    bad, facts = 0, collections.Counter()
    for root in a.dirs:
        for folder in folders(root):
            n, more = report(root, folder, a.schemas, text)
            bad += n
            facts.update(more)
    if a.facts:
        with open(a.facts, "w", encoding="utf-8") as f:
            json.dump({k: v for k, v in facts.items() if v}, f)
    return 1 if bad else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # at a usual end, threads of the libraries sometimes abort the process
