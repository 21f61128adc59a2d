"""Each planted fault can be planted, and the tests that should catch it run every time."""

from pathlib import Path

import pytest

from tests.conftest import EXHAUSTIVE
from tests.mutants import FAULTS, ROOT

by_promise = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.promise)


@by_promise
def test_a_faults_line_occurs_exactly_once(fault):
    """Its replacement differs from the line."""
    assert fault.instead != fault.line
    assert 1 == (ROOT / fault.file).read_text().count(fault.line)


@by_promise
def test_a_faults_tests_exist_and_run_every_time(fault):
    """Not all of them are left to `make test-all`."""
    named = [name.partition("::")[0] for name in fault.tests.split()]

    assert [] == [name for name in named if not (ROOT / name).exists()]
    assert [] != [name for name in named if str(Path(name).relative_to("tests")) not in EXHAUSTIVE]
