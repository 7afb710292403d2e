"""make_cpr.py FLIS DIR SEED [--rounds N]: CPR's layout A of made-up people who move, die, vanish, change number, and of whom CPR says
today what it takes back tomorrow; a file a round. One municipality's agreement begins in the middle of what is told (historik_fra). The
journal is compacted at times."""

import argparse
import os

import mkkat

PEOPLE = ["610180%04d" % n for n in range(6000, 6005)]
FORMER = ["620280%04d" % n for n in range(6000, 6005)]
KOMMUNER = ["0101", "0183", "0751", "0631", "0617", "0461", "0011", "0955"]  # 0617, 0631: closed; 0011: none; 0955: Greenland
AGREEMENTS = ["0101", "0751", "0461"], [("0183", "2007-01-01"), ("0630", "2010-06-01")]
AGREED = '{kommune: "%s", omraade: borger, system: cpr, bevis: fil, leverer: dagligt%s}'
DAYS = ["1990-01-01", "1995-05-05", "2000-01-01", "2007-01-01", "2010-06-01", "2015-03-03", "2020-02-02", "2025-01-01"]


def stamp(day):
    return day.replace("-", "") + "1200" if day else " " * 12


def put(kind, pnr, *fields):
    """A record: fields are (position from 1, text)."""
    line = [" "] * 400
    for position, text in ((1, kind), (4, pnr), *fields):
        line[position - 1:position - 1 + len(text)] = text
    return "".join(line).rstrip()


def block(r, i):
    """All records of a person, or of a number that the person had before."""
    p, former = PEOPLE[i], FORMER[i]
    if r.random() < .25:
        return [put("001", former, (14, p), (24, r.choice(["60", "60", "50"])), (26, stamp(r.choice(DAYS[4:]))), (39, "M"), (40, "1980-02-02"))]
    days = sorted(r.sample(DAYS, r.randint(1, 5)))
    status = r.choice(["01", "01", "01", "80", "90", "70"])
    since = r.choice(DAYS[-2:]) if status != "01" or r.random() < .3 else "1980-01-01"
    out = [put("001", p, (24, status), (26, stamp(since)), (39, r.choice("MK")), (40, "1980-01-01"))]
    home = status == "01" and r.random() < .9
    former_homes = []
    for a, b in zip(days, days[1:] + [None if home else r.choice(["2025-06-01", "2026-01-01"])]):
        k = r.choice(KOMMUNER)
        if b is None:
            out.append(put("002", p, (14, k), (18, "0%03d" % r.randint(1, 3)), (22, "00%d" % r.randint(1, 9)), (70, stamp(a)), (83, stamp(a)),
                           (96, r.choice(KOMMUNER[:4]))))
        elif r.random() < .85:
            former_homes.append(put("023", p, (14, r.choice("      K")), (15, k), (19, "0001"), (23, "001"), (71, stamp(a)), (84, stamp(b))))
    if status == "80":
        out.append(put("005", p, (14, "5150"), (18, stamp("2025-06-01"))))
    if status == "70":
        out.append(put("007", p, (14, stamp("2025-06-01"))))
    for kind in r.sample(["0001", "0003", "0004"], r.randint(0, 2)):
        out.append(put("004", p, (14, kind), (18, r.choice(DAYS[5:])), *([(28, mkkat.day(-30))] if r.random() < .4 else [])))
    out.append(put("010", p, (14, r.choice(["5100", "5150"])), (18, stamp(r.choice(DAYS[1:4])))))
    married = r.choice("UGF")
    out.append(put("012", p, (14, married), (15, r.choice(PEOPLE) if married == "G" else ""), (71, stamp(r.choice(DAYS[3:6])))))
    for j in r.sample(range(len(PEOPLE)), r.randint(0, 2)):
        out.append(put("014", p, (14, PEOPLE[j])))
    if r.random() < .4:
        out.append(put("022", p, (14, former), (24, "1980-01-01"), (35, r.choice(DAYS[3:6]))))
    out += former_homes
    if r.random() < .3:
        out.append(put("024", p, (14, " "), (15, "5150"), (19, stamp("2000-01-01")), (32, "5150"), (36, stamp("2007-01-01"))))
    if r.random() < .3:
        out.append(put("027", p, (14, " "), (15, "5150"), (19, stamp("1980-01-01")), (32, stamp("1995-05-05"))))
    if r.random() < .5:
        out.append(put("029", p, (14, " "), (15, "U"), (72, stamp("1980-01-01")), (85, stamp("2007-01-01"))))
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("flis"), p.add_argument("dir"), p.add_argument("seed", type=int)
    p.add_argument("--rounds", type=int, default=6)
    a = p.parse_args()
    made = mkkat.Installation(a.flis, a.dir, a.seed)
    whole, late = AGREEMENTS
    made.agree([AGREED % (k, "") for k in whole] + [AGREED % (k, ', historik_fra: "%s"' % day) for k, day in late])
    last = " " * 8
    for n in range(a.rounds):
        day = mkkat.day(a.rounds + 1 - n).replace("-", "")
        lines = ["000" + "0000000000" + "110101" + day + last]
        for who in range(len(PEOPLE)):
            lines += block(made.r, who)
        lines.append("999" + "9999999999" + "%08d" % (len(lines) - 1))
        last = day
        path = os.path.join(a.dir, "D%s.L110101" % day[2:])
        with open(path, "w", encoding="latin-1") as f:
            f.write("\n".join(lines) + "\n")
        made.run("feed", "cpr", path, "--layout", "A")
        made.run("run", "--once")
        made.compact()
    made.done("%d files" % a.rounds)


main()
