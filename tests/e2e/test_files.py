"""Leads from exported files: the same deliveries as by the API, and a file that is not sound changes nothing."""

from datetime import timedelta

import pytest

from connectors.sandbox.population.company import FIRST_NIGHT, Population
from tests.e2e.support import exports

DAY = timedelta(days=1)
NIGHTS = tuple(FIRST_NIGHT + number * DAY for number in (0, 1, 3))


def use_files(company, kind="csv", **more):
    """Have a company's leads come from files from now on."""
    company.settings["source"] = {kind: f"exports/*.{kind}", "columns": exports.COLUMNS, **more}
    company.settings.pop("oplead", None)


def export(company, content=None, *, at=None, name=None, kind="csv", **dialect):
    """Export what a company's Oplead has, now or as of a time that the clock is moved to."""
    if at is not None:
        company.clock.advance(at)
    at = company.clock.now()
    if content is None:
        leads = exports.leads_of(company)
        content = exports.csv_bytes(leads, **dialect) if kind == "csv" else exports.xlsx_bytes(leads)
    return exports.put(company.directory / "run" / "exports" / (name or f"{at:%Y%m%dT%H%M%S}.{kind}"), content, at)


def sent_bytes(company):
    """The body of every upload to every platform, in order."""
    return [[body for body, *_ in calls] for calls in (company.ingests, company.calls, company.posts)]


@pytest.fixture(scope="module")
def by_api(companies):
    """Three nights by an API that shows what an export shows: the status and its date, without a history."""
    company = companies(start=FIRST_NIGHT, population=Population.generate(seed=5, leads=150))
    company.use_meta()
    company.sandbox.oplead.switch("status_dates", "status_date")
    for night in NIGHTS:
        company.night(night)
    return company


@pytest.mark.parametrize(
    "dialect", [*exports.DIALECTS, "Excel"]
)
def test_files_give_the_same_deliveries_as_the_api(companies, by_api, dialect):
    """Byte for byte: keys, times, values, click ids and hashes."""
    company = companies(start=FIRST_NIGHT, population=Population.generate(seed=5, leads=150))
    company.use_meta()
    kind = "xlsx" if dialect == "Excel" else "csv"
    use_files(company, kind)
    for night in NIGHTS:
        export(company, at=night, kind=kind, **exports.DIALECTS.get(dialect, {}))
        summary = company.night()

        assert summary.source_stopped is None
    assert by_api.states() == company.states()
    assert by_api.states("meta") == company.states("meta")
    assert sent_bytes(by_api) == sent_bytes(company)
    assert sent_bytes(by_api)[0]
