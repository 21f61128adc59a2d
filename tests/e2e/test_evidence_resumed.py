"""`evidence` that was killed goes on with what it has, and makes nothing twice."""

from datetime import timedelta
from itertools import product

import pytest

from jobs.claims import all_claims
from tests.e2e.support.evidence import SETTLED, WRITE, Folder, made_by_walks, serve_pages
from tests.e2e.support.terminal import terminal
from tests.e2e.support.typed import type_in

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    ("point", "nth"),
    [*product(("before a verdict is saved", "verdict saved"), (1, 3)), ("exchanges written", 1)],
)
def test_a_walk_that_was_killed_goes_on(company, point, nth, tmp_path):
    """What was settled is not asked again, and in the end everything is there."""
    serve_pages(company)
    told = ("evidence", "--out", str(tmp_path / "folder"))
    assert -9 == company.killed(point, nth, told, points="killed_evidence")
    folder = Folder(tmp_path / "folder")
    before = (
        {one["claim"]: one for one in folder.evidence["verdicts"]} if (folder.path / "evidence.json").exists() else {}
    )
    company.clock.advance(company.clock.now() + timedelta(days=1))

    again = type_in(company, *told)

    assert 0 == again.code, again.out + again.err
    after = {one["claim"]: one for one in folder.evidence["verdicts"]}
    settled = {claim: one for claim, one in before.items() if one["verdict"] in SETTLED}
    assert settled == {claim: after[claim] for claim in settled}
    assert all_claims().keys() == after.keys()
    assert {"2026-09-11"} == {one["day"] for claim, one in after.items() if claim not in settled}
    assert {number for one in after.values() for number in one["exchanges"]} <= folder.exchanges.keys()


@pytest.mark.parametrize("nth", [2, 3, 4, 5])
def test_a_walk_that_was_killed_makes_no_second_test_lead(company, nth, tmp_path):
    """Killed before one of its questions, it goes on with what it made, and the folder names that."""
    serve_pages(company)
    company.settings["oplead"] = {"write": WRITE}
    told = ("evidence", "--out", str(tmp_path / "folder"), "--config", str(company.config))
    with terminal(*told, environ=company.environ) as screen:
        _none, asked = screen.answer_all("yes", most=nth)
        screen.kill()
    with terminal(*told, environ=company.environ) as screen:
        code, _rest = screen.answer_all(lambda question: "no" if "deleted?" in question else "yes")

    assert (nth, 0) == (len(asked), code), screen.screen
    made = made_by_walks(company)
    assert 1 == len(made)
    assert made == [one["id"] for one in Folder(tmp_path / "folder").evidence["left_behind"] if one["kind"] == "lead"]
