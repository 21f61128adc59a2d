"""How the client handles each kind of platform failure, over a real socket."""

import socket
from datetime import timedelta

import pytest

from connectors.errors import Misconfigured, Transient, Unreachable, WrongClock
from connectors.oplead.options import ApiAuthScheme
from connectors.records import LeadId


def pull(source):
    """Read every page, or raise what stops the pull."""
    return list(source.fetch_changes(None, resume=None, find_known=lambda _: ()))


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
def test_retries_after_a_transient_fault(platform, open_source, lead, reply, *, clock, fault):
    """One fault costs one second, or a 429's minute, and one extra request, and the pull continues."""
    platform.serve("/v1/leads", reply(**FAULTS[fault]), [lead(1)])

    pages = pull(open_source())

    assert ["L-1"] == [one.id for one in pages[0].leads]
    assert 2 == len(platform.asked)
    assert [60.0 if fault == "a 429" else 1.0] == clock.slept


@pytest.mark.parametrize("fault", ["a 429", "a 500", "a 200 as HTML", "JSON cut short", "a cut connection"])
def test_gives_up_on_a_lasting_fault_after_five_attempts(platform, open_source, reply, clock, fault):
    """The waits double, a 429 that names none costs a minute each time, and the last failure is `Transient`."""
    platform.serve("/v1/leads", reply(**FAULTS[fault]))

    with pytest.raises(Transient):
        pull(open_source())

    assert 5 == len(platform.asked)
    assert ([60.0] * 4 if fault == "a 429" else [1.0, 2.0, 4.0, 8.0]) == clock.slept


def test_refused_connection_raises_unreachable_naming_the_address_and_setting(open_source):
    """It is retried like any other fault."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        source = open_source(base_url=address)

        with pytest.raises(Unreachable, match=rf"nobody answers at {address} .*: see oplead.base_url"):
            pull(source)


def test_ignores_environment_proxies_for_loopback_addresses(platform, open_source, monkeypatch):
    """A proxy would see the token; the rule holds for every address in 127.0.0.0/8."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, platform.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # keeps this port of 127.0.0.2 unused too
        source = open_source(base_url=f"http://127.0.0.2:{unused.getsockname()[1]}")

        with pytest.raises(Transient):
            pull(source)

    assert [] == platform.headers


@pytest.mark.parametrize(
    ("written", "waited"), [("7", 7.0), ("Tue, 21 Jul 2026 03:31:30 GMT", 90.0), ("0", 1.0), ("soon", 60.0)]
)
def test_waits_for_the_retry_after_delay(platform, open_source, lead, reply, *, clock, written, waited):
    """Retry-After, in seconds or as a date by the platform's own clock, replaces our wait; text is taken for none."""
    platform.serve("/v1/leads", reply(status=429, headers={"Retry-After": written}), [lead(1)])

    pull(open_source())

    assert [waited] == clock.slept


def test_passes_a_long_retry_after_to_the_caller_without_waiting(platform, open_source, reply, clock):
    """The client waits five minutes at most; beyond that the caller gets the delay."""
    platform.serve("/v1/leads", reply(status=503, headers={"Retry-After": "3600"}))

    with pytest.raises(Transient) as caught:
        pull(open_source())

    assert timedelta(hours=1) == caught.value.retry_after
    assert [] == clock.slept


def test_429_halves_the_pace(platform, open_source, lead, reply, clock):
    """Later requests keep the reduced pace."""
    platform.serve("/v1/leads", reply(status=429), [])
    platform.serve("/v1/leads/L-1", lead(1))
    source = open_source(per_minute=4)

    pull(source)
    list(source.fetch_each([LeadId("L-1")]))

    assert 60 < sum(clock.slept)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_token_stops_at_once(platform, open_source, reply, clock, status):
    """The error names the setting and the variable that holds the key; nothing is retried."""
    platform.serve("/v1/leads", reply(status=status))

    with pytest.raises(
        Misconfigured, match=r"key into the variable that oplead\.token names, as OPLEAD_TOKEN in \.env"
    ):
        pull(open_source())

    assert 1 == len(platform.asked)
    assert [] == clock.slept


@pytest.mark.parametrize(("status", "parameters"), [(400, True), (422, True), (404, False)])
def test_rejected_query_names_the_pagination_and_filter_settings(platform, open_source, reply, status, parameters):
    """A 400 or 422 blames the query as well as the address; a 404 only the address."""
    platform.serve("/v1/leads", reply(status=status))

    with pytest.raises(Misconfigured) as caught:
        pull(open_source())

    assert "oplead.base_url" in str(caught.value)
    assert [parameters] * 2 == [name in str(caught.value) for name in ("oplead.pagination", "oplead.since_filter")]


@pytest.mark.parametrize("status", [302, 400, 404, 422])
def test_other_refusals_name_the_path_and_status(platform, open_source, reply, status):
    """A redirect counts as a refusal: the token must not follow it."""
    platform.serve("/v1/leads", reply(status=status, headers={"Location": "/v1/elsewhere"}))

    with pytest.raises(Misconfigured, match=f"{status} on /v1/leads"):
        pull(open_source())

    assert ["/v1/leads"] == platform.asked


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_shows_token_query_or_body(platform, open_source, reply, fault):
    """Whatever fails, neither the token, the query nor the answer reaches the message."""
    platform.serve("/v1/leads?key=tok-0123456789", reply(**{"body": b"jane@example.org", **FAULTS[fault]}))
    source = open_source(auth=ApiAuthScheme("query", "key"))

    with pytest.raises(Transient) as caught:
        source._client.get("/v1/leads")

    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert not any(secret in shown for secret in ("tok-", "key=", "jane", "html", "L-1"))


@pytest.mark.parametrize(
    ("auth", "token", "setting"),
    [
        (ApiAuthScheme(), "", r"oplead\.token"),
        (ApiAuthScheme(), "line\n", r"oplead\.token"),
        (ApiAuthScheme("header"), "tok", r"oplead\.auth\.name"),
        (ApiAuthScheme("query"), "tok", r"oplead\.auth\.name"),
    ],
)
def test_rejects_a_token_that_cannot_be_sent(open_source, auth, token, setting):
    """The error names the setting before any request goes out."""
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
def test_platform_clock_far_from_ours_raises_wrong_clock(platform, open_source, lead, reply, *, date, status):
    """The message has both times; any answer's Date counts, and no page is returned, so the cursor cannot follow it."""
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
def test_accepts_a_date_within_tolerance_cached_or_unreadable(platform, open_source, lead, reply, headers):
    """The Age header is added to the Date of a cached answer."""
    platform.serve("/v1/leads", reply([lead(1)], headers=headers))

    assert 1 == len(pull(open_source(clocks_within=HOURS)))


def test_checks_the_platform_clock_on_detail_pages_too(platform, open_source, lead, reply):
    """A clock may be changed while a night reads."""
    for number in range(8):
        platform.serve(f"/v1/leads/L-{number}", reply(lead(number), headers={"Date": FAR_DATES["a year ahead"]}))

    with pytest.raises(WrongClock):
        list(open_source(clocks_within=HOURS).fetch_each([LeadId(f"L-{number}") for number in range(8)]))


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 -1200", "Mon, 01 Jan 0001 00:00:00 +1200", "-1"])
def test_ignores_dates_beyond_the_calendar(platform, open_source, lead, reply, date):
    """Applies to the Date header and to Retry-After."""
    platform.serve("/v1/leads", reply(status=429, headers={"Date": date, "Retry-After": date}), [lead(1)])

    assert 1 == len(pull(open_source()))
