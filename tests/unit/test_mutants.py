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
    named = [name.partition("::") for name in fault.tests.split()]

    for file, _, test in named:
        assert f"def {test.partition('[')[0]}" in (ROOT / file).read_text() if test else (ROOT / file).exists()
    assert [] != [file for file, *_ in named if str(Path(file).relative_to("tests")) not in EXHAUSTIVE]
