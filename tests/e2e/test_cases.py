"""Plays every lead of cases.yaml over real sockets and checks its state and what reached each platform."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from connectors.sandbox.google.ads_api import state as ads_api_state
from connectors.sandbox.google.data_manager import server as data_manager_server
from connectors.sandbox.meta import server as meta_server
from jobs.rules.reasons import Reason
from tests.e2e.support import playing, wires
from tests.e2e.support.playing import Way

FLIPPED = (
    ("data_manager", "violation_index", False),
    ("data_manager", "violations_named", "all"),
    ("data_manager", "record_indices", "strings"),
    ("data_manager", "failed_word", "FAILURE"),
    ("google_ads", "ads_api_cross_dedup", True),
    ("google_ads", "ads_api_click_dedup", "always"),
    ("google_ads", "ads_api_echo", True),
    ("google_ads", "ads_api_duplicates", "all"),
    ("meta", "meta_deduplication", False),
    ("meta", "meta_error_index", True),
    ("meta", "meta_language", "fr"),
    ("meta", "meta_malformed_click_id", "accept"),
    ("meta", "meta_ahead_seconds", 300),
    ("meta", "meta_ascii_names", True),
)
"""Every undocumented switch in its other position."""
DATA_MANAGER = Way()
ALONE = Way(alone=True, switches=FLIPPED)
DATA_MANAGER_FLIPPED = Way(switches=FLIPPED)
ADS_API = Way("google_ads_api")
ADS_API_FLIPPED = Way("google_ads_api", switches=FLIPPED)
ON_POSTGRESQL = Way(database="postgresql")
ADS_API_ON_POSTGRESQL = Way("google_ads_api", database="postgresql")
OURS = {*Reason}
SAMPLE = {
    "bare_without_utm",
    "meta_bare_without_utm",
    "both_names",
    "both_phone",
    "wbraid",
    "click_id_appears_after_change",
    "click_six_hours_over_at_second_run",
    "google_gbraid_unreadable",
    "too_old_for_google",
    "window_past",
    "lead_without_id",
    "undated_old_lead",
    "undated_new_lead_never_updated",
    "won_lost_won_over_nights",
    "funnel_first_stage_past",
    "meta_amount_absent_waiting",
    "meta_amount_unreadable",
    "meta_consent_missing",
    "meta_consent_refused",
    "meta_consent_unknown",
    "meta_consent_withdrawn_while_pending",
    "meta_id_appears_after_change",
    "meta_refused_fbc",
    "meta_time_before_creation",
    "meta_too_old_for_meta",
    "meta_undated_old_lead",
    "all_meta_too_little",
    "strict_meta_no_value",
    "no_indices_good",
    "autumn_overlap",
    "first_run_undated",
}
"""The cases that `make test` plays on PostgreSQL: each state and reason, each kind of id, times in two zones."""
OF_SHARED_ROWS = ("no_indices", "stopped")
"""Variants about rows that share one request."""


NOT_PLAYED_HERE = {
    "processing_minutes": "a length of time, played by the tests of waiting",
    "ads_api_allowlisted": "an account's state: check --live and validate-only",
    "ads_api_enhanced": "an account's state: check --live",
    "adjustments_allowlisted": "corrections of what was accepted: test_corrections",
    "adjustments_unknown": "corrections of what was accepted: test_corrections",
    "cross_api_adjustments": "corrections of what was accepted: test_corrections",
    "zero_is_final": "corrections of what was accepted: test_corrections",
    "meta_readable": "what a token may read: check --live",
    "records_counted": "a fault: another number than was sent, over the wire",
    "warned": "a warning in what a platform says of itself, over the wire",
    "ads_api_lost": "a fault: what is counted, not how it ends: test_statements",
    "meta_lost": "a fault: what is counted, not how it ends: test_statements",
    "meta_quality_readable": "what a token may read: test_statements",
    "meta_version_ends": "a warning: check --live and the wire",
    "meta_received": "a fault: what Meta's answers mean, over the wire",
    "meta_throttle_minutes": "a fault: throttling, over the wire",
}


def test_every_sandbox_switch_is_played_or_excluded_with_a_reason():
    """A sandbox rule never tried in its other position proves nothing."""
    switches = {*data_manager_server.SWITCHES, *ads_api_state.SWITCHES, *meta_server.SWITCHES}

    assert switches == {name for _, name, _ in FLIPPED} | NOT_PLAYED_HERE.keys()


def test_sample_holds_every_state_and_reason():
    """What `make test` plays on PostgreSQL leaves out repetition, and no kind of result."""

    def results(cases):
        return {
            (place, expected.get("state"), expected.get("reason") in OURS and expected["reason"])
            for case in cases
            for place in ("expect", "expect_meta")
            for expected in case.get(place, {}).values()
            if expected is not True
        }

    sample = [case for case in playing.CASES if case["id"] in SAMPLE]
    assert len(SAMPLE) == len(sample)
    assert results(playing.CASES) == results(sample)


def parametrize(*ways):
    """Yield each case in each of these ways; one worker plays a variant in one way once."""
    for way in ways:
        for case in playing.CASES:
            variant = playing.variant_of(case)
            if way.alone and variant in OF_SHARED_ROWS:
                continue
            marks = [by_one_worker(variant, way)]
            if not is_played_by_make_test(way, case):
                marks.append(pytest.mark.exhaustive)
            yield pytest.param(way, case, id=f"{case['id']}-{way.name}", marks=marks)


def is_played_by_make_test(way, case):
    """Whether a case is played in this way even where something is left out."""
    if way == ON_POSTGRESQL:
        return case["id"] in SAMPLE
    return way == DATA_MANAGER or (way == ADS_API and playing.variant_of(case) == "base")


def by_one_worker(variant, way):
    """The mark that has one worker play a variant in one way for all tests that use it."""
    return pytest.mark.xdist_group(f"cases-{variant}-{way.name}")


@pytest.mark.parametrize(("way", "case"), list(parametrize(DATA_MANAGER, DATA_MANAGER_FLIPPED, ALONE, ON_POSTGRESQL)))
def test_case_over_data_manager(way, case):
    """The lead ends in its expected state, and exactly the expected events reach Google."""
    result = playing.played(playing.variant_of(case), way, wires)
    if not unreadable(result, case):
        check(result, case, case["expect"], BY_DATA_MANAGER)


@pytest.mark.parametrize(
    ("way", "case"),
    [
        each
        for each in parametrize(ADS_API, ADS_API_FLIPPED, ADS_API_ON_POSTGRESQL)
        if each.values[1].get("ads_api") != "skip"
    ],
)
def test_case_over_google_ads_api(way, case):
    """The same leads give the same results over Google's other API, except for what it cannot carry."""
    result = playing.played(playing.variant_of(case), way, wires)
    if not unreadable(result, case):
        expected = playing.laid_over(case["expect"], case.get("expect_ads_api", {}))
        check(result, case, expected, BY_ADS_API)


@pytest.mark.parametrize(
    ("way", "case"),
    [
        each
        for each in parametrize(DATA_MANAGER, ALONE, ADS_API_FLIPPED, ON_POSTGRESQL)
        if "expect_meta" in each.values[1]
    ],
)
def test_case_at_meta(way, case):
    """The lead ends in its expected state at Meta, whichever transport Google uses."""
    result = playing.played(playing.variant_of(case), way, wires)
    if not unreadable(result, case):
        check(result, case, case["expect_meta"], AT_META)


def unreadable(result, case):
    """Check a lead that cannot be read; return false for any other."""
    if not case["expect"].get("unreadable"):
        return False
    assert playing.name_of(case) not in result.leads
    assert result.unreadable > 0
    return True


def taken_by_data_manager(expected):
    """How often Data Manager took in an event: one rejected in processing was taken in first."""
    return 0 if expected["state"] == "rejected" and not expected["reason"].startswith("PROCESSING") else 1


def taken_at_once(expected):
    """How often an event was taken in by a platform that judges it at once."""
    return int(expected["state"] == "accepted")


@dataclass(frozen=True)
class Place:
    """Where and how a case is checked."""

    destination: str
    check_wire: Callable
    taken: Callable
    """How often an event with these expectations was taken in."""


BY_DATA_MANAGER = Place("google_ads", wires.check_google, taken_by_data_manager)
BY_ADS_API = Place("google_ads", wires.check_google, taken_at_once)
AT_META = Place("meta", wires.check_meta, taken_at_once)


def check(result, case, expectations, place):
    """Compare what a variant's runs left at a place with what the case expects."""
    destination = place.destination
    for conversion, expected in expectations.items():
        row = result.deliveries.get((destination, playing.name_of(case), conversion))
        told = f"{destination}, {conversion}: {expected} but {row}"
        if expected.get("none"):
            assert row is None, told
            continue
        assert row is not None, told
        assert expected["state"] == row.state, told
        if "reason" in expected:
            why = row.code or row.reason
            assert expected["reason"] == why, told
        if "not_before" in expected:
            assert wires.instant(expected["not_before"]) == row.not_before, told
        seen = result.seen[row.key]
        if "wire" not in expected:
            assert seen == [], told
            continue
        assert seen != [], told
        assert place.taken(expected) == sum(one.taken for one in seen), told
        assert re.fullmatch(r"[0-9a-f]{1,64}", row.key)
        for one in seen:
            place.check_wire(expected["wire"], one.wire)


@pytest.mark.parametrize(
    "way", [pytest.param(way, id=way.transport, marks=by_one_worker("base", way)) for way in (DATA_MANAGER, ADS_API)]
)
def test_each_request_carries_one_conversion_action(way):
    """Bad rows of one conversion action never hold up another."""
    actions = playing.played("base", way, wires).actions

    assert {1} == {len(each) for each in actions}
    assert {"987654321", "987654322", "987654323"} == set.union(*actions)
