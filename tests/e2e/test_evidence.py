"""`evidence` at six Opleads that nobody here had seen: each verdict is held against what their authors say is right."""

import functools
from contextlib import ExitStack

import pytest

from jobs.claims import ClaimPlatform, all_claims
from tests.e2e.strangers.account import DIALECTS, by_init
from tests.e2e.strangers.verdicts import right_of
from tests.e2e.support.evidence import Folder
from tests.e2e.support.typed import type_in

EACH = [pytest.param(name, marks=pytest.mark.xdist_group(f"evidence {name}")) for name in DIALECTS]
"""What is asked of one dialect is asked by one worker, which plays `init` once."""
OF_OPLEAD = [claim.id for claim in all_claims().values() if claim.platform is ClaimPlatform.OPLEAD]
pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def account(companies):
    """An account at a dialect, set up by `init` once."""
    with ExitStack() as serving:
        yield functools.cache(lambda name: serving.enter_context(by_init(companies(), DIALECTS[name])))


def walked(account, folder, *options):
    """Walk without a terminal; return the folder."""
    done = type_in(account.company, "evidence", "--out", str(folder), *options, file=account.settings)
    assert 0 == done.code, done.out + done.err
    return Folder(folder)


@pytest.mark.parametrize("name", EACH)
def test_what_reading_shows_is_rightly_judged(account, name, tmp_path):
    """What a dialect breaks is refuted, and nothing is confirmed but what was seen."""
    folder = walked(account(name), tmp_path / "folder")

    assert {} == folder.wrong(lambda claim: right_of(name, claim) if claim in OF_OPLEAD else {"unclear"})
    assert all_claims().keys() == folder.verdicts.keys()
