"""A sale is won, restated, lost and won again: at every step the platforms' records match the ledger."""

from datetime import timedelta

import pytest

from tests import suite
from tests.builders import stops

DAY = timedelta(days=1)
WON = -DAY
"""When the lead is won, relative to the first night."""


class Sale:
    """One lead of a company, from one night to the next."""

    def __init__(self, company):
        self.company = company
        self.steps = [("Gagné", company.START + WON)]
        self.amount = "12 500,00 €"
        self.has_come_back = self.zero_is_final = False

    def goes(self, label):
        """Move the lead to another status half a day after the last night."""
        self.has_come_back = self.has_come_back or label == "Gagné"
        self.steps.append((label, self.company.clock.now() + DAY / 2))

    def nights(self, count):
        """Run this many nights and the passes that learn outcomes; after each, platforms and ledger agree."""
        for _ in range(count):
            self.serve()
            assert 0 == self.company.night(self.company.clock.now() + DAY).exit_code
            assert 0 == self.company.later().exit_code
            # The ledger cannot know what Google does not report.
            silent = self.has_come_back and self.zero_is_final
            assert silent or [] == self.company.disagreements()

    def serve(self):
        """Have Oplead show the lead as it is now."""
        clicks = self.company.both(1)
        self.company.serve(self.company.lead(1, *self.steps, amount=self.amount, clicks=clicks))

    @property
    def lines(self):
        """The sale in the platforms' records, oldest first: its value, and whether it was retracted."""
        keys = {row.key for row in self.company.rows_where("sale")}
        return [(line.value, line.retracted) for line in self.company.counted() if line.key in keys]

    @property
    def corrections(self):
        """Kind, value and state of every correction of the sale."""
        made = [row for row in self.company.corrections() if row.conversion == "sale"]
        return [(row.kind, row.value, row.state) for row in made]


@pytest.fixture
def sale(company):
    """A sale of 12,500 € that is retracted once lost."""
    company.conversion("sale")["undo_when"] = ["lost"]
    for conversion in company.settings["conversions"]:
        conversion.pop("implied_by", None)
    return Sale(company)


@pytest.mark.parametrize(
    ("zero_is_final", "at_last"), [(False, 14_000.0), pytest.param(True, 0.0, marks=pytest.mark.exhaustive)]
)
def test_data_manager_restates_a_lost_sale_to_zero_and_back(company, sale, zero_is_final, at_last):
    """One key serves throughout; where Google treats 0 as final, the sale stays at 0 and `explain` says so."""
    company.platform.set_switch("zero_is_final", zero_is_final)
    sale.zero_is_final = zero_is_final
    sale.nights(2)
    assert [(12_500.0, False)] == sale.lines

    sale.amount = "14 000,00 €"
    sale.nights(1)
    assert [(14_000.0, False)] == sale.lines

    sale.goes("Perdu")
    sale.nights(3)
    assert [(14_000.0, False)] == sale.lines

    sale.nights(1)
    assert [(0.0, False)] == sale.lines

    sale.goes("Gagné")
    sale.nights(1)
    assert [(at_last, False)] == sale.lines
    assert [
        ("restatement", "14000.00", "accepted"),
        ("restatement", "0.00", "accepted"),
        ("restatement", "14000.00", "accepted"),
    ] == sale.corrections
    assert 1 == len(company.rows_where("sale"))
    _, story, _ = company.command("explain", "L-1")
    assert "calls a value of 0 final" in " ".join(story.split())


@pytest.mark.parametrize("way", suite.mostly_exhaustive(["google_ads_api", "undo_via"], "undo_via"))
def test_google_ads_api_retracts_a_lost_sale(company, sale, way):
    """Won again, it is a second conversion."""
    if way == "undo_via":
        company.conversion("sale")["undo_via"] = "google_ads_api"
    else:
        company.use_ads_api()
    sale.nights(2)
    sale.amount = "14 000,00 €"
    sale.nights(1)
    assert [(14_000.0, False)] == sale.lines

    sale.goes("Perdu")
    sale.nights(4)
    assert [(0.0, True)] == sale.lines

    sale.goes("Gagné")
    sale.nights(2)
    assert [(0.0, True), (14_000.0, False)] == sale.lines
    assert [("restatement", "14000.00", "accepted"), ("retraction", None, "accepted")] == sale.corrections
    assert [1, 2] == [row.occurrence for row in company.rows_where("sale")]


def test_meta_keeps_a_lost_sale_and_the_ledger_says_so(company, sale):
    """Meta takes no corrections: the retraction is skipped, and nothing is sent twice."""
    company.use_meta_alone()
    sale.nights(1)
    sale.amount = "14 000,00 €"
    sale.nights(1)
    sale.goes("Perdu")
    sale.nights(4)
    sale.goes("Gagné")
    sale.nights(1)

    assert [(12_500.0, False)] == sale.lines
    assert [("retraction", None, "skipped")] == sale.corrections
    assert 1 == len(company.rows_where("sale"))


def test_run_report_and_explain_show_corrections(company, sale):
    """The run's report counts corrections, and `explain` describes each."""
    company.use_ads_api()
    sale.nights(2)
    sale.goes("Perdu")
    sale.nights(3)
    company.clock.advance(company.clock.now() + DAY)
    code, night, _ = company.command("run")
    _, story, _ = company.command("explain", "L-1")

    assert 0 == code
    assert "1 conversion in 1 request" in " ".join(night.split())
    told = " ".join(story.split())
    assert "correction: taken back, as the lead went to a stage that takes it back" in told
    assert "accepted" in told[told.index("correction:") :]


# ── undocumented behaviour of Google, in its other position ─────────────────────────────────────


@pytest.mark.exhaustive
def test_retraction_across_google_apis_not_found_is_rejected(company, sale):
    """Data Manager sent the conversion and the Google Ads API does not find it: the run reports what to do.

    The retraction is tried once, and the conversion still counts on both sides.
    """
    company.sandbox.google_ads.set_switch("cross_api_adjustments", value=False)
    company.conversion("sale")["undo_via"] = "google_ads_api"
    sale.nights(2)
    sale.goes("Perdu")
    sale.nights(3)
    sale.serve()
    company.clock.advance(company.clock.now() + DAY)
    code, night, _ = company.command("run")
    _, story, _ = company.command("explain", "L-1")
    sale.nights(2)

    assert 1 == code
    assert "1 of 1 correction settled tonight was rejected" in " ".join(night.split())
    assert "for lead L-1" in " ".join(night.split())
    told = " ".join(story.split())
    assert "rejected" in told
    assert "does not find the conversion to correct" in told
    assert "remove `undo_via`" in told
    assert [("retraction", None, "rejected")] == sale.corrections
    assert [(12_500.0, False)] == sale.lines
    assert 1 == len(company.traffic.adjusted)


@pytest.mark.parametrize("answer", suite.mostly_exhaustive(["unreadable", "internal"], "unreadable"))
@pytest.mark.parametrize(
    ("turn", "told"),
    [
        (("Perdu", "12 500,00 €"), ((0.0, True), ("retraction", None, "accepted"))),
        ((None, "14 000,00 €"), ((14_000.0, False), ("restatement", "14000.00", "accepted"))),
    ],
    ids=["taken back", "another value"],
)
def test_correction_in_doubt_is_accepted_after_a_replay(company, sale, answer, turn, told):
    """The replay sends the same bytes, and Google's answer that the correction already exists makes it accepted.

    Five tries the same night, after which corrections stop, and more the next night.
    """
    company.use_ads_api()
    sale.nights(2)
    label, sale.amount = turn
    if label:
        sale.goes(label)
        sale.nights(3)
    company.sandbox.google_ads.set_switch("adjustments_unknown", answer)
    sale.serve()
    doubtful = company.night(company.clock.now() + DAY)
    states = [state for _, _, state in sale.corrections]
    company.sandbox.google_ads.set_switch("adjustments_unknown", "never")
    settled = company.night(company.clock.now() + DAY)

    assert (3, 1, ["in_doubt"]) == (doubtful.exit_code, doubtful.in_doubt, states)
    assert (0, 0) == (settled.exit_code, settled.in_doubt)
    assert ([told[0]], [told[1]]) == (sale.lines, sale.corrections)
    first, *replays = company.traffic.adjusted
    assert replays
    assert all(first == each for each in replays)
    assert [] == company.disagreements()


@pytest.mark.exhaustive
def test_corrections_without_access_stop_and_conversions_continue(company, sale):
    """Corrections wait while the same API takes conversions, and are sent once Google allows them."""
    company.use_ads_api()
    sale.nights(2)
    sale.goes("Perdu")
    sale.nights(3)
    company.sandbox.google_ads.set_switch("adjustments_allowlisted", value=False)
    won = ("Gagné", company.clock.now() + DAY / 2)
    company.serve(company.lead(2, won))
    closed = [company.night(company.clock.now() + DAY) for _ in range(2)]
    states = [state for _, _, state in sale.corrections]
    accepted = company.states()["L-2", "sale"]
    company.sandbox.google_ads.set_switch("adjustments_allowlisted", value=True)
    opened = company.night(company.clock.now() + DAY)

    assert [3, 3] == [night.exit_code for night in closed]
    assert [["google_ads corrections"]] * 2 == [list(stops(night)) for night in closed]
    (why,) = stops(closed[0]).values()
    assert "may not correct conversions by the Google Ads API" in why
    assert (["pending"], "accepted") == (states, accepted)
    assert (0, {}) == (opened.exit_code, stops(opened))
    assert [("retraction", None, "accepted")] == sale.corrections
    assert [] == company.disagreements()
