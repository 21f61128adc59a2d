"""`make bench` measures every figure, on as little as possible."""

import re
import subprocess
import sys

import pytest

from tests import postgresql
from tests.bench.__main__ import GROUPS
from tests.bench.figures import FIGURES
from tests.bench.program import ROOT

SECONDS = 600


def bench(*arguments, module="tests.bench"):
    """What it prints."""
    size = ("--size", "tiny") if module == "tests.bench" else ()
    ran = subprocess.run(
        [sys.executable, "-m", module, *size, *arguments],
        cwd=ROOT,
        check=False,
        timeout=SECONDS,
        capture_output=True,
        text=True,
    )

    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("group", GROUPS)
def test_every_figure_of_a_group_is_measured(group):
    """The table has a line for each, with its target and how far it is met."""
    printed = bench("--only", group)

    for key in GROUPS[group].keys:
        assert re.search(rf"^{re.escape(FIGURES[key].what.replace('`', ''))} .*\d", printed, re.MULTILINE)
    assert ("leads on record" in printed) is (group == "ledgers")


@pytest.mark.timeout(SECONDS)
def test_night_of_a_fleet_is_measured():
    """There is a line for each number of workers, and everything was sent."""
    postgresql.needed()
    sizes = ("--accounts", "3", "--leads", "5", "--workers", "1", "2")
    printed = bench(*sizes, module="tests.bench.fleet_nights")

    found = re.findall(r"^ +(\d) +\d+\.\d s +\d+ +\d+\.\d\d s +\d+\.\d\d s +\d+ MB +\d+ MB +0$", printed, re.MULTILINE)
    assert ["1", "2"] == found


@pytest.mark.timeout(SECONDS)
def test_another_revision_is_measured_beside_this_one():
    """It is checked out into a folder of its own, and its figures stand before ours."""
    if not (ROOT / ".git").exists():
        pytest.skip("this copy has no other revisions")
    printed = bench("--only", "starting", "--base", "HEAD")

    assert re.search(r"^what +target +before +median .* times better$", printed, re.MULTILINE)
    assert re.search(r"^--help .*\d s +\d.* s .* (yes|no) +\d+\.\d$", printed, re.MULTILINE)
