"""Asks a command of the operator's, such as a vault's, for a secret that no variable or file holds."""

import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from connectors.language import _

VARIABLE = "OPLEAD_SYNC_SECRETS_COMMAND"
SECONDS = 20.0
"""How long the command may take."""


def ask_command(name: str, environ: Mapping[str, str], *, limit: int) -> str | None:
    """Return what the command named by the environment says for a secret's name; None if the environment names none.

    Args:
        name: the reference's name, which becomes the command's last argument.
        environ: the command's environment, which also names it.
        limit: the most bytes that it may say.

    Raises:
        ValueError: it cannot be run, failed, said too much or took too long; the message never holds what it said.
    """
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
    until = time.monotonic() + SECONDS
    with process:
        try:
            said = _read(process, limit, until)
            code = process.wait(max(0.0, until - time.monotonic())) if len(said) <= limit else None
        except subprocess.TimeoutExpired:
            raise ValueError(
                _(
                    "{variable}: asked for {name}, the command did not end within {seconds} seconds",
                    variable=VARIABLE,
                    name=name,
                    seconds=round(SECONDS),
                )
            ) from None
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if code is None:
        raise ValueError(_("{variable}: asked for {name}, the command said too much", variable=VARIABLE, name=name))
    if code != 0:
        raise ValueError(
            _("{variable}: asked for {name}, the command ended with {code}", variable=VARIABLE, name=name, code=code)
        )
    return said


def _read(process: subprocess.Popen[bytes], limit: int, until: float) -> bytes:
    """Return what the process says, cut off shortly after `limit` bytes.

    Raises:
        TimeoutExpired: it has not said it all in time.
    """
    said = b""
    if process.stdout is None:
        raise AssertionError("a pipe, as it was asked for")
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(said) <= limit:
            if not selector.select(max(0.0, until - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, SECONDS)
            if not (part := os.read(process.stdout.fileno(), limit + 1)):
                break
            said += part
    return said
