"""Notification settings: a wrong address is found before the night that needs it."""

from datetime import timedelta
from fractions import Fraction

import pytest

from jobs.settings import InvalidSettings, ValidSettings


def test_reads_thresholds_and_the_metrics_path_as_written(loaded, tmp_path):
    """A relative path starts at the settings file's folder."""
    answer = loaded(
        notify="['${NOTIFY_URL}']",
        notify_when="{ rejected_above: 12 %, rejected_at_least: 9, silent_above: 3, acceptance_drop: 10, "
        "expires_within: 5 d, ends_within: 90 d }",
        metrics="numbers/oplead.prom",
        ping="'${LOCAL_PING}'",
    )

    assert isinstance(answer, ValidSettings), answer
    when = answer.settings.notify_when
    assert (Fraction(12, 100), 9, 3, 10) == (
        when.max_rejected_share,
        when.rejected_at_least,
        when.silent_above,
        when.acceptance_drop,
    )
    assert (timedelta(days=5), timedelta(days=90)) == (when.expires_within, when.ends_within)
    assert tmp_path / "numbers" / "oplead.prom" == answer.settings.metrics


def test_an_unknown_notification_url_is_refused_without_being_shown(loaded):
    """The problem has the line and says what to write instead."""
    answer = loaded(notify="\n  - ${NOTIFY_URL}\n  - ${NOT_A_SERVICE}")

    assert isinstance(answer, InvalidSettings)
    (problem,) = answer.problems
    assert ("notify.1", 10, 5) == (problem.path, problem.line, problem.column)
    assert "jsons://host/path" in problem.message
    assert "tok-" not in str(problem)


@pytest.mark.parametrize("name", ["NOT_AN_ADDRESS", "PLAIN_HTTP"])
def test_a_ping_address_that_cannot_be_requested_is_refused(complaints, name):
    """Plain HTTP would show the key in the address to anyone on the network."""
    (said,) = complaints(ping=f"'${{{name}}}'")

    assert said.startswith("ping: the address found here cannot be requested")
    assert "tok-" not in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"notify": "[json://127.0.0.1/x]"}, "notify.0: a secret must not stand in this file"),
        ({"ping": "https://hc-ping.com/1"}, "ping: a secret must not stand in this file"),
        ({"metrics": "oplead.txt"}, "metrics: write the path of a file whose name ends in .prom"),
        ({"notify_when": "{ rejected_above: 100 % }"}, "notify_when.rejected_above: write a percentage below 100"),
        ({"notify_when": "{ rejected_above: 0.05 }"}, "notify_when.rejected_above: write a percentage below 100"),
        ({"notify_when": "{ acceptance_drop: 0 }"}, "notify_when.acceptance_drop: write 1 or more"),
        ({"notify_when": "{ silent_above: 0 }"}, "notify_when.silent_above: write a number above 0"),
        ({"notify_when": "{ expires_within: three days }"}, "notify_when.expires_within: write a length of time"),
        ({"notify_when": "{ rejected: 1 }"}, "notify_when.rejected: there is no such key here"),
    ],
)
def test_nonsensical_notification_settings_are_refused_with_advice(complaints, changes, message):
    """Each problem names its place."""
    (said,) = complaints(**changes)

    assert said.startswith(message)
