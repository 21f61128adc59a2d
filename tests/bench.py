"""How long the parts of a night take on this machine: `make bench`. Tests prove counts; this shows seconds."""

import os
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from connectors.sandbox.population import Population
from connectors.sandbox.sandbox import Sandbox
from jobs import wiring
from jobs.ledger.ledger import held
from jobs.nightly import run_night
from jobs.settings.load import Valid, load

SIZES = (1_500, 6_000)
"""Leads; Oplead's limit of 100 requests a minute passes on the sandbox's clock, not on this machine's."""


def main() -> None:
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
        if not isinstance(loaded, Valid):
            raise SystemExit(str(loaded))
        seconds = []
        for _ in range(2):
            began = time.perf_counter()
            with (
                wiring.open_clock(loaded.settings) as clock,
                wiring.connect(loaded.settings, clock) as (book, deps),
                held(folder / "state.db", loaded.settings.account, "bench", pid=os.getpid(), now=clock.now()) as ledger,
            ):
                run_night(ledger, book, deps)
            seconds.append(time.perf_counter() - began)
            sandbox.clock.advance(sandbox.clock.now() + timedelta(days=1))
    return seconds[0], seconds[1]


if __name__ == "__main__":
    main()
