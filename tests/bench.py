"""How long a night takes on this machine, and how much of the pace is used: `make bench`.

Tests prove counts; this shows seconds.
"""

import json
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from connectors.oplead import OpleadClient, OpleadOptions, OpleadSource, PaginationOptions
from connectors.rate_limit import Pacer, SharedRequestHistory
from connectors.records import LeadId
from connectors.sandbox.platform import Faults
from connectors.sandbox.population.company import Population
from connectors.sandbox.sandbox import Sandbox
from connectors.sandbox.server import Server, WireRequest, WireResponse, json_response
from jobs.ledger.database import create_state
from jobs.ledger.runs import open_locked_ledger
from jobs.nightly import run_night
from jobs.run_context import RunContext
from jobs.settings.load import ValidSettings, load
from jobs.wiring.account import open_clock
from jobs.wiring.night import open_connectors
from tests.e2e.support.webhook_receiver import COMMAND, SECRET, ReceiverProcess

SIZES = (1_500, 6_000)
"""Leads; Oplead's limit of 100 requests a minute passes on the sandbox's clock, not on this machine's."""

RATE = 90
"""Requests a minute."""
LATENCY = timedelta(seconds=1.5)
LAPSE = 30
"""How much faster than the machine's clock a time-lapse runs."""
MINUTES = 6
PAGE = 100
WEBHOOKS = 10_000


class TimeLapse:
    """A clock on which a minute passes in two seconds."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> datetime:
        """The present instant."""
        return datetime(2026, 7, 21, tzinfo=UTC) + (time.monotonic() - self._began) * timedelta(seconds=LAPSE)

    def sleep_until(self, moment: datetime) -> None:
        """Return at `moment`."""
        time.sleep(max(0.0, (moment - self.now()).total_seconds() / LAPSE))


def main() -> None:
    """Print what was measured."""
    print_webhooks()
    print_nights()
    print(f"\n{RATE} requests a minute, {LATENCY.total_seconds():g} s an answer, leads' own pages, in a time-lapse:")
    with tempfile.TemporaryDirectory() as folder:
        for name, shared in (
            ("one process", None),
            ("with a shared pace", SharedRequestHistory(Path(folder) / "bench.pace")),
        ):
            for way in (one_by_one, by_pages):
                print(f"{name + ', ' + way.__name__.replace('_', ' '):>34} {share_of_the_pace(way, shared):>7.1%}")


def print_webhooks() -> None:
    """Print how fast the receiver takes webhooks that this process sends; 1,000 a second and 50 ms are the goals."""
    print(f"{'connections':>11} {'webhooks a second':>18} {'p50':>7} {'p99':>7} {'CPU each':>9}")
    requests = [status_change(number) for number in range(WEBHOOKS)]
    for connections in (8, 32):
        with tempfile.TemporaryDirectory() as folder:
            receiver = ReceiverProcess(Path(folder))
            with receiver.start(command=[COMMAND]):
                used, began = receiver.cpu_seconds, time.perf_counter()
                seconds = sorted(post(receiver.port, requests, connections))
                took, used = time.perf_counter() - began, receiver.cpu_seconds - used
                receiver.stop()
        p50, p99 = (seconds[int(WEBHOOKS * part)] * 1000 for part in (0.5, 0.99))
        each = used / WEBHOOKS * 1e6
        print(f"{connections:>11} {WEBHOOKS / took:>18,.0f} {p50:>5.1f}ms {p99:>5.1f}ms {each:>7.0f}µs")
    print()


def post(port: int, requests: Sequence[bytes], connections: int) -> list[float]:
    """Send these over kept-alive connections, at little cost, and return how long each answer took, in seconds."""

    def send(part: Sequence[bytes]) -> list[float]:
        seconds = []
        with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
            for request in part:
                began = time.perf_counter()
                line.sendall(request)
                if not line.recv(4096).startswith(b"HTTP/1.1 204 "):
                    raise SystemExit("a webhook was refused")
                seconds.append(time.perf_counter() - began)
        return seconds

    parts = [requests[first::connections] for first in range(connections)]
    with ThreadPoolExecutor(connections) as threads:
        return [seconds for part in threads.map(send, parts) for seconds in part]


def status_change(number: int) -> bytes:
    """A request that reports a change of its own lead."""
    lead = {"id": f"L-{number}", "status": "Gagné", "email": "jeanne@example.fr", "leadData": {"externalID": "gclid=x"}}
    body = json.dumps({"event": "lead.status_changed", "eventId": number, "lead": lead})
    return f"POST /hooks/{SECRET} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def share_of_the_pace(way: Callable[[OpleadSource, int], None], shared: SharedRequestHistory | None) -> float:
    """How much of the allowed rate is reached, from the second round of slots to the last."""
    clock, sent = TimeLapse(), list[datetime]()

    def answer(request: WireRequest) -> WireResponse:
        sent.append(clock.now())
        time.sleep(LATENCY.total_seconds() / LAPSE)
        name = request.path.rpartition("/")[2]
        if name != "leads":
            return json_response(200, {"id": name, "createdAt": "2026-07-01", "leadData": {}})
        first = int(request.query["page"][0]) * PAGE
        leads = [{"id": str(first + number), "createdAt": "2026-07-01"} for number in range(PAGE)]
        return json_response(200, {"data": leads if len(sent) <= RATE * MINUTES else []})

    with Server("oplead", answer, Faults(), clock.now) as server:
        options = OpleadOptions(
            token="bench",
            zone=ZoneInfo("Europe/Paris"),
            base_url=server.url,
            pagination=PaginationOptions(style="page"),
        )
        pacer = Pacer(clock, RATE, shared=shared)
        with closing(OpleadSource(OpleadClient(options, clock=clock, pacer=pacer))) as source:
            way(source, RATE * MINUTES + 1)
    rounds = (len(sent) - 1) // RATE
    took = sent[rounds * RATE] - sent[RATE]
    return (rounds - 1) * RATE / (took / timedelta(minutes=1)) / RATE


def one_by_one(source: OpleadSource, count: int) -> None:
    """Read leads by their ids."""
    for _ in source.fetch_each([LeadId(str(number)) for number in range(count)]):
        pass


def by_pages(source: OpleadSource, count: int) -> None:
    """Read pages of the list, and the own page of each lead on them."""
    del count
    for _ in source.fetch_changes(None, resume=None, find_known=lambda _: ()):
        pass


def print_nights() -> None:
    """Print the seconds of a first night, which stores everything, and of a second, which finds little changed."""
    print(f"{'leads':>7} {'first night':>12} {'next night':>12} {'a lead':>10}")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            first, second = nights(Path(folder), size)
        print(f"{size:>7} {first:>11.1f}s {second:>11.1f}s {first / size * 1000:>8.2f}ms")


def nights(folder: Path, size: int) -> tuple[float, float]:
    """Two nights of one account with `size` leads, in seconds."""
    with Sandbox(folder, Population.generate(7, leads=size)) as sandbox:
        file = sandbox.write_settings()
        loaded = load(file, dict(row.split("=", 1) for row in (folder / "sandbox.env").read_text().splitlines()))
        if not isinstance(loaded, ValidSettings):
            raise SystemExit(str(loaded))
        seconds, state = [], folder / "state.db"
        create_state(state)
        for _ in range(2):
            began = time.perf_counter()
            with (
                open_clock(loaded.settings) as clock,
                open_connectors(loaded.settings, clock) as (book, deps),
                open_locked_ledger(state, loaded.settings.account, "bench", now=clock.now()) as ledger,
            ):
                run_night(RunContext(ledger, book, deps))
            seconds.append(time.perf_counter() - began)
            sandbox.clock.advance(sandbox.clock.now() + timedelta(days=1))
    return seconds[0], seconds[1]


if __name__ == "__main__":
    main()
