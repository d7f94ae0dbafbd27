#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Bench of postmap: the reference (Debian's Postfix) and ours in turn on the same source, seconds and their ratio.
build    postmap TYPE:FILE of N entries into no table
update   postmap -i TYPE:FILE with N / 100 entries more
one      postmap -i TYPE:FILE with one entry more
delete   postmap -d KEY TYPE:FILE
lookup   postmap -q - TYPE:FILE with every key, in another order

usage: bench_tables.py [--build DIR | --prefix DIR] [--entries 1000000] [--rounds 3] [--types hash,btree,lmdb] [--where /tmp | xfs | ext4-journal]"""

import argparse
import os
import random
import resource
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

from harness import Instance, reference  # noqa: E402
from image import place  # noqa: E402
from suite import installed  # noqa: E402

STEPS = ("build", "update", "one", "delete", "lookup")


def sources(directory, count):
    """The table's entries, more of them, and the keys in another order, the same each time."""
    keys = [f"user{n}@domain{n % 997}.example" for n in range(count)]
    more = "".join(f"more{n}@domain{n % 997}.example other{n}@host.example\n" for n in range(count // 100))
    with open(f"{directory}/table", "w") as f:
        f.writelines(f"{k} box{n}@host.example\n" for n, k in enumerate(keys))
    random.Random(1).shuffle(keys)
    return more, "".join(k + "\n" for k in keys)


def once(i, table, more, keys, count):
    """Seconds and CPU seconds of each step; the result of the lookups is counted, so that none is for free."""
    def timed(*args, **kw):
        begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        out = i.run("postmap", *args, timeout=600, check=True, **kw).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (time.monotonic() - begin, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), out
    for suffix in (".db", ".lmdb", ".cdb"):
        if os.path.exists(table.split(":", 1)[1] + suffix):
            os.unlink(table.split(":", 1)[1] + suffix)
    build, _ = timed(table)
    update, _ = timed("-i", table, input=more)
    one, _ = timed("-i", table, input="one@more.example box@host.example\n")
    delete, _ = timed("-d", "one@more.example", table)
    lookup, found = timed("-q", "-", table, input=keys)
    if found.count("\n") != count:
        raise SystemExit(f"{i.suite.name}: {table}: {found.count(chr(10))} of {count} keys found")
    return build, update, one, delete, lookup


def show(name, both):
    middle = [statistics.median(t for t, _ in x) for x in both]
    text = [f"{m:.3f} ({min(x)[0]:.3f} to {max(x)[0]:.3f}) {statistics.median(c for _, c in x):.3f}" for m, x in zip(middle, both)]
    print(f"{name:16s}{text[0]:>32s}{text[1]:>32s}{middle[0] / middle[1]:8.2f}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build")
    p.add_argument("--prefix")
    p.add_argument("--entries", type=int, default=1000000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--types", default="hash,btree,lmdb")
    p.add_argument("--where", default="/tmp")
    args = p.parse_args()
    if os.getuid() != 0:
        raise SystemExit("the bench compares instances run by root: run it as root")
    instances = []
    with installed(args.build, args.prefix) as suite, place(args.where) as where, tempfile.TemporaryDirectory(dir=where) as directory:
        try:
            instances += [Instance(reference()), Instance(suite)]
            more, keys = sources(directory, args.entries)
            print(f"{args.entries} entries, {args.rounds} rounds in turn, seconds; medians, in brackets the range, and CPU seconds")
            print(f"{'':16s}{'reference':>32s}{'ours':>32s}{'ratio':>8s}")
            for kind in args.types.split(","):
                rounds = [[once(i, f"{kind}:{directory}/table", more, keys, args.entries) for i in instances] for _ in range(args.rounds)]
                for n, step in enumerate(STEPS):
                    show(f"{kind} {step}", [[r[side][n] for r in rounds] for side in (0, 1)])
        finally:
            for i in instances:
                i.destroy()


if __name__ == "__main__":
    main()
