"""Oplead's rate limit holds across commands, processes, threads, detail fetches and retries."""

from datetime import timedelta

import pytest

from jobs.ledger import schema

PER_MINUTE = 30
LEADS = 75
WINDOW = timedelta(seconds=60)
TEN_MINUTES = timedelta(minutes=10)
PATIENCE_SECONDS = 60


@pytest.fixture
def company(company):
    """A company whose list of leads omits click ids, so that each lead needs a detail fetch."""
    company.sandbox.oplead.set_switch("list_has_details", value=False)
    company.settings["oplead"] = {"rate": PER_MINUTE, "in_flight": 8}
    for number in range(LEADS):
        company.serve(company.lead(number, ("RDV pris", company.START - timedelta(days=1))))
    return company


def busiest(times):
    """The most requests within any minute."""
    times = sorted(times)
    return max(
        (sum(start <= at < start + WINDOW for at in times[place:]) for place, start in enumerate(times)), default=0
    )


def plant_troubles(company):
    """Plant answers that make a caller retry, and slow ones that overlap.

    Only one caller is told to slow down: if all were, halving their rates would hide that they share none.
    """
    company.fail("oplead", "status", status=429, retry_after=7, after=40)
    company.fail("oplead", "cut_before", after=20, count=2)
    company.fail("oplead", "cut_after", after=31)
    company.fail("oplead", "status", status=503, after=44, count=3)
    company.fail("oplead", "truncated", after=58)
    company.fail("oplead", "latency", seconds=0.05, count=200)


TOGETHER = """
import pathlib, time
import jobs.wiring.night
pathlib.Path("ready-" + {name!r}).touch()
while len(list(pathlib.Path().glob("ready-*"))) < {count}:
    time.sleep(0.01)
"""
"""Code that each process runs first, so that all begin at once."""
RUN = ("run",)
REHEARSAL = ("run", "--dry-run")
PROBE = ("probe", "--json")
LIVE = ("check", "--live")


@pytest.mark.parametrize(
    "commands",
    [
        pytest.param([RUN], id="a run"),
        pytest.param([RUN, REHEARSAL], id="a run and a rehearsal"),
        pytest.param([PROBE, PROBE], id="two probes"),
        pytest.param([RUN, PROBE, LIVE], id="a run, a probe and a look at the platforms"),
    ],
)
def test_concurrent_commands_share_one_rate_limit(company, commands):
    """On the sandbox's clock no minute has more than 30 requests, however many processes run for the account."""
    # Each process waits in its first request, so that none ends before another begins.
    company.fail("oplead", "latency", seconds=1, count=len(commands))
    plant_troubles(company)
    processes = [
        company.start_command(*command, prelude=TOGETHER.format(name=str(place), count=len(commands)))
        for place, command in enumerate(commands)
    ]
    try:
        ended = [process.communicate(timeout=PATIENCE_SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()

    assert [] == [err for process, (_, err) in zip(processes, ended, strict=True) if process.returncode not in (0, 1)]
    assert len(commands) < len(company.times("oplead"))
    assert busiest(company.times("oplead")) <= PER_MINUTE
    if RUN in commands:
        assert LEADS == len(company.rows(schema.LeadRow))
        assert LEADS < len(company.times("oplead"))


def test_rate_is_halved_for_ten_minutes_after_a_429(company):
    """Every lead is still read."""
    company.fail("oplead", "status", status=429, retry_after=5, after=9)

    summary = company.night()

    times = company.times("oplead")
    slowed = times[9]
    assert busiest(times) <= PER_MINUTE
    assert busiest([at for at in times if slowed < at <= slowed + TEN_MINUTES]) <= PER_MINUTE / 2
    assert LEADS == summary.pulled.seen == len(company.rows(schema.LeadRow))


def test_run_uses_nearly_the_full_rate(company):
    """Without faults, all full minutes of the run have at least 97 % of the requests allowed."""
    company.night()

    times = company.times("oplead")
    minutes = (times[-1] - times[0]) / WINDOW
    assert busiest(times) <= PER_MINUTE
    assert 0.97 * PER_MINUTE * int(minutes) <= len([at for at in times if at < times[0] + int(minutes) * WINDOW])
