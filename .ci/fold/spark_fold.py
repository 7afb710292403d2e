"""spark_fold.py JARS INSTALLATION_DIR [--schemas DIR]: fold.sql by Spark over journal/*, as Spark's Delta reader gives them; its rows against
the delivered tables, as Spark reads them at the certificate's version. Run with the Python of the Spark venv."""
import argparse, collections, glob, os, sys, time
import pyspark.sql
from pyspark.sql import functions as F
import run_fold as R

p = argparse.ArgumentParser()
p.add_argument("jars"); p.add_argument("dir"); p.add_argument("--schemas", default=os.path.join(R.HERE, "..", "sqltexts", "schemas", "domain"))
a = p.parse_args()
root = os.path.abspath(a.dir)
os.environ["PYSPARK_PYTHON"] = sys.executable
spark = (pyspark.sql.SparkSession.builder.master("local[1]")
    .config("spark.jars", ",".join(glob.glob(a.jars + "/*.jar"))).config("spark.ui.enabled", "false")
    .config("spark.ui.showConsoleProgress", "false").config("spark.log.level", "ERROR")
    .config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "1")
    .config("spark.databricks.delta.snapshotPartitions", "1")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog").getOrCreate())
start = time.monotonic()
inst = R.Installation(root, os.path.abspath(a.schemas))
for name, columns in R.INPUTS.items():
    c = [x.split() for x in columns.split(", ")]
    rows = [tuple(None if v is None else str(v) for v in row) for row in getattr(inst, name)]
    df = spark.createDataFrame(rows, ", ".join("%s string" % n for n, _ in c))
    df.selectExpr(*("cast(%s as %s) as %s" % (n, t.replace("varchar", "string"), n) for n, t in c)).localCheckpoint().createOrReplaceTempView(name)
entries = spark.createDataFrame([(os.path.basename(f), e) for f, e in inst.files], "fil string, indgang bigint")
schemas = inst.schemas
udf = F.udf(lambda d, o, b: R.decode(schemas[d], None if b is None else bytes(b)) if o > 0 and d in schemas else None, "string")
journal = None
for table in sorted(glob.glob(root + "/intern/journal/*")):
    df = spark.read.format("delta").load(table)
    df = df.withColumn("fil", F.element_at(F.split(F.input_file_name(), "/"), -1)).withColumn("indhold", udf("datasaet", "loebenr", "indhold")).drop("headere", "raa_noegle")
    journal = df if journal is None else journal.unionByName(df)
journal = journal.join(F.broadcast(entries), "fil").localCheckpoint()
journal.createOrReplaceTempView("journal")
print("Spark %s: %d journal rows, %.0f s" % (spark.version, journal.count(), time.monotonic() - start), flush=True)
with open(os.path.join(R.HERE, "fold.sql"), encoding="utf-8") as f:
    text = f.read()
for s in R.statements(text):
    t = time.monotonic()
    spark.sql(s)
    name = s.split()[5]
    df = spark.table(name).localCheckpoint()  # made once: a view of views would be planned and run again for each use
    df.createOrReplaceTempView(name)
    print("  %-20s %6d rows %5.1f s" % (name, df.count(), time.monotonic() - t), flush=True)
bad = 0
counts = collections.defaultdict(lambda: [0, 0, 0, 0])
for enhed, c in sorted(inst.newest.items()):
    for dataset, tables in sorted(c["tabeller"].items()):
        for table in ("nu", "historik"):
            if not tables.get(table):
                continue
            names = ["kommunekode"] + [f["name"] for f in inst.schemas[dataset]["fields"]] + [n for n, _ in R.STANDARD]
            q = R.rows_query(inst.schemas[dataset], dataset, table).replace("timestamptz", "timestamp").replace("split_part(enhed, '/', 1)", "substr(enhed, 1, 4)").replace("?", "'%s'" % enhed).replace("varchar", "string")
            got = collections.Counter(tuple(R.norm(v) if not hasattr(v, "tzinfo") else v for v in r) for r in spark.sql(q).collect())
            path = os.path.join(root, "levering", "kommune=" + enhed[:4], enhed[5:], dataset.split(".")[1] + ("_historik" if table == "historik" else ""))
            t = spark.read.format("delta").option("versionAsOf", tables[table]["version"]).load(path).select(*names)
            want = collections.Counter(tuple(R.norm(v) if not hasattr(v, "tzinfo") else v for v in r) for r in t.collect())
            n = counts[dataset, table]
            n[0] += 1; n[1] += sum(want.values()); n[2] += sum(got.values()); n[3] += got != want
            if got != want:
                print(R.Difference(inst, enhed, dataset, table, names, want - got, got - want), flush=True)
                bad += 1
for (dataset, table), n in sorted(counts.items()):
    print("%-26s %-9s %6d %9d %9d %9d" % (dataset, table, *n))
print("Spark: %d tables differ; %.0f s" % (bad, time.monotonic() - start), flush=True)
spark.stop()
sys.exit(1 if bad else 0)
