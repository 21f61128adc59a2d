"""Repeats the fuzz tests for FUZZ_SECONDS, each time with another seed, and reports how much was tried."""

import os
import random
import time

import pytest
from hypothesis import is_hypothesis_test, seed

from tests.fuzz.effort import EXAMPLES, SECONDS

_SHARE = pytest.StashKey[float]()


def pytest_collection_modifyitems(config, items):
    """Divide the time among the tests that generate their examples."""
    inventing = sum(1 for item in items if is_hypothesis_test(getattr(item, "obj", None)))
    config.stash[_SHARE] = SECONDS / max(inventing, 1)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Repeat a test until its share of time is used up; pytest-randomly's printed seed determines everything."""
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
    """Report how many examples were tried, if one process ran everything."""
    if "PYTEST_XDIST_WORKER" not in os.environ and EXAMPLES["count"]:
        terminalreporter.write_line(f"fuzz: {EXAMPLES['count']} examples")
