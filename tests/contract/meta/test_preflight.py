"""What preflight and diagnosis find out from Meta, and how they report it.

https://developers.facebook.com/docs/marketing-api/reference/ads-pixel
"""

import pytest

from connectors.records import CheckFinding, CheckVerdict

DATASET = {
    "id": "1234567890",
    "name": "Maison Durand",
    "is_unavailable": False,
    "last_fired_time": "2026-11-24T05:40:00+0000",
    "owner_business": {"id": "9", "name": "Durand SARL"},
}


def _token(**about: object) -> dict[str, object]:
    return {"data": {"is_valid": True, "expires_at": 0, "scopes": ["ads_management"], **about}}


def test_preflight_verifies_dataset_and_token(meta):
    """The finding names the dataset and its owner, so that a person can recognise them."""
    meta.say_by_path({"1234567890": DATASET, "debug_token": _token(expires_at=1_798_761_600)})
    said = "called “Maison Durand”, of “Durand SARL”, last event received 2026-11-24T05:40:00+0000"

    assert [
        CheckFinding("Meta dataset 1234567890", CheckVerdict.VERIFIED, said),
        CheckFinding(
            "Meta access token",
            CheckVerdict.VERIFIED,
            "valid until 2027-01-01; may use ads_management",
            "Replace it before that day.",
        ),
    ] == meta.inspector.preflight([])
    assert ["/v26.0/1234567890", "/v26.0/debug_token"] == [call.path for call in meta.calls]
    assert {"GET"} == {call.method for call in meta.calls}
    assert "id,name,is_unavailable,last_fired_time,owner_business" == meta.calls[0].query["fields"][0]


def test_deprecation_warning_is_reported_once_as_doubtful(meta):
    """The warning counts once, whichever answer carried it, and comes with advice."""
    meta.say(DATASET, headers={"X-Ad-Api-Version-Warning": "The call has been auto-upgraded"})
    found = [each for each in meta.inspector.preflight([]) if each.subject == "Meta's API v26.0"]

    assert [CheckVerdict.DOUBTFUL] == [each.verdict for each in found]
    assert "near its end" in found[0].found
    assert "newer oplead-sync" in found[0].advice


@pytest.mark.parametrize("code", [1, 190, 10])
def test_failing_server_leaves_every_check_unreadable(meta, code):
    """An error worded by a failing server proves nothing about token or dataset."""
    meta.refuse(code, http=503)

    assert {CheckVerdict.UNREADABLE} == {each.verdict for each in meta.inspector.preflight([])}


def test_token_without_expiry_is_reported_as_such(meta):
    """Tokens made in Events Manager do not expire."""
    meta.say_by_path({"debug_token": _token()})

    assert "valid, with no end; may use ads_management" == meta.inspector.preflight([])[1].found


def test_invalid_token_fails(meta):
    """The token fails even where the dataset could not be read."""
    meta.say_by_path({"debug_token": _token(is_valid=False)})

    assert CheckVerdict.FAILED is meta.inspector.preflight([])[1].verdict


def test_unavailable_dataset_fails_with_advice(meta):
    """Meta reports it as `is_unavailable`."""
    meta.say_by_path({"1234567890": DATASET | {"is_unavailable": True}})
    finding = meta.inspector.preflight([])[0]

    assert CheckVerdict.FAILED is finding.verdict
    assert finding.advice


def test_dataset_without_events_is_verified_and_reported_as_such(meta):
    """Only the id is visible to this token."""
    meta.say_by_path({"1234567890": {"id": "1234567890"}})
    said = "the access token sees it, no event received yet"

    assert CheckFinding("Meta dataset 1234567890", CheckVerdict.VERIFIED, said) == meta.inspector.preflight([])[0]


@pytest.mark.parametrize(
    ("code", "subcode", "verdict"),
    [
        (190, 463, CheckVerdict.FAILED),
        (190, None, CheckVerdict.FAILED),
        (102, None, CheckVerdict.FAILED),
        (368, None, CheckVerdict.FAILED),
        (2635, None, CheckVerdict.FAILED),
        (3, None, CheckVerdict.UNREADABLE),
        (10, None, CheckVerdict.UNREADABLE),
        (200, None, CheckVerdict.UNREADABLE),
        (100, 33, CheckVerdict.DOUBTFUL),
        (803, None, CheckVerdict.DOUBTFUL),
        (100, None, CheckVerdict.UNREADABLE),
        (4, None, CheckVerdict.UNREADABLE),
        (2, None, CheckVerdict.UNREADABLE),
        (987654, None, CheckVerdict.UNREADABLE),
    ],
)
def test_only_errors_that_would_also_stop_sending_fail(meta, code, subcode, verdict):
    """An unreadable answer blocks nothing; a failed or doubtful one is reported once and ends the checks."""
    meta.refuse(code, subcode)
    inspector = meta.inspector
    findings = [*inspector.preflight([]), *inspector.check_recent_uploads()]

    assert [verdict] * (4 if verdict is CheckVerdict.UNREADABLE else 1) == [finding.verdict for finding in findings]
    assert all(str(code) in finding.found for finding in findings)
    assert verdict is CheckVerdict.UNREADABLE or all(finding.advice for finding in findings)


def test_wrong_app_secret_fails(meta):
    """Meta has no code for it; only the message names the parameter."""
    meta.refuse(100, message="Invalid appsecret_proof provided in the API argument", type="GraphMethodException")
    finding = meta.inspector.preflight([])[0]

    assert CheckVerdict.FAILED is finding.verdict
    assert "app_secret" in finding.advice


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (500, b"{}"),
        (502, b"<html>"),
    ],
)
def test_foreign_answer_is_unreadable(meta, status, body):
    """An answer not in Meta's format neither verifies nor fails a check."""
    meta.say_bytes(body, status)
    findings = [*meta.inspector.preflight([]), *meta.inspector.check_recent_uploads()]

    assert {CheckVerdict.UNREADABLE} == {finding.verdict for finding in findings}


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"data": None},
        {"data": 1},
        {"data": [1, None, [], {"data": 1}]},
        {"data": {"is_valid": "yes"}},
        {"data": {"is_valid": True, "expires_at": 10**30, "scopes": [None, {}, "<b>"]}},
        {"id": 1234567890, "name": "x\ny"},
        {"id": "1234567890", "name": {}, "owner_business": "x", "last_fired_time": []},
    ],
)
def test_unexpected_json_shapes_never_raise(meta, strange):
    """Every check still reports a finding, whatever shape Meta answers in."""
    meta.say(strange)

    assert 4 == len([*meta.inspector.preflight([]), *meta.inspector.check_recent_uploads()])


def test_unreachable_server_fails_once_and_names_the_address(meta):
    """The configured address may be wrong, so the remaining checks are skipped."""
    meta.use(graph_url="http://127.0.0.1:9")
    inspector = meta.inspector
    (finding,) = [*inspector.preflight([]), *inspector.check_recent_uploads()]

    assert (CheckVerdict.FAILED, True) == (finding.verdict, "http://127.0.0.1:9" in finding.found)
    assert "meta.graph_url" in finding.advice


def test_diagnose_sums_event_counts_over_hours(meta):
    """Meta answers with counts per event name and hour."""
    hours = [
        {"start_time": "2026-11-24T05:00:00+0000", "data": [{"value": "Lead", "count": 3}]},
        {"data": [{"value": "Lead", "count": 1}, {"value": "Purchase", "count": 9}, {"value": "<b>", "count": 1}]},
    ]
    meta.say({"data": hours})

    assert "counted by Meta lately: 9 Purchase, 4 Lead" == meta.inspector.check_recent_uploads()[0].found
    assert ["event_total_counts", "had_pii"] == [call.query["aggregation"][0] for call in meta.calls]
    assert {"/v26.0/1234567890/stats"} == {call.path for call in meta.calls}


def test_diagnose_reports_contact_data_counts_unchanged(meta):
    """The counts are reported as received, because only Meta knows what the values mean."""
    meta.say({"data": [{"value": "true", "count": 5}, {"value": "false", "count": 2}]})
    said = "Meta has counted by whether events carried any: false: 2, true: 5"

    assert said == meta.inspector.check_recent_uploads()[1].found


def test_diagnose_without_counts_points_to_events_manager(meta):
    """Meta may have received events that it has not counted yet."""
    meta.say({"data": []})
    finding = meta.inspector.check_recent_uploads()[0]

    assert (CheckVerdict.VERIFIED, "") == (finding.verdict, finding.advice)
    assert finding.found.startswith("Meta has counted none lately")
    assert "Events Manager" in finding.found
