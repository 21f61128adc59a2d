"""A call that is waited for no longer than it may take, whatever a library does meanwhile."""

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

Answer = TypeVar("Answer")


def bounded(call: Callable[[], Answer], seconds: float) -> Answer:
    """What the call returns or raises, where it does so within `seconds`.

    A call that takes longer goes on in a thread of its own, which does not keep the process from ending.

    Raises:
        TimeoutError: it has not come back.
    """
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def make() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)

    thread = Thread(target=make, daemon=True)
    thread.start()
    thread.join(seconds)
    # Looked at in this order: a call that ends just now has left its answer before its thread is over.
    if errors:
        raise errors[0]
    if answers:
        return answers[0]
    raise TimeoutError
