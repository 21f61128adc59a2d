"""The receiver as a process of its own, which can be killed and started anew."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from jobs.webhooks.file_inbox import WebhookInboxFile
from tests.e2e.support.forked import Forked
from tests.e2e.support.typed import documented

COMMAND = Path(sys.executable).with_name("oplead-sync")
SECRET = "0123456789abcdef0123456789abcdef"
PATIENCE = 60


class ReceiverProcess:
    """`oplead webhooks serve` on one settings file; in a block it is started, and killed at the end if still there."""

    def __init__(self, folder, *, account="maison-test", state=None, **webhooks):
        """Write the settings; nothing runs yet."""
        self.folder = folder
        self.port = free_port()
        keys = {"secret": "${HOOK}", "listen": f'"127.0.0.1:{self.port}"', **webhooks}
        folder.mkdir(exist_ok=True)
        self.settings = folder / f"{account}.yaml"
        self.settings.write_text(
            f"account: {account}\noplead: {{ token: '${{OPLEAD_TOKEN}}' }}\n"
            + ("state: ${DATABASE}\n" if state else "")
            + "webhooks:\n"
            + "".join(f"  {key}: {value}\n" for key, value in keys.items())
        )
        self.inbox = folder / f"{account}.inbox.db"
        self.environ = {"PATH": os.environ["PATH"], "OPLEAD_TOKEN": "token-of-oplead", "HOOK": SECRET}
        self.environ |= {"DATABASE": state} if state else {}
        self.log = ""
        """What it has logged, once it has ended."""
        self._process = None

    def __enter__(self):
        return self if self._process else self.start()

    def __exit__(self, *_):
        if self._process.poll() is None:
            self.kill()

    def start(self, *more, command=None):
        """Start it and wait until it listens: forked from a loaded process, or anew by another command."""
        arguments = ["oplead", "webhooks", "serve", "--json", "--config", str(self.settings), *map(str, more)]
        if command is None:
            self._process = Forked(arguments, environ=self.environ, cwd=self.folder)
        else:
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            self._process = subprocess.Popen([*command, *arguments], env=self.environ, cwd=self.folder, **pipes)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE):
                return self
            time.sleep(0.02)
        raise AssertionError(self._process.communicate(timeout=PATIENCE))

    def kill(self):
        """Kill it as a power cut would."""
        self._process.kill()
        self._end()

    def stop(self, number=signal.SIGTERM):
        """Ask it to stop; return its exit code and what it printed."""
        self._process.send_signal(number)
        said = self._end()
        return self._process.returncode, [documented(line) for line in said.splitlines()]

    def ended(self):
        """Wait until it has ended by itself; return its exit code and what it has logged."""
        self._end()
        return self._process.returncode, self.log

    def _end(self):
        said, log = self._process.communicate(timeout=PATIENCE)
        self.log += log
        return said

    @property
    def peak_memory(self):
        """The most memory it has used, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    @property
    def cpu_seconds(self):
        """The processor time it has used."""
        user, system = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stored(self):
        """The lead of every stored event."""
        with closing(WebhookInboxFile(self.inbox).open_inbox_for_reading()) as inbox:
            rows = inbox._connection.execute("SELECT lead FROM event ORDER BY id").fetchall()
        return [lead for (lead,) in rows]

    def events_of(self, leads):
        """The stored events of these leads, by lead, as a night reads them."""
        with closing(WebhookInboxFile(self.inbox).open_inbox_for_reading()) as inbox:
            return inbox.webhook_events_of(leads)


def free_port():
    """A port on which nothing listens now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
