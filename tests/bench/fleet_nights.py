"""The first night of a whole fleet on PostgreSQL, by one worker and by more: `make bench-fleet`.

The platforms answer at once, in a process of their own. The server is the tests' own, which does not wait for the disk.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.bench.account import Account, Platforms
from tests.bench.program import HERE, LONGEST, ROOT, cpu_seconds, platforms
from tests.postgresql import server

DUE = "UPDATE oplead_fleet.fleet_account SET added_at = now() - interval '2 days', due_at = now()"
NIGHTS = """
SELECT count(*) FILTER (WHERE exit_code = 0), count(*) FILTER (WHERE exit_code > 0),
    count(*) FILTER (WHERE exit_code = 0 AND ended_at > %s::timestamptz + interval '1 hour')
FROM oplead_fleet.fleet_run WHERE ended_at IS NOT NULL AND task = 'night' OR exit_code > 0
"""
"""Done, failed, and done so late that `fleet status` calls it late."""
FILES = 200
"""How many settings files one command adds."""
LINE = (
    "{workers:>7}  {wall:>9.1f} s  {rate:>8.0f}  {cpu:>12.2f} s  {server:>11.2f} s  {pss:>8.0f} MB  {rss:>6.0f} MB"
    "  {late:>7}"
)
HEAD = """
workers  whole night  accounts  CPU a night of   PostgreSQL's  peak memory   the same   nights
                      a minute      an account   CPU for that     a worker    by `ps`     late
"""


@dataclass(frozen=True)
class Night:
    """What the night of all accounts took."""

    workers: int
    accounts: int
    wall: float
    cpu: float
    """CPU seconds of the workers with all their children."""
    server_cpu: float
    peaks: list
    """The most memory that each worker and its children held at a time."""
    late: int

    def __str__(self):
        return LINE.format(
            workers=self.workers,
            wall=self.wall,
            rate=60 * self.accounts / self.wall,
            cpu=self.cpu / self.accounts,
            server=self.server_cpu / self.accounts,
            pss=max(peak.pss for peak in self.peaks),
            rss=max(peak.rss for peak in self.peaks),
            late=self.late,
        )


@dataclass(frozen=True, order=True)
class Memory:
    """Megabytes that a process and its children hold."""

    pss: float = 0.0
    """With each page divided among the processes that share it, so that it is what they take of the machine."""
    rss: float = 0.0
    """With each page counted for every process that shares it, as `ps` does."""


class Fleet:
    """Accounts in a database of their own, none of which ever had a night."""

    def __init__(self, folder, addresses, url, accounts, leads):
        self.folder, self.url = folder, url
        self.accounts = [Account(folder, addresses, f"agence-{number:04}") for number in range(accounts)]
        for account in self.accounts:
            account.write(f"leads-{leads}", meta=True, max_per_run=leads)
            text = account.settings.read_text()
            state = f"state: sqlite:///{account.state}"
            schedule = 'schedule: { daily: "05:30" }'
            account.settings.write_text(text.replace(state, f"state: ${{OPLEAD_SYNC_DATABASE}}\n{schedule}"))
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "LANG") if key in os.environ}
        tokens = {key: value for account in self.accounts for key, value in account.environ.items()}
        shared = {"OPLEAD_SYNC_SHARED_SECRETS": ",".join(tokens)}
        self.environ = kept | tokens | shared | {"PYTHONPATH": str(ROOT), "OPLEAD_SYNC_DATABASE": url}
        self._run("deploy")
        for first in range(0, accounts, FILES):
            files = [account.settings for account in self.accounts[first : first + FILES]]
            self._run("accounts", "add", "--first-run", "--not-renamed", *files)

    def night(self, workers, concurrency):
        """Start workers, and stop them once every account has had its night."""
        with psycopg.connect(self.url, autocommit=True) as database, ExitStack() as running:
            database.execute(DUE)
            used, began = _server_cpu(), time.perf_counter()
            due = database.execute("SELECT now()").fetchone()
            started = [self._start(running, "worker", "--concurrency", concurrency) for _ in range(workers)]
            peaks = [Memory()] * workers
            while (ended := database.execute(NIGHTS, due).fetchone())[0] < len(self.accounts):
                if ended[1] or time.perf_counter() - began > LONGEST or any(each.poll() for each in started):
                    raise SystemExit(f"nights done, failed and late: {ended}; see {self.folder}/log")
                peaks = [max(most, _memory(each.pid)) for most, each in zip(peaks, started, strict=True)]
                time.sleep(0.5)
            wall, server_cpu = time.perf_counter() - began, _server_cpu() - used
            cpu = sum(_ended(each) for each in started)
        return Night(workers, len(self.accounts), wall, cpu, server_cpu, peaks, ended[2])

    def _run(self, *arguments):
        with ExitStack() as running:
            if self._start(running, *arguments).wait(LONGEST):
                raise SystemExit((self.folder / "log").read_text()[-2000:])

    def _start(self, running, *arguments):
        log = running.enter_context((self.folder / "log").open("a"))
        command = [sys.executable, "-P", HERE / "job.py", "-", "0", "fleet", *map(str, arguments)]
        process = subprocess.Popen(command, cwd=self.folder, env=self.environ, stdout=log, stderr=log)
        running.callback(_make_sure_of_the_end, process)
        return process


def _ended(worker):
    """Have a worker end, and return the CPU seconds of it and of all its children, for which it has waited."""
    worker.send_signal(signal.SIGTERM)
    _, status, used = os.wait4(worker.pid, 0)
    worker.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


def _make_sure_of_the_end(process):
    if process.poll() is None:
        process.kill()
        process.wait(10)


def _children(pid):
    """A process and all that it started, each before its own."""
    with suppress(OSError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(each for child in listed for each in _children(int(child)))]
    return []


def _memory(pid):
    """What a process and its children hold."""
    found = {"Pss:": 0, "Rss:": 0}
    for each in _children(pid):
        with suppress(OSError):
            lines = [line.split() for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]]
            found |= {key: found[key] + int(kilobytes) for key, kilobytes, *_ in lines if key in found}
    return Memory(found["Pss:"] / 1024, found["Rss:"] / 1024)


def _server_cpu():
    """CPU seconds of the server: of the processes that are there, and of those that it has waited for."""
    pid, *others = _children(server().pid)
    _user, _system, user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    ended = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    for each in (pid, *others):
        with suppress(OSError):
            ended += cpu_seconds(each)
    return ended


def main(arguments=None):
    """Play the night once for each number of workers, and print a line for each."""
    parser = argparse.ArgumentParser(prog="make bench-fleet", description=__doc__)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--leads", type=int, default=50, help="of each account, all of them sold and sent twice")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--concurrency", type=int, default=2, help="accounts that a worker has at work at a time")
    asked = parser.parse_args(arguments)
    print(f"{asked.accounts} accounts with {asked.leads} leads, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(HEAD.strip(), flush=True)
    with ExitStack() as stack:
        addresses = stack.enter_context(platforms())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-fleet-")))
        key = folder / "key.json"
        key.write_text(addresses.pop("key"))
        stand_ins = Platforms(addresses, key)
        for workers in asked.workers:
            (own := folder / str(workers)).mkdir()
            with server().database(like="template1") as url:
                night = Fleet(own, stand_ins, url, asked.accounts, asked.leads).night(workers, asked.concurrency)
            sent = stand_ins.get("/uploads")
            expected = asked.accounts * asked.leads
            if {expected} != {sent.get("data_manager rows"), sent.get("meta rows")}:
                raise SystemExit(f"{expected} sales to send, and the platforms received {json.dumps(sent)}")
            print(night, flush=True)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
