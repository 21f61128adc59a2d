"""The processes of a worker, which do one order after another."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import gc, weakref
from jobs.fleet.children import Child, ChildNursery
from jobs.fleet.work import DidTask, WorkResult

class Left:
    pass

left = []

def work(order):
    if order:
        return WorkResult(DidTask.NOTHING, int(open(order).read()))
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
SCORE = "/proc/self/oom_score_adj"
print(child.execute_work_order(SCORE).exit_code == min(int(open(SCORE).read()) + 200, 1000))
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


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="needs Linux")
def test_process_that_works_on_an_account_is_ended_before_its_worker_when_memory_runs_out(said):
    """The kernel chooses by this score; the account's night then fails, and all others go on."""
    assert "True" == said[2]
