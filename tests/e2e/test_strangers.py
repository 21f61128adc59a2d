"""From a key and an address to a right first night, at seven Opleads that only their guide's readers have seen.

Each is written from Oplead's guide alone, with what a right night makes of its leads written beside it; a careful
French marketer answers `init` at a pseudo-terminal from what is on the screen.
"""

import functools
import json
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.strangers.account import DIALECTS, by_init
from tests.e2e.strangers.score import Sheet
from tests.e2e.support.typed import type_in
from tests.e2e.support.webhook_receiver import SECRET, ReceiverProcess

NIGHT_IS_DONE = (0, 1)
pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(300)]


EACH = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in DIALECTS]
"""What is asked of one dialect is asked by one worker, which plays it once."""


@pytest.fixture(scope="module")
def played(companies):
    """What came of a dialect, played once."""
    return functools.cache(lambda name: first_night(companies(), DIALECTS[name]))


class Played(NamedTuple):
    """What came of one dialect."""

    sheet: Sheet
    oplead: object
    settings: Path
    environ: dict


def first_night(company, dialect):
    """Play a dialect from `init` to the first night."""
    sheet = Sheet(dialect.__name__)
    with by_init(company, dialect) as account:
        oplead, settings, sheet.stuck = account.oplead, account.settings, account.stuck
        sheet.typed = account.marketer.typed
        if not sheet.stuck:
            night = type_in(company, "run", "--first-run", file=settings)
            if night.code in NIGHT_IS_DONE:
                # Google tells later what has become of a click id.
                company.clock.advance(company.clock.now() + company.OUTCOMES_AFTER)
                type_in(company, "run", file=settings)
                explained = (type_in(company, "explain", str(key), "--json", file=settings) for key in oplead.by_id)
                sheet.compare(
                    oplead, {one["lead"]: one for each in explained if each.code == 0 for one in each.objects}
                )
            else:
                sheet.stuck = f"the night ended with {night.code}: {night.lines[:300]}"
    print(sheet, *account.marketer.remarks, sep="\n         ")  # noqa: T201 - the score is what this is for
    return Played(sheet, oplead, settings, company.environ)


@pytest.mark.parametrize("name", EACH)
def test_the_first_night_is_right_without_a_path_written_by_hand(played, name):
    """In English or French, whatever the envelope, the paging, the key, the status and its history, pairs or fields."""
    sheet = played(name).sheet

    assert sheet.is_right, sheet
    assert not sheet.typed, sheet.typed


@pytest.mark.parametrize("name", EACH)
def test_a_webhook_is_a_change_of_its_lead_with_status_and_time_whatever_it_is_wrapped_in(played, name, tmp_path):
    """By the settings that `init` wrote, and nothing else."""
    _, oplead, settings, environ = played(name)
    receiver = ReceiverProcess(tmp_path / "hook")
    hooks = {"secret": "${HOOK}", "listen": f"127.0.0.1:{receiver.port}"}
    receiver.settings.write_text(
        f"{settings.read_text(encoding='utf-8')}\nwebhooks: {json.dumps(hooks)}\n", encoding="utf-8"
    )
    receiver.environ |= environ
    told = oplead.lives[:3]
    with receiver:
        for life in told:
            url = f"http://127.0.0.1:{receiver.port}/hooks/{SECRET}"
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(url, json.dumps(oplead.notice(life)).encode(), headers)
            with urllib.request.urlopen(request, timeout=20) as answered:  # noqa: S310 - on loopback
                assert 204 == answered.status
        receiver.stop()

    meant = {str(oplead.lead_id(life)): [oplead.change(life)] for life in told}
    events = {lead: [one.event for one in events] for lead, events in receiver.events_of(meant).items()}
    assert meant == {lead: [(one.kind, one.label, one.at and one.at.at) for one in of] for lead, of in events.items()}
