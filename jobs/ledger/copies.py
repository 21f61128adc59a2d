"""Copies of a state that nothing is to be left of: for rehearsals, previews and forecasts."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from jobs.ledger.engine import copy_state, create_state

_PREFIX = "oplead-sync-copy-"


@contextmanager
def throwaway(source: Path | None = None) -> Iterator[Path]:
    """A copy of a state, or an empty one where there is none, that is gone with the block.

    Whoever is killed meanwhile leaves it to the next `sweep`; until then only its owner can read it.

    Raises:
        LedgerError: the state cannot be read.
    """
    sweep()
    with ExitStack() as stack:
        copy = stack.enter_context(_folder()) / "state.db"
        if source is None:
            create_state(copy)
        else:
            copy_state(source, copy)
        yield copy


def sweep() -> None:
    """Remove the copies of processes that died; those in use, and other users', stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            if folder.lstat().st_uid == os.getuid():
                shutil.rmtree(folder)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that is locked as long as its process lives: the system lets go of it, whatever that dies of."""
    with ExitStack() as stack:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # Somebody who sweeps may have been faster than the lock.
            with suppress(FileNotFoundError):
                stack.enter_context(_locked(folder, fcntl.LOCK_EX))
                if folder.exists():
                    break
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Raises OSError where it is no folder, or another process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
