"""A stop is heeded at the next chance, and wakes whoever sleeps."""

import os
import resource
import signal
import threading
from contextlib import ExitStack
from datetime import timedelta

import pytest

from connectors.clock import MachineClock
from connectors.pacing import Pacer
from jobs.stopping import Stop, StoppedBySignal, stoppable
from tests.fakes import FakeClock

FOR_EVER = 100


@pytest.fixture
def stop():
    """Nobody has asked yet."""
    made = Stop()
    yield made
    made.close()


def test_until_somebody_asks_work_goes_on(stop):
    """Naps last as long as they should."""
    stop.heed()
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
        stop = Stop()
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
    pacer = Pacer(FakeClock(), 90, heed=stop.heed)
    with pacer.slot():
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
            stop.heed()

    assert before == signal.getsignal(number)
