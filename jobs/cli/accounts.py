"""Reads the accounts a command is pointed at."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from pydantic import BaseModel, SecretStr

from jobs.cli.exits import Exit, Failure, WrongFilesError, WrongSettingsError, failure_of
from jobs.reporting.console import AccountHeading
from jobs.settings import Invalid, Loaded, Settings, Valid, load
from jobs.settings.references import EnvFile

_log = structlog.stdlib.get_logger()
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Opened:
    """A settings file, and what was found in it."""

    file: Path
    found: Valid | Failure

    @property
    def name(self) -> str:
        """The account's, or the file's where it must not run."""
        return self.found.settings.account if isinstance(self.found, Valid) else str(self.file)

    @property
    def secrets(self) -> Iterator[str]:
        """Every secret in it."""
        return secrets_of(self.found.settings) if isinstance(self.found, Valid) else iter(())


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The settings files that are meant: files as they are, and of a folder every account's in it, by name.

    Raises:
        WrongFilesError: a folder holds none.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        found = sorted(file for file in path.iterdir() if _is_settings(file))
        if not found:
            raise WrongFilesError(f"{path}: no settings in this folder; write each account's as a file NAME.yaml")
        files += found
    return files


def _is_settings(file: Path) -> bool:
    """Whether a file of a folder is an account's; hidden ones are editors' own, and an example would send as any."""
    is_other = file.name.startswith(".") or file.stem.endswith(".example")
    return file.suffix in {".yaml", ".yml"} and not is_other and file.is_file()


def open_accounts(files: Sequence[Path], environ: Mapping[str, str] = os.environ) -> list[Opened]:
    """What is in each file; accounts that would get into each other's way must not run, none of them."""
    loaded = [(file, load(file, environ)) for file in files]
    say_what_env_files_give(each.env_file for _, each in loaded)
    opened = [_opened(file, each) for file, each in loaded]
    return [replace(each, found=clash_of(each, opened) or each.found) for each in opened]


def open_account(file: Path, environ: Mapping[str, str] = os.environ) -> Opened:
    """What is in a file."""
    loaded = load(file, environ)
    say_what_env_files_give([loaded.env_file])
    return _opened(file, loaded)


def _opened(file: Path, loaded: Loaded) -> Opened:
    found = loaded if isinstance(loaded, Valid) else failure_of(WrongSettingsError(loaded.problems))
    return Opened(file, found)


def clash_of(one: Opened, others: Sequence[Opened]) -> Failure | None:
    """Why an account cannot run beside the others, itself among them; None where it can."""
    if not isinstance(one.found, Valid):
        return None
    for other in others:
        if other is one or not isinstance(other.found, Valid):
            continue
        what = _shared_by(one.found.settings, other.found.settings)
        if what is not None:
            return Failure(f"{one.file} and {other.file} both hold {what}", Exit.CONFIGURATION)
    return None


def _shared_by(one: Settings, other: Settings) -> str | None:
    """What two accounts would overwrite for each other."""
    if one.account == other.account:
        return f"account {one.account!r}, which needs a name of its own in each"
    if state_of(one).resolve() == state_of(other).resolve():
        return "the same `state:`; write another in one of them"
    if one.metrics and other.metrics and one.metrics.resolve() == other.metrics.resolve():
        return "the same `metrics:`; write another in one of them"
    return None


def load_account(file: Path, environ: Mapping[str, str] = os.environ, *, secrets: bool = True) -> Valid:
    """The account in a configuration file; without `secrets` only to look at its state.

    Raises:
        WrongSettingsError: it must not run.
    """
    loaded = load(file, environ, secrets=secrets)
    say_what_env_files_give([loaded.env_file])
    if isinstance(loaded, Invalid):
        raise WrongSettingsError(loaded.problems)
    return loaded


def say_what_env_files_give(env_files: Iterable[EnvFile | None]) -> None:
    """Log, by name, which variables come from the `.env` beside the settings, and what is wrong with that file.

    Accounts of one folder share one, of which it is said once.
    """
    found: dict[Path, EnvFile] = {}
    taken: dict[Path, set[str]] = {}
    for each in env_files:
        if each is not None:
            found[each.path] = each
            taken.setdefault(each.path, set()).update(each.taken)
    for path, env_file in found.items():
        if taken[path]:
            _log.info(f"read from {path}: {', '.join(sorted(taken[path]))}")
        for warning in env_file.warnings:
            _log.warning(warning)


def heading_of(settings: Settings) -> AccountHeading:
    """How the account's results are told."""
    names = {conversion.id: conversion.name or conversion.id for conversion in settings.conversions}
    return AccountHeading(settings.account, settings.zone, settings.currency, names)


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
