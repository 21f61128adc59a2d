"""Every key has an effect: none is noted as doing nothing."""

import pytest

from jobs.settings import ValidSettings

META = "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}'%s }"
CONVERSION = "[{ id: sale, stage: won, google_ads: { conversion_action: 12 }, %s }]"
GOOGLE = "{ customer_id: 1234567890, credentials: key.json, %s }"
OPLEAD = "{ token: '${OPLEAD_TOKEN}', %s }"


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
        {"retention": "{ leads: 14 months, click_ids: window, runs: 2 y, history: 900 d }"},
        {"metrics": "oplead.prom", "ping": "'${PING_URL}'"},
    ],
)
def test_implemented_settings_are_not_noted(loaded, changes):
    """Keys that have an effect are neither noted nor refused."""
    answer = loaded(**changes)

    assert isinstance(answer, ValidSettings), answer
    assert () == answer.notes
