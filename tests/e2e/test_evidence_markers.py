"""Nobody who is on record at an Oplead is in a folder of evidence, wherever an answer has them."""

import pytest

from tests.e2e.strangers.planter import Planter
from tests.e2e.support.evidence import WRITE, Folder
from tests.e2e.support.terminal import terminal
from tests.e2e.support.typed import type_in

FEWEST = 10_000
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def full(company):
    """An Oplead that is full of people, and the company whose it is."""
    with Planter(company.clock.now).serving() as oplead:
        company.environ["OPLEAD_TOKEN"] = oplead.KEY
        company.settings["oplead"] = {"base_url": oplead.url}
        yield oplead


def test_of_ten_thousand_people_none_is_in_the_folder(company, full, tmp_path):
    """In values, names of fields, ids, addresses, headers, errors and documentation, after reading alone."""
    done = type_in(company, "evidence", "--out", str(tmp_path / "folder"))
    folder = Folder(tmp_path / "folder")

    assert 0 == done.code, done.out + done.err
    assert FEWEST <= len(full.planted)
    assert {} == folder.found(full.must_not_be_found())
    assert set() == full.must_not_be_found().found_in((done.out + done.err).encode())
    assert folder.evidence["dialect"] is not None


def test_nor_is_anybody_after_a_yes_to_everything(company, full, tmp_path):
    """What is written is answered with more than was sent, and refused with what was sent, the key and names."""
    company.settings["oplead"] |= {"write": WRITE}
    told = ("evidence", "--out", str(tmp_path / "folder"), "--config", str(company.config))
    with terminal(*told, environ=company.environ) as screen:
        code, asked = screen.answer_all("yes")

    assert 0 == code, screen.screen
    assert asked
    assert full.written
    assert {} == Folder(tmp_path / "folder").found(full.must_not_be_found())
    assert set() == full.must_not_be_found().found_in(screen.screen.encode())
