"""Notices a sandbox whose clock stands still, before anything waits for a minute that would never pass there."""

from datetime import timedelta

from connectors.errors import Misconfigured
from connectors.host_names import is_loopback
from connectors.oplead.client import Answer
from connectors.oplead.probe.asking import Asker
from connectors.ports import Clock

_FAR_AWAY = timedelta(minutes=10)
"""No platform's clock is as wrong as that by accident."""
_PAUSE = timedelta(seconds=2)
"""A Date header tells whole seconds: one that ticks has changed by then."""
_LOOKS = 2


def refuse_standing_clock(asker: Asker, answer: Answer, clock: Clock) -> None:
    """Where a server on this machine is far from now, see over several answers that its clock goes on.

    Raises:
        Misconfigured: it does not.
    """
    first = answer.served_at
    if first is None or not is_loopback(asker.host) or abs(first - clock.now()) <= _FAR_AWAY:
        return
    for _ in range(_LOOKS):
        clock.sleep_until(clock.now() + _PAUSE)
        again = asker.list({})
        if not isinstance(again, Answer) or again.served_at != first:
            return
    raise Misconfigured(
        f"this sandbox's clock stands still at {first:%Y-%m-%d %H:%M:%S} UTC, so a minute's pause would never end "
        "there: give its clock's address, as --clock URL on the command line or as clock: URL in the settings file"
    )
