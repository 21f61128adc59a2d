"""Goes on with the fuzzing for FUZZ_SECONDS, with another seed each time, and says how much was tried."""

import os
import random
import time

import pytest
from hypothesis import is_hypothesis_test, seed

from tests.fuzz.effort import EXAMPLES, SECONDS

_SHARE = pytest.StashKey[float]()


def pytest_collection_modifyitems(config, items):
    """Part the time among the tests that invent their examples."""
    inventing = sum(1 for item in items if is_hypothesis_test(getattr(item, "obj", None)))
    config.stash[_SHARE] = SECONDS / max(inventing, 1)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test again and again until its share is used up; pytest-randomly's seed, which is printed, decides all."""
    if not is_hypothesis_test(pyfuncitem.obj):
        return None
    until = time.monotonic() + pyfuncitem.config.stash[_SHARE]
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    seeds = random.Random(f"{random.getrandbits(64)} {pyfuncitem.nodeid}")
    while True:
        number = seeds.getrandbits(64)
        try:
            seed(number)(pyfuncitem.obj)(**arguments)
        except BaseException:
            pyfuncitem.add_report_section("call", "fuzz", f"@seed({number})")
            raise
        if time.monotonic() >= until:
            return True


def pytest_terminal_summary(terminalreporter):
    """Say how often code was tried, where one process tried everything."""
    if "PYTEST_XDIST_WORKER" not in os.environ and EXAMPLES["count"]:
        terminalreporter.write_line(f"fuzz: {EXAMPLES['count']} examples")
