"""A stop request takes effect at the next check of the cancel token, and wakes every sleeping thread."""

import os
import resource
import signal
import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest

from connectors.clock import MachineClock
from connectors.rate_limit import Pacer
from jobs.cancellation import StoppedBySignal, StopSignal, handle_stop_signals
from tests.fakes import FakeClock, slot

FOR_EVER = 100


@pytest.fixture
def stop():
    """Return a stop signal before any request."""
    made = StopSignal()
    yield made
    made.close()


def test_work_continues_until_a_stop_is_requested(stop):
    """Naps last their full time."""
    stop.raise_if_stop_requested()
    stop.nap(0)


def test_nap_works_with_many_open_files():
    """A service with hundreds of accounts has that many."""
    many = 1100
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as until_done:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * many), hard))
        until_done.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(many):
            until_done.callback(os.close, os.dup(0))
        stop = StopSignal()
        until_done.callback(stop.close)

        stop.nap(0)


def test_stop_wakes_every_napping_thread(stop):
    """Each learns the number of the signal."""
    woken = []

    def nap():
        with pytest.raises(StoppedBySignal) as caught:
            stop.nap(FOR_EVER)
        woken.append(caught.value.number)

    threads = [threading.Thread(target=nap, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    stop.request_graceful_stop(signal.SIGTERM)
    for thread in threads:
        thread.join(timeout=30)

    assert [signal.SIGTERM] * 3 == woken


def test_stop_ends_a_sleep_of_the_machine_clock(stop):
    """Even a sleep until the next day ends at once."""
    stop.request_graceful_stop(signal.SIGINT)
    clock = MachineClock(nap=stop.nap)

    with pytest.raises(StoppedBySignal):
        clock.sleep_until(clock.now() + timedelta(days=1))


def test_stop_prevents_new_rate_limit_slots(stop):
    """No request starts, even though the rate limit would allow it."""
    pacer = Pacer(FakeClock(), 90, cancel_token=stop.raise_if_stop_requested)
    with slot(pacer):
        stop.request_graceful_stop(signal.SIGTERM)

    with pytest.raises(StoppedBySignal):
        pacer.take_request_slot()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_requests_a_stop(number):
    """It interrupts nothing, and the previous handlers are restored afterwards."""
    before = signal.getsignal(number)
    with handle_stop_signals() as stop:
        os.kill(os.getpid(), number)

        assert number == stop.signal_number

        with pytest.raises(StoppedBySignal):
            stop.raise_if_stop_requested()

    assert before == signal.getsignal(number)


def test_quiet_time_is_that_of_the_quietest_working_thread(stop, monkeypatch):
    """Threads that are not at work do not count."""
    now = [1_000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    begun, go = threading.Barrier(2, timeout=10), threading.Event()

    def hang():
        with stop.register_working_thread():
            begun.wait()
            go.wait(10)

    thread = threading.Thread(target=hang, daemon=True)
    thread.start()
    begun.wait()
    with stop.register_working_thread():
        now[0] += 60
        stop.raise_if_stop_requested()
        quiet = stop.time_since_stop_check()
        go.set()
        thread.join(10)
        now[0] += 5
        alone = stop.time_since_stop_check()

    assert (timedelta(seconds=60), timedelta(seconds=5), timedelta()) == (quiet, alone, stop.time_since_stop_check())


def test_sighup_requests_a_stop():
    """It is handled like SIGTERM."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under `nohup`
    try:
        with handle_stop_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)

            with pytest.raises(StoppedBySignal) as caught:
                stop.nap(FOR_EVER)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert signal.SIGHUP == caught.value.number


def test_nohup_is_respected():
    """A command started under `nohup` goes on after the terminal closes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handle_stop_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            stop.nap(0)
    finally:
        signal.signal(signal.SIGHUP, before)
