"""Which tests `make test` leaves to `make test-all`: they prove again, over more nights or variants, what others prove.

`make mutants` shows that nothing promised is lost by it: each planted fault is caught by a test that `make test` runs.
"""

import gc
import logging
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadGroupScheduling

from jobs.logs import _StartingHandler
from tests import suite

# Whatever the developer's terminal speaks; commands that tests start are addressed in English, too.
os.environ |= {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
# Tests ask invented platforms with equal keys, each by a pace of its own: no folder can be made here.
os.environ["XDG_STATE_HOME"] = "/dev/null/none"

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
    "e2e/test_bench.py",
    "e2e/test_broken_states.py",
    "e2e/test_rates.py",
    "e2e/test_telling.py",
    "e2e/test_unwritable_output.py",
    "e2e/test_validate_only.py",
}
TESTS = Path(__file__).parent
LEFT_OUT = "not exhaustive"
"""What `make test` gives pytest as `-m`."""


@pytest.fixture(autouse=True)
def _no_late_start_of_logging():
    """Whatever a command has left to start logging with the first message, the next test's message does not."""
    yield
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _StartingHandler)]


def pytest_configure(config):
    """Have few examples invented where something is left out."""
    suite.IS_WHOLE = config.option.markexpr != LEFT_OUT
    # Each test has its own limit; a busy machine must not fail one for how fast examples are invented.
    settings.register_profile(
        "any machine",
        max_examples=suite.examples(25, 100),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("any machine")


def pytest_ignore_collect(collection_path, config):
    """Do not even load what is left out, which takes long for some."""
    return (config.option.markexpr == LEFT_OUT and _is_exhaustive(collection_path)) or None


def pytest_collection_modifyitems(items):
    """Mark what is in one of these files."""
    for item in items:
        if _is_exhaustive(item.path):
            item.add_marker(pytest.mark.exhaustive)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session):
    """Name the groups, and spare the garbage collector the tests, of which there are too many to look through."""
    if getattr(session.config.option, "loadgroup", False):
        _name_groups(session.items)
    gc.collect()
    gc.freeze()


def _name_groups(items):
    """Append each test's group to its id, where the scheduler looks for it.

    pytest-xdist 3.8 does so by an attribute that pytest 9.2 no longer reads.
    """
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if mark is not None and not item.nodeid.endswith(suffix := f"@{mark.args[0]}"):
            item._id = type(item.id).parse(item.nodeid + suffix)
            assert item.nodeid.endswith(suffix)


class _GroupsAndFiles(LoadGroupScheduling):
    """Gives a worker each group as a whole, and each file but those of end-to-end tests.

    What these share is built once, and there are few enough pieces for the scheduler to count after each test. Those
    with most tests begin; the end-to-end tests come last, one by one, so that both workers end at the same time.
    """

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return super()._split_scope(nodeid) if file.startswith("tests/e2e/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Use it for `--dist loadgroup`."""
    return _GroupsAndFiles(config, log) if config.getvalue("dist") == "loadgroup" else None


def _is_exhaustive(path):
    return path.is_relative_to(TESTS) and str(path.relative_to(TESTS)) in EXHAUSTIVE
