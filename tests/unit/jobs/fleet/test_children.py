"""The processes of a worker, which do one order after another."""

import subprocess
import sys

import pytest

SCRIPT = """
import gc, weakref
from jobs.fleet.children import Child, ChildNursery
from jobs.fleet.work import DidTask, WorkResult

class Left:
    pass

left = []

def work(order):
    alive = sum(each() is not None for each in left)
    it = Left()
    it.itself = it
    left.append(weakref.ref(it))
    return WorkResult(DidTask.NOTHING, alive)

gc.set_threshold(400_000)
nursery = ChildNursery(lambda: None, work)
print(gc.get_freeze_count())
child = Child(nursery)
print([child.execute_work_order(None).exit_code for _ in range(3)])
nursery.close()
"""


@pytest.fixture(scope="module")
def said():
    """What the script says."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    return ran.stdout.splitlines()


def test_whoever_makes_a_nursery_goes_on_collecting_what_it_has(said):
    """To freeze a process's memory cannot be undone, and is for whoever owns the process to do."""
    assert "0" == said[0]


def test_what_an_account_leaves_behind_is_gone_before_the_next(said):
    """Objects that refer to each other, and to its data, would wait for a collection that commands put off."""
    assert "[0, 0, 0]" == said[1]
