"""Folders that only their owner may enter."""

from contextlib import suppress
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, all for their owner alone; one that is there stays as it is.

    `Path.mkdir` gives its mode to the last one only.
    """
    for each in (*reversed(folder.parents), folder):
        if each.exists():
            continue
        with suppress(FileExistsError):  # somebody was quicker
            each.mkdir(mode=0o700)
            each.chmod(0o700)  # whatever the umask
