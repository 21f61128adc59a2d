"""Reads the accounts a command is pointed at."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, SecretStr

from jobs.settings import Invalid, Settings, Valid, load

_SQLITE = "sqlite:///"


def load_account(file: Path, environ: Mapping[str, str] = os.environ) -> Valid | Invalid:
    """The account in a configuration file, or everything that is wrong with it."""
    return load(file, environ)


def state_of(settings: Settings) -> Path:
    """Where the account's state lies."""
    if settings.state is None:
        raise ValueError("settings read from a file always name their state")
    return Path(settings.state.removeprefix(_SQLITE))


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """Every secret the settings hold, for logs to leave out."""
    for _, value in settings:
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, SecretStr):
                yield each.get_secret_value()
            elif isinstance(each, BaseModel):
                yield from secrets_of(each)
