"""How fast the program is on this machine, by its parts and as a whole: `make bench`.

Tests prove counts; this measures CPU seconds, which mean the same on a busy machine.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tests.bench.account import Platforms
from tests.bench.fleet import Fleet
from tests.bench.ledgers import Ledgers
from tests.bench.nights import Reading, Sending
from tests.bench.pace import Pace
from tests.bench.program import ROOT, Program, checked_out, platforms
from tests.bench.receiving import Receiving
from tests.bench.reports import Reports
from tests.bench.starting import Starting
from tests.bench.table import Results, printed, write_pages

GROUPS = {
    "starting": Starting,
    "reading": Reading,
    "sending": Sending,
    "ledgers": Ledgers,
    "reports": Reports,
    "pace": Pace,
    "fleet": Fleet,
    "receiving": Receiving,
}


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    repeats: int
    leads: int
    """Leads read and planned."""
    sent: int
    """Conversions sent by each interface."""
    ledgers: tuple[int, ...]
    """Leads on record."""
    reported: int
    """Leads on record that a report is about."""
    minutes: int
    """How long a slow list is read; a time-lapse runs `lapse` times as fast."""
    lapse: int
    accounts: int
    leads_each: int
    webhooks: int


SIZES = {
    "tiny": Size(1, 30, 20, (100,), 100, 2, 60, 2, 20, 300),
    "quick": Size(3, 5_000, 8_000, (10_000, 50_000), 50_000, 3, 8, 4, 500, 5_000),
    "full": Size(5, 20_000, 20_000, (10_000, 100_000, 1_000_000), 1_000_000, 5, 5, 50, 500, 20_000),
}


def measured(groups, programs, addresses, size, folder):
    """Measure groups of figures, in turn on each program; return for each program the values by figure."""
    found = {program: defaultdict(list) for program in programs}
    for name in groups:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir=folder) as place:
            ready = {}
            for number, program in enumerate(programs):
                (own := Path(place) / str(number)).mkdir()
                ready[program] = GROUPS[name](program, addresses, own, size)
            for _ in range(size.repeats):
                for program in programs:
                    for key, value in ready[program].measure():
                        found[program][key].append(value)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return [dict(each) for each in found.values()]


def main(arguments=None):
    """Measure, print, and write the pages if asked to."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="quick")
    parser.add_argument("--base", metavar="REVISION", help="measure this one too, in turn with the working tree")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), metavar="GROUP",
                        help=f"only some groups of figures: {', '.join(GROUPS)}")  # fmt: skip
    parser.add_argument("--pages", action="store_true", help="write the tables of the documentation anew")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # not without removing what was written
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        programs = [Program("here", ROOT)]
        if asked.base:
            programs.insert(0, stack.enter_context(checked_out(asked.base, folder)))
        addresses = stack.enter_context(platforms())
        key = folder / "key.json"
        key.write_text(addresses.pop("key"))
        *base, here = measured(asked.only, programs, Platforms(addresses, key), SIZES[asked.size], folder)
    results = Results(here, *base)
    print("\n".join(printed(results)))
    if asked.pages:
        write_pages(results, asked.size, date.today().isoformat())  # noqa: DTZ011 - the day where it was measured
    return results


if __name__ == "__main__":
    main()
