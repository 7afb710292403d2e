"""A catalog of two made-up vendors, "proeve" and "efter", whose events use every way in which a mapping can state something,
and statements of theirs that collide as much as they can: few keys, few values, few days, equal time stamps.

Used by make_random.py and make_replay.py. mkkat.py FOLDER writes the catalog alone, to look at."""

import datetime
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys

SYSTEMS = ("proeve", "efter")
CPRS = ["6101800001", "6101800002"]
DAYS = [None, "2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", "2026-05-01"]
KINDS = ["segment", "hel", "bolig", "bolig", "besoeg", "liste", "slut", "medlem"]


def day(ago):
    """Days of delivery and of statements lie near to today: a delivery is taken at its word for 35 days."""
    return str(datetime.date.today() - datetime.timedelta(days=ago))


def times(*ago):
    return ["%sT10:00:00+01:00" % day(n) for n in ago]


AGREED = ", omraade: aeldre, bevis: ingen, leverer: dagligt"
AGREEMENTS = [
    '{kommune: "0615", system: proeve%s}',
    '{kommune: "0621", system: proeve, til: "2026-03-01"%s}',
    '{kommune: "0621", system: efter, fra: "2026-03-01"%s}',
    '{kommune: "0630", system: proeve, datasaet: [plejebolig, besoeg]%s}',
    '{kommune: "0630", system: efter, datasaet: [visiteret_tid], historik_fra: "2026-02-01"%s}',
]

# The source schemas: field -> type. A list of rows is a dict of its own.
TEXT, MAYBE, NUMBER, YES_NO = "string", ["null", "string"], "int", "boolean"
ROW = {"NR": TEXT, "MINUTTER": NUMBER, "FRA": MAYBE, "TIL": MAYBE}
SAID = {"CPR": TEXT, "MINUTTER": NUMBER, "FRA": MAYBE, "TIL": MAYBE, "ART": TEXT}
EVENTS = {
    "segment": {**SAID, "BAGGRUND": YES_NO},
    "hel": SAID,
    "bolig": {"CPR": TEXT, "VISDATO": TEXT, "TYPE": TEXT, "FASE": TEXT, "FRA": MAYBE, "TIL": MAYBE, "ART": TEXT, "BAGGRUND": YES_NO},
    "besoeg": {"CPR": TEXT, "DATO": TEXT, "REGDATO": TEXT, "MINUTTER": NUMBER, "ART": TEXT},
    "liste": {"CPR": TEXT, "FRA": MAYBE, "ART": TEXT, "RK": {**ROW, "BAGGRUND": YES_NO}},
    "slut": {"CPR": TEXT, "FRA": MAYBE, "ART": TEXT, "RK": ROW},
    "medlem": {"CPR": TEXT, "OMF": TEXT, "BID": TEXT, "ANTAL": NUMBER, "NR": TEXT, "MINUTTER": NUMBER, "FRA": MAYBE, "ART": TEXT},
}

SPAN = """    gyldig_fra: {field: FRA, date: iso, missing: always}
    gyldig_til: {field: TIL, date: iso, ende: exclusive}
"""
HOURS = """    columns:
      visitation_id: {field: %s, id: true}
      cpr: {field: %s, cpr: true}
      paragraf: {constant: SEL-83-1-1}
      ydelsesgruppe: {constant: personlig}
      minutter_pr_uge: {field: MINUTTER}
      leverandoertype: {constant: kommunal}
      startdato: {constant: "2020-01-01"}
"""
MAPPINGS = {
    "segment": """targets:
  - dataset: aeldre.visiteret_tid
    when: {ART: [U, W]}
    withdraw: {ART: [W]}
""" + SPAN + "    background: BAGGRUND\n" + HOURS % ("ID", "CPR"),
    "hel": """targets:
  - dataset: aeldre.visiteret_tid
    when: {ART: [A, S]}
    op: replace
    delete: {ART: [S]}
""" + SPAN + HOURS % ("ID", "CPR"),
    "bolig": """snapshot:
  scope: {field: ID, id: true}
  absent: gone
  empty: {ART: [S]}
  datasets: [aeldre.plejebolig]
targets:
  - dataset: aeldre.plejebolig
    when: {ART: [A]}
""" + SPAN + """    background: BAGGRUND
    columns:
      cpr: {field: CPR, cpr: true}
      boligtype: {field: TYPE, lookup: hjem}
      visiteret_dato: {field: VISDATO, date: iso}
      fase: {field: FASE}
""",
    "besoeg": """targets:
  - dataset: aeldre.besoeg
    when: {ART: [A, S]}
    delete: {ART: [S]}
    gyldig_fra: {field: DATO, date: iso}
    columns:
      besoeg_id: {field: ID, id: true}
      cpr: {field: CPR, cpr: true}
      besoegstype: {constant: udfoerelse}
      kontaktform: {constant: fremmoede}
      status: {constant: finished}
      dato: {field: REGDATO, date: iso}
      minutter: {field: MINUTTER}
""",
    "liste": """unused: [FRA]
snapshot:
  scope: {field: ID, id: true}
  absent: gone
  empty: {ART: [S]}
  datasets: [aeldre.visiteret_tid]
targets:
  - dataset: aeldre.visiteret_tid
    each: RK
""" + SPAN + "    background: BAGGRUND\n" + HOURS % ("NR", ".CPR"),
    "slut": """snapshot:
  scope: {field: ID, id: true}
  absent: ended
  fra: {field: FRA, date: iso}
  empty: {ART: [S]}
  datasets: [aeldre.visiteret_tid]
targets:
  - dataset: aeldre.visiteret_tid
    each: RK
""" + SPAN + HOURS % ("NR", ".CPR"),
    "medlem": """unused: [ID]
snapshot:
  scope: {field: OMF, id: true}
  absent: gone
  id: BID
  count: ANTAL
  datasets: [aeldre.visiteret_tid]
targets:
  - dataset: aeldre.visiteret_tid
    when: {ART: [M, S]}
    delete: {ART: [S]}
    gyldig_fra: {field: FRA, date: iso, missing: always}
""" + HOURS % ("NR", "CPR"),
}

# The ways in which a mapping may change: text -> text.
BACKGROUND, PRIVATE = ("    background: BAGGRUND\n", ""), ("{constant: kommunal}", "{constant: privat}")
INCLUSIVE, PERSON = ("ende: exclusive", "ende: inclusive"), ("scope: {field: ID, id: true}", "scope: {field: CPR}")
OTHER_KEY, NEVER_EMPTY = ("{field: ID, id: true}", "{join: [ID, CPR], with: x, id: true}"), ("  empty: {ART: [S]}\n", "")
EDITS = {
    "segment": [("withdraw: {ART: [W]}", "delete: {ART: [W]}"), BACKGROUND, INCLUSIVE, OTHER_KEY, PRIVATE,
                ("when: {ART: [U, W]}\n    withdraw: {ART: [W]}", "when: {ART: [U]}"),
                ("    background: BAGGRUND\n", "    op: replace\n"), ("    background: BAGGRUND\n", "    op: replace\n    background: BAGGRUND\n")],
    "hel": [("    op: replace\n", ""), PRIVATE, OTHER_KEY,
            ("[A, S]}\n    op: replace\n    delete: {ART: [S]}", "[A]}\n    op: replace")],
    "bolig": [PERSON, ("{field: VISDATO, date: iso}", "{field: VISDATO, date: iso, days: -1}"), BACKGROUND, INCLUSIVE],
    "besoeg": [("[A, S]}\n    delete: {ART: [S]}", "[A]}"), ("{constant: fremmoede}", "{constant: telefon}"), OTHER_KEY,
               ("dato: {field: REGDATO, date: iso}", "dato: {field: REGDATO, date: iso, days: -1}")],
    "liste": [PERSON, NEVER_EMPTY, BACKGROUND, ("{field: NR, id: true}", "{join: [NR, .ID], with: x, id: true}"),
              ("absent: gone\n", "absent: ended\n  fra: {field: FRA, date: iso}\n")],
    "slut": [("absent: ended\n  fra: {field: FRA, date: iso}\n", "absent: gone\n"), PERSON, NEVER_EMPTY, PRIVATE],
}


def record(name, fields):
    out = []
    for n, t in fields.items():
        kind = {"type": "array", "items": record("r", t)} if isinstance(t, dict) else t
        out.append({"name": n, "doc": n, "type": kind, **({"default": None} if t is MAYBE else {})})
    return {"type": "record", "name": name, "namespace": "dk.flis.system.proeve", "doc": "made up", "fields": out}


def leaves(fields):
    for n, t in fields.items():
        yield from ("RK." + x for x in t) if isinstance(t, dict) else (n,)


def uses(text, field):
    if field == "FRA":  # the day of a snapshot; rows of a list have a FRA of their own
        return "\n  fra: {field: FRA" in text
    return re.search(r"[ \[{.]%s\b" % field.split(".")[-1], text) is not None


def mapping(system, event, edits, r, p):
    """The text of a mapping, each of the edits made with probability p; what it does not use is said to be so."""
    text = MAPPINGS[event]
    for old, new in r.sample(edits, len(edits)) if p else ():
        if old in text and r.random() < p and not ("op:" in new and "op:" in text):
            text = text.replace(old, new)
    text = re.sub(r"unused:.*\n", "", text)
    lists = event in ("liste", "slut")
    unused = [f for f in leaves({"ID": TEXT, **EVENTS[event]}) if not (uses(text, f) if lists or f != "FRA" else "field: FRA" in text)]
    head = "system: %s\nevent: %s\nkommune: {field: KOMNR, form: KOM3}\n" % (system, event)
    return head + ("unused: [%s]\n" % ", ".join(unused) if unused else "") + text


def write(folder, r=None, p=0.0, last=False):
    """A version of the catalog. What a code list does not know is parked. In the last one bolig with ART S says nothing: until then
    it is an empty snapshot."""
    shutil.rmtree(folder, ignore_errors=True)
    for system in SYSTEMS:
        for kind in ("systems", "mappings"):
            os.makedirs(os.path.join(folder, kind, system))
        for event, fields in EVENTS.items():
            with open(os.path.join(folder, "systems", system, event + ".avsc"), "w", encoding="utf-8") as f:
                json.dump(record(event, {"ID": TEXT, "KOMNR": TEXT, **fields}), f, indent=1)
            edits = EDITS.get(event, [])
            with open(os.path.join(folder, "mappings", system, event + ".yaml"), "w", encoding="utf-8") as f:
                text = mapping(system, event, edits, r, p)
                f.write(text.replace(*NEVER_EMPTY) if last and event == "bolig" else text)
    os.makedirs(os.path.join(folder, "codes"))
    with open(os.path.join(folder, "codes", "lokal.csv"), "w", encoding="utf-8") as f:
        f.write("system;liste;kode;standard;gyldig_fra;gyldig_til;kilde\n")
        for system in SYSTEMS:
            for code, home in zip("PQR", ("plejebolig", "aeldrebolig", None)):
                if p:
                    home = r.choice(["plejebolig", "aeldrebolig"]) if code == "P" or r.random() < .5 else None
                if home:
                    f.write("%s;hjem;%s;%s;;;o\n" % (system, code, home))


class Installation:
    """A folder that flis works in, and what was sent to it."""

    def __init__(self, flis, folder, seed, kinds=KINDS):
        self.flis, self.dir, self.r, self.kinds = flis, folder, random.Random(seed), kinds
        self.log, self.sent, self.n = [], [], 0
        self.dates = False  # whether a fact's date may be another than the one in its columns
        self.batch = {"n": 0, "left": 0, "count": 0}
        shutil.rmtree(folder, ignore_errors=True)
        self.run("init")
        with open(os.path.join(folder, "noegle"), "w", encoding="utf-8") as f:  # which deals the records to partitions
            f.write(hashlib.sha256(b"%d" % seed).hexdigest() + "\n")

    def run(self, *args, ok=(0,)):
        q = subprocess.run([self.flis, *args, "--dir", self.dir], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")
        self.log.append("$ %s: %d\n%s" % (" ".join(args), q.returncode, q.stdout))
        if q.returncode not in ok:
            sys.exit("\n".join(self.log[-3:]))
        return q.stdout

    def configure(self, text):
        with open(os.path.join(self.dir, "flis.yaml"), "a", encoding="utf-8") as f:
            f.write("\n" + text)

    def agree(self, rows):
        with open(os.path.join(self.dir, "aftaler.yaml"), "w", encoding="utf-8") as f:
            f.write("format: 1\naftaler:\n" + "".join("  - %s\n" % row for row in rows))

    def catalog(self, **how):
        write(os.path.join(self.dir, "katalog"), self.r, **how)

    def compact(self):
        """At times: many entries' rows in one file."""
        if self.r.random() < .4:
            self.run("journal", "compact", "--least", "2")

    def span(self):
        i, j = sorted(self.r.sample(range(0, 7), 2))
        return (DAYS + [None])[i], (DAYS + [None])[j]

    def part(self):
        """Snapshots over one to three records, each with an id of its own; some never become whole."""
        b, r = self.batch, self.r
        if b["left"] == 0 or r.random() < .1:
            b["n"] += 1
            b["left"] = b["count"] = r.choice([1, 2, 3])
        b["left"] -= 1
        return {"BID": "x%d" % b["n"], "ANTAL": b["count"]}

    def rows(self, prefix):
        out = []
        for x in self.r.sample(["l1", "l2", "l3"], self.r.randint(0, 2)):
            for _ in range(self.r.choice([1, 1, 2])):
                a, b = self.span()
                out.append({"NR": prefix + x, "MINUTTER": self.r.choice([1, 2]), "FRA": a, "TIL": b})
        return out

    def data(self, kind):
        r = self.r
        a, b = self.span()
        said = {"CPR": r.choice(CPRS[:1] * 3 + CPRS), "MINUTTER": r.choice([1, 2]), "FRA": a, "TIL": b}
        behind = {"BAGGRUND": r.random() < .4}
        if kind == "segment":
            return {"ID": r.choice(["s1", "s2", "s3"]), **said, "ART": r.choice("UUUUW"), **behind}
        if kind == "hel":
            return {"ID": r.choice(["h1", "h2", "s3"]), **said, "ART": r.choice("AAAS")}
        if kind == "bolig":
            return {"ID": r.choice(["b1", "b2", "b3"]), "CPR": r.choice(CPRS), "VISDATO": r.choice(DAYS[1:3]), "TYPE": r.choice("PPPPQR"),
                    "FASE": r.choice(["venter", "bor", "bor"]), "FRA": a, "TIL": b, "ART": r.choice("AAAAS"), **behind}
        if kind == "besoeg":
            date = r.choice(DAYS[1:])
            return {"ID": r.choice(["v1", "v2", "v3"]), "CPR": CPRS[0], "DATO": date, "REGDATO": r.choice([date, DAYS[1]]) if self.dates else date,
                    "MINUTTER": r.choice([1, 2]), "ART": r.choice("AAAAS")}
        if kind == "liste":
            return {"ID": r.choice(["L1", "L2"]), "CPR": said["CPR"], "FRA": r.choice([None] + DAYS[2:4]), "ART": r.choice("AAAS"),
                    "RK": [{**x, "BAGGRUND": r.random() < .4} for x in self.rows("")]}
        if kind == "slut":
            return {"ID": "E1", "CPR": said["CPR"], "FRA": r.choice(DAYS[1:]), "ART": r.choice("AAAS"), "RK": self.rows("e")}
        return {"ID": r.choice(["m1", "m2", "m3", "m4"]), "CPR": CPRS[0], "OMF": "O1", **self.part(),
                "NR": r.choice(["o1", "o2", "o3"]), "MINUTTER": said["MINUTTER"], "FRA": a, "ART": "M"}

    def event(self, system, kind, kommune, data, delivery, said):
        self.n += 1
        return {"specversion": "1.0", "type": kind, "id": "e%d" % self.n, "source": "//%s/%s" % (system, kommune), "time": said,
                "flis_leverance": delivery, "data": {"ID": data["ID"], "KOMNR": kommune, **data}}

    def feed(self, system, delivery, said, kommuner, count, also=(), copies=.18):
        """A file of new statements, of copies, and of copies that are said at another time or delivered on another day.
        also: statements as they are, (kind, kommune, data), in this order."""
        r, lines = self.r, []
        for _ in range(count):
            old = [e for s, e in self.sent if s == system]
            if old and r.random() < copies:
                e = dict(r.choice(old))
                if r.random() < .3:
                    e["flis_leverance"] = delivery
                if r.random() < .35:
                    e["time"] = r.choice(said)
                lines.append(e)
                continue
            kommune = r.choice(kommuner)
            kind = r.choice(self.kinds)
            e = self.event(system, kind, kommune, self.data(kind), delivery, r.choice(said))
            if r.random() < .5:
                e["sequence"] = str(r.randint(1, 3))
            self.sent.append((system, e))
            lines.append(e)
        lines += [{**self.event(system, kind, kommune, data, delivery, said[-1]), "sequence": str(100 + i)}
                  for i, (kind, kommune, data) in enumerate(also)]
        path = os.path.join(self.dir, "%s-%d.jsonl" % (system, self.n))
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(e) + "\n" for e in lines)
        self.run("feed", system, path, "--day", delivery)

    def done(self, text):
        with open(os.path.join(self.dir, "log.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(self.log))
        print(self.dir, text)


if __name__ == "__main__":
    write(sys.argv[1])
