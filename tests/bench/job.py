"""Runs `oplead-sync` with a clock that jumps; its arguments are HOURS, LAPSE and those of the command.

The clock is the machine's, ahead by HOURS. With LAPSE 0 a sleep takes no time and moves the clock; otherwise the clock
runs LAPSE times as fast, sleeps included. With `-` for HOURS the clock is left alone, and nothing is loaded for it.
"""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta


def replace_clock(ahead, lapse):
    """Have every machine clock of this process tell another time."""
    from connectors.clock import MachineClock  # noqa: PLC0415 - loading must not cost a command that needs no clock

    began, start = time.monotonic(), datetime.now(UTC) + ahead
    slept, lock = timedelta(), threading.Lock()

    def now(_clock):
        return start + timedelta(seconds=(time.monotonic() - began) * (lapse or 1)) + slept

    def sleep_until(clock, moment):
        nonlocal slept
        if lapse:
            time.sleep(max(0.0, (moment - now(clock)).total_seconds() / lapse))
            return
        with lock:
            slept += max(timedelta(), moment - now(clock))

    MachineClock.now, MachineClock.sleep_until = now, sleep_until


if __name__ == "__main__":
    hours, lapse, *arguments = sys.argv[1:]
    if hours != "-":
        replace_clock(timedelta(hours=float(hours)), float(lapse))
    from jobs.cli import main

    sys.argv = ["oplead-sync", *arguments]
    sys.exit(main())
