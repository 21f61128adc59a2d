"""Keys without an effect yet are noted, and the run goes on."""

import pytest

from jobs.settings import ValidSettings
from jobs.settings.lint import PENDING
from jobs.settings.schema import Settings

META = "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}'%s }"
CONVERSION = "[{ id: sale, stage: won, google_ads: { conversion_action: 12 }, %s }]"
GOOGLE = "{ customer_id: 1234567890, credentials: key.json, %s }"
OPLEAD = "{ token: '${OPLEAD_TOKEN}', %s }"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"retention": "{ days: 3 }"}, ["retention"]),
    ],
)
def test_a_key_without_effect_yet_is_noted(loaded, changes, expected):
    """The note stands at the key's place and says what happens meanwhile."""
    answer = loaded(**changes)

    assert isinstance(answer, ValidSettings)
    assert sorted(expected) == sorted(note.path for note in answer.notes)
    assert all(note.message.startswith("not acted on yet: ") for note in answer.notes)


@pytest.mark.parametrize(
    "changes",
    [
        {"google_ads": GOOGLE % "transport: google_ads_api"},
        {"meta": META % ", in_doubt: ask", "conversions": CONVERSION % "meta: { event: Lead }"},
        {"google_ads": GOOGLE % "max_per_run: 9"},
        {"conversions": CONVERSION % "count_once_per: lead"},
        {"oplead": OPLEAD % "pull: list, budget: 2 h, in_flight: 2"},
        {"conversions": CONVERSION % "count_once_per: click, within: 10 d"},
        {"exclude": "{ names: [Jean Test] }"},
        {"oplead": OPLEAD % "pull: details"},
        {"notify": "['${NOTIFY_URL}']", "notify_when": "{ rejected_above: 10 % }"},
        {"report": "{ folder: reports, by: agency.name, sale: sale }"},
        {"metrics": "oplead.prom", "ping": "'${PING_URL}'"},
    ],
)
def test_implemented_settings_are_not_noted(loaded, changes):
    """Keys that have an effect are neither noted nor refused."""
    answer = loaded(**changes)

    assert isinstance(answer, ValidSettings), answer
    assert () == answer.notes


def test_every_pending_key_exists():
    """A misspelt one would never be noted."""
    assert set(PENDING) <= set(Settings.model_fields)
