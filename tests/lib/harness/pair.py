# SPDX-License-Identifier: ISC
"""Two instances configured alike, and the comparison of what they do."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from .instance import Instance, ours, reference

REFERENCE_ONLY = bool(os.environ.get("REFERENCE_ONLY"))
# The reference compared with itself: proves that a case is stable and that the
# normalisers hide all that differs by nature.
SELF_CHECK = bool(os.environ.get("SELF_CHECK"))


def show(value):
    return repr(value) if not isinstance(value, str) else value


class Pair:
    """The reference and the suite under test, configured alike."""

    def __init__(self, **kw):
        self.instances = []
        self.reference = None
        self.ours = None
        self.error = None
        if os.getuid() == 0:
            self.reference = Instance(reference(), **kw)
            self.instances.append(self.reference)
        if not REFERENCE_ONLY:
            self.ours = Instance(reference() if SELF_CHECK else ours(), **kw)
            self.instances.append(self.ours)

    def start(self):
        for i in self.instances:
            i.start()
        return self

    def destroy(self):
        errors = []
        for i in self.instances:
            try:
                i.destroy()
            except Exception as e:      # both are ended before either is judged
                errors.append(str(e))
        if errors:
            raise AssertionError("\n".join(errors))

    def compare(self, run, expect=None, ours_expect=None, ref_expect=None):
        """run(instance) on both. The results must be equal, unless ours_expect says
        what ours must give: for what has changed since the reference's version.
        expect: what both must give. ref_expect: a check of the case itself."""
        if ref_expect is None:
            ref_expect = expect
        if ours_expect is None and expect is not None:
            ours_expect = expect
        if SELF_CHECK:
            ours_expect = None
        theirs = None
        if self.reference is not None:
            theirs = run(self.reference)
            if ref_expect is not None:
                assert theirs == ref_expect, f"the reference itself:\n{show(theirs)}\nexpected:\n{show(ref_expect)}"
        if self.ours is None:
            return theirs
        got = run(self.ours)
        want = ours_expect if ours_expect is not None else theirs
        assert got == want
        return got


class Batch:
    """Cases that need nothing of each other, run many at a time: a command that fails
    sleeps a second before it exits. cases: {id: run(instance)}. in_turn: ids of cases
    that touch the same file of their instance, or lock it, and so run one by one."""

    def __init__(self, pair, cases, workers=16, in_turn=()):
        pool = ThreadPoolExecutor(workers)
        locks = [threading.Lock() for _ in pair.instances]

        def alone(run, instance, lock):
            with lock:
                return run(instance)
        self.results = {(name, i.suite.name, n): pool.submit(alone, run, i, locks[n]) if name in in_turn else pool.submit(run, i)
                        for name, run in cases.items() for n, i in enumerate(pair.instances)}
        self.pair = pair
        pool.shutdown(wait=False)

    def compare(self, name, ours_expect=None):
        def run(instance):
            n = self.pair.instances.index(instance)
            return self.results[name, instance.suite.name, n].result()
        return self.pair.compare(run, ours_expect=ours_expect)


class Suites:
    """Two suites without an instance, for commands that need none; make(suite) is what a case is given."""

    def __init__(self, make):
        self.reference, self.ours = make(reference()), None if REFERENCE_ONLY else make(reference() if SELF_CHECK else ours())
        self.instances = [i for i in (self.reference, self.ours) if i]

    def compare(self, run, ours_expect=None):
        theirs = run(self.reference)
        if self.ours is None:
            return
        got = run(self.ours)
        assert got == (theirs if ours_expect is None or SELF_CHECK else ours_expect)
