"""Asks a command of the operator's, such as a vault's, for a secret that no variable or file holds."""

import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from connectors.language import _

VARIABLE = "OPLEAD_SYNC_SECRETS_COMMAND"
SECONDS = 20.0
"""How long the command may take."""
_POLL_SECONDS = 0.02


class SecretsCommandFailedError(ValueError):
    """The command failed, as it does while its vault is away: it may be asked again later."""


class _SecretsTimeoutError(SecretsCommandFailedError):
    """The command took too long; it would for any other name too."""


@dataclass(frozen=True, slots=True)
class SecretsCommand:
    """Asks the command once for each name, however often settings refer to it; keep one while they are read."""

    _said: dict[str, str | None] = field(default_factory=dict, init=False, repr=False)
    _failed: dict[str, SecretsCommandFailedError] = field(default_factory=dict, init=False, repr=False)

    def fetch_secret(self, name: str, environ: Mapping[str, str], *, limit: int) -> str | None:
        """Return what the command named by the environment says for a secret's name; None if it names no command.

        Args:
            name: the reference's name, which becomes the command's last argument.
            environ: the command's environment, which also names it.
            limit: the most bytes that it may say.

        Raises:
            SecretsCommandFailedError: it failed or took too long; no message of these ever holds what it said.
            ValueError: it cannot be run, or printed too much.
        """
        if name not in self._said:
            # After one that took too long, no other is waited for.
            took_too_long = (error for error in self._failed.values() if isinstance(error, _SecretsTimeoutError))
            if (failed := self._failed.get(name) or next(took_too_long, None)) is not None:
                raise failed
            try:
                self._said[name] = _ask(name, environ, limit)
            except SecretsCommandFailedError as error:
                self._failed[name] = error
                raise
        return self._said[name]

    def has_secret(self, name: str) -> bool:
        """Whether it had an answer for a name."""
        return self._said.get(name) is not None

    def is_own_failure(self, problem: str) -> bool:
        """Whether a problem is that it failed, which may pass by itself."""
        return any(problem == str(error) for error in self._failed.values())


def _ask(name: str, environ: Mapping[str, str], limit: int) -> str | None:
    if not (written := environ.get(VARIABLE, "").strip()):
        return None
    try:
        words = shlex.split(written)
    except ValueError:
        raise ValueError(_("{variable}: close every quote in it", variable=VARIABLE)) from None
    return _said([*words, name], name, environ, limit).decode(errors="replace").removesuffix("\n").removesuffix("\r")


def _said(command: Sequence[str], name: str, environ: Mapping[str, str], limit: int) -> bytes:
    try:
        # What it writes to stderr may quote the secret. In a session of its own, its children end with it.
        process = subprocess.Popen(  # noqa: S603 - the operator's own, and no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ValueError(_("{variable}: the command cannot be run ({why})", variable=VARIABLE, why=why)) from None
    with process:
        try:
            said = _read(process, limit, time.monotonic() + SECONDS)
        except subprocess.TimeoutExpired:
            raise _SecretsTimeoutError(
                _(
                    "{variable}: asked for {name}, the command did not end within {seconds} seconds",
                    variable=VARIABLE,
                    name=name,
                    seconds=round(SECONDS),
                )
            ) from None
        finally:
            # Its children too, which may outlive it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if len(said) > limit:
        raise ValueError(_("{variable}: asked for {name}, the command printed too much", variable=VARIABLE, name=name))
    if code := process.returncode:
        raise SecretsCommandFailedError(
            _("{variable}: asked for {name}, the command ended with {code}", variable=VARIABLE, name=name, code=code)
        )
    return said


def _read(process: subprocess.Popen[bytes], limit: int, until: float) -> bytes:
    """Return what the process says until it ends, cut off shortly after `limit` bytes.

    Raises:
        TimeoutExpired: it has not ended in time.
    """
    said = b""
    if process.stdout is None:
        raise AssertionError("a pipe, as it was asked for")
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(said) <= limit:
            # A child left behind may hold the output open: what the command itself said is there once it has ended.
            has_ended = process.poll() is not None
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(process.args, SECONDS)
            if selector.select(0 if has_ended else _POLL_SECONDS):
                if not (part := os.read(process.stdout.fileno(), limit + 1)):
                    process.wait(max(0.0, until - time.monotonic()))
                    break
                said += part
            elif has_ended:
                break
    return said
