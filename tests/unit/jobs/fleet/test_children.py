"""The processes of a worker, which do one order after another."""

import subprocess
import sys

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
child = Child(nursery)
print([child.do(None).exit_code for _ in range(3)])
nursery.close()
"""


def test_what_an_account_leaves_behind_is_gone_before_the_next():
    """Objects that refer to each other, and to its data, would wait for a collection that commands put off."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True)

    assert "[0, 0, 0]\n" == ran.stdout
