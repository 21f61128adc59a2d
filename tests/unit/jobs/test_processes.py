"""Tasks share forked processes, a process a core; one that dies takes only its own tasks with it."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PATIENCE = 30
PRELUDE = """\
import json, multiprocessing, os, signal, sys, threading, time
from jobs import processes
from jobs.cancellation import StoppedBySignal, handle_stop_signals
forking = multiprocessing.get_context("fork")
processes.available_cores = lambda: 2
def ended(tasks, at_once):
    return list(processes.run_in_parallel(tasks, lambda index, why: f"{index}: {why}", at_once=at_once))
def show(what):  # in one piece
    os.write(1, json.dumps(what).encode() + b"\\n")
"""


@contextmanager
def started(code):
    """A process of its own group that runs this code, as a command does: it has no thread and no connection."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", PRELUDE + code]
    with subprocess.Popen(command, cwd=ROOT, text=True, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def shown(code):
    """What this code shows."""
    with started(code) as process:
        out, said = process.communicate(timeout=PATIENCE)
    assert (0, "") == (process.returncode, said)
    return json.loads(out)


def test_tasks_spread_over_processes_and_their_threads():
    """Four tasks at once on two cores are two in each of two processes, none of which is the parent."""
    pids, parent = shown("""
together = forking.Barrier(4)
def task():
    together.wait(30)  # four at a time get past it, no fewer
    return os.getpid()
show([ended([task] * 8, 4), os.getpid()])
""")

    assert 2 == len(set(pids))
    assert parent not in pids


def test_each_task_has_the_callers_context():
    """It tells what language to speak, whichever thread of whichever process a task runs on."""
    languages = shown("""
from connectors.language import Language, chosen_language, using_language
together = forking.Barrier(4)
def task():
    together.wait(30)
    return chosen_language()
with using_language(Language.FRENCH):
    show(ended([task] * 4, 4))
""")

    assert ["fr"] * 4 == languages


def test_there_are_no_more_processes_than_tasks_at_once():
    """`--at-once 1` is one account after the other."""
    pids, parent = shown("show([ended([os.getpid] * 3, 1), os.getpid()])")

    assert [parent] * 3 == pids


def test_results_come_in_the_order_of_the_tasks():
    """However long each takes."""
    assert ["slow", "quick", "last"] == shown("""
done = forking.Event()
show(ended([lambda: done.wait(30) and "slow", lambda: done.set() or "quick", lambda: "last"], 2))
""")


def test_a_killed_process_loses_only_the_task_it_was_at():
    """The other process does what is left, and the reason names the signal."""
    killed, *others = shown("""
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
show(ended([die, lambda: "second", lambda: "third", lambda: "fourth"], 2))
""")

    assert killed.startswith("0: its process was ended by SIGKILL, as the system does when memory runs out")
    assert ["second", "third", "fourth"] == others


def test_a_task_that_no_process_is_left_for_is_lost_too():
    """Each has a result, and the command ends."""
    results = shown("show(ended([lambda: os._exit(7)] * 3, 2))")

    assert ["0: its process ended with 7", "1: its process ended with 7"] == results[:2]
    assert "2: the processes that run accounts have all ended" == results[2]


@pytest.mark.parametrize(
    ("task", "error"),
    [
        ("lambda: {}['jeanne@maison.example']", "KeyError"),
        ("lambda: sys.exit(3)", "SystemExit"),
        ("lambda: threading.Lock()", "TypeError"),
    ],
)
def test_a_task_that_raises_or_returns_what_cannot_be_sent_is_lost(task, error):
    """The reason names the error without its text, which may hold data; the process goes on."""
    first, second = shown(f"show(ended([{task}, lambda: 'second'], 2))")

    assert f"0: it raised {error}" == first
    assert "second" == second


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_stops_every_task_cooperatively(number):
    """A terminal signals each process: only the parent counts it, and both processes' tasks learn of it and return."""
    assert [number, number, number] == shown(f"""
napping = forking.Barrier(3)
with handle_stop_signals() as stop:
    def nap():
        napping.wait(30)
        return asked(lambda: stop.nap(100))
    def asked(work):
        try:
            work()
        except StoppedBySignal as stopped:
            return stopped.number
    def ask():
        napping.wait(30)
        os.killpg(0, {int(number)})
        return asked(lambda: stop.nap(100))
    show(ended([nap, nap, ask], 3))
""")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_no_process_outlives_its_parent(number, code):
    """A second signal ends them all at once, as does whatever kills the parent; their output ends with them."""
    with started("""
with handle_stop_signals() as stop:
    def stuck():
        show("at work")
        try:
            stop.nap(1_000)
        except StoppedBySignal:
            show("stopping")
            time.sleep(1_000)
    ended([stuck, stuck], 2)
""") as process:
        said = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        said += [process.stdout.readline() for _ in range(2)]
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)

    assert ['"at work"\n'] * 2 + ['"stopping"\n'] * 2 == said
    assert code == process.returncode


def test_what_has_not_begun_is_left_out_once_nobody_wants_results():
    """As where the reader of a pipe has gone: what has begun ends first."""
    begun = shown("""
reading, writing = os.pipe()
discarded, discard = forking.Event(), processes._discard_pending
processes._discard_pending = lambda queue: (discard(queue), discarded.set())
def task():
    os.write(writing, b"x")
    discarded.wait(30)
results = processes.run_in_parallel([lambda: "first"] + [task] * 8, None, at_once=2)
next(results)
results.close()
os.close(writing)
show(len(os.read(reading, 100)))
""")

    assert begun <= 2  # one in each process


def test_threads_do_where_a_fork_would_copy_a_thread():
    """Whatever lock another thread holds would stay locked in the new process."""
    pids, parent = shown("""
over = threading.Event()
threading.Thread(target=over.wait).start()
show([ended([os.getpid] * 3, 2), os.getpid()])
over.set()
""")

    assert [parent] * 3 == pids


def test_threads_do_where_the_machine_takes_no_more_processes():
    """The accounts run all the same."""
    pids, parent = shown("""
def full():
    raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = full
show([ended([os.getpid] * 3, 2), os.getpid()])
""")

    assert [parent] * 3 == pids
