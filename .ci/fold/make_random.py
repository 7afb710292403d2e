"""make_random.py FLIS DIR SEED [--rounds N] [--events N] [--kinds segment,hel,...] [--dates]: an installation of made-up statements that
collide as much as they can, under agreements that change vendor, leave out datasets, begin late, and try a vendor out (skygge).
Between the rounds the journals are compacted at times.

--dates: also facts whose date is another than the one in their columns."""

import argparse

import mkkat

AGREEMENTS = mkkat.AGREEMENTS + [
    '{kommune: "0657", system: proeve, historik_fra: "2026-03-01"%s}',
    '{kommune: "0657", system: efter, skygge: true%s}',
    '{kommune: "0661", system: proeve, til: "2026-02-01"%s}',
    '{kommune: "0661", system: efter, fra: "2026-02-01", til: "2026-04-01"%s}',
    '{kommune: "0661", system: proeve, fra: "2026-04-01"%s}',
]
KOMMUNER = {"proeve": ["615", "621", "630", "657", "661"], "efter": ["621", "630", "657", "661"]}
# Both vendors say it, so where they change two equal stretches adjoin.
BOTH = [("bolig", kommune, {"ID": "b9", "CPR": mkkat.CPRS[1], "VISDATO": "2026-01-15", "TYPE": "P", "FASE": "bor", "FRA": None, "TIL": None,
                            "ART": "A", "BAGGRUND": False}) for kommune in ("621", "661")]


def listed(scope, number, *minutes):
    rows = [{"NR": number, "MINUTTER": m, "FRA": None, "TIL": None, "BAGGRUND": False} for m in minutes]
    return "liste", "621", {"ID": scope, "CPR": mkkat.CPRS[0], "FRA": None, "ART": "A", "RK": rows}


# What L8 takes back does not show: L9 has said another thing since.
HIDDEN = [listed("L8", "l9", 1), listed("L9", "l9", 2), listed("L8", "l9"), listed("L9", "l9", 2)]
# What L6 says twice is hidden by L7 for a while, and has the metadata of the first time again.
AGAIN = [listed("L6", "l8", 1), listed("L6", "l8", 1), listed("L7", "l8", 2), listed("L7", "l8")]
TIMES = mkkat.times(8, 7, 6, 5)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("flis"), p.add_argument("dir"), p.add_argument("seed", type=int)
    p.add_argument("--rounds", type=int, default=4)
    p.add_argument("--events", type=int, default=60)
    p.add_argument("--kinds", default=",".join(mkkat.KINDS))
    p.add_argument("--dates", action="store_true")
    a = p.parse_args()
    made = mkkat.Installation(a.flis, a.dir, a.seed, a.kinds.split(","))
    made.dates = a.dates
    made.configure("catalog: katalog\n")
    made.catalog()
    made.agree(row % mkkat.AGREED for row in AGREEMENTS)
    for n in range(a.rounds):
        for system in mkkat.SYSTEMS:
            made.feed(system, mkkat.day(4 - n // 2), TIMES, KOMMUNER[system], a.events, BOTH + HIDDEN + AGAIN if n == 1 else ())
        made.run("run", "--once")
        made.compact()
    made.done("%d statements" % made.n)


main()
