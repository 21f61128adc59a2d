"""What can be looked up with Meta, and how it is told.

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


def test_dataset_and_token_are_read(meta):
    """By name and owner, so that a person sees whose it is."""
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


def test_a_warning_of_the_versions_end_is_to_be_looked_at(meta):
    """Once, whichever answer carried it, and with what to do."""
    meta.say(DATASET, headers={"X-Ad-Api-Version-Warning": "The call has been auto-upgraded"})
    found = [each for each in meta.inspector.preflight([]) if each.subject == "Meta's API v26.0"]

    assert [CheckVerdict.DOUBTFUL] == [each.verdict for each in found]
    assert "near its end" in found[0].found
    assert "newer oplead-sync" in found[0].advice


@pytest.mark.parametrize("code", [1, 190, 10])
def test_a_failing_server_fails_no_check(meta, code):
    """Whatever error it words, it says nothing of token or dataset."""
    meta.refuse(code, http=503)

    assert {CheckVerdict.UNREADABLE} == {each.verdict for each in meta.inspector.preflight([])}


def test_a_token_without_end_says_so(meta):
    """As one made in Events Manager."""
    meta.say_by_path({"debug_token": _token()})

    assert "valid, with no end; may use ads_management" == meta.inspector.preflight([])[1].found


def test_a_token_that_is_no_longer_valid_has_failed(meta):
    """Even where the dataset could not be read."""
    meta.say_by_path({"debug_token": _token(is_valid=False)})

    assert CheckVerdict.FAILED is meta.inspector.preflight([])[1].verdict


def test_a_dataset_that_is_not_available_has_failed(meta):
    """Meta says so itself."""
    meta.say_by_path({"1234567890": DATASET | {"is_unavailable": True}})
    finding = meta.inspector.preflight([])[0]

    assert CheckVerdict.FAILED is finding.verdict
    assert finding.advice


def test_a_dataset_that_never_received_says_so(meta):
    """With only what the token may see."""
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
def test_only_what_would_stop_sending_too_has_failed(meta, code, subcode, verdict):
    """No right to read says nothing against sending; what fails, or may, is told once, and nothing more is asked."""
    meta.refuse(code, subcode)
    inspector = meta.inspector
    findings = [*inspector.preflight([]), *inspector.diagnose()]

    assert [verdict] * (4 if verdict is CheckVerdict.UNREADABLE else 1) == [finding.verdict for finding in findings]
    assert all(str(code) in finding.found for finding in findings)
    assert verdict is CheckVerdict.UNREADABLE or all(finding.advice for finding in findings)


def test_a_wrong_app_secret_has_failed(meta):
    """It has no code of its own, only the name of its parameter."""
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
def test_an_answer_that_is_not_metas_is_not_readable(meta, status, body):
    """It neither verifies nor fails anything."""
    meta.say_bytes(body, status)
    findings = [*meta.inspector.preflight([]), *meta.inspector.diagnose()]

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
def test_a_strange_object_never_raises(meta, strange):
    """Whatever shape Meta comes to answer in."""
    meta.say(strange)

    assert 4 == len([*meta.inspector.preflight([]), *meta.inspector.diagnose()])


def test_nobody_there_has_failed_once_and_names_the_address(meta):
    """The address may be wrong; nothing more is asked there."""
    meta.use(graph_url="http://127.0.0.1:9")
    inspector = meta.inspector
    (finding,) = [*inspector.preflight([]), *inspector.diagnose()]

    assert (CheckVerdict.FAILED, True) == (finding.verdict, "http://127.0.0.1:9" in finding.found)
    assert "meta.graph_url" in finding.advice


def test_what_meta_counted_is_told_by_event(meta):
    """Summed over the hours of its answer."""
    hours = [
        {"start_time": "2026-11-24T05:00:00+0000", "data": [{"value": "Lead", "count": 3}]},
        {"data": [{"value": "Lead", "count": 1}, {"value": "Purchase", "count": 9}, {"value": "<b>", "count": 1}]},
    ]
    meta.say({"data": hours})

    assert "counted by Meta lately: 9 Purchase, 4 Lead" == meta.inspector.diagnose()[0].found
    assert ["event_total_counts", "had_pii"] == [call.query["aggregation"][0] for call in meta.calls]
    assert {"/v26.0/1234567890/stats"} == {call.path for call in meta.calls}


def test_contact_data_is_told_as_meta_counts_it(meta):
    """The counts as they come: the meaning of the values is Meta's."""
    meta.say({"data": [{"value": "true", "count": 5}, {"value": "false", "count": 2}]})
    said = "Meta has counted by whether events carried any: false: 2, true: 5"

    assert said == meta.inspector.diagnose()[1].found


def test_nothing_counted_says_where_to_look(meta):
    """Received is not yet counted."""
    meta.say({"data": []})
    finding = meta.inspector.diagnose()[0]

    assert (CheckVerdict.VERIFIED, "") == (finding.verdict, finding.advice)
    assert finding.found.startswith("Meta has counted none lately")
    assert "Events Manager" in finding.found
