"""`values suggest`: what it shows of the leads on record, and what it says where they are too few."""

import io
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from typer.testing import CliRunner

from connectors.language import Language, using_language
from jobs.cli.app import app
from jobs.ledger.schema import LeadRow, Lease, StatusChange
from jobs.reporting.presentation import AccountPresentation
from jobs.reporting.values_report import CampaignLeadValue, StageValueSuggestion, ValueSuggestions, print_values
from jobs.rules.expected_value import ConfidenceInterval, MoneyInterval, StageValueEstimate
from jobs.settings import load
from jobs.settings.compile import cohorts_to_estimate, find_sale_conversion
from tests import quick
from tests.builders import at, hold
from tests.e2e.support.typed import documented
from tests.fakes import FakeClock

READ_AT = at("2025-09-01 03:30")
DAY = timedelta(days=1)
SETTINGS = """
account: maison-test
currency: EUR
stages: { visit: [RDV], quote: [Devis], won: [Gagné], lost: [Perdu] }
consent: { ad_user_data: { field: c, granted: [oui], refused: [non] } }
oplead: { token: "${OPLEAD_TOKEN}" }
google_ads: { customer_id: 123-456-7890, credentials: "${KEY_FILE}" }
conversions:
  - { id: visit, name: Rendez-vous pris, stage: visit, value: 60, google_ads: { conversion_action: 1 } }
  - { id: sale, stage: won, value: { field: amount, tax: included }, undo_when: [lost],
      google_ads: { conversion_action: 2 } }
"""


@pytest.fixture
def settings(tmp_path):
    """The account's settings file."""
    file = tmp_path / "pipeline.yaml"
    file.write_text(SETTINGS)
    return file


@pytest.fixture
def suggest(tmp_path, settings, monkeypatch):
    """Write leads straight into the account's state, run the command and return its output."""
    monkeypatch.setenv("LC_ALL", "C")

    def run(*arguments, leads, width="80"):
        path = quick.with_state(tmp_path / "maison-test.db")
        with hold(path, FakeClock(READ_AT)) as ledger, ledger.write_transaction() as session:
            session.get_one(Lease, ledger.account).read_at = READ_AT
            for number in range(leads):
                _write_lead(session, f"L-{number}", number, leads)
        result = CliRunner().invoke(
            app, ["values", "suggest", "--config", str(settings), *arguments], env={"COLUMNS": width}
        )
        assert 0 == result.exit_code, result.output
        return result.stdout

    return run


def _write_lead(session, name, number, leads):
    """A lead that visited in the last ten months; every fourth was won after a week, for 1,000 or 1,400 €."""
    visited = READ_AT - 20 * DAY - number * 280 * DAY / leads
    amounts = {"amount": str(1000 + number % 8 * 100)} if number % 4 == 0 else {}
    plain = {"account": "maison-test", "digest": "d", "ad_user_data": "granted", "ad_personalization": "not_asked"}
    session.add(
        LeadRow(
            **plain,
            id=name,
            utm_campaign="Nantes" if name < "L-2" else "Rennes",
            created_at=visited - DAY,
            seen_at=READ_AT,
            facts=json.dumps({"where": {}, "amounts": amounts}),
            fresh=False,
            to_plan=False,
        )
    )
    session.flush()
    for label, when in (("rdv", visited), *([("gagne", visited + 7 * DAY)] if amounts else [])):
        plain = {"account": "maison-test", "lead": name, "date_only": False, "origin": "reported", "after": None}
        session.add(StatusChange(**plain, label=label, at=when, seen_at=READ_AT))


def lines(text):
    """The output with each run of whitespace as one space."""
    return " ".join(text.split())


def test_the_settings_choose_the_language(suggest, settings):
    """Whatever the terminal speaks."""
    settings.write_text(f"{SETTINGS}language: fr\n")

    assert "Vente moyenne" in suggest(leads=400)


def test_it_shows_a_value_how_it_was_reckoned_and_what_to_write(suggest):
    """A table, three sentences, and the line to paste."""
    text = suggest(leads=400)

    said = lines(text)
    assert "Rendez-vous pris 100 25.0% 1,200 300 / 400 2" in said
    assert "From Tue 5 Nov 2024 to Mon 1 Sep 2025, 400 leads came to this stage and 100 were won within" in said
    assert "days: a rate of 25.0% (2" in said
    assert "The 100 sales with an amount came to 1,200 EUR on average" in said
    assert "Rate times average is 300 EUR a lead; with 95 % confidence it lies between" in said
    assert "value: 300 value: expected" in said
    assert max(map(len, text.splitlines())) <= 80


def test_stages_without_a_conversion_are_shown_too(suggest):
    """Every lead is created; nobody had a quote; of a lost lead nobody asks."""
    said = lines(suggest(leads=400))

    assert "lead created 100 25.0%" in said
    assert "quote No value can be suggested yet. Leads that came to this stage: 0; won: 0; with an amount: 0." in said
    assert "lost" not in said


def test_thin_data_are_refused_with_what_is_missing(suggest):
    """Twenty sales are no average."""
    said = lines(suggest(leads=80))

    assert "Leads that came to this stage: 80; won: 20; with an amount: 20." in said
    assert "About 10 more sales with an amount are needed." in said
    assert "value: expected" not in said


def test_a_day_to_begin_with_leaves_older_leads_out(suggest):
    """`--from` is a day in the account's zone."""
    said = lines(suggest("--from", "2025-03-01", leads=800))

    assert "From Sat 1 Mar 2025 to Mon 1 Sep 2025" in said


def test_json_follows_the_published_schema(suggest):
    """Values and refusals alike."""
    found = documented(suggest("--json", leads=400))

    visit, *others = found["stages"]
    assert ("visit", "visit", 400, 100) == (
        visit["stage"],
        visit["conversion"],
        visit["value"]["leads"],
        visit["value"]["won"],
    )
    assert "sale" == found["sale"]
    assert {"created": None, "quote": 20} == {one["stage"]: one["value"].get("missing_leads") for one in others}


def test_campaigns_with_enough_leads_are_shown(suggest):
    """Under their stage; smaller ones are left out."""
    said = lines(suggest(leads=400))
    found = documented(suggest("--json", leads=0))

    assert "· Rennes" in said
    # 28 sales are too few.
    assert "· Nantes" not in said
    assert ["Rennes"] == [one["campaign"] for one in found["stages"][0]["campaigns"]]


def test_french_marketers_read_french(suggest, monkeypatch):
    """Sentences and numbers; settings keep their words."""
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")

    text = suggest(leads=400)

    assert "value: expected" in text
    assert "Vente moyenne" in text
    assert "lead créé" in text
    assert "25,0" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("language", Language)
def test_long_names_and_large_numbers_fit_80_columns_and_break_no_word(language):
    """In French as well, whose numbers and heads are longer."""
    mean, expected = (
        MoneyInterval(*map(Decimal, each)) for each in ((124_500, 112_300, 139_990), (3_100, 2_800, 3_500))
    )
    value = StageValueEstimate(
        ConfidenceInterval(0.247, 0.212, 0.281),
        mean,
        expected,
        123_450,
        12_340,
        9_990,
        90 * DAY,
        READ_AT - 400 * DAY,
        READ_AT,
    )
    campaign = CampaignLeadValue("Isolation combles automne-hiver", value)
    found = ValueSuggestions(
        "maison-test", "EUR", READ_AT, "sale", (StageValueSuggestion("visit", "visit", value, (campaign,)),)
    )
    console = Console(width=80, file=io.StringIO())
    name = "Rendez-vous confirmé par le conseiller"
    account = AccountPresentation("maison-test", ZoneInfo("Europe/Paris"), "EUR", {"visit": name}, Path("a.yaml"))
    with using_language(language):
        print_values(console, account, found)
    printed = console.file.getvalue()
    table = printed[: printed.index(f"\n{name}")]

    assert max(map(len, printed.splitlines())) <= 80
    assert {*name.split(), "Isolation", "combles"} <= set(table.split())


@pytest.mark.parametrize(
    ("before", "after", "sale"),
    [
        ("value: 60", "value: 60", "sale"),
        ("{ field: amount, tax: included }", "900", "sale"),
        ("value: 60", "value: { field: net, tax: included }", "sale"),
    ],
)
def test_the_sale_is_the_one_with_an_amount_else_the_last(settings, before, after, sale):
    """With several amounts, too, the last conversion is the sale."""
    settings.write_text(SETTINGS.replace(before, after))
    known = load(settings, {}, secrets=False).settings

    assert sale == find_sale_conversion(known).id
    assert {"visit", "created", "quote"} == set(cohorts_to_estimate(known))
