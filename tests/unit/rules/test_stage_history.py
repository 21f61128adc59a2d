"""What became of a lead since it entered a stage, by its status changes."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from jobs.rules.expected_value import LeadOutcome
from jobs.rules.model import Cohort, SaleTerms, StatusTimeOrigin, UnreadableAmount
from jobs.rules.stage_history import LeadPast, lead_outcome_since_stage
from tests.builders import CREATED, reported

DAY = timedelta(days=1)
VISIT = Cohort(frozenset({"rdv"}))
SALE = SaleTerms(frozenset({"gagne"}), frozenset({"perdu"}), path="amount")


def on(day, label, **over):
    """A change so many days after the lead's creation, dated by Oplead."""
    return reported(label, CREATED + day * DAY)._replace(**over)


def past(*changes, **over):
    """A lead with these changes, worth 1,000 where it is won."""
    return LeadPast(CREATED, changes, **({"where": {}, "amounts": {"amount": Decimal(1000)}} | over))


def became(entered, won=None, amount=1000):
    """The history of a lead that entered and was won so many days after its creation."""
    won_at = None if won is None else CREATED + won * DAY
    return LeadOutcome(CREATED + entered * DAY, won_at, None if won is None else amount)


def unseen(day, label, since):
    """An undated change, first seen after the lead had not been seen since a day."""
    return on(day, label, origin=StatusTimeOrigin.BASELINE, after=CREATED + since * DAY)


@pytest.mark.parametrize(
    ("changes", "history"),
    [
        ((on(1, "nouveau"),), None),
        ((on(2, "rdv"),), became(2)),
        ((on(2, "rdv"), on(9, "gagne")), became(2, 9)),
        ((on(2, "rdv"), on(5, "perdu"), on(9, "gagne")), became(2, 9)),
        ((on(9, "gagne"), on(2, "rdv")), became(2, 9)),
        ((on(2, "rdv"), on(9, "gagne"), on(12, "perdu")), became(2)),
        ((on(2, "rdv"), on(9, "gagne"), on(12, "perdu"), on(20, "gagne")), became(2, 20)),
        ((on(2, "rdv"), on(9, "gagne"), on(12, "gagne")), became(2, 9)),
        ((on(2, "rdv"), on(4, "rdv"), on(9, "gagne")), became(2, 9)),
        ((on(1, "gagne"), on(2, "rdv")), None),
        ((unseen(2, "rdv", 1), on(9, "gagne")), became(2, 9)),
        ((unseen(20, "rdv", 1), on(29, "gagne")), None),
        ((on(2, "rdv"), unseen(9, "gagne", 8)), became(2, 9)),
        ((on(2, "rdv"), unseen(90, "gagne", 2)), None),
        ((on(2, "rdv"), unseen(90, "perdu", 2)), None),
        ((unseen(90, "nouveau", 2), on(92, "rdv")), became(92)),
        ((on(2, "rdv", origin=StatusTimeOrigin.RELABEL),), None),
        ((on(2.5, "rdv"), on(2, "gagne", date_only=True)), became(2.5, 2.5)),
        ((on(3.5, "rdv"), on(2, "gagne", date_only=True)), None),
    ],
)
def test_the_first_entry_and_the_sale_that_stands_count(changes, history):
    """A lost lead may come back; a sale taken back is none; what nothing dates is no beginning."""
    assert history == lead_outcome_since_stage(past(*changes), VISIT, SALE)


def test_every_lead_enters_created_when_it_is_created():
    """It needs no status change; what became of a lead first seen long after is unknown, whether it was won or not."""
    created = Cohort(frozenset(), on_creation=True)

    assert became(0) == lead_outcome_since_stage(past(), created, SALE)
    assert became(0, 3) == lead_outcome_since_stage(past(on(3, "gagne")), created, SALE)
    assert became(0, 1) == lead_outcome_since_stage(past(unseen(1, "gagne", 0)), created, SALE)
    assert [None, None] == [
        lead_outcome_since_stage(past(unseen(90, one, 0)), created, SALE) for one in ("gagne", "nouveau")
    ]


@pytest.mark.parametrize(("where", "counts"), [({"channel": "web"}, True), ({"channel": "<text>"}, False), ({}, False)])
def test_only_leads_that_the_conversion_is_about_count(where, counts):
    """As `where` under the conversion says."""
    cohort = replace(VISIT, where={"channel": frozenset({"web"})})

    assert counts == (lead_outcome_since_stage(past(on(2, "rdv"), where=where), cohort, SALE) is not None)


@pytest.mark.parametrize("amounts", [{}, {"amount": UnreadableAmount("text, 8 characters")}])
def test_an_amount_that_is_missing_or_unreadable_is_unknown(amounts):
    """It is not zero."""
    won = past(on(2, "rdv"), on(9, "gagne"), amounts=amounts)

    assert became(2, 9, None) == lead_outcome_since_stage(won, VISIT, SALE)


def test_without_a_field_every_sale_has_the_price_of_the_settings():
    """A fixed value of the sale's conversion; without any, sales have no amount."""
    won = past(on(2, "rdv"), on(9, "gagne"), amounts={})

    assert became(2, 9, 900) == lead_outcome_since_stage(won, VISIT, replace(SALE, path=None, price=Decimal(900)))
    assert became(2, 9, None) == lead_outcome_since_stage(won, VISIT, replace(SALE, path=None))


def test_the_campaign_goes_with_the_history():
    """So that campaigns can be told apart."""
    assert "spring" == lead_outcome_since_stage(past(on(2, "rdv"), campaign="spring"), VISIT, SALE).campaign
