"""What becomes of every way in which the platform can fail, over a real socket."""

import socket
from datetime import timedelta

import pytest

from connectors.errors import Misconfigured, Transient, Unreachable, WrongClock
from connectors.oplead import AuthOptions
from connectors.records import LeadId


def pull(source):
    """Every page, or what stops the pull."""
    return list(source.fetch_changes(None, resume=None, is_known=lambda _id, _digest: False))


FAULTS = {
    "a 429": {"status": 429},
    "a 500": {"status": 500},
    "a 503 as HTML": {"status": 503, "body": b"<html>busy</html>"},
    "a 200 as HTML": {"body": b"<!doctype html><p>Maintenance"},
    "JSON cut short": {"body": b'{"data": [{"id": "L-1", "creat'},
    "an empty body": {"body": b""},
    "a hang": {"seconds": 2},
    "a cut connection": {"cut": True},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_asked_again(platform, open_source, lead, reply, *, clock, fault):
    """One fault costs one second and one more request, and the pull goes on."""
    platform.serve("/v1/leads", reply(**FAULTS[fault]), [lead(1)])

    pages = pull(open_source())

    assert ["L-1"] == [one.id for one in pages[0].leads]
    assert 2 == len(platform.asked)
    assert [1.0] == clock.slept


@pytest.mark.parametrize("fault", ["a 429", "a 500", "a 200 as HTML", "JSON cut short", "a cut connection"])
def test_a_lasting_fault_gives_up_after_five_attempts(platform, open_source, reply, clock, fault):
    """The waits double, and the last failure is Transient."""
    platform.serve("/v1/leads", reply(**FAULTS[fault]))

    with pytest.raises(Transient):
        pull(open_source())

    assert 5 == len(platform.asked)
    assert [1.0, 2.0, 4.0, 8.0] == clock.slept


def test_nobody_listening_is_transient(open_source):
    """A refused connection is tried again like any other fault; the address and its setting are named."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        source = open_source(base_url=address)

        with pytest.raises(Unreachable, match=rf"nobody answers at {address} .*: see oplead.base_url"):
            pull(source)


def test_no_proxy_of_the_environment_stands_before_this_machine(platform, open_source, monkeypatch):
    """Whichever of its addresses is written: the proxy would be shown the token."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, platform.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # so that nobody listens at this port of 127.0.0.2 either
        source = open_source(base_url=f"http://127.0.0.2:{unused.getsockname()[1]}")

        with pytest.raises(Transient):
            pull(source)

    assert [] == platform.headers


@pytest.mark.parametrize(
    ("written", "waited"), [("7", 7.0), ("Tue, 21 Jul 2026 03:31:30 GMT", 90.0), ("0", 1.0), ("soon", 1.0)]
)
def test_the_platforms_own_delay_is_waited_for(platform, open_source, lead, reply, *, clock, written, waited):
    """Retry-After in seconds, or as a date by the platform's own clock, replaces our wait."""
    platform.serve("/v1/leads", reply(status=429, headers={"Retry-After": written}), [lead(1)])

    pull(open_source())

    assert [waited] == clock.slept


def test_a_long_delay_is_handed_on(platform, open_source, reply, clock):
    """More than five minutes is not waited for; the caller learns how long."""
    platform.serve("/v1/leads", reply(status=503, headers={"Retry-After": "3600"}))

    with pytest.raises(Transient) as caught:
        pull(open_source())

    assert timedelta(hours=1) == caught.value.retry_after
    assert [] == clock.slept


def test_a_429_halves_the_pace(platform, open_source, lead, reply, clock):
    """After a 429 the next requests come at half the pace."""
    platform.serve("/v1/leads", reply(status=429), [])
    platform.serve("/v1/leads/L-1", lead(1))
    source = open_source(per_minute=4)

    pull(source)
    list(source.fetch_each([LeadId("L-1")]))

    assert 60 < sum(clock.slept)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_stops_at_once(platform, open_source, reply, clock, status):
    """It names the setting and whose key is wanted, and is not tried again."""
    platform.serve("/v1/leads", reply(status=status))

    with pytest.raises(
        Misconfigured, match=r"key into the variable that oplead\.token names, as OPLEAD_TOKEN in \.env"
    ):
        pull(open_source())

    assert 1 == len(platform.asked)
    assert [] == clock.slept


@pytest.mark.parametrize(("status", "parameters"), [(400, True), (422, True), (404, False)])
def test_a_refused_question_names_the_settings_of_its_parameters(platform, open_source, reply, status, parameters):
    """The address is right where a platform says that it was asked wrongly."""
    platform.serve("/v1/leads", reply(status=status))

    with pytest.raises(Misconfigured) as caught:
        pull(open_source())

    assert "oplead.base_url" in str(caught.value)
    assert [parameters] * 2 == [name in str(caught.value) for name in ("oplead.pagination", "oplead.since_filter")]


@pytest.mark.parametrize("status", [302, 400, 404, 422])
def test_any_other_refusal_names_path_and_status(platform, open_source, reply, status):
    """A redirect is one of them: the token does not follow it."""
    platform.serve("/v1/leads", reply(status=status, headers={"Location": "/v1/elsewhere"}))

    with pytest.raises(Misconfigured, match=f"{status} on /v1/leads"):
        pull(open_source())

    assert ["/v1/leads"] == platform.asked


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_shows_token_query_or_body(platform, open_source, reply, fault):
    """Whatever fails, neither the token nor the answer is in the message."""
    platform.serve("/v1/leads?key=tok-0123456789", reply(**{"body": b"jane@example.org", **FAULTS[fault]}))
    source = open_source(auth=AuthOptions("query", "key"))

    with pytest.raises(Transient) as caught:
        source._client.get("/v1/leads")

    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert not any(secret in shown for secret in ("tok-", "key=", "jane", "html", "L-1"))


@pytest.mark.parametrize(
    ("auth", "token", "setting"),
    [
        (AuthOptions(), "", r"oplead\.token"),
        (AuthOptions(), "line\n", r"oplead\.token"),
        (AuthOptions("header"), "tok", r"oplead\.auth\.name"),
        (AuthOptions("query"), "tok", r"oplead\.auth\.name"),
    ],
)
def test_a_token_that_cannot_be_sent_is_refused_at_once(open_source, auth, token, setting):
    """The setting is named before anything goes out."""
    with pytest.raises(Misconfigured, match=setting):
        open_source(auth=auth, token=token)


HOURS = timedelta(hours=2)
FAR_DATES = {
    "a year ahead": "Wed, 21 Jul 2027 03:30:00 GMT",
    "a year behind": "Mon, 21 Jul 2025 03:30:00 GMT",
    "more than two hours": "Tue, 21 Jul 2026 05:31:00 GMT",
    "three years": "Sat, 21 Jul 2029 03:30:00 GMT",
    "the last there is": "Fri, 31 Dec 9999 23:59:59 GMT",
    "the first": "Thu, 01 Jan 1970 00:00:00 GMT",
}


@pytest.mark.parametrize("date", FAR_DATES.values(), ids=FAR_DATES)
@pytest.mark.parametrize("status", [200, 401, 404, 429, 503])
def test_a_clock_far_from_ours_is_told_with_both_times(platform, open_source, lead, reply, *, date, status):
    """By any answer, and no page is given: the cursor cannot follow it."""
    platform.serve("/v1/leads", reply([lead(1)], status=status, headers={"Date": date}))

    with pytest.raises(WrongClock, match=r"2026-07-21 03:30 UTC, and Oplead's \d{4}-"):
        pull(open_source(clocks_within=HOURS))
    assert 1 == len(platform.asked)


@pytest.mark.parametrize(
    "headers",
    [
        {"Date": "Tue, 21 Jul 2026 05:30:00 GMT"},
        {"Date": "Tue, 21 Jul 2026 01:30:00 GMT"},
        {"Date": "Mon, 20 Jul 2026 03:30:00 GMT", "Age": "86400"},
        {"Date": "yesterday"},
        {"Date": "Tue, 21 Jul 99999 03:30:00 GMT"},
        {"Date": ""},
    ],
)
def test_a_clock_near_ours_or_none_is_believed(platform, open_source, lead, reply, headers):
    """One out of a cache is as old as it says."""
    platform.serve("/v1/leads", reply([lead(1)], headers=headers))

    assert 1 == len(pull(open_source(clocks_within=HOURS)))


def test_leads_own_pages_tell_the_time_too(platform, open_source, lead, reply):
    """A clock may be set while a night reads."""
    for number in range(8):
        platform.serve(f"/v1/leads/L-{number}", reply(lead(number), headers={"Date": FAR_DATES["a year ahead"]}))

    with pytest.raises(WrongClock):
        list(open_source(clocks_within=HOURS).fetch_each([LeadId(f"L-{number}") for number in range(8)]))


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 -1200", "Mon, 01 Jan 0001 00:00:00 +1200", "-1"])
def test_a_date_beyond_the_calendar_is_none(platform, open_source, lead, reply, date):
    """In its own header, and as a time to come back at."""
    platform.serve("/v1/leads", reply(status=429, headers={"Date": date, "Retry-After": date}), [lead(1)])

    assert 1 == len(pull(open_source()))
