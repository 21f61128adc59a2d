"""Which incidents raise a notice: each cause on both sides of its threshold, and when it clears."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from connectors.records import ApiVersion
from jobs.alerts.incidents import (
    DestinationHistory,
    NightFacts,
    detect_incidents,
    is_incident_over,
    numbers_by_night,
)
from jobs.ledger.incidents import _ID
from jobs.ledger.nights import NightNumbers
from jobs.ledger.report.queries import QualifiedConversion
from jobs.plan.twin_guard import DoubtfulIds
from jobs.plan.volume_guard import ExcessVolume
from jobs.reporting.sentences import incident_notice
from jobs.reporting.wording.messages import FINDING_TITLES
from jobs.rules.incident import Incident, IncidentId, IncidentKind
from jobs.rules.reasons import (
    Anomaly,
    AnomalyIdentity,
    AnomalyKind,
    DestinationScope,
    Message,
    MessageKind,
    Reason,
    StopCause,
    StopKind,
)
from jobs.run_context import RunReadingScope
from jobs.run_findings import LabelCount
from jobs.run_summary import RunSummary
from jobs.settings.schema import NotificationThresholds
from tests.builders import PARIS

NOW = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
WHEN = NotificationThresholds()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GOOGLE, META = DestinationScope("google_ads"), DestinationScope("meta")
ACTION, CORRECTIONS = DestinationScope("google_ads", action="9"), DestinationScope("google_ads", corrections=True)
REVOKED = StopCause(StopKind.REFUSED, ("token revoked",))
EXCESS = ExcessVolume(60, 50, 10)


def facts(
    *,
    source_stopped=None,
    was_read=True,
    stopped=None,
    held=None,
    anomalies=(),
    reading=RunReadingScope.EVERYTHING,
    **over,
):
    """A quiet night at one destination."""
    summary = RunSummary("maison-test", 1, NOW, source_stopped=source_stopped, held=held or {}, reading=reading)
    summary.pulled.pages, summary.delivered.stopped = int(was_read), stopped or {}
    summary.review.anomalies = list(anomalies)
    plain = {
        "now": NOW,
        "summary": summary,
        "zone": PARIS,
        "destinations": (DestinationHistory(GOOGLE),),
        "configured": frozenset({GOOGLE}),
    }
    return NightFacts(**(plain | over))


def found(when=WHEN, **over):
    """The notices of such a night, by kind and subject."""
    return {(each.id.kind, each.id.about): incident_notice(each) for each in detect_incidents(facts(**over), when)}


def at(**over):
    """A night at Google alone."""
    return {"destinations": (DestinationHistory(GOOGLE, **over),)}


def test_quiet_night_raises_no_notice():
    """Nobody is alerted without a cause."""
    assert {} == found()


# ── stops ────────────────────────────────────────────────────────────────────────────────────────


def test_stopped_source_notice_gives_its_reason():
    """It also says what to do."""
    (((kind, _), notice),) = found(source_stopped=StopCause(StopKind.REFUSED, ("401 Unauthorized",))).items()

    assert IncidentKind.SOURCE == kind
    assert "401 Unauthorized" in notice.text
    assert "check --live" in notice.text


def test_each_stopped_destination_and_action_is_its_own_cause():
    """The title has a destination's name alone, or with the action's."""
    purchase = replace(META, action="Purchase")
    told = found(stopped={GOOGLE: REVOKED, purchase: StopCause(StopKind.REFUSED, ("no such event",))})

    assert {(IncidentKind.STOPPED, GOOGLE), (IncidentKind.STOPPED, purchase)} == told.keys()
    assert "token revoked" in told[IncidentKind.STOPPED, GOOGLE].text
    assert "meta/Purchase stopped" == told[IncidentKind.STOPPED, purchase].title


def test_volume_guard_hold_raises_a_notice():
    """The text says how to accept the volume."""
    told = found(held={GOOGLE: EXCESS})

    assert told[IncidentKind.HELD, GOOGLE].text.startswith("60 conversions are due and one night may send 50")
    assert "--accept-volume" in told[IncidentKind.HELD, GOOGLE].text


# ── expiring conversions ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("left", "is_told"),
    [
        (timedelta(days=3, hours=25), True),
        (timedelta(days=3, hours=25, seconds=1), False),
        (timedelta(days=3), True),
        (HOUR, True),
    ],
)
def test_expiry_is_announced_at_least_three_days_ahead(left, is_told):
    """The next night, at most 25 hours later, may leave less than three days."""
    told = found(stopped={GOOGLE: REVOKED}, waiting={GOOGLE: [NOW + left]})

    assert is_told == ((IncidentKind.EXPIRING, GOOGLE) in told)


def test_expiry_notice_states_number_date_and_cause():
    """It is about those that expire soon, and only counts the others."""
    waiting = {GOOGLE: [NOW + days * DAY for days in (1, 2, 3, 9)]}
    told = found(stopped={GOOGLE: REVOKED}, waiting=waiting)[IncidentKind.EXPIRING, GOOGLE].text

    assert "3 conversions at google_ads expire by Sun 13 Sep 2026 unless this is fixed" in told
    assert "the first at Fri 11 Sep 2026 05:30" in told
    assert "1 more waits there" in told
    assert "token revoked" in told


def test_expiry_while_held_asks_for_approval():
    """Nothing is broken there."""
    told = found(held={GOOGLE: EXCESS}, waiting={GOOGLE: [NOW + DAY]})

    assert (
        "unless someone approves it with `oplead-sync run --accept-volume`" in told[IncidentKind.EXPIRING, GOOGLE].text
    )


def test_expires_within_moves_the_notice_earlier():
    """The setting is `notify_when.expires_within`."""
    when = NotificationThresholds(expires_within=5 * DAY)

    assert (IncidentKind.EXPIRING, GOOGLE) in found(
        when, stopped={GOOGLE: REVOKED}, waiting={GOOGLE: [NOW + 5 * DAY + 25 * HOUR]}
    )


# ── platform answers ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rejected", "accepted", "is_told"), [(5, 94, True), (5, 95, False), (4, 0, False), (5, 0, True), (6, 100, True)]
)
def test_rejections_raise_a_notice_from_five_and_above_five_percent(rejected, accepted, is_told):
    """Five of a hundred are five per cent, not more."""
    told = found(**at(tonight=NightNumbers(sent=9, accepted=accepted, rejected=rejected)))

    assert is_told == ((IncidentKind.REJECTED, GOOGLE) in told)


def test_rejection_notice_names_codes_and_up_to_five_leads():
    """The report does the same."""
    leads = tuple(f"L-{number}" for number in range(7))
    told = found(
        **at(tonight=NightNumbers(rejected=7, sent=7), rejected_leads=leads, rejected_codes=("INVALID_GCLID",))
    )

    assert "for lead L-0, L-1, L-2, L-3, L-4, …" in told[IncidentKind.REJECTED, GOOGLE].text
    assert (
        "7 of 7 conversions settled tonight were rejected. The codes: INVALID_GCLID."
        in told[IncidentKind.REJECTED, GOOGLE].text
    )


USUAL = (NightNumbers(sent=10, accepted=9, rejected=1),) * 7
"""Nights with nine of ten conversions accepted."""


@pytest.mark.parametrize(
    ("accepted", "rejected", "before", "is_told"),
    [
        (7, 3, USUAL, True),
        (71, 29, USUAL, False),
        (7, 3, USUAL[1:], False),
        (0, 4, USUAL, False),
        (3, 2, USUAL, True),
    ],
)
def test_acceptance_twenty_points_below_usual_raises_a_notice(accepted, rejected, before, is_told):
    """At least five must be settled tonight, and seven earlier nights define what is usual."""
    told = found(**at(tonight=NightNumbers(9, accepted, rejected), before=before))

    assert is_told == ((IncidentKind.ACCEPTANCE, GOOGLE) in told)


def test_nights_without_settled_conversions_do_not_define_the_usual():
    """They count neither way."""
    before = (*USUAL, *[NightNumbers(sent=3)] * 7)

    assert (IncidentKind.ACCEPTANCE, GOOGLE) in found(**at(tonight=NightNumbers(9, 7, 3), before=before))


@pytest.mark.parametrize(("doubtful", "unconfirmed"), [({}, 0), ({"count": 1}, 0), ({}, 1)])
def test_one_lost_answer_raises_a_notice(doubtful, unconfirmed):
    """The delivery may be in_doubt or unconfirmed."""
    told = found(**at(in_doubt=doubtful, tonight=NightNumbers(unconfirmed=unconfirmed)))

    assert (bool(doubtful), bool(unconfirmed)) == (
        (IncidentKind.IN_DOUBT, GOOGLE) in told,
        (IncidentKind.UNCONFIRMED, GOOGLE) in told,
    )


def corrections(**over):
    """The notices about corrections at Google on a night without any about its conversions."""
    of = DestinationHistory(CORRECTIONS, **over)
    return found(destinations=(DestinationHistory(GOOGLE), of))


def test_corrections_have_notices_of_their_own():
    """A separate cause keeps corrections and conversions from clearing each other."""
    told = corrections(
        in_doubt={"count": 2}, tonight=NightNumbers(9, 4, 5, 1), rejected_leads=("L-1",), rejected_codes=("TOO_MANY",)
    )
    titles = {kind: each.title for (kind, _), each in told.items()}
    texts = {kind: each.text for (kind, _), each in told.items()}

    assert {CORRECTIONS} == {about for _, about in told}
    assert {
        IncidentKind.IN_DOUBT: "google_ads: 2 corrections in doubt",
        IncidentKind.UNCONFIRMED: "google_ads: 1 correction unconfirmed",
        IncidentKind.REJECTED: "google_ads rejects 50 % of the corrections it settles",
    } == titles
    assert "2 corrections were sent to google_ads, and the answer was lost" in texts[IncidentKind.IN_DOUBT]
    assert "1 correction was sent to google_ads, but the platform will not say" in texts[IncidentKind.UNCONFIRMED]
    assert "5 of 10 corrections settled tonight were rejected. The codes: TOO_MANY.\n" in texts[IncidentKind.REJECTED]
    assert "for lead L-1." in texts[IncidentKind.REJECTED]


@pytest.mark.parametrize("tonight", [NightNumbers(), NightNumbers(9, 6, 4)])
def test_usual_rates_do_not_apply_to_corrections(tonight):
    """Their number follows from what becomes of sales."""
    before = (NightNumbers(sent=10, accepted=10),) * 7
    told = corrections(tonight=tonight, before=before)

    assert not {IncidentKind.ACCEPTANCE, IncidentKind.NOTHING_SENT} & {kind for kind, _ in told}


def test_in_doubt_notice_says_how_a_human_decides():
    """This is `in_doubt: ask`."""
    assert (
        "`in_doubt: resend`"
        in found(**at(in_doubt={"count": 2}, asks_a_human=True))[IncidentKind.IN_DOUBT, GOOGLE].text
    )


# ── silence ──────────────────────────────────────────────────────────────────────────────────────


def sends(*counts):
    """Nights that sent these numbers of conversions."""
    return tuple(NightNumbers(sent=count) for count in counts)


@pytest.mark.parametrize(
    ("sent", "before", "is_told"),
    [
        (0, sends(*[5] * 8, *[0] * 6), True),
        (0, sends(*[5] * 7, *[0] * 7), False),
        (0, sends(*[4] * 14), False),
        (1, sends(*[5] * 14), False),
        (0, sends(*[9] * 6), False),
        (0, sends(*[9] * 7), True),
    ],
)
def test_silent_night_raises_a_notice_where_the_median_is_five(sent, before, is_told):
    """At least seven earlier nights are needed for a median."""
    assert is_told == ((IncidentKind.NOTHING_SENT, GOOGLE) in found(**at(tonight=NightNumbers(sent), before=before)))


@pytest.mark.parametrize(
    ("that_weekday", "is_told"), [((), True), (sends(9, 9), True), (sends(9, 0), True), (sends(0, 0), False)]
)
def test_a_night_on_a_quiet_day_of_the_week_is_no_silence(that_weekday, is_told):
    """Nobody enters statuses on a Sunday; where a Sunday has ever sent, a silent one is told."""
    nights = at(before=sends(*[9] * 12), that_weekday=that_weekday)

    assert is_told == ((IncidentKind.NOTHING_SENT, GOOGLE) in found(**nights))


@pytest.mark.parametrize(
    "why",
    [
        {"source_stopped": REVOKED},
        {"stopped": {GOOGLE: REVOKED}},
        {"stopped": {ACTION: REVOKED}},
        {"held": {GOOGLE: EXCESS}},
    ],
)
def test_silent_night_with_a_known_cause_raises_no_second_notice(why):
    """One cause gives one message."""
    told = found(**at(before=sends(*[9] * 14)), **why)

    assert (IncidentKind.NOTHING_SENT, GOOGLE) not in told


def test_a_run_between_nights_is_no_silent_night():
    """It looks at few leads: only a night shows silence."""
    told = found(**at(before=sends(*[9] * 14)), reading=RunReadingScope.WEBHOOKS)

    assert (IncidentKind.NOTHING_SENT, GOOGLE) not in told


def test_each_anomaly_raises_a_notice_of_its_own():
    """Each is a separate cause with its own sentence."""
    field, share = AnomalyIdentity(AnomalyKind.FIELD, ("montant",)), AnomalyIdentity(AnomalyKind.CLICK_SHARE)
    told = found(
        anomalies=(
            Anomaly(field, Message(MessageKind.AMOUNT_EMPTY, {"path": "montant", "count": 9})),
            Anomaly(share, Message(MessageKind.CLICK_IDS_STOPPED, {"count": 12, "then": 80})),
        )
    )

    assert {(IncidentKind.ANOMALY, field), (IncidentKind.ANOMALY, share)} == told.keys()
    assert told[IncidentKind.ANOMALY, share].text.startswith("None of the last 12 leads has a click id, 80 % of")
    assert ["Amounts may be missing", "Conversions may be missing"] == [each.title for each in told.values()]


# ── API versions ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("ends_on", "is_told"), [(date(2027, 1, 8), True), (date(2027, 1, 9), False)])
def test_api_version_end_is_announced_120_days_ahead(ends_on, is_told):
    """The days are those of the account's calendar."""
    version = ApiVersion("Ads API v1", ends_on, "https://vendor.example/sunset")
    told = found(versions=frozenset({version}))

    assert is_told == ((IncidentKind.ENDS, "Ads API v1") in told)


@pytest.mark.parametrize(
    ("is_estimate", "words"), [(True, "no day is named yet"), (False, "ends Thu 1 Oct 2026: https://")]
)
def test_estimated_end_date_is_marked_as_an_estimate(is_estimate, words):
    """Nothing is presented as known that is not."""
    version = ApiVersion("Graph API v1", date(2026, 10, 1), "https://vendor.example/sunset", is_estimate=is_estimate)

    assert words in found(versions=frozenset({version}))[IncidentKind.ENDS, "Graph API v1"].text


# ── clearing a cause ─────────────────────────────────────────────────────────────────────────────

STOPPED, REJECTED = IncidentId(IncidentKind.STOPPED, GOOGLE), IncidentId(IncidentKind.REJECTED, GOOGLE)
ACCEPTANCE, NOTHING = IncidentId(IncidentKind.ACCEPTANCE, GOOGLE), IncidentId(IncidentKind.NOTHING_SENT, GOOGLE)
NO_CONSENT, WHERE = (
    IncidentId(IncidentKind.ANOMALY, AnomalyIdentity(AnomalyKind.STOPPED, (Reason.CONSENT_MISSING,))),
    IncidentId(IncidentKind.ANOMALY, AnomalyIdentity(AnomalyKind.WHERE, ("sale", "google_ads"))),
)
FUNNEL = IncidentId(IncidentKind.ANOMALY, AnomalyIdentity(AnomalyKind.WHERE, ("funnel:sale", "google_ads")))
LEFT = IncidentId(IncidentKind.ANOMALY, AnomalyIdentity(AnomalyKind.WHERE, ("sale", "left")))
SHARE = IncidentId(IncidentKind.ANOMALY, AnomalyIdentity(AnomalyKind.CLICK_SHARE))
FORMER = IncidentId(IncidentKind.STOPPED, replace(GOOGLE, former=("1", "x")))


def begun(*reasons):
    """Conversions that qualified tonight, and why each was stopped."""
    return tuple(QualifiedConversion("sale", "google_ads", reason) for reason in reasons)


@pytest.mark.parametrize(
    ("cause", "tonight", "expected"),
    [
        (STOPPED, {"stopped": {GOOGLE: REVOKED}}, "found"),
        (STOPPED, {}, "unknown"),
        (STOPPED, {"reached": frozenset({GOOGLE})}, "cleared"),
        (STOPPED, {"configured": frozenset()}, "cleared"),
        (
            IncidentId(IncidentKind.STOPPED, ACTION),
            {"configured": frozenset({ACTION})},
            "unknown",
        ),
        (FORMER, {}, "cleared"),
        (REJECTED, at(tonight=NightNumbers(rejected=5)), "found"),
        (REJECTED, at(), "unknown"),
        (REJECTED, at(tonight=NightNumbers(accepted=1, rejected=4)), "unknown"),
        (REJECTED, at(tonight=NightNumbers(accepted=1)), "cleared"),
        (REJECTED, {"destinations": ()}, "cleared"),
        (ACCEPTANCE, at(tonight=NightNumbers(accepted=4)), "unknown"),
        (ACCEPTANCE, at(tonight=NightNumbers(accepted=5)), "cleared"),
        (NOTHING, at(), "unknown"),
        (NOTHING, at(tonight=NightNumbers(sent=1)), "cleared"),
        (NO_CONSENT, {}, "unknown"),
        (NO_CONSENT, {"begun": begun(Reason.CONSENT_MISSING)}, "unknown"),
        (NO_CONSENT, {"begun": begun(None)}, "cleared"),
        (NO_CONSENT, {"begun": begun(Reason.CONSENT_MISSING, None, None, None, None)}, "cleared"),
        (WHERE, {}, "unknown"),
        (WHERE, {"let_in": frozenset({("sale", "google_ads")})}, "cleared"),
        (FUNNEL, {}, "unknown"),
        (FUNNEL, {"let_in": frozenset({("funnel:sale", "google_ads")})}, "cleared"),
        (LEFT, {}, "cleared"),
        (SHARE, {}, "cleared"),
        (SHARE, {"reading": RunReadingScope.WEBHOOKS}, "unknown"),
        (LEFT, {"reading": RunReadingScope.WEBHOOKS}, "unknown"),
        (IncidentId(IncidentKind.SOURCE), {}, "cleared"),
        (IncidentId(IncidentKind.SOURCE), {"was_read": False}, "unknown"),
        (IncidentId(IncidentKind.HELD, GOOGLE), {}, "cleared"),
        (IncidentId(IncidentKind.IN_DOUBT, GOOGLE), {}, "cleared"),
        (IncidentId(IncidentKind.UNCONFIRMED, GOOGLE), {}, "cleared"),
        (IncidentId(IncidentKind.EXPIRING, GOOGLE), {}, "cleared"),
        (IncidentId(IncidentKind.ENDS, "v1"), {}, "cleared"),
    ],
)
def test_cause_clears_only_where_tonight_shows_it_is_over(cause, tonight, expected):
    """A night on which nothing was tried proves nothing."""
    known = facts(**tonight)

    if cause in {each.id for each in detect_incidents(known, WHEN)}:
        seen = "found"
    else:
        seen = "cleared" if is_incident_over(cause, known, WHEN) else "unknown"

    assert expected == seen


@pytest.mark.parametrize(
    "cause", [STOPPED, FORMER, IncidentId(IncidentKind.SOURCE), SHARE, FUNNEL, IncidentId(IncidentKind.ENDS, "v: 1")]
)
def test_incident_id_survives_a_json_round_trip(cause):
    """This holds whatever its name contains."""
    assert cause == _ID.validate_json(_ID.dump_json(cause))


# ── nights ───────────────────────────────────────────────────────────────────────────────────────


def test_runs_of_one_date_are_one_night():
    """Dates without a run count neither way; it looks fourteen days back and keeps tonight apart."""
    today = date(2026, 9, 15)
    runs = {1: date(2026, 8, 31), 2: date(2026, 9, 1), 3: date(2026, 9, 3), 4: date(2026, 9, 3), 5: today, 6: today}
    did = {1: NightNumbers(99), 2: NightNumbers(2), 3: NightNumbers(3, 1), 4: NightNumbers(4, 1), 5: NightNumbers(5)}

    assert (NightNumbers(5), (NightNumbers(2), NightNumbers(7, 2)), (NightNumbers(2),)) == numbers_by_night(
        runs, did, today
    )


# ── one list ─────────────────────────────────────────────────────────────────────────────────────


def test_one_rejection_that_a_human_can_change_is_an_incident():
    """The alarm needs no share of rejections, and neither does the task."""
    numbers = NightNumbers(sent=100, accepted=99, rejected=1)

    assert not found(**at(tonight=numbers))
    assert [(IncidentKind.REJECTED, GOOGLE)] == list(found(**at(tonight=numbers, is_to_correct=True)))


@pytest.mark.parametrize("kind", FINDING_TITLES)
def test_each_finding_has_a_notice_that_names_its_status_or_count(kind):
    """Its title is the page's task."""
    values = {
        "count": 3,
        "before": "Gagné",
        "after": "Signé",
        "leads": 3,
        "why": "x",
        "structures": ("a",),
        "file": "a.db",
        "errors": ("E",),
    }
    names_leads = kind in (MessageKind.PUT_OFF, MessageKind.REPORTED_MISSING, MessageKind.REUSED_IDS)
    values |= {"leads": ("L-1", "L-2")} if names_leads else {"pairs": ("N-1 (L-1)",)}
    night = facts()
    night.summary.review.renames = [Message(kind, values)]
    (incident,) = detect_incidents(night, WHEN)

    assert FINDING_TITLES[kind] == incident_notice(incident).title
    assert incident_notice(incident).text


def test_every_alarm_of_a_night_has_an_incident():
    """What was read, what was put off, and what the review found: each ends a night with 1 and opens an incident."""
    night = facts()
    night.summary.put_off = ["L-1"]
    night.summary.pulled.suspicious = 7
    night.summary.pulled.webhooks.damaged, night.summary.pulled.webhooks.missing = 1, ["L-9"]
    night.summary.held_after_restore = 1
    night.summary.pulled.faults = ["KeyError"]
    twins = Message(MessageKind.POSSIBLE_TWINS, {"count": 1, "pairs": ("N-1 (L-1)",)})
    reused = Message(MessageKind.REUSED_IDS, {"count": 1, "leads": ("L-2",)})
    night.summary.doubtful_ids = DoubtfulIds(told=(twins, reused))
    night.summary.review.unreadable, night.summary.review.labels = 2, [LabelCount("Vendu", 3, 2)]
    incidents = list(detect_incidents(night, WHEN))

    assert len(night.summary.attention) == len(incidents) == 10
    assert all(incident_notice(each).title in FINDING_TITLES.values() for each in incidents)
    assert ("L-1",) in [one.values.get("leads") for one in incidents]


def test_leads_on_which_somebody_must_decide_end_only_the_night_that_finds_them_with_1():
    """They have an incident for as long as they wait, with what to type."""
    night = facts()
    night.summary.undecided_leads = 2
    (incident,) = detect_incidents(night, WHEN)
    night.summary.opened = (incident,)

    assert "--create-again" in incident_notice(incident).text
    assert 1 == night.summary.exit_code
    assert 0 == replace(night.summary, opened=()).exit_code


def test_webhooks_not_understood_are_over_once_there_is_no_inbox():
    """Whoever gives webhooks up has nothing left to name; an inbox that cannot be read shows nothing."""
    cause = IncidentId(IncidentKind.FINDING, "unknown_webhooks")
    unread = facts()
    unread.summary.pulled.webhooks.problem = "damaged"

    assert is_incident_over(cause, facts(), WHEN)
    assert not is_incident_over(cause, unread, WHEN)
    assert not is_incident_over(cause, facts(source_stopped=REVOKED), WHEN)


def test_a_finding_is_over_once_a_night_that_read_everything_does_not_find_it():
    """A run between nights shows nothing."""
    cause = IncidentId(IncidentKind.FINDING, "unreadable")

    assert is_incident_over(cause, facts(), WHEN)
    assert not is_incident_over(cause, facts(reading=RunReadingScope.WEBHOOKS), WHEN)
    assert not is_incident_over(cause, facts(source_stopped=REVOKED), WHEN)


def test_only_a_night_that_read_to_the_end_knows_that_no_lead_is_missing():
    """One that time ended has not seen them all."""
    cause, night = IncidentId(IncidentKind.FINDING, "suspiciously_missing"), facts()
    was_over_before = is_incident_over(cause, night, WHEN)
    night.summary.pulled.complete = True

    assert (False, True) == (was_over_before, is_incident_over(cause, night, WHEN))


def test_an_incident_that_opens_ends_the_run_with_1():
    """A drop in acceptance is found by its history alone: no message of the night tells it."""
    night = facts().summary
    assert 0 == night.exit_code
    night.opened = (Incident(IncidentId(IncidentKind.ENDS, "v26"), {}),)

    assert 1 == night.exit_code
