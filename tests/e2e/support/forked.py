"""Processes that need not load the libraries again: each is forked from one that has, and does nothing else.

Each is still a real process: it has its own memory, environment, output, signals and exit code, and can be killed.
"""

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from jobs.nightly import run_night
from jobs.run_context import Deps, RunContext
from tests.builders import GOOGLE, REACH, hold, lead, rulebook
from tests.fakes import FakeClock, FakeSink, FakeSource

LOADED = (
    "jobs.cli",
    "jobs.cli.setup.check_live",
    "jobs.cli.lead.explain",
    "jobs.cli.lead.forget",
    "jobs.cli.reporting.status",
    "jobs.cli.night.run",
    "jobs.account.work_order",
    "jobs.cli.fleet.accounts",
    "jobs.cli.fleet.status",
    "jobs.account.fleet_worker",
    "jobs.cli.night.schedule",
    "jobs.cli.oplead.serve",
    "jobs.wiring.night",
    "jobs.nightly",
    "connectors.google_ads.ads_api.sink",
    "connectors.google_ads.data_manager.sink",
    "connectors.meta.sink",
    "facebook_business.adobjects.adspixel",
    "facebook_business.session",
    "connectors.signals.notifiers",
    "connectors.oplead.probe",
    "connectors.oplead.writing.writer",
    "jobs.oplead_commands.importing.import_leads",
    "killed_forget",
    "killed_import",
    "killed_run",
)
"""What a run loads, Meta's library at its first call."""
CHUNK = 1 << 16


class Forked:
    """One process with the interface of `subprocess.Popen`; its output goes to files."""

    def __init__(self, arguments, *, environ, cwd, prelude=""):
        """Run `oplead-sync` with these arguments and only this environment; a Python prelude runs before it."""
        self.args = ["oplead-sync", *map(str, arguments)]
        self.returncode = None
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed when read
        told, status = os.pipe()
        self._told = os.fdopen(told, "rb", buffering=0)
        request = {"prelude": prelude, "argv": self.args, "environ": environ, "cwd": str(cwd)}
        try:
            files = [self._out.fileno(), self._err.fileno(), status]
            socket.send_fds(_parent(), [json.dumps(request).encode() + b"\n"], files)
        finally:
            os.close(status)
        self.pid = int(self._told.readline())

    def poll(self):
        """The exit code, or None while it runs; negative if a signal ended it."""
        if self.returncode is None and self._has_ended(0):
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode

    def wait(self, timeout=None):
        """Wait for the process to end; return its exit code."""
        if self.returncode is None and not self._has_ended(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.poll()

    def _has_ended(self, timeout):
        # `select.select` refuses the high file numbers that many tests in one process lead to.
        waiting = select.poll()
        waiting.register(self._told, select.POLLIN)
        return bool(waiting.poll(None if timeout is None else timeout * 1_000))

    def communicate(self, timeout=None):
        """Wait for the process to end; return its stdout and stderr."""
        self.wait(timeout)
        return _taken_from(self._out), _taken_from(self._err)

    def send_signal(self, number):
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """Kill the process."""
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(signal.SIGKILL)


def _taken_from(file):
    if file.closed:
        return ""
    with file:
        file.seek(0)
        return file.read().decode()


@functools.cache
def _parent():
    """The socket to the process that forks the others; that process ends with this one."""
    ours, theirs = socket.socketpair()
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    with theirs:
        command = [sys.executable, __file__, str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=inherited)

    def end():
        ours.close()
        process.wait(10)

    atexit.register(end)
    return ours


# ── in the parent ────────────────────────────────────────────────────────────────────────────────


def serve(line):
    """Fork a process for each request until the socket closes; return in each child with its request."""
    while True:
        text, files, _, _ = socket.recv_fds(line, CHUNK, 3)
        while text and not text.endswith(b"\n"):
            text += line.recv(CHUNK)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not text:
            return None
        if os.fork() == 0:
            line.close()
            return _attended(json.loads(text), *files)
        for file in files:
            os.close(file)


def _attended(request, out, err, status):
    """Return in a new process; here, wait for it and report its pid and exit code."""
    pid = os.fork()
    if pid == 0:
        os.close(status)
        _dress(out, err)
        return request
    os.close(out)
    os.close(err)
    os.write(status, f"{pid}\n".encode())
    _, ended = os.waitpid(pid, 0)
    os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
    os._exit(0)


def _dress(out, err):
    """Set up the standard streams of a newly started process."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, out, err)):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _main(number):
    for name in LOADED:
        import_module(name)
    _play_two_nights()
    _serve_from(number)


def _play_two_nights():
    """Compile most of a run's database statements, which otherwise take each process a third of its time."""
    clock = FakeClock()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            clock.time += timedelta(days=1)
            deps = Deps(FakeSource(lead(), clock=clock), {GOOGLE: FakeSink()}, clock, lambda: 0.5, REACH)
            with hold(Path(folder) / "state.db", clock) as ledger:
                run_night(RunContext(ledger, rulebook(), deps))


def _serve_from(number):
    assert 1 == threading.active_count()
    gc.collect()
    gc.freeze()
    request = serve(socket.socket(fileno=number))
    if request is None:
        return
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    sys.argv[:] = request["argv"]
    exec(request["prelude"], {})  # noqa: S102 - our own
    import_module("jobs.cli").main()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
