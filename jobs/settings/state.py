"""Where an account's ledger lies."""

from pathlib import Path

_SQLITE = "sqlite:///"


def state_address(state: str | None, *, account: str, folder: Path) -> str:
    """The ledger's address with an absolute path; without one given, `ACCOUNT.db` in `folder`.

    A relative path starts at `folder`, the configuration file's, never at the working directory: a night
    started from elsewhere must not begin an empty ledger and send everything again.

    Raises:
        ValueError: it is no SQLite file.
    """
    if state is None:
        return f"{_SQLITE}{(folder / f'{account}.db').resolve()}"
    if state.startswith("postgres"):
        raise ValueError("PostgreSQL is not available yet; write sqlite:///path/to/file.db")
    path = state.removeprefix(_SQLITE)
    if path == state or path.endswith("/") or not path.strip():
        raise ValueError("write sqlite:/// and the path of a file, as sqlite:///state/account.db")
    if path.startswith(":memory:") or not path.isprintable() or set(path) & set("?#%"):
        raise ValueError("the ledger is a plain file: take :memory:, ?, # and % out of its path")
    return f"{_SQLITE}{(folder / path).resolve()}"
