"""A list or a key that shows far fewer leads than are on record is told, and nothing is concluded from absence."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.errors import KeyRefused
from jobs.alerts.incidents import NightFacts, detect_incidents, is_incident_over
from jobs.ledger.schema import Cursor, LeadRow
from jobs.nightly import run_night
from jobs.pull.absences import SAMPLED
from jobs.rules.incident import IncidentId, IncidentKind
from jobs.rules.reasons import Message, MessageKind
from jobs.run_context import SyncMode
from jobs.settings.schema import NotificationThresholds
from jobs.webhooks.file_inbox import WebhookInboxFile
from tests.builders import PARIS, REACH, changed, lead
from tests.fakes import NIGHT

DAY = timedelta(days=1)
NAMES = [f"L-{number:02}" for number in range(30)]


@pytest.fixture
def account(account):
    """Return an account whose leads wait for a consent that can be read."""
    account.put(*(lead(name, fields={"consent": "bof"}) for name in NAMES))
    return account


def night(account, pause=DAY):
    """Run a night after a pause."""
    account.clock.time += pause
    return account.night()


def incidents(summary):
    """Return the incidents of the kind that a night finds."""
    facts = NightFacts(NIGHT, PARIS, summary)
    return [one for one in detect_incidents(facts, NotificationThresholds()) if one.id in MISSING]


FEWER, SUSPICIOUS = (
    IncidentId(IncidentKind.FINDING, str(kind)) for kind in (MessageKind.FEWER_LEADS, MessageKind.SUSPICIOUSLY_MISSING)
)
MISSING = (FEWER, SUSPICIOUS)
REPORTED = ("L-01", "X-99", "612345678", "claire@example.fr", "06 12 34 56 78")


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.DETAILS])
@pytest.mark.parametrize(("left", "told"), [(0, 1), (14, 1), (15, 0)])
def test_list_with_fewer_than_half_of_the_known_leads_is_told_and_concludes_nothing(account, style, left, told):
    """Also where their own pages are gone; a notice says so on the first night."""
    account.sync_window = replace(REACH, style=style)
    night(account, 0 * DAY)
    account.source.unlisted = set(NAMES[left:])
    summary = night(account)

    expected = [Message(MessageKind.FEWER_LEADS, {"count": left, "before": 30})] if told else []
    assert expected == [one for one in summary.attention if one.id is MessageKind.FEWER_LEADS]
    assert (told, told) == (summary.exit_code, len(incidents(summary)))
    assert told != summary.pulled.is_absence_believed
    assert {None} == {row.deleted_at for row in account.rows(LeadRow)}


def test_empty_list_deletes_nothing_however_often_it_comes(account):
    """The last complete reading stays the one to compare with, until the list is whole again."""
    night(account, 0 * DAY)
    account.source.delete(*NAMES)
    told = [night(account).pulled.fewer.before for _ in range(3)]
    account.put(*(lead(name, fields={"consent": "bof"}) for name in NAMES))
    whole = night(account)
    over = is_incident_over(FEWER, NightFacts(NIGHT, PARIS, whole), NotificationThresholds())

    assert ([30, 30, 30], None, True) == (told, whole.pulled.fewer, over)
    assert {("withheld", None)} == {(account.states[row.id], row.deleted_at) for row in account.rows(LeadRow)}


def test_leads_that_were_really_deleted_are_accepted_by_a_human(account):
    """From then on the shorter list is what the next one is compared with."""
    night(account, 0 * DAY)
    account.source.delete(*NAMES[5:])
    account.clock.time += DAY
    with account.hold() as ledger:
        accepted = run_night(account.run(ledger, accept_fewer=True))
    later = night(account)

    assert [None, None] == [accepted.pulled.fewer, later.pulled.fewer]
    assert [5] == [row.listed_whole for row in account.rows(Cursor)]


def test_changed_settings_do_not_forget_how_many_leads_there_were(account):
    """A narrower key often comes with them."""
    night(account, 0 * DAY)
    account.book = replace(account.book, extraction_digest="another")
    account.source.delete(*NAMES[4:])

    assert 30 == night(account).pulled.fewer.before


def test_list_cut_into_several_nights_counts_them_together(account):
    """Each night sees only its own pages."""
    account.source.page = 10
    night(account, 0 * DAY)
    account.source.allowed = 2
    night(account)
    account.source.allowed, account.source.made = None, 0
    summary = night(account)

    assert (None, 0) == (summary.pulled.fewer, summary.exit_code)


@pytest.fixture
def filtered(account):
    """Return an account whose list shows only what changed, after two nights; one lead changes later."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    night(account, 0 * DAY)
    night(account, 4 * DAY)
    account.source.put(changed(account.source.leads["L-29"], updated_at=NIGHT + 5 * DAY))
    return account


def test_list_that_shifts_whenever_it_is_read_is_told_when_it_is_empty(account):
    """It skips a lead or two, never half of them."""
    account.source.moves = True
    told = []
    for shown in (NAMES, NAMES, (), ()):
        account.source.leads.clear()
        account.put(*map(lead, shown))
        told.append(night(account).exit_code)

    assert [0, 0, 1] == told[:3]
    assert {None} == {row.deleted_at for row in account.rows(LeadRow)}


def test_narrower_key_is_noticed_where_the_list_is_filtered(filtered):
    """Known leads are read by sample: half of them are gone, or refused to this key."""
    filtered.source.delete(*NAMES[17:29])
    refused = KeyRefused("not this one")
    refused.is_known = True
    filtered.source.fails = dict.fromkeys(NAMES[14:17], refused)
    summary = night(filtered)

    assert [Message(MessageKind.SUSPICIOUSLY_MISSING, {"count": 15})] == [summary.pulled.missing_leads]
    assert (1, 1, None) == (summary.exit_code, len(incidents(summary)), summary.source_stopped)
    assert {None} == {row.deleted_at for row in filtered.rows(LeadRow)}


@pytest.mark.parametrize("consent", ["bof", "oui"])
@pytest.mark.parametrize("style", [SyncMode.SINCE, SyncMode.DETAILS])
def test_leads_that_are_no_longer_there_are_told_until_a_human_accepts_it(account, style, consent):
    """In the night of the answer and after it, nothing is told, however leads are read."""
    account.sync_window = replace(REACH, style=style)
    account.source.filters = style is SyncMode.SINCE
    account.put(*(lead(name, fields={"consent": consent}) for name in NAMES))
    night(account, 0 * DAY)
    night(account, 4 * DAY)
    account.source.put(changed(account.source.leads["L-29"], updated_at=NIGHT + 5 * DAY))
    account.source.delete(*NAMES[11:26])
    told = [night(account), night(account)]
    account.clock.time += DAY
    with account.hold() as ledger:
        accepted = run_night(account.run(ledger, accept_fewer=True))
    later = [night(account), night(account), night(account)]

    assert [1, 1] == [one.exit_code for one in told]
    assert [0] * 4 == [len(incidents(one)) for one in (accepted, *later)]


def test_sample_of_a_key_that_sees_all_says_nothing(filtered):
    """As many are read each night."""
    summaries = [night(filtered), night(filtered)]

    assert [0, 0] == [one.exit_code for one in summaries]
    assert [SAMPLED] * 2 == [one.pulled.detail_pages for one in summaries]


def test_platform_without_own_pages_is_not_taken_for_a_narrower_key(filtered):
    """The lead that the list shows tonight has none either."""
    filtered.source.fetch_each = lambda ids: ((name, None) for name in ids)

    assert 0 == night(filtered).exit_code


def test_leads_that_webhooks_name_and_the_key_cannot_read_are_named(account, tmp_path):
    """One that is refused stops no night whose list was read; contact data in place of an id stays hidden."""
    night(account, 0 * DAY)
    refused = KeyRefused("not this one")
    refused.is_known = True
    account.source.unlisted, account.source.fails = {"L-01"}, {"L-01": refused}
    account.inbox = tmp_path / "inbox.db"
    inbox = WebhookInboxFile(account.inbox).open_inbox_for_writing()
    told = [WebhookEvent(CrmEventKind.STATUS_CHANGE, name) for name in REPORTED]
    inbox.append_events([ReceivedEvent(one, NIGHT, f"digest of {one.lead}", is_unique=True) for one in told])
    inbox.close()
    summary = night(account)

    (said,) = [one for one in summary.attention if one.id is MessageKind.REPORTED_MISSING]
    assert (4, {"X-99", "612345678", "<text, 17 characters>"}) == (
        said.values["count"],
        set(said.values["leads"]) - {"<text, 14 characters>"},
    )
    assert (None, True) == (summary.source_stopped, summary.pulled.complete)
