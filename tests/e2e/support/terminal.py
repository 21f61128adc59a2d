"""The installed command at a pseudo-terminal: what it asks is waited for, and what a person types is typed."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

COMMAND = Path(sys.executable).with_name("oplead-sync")
PATIENCE = 20  # seconds for each question, and for the end
_PART = 65_536
_ANY_QUESTION = re.compile(r"[^\n]+: \Z")


class Terminal:
    """What one command shows, and the keyboard before it."""

    def __init__(self, leader, process):
        """Read what the process writes to the other end."""
        self._leader, self._process, self.screen, self._seen = leader, process, "", 0

    def answer(self, question, typed):
        """Type a line once this question is the last thing on the screen, waiting for what is typed."""
        until, asked = time.monotonic() + PATIENCE, re.compile(f"{re.escape(question)}[^\n]*: \\Z")
        while not (found := asked.search(self.screen, self._seen)):
            if not self._read(until - time.monotonic()):
                raise AssertionError(f"“{question}” was never asked:\n{self.screen[self._seen :]}")
        self._seen = found.end()
        os.write(self._leader, f"{typed}\n".encode())

    def type_ahead(self, typed):
        """Type a line without waiting for any question."""
        os.write(self._leader, f"{typed}\n".encode())

    def answer_all(self, typed, *, most=None):
        """Type a line to each question, until the command ends or `most` were asked.

        Args:
            typed: what is typed, or what says it of a question.
            most: how many questions to wait for.

        Returns:
            The exit code, None if it has not ended, and the questions.
        """
        asked, until = [], time.monotonic() + PATIENCE
        while self._read(until - time.monotonic()):
            if found := _ANY_QUESTION.search(self.screen, self._seen):
                asked.append(self.screen[self._seen :].strip())
                if len(asked) == most:
                    return None, asked
                self._seen = found.end()
                os.write(self._leader, f"{typed(asked[-1]) if callable(typed) else typed}\n".encode())
                until = time.monotonic() + PATIENCE
        return self._process.wait(timeout=PATIENCE), asked

    def kill(self):
        """End the command at once."""
        self._process.kill()
        self._process.wait(timeout=PATIENCE)

    def end(self):
        """Read on until the command ends, and return its exit code."""
        until = time.monotonic() + PATIENCE
        while self._read(until - time.monotonic()):
            pass
        return self._process.wait(timeout=PATIENCE)

    def _read(self, seconds):
        """Read what comes within some seconds; false if nothing does, or the command has closed its end."""
        # `select.select` refuses the high file numbers that many tests in one process lead to.
        waiting = select.poll()
        waiting.register(self._leader, select.POLLIN)
        if not waiting.poll(max(0, seconds) * 1000):
            return False
        try:
            part = os.read(self._leader, _PART)
        except OSError:  # how Linux reports that the other end is closed
            return False
        text = part.decode(errors="replace").replace("\r\n", "\n").replace("\u202f", " ").replace("\xa0", " ")
        self.screen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
        return bool(part)


@contextmanager
def terminal(*arguments, environ):
    """Type a command at a terminal of 200 columns."""
    leader, follower = pty.openpty()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    process = subprocess.Popen(
        [COMMAND, *arguments],
        env=kept | {"TERM": "xterm", "COLUMNS": "200"} | environ,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    try:
        yield Terminal(leader, process)
    finally:
        os.close(leader)
        process.kill()
        process.wait(timeout=PATIENCE)
