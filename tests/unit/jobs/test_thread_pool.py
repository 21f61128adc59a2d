"""Tasks side by side, within their bound."""

import threading

from jobs.cancellation import run_in_threads

PATIENCE = 30


def test_never_more_than_so_many_at_once():
    """And as many as that."""
    together = threading.Barrier(3)
    running, most, lock = [], [], threading.Lock()

    def task(name):
        with lock:
            running.append(name)
            most.append(len(running))
        together.wait(PATIENCE)  # three at a time get past it, no fewer
        with lock:
            running.remove(name)
        return name

    names = list(range(9))

    assert names == sorted(run_in_threads([lambda name=name: task(name) for name in names], at_once=3))
    assert 3 == max(most)


def test_one_alone_stays_on_its_thread():
    """So that a terminal's bars and signals are its own."""
    assert [threading.current_thread()] == list(run_in_threads([threading.current_thread], at_once=4))


def test_what_ends_first_comes_first():
    """Nobody waits for the slowest to be told of the others."""
    slow = threading.Event()
    results = run_in_threads([lambda: slow.wait(PATIENCE) and "slow", lambda: "quick"], at_once=2)

    assert "quick" == next(results)

    slow.set()

    assert ["slow"] == list(results)
