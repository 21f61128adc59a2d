"""Load the accounts that a command names."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from connectors.language import Language, _, chosen_language, using_language
from jobs.exit_codes import Exit, UsageError
from jobs.logs import Log
from jobs.reporting.presentation import AccountPresentation
from jobs.settings import InvalidSettings, Loaded, Settings, ValidSettings, load
from jobs.settings.document import SUFFIXES
from jobs.settings.references import EnvFile
from jobs.settings.types import Slug, StateDatabaseAddress, StateFile

_log = Log(__name__)


@dataclass(frozen=True, slots=True)
class AccountFile:
    """An account's settings file, as loaded."""

    file: Path
    loaded: Loaded
    clash: str = ""
    """Why it cannot run beside the other accounts."""

    @property
    def settings_with_notes(self) -> ValidSettings:
        """The settings, with the notes on them.

        Raises:
            SecretsUnavailableError: they may be read again later.
            UsageError: they must not run.
        """
        if isinstance(self.loaded, InvalidSettings):
            raise invalid_settings_error(self.loaded)
        if self.clash:
            raise UsageError(self.clash)
        return self.loaded

    @property
    def settings(self) -> Settings:
        """The settings; raises as `settings_with_notes` does."""
        return self.settings_with_notes.settings

    @property
    def name(self) -> str:
        """The account's name, or the file's path if it must not run."""
        return (
            str(self.file) if isinstance(self.loaded, InvalidSettings) or self.clash else self.loaded.settings.account
        )

    @property
    def language(self) -> Language | None:
        """The language to address people in; None for the terminal's."""
        return self.loaded.language

    @property
    def secrets(self) -> Iterator[str]:
        """Every secret in the settings, so that logs can redact them."""
        return iter(()) if isinstance(self.loaded, InvalidSettings) else secrets_of(self.loaded.settings)


def find_settings_files(paths: Iterable[Path]) -> list[Path]:
    """Expand paths into settings files: a folder stands for every settings file in it, sorted by name.

    Raises:
        UsageError: a folder holds no settings file.
    """
    files: list[Path] = []
    for path in paths:
        found = sorted(file for file in path.iterdir() if _is_settings(file)) if path.is_dir() else [path]
        if not found:
            raise UsageError(
                _("{path}: no settings in this folder; write each account's as a file NAME.yaml", path=path)
            )
        files += found
    return files


def _is_settings(file: Path) -> bool:
    """Whether a file is an account's settings; excludes editors' hidden files, and examples, which would send too."""
    is_other = file.name.startswith(".") or file.stem.endswith(".example")
    return file.suffix in SUFFIXES and not is_other and file.is_file()


def load_accounts(
    files: Sequence[Path], environ: Mapping[str, str] = os.environ, *, secrets: bool = True, in_fleet: bool = False
) -> list[AccountFile]:
    """Load each file; accounts that would interfere with each other must not run.

    Without `secrets`, the settings serve only to read the accounts' states, or to store them.
    """
    accounts = [AccountFile(file, load(file, environ, secrets=secrets, in_fleet=in_fleet)) for file in files]
    with using_language(chosen_language() or common_language(accounts)):
        log_env_files(each.loaded.env_file for each in accounts)
    return [replace(each, clash=account_conflict(each, accounts)) for each in accounts]


def speaking_account_language(account: AccountFile, *, json_wanted: bool) -> AbstractContextManager[None]:
    """Speak the account's language in the block, or English for a program."""
    return using_language(Language.ENGLISH if json_wanted else account.language)


def common_language(accounts: Iterable[AccountFile]) -> Language | None:
    """Return the accounts' language for what is said of all of them; None, for the terminal's, if they differ."""
    languages = {account.language for account in accounts}
    return languages.pop() if len(languages) == 1 else None


def load_account(file: Path, environ: Mapping[str, str] = os.environ, *, secrets: bool = True) -> AccountFile:
    """Load one file as `load_accounts` does."""
    return load_accounts([file], environ, secrets=secrets)[0]


@contextmanager
def reading_settings(file: Path, *, json_wanted: bool) -> Iterator[Settings]:
    """Yield the settings by which to read an account's state, and speak its language, or English for a program.

    Raises:
        UsageError: they must not run.
    """
    account = load_account(file, secrets=False)
    with speaking_account_language(account, json_wanted=json_wanted):
        yield account.settings


def load_stored_account(
    name: str, text: str, folder: Path, environ: Mapping[str, str] = os.environ, *, secrets: bool = True
) -> AccountFile:
    """Load settings that a fleet has stored, as if their file were in `folder`.

    With `secrets`, an account that names another one's must not run.
    """
    file = folder / f"{name}.yaml"
    return AccountFile(file, load(file, environ, secrets=secrets, text=text, in_fleet=secrets))


class SecretsUnavailableError(UsageError):
    """The secrets command failed, and nothing else is wrong with the settings: they may be read again later."""

    exit_code = Exit.HELD


def invalid_settings_error(invalid: InvalidSettings) -> UsageError:
    """Return the error that lists the problems, one a line."""
    said = "\n".join(map(str, invalid.problems))
    return SecretsUnavailableError(said) if invalid.may_pass else UsageError(said)


def account_conflict(one: AccountFile, others: Iterable[AccountFile]) -> str:
    """Return why an account cannot run beside the others, or nothing; `others` may include the account itself."""
    for other in others:
        if other is one or not isinstance(one.loaded, ValidSettings) or not isinstance(other.loaded, ValidSettings):
            continue
        if shared := _shared_by(one.loaded.settings, other.loaded.settings):
            return _("{one} and {other} both have {shared}", one=one.file, other=other.file, shared=shared)
    return ""


def _shared_by(one: Settings, other: Settings) -> str | None:
    """Return what two accounts share and would overwrite, or None."""
    if one.account == other.account:
        return _("account {account!r}, which needs a name of its own in each", account=one.account)
    if isinstance(one.state, StateFile) and one.state == other.state:
        return _("the same `state:`; write another in one of them")
    if one.metrics and other.metrics and one.metrics.resolve() == other.metrics.resolve():
        return _("the same `metrics:`; write another in one of them")
    return None


def expect_account_name(name: str) -> None:
    """Return if an account can have this name.

    Raises:
        UsageError: none can.
    """
    try:
        TypeAdapter(Slug).validate_python(name)
    except ValidationError as error:
        # As a text of Python: it may hold what no terminal can show.
        raise UsageError(f"{name!a}: {error.errors()[0]['ctx']['error']}") from None


def log_env_files(env_files: Iterable[EnvFile | None]) -> None:
    """Log the names of the variables taken from each `.env`, and any problems with the file, in the reader's language.

    An `.env` shared by several accounts is logged once.
    """
    taken: dict[Path, set[str]] = {}
    warnings: dict[Path, Iterable[str]] = {}
    for each in filter(None, env_files):
        taken.setdefault(each.path, set()).update(each.taken)
        warnings[each.path] = each.warnings
    for path, names in taken.items():
        if names:
            _log.info(_("read from {path}: {names}", path=path, names=", ".join(sorted(names))))
        for warning in warnings[path]:
            _log.warning(warning)


def presentation_of_account(settings: Settings, file: Path) -> AccountPresentation:
    """Return what reports need to present the results of the account that `file` describes."""
    names, money, starts = settings.conversion_names, settings.currency, settings.configured_starts
    return AccountPresentation(settings.account, settings.zone, money, names, file, settings.language, starts)


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """Yield every secret in the settings, so that logs can redact them."""
    for _name, value in settings:
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, SecretStr):
                yield each.get_secret_value()
            elif isinstance(each, StateDatabaseAddress):
                yield from each.secrets
            elif isinstance(each, BaseModel):
                yield from secrets_of(each)
