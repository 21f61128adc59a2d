"""Load the accounts that a command names."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from pydantic import BaseModel, SecretStr

from jobs.cli.exits import Exit, Failure, UsageError
from jobs.reporting.console import AccountHeading
from jobs.settings import Invalid, Settings, Valid, load
from jobs.settings.references import EnvFile

_log = structlog.stdlib.get_logger()
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Opened:
    """A settings file that was loaded, or that failed to load."""

    file: Path
    found: Valid | Failure

    @property
    def name(self) -> str:
        """The account's name, or the file's path if it must not run."""
        return self.found.settings.account if isinstance(self.found, Valid) else str(self.file)

    @property
    def secrets(self) -> Iterator[str]:
        """Every secret in the settings."""
        return secrets_of(self.found.settings) if isinstance(self.found, Valid) else iter(())


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Expand paths into settings files: a folder stands for every settings file in it, sorted by name.

    Raises:
        UsageError: a folder holds no settings file.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(file for file in path.iterdir() if _is_settings(file)) if path.is_dir() else [path]
        if not found:
            raise UsageError(f"{path}: no settings in this folder; write each account's as a file NAME.yaml")
        files += found
    return files


def _is_settings(file: Path) -> bool:
    """Whether a file is an account's settings; excludes editors' hidden files, and examples, which would send too."""
    is_other = file.name.startswith(".") or file.stem.endswith(".example")
    return file.suffix in {".yaml", ".yml"} and not is_other and file.is_file()


def open_accounts(files: Sequence[Path], environ: Mapping[str, str] = os.environ) -> list[Opened]:
    """Load each file; accounts that would interfere with each other all become failures."""
    opened = _opened(files, environ)
    return [replace(each, found=clash_of(each, opened) or each.found) for each in opened]


def open_account(file: Path, environ: Mapping[str, str] = os.environ) -> Opened:
    """Load one file."""
    return _opened([file], environ)[0]


def _opened(files: Sequence[Path], environ: Mapping[str, str]) -> list[Opened]:
    loaded = [load(file, environ) for file in files]
    log_env_files(each.env_file for each in loaded)
    return [
        Opened(file, Failure(problems_of(each), Exit.CONFIGURATION) if isinstance(each, Invalid) else each)
        for file, each in zip(files, loaded, strict=True)
    ]


def load_account(file: Path, environ: Mapping[str, str] = os.environ, *, secrets: bool = True) -> Settings:
    """Load one account's settings; without `secrets`, they serve only to read its state.

    Raises:
        UsageError: the settings are invalid.
    """
    loaded = load(file, environ, secrets=secrets)
    log_env_files([loaded.env_file])
    if isinstance(loaded, Invalid):
        raise UsageError(problems_of(loaded))
    return loaded.settings


def problems_of(invalid: Invalid) -> str:
    """List the problems, one a line."""
    return "\n".join(map(str, invalid.problems))


def clash_of(one: Opened, others: Sequence[Opened]) -> Failure | None:
    """Return why an account cannot run beside the others, or None; `others` may include the account itself."""
    for other in others:
        if other is one or not isinstance(one.found, Valid) or not isinstance(other.found, Valid):
            continue
        if shared := _shared_by(one.found.settings, other.found.settings):
            return Failure(f"{one.file} and {other.file} both have {shared}", Exit.CONFIGURATION)
    return None


def _shared_by(one: Settings, other: Settings) -> str | None:
    """Return what two accounts share and would overwrite, or None."""
    if one.account == other.account:
        return f"account {one.account!r}, which needs a name of its own in each"
    if state_of(one).resolve() == state_of(other).resolve():
        return "the same `state:`; write another in one of them"
    if one.metrics and other.metrics and one.metrics.resolve() == other.metrics.resolve():
        return "the same `metrics:`; write another in one of them"
    return None


def log_env_files(env_files: Iterable[EnvFile | None]) -> None:
    """Log the names of the variables taken from each `.env`, and any problems with the file.

    An `.env` shared by several accounts is logged once.
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
    """Return what reports need to present an account's results."""
    names = {conversion.id: conversion.name or conversion.id for conversion in settings.conversions}
    return AccountHeading(settings.account, settings.zone, settings.currency, names)


def state_of(settings: Settings) -> Path:
    """Return the path of the account's state."""
    if settings.state is None:
        raise ValueError("settings read from a file always name their state")
    return Path(settings.state.removeprefix(_SQLITE))


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """Yield every secret in the settings, so that logs can redact them."""
    for _, value in settings:
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, SecretStr):
                yield each.get_secret_value()
            elif isinstance(each, BaseModel):
                yield from secrets_of(each)
