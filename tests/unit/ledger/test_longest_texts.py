"""The longest texts that come from outside fit every key that they are part of, in either database."""

import random
from datetime import date

from connectors.oplead.parsing import lead_parser
from connectors.records import Utm
from jobs.ledger.schema import MonthlyCampaign, StatusLabel
from tests.builders import ACCOUNT
from tests.fakes import NIGHT

LETTERS = [chr(number) for number in range(0x20000, 0x20400)]
"""Of four bytes each; drawn at random, no database makes less of them."""


def longest(most, seed):
    """A text of so many characters, and what shows that it was cut."""
    return "".join(random.Random(seed).choices(LETTERS, k=most)) + "…"


def test_the_longest_utm_fields_are_a_key(ledger):
    """They are kept for as long as there are reports."""
    texts = Utm(*(longest(lead_parser._LONGEST_UTM, seed) for seed in range(3)))
    with ledger.write_transaction() as session:
        key = {"source": texts.source, "medium": texts.medium, "campaign": texts.campaign}
        session.add(MonthlyCampaign(account=ACCOUNT, month=date(2026, 9, 1), **key))


def test_the_longest_label_is_a_key(ledger):
    """Of a status that somebody named at length."""
    with ledger.write_transaction() as session:
        session.add(StatusLabel(account=ACCOUNT, label=longest(lead_parser._LONGEST_LABEL, 0), seen_at=NIGHT))


def test_a_lead_with_an_id_that_is_no_key_is_read_nowhere():
    """It is refused where it comes from, whatever database there is."""
    assert lead_parser.as_lead_id("x" * 200) is not None
    assert lead_parser.as_lead_id("x" * 10_000) is None
