"""Anomalies that starve bidding without anything failing."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records import ClickIdKind, Utm
from jobs.alerts.review import (
    blocked_conversion_anomalies,
    click_share_drop_anomaly,
    damaged_ids,
    empty_fields,
    filters_excluding_all_leads,
    find_anomalies,
    missing_click_id_anomalies,
    source_click_share_anomalies,
)
from jobs.ledger.report.queries import ClickIdShare, QualifiedConversion, SampledLead
from jobs.reporting.sentences import message_in_words
from jobs.rules.extraction import ConsentField, RequiredLeadData
from jobs.rules.model import ConsentAnswer
from jobs.rules.reasons import AnomalyIdentity, AnomalyKind, MessageKind, Reason
from tests.builders import lead
from tests.fakes import NIGHT

CONSENT, CLICK, GOES = Reason.CONSENT_MISSING, Reason.NO_CLICK_ID, None


def begun(*reasons, destination="google_ads"):
    """Sales that qualified, and why each cannot be sent."""
    return [QualifiedConversion("sale", destination, reason) for reason in reasons]


def told(tonight, before=()):
    """The messages raised for tonight, each with its reason."""
    return [
        (each.message.id, each.message.values["reason"]) for each in blocked_conversion_anomalies(tonight, list(before))
    ]


NONE, HALF = MessageKind.NONE_CAN_BE_SENT, MessageKind.HALF_STOPPED


@pytest.mark.parametrize(
    ("tonight", "before", "expected"),
    [
        ([], [], []),
        ([GOES], [], []),
        ([CONSENT] * 5, [], [(NONE, CONSENT)]),
        ([CONSENT] * 4, [], []),
        ([CONSENT], [CONSENT] * 4, [(NONE, CONSENT)]),
        ([CONSENT], [CONSENT] * 4 + [GOES], []),
        ([CONSENT] * 4, [GOES, CONSENT], [(NONE, CONSENT)]),
        ([CLICK] * 5, [], [(NONE, CLICK)]),
        ([CONSENT] * 5 + [GOES] * 5, [], [(HALF, CONSENT)]),
        ([CONSENT] * 5 + [GOES] * 6, [], []),
        ([CONSENT] * 4 + [GOES] * 4, [], []),
        ([CLICK] * 5 + [GOES] * 5, [], [(HALF, CLICK)]),
        ([CLICK] * 5 + [GOES] * 5, [CLICK] * 5 + [GOES] * 9, []),
        ([CLICK] * 5 + [GOES] * 5, [CLICK] * 3 + [GOES] * 9, [(HALF, CLICK)]),
        ([CONSENT] * 5 + [GOES] * 5, [CONSENT] * 5 + [GOES] * 5, [(HALF, CONSENT)]),
    ],
)
def test_alarms_when_all_or_half_of_the_conversions_are_stopped(tonight, before, expected):
    """Half must share one reason, and what a healthy account always has is no alarm."""
    assert expected == told(begun(*tonight), begun(*before))


def test_one_cause_at_two_destinations_is_one_anomaly():
    """A human fixes it once."""
    tonight = begun(*[CONSENT] * 6) + begun(*[CONSENT] * 5, destination="meta")
    (anomaly,) = blocked_conversion_anomalies(tonight, [])

    assert message_in_words(anomaly.message) == (
        "conversions qualify tonight and none of them can be sent: consent not asked "
        "(6 of 6 for google_ads, 5 of 5 for meta)"
    )


def test_leads_without_an_ad_are_no_alarm_for_one_platform():
    """Meta got nothing tonight because no lead came through it, while Google got its own."""
    tonight = begun(CLICK, CLICK, *[GOES] * 3) + begun(CLICK, CLICK, destination="meta")
    before = begun(*[CLICK] * 9, destination="meta")

    assert [] == told(tonight, before)


@given(st.lists(st.sampled_from([GOES, CONSENT, CLICK]), max_size=30))
def test_fewer_than_five_stopped_conversions_are_never_an_alarm(reasons):
    """So few may be chance."""
    stopped = [reason for reason in reasons if reason is not GOES]

    assert len(stopped) >= 5 or [] == told(begun(*reasons))


@pytest.mark.parametrize(
    ("count", "before", "expected"), [(5, set(), 1), (4, set(), 0), (5, {("sale", "google_ads")}, 0)]
)
def test_where_that_never_matched_a_lead_raises_an_alarm(count, before, expected):
    """One that matched a lead once is a choice."""
    assert expected == len(list(filters_excluding_all_leads({("sale", "google_ads"): count}, before)))


# ── fields ───────────────────────────────────────────────────────────────────────────────────────

ASKED = ConsentField("leadData.consent", frozenset(), frozenset())
FIELDS = RequiredLeadData(ASKED, None, where={"channel": frozenset()}, amounts={"amount": frozenset()})


def field(anomaly):
    """The path of an anomaly about a field."""
    assert AnomalyKind.FIELD is anomaly.cause.kind
    return anomaly.cause.about[0]


def sample(consent=ConsentAnswer.GRANTED, channel="site web", amounts=("amount",), personal=ConsentAnswer.NOT_ASKED):
    """A lead as it was read."""
    where = {} if channel is None else {"channel": channel}
    return SampledLead("L-1", consent, personal, where, amounts)


@pytest.mark.parametrize(
    ("newest", "entered", "causes"),
    [
        ([sample()] * 20, [sample()] * 20, []),
        ([sample(ConsentAnswer.MISSING)] * 20, [], ["leadData.consent"]),
        ([sample(ConsentAnswer.MISSING)] * 19, [], []),
        ([sample(ConsentAnswer.MISSING)] * 19 + [sample()], [], []),
        ([sample(ConsentAnswer.MISSING)] * 20 + [sample()] * 30, [], ["leadData.consent"]),
        ([sample(ConsentAnswer.REFUSED)] * 20, [], []),
        ([sample(channel=None)] * 20, [], ["channel"]),
        ([sample(channel="<text, 3 characters>")] * 50, [], ["channel"]),
        ([sample(channel="<text, 3 characters>")] * 20 + [sample()], [], []),
        ([sample()] * 20, [sample(amounts=())] * 20, ["amount"]),
        ([sample(amounts=())] * 20, [sample(amounts=())] * 5, ["amount"]),
        ([sample(amounts=())] * 20, [sample(amounts=())] * 4, []),
        ([sample(amounts=())] * 20, [], []),
        ([sample()] * 20, [sample(amounts=())] * 19 + [sample()], []),
    ],
)
def test_field_empty_on_every_lead_raises_an_alarm(newest, entered, causes):
    """Twenty leads, or five sold ones, show that a path is wrong; one with a value shows that it is right."""
    assert causes == [field(each) for each in empty_fields(newest, entered, FIELDS)]


def test_second_consent_signal_is_checked_only_if_configured():
    """A field that nobody named cannot be empty."""
    newest = [sample(personal=ConsentAnswer.MISSING)] * 20
    asked = RequiredLeadData(ASKED, replace(ASKED, path="leadData.ads"), where={}, amounts={})

    assert ["leadData.ads"] == [field(each) for each in empty_fields(newest, [], asked)]
    assert [] == list(empty_fields(newest, [], FIELDS))


# ── click ids ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("recent", "before", "alarms"),
    [
        ((20, 0), (100, 60), True),
        ((20, 3), (100, 60), True),
        ((20, 4), (100, 60), False),
        ((19, 0), (100, 60), False),
        ((20, 0), (19, 19), False),
        ((20, 0), (100, 24), False),
        ((20, 0), (100, 25), True),
        ((100, 5), (100, 10), False),
        ((20, 20), (20, 0), False),
        ((0, 0), (0, 0), False),
    ],
)
def test_collapsed_share_of_click_ids_raises_an_alarm(recent, before, alarms):
    """It is under a third of what it was, where chance would have left more."""
    assert alarms == bool(list(click_share_drop_anomaly(ClickIdShare(*recent), ClickIdShare(*before))))


@pytest.mark.parametrize(
    ("recent", "before", "alarms"),
    [
        ((50, 6), (200, 162), True),
        ((20, 0), (20, 11), True),
        ((20, 0), (20, 10), False),
        ((19, 0), (200, 200), False),
        ((200, 0), (19, 19), False),
        ((1000, 640), (1000, 960), True),
        ((1000, 641), (1000, 960), False),
        ((40, 20), (40, 30), False),
        ((50, 50), (50, 20), False),
        ((50, 0), (50, 0), False),
    ],
)
def test_a_source_whose_share_of_click_ids_fell_raises_an_alarm(recent, before, alarms):
    """By a third at least and hardly by chance, against its own weeks; other sources stay as they were."""
    steady = {"facebook": ClickIdShare(60, 30)}
    recent, before = ({"google": ClickIdShare(*one), **steady} for one in (recent, before))
    found = [each.cause.about for each in source_click_share_anomalies(recent, before)]

    assert [("google",)] * alarms == found


def test_a_new_source_has_nothing_to_have_fallen_from():
    """A landing page without a script is told by `check`, not here."""
    assert [] == list(source_click_share_anomalies({"new": ClickIdShare(90, 0)}, {}))


def test_a_form_that_lost_its_click_ids_is_named_by_its_source(account):
    """Whatever its capitals are; all leads together hide it, and leads without a source are not judged."""
    for number in range(170):
        created = NIGHT - timedelta(days=1 + number % 34)
        intact = created < NIGHT - timedelta(days=7) or number % 9 == 0
        source = "Google" if number % 2 else "google"
        for name, has_id in ((source, intact), ("facebook", number % 4 > 0), (None, intact)):
            ids = lead().click_ids if has_id else ()
            account.put(lead(f"L-{number}-{name}", created_at=created, utm=Utm(name), click_ids=ids))
    account.prepare()
    with account.hold() as ledger, ledger.read_transaction() as session:
        found = [each for each in find_anomalies(session, account.book, run=ledger.run, now=NIGHT) if each.cause.about]

    assert [AnomalyIdentity(AnomalyKind.CLICK_SHARE, ("google",))] == [each.cause for each in found]


def test_ids_that_stop_for_all_sources_are_one_alarm(account):
    """One cause, not one more for each source that it hits."""
    for number in range(170):
        created = NIGHT - timedelta(days=1 + number % 34)
        ids = lead().click_ids if created < NIGHT - timedelta(days=7) or number % 9 == 0 else ()
        for name in ("google", "facebook"):
            account.put(lead(f"L-{number}-{name}", created_at=created, utm=Utm(name), click_ids=ids))
    account.prepare()
    with account.hold() as ledger, ledger.read_transaction() as session:
        found = list(find_anomalies(session, account.book, run=ledger.run, now=NIGHT))

    assert [()] == [each.cause.about for each in found if each.cause.kind is AnomalyKind.CLICK_SHARE]


@pytest.mark.parametrize(
    ("without", "earlier", "alarms"),
    [
        (10, [True] * 20, True),
        (9, [True] * 20, False),
        (10, [True] * 19, False),
        (10, [True] * 60 + [False] * 40, False),
        (11, [True] * 60 + [False] * 40, True),
        (38, [True] * 20 + [False] * 80, False),
        (60, [True] * 20 + [False] * 80, True),
        (90, [True] + [False] * 400, False),
        (90, [], False),
        (0, [True] * 20, False),
    ],
)
def test_click_ids_that_stop_raise_an_alarm_once_chance_is_unlikely(without, earlier, alarms):
    """The fewer leads had one before, the more in a row must have none."""
    assert alarms == bool(list(missing_click_id_anomalies([False] * without + earlier)))


@given(st.integers(0, 9), st.lists(st.booleans(), max_size=80))
def test_one_click_id_among_the_newest_leads_prevents_the_alarm(place, others):
    """Earlier leads do not matter."""
    assert [] == list(missing_click_id_anomalies([*[False] * place, True, *others]))


CUT_OFF = AnomalyIdentity(AnomalyKind.CLICK_IDS_CUT, ("gclid",))
LOWERED = AnomalyIdentity(AnomalyKind.CLICK_IDS_LOWERED, ("gclid",))
WHOLE = "Cj0KCQjw" + "aB3-" * 20 + "wcB"
MIXED = [WHOLE, WHOLE[:70], WHOLE[:85]] * 7


@pytest.mark.parametrize(
    ("kind", "values", "causes"),
    [
        (ClickIdKind.GCLID, [WHOLE] * 20, []),
        (ClickIdKind.GCLID, MIXED, []),
        (ClickIdKind.GCLID, [WHOLE[:50]] * 20, [CUT_OFF]),
        (ClickIdKind.GCLID, [WHOLE[:50]] * 19, []),
        (ClickIdKind.GCLID, [WHOLE[:50]] * 49 + [WHOLE], []),
        (ClickIdKind.GCLID, [WHOLE[:50]] * 10 + [WHOLE[:44]] * 10, [CUT_OFF]),
        (ClickIdKind.GCLID, [WHOLE[:50]] * 9 + [WHOLE[:44]] * 11, []),
        (ClickIdKind.GCLID, [WHOLE.lower()] * 20, [LOWERED]),
        (ClickIdKind.GCLID, [WHOLE.lower()] * 10 + [WHOLE] * 10, [LOWERED]),
        (ClickIdKind.GCLID, [WHOLE.lower()] * 9 + [WHOLE] * 11, []),
        (ClickIdKind.GCLID, [WHOLE.lower()[:50]] * 20, [CUT_OFF, LOWERED]),
        (ClickIdKind.FBC, [f"fb.1.1600000000000.{WHOLE.lower()}"] * 20, []),
        (ClickIdKind.LEAD_ID, ["123456789012345"] * 20, []),
    ],
)
def test_truncated_or_lowercased_click_ids_raise_an_alarm(kind, values, causes):
    """Half of the latest ids of a kind must be affected, since each one alone might be chance."""
    assert causes == [each.cause for each in damaged_ids([(kind, value) for value in values])]


GCLIDS = [f"Cj0KCQjw{'aB3-x_7Zq' * 9}"[: 60 + number % 25] + f"{number:02}EALw_wcB" for number in range(50)]
CUT = [f"Cj0KCQjw{'aB3-x_7Zq' * 9}"[:51] + f"{number:03}" for number in range(50)]
OF_ONE_LENGTH = [f"EAIaIQob{'aB3-x_7Zq' * 9}"[:50] + "_BwE" for _ in range(50)]


@pytest.mark.parametrize(
    ("newest", "earlier", "causes"),
    [
        (CUT[:12], GCLIDS[:30], [CUT_OFF]),
        (CUT[:11], GCLIDS[:30], []),
        (CUT[:12], GCLIDS[:7], []),
        ([*CUT[:11], GCLIDS[0]], GCLIDS[:30], []),
        (OF_ONE_LENGTH[:12], GCLIDS[:30], []),
        (CUT[:12], OF_ONE_LENGTH[:30], []),
        ([value.lower() for value in GCLIDS[:12]], GCLIDS[12:50], [LOWERED]),
        ([value.lower() for value in GCLIDS[:12]], [], [LOWERED]),
        ([value.lower() for value in GCLIDS[:11]], GCLIDS[12:50], []),
    ],
)
def test_run_of_damaged_newest_ids_raises_an_early_alarm(newest, earlier, causes):
    """They are shorter than most before, of one length with any ending, or all without a capital."""
    assert causes == [each.cause for each in damaged_ids([(ClickIdKind.GCLID, one) for one in [*newest, *earlier]])]


@given(st.lists(st.tuples(st.sampled_from(ClickIdKind), st.text(max_size=70)), max_size=60))
def test_alarm_sentences_contain_no_click_id(ids):
    """A sentence goes into mails and logs."""
    for each in damaged_ids([(kind, f"SECRET{value}") for kind, value in ids]):
        assert "SECRET" not in message_in_words(each.message)
    assert len(ids) >= 20 or [] == list(damaged_ids(ids))
