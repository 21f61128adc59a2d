"""Seeded randomness that every Python version rolls alike."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """Rolls the same sequence for the same seed, on any Python and platform.

    Only `random()` keeps its sequence across Python versions, so everything here is made from it:
    https://docs.python.org/3/library/random.html#notes-on-reproducibility
    """

    __slots__ = ("_random",)

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random  # noqa: S311 - it must be repeatable, not secret

    def below(self, bound: int) -> int:
        """An integer from 0 up to, not including, `bound`."""
        return int(self._random() * bound)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick(self, options: Sequence[Item]) -> Item:
        """One of the options, each as likely as the next."""
        return options[self.below(len(options))]

    def text(self, alphabet: str, length: int) -> str:
        """`length` characters of the alphabet."""
        return "".join(self.pick(alphabet) for _ in range(length))

    def weighted(self, cumulative: Sequence[int]) -> int:
        """An index, as likely as its part of the running totals (`itertools.accumulate`)."""
        return bisect_right(cumulative, self.below(cumulative[-1]))

    def shuffled(self, items: Iterable[Item]) -> list[Item]:
        """The items in a random order."""
        deck = list(items)
        for last in range(len(deck) - 1, 0, -1):
            other = self.below(last + 1)
            deck[last], deck[other] = deck[other], deck[last]
        return deck

    def deal(self, shares: Mapping[str, int], count: int) -> list[str]:
        """`count` names in a random order, each as often as its share says, to within one."""
        return self.shuffled(name for name, times in apportion(shares, count).items() for _ in range(times))


def apportion(shares: Mapping[str, int], count: int) -> dict[str, int]:
    """How many of `count` each share gets, adding up to `count`: the largest remainders round up."""
    total = sum(shares.values())
    seats = {name: share * count // total for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: -(shares[name] * count % total))
    for name in by_remainder[: count - sum(seats.values())]:
        seats[name] += 1
    return seats
