"""Which secrets an account of a fleet may name: its own, and those that the fleet's owner lists for all."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.language import _

SHARED = "OPLEAD_SYNC_SHARED_SECRETS"
FOLDER = "OPLEAD_SYNC_SECRETS_FOLDER"
_SIGNS = re.compile(r"[^A-Z0-9]+")


def secrets_prefix(account: str) -> str:
    """Return what the names of an account's variables begin with, which no other account's do, and no shell refuses.

    Two underscores end it and stand nowhere else in it: `acme` has nothing of `acme-lyon`. Names that differ in their
    signs alone have the same.
    """
    name = _SIGNS.sub("_", account.upper()).strip("_")
    return f"{'_' if name[:1].isdigit() else ''}{name}__"


@dataclass(frozen=True, slots=True)
class AccountSecrets:
    """The secrets that one account of a fleet may name."""

    account: str
    folder: Path
    """Where its files are."""
    shared: frozenset[str] = frozenset()
    """Variables, and paths of files, that all accounts may name."""

    def refuse_foreign_variable(self, name: str) -> None:
        """Return if the account may name a variable.

        Raises:
            ValueError: it may not.
        """
        if not name.startswith(secrets_prefix(self.account)) and name not in self.shared:
            raise self._foreign(name)

    def refuse_foreign_file(self, path: Path) -> None:
        """Return if the account may name a file; links in its folder are the owner's, and may lead anywhere.

        Raises:
            ValueError: it may not.
        """
        normal = _absolute(path)
        if not Path(normal).is_relative_to(self.folder) and normal not in self.shared:
            raise self._foreign(_("the file named here"))

    def _foreign(self, name: str) -> ValueError:
        return ValueError(
            _(
                "{name} does not belong to {account}: in a fleet, this account may name variables that begin with "
                "{prefix} and files in {folder}. Rename it, or, if accounts share it, list it in {shared} where "
                "accounts are added and on each worker",
                name=name,
                account=self.account,
                prefix=secrets_prefix(self.account),
                folder=self.folder,
                shared=SHARED,
            )
        )


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - `Path` keeps `..`


def account_secrets(account: str, environ: Mapping[str, str], folder: Path) -> AccountSecrets:
    """Return what an account may name; without `OPLEAD_SYNC_SECRETS_FOLDER`, its files are in a folder below this one.

    Args:
        account: its name.
        environ: the variables in which the fleet's owner says so.
        folder: where relative paths start.
    """
    shared = (each.strip() for each in environ.get(SHARED, "").split(","))
    own = _absolute(folder / environ.get(FOLDER, "") / account)
    return AccountSecrets(account, Path(own), frozenset(filter(None, shared)))
