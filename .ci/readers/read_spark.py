"""Opens every Delta table below a root with Spark and compares as read_tables.py does, then the journals below intern/.

    read_spark.py JARS ROOT MANIFEST.json [DIR AUDIT.txt]

JARS: folder of Delta's jars. DIR: the installation, AUDIT.txt: what `flis audit` said of it; with them the rows of each journal
table are counted by outcome and compared with what its entries and the audit say.
"""

import collections
import glob
import os
import re
import sys

import pyspark.sql

import compare


class Spark:
    name = "Spark"

    def __init__(self, jars):
        self.session = (
            pyspark.sql.SparkSession.builder.master("local[1]")
            .config("spark.jars", ",".join(glob.glob(jars + "/*.jar")))
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.log.level", "ERROR")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.databricks.delta.snapshotPartitions", "1")
            .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
            .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
            .getOrCreate())

    def open(self, table, version):
        reader = self.session.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        self.frame = reader.load(table)

    def columns(self):
        names = {"int": "integer", "bigint": "long"}
        return [(n, names.get(t, t)) for n, t in self.frame.dtypes]

    def rows(self):
        return [r.asDict() for r in self.frame.collect()]

    def count(self):
        return self.frame.count()

    def filtered(self, filters):
        """One query for all: each part still skips files by its own filter."""
        self.frame.createOrReplaceTempView("t")
        parts = ["select %d as i, count(*) as n from t where %s" % (i, spark_condition(*f)) for i, f in enumerate(filters)]
        counts = dict(tuple(r) for r in self.session.sql(" union all ".join(parts)).collect())
        return [counts[i] for i in range(len(filters))]


def spark_condition(name, op, value, kind):
    if op == "null":
        return "`%s` is null" % name
    text = "'%s'" % value.replace("\\", "\\\\").replace("'", "\\'") if kind == "string" else compare.literal(value, kind)
    return "`%s` %s %s" % (name, op, text.replace("timestamptz", "timestamp"))


def journals(check, spark, root, audit):
    """Records and events of each journal by outcome: by Spark, by the entries, by flis audit."""
    with open(audit, encoding="utf-8") as f:
        said = {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(
            r"^journal +(\S+): .*?(\d+) records, (\d+) events", f.read(), re.M)}
    tables = sorted(glob.glob(os.path.join(glob.escape(root), "intern", "journal", "*")))
    check.same(spark, "journals", "systems", sorted(said), [os.path.basename(t) for t in tables])
    for table in tables:
        check.attempt(spark, "journal/" + os.path.basename(table), journal, check, table, said)


def journal(spark, where, check, table, said):
    log = compare.Log(table)
    spark.open(table, None)
    spark.frame.createOrReplaceTempView("journal")
    check.same(spark, where, "columns", spark.columns(), log.columns)
    raw = dict(tuple(r) for r in spark.session.sql("select udfald, count(*) from journal where loebenr = 0 group by udfald").collect())
    events = spark.session.sql("select count(*) from journal where loebenr > 0").collect()[0][0]
    entries = collections.Counter()
    for info in log.infos.values():
        for c in info.get("counts", []):
            entries[c["udfald"]] += c["antal"]
    check.same(spark, where, "records by outcome", raw, dict(entries))
    check.same(spark, where, "records and events", (sum(raw.values()), events), said.get(os.path.basename(table)))
    print("%s: %s; %d events" % (where, ", ".join("%d %s" % (n, o) for o, n in sorted(raw.items())), events), file=sys.stderr)
    for version, count in log.counts.items():
        spark.open(table, version)
        check.same(spark, "%s version %d" % (where, version), "count", spark.count(), count)


def main(jars, root, manifest, *installation):
    check, spark = compare.Check(root, manifest), Spark(jars)
    for path in sorted(check.found & set(check.listed)):
        check.table([spark], path)
    if installation:
        journals(check, spark, *installation)
    return check.end([spark])


if __name__ == "__main__":
    if len(sys.argv) not in (4, 6):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
