"""make_replay.py FLIS DIR SEED [--events N]: as make_random, under mappings, code lists and
agreements that change twice; between, records are judged again: flis replay whole and by days, flis parked replay, of which some
change nothing. Odd seeds have a guard of 3 rows, so closes wait, and flis approve lets some of them go on. Journals are compacted at times. Records are also
sent again after the mapping has changed, at times before a replay."""

import argparse
import glob
import json
import re
import sys

import mkkat

LATE = '{kommune: "0657", system: proeve, historik_fra: "2026-02-01"%s}'
KOMMUNER = {"proeve": ["615", "621", "630", "657"], "efter": ["621", "630"]}
TIMES = mkkat.times(10, 9, 8, 7)
FIRST = 8  # days ago, of the first delivery
GUARD = "guard: {percent: 2, rows: 3}\n"


class Turns:
    def __init__(self, made, events):
        self.made, self.r, self.events, self.ago = made, made.r, events, FIRST
        self.stale = []  # sent under an earlier mapping, and not judged again since

    def change(self, last):
        """Another catalog. At times what was sent before is not sent again until all is judged by it."""
        if self.r.random() < .5:
            self.made.run("run", "--once")
            self.stale += self.made.sent
            self.made.sent = []
        self.made.catalog(p=.4, last=last)

    def replay(self, system):
        self.made.run("replay", system)
        self.made.sent += [x for x in self.stale if x[0] == system]
        self.stale = [x for x in self.stale if x[0] != system]

    def feed(self, copies=.18):
        day = mkkat.day(max(self.ago, 2))
        self.ago -= self.r.randint(0, 1)
        for system in mkkat.SYSTEMS:
            self.made.feed(system, day, TIMES, KOMMUNER[system], self.events, copies=copies)
        if self.r.random() < .8:
            self.made.run("run", "--once")
        self.made.compact()

    def again(self):
        r, run = self.r, self.made.run
        for _ in range(r.randint(1, 3)):
            what = r.choice(["replay", "days", "parked", "parked"])
            if what == "parked":
                run("parked", "replay", *(["--system", r.choice(mkkat.SYSTEMS)] if r.random() < .5 else []))
            elif what == "days":
                b, a = sorted(r.choices(range(self.ago, FIRST + 1), k=2))
                since = ["--from", mkkat.day(a)] if r.random() < .7 else []
                run("replay", r.choice(mkkat.SYSTEMS), *since, "--to", mkkat.day(b))
            elif r.random() < .15:
                run("replay", r.choice(mkkat.SYSTEMS), "--dry-run")
            else:
                self.replay(r.choice(["proeve", "proeve", "efter"]))

    def approve(self):
        for kommune in ("0615", "0621", "0630", "0657"):
            found = sorted(glob.glob("%s/levering/bevis/%s/aeldre/%s.json" % (glob.escape(self.made.dir), kommune, "[0-9]" * 8)))
            if not found or self.r.random() > .6:
                continue
            with open(found[-1], encoding="utf-8") as f:
                if "venter" not in json.load(f):
                    continue
            shown = self.made.run("approve", kommune, "aeldre", ok=(0, 1, 3, 4))
            digest = re.search(r"\b[0-9a-f]{64}\b", shown)
            if not digest:
                sys.exit("no digest: " + shown)
            self.made.run("approve", kommune, "aeldre", "--digest", digest.group(0), "--by", "en prøve", "--reason", "prøve")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("flis"), p.add_argument("dir"), p.add_argument("seed", type=int)
    p.add_argument("--events", type=int, default=30)
    a = p.parse_args()
    made = mkkat.Installation(a.flis, a.dir, a.seed)
    turns = Turns(made, a.events)
    made.configure("catalog: katalog\n" + (GUARD if a.seed % 2 else ""))
    made.agree(row % mkkat.AGREED for row in mkkat.AGREEMENTS)
    made.catalog(p=.25)
    turns.feed()
    turns.feed()
    for turn in range(2):
        turns.change(last=turn == 1)
        if turn == 1:
            made.agree(row % mkkat.AGREED for row in mkkat.AGREEMENTS + [LATE])
        if made.r.random() < .6:
            turns.feed()
        turns.again()
        turns.approve()
        turns.feed()
        if made.r.random() < .5:
            turns.again()
    for system in mkkat.SYSTEMS:
        turns.replay(system)
    turns.feed(copies=.7)  # of records that now have a higher generation
    turns.approve()
    made.run("run", "--once")
    made.done("%d statements" % made.n)


main()
