"""Which tests `make test` leaves to `make test-all`: they prove again, over more nights or variants, what others prove.

`make mutants` shows that nothing promised is lost by it: each planted fault is caught by a test that `make test` runs.
"""

import gc
from pathlib import Path

import pytest

from tests import suite

EXHAUSTIVE = {
    # the same nights on an Oplead that speaks otherwise, or over months
    "e2e/test_shapes.py",
    "e2e/test_sixty_nights.py",
    "e2e/test_first_month.py",
    "e2e/test_first_month_clicks.py",
    "e2e/test_first_month_consent.py",
    "e2e/test_first_month_history.py",
    "e2e/test_first_month_labels.py",
    "e2e/test_first_month_places.py",
    "e2e/test_first_month_reading.py",
    "e2e/test_first_month_values.py",
    # every way of failing by every interface; the unit tests of the sender play each once
    "e2e/test_failing_servers.py",
    "e2e/test_isolation.py",
    "e2e/test_meta_isolation.py",
    # by installed commands, one after the other
    "e2e/test_broken_states.py",
    "e2e/test_rates.py",
    "e2e/test_telling.py",
    "e2e/test_unwritable_output.py",
    "e2e/test_validate_only.py",
}
TESTS = Path(__file__).parent
LEFT_OUT = "not exhaustive"
"""What `make test` gives pytest as `-m`."""


def pytest_configure(config):
    """Have few examples invented where something is left out."""
    suite.IS_WHOLE = config.option.markexpr != LEFT_OUT


def pytest_ignore_collect(collection_path, config):
    """Do not even load what is left out, which takes long for some."""
    return (config.option.markexpr == LEFT_OUT and _is_exhaustive(collection_path)) or None


def pytest_collection_modifyitems(items):
    """Mark what is in one of these files."""
    for item in items:
        if _is_exhaustive(item.path):
            item.add_marker(pytest.mark.exhaustive)


def pytest_collection_finish():
    """Spare the garbage collector the tests themselves, of which there are too many to be looked through each time."""
    gc.collect()
    gc.freeze()


def _is_exhaustive(path):
    return path.is_relative_to(TESTS) and str(path.relative_to(TESTS)) in EXHAUSTIVE
