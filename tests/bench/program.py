"""Runs the program of one revision as a user does, and says what each of its processes used.

Nothing here loads the program: a process's peak of memory starts with that of the process that started it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONGEST = 3_600
"""Seconds; a process that takes longer is killed, and the benchmark fails."""
FINE = (0, 1)
"""Exit codes of a night that was completed."""


@dataclass
class Ran:
    """What one process used and printed."""

    cpu: float
    """CPU seconds."""
    wall: float
    """Seconds."""
    peak: float
    """Megabytes of memory, at most."""
    steps: Counter = field(default_factory=Counter)
    """CPU seconds by the name of a night's step."""
    printed: list = field(default_factory=list)
    """The JSON objects on its standard output."""

    @property
    def result(self):
        """The only thing it printed."""
        (found,) = self.printed
        return found


@dataclass(frozen=True)
class Program:
    """One revision of the program, in a folder."""

    name: str
    root: Path

    def run(self, *arguments, environ=None, hours=None, lapse=0):
        """Run one command of it to its end; with `hours`, ahead of the machine's clock (see `job.py`).

        Raises SystemExit if it fails or takes too long.
        """
        clock = ("-", "0") if hours is None else (str(hours), str(lapse))
        return self.script("job.py", *clock, *arguments, environ=environ)

    def script(self, name, *arguments, environ=None):
        """Run a script of this folder on this revision's code."""
        began = time.perf_counter()
        process = self._start(name, arguments, environ)
        printed = []
        reading = threading.Thread(target=lambda: printed.extend(process.stdout))
        reading.start()
        killed = threading.Timer(LONGEST, process.kill)
        killed.start()
        try:
            steps, log = _watch(process)
        except BaseException:
            process.kill()
            raise
        finally:
            reading.join()
            _, status, used = os.wait4(process.pid, 0)
            killed.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in FINE:
            raise SystemExit(f"{name} {' '.join(map(str, arguments))} ended with {process.returncode}:\n{log}")
        results = [json.loads(line) for line in printed if line.startswith("{")]
        wall = time.perf_counter() - began
        return Ran(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024, steps, results)

    @contextmanager
    def started(self, *arguments, environ):
        """A command that goes on until it is told to stop, while it runs."""
        process = self._start("job.py", ("-", "0", *arguments), environ)
        reading = [threading.Thread(target=stream.read) for stream in (process.stdout, process.stderr)]
        for each in reading:
            each.start()
        try:
            yield process
        finally:
            process.terminate()
            killed = threading.Timer(60, process.kill)
            killed.start()
            process.wait()
            killed.cancel()
            for each in reading:
                each.join()

    def _start(self, name, arguments, environ):
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "LANG") if key in os.environ}
        return subprocess.Popen(
            [sys.executable, "-P", HERE / name, *map(str, arguments)],
            cwd=self.root,
            env=kept | {"PYTHONPATH": str(self.root)} | (environ or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _watch(process):
    """Read a process's log to its end; return the CPU seconds between each step's beginning and end, and the log."""
    steps, began, lines = Counter(), {}, []
    for line in process.stderr:
        lines.append(line)
        if '"step ' not in line:
            continue
        event, now = json.loads(line), cpu_seconds(process.pid)
        key = (event.get("account"), event["step"])
        if event["event"] == "step began":
            began[key] = now
        else:
            steps[event["step"]] += now - began.pop(key)
    return steps, "".join(lines[-20:])


def cpu_seconds(pid):
    """The CPU seconds that a process has used, to the microsecond; see clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


@contextmanager
def checked_out(revision, folder):
    """A revision of this project in a folder of its own, as a program."""
    root = folder / "base"
    root.mkdir()
    archive = subprocess.Popen(["git", "archive", revision], cwd=ROOT, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", root], stdin=archive.stdout, check=True, timeout=60)
    if archive.wait(60):
        raise SystemExit(f"there is no revision {revision!r}")
    yield Program(revision, root)


@contextmanager
def platforms():
    """The stand-ins' addresses, while their process runs."""
    process = subprocess.Popen(
        [sys.executable, "-P", HERE / "platforms.py"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        process.stdout.close()
