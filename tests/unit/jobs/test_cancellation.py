"""A stop is heeded at the next chance, and wakes whoever sleeps."""

import os
import resource
import signal
import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest

from connectors.clock import MachineClock
from connectors.rate_limit import Pacer
from jobs.cancellation import StoppedBySignal, StopSignal, stoppable
from tests.fakes import FakeClock, slot

FOR_EVER = 100


@pytest.fixture
def stop():
    """Nobody has asked yet."""
    made = StopSignal()
    yield made
    made.close()


def test_until_somebody_asks_work_goes_on(stop):
    """Naps last as long as they should."""
    stop.cancel_token()
    stop.nap(0)


def test_who_has_many_files_open_naps_too():
    """A service with hundreds of accounts has."""
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


def test_every_thread_that_naps_wakes(stop):
    """And each is told by which signal."""
    woken = []

    def nap():
        with pytest.raises(StoppedBySignal) as caught:
            stop.nap(FOR_EVER)
        woken.append(caught.value.number)

    threads = [threading.Thread(target=nap, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    stop.ask(signal.SIGTERM)
    for thread in threads:
        thread.join(timeout=30)

    assert [signal.SIGTERM] * 3 == woken


def test_the_machines_clock_sleeps_no_longer(stop):
    """Whoever waits until tomorrow is woken, and stopped."""
    stop.ask(signal.SIGINT)
    clock = MachineClock(nap=stop.nap)

    with pytest.raises(StoppedBySignal):
        clock.sleep_until(clock.now() + timedelta(days=1))


def test_no_slot_is_given_any_more(stop):
    """So that no request begins, though there is room for it."""
    pacer = Pacer(FakeClock(), 90, cancel_token=stop.cancel_token)
    with slot(pacer):
        stop.ask(signal.SIGTERM)

    with pytest.raises(StoppedBySignal):
        pacer.take()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks(number):
    """It interrupts nothing; afterwards signals mean what they meant before."""
    before = signal.getsignal(number)
    with stoppable() as stop:
        os.kill(os.getpid(), number)

        assert number == stop.number

        with pytest.raises(StoppedBySignal):
            stop.cancel_token()

    assert before == signal.getsignal(number)


def test_how_long_work_has_been_quiet_is_known(stop, monkeypatch):
    """It is the quietest thread's, and only while it is at work."""
    now = [1_000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    begun, go = threading.Barrier(2, timeout=10), threading.Event()

    def hang():
        with stop.at_work():
            begun.wait()
            go.wait(10)

    thread = threading.Thread(target=hang, daemon=True)
    thread.start()
    begun.wait()
    with stop.at_work():
        now[0] += 60
        stop.cancel_token()
        quiet = stop.quiet_for()
        go.set()
        thread.join(10)
        now[0] += 5
        alone = stop.quiet_for()

    assert (timedelta(seconds=60), timedelta(seconds=5), timedelta()) == (quiet, alone, stop.quiet_for())


def test_a_terminal_that_hangs_up_asks_to_stop():
    """SIGHUP is a stop like SIGTERM."""
    with stoppable() as stop:
        os.kill(os.getpid(), signal.SIGHUP)

        with pytest.raises(StoppedBySignal) as caught:
            stop.nap(FOR_EVER)

    assert signal.SIGHUP == caught.value.number


def test_nohup_is_respected():
    """Whoever started the command wants it to go on."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            stop.nap(0)
    finally:
        signal.signal(signal.SIGHUP, before)
