"""Validation verdicts: who gave each of them, and what is wrong."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from connectors.records import DestinationId, UnreadableLead
from jobs.deliver.transactions import SendingResult
from jobs.exit_codes import Exit
from jobs.plan.twin_guard import DoubtfulIds
from jobs.plan.volume_guard import ExcessVolume
from jobs.pull.ingest import FewerLeads, PullResult, WebhooksTaken
from jobs.reporting.presentation import AccountPresentation
from jobs.reporting.run_report import (
    MOVED,
    Mode,
    Night,
    night_json,
    print_conversion_verdicts,
    print_night,
    what_needs_somebody,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import DestinationScope, Message, MessageKind, StopCause, StopKind
from jobs.run_findings import LabelCount, RunFindings
from jobs.run_summary import RunSummary

NOW = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
ACCOUNT = AccountPresentation(
    "maison-test",
    ZoneInfo("Europe/Paris"),
    "EUR",
    {"sale": "Vente signée", "funnel:sale": "won"},
    Path("clients/durand.yaml"),
)


def _summary(moved):
    summary = RunSummary("maison-test", 3, NOW)
    summary.delivered.moved = Counter(moved)
    return summary


def _printed(show, width=80):
    text = StringIO()
    show(Console(file=text, width=width, highlight=False))
    return text.getvalue()


def _verdicts(moved):
    return _printed(lambda console: print_conversion_verdicts(console, ACCOUNT, _summary(moved)))


def _rows(text):
    """The cells of each row, runs of spaces as one."""
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        (DeliveryState.ACCEPTED, "VALIDATED", "valid, says the platform"),
        (DeliveryState.ACCEPTED, "CHECKED_LOCALLY", "valid, checked on this machine only"),
        (DeliveryState.ACCEPTED, "SOMETHING_NEW", "valid"),
        (DeliveryState.REJECTED, "SOMETHING_NEW", "rejected: SOMETHING_NEW"),
        (DeliveryState.IN_DOUBT, "timeout", "in doubt: timeout"),
    ],
)
def test_verdict_names_its_source_and_never_claims_acceptance(state, code, said):
    """A local check is never reported as the platform's, nor a check as an acceptance."""
    text = _verdicts({("sale", "google_ads", state, code): 4})

    assert f"Vente signée google_ads 4 {said}" in _rows(text)
    assert "accepted" not in text


def test_rejection_shows_words_and_the_platform_code():
    """The words explain it, and the code can be looked up."""
    text = " ".join(_verdicts({("sale", "google_ads", DeliveryState.REJECTED, "UNPARSEABLE_GCLID"): 1}).split())

    assert "click id not readable" in text
    assert "(UNPARSEABLE_GCLID)" in text


def test_funnel_stage_is_shown_as_one():
    """Its id means nothing to a reader."""
    text = _verdicts({("funnel:sale", "meta", DeliveryState.ACCEPTED, "CHECKED_LOCALLY"): 2})

    assert "won (Meta's forms) meta 2 valid, checked on this machine" in _rows(text)
    assert "funnel:" not in text


@pytest.mark.parametrize(
    "moved", [{}, {("sale", "google_ads", DeliveryState.PENDING, "x"): 0}], ids=["none", "none left"]
)
def test_says_when_nothing_was_checked(moved):
    """There is no empty table."""
    assert "Nothing is due, so nothing was checked." in _verdicts(moved)


def test_validation_shows_verdicts_in_place_of_deliveries():
    """Its heading says that nothing counts, and no line claims that something was sent or heard."""
    night = Night(_summary({("sale", "meta", DeliveryState.ACCEPTED, "CHECKED_LOCALLY"): 1}), NOW, (), Mode.VALIDATION)
    text = _printed(lambda console: print_night(console, ACCOUNT, night), width=120)

    assert "validation, nothing counts or changes" in text
    assert "What would be sent, checked" in text
    assert MOVED not in text
    assert not {"sent", "heard"} & {line.split()[0] for line in text.splitlines() if line.startswith("  ")}


@pytest.mark.parametrize("mode", [Mode.RUN, Mode.REHEARSAL])
def test_a_night_names_the_day_before_which_nothing_goes_out(mode):
    """Whoever wrote a day to come as `since` would take a silent night for a broken one."""
    start = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    night = Night(_summary({}), NOW, (), mode)
    one, every = (
        " ".join(
            _printed(
                lambda console, starts=starts: print_night(console, replace(ACCOUNT, starts=starts), night)
            ).split()
        )
        for starts in ({"sale": start}, dict.fromkeys(ACCOUNT.conversions, start))
    )
    past = _printed(lambda console: print_night(console, replace(ACCOUNT, starts={"sale": NOW}), night))

    assert "Before Fri 1 Jan 2027, nothing goes out for Vente signée (see `since`)." in one
    assert "Nothing goes out before Fri 1 Jan 2027: no conversion counts until then (see `since`)." in every
    assert "see `since`" not in past


@pytest.mark.parametrize("mode", [Mode.VALIDATION, Mode.REHEARSAL])
def test_validation_and_rehearsal_name_unreadable_leads(mode):
    """No state will have them to look up, so ten that lack the same appear by name, whatever the length of it."""
    summary = _summary({})
    summary.pulled.unreadable = [UnreadableLead(f"L-{n}", f"no time (text, {n} characters)") for n in range(12)]
    summary.pulled.unreadable[3] = UnreadableLead(None, "no id")
    summary.review.unreadable = 12
    text = _printed(lambda console: print_night(console, ACCOUNT, Night(summary, NOW, (), mode)))

    assert 1 == summary.exit_code
    assert "A human is needed" in text
    named = "L-0, L-1, L-2, L-4, L-5, L-6, L-7, L-8, L-9, L-10, …"
    assert f"11 leads could not be read: no time ({named})" in " ".join(text.split())
    assert "lead without an id could not be read: no id" in text
    assert "L-11" not in text


META = DestinationScope(DestinationId("meta"))
RENAMED = {"before": "Gagné", "after": "Signé", "leads": 6}
TROUBLES = {
    "source stopped": {"source_stopped": StopCause(StopKind.UNAVAILABLE, ("no answer",))},
    "rejected": {"to_correct": {META: ["L-1"]}, "delivered": SendingResult(unexpected=1)},
    "volume held": {"held": {META: ExcessVolume(60, 50, 10)}},
    "reused ids": {"doubtful_ids": DoubtfulIds(told=(Message(MessageKind.UNDECIDED_LEADS, {"count": 1}),))},
    "unconfirmed": {"unconfirmed": 1},
    "in doubt": {"doubtful": [Message(MessageKind.IN_DOUBT, {"scope": META, "count": 1})]},
    "put off": {"put_off": ["L-1"]},
    "held after a restore": {"held_after_restore": 1},
    "no record of created leads": {"created_leads_unusable": Message(MessageKind.UNDECIDED_LEADS, {"count": 1})},
    "leads missing from the list": {"pulled": PullResult(fewer=FewerLeads(1, 9))},
    "leads unread": {"pulled": PullResult(unread=3)},
    "no pages of leads": {"pulled": PullResult(no_detail_pages=True)},
    "webhooks of no lead": {"pulled": PullResult(webhooks=WebhooksTaken(missing=["L-1"]))},
    "webhooks not understood": {"pulled": PullResult(webhooks=WebhooksTaken(unknown={"{a}": 1}))},
    "webhooks damaged": {"pulled": PullResult(webhooks=WebhooksTaken(damaged=1))},
    "a status renamed": {"review": RunFindings(renames=[Message(MessageKind.RENAMED_TO_UNKNOWN, RENAMED)])},
    "a status unknown": {"review": RunFindings(labels=[LabelCount("Vendu !", 2, 1)])},
    "unreadable, seen by a run that died": {"review": RunFindings(unreadable=1)},
    "a fault": {"other_faults": ["KeyError"]},
}


@pytest.mark.parametrize("mode", [Mode.VALIDATION, Mode.REHEARSAL])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trial_that_does_not_end_with_0_says_why(trouble, mode):
    """Whatever a run calls for a human for."""
    summary = RunSummary("maison-test", 3, NOW, only_validated=mode is Mode.VALIDATION, **TROUBLES[trouble])
    lines = what_needs_somebody(Night(summary, NOW, (), mode), ACCOUNT.zone)

    assert summary.exit_code != Exit.DONE
    assert max(1, len(summary.attention)) <= len(lines)


@pytest.mark.parametrize(("mode", "rehearsed"), [(Mode.RUN, False), (Mode.REHEARSAL, True), (Mode.VALIDATION, True)])
def test_json_says_which_kind_of_night_it_was(mode, rehearsed):
    """`mode` distinguishes a validation from a rehearsal; `rehearsed` says that nothing counts."""
    told = night_json(replace(Night(_summary({}), NOW, ()), mode=mode), "EUR")

    assert (mode.value, rehearsed) == (told["mode"], told["rehearsed"])
