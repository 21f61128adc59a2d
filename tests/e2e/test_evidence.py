"""`evidence` at seven Opleads that nobody here had seen: each verdict is held against what their authors say."""

import functools
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobs.claims import ClaimPlatform, all_claims
from jobs.evidence.folder import EVIDENCE_FILE
from tests.e2e.strangers.account import DIALECTS, by_init
from tests.e2e.strangers.base import Refused
from tests.e2e.strangers.verdicts import right_of
from tests.e2e.support.evidence import SETTLED, Folder, uploads_that_count
from tests.e2e.support.terminal import terminal
from tests.e2e.support.typed import type_in

EACH = [pytest.param(name, marks=pytest.mark.xdist_group(f"evidence {name}")) for name in DIALECTS]
"""What is asked of one dialect is asked by one worker, which plays `init` once."""
KEPT = Path(__file__).parents[1] / "evidence"
OF_OPLEAD = [claim.id for claim in all_claims().values() if claim.platform is ClaimPlatform.OPLEAD]
pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def account(companies):
    """An account at a dialect, set up by `init` once."""
    with ExitStack() as serving:
        yield functools.cache(lambda name: serving.enter_context(by_init(companies(), DIALECTS[name])))


def walked(account, folder):
    """Walk without a terminal; return the folder."""
    done = type_in(account.company, "evidence", "--out", str(folder), file=account.settings)
    # 1 where Oplead could not be read.
    assert done.code in (0, 1), done.out + done.err
    return Folder(folder)


def talked(account, folder, typed, *options):
    """Walk at a terminal, typing the same to each question; return the folder and what was asked."""
    told = ("evidence", "--out", str(folder), "--config", str(account.settings), *options)
    with terminal(*told, environ=account.company.environ) as screen:
        code, asked = screen.answer_all(typed)
    assert 0 == code, screen.screen
    return Folder(folder), asked


def judged(name, *, agreed=False):
    """What is right of each claim on a dialect; of the advertising platforms, nobody's word is known here."""
    return lambda claim: right_of(name, claim, agreed=agreed) if claim in OF_OPLEAD else {"unclear", *SETTLED}


def writes(oplead):
    """What the Oplead was asked to change."""
    return [asked for asked, _ in oplead.asked if asked.method != "GET"]


@pytest.mark.parametrize("name", EACH)
def test_what_reading_shows_is_rightly_judged(account, name, tmp_path):
    """What a dialect breaks is refuted, and nothing is confirmed but what was seen."""
    folder = walked(account(name), tmp_path / "folder")
    assert folder.evidence["dialect"]

    assert {} == folder.wrong(judged(name))
    assert all_claims().keys() == folder.verdicts.keys()


@pytest.mark.parametrize("name", EACH)
def test_the_kept_folder_is_what_the_command_writes_today(account, name, tmp_path):
    """Else its replay shows what nobody's folder is any more; `RENEW_EVIDENCE=1` keeps what is written now."""
    kept, written = Folder(KEPT / name.lower()), walked(account(name), tmp_path / "folder")
    if os.environ.get("RENEW_EVIDENCE"):
        shutil.copy(written.path / EVIDENCE_FILE, kept.path)

    assert answers_in(kept) == answers_in(written)


def answers_in(folder):
    """How the Oplead answered; whether its rate was met is the machine's doing."""
    dialect = folder.evidence["dialect"]
    return {**dialect, "refusals": {code: one for code, one in dialect["refusals"].items() if code != "429"}}


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("typed", ["non", ""])
def test_nothing_is_written_without_a_yes(account, name, typed, tmp_path):
    """Neither at Oplead, nor at Google beyond a trial, nor at Meta; whatever is not a yes is none."""
    at = account(name)
    before = len(writes(at.oplead))
    folder, _asked = talked(at, tmp_path / "folder", typed)

    assert before == len(writes(at.oplead))
    assert [] == uploads_that_count(at.company)
    assert [] == folder.evidence["left_behind"]
    assert {} == folder.wrong(judged(name))


@pytest.mark.parametrize("name", EACH)
def test_an_oplead_that_takes_no_writes_refutes_what_was_tried(account, name, tmp_path):
    """After a yes, and nothing that was not tried; nothing is said to stay where nothing was taken."""
    at = account(name)
    folder, asked = talked(at, tmp_path / "folder", "oui")

    assert asked
    assert writes(at.oplead)
    assert [] == uploads_that_count(at.company)
    assert {} == folder.wrong(judged(name, agreed=True))
    assert [] == folder.evidence["left_behind"]


# ── an Oplead that only seems to break a claim ──────────────────────────────────────────────────────


@pytest.fixture
def otherwise(account, monkeypatch, tmp_path):
    """Walk at a dialect of which one method answers otherwise."""

    def play(name, method, instead):
        at = account(name)
        was = getattr(at.oplead, method)
        monkeypatch.setattr(at.oplead, method, lambda *told: instead(was, *told))
        return walked(at, tmp_path / "folder").verdicts

    return play


def refused_at(start, code):
    """Answer with an error below a path, to whoever has the key."""

    def answer(was, asked):
        if asked.path.startswith(start):
            raise Refused(code, {"message": "No"})
        return was(asked)

    return answer


@pytest.mark.parametrize("code", [403, 404, 500])
def test_what_only_leads_own_pages_have_is_not_missed_where_they_cannot_be_read(otherwise, code):
    """The list has no `leadData` and no history; whether the pages have is not known."""
    found = otherwise("Bravo", "answer", refused_at("/v1/leads/", code))

    assert ("unclear", "unclear") == (found["oplead.lead_data"], found["oplead.status_dates"])


def test_one_page_that_may_not_be_read_hides_no_other(otherwise):
    """Bravo's `leadData` is on leads' own pages alone."""
    first = []

    def answer(was, asked):
        first.extend([asked.path] if asked.path.startswith("/v1/leads/") and not first else [])
        return refused_at(first[0] if first else "/-", 403)(was, asked)

    assert "confirmed" == otherwise("Bravo", "answer", answer)["oplead.lead_data"]
    assert first


def test_what_neither_list_nor_pages_have_is_missed(otherwise):
    """Both were read."""
    found = otherwise("Alpha", "lead", lambda was, life: {k: v for k, v in was(life).items() if k != "leadData"})

    assert "refuted" == found["oplead.lead_data"]


def test_a_documentation_that_is_refused_may_be_there(otherwise):
    """401 without the key, 403 with it."""
    assert "unclear" == otherwise("Charlie", "answer", refused_at("/documentation/", 403))["oplead.documentation"]


def test_a_documentation_behind_a_login_may_be_there(otherwise):
    """A page with a form."""

    def login(was, asked):
        is_page = asked.path == "/documentation/index.html"
        return '<html><form><input type="password"></form></html>' if is_page else was(asked)

    assert "unclear" == otherwise("Alpha", "open", login)["oplead.documentation"]


def test_a_documentation_that_is_hidden_from_strangers_is_not_absent(otherwise):
    """404 without the key, and a page with it."""

    def hidden(was, asked):
        if asked.path != "/documentation/index.html":
            return was(asked)
        if not asked.headers.get("authorization"):
            raise Refused(404, {"message": "No"})
        return "<html>Documentation</html>"

    assert "unclear" == otherwise("Echo", "open", hidden)["oplead.documentation"]


def test_a_way_in_that_fails_for_now_is_not_refused(otherwise):
    """503 for a while says nothing of the key."""

    def answer(was, asked):
        if not asked.headers.get("apikey"):
            raise Refused(503, {"message": "Unavailable"})
        return was(asked)

    assert "unclear" == otherwise("Alpha", "has_key", answer)["oplead.key_header"]


def test_an_oplead_without_leads_settles_nothing_about_leads(otherwise):
    """No lead lacks anything."""

    def empty(_was, asked):
        if asked.path == "/v1/leads":
            return {"leads": [], "pagination": {"page": 1, "pageSize": 20, "totalCount": 0, "totalPages": 0}}, {}
        return None

    found = otherwise("Alpha", "answer", empty)

    assert {"unclear"} == {
        found[f"oplead.{claim}"] for claim in ("lead_data", "status_dates", "field_names", "list_shape", "key_header")
    }
