"""make_real.py FLIS DIR FILES: an installation of the files in the folder FILES: PNR_* are CPR's layout A, an excerpt each, all others
layout B. The first half of A, the rest of A, and B are delivered and closed one after the other, the journal is compacted, and all audited.
The files are fed under other names, as theirs hold numbers."""

import argparse
import os
import shutil
import sys
import tempfile

import mkkat


def main():
    p = argparse.ArgumentParser()
    p.add_argument("flis"), p.add_argument("dir"), p.add_argument("files")
    a = p.parse_args()
    names = sorted(n for n in os.listdir(a.files) if os.path.isfile(os.path.join(a.files, n)))
    single = [n for n in names if n.startswith("PNR_")]
    if not single:
        sys.exit("%s: no file PNR_*" % a.files)
    made = mkkat.Installation(a.flis, a.dir, 1)
    half = len(single) // 2
    others = [n for n in names if n not in single]
    for layout, group in (("A", single[:half]), ("A", single[half:]), ("B", others)):
        if not group:
            continue
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, "%s%02d" % (layout, n)) for n in range(len(group))]
            for name, path in zip(group, paths):
                shutil.copyfile(os.path.join(a.files, name), path)
            made.run("feed", "cpr", *paths, "--layout", layout, "--excerpt")
        made.run("run", "--once")
    made.run("journal", "compact", "--least", "2")
    made.run("audit")
    made.done("%d files" % len(names))


main()
