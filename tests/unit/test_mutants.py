"""The planted faults can be planted, and each is looked for by tests that are run every time."""

from pathlib import Path

import pytest

from tests.conftest import EXHAUSTIVE
from tests.mutants import FAULTS, ROOT

by_promise = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.promise)


@by_promise
def test_a_fault_has_one_place(fault):
    """Its line stands in its file exactly once, and would be another."""
    assert fault.instead != fault.line
    assert 1 == (ROOT / fault.file).read_text().count(fault.line)


@by_promise
def test_the_tests_that_catch_a_fault_are_run_every_time(fault):
    """Those that are named are there, and not all of them are left to `make test-all`."""
    named = [name.partition("::")[0] for name in fault.tests.split()]

    assert [] == [name for name in named if not (ROOT / name).exists()]
    assert [] != [name for name in named if str(Path(name).relative_to("tests")) not in EXHAUSTIVE]
