"""Reads the accounts a command is pointed at."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, SecretStr

from jobs.reporting.account import Account
from jobs.settings import Invalid, Problem, Settings, Valid, load

_SQLITE = "sqlite:///"


class WrongSettingsError(Exception):
    """A configuration file that must not run; it holds every problem in it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep the problems; the message is all of them, a line each."""
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load_account(file: Path, environ: Mapping[str, str] = os.environ) -> Valid:
    """The account in a configuration file.

    Raises:
        WrongSettingsError: it must not run.
    """
    loaded = load(file, environ)
    if isinstance(loaded, Invalid):
        raise WrongSettingsError(loaded.problems)
    return loaded


def told(settings: Settings) -> Account:
    """How the account's results are told."""
    names = {conversion.id: conversion.name or conversion.id for conversion in settings.conversions}
    return Account(settings.account, settings.zone, settings.currency, names)


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
