"""How much of the allowed rate a list reaches that answers slowly, in a time-lapse."""

from tests.bench.account import RATE, Account
from tests.bench.nights import forget, night

LATENCY = 1.5
"""Seconds an answer."""


def share_of_rate(arrivals, lapse):
    """The share of the rate, in percent, from the times of requests in real seconds.

    Slots come back a minute after they were used, so whole rounds of slots are counted, without the first: in it,
    nothing has to wait yet. Where there is not even a second round, no slot was waited for.
    """
    rounds = (len(arrivals) - 1) // RATE
    first, last = (RATE, rounds * RATE) if rounds > 1 else (0, len(arrivals) - 1)
    minutes = (arrivals[last] - arrivals[first]) * lapse / 60
    return 100 * (last - first) / minutes / RATE


class Pace:
    """A night that reads a list with one lead a page."""

    keys = ("pace",)

    def __init__(self, program, platforms, folder, size):
        self.program, self.platforms, self.lapse = program, platforms, size.lapse
        milliseconds = (round(1_000 * seconds / size.lapse) for seconds in (LATENCY, 60 * size.minutes))
        self.account = Account(folder, platforms).write("slow-{}-{}".format(*milliseconds), page=1)

    def measure(self):
        """Yield the figure by its key."""
        forget(self.account)
        night(self.program, self.account, "--first-run", lapse=self.lapse)
        arrivals = self.platforms.get("/arrivals")
        yield "pace", share_of_rate(arrivals, self.lapse)
