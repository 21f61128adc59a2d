"""Tasks run in parallel threads, up to a limit."""

import threading

from jobs.cancellation import run_in_threads

PATIENCE = 30


def test_run_in_threads_uses_exactly_the_given_number_of_threads():
    """Nine tasks run three at a time."""
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


def test_single_task_runs_in_the_calling_thread():
    """It keeps the terminal's progress bars and signals."""
    assert [threading.current_thread()] == list(run_in_threads([threading.current_thread], at_once=4))


def test_results_come_in_the_order_of_the_tasks():
    """A report lists accounts as they were given, however long each takes."""
    quick = threading.Event()
    tasks = [lambda: quick.wait(PATIENCE) and "slow", lambda: quick.set() or "quick"]

    assert ["slow", "quick"] == list(run_in_threads(tasks, at_once=2))
