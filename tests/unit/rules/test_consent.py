"""Which leads' data may be sent, and with which consent signals."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import ClickIdKind, Consent, ConsentSignalValue
from jobs.rules.eligibility import consent_to_send, may_keep_contact
from jobs.rules.extraction import ERASED
from jobs.rules.model import ConsentAnswer, DedupRule, DedupScope
from tests.builders import click, facts, route
from tests.fakes import LIMITS

GRANTED, DENIED = ConsentSignalValue.GRANTED, ConsentSignalValue.DENIED


@pytest.mark.parametrize(
    ("user_data", "personalization", "expected"),
    [
        (ConsentAnswer.GRANTED, ConsentAnswer.GRANTED, Consent(GRANTED, GRANTED)),
        (ConsentAnswer.GRANTED, ConsentAnswer.REFUSED, Consent(GRANTED, DENIED)),
        (ConsentAnswer.GRANTED, ConsentAnswer.NOT_ASKED, Consent(GRANTED, None)),
        (ConsentAnswer.GRANTED, ConsentAnswer.MISSING, "consent_missing"),
        (ConsentAnswer.GRANTED, ConsentAnswer.UNKNOWN, "consent_unknown"),
        (ConsentAnswer.REFUSED, ConsentAnswer.GRANTED, "consent_refused"),
        (ConsentAnswer.MISSING, ConsentAnswer.GRANTED, "consent_missing"),
        (ConsentAnswer.UNKNOWN, ConsentAnswer.GRANTED, "consent_unknown"),
        (ConsentAnswer.REFUSED, ConsentAnswer.MISSING, "consent_refused"),
        (ConsentAnswer.REFUSED, ConsentAnswer.UNKNOWN, "consent_refused"),
    ],
)
def test_consent_to_send_follows_both_answers(user_data, personalization, expected):
    """A refusal of user data withholds everything, and a missing or unknown answer is not consent."""
    lead = facts(ad_user_data=user_data, ad_personalization=personalization)

    assert expected == consent_to_send(route(), lead)


def test_refused_personalization_blocks_a_platform_that_always_personalises():
    """Such a platform has no field that could carry the refusal."""
    strict = route(limits=replace(LIMITS, needs_personalization=True))
    lead = facts(ad_personalization=ConsentAnswer.REFUSED)

    assert "consent_refused" == consent_to_send(strict, lead)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ConsentAnswer.MISSING, Consent(GRANTED, None)),
        (ConsentAnswer.REFUSED, "consent_refused"),
        (ConsentAnswer.UNKNOWN, "consent_unknown"),
    ],
)
def test_assume_consent_covers_only_a_missing_answer(answer, expected):
    """A refusal stays a refusal, and an unknown value is not silence."""
    assert expected == consent_to_send(route(assume_consent=True), facts(ad_user_data=answer))


@pytest.mark.parametrize("answer", [ConsentAnswer.REFUSED, ConsentAnswer.MISSING, ConsentAnswer.UNKNOWN])
def test_contact_data_is_kept_only_with_consent(answer):
    """Without consent not even a hash is written to disk."""
    assert not may_keep_contact(route(attach_contact=True), answer, ConsentAnswer.NOT_ASKED, (click(),))


FBCLID, GBRAID = click(kind=ClickIdKind.FBCLID), click(kind=ClickIdKind.GBRAID)
SPENT = click(f"{ERASED}{'0' * 64}")


@pytest.mark.parametrize(
    ("over", "clicks", "expected"),
    [
        ({}, (click(),), False),
        ({"attach_contact": True}, (click(),), True),
        ({"attach_contact": True}, (FBCLID, click()), True),
        ({"attach_contact": True}, (), False),
        ({"attach_contact": True}, (FBCLID,), False),
        ({"attach_contact": True}, (SPENT,), False),
        # The platform of these tests takes no contact data beside this kind.
        ({"attach_contact": True}, (GBRAID,), False),
        # The hashes identify the person for deduplication, though they are not sent.
        ({"attach_contact": True, "once": DedupRule(DedupScope.PERSON, timedelta(days=30))}, (GBRAID,), True),
        ({"attach_contact": True, "once": DedupRule(DedupScope.CLICK, timedelta(days=30))}, (GBRAID,), False),
        ({"contact_only": True}, (), True),
    ],
)
def test_contact_data_is_kept_only_for_a_route_that_can_use_it(over, clicks, expected):
    """Where contact data goes only beside a click id, it is kept only for leads that have one."""
    assert expected == may_keep_contact(route(**over), ConsentAnswer.GRANTED, ConsentAnswer.NOT_ASKED, clicks)


def test_assume_consent_also_allows_keeping_contact_data():
    """The same answer governs what is sent and what is kept."""
    trusting = route(attach_contact=True, assume_consent=True)

    assert may_keep_contact(trusting, ConsentAnswer.MISSING, ConsentAnswer.NOT_ASKED, (click(),))


@pytest.mark.parametrize(("needs", "expected"), [(True, False), (False, True)])
def test_keeps_no_contact_data_where_required_personalization_is_refused(needs, expected):
    """A platform that always personalises gets nothing from a lead that refused it."""
    strict = route(attach_contact=True, limits=replace(LIMITS, needs_personalization=needs))

    assert expected == may_keep_contact(strict, ConsentAnswer.GRANTED, ConsentAnswer.REFUSED, (click(),))
