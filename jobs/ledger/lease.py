"""One writer at a time: a lock the system releases when its holder dies, and an epoch that outlives mistakes."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from jobs.ledger.engine import open_privately


class LeaseHeldError(Exception):
    """Another run holds the account; the message says which."""


@contextmanager
def exclusive(state: Path, *, now: datetime) -> Iterator[None]:
    """Hold the account's lock while the block runs; the system lets go of it should the process die.

    Raises:
        LeaseHeldError: another process holds it.
    """
    path = state.with_name(state.name + ".lock")
    # Opened for append: opening must not wipe what the holder wrote about itself.
    with open_privately(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LeaseHeldError(f"{state}: {_holder(file.read())}") from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": now.isoformat(timespec="seconds")}))
        file.flush()
        yield


def _holder(written: str) -> str:
    try:
        holder = json.loads(written)
        return f"another run holds this account (process {holder['pid']}, since {holder['since']})"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "another run holds this account"
