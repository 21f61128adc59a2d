"""What Meta says it counted, over real sockets: golden requests, and every answer that has nothing to show."""

from datetime import UTC, datetime

import pytest

from connectors.meta.statements import MetaStatementReader
from connectors.records import CountedRowsFilter, PlatformStatement, SentRequest, StatementSubject, Target
from connectors.statement_messages import NO_ANSWER, NOT_STATED, NOTHING_YET, REFUSED, UNREADABLE
from tests.contract.meta.conftest import DATASET, TOKEN

SINCE, UNTIL = datetime(2026, 11, 1, 3, 30, tzinfo=UTC), datetime(2026, 11, 8, 3, 30, tzinfo=UTC)
FIRST, LAST = datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 8, 3, tzinfo=UTC)
PURCHASE = CountedRowsFilter("conversions_api", DATASET, "Purchase", FIRST, LAST, is_shared=True)
MAY_NOT_COUNT = "the access token may not read this; it needs ads_read and access to the dataset"
MAY_NOT_RATE = (
    "the access token may not read this; it needs ads_read, one of ads_management and business_management, and access"
    " to the dataset"
)


def stats(**counts):
    """An hour of counts, as Meta writes it, with a field that nobody knows."""
    listed = [{"value": name, "count": count} for name, count in counts.items()]
    return {"data": [{"start_time": "2026-11-02T03:00:00+0000", "aggregation": "event", "data": listed, "new": 1}]}


def read(meta, *names):
    """Read the statements of a dataset to which events of these names were sent."""
    targets = [Target("conversions_api", DATASET, name, "") for name in names or ("Purchase",)]
    sent = [SentRequest(target, SINCE, 3, None) for target in targets]
    return MetaStatementReader(meta.options).read_statements(SINCE, UNTIL, sent)


def nothing(subject, why):
    """The statement that there is nothing to show."""
    return PlatformStatement(subject, "", why, None)


def test_asks_for_counts_keys_and_quality(meta):
    """By whole hours, with the token in a header."""
    read(meta)
    span = {"start_time": [str(int(FIRST.timestamp()))], "end_time": [str(int(LAST.timestamp()))]}

    assert [
        ("GET", f"/v26.0/{DATASET}/stats", {"aggregation": ["event"], **span}),
        ("GET", f"/v26.0/{DATASET}/stats", {"aggregation": ["match_keys"], **span}),
        (
            "GET",
            "/v26.0/dataset_quality",
            {"dataset_id": [DATASET], "fields": ["web{event_name,event_match_quality{composite_score}}"]},
        ),
    ] == [(call.method, call.path, call.query) for call in meta.calls]
    assert {f"Bearer {TOKEN}"} == {call.headers["Authorization"] for call in meta.calls}


def test_says_what_meta_counted(meta):
    """Of the events that were sent, whoever sent them; those of others are left out, one that is missing is a 0."""
    rated = {"event_name": "Purchase", "event_match_quality": {"composite_score": 6.24, "more": []}}
    unrated = {"event_name": "Lead", "event_match_quality": None}
    meta.say_by_path({"stats": stats(Purchase=3, PageView=900), "dataset_quality": {"web": [rated, unrated, 7]}})
    found = read(meta, "Purchase", "Schedule")

    assert [
        PlatformStatement(StatementSubject.EVENT_COUNT, "Purchase", 3, None, PURCHASE),
        (StatementSubject.EVENT_COUNT, "Schedule", 0),
        (StatementSubject.MATCH_KEYS, "PageView", "900"),
        (StatementSubject.MATCH_KEYS, "Purchase", "3"),
        (StatementSubject.EVENT_MATCH_QUALITY, "Purchase", "6.24"),
    ] == [found[0], *((each.subject, each.name, each.value) for each in found[1:])]


def test_empty_answers_say_that_there_is_nothing_yet(meta):
    """No events, no keys, no ratings: which is how Meta treats events from a CRM."""
    meta.say_by_path({"stats": {"data": []}, "dataset_quality": {}})

    assert [
        PlatformStatement(StatementSubject.EVENT_COUNT, "Purchase", 0, None, PURCHASE),
        nothing(StatementSubject.MATCH_KEYS, NOTHING_YET),
        nothing(StatementSubject.EVENT_MATCH_QUALITY, NOTHING_YET),
    ] == read(meta)


@pytest.mark.parametrize(("code", "subcode"), [(10, None), (200, None), (294, None), (100, 33), (803, None)])
def test_token_that_may_not_read_says_what_it_needs(meta, code, subcode):
    """A token of Events Manager may send and not read, which may look like a dataset that is not there."""
    meta.refuse(code, subcode)

    assert [
        nothing(StatementSubject.EVENT_COUNT, MAY_NOT_COUNT),
        nothing(StatementSubject.MATCH_KEYS, MAY_NOT_COUNT),
        nothing(StatementSubject.EVENT_MATCH_QUALITY, MAY_NOT_RATE),
    ] == read(meta)


def test_refused_token_is_said_to_be(meta):
    """What Meta wrote of it is not repeated."""
    meta.refuse(190, 463)

    assert {REFUSED} == {each.value for each in read(meta)}


@pytest.mark.parametrize("body", [b"<html>Sorry</html>", b"", b"[]", b'{"data": 7}', b"[" * 100_000])
def test_unreadable_answers_are_said_to_be(meta, body):
    """HTML, nothing, and JSON of another shape; a rating that is missing is none."""
    meta.say_bytes(body)
    counts, keys, _ = read(meta)

    assert (UNREADABLE, UNREADABLE) == (counts.value, keys.value)


@pytest.mark.parametrize(("code", "http"), [(2, 500), (80004, 400), (100, 400), (2635, 400)])
def test_other_refusals_are_not_blamed_on_the_token(meta, code, http):
    """A trouble of Meta's own, too many calls, a version that has ended."""
    meta.refuse(code, http=http)

    assert {NOT_STATED} == {each.value for each in read(meta)}


@pytest.mark.parametrize("trouble", ["stay_silent", "shut_down_socket", "drip"])
def test_unanswered_call_ends_the_reading(meta, trouble):
    """Nothing is raised, and the other questions are not asked."""
    getattr(meta, trouble)()
    meta.use(timeout=(0.1, 0.1))

    assert [nothing(StatementSubject.EVENT_COUNT, NO_ANSWER)] == read(meta)
    assert 1 == len(meta.calls)
