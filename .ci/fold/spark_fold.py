"""spark_fold.py JARS INSTALLATION_DIR [--schemas DIR] [--sql FILE]: docs/fold.sql by Spark over journal/*, as Spark's Delta reader gives
them; its rows against the delivered tables, as Spark reads them at the certificate's version. Run with the Python of ~/.cache/flis-spark/venv
(.ci/readers/spark makes it); JARS is ~/.cache/flis-spark/jars. Exit 1 on any difference."""

import argparse
import collections
import glob
import os
import sys
import time

import pyspark.sql
from pyspark.sql import functions as F

import run_fold as R


def session(jars):
    return (pyspark.sql.SparkSession.builder.master("local[1]")
            .config("spark.jars", ",".join(glob.glob(jars + "/*.jar"))).config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false").config("spark.log.level", "ERROR")
            .config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "1")
            .config("spark.databricks.delta.snapshotPartitions", "1")
            .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
            .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog").getOrCreate())


def inputs(spark, inst):
    for name, columns in R.INPUTS.items():
        c = [x.split() for x in columns.split(", ")]
        rows = [tuple(None if v is None else str(v) for v in row) for row in getattr(inst, name)]
        df = spark.createDataFrame(rows, ", ".join("%s string" % n for n, _ in c))
        df = df.selectExpr(*("cast(%s as %s) as %s" % (n, t.replace("varchar", "string"), n) for n, t in c))
        df.localCheckpoint().createOrReplaceTempView(name)


def journal(spark, inst):
    """The rows of all journals, each with its entry: its own where its file has the column, else the file's."""
    entries = spark.createDataFrame([(os.path.basename(f), e) for f, e in inst.files], "fil string, filens_indgang bigint")
    schemas = inst.schemas
    text = F.udf(lambda d, o, b: R.decode(schemas[d], None if b is None else bytes(b)) if o > 0 and d in schemas else None, "string")
    rows = None
    for table in sorted(glob.glob(inst.root + "/intern/journal/*")):
        df = spark.read.format("delta").load(table)
        if "indgang" not in df.columns:
            df = df.withColumn("indgang", F.lit(None).cast("bigint")).withColumn("plads", F.lit(None).cast("bigint"))
        df = df.withColumn("fil", F.element_at(F.split(F.input_file_name(), "/"), -1))
        df = df.withColumn("indhold", text("datasaet", "loebenr", "indhold")).drop("headere", "raa_noegle", "plads")
        rows = df if rows is None else rows.unionByName(df)
    rows = rows.join(F.broadcast(entries), "fil").withColumn("indgang", F.coalesce("indgang", "filens_indgang"))
    rows = rows.drop("filens_indgang").localCheckpoint()
    rows.createOrReplaceTempView("journal")
    return rows.count()


def fold(spark, text):
    """Each view is made once: a view of views would be planned and run again for each use."""
    for s in R.statements(text):
        start = time.monotonic()
        spark.sql(s)
        name = s.split()[5]
        df = spark.table(name).localCheckpoint()
        df.createOrReplaceTempView(name)
        print("  %-20s %6d rows %5.1f s" % (name, df.count(), time.monotonic() - start), flush=True)


def values(df):
    return collections.Counter(tuple(v if hasattr(v, "tzinfo") else R.norm(v) for v in r) for r in df.collect())


def compare(spark, inst):
    bad, counts = 0, collections.defaultdict(lambda: [0, 0, 0, 0])
    for enhed, c in sorted(inst.newest.items()):
        for dataset, tables in sorted(c["tabeller"].items()):
            for table in ("nu", "historik"):
                if not tables.get(table):
                    continue
                names = ["kommunekode"] + [f["name"] for f in inst.schemas[dataset]["fields"]] + [n for n, _ in R.STANDARD]
                q = R.rows_query(inst.schemas[dataset], dataset, table)
                for old, new in (("timestamptz", "timestamp"), ("split_part(enhed, '/', 1)", "substr(enhed, 1, 4)"),
                                 ("?", "'%s'" % enhed), ("varchar", "string")):
                    q = q.replace(old, new)
                path = os.path.join(inst.delivered, "kommune=" + enhed[:4], enhed[5:],
                                    dataset.split(".")[1] + ("_historik" if table == "historik" else ""))
                t = spark.read.format("delta").option("versionAsOf", tables[table]["version"]).load(path).select(*names)
                got, want = values(spark.sql(q)), values(t)
                n = counts[dataset, table]
                n[0] += 1
                n[1] += sum(want.values())
                n[2] += sum(got.values())
                n[3] += got != want
                if got != want:
                    print(R.Difference(inst, enhed, dataset, table, names, want - got, got - want), flush=True)
                    bad += 1
    for (dataset, table), n in sorted(counts.items()):
        print("%-26s %-9s %6d %9d %9d %9d" % (dataset, table, *n))
    return bad if counts else 1


def main():
    p = argparse.ArgumentParser()
    p.add_argument("jars"), p.add_argument("dir")
    p.add_argument("--schemas", default=os.path.join(R.HERE, "..", "..", "schemas", "domain"))
    p.add_argument("--sql", default=os.path.join(R.HERE, "..", "..", "docs", "fold.sql"))
    a = p.parse_args()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.path.abspath(R.HERE)  # where the workers find run_fold
    start = time.monotonic()
    spark = session(a.jars)
    inst = R.Installation(os.path.abspath(a.dir), os.path.abspath(a.schemas))
    inputs(spark, inst)
    print("Spark %s: %d journal rows, %.0f s" % (spark.version, journal(spark, inst), time.monotonic() - start), flush=True)
    with open(a.sql, encoding="utf-8") as f:
        fold(spark, f.read())
    bad = compare(spark, inst)
    print("Spark: %d tables differ; %.0f s" % (bad, time.monotonic() - start), flush=True)
    spark.stop()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
