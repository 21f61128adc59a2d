"""The folder of a walk is read again as it was written, holds nothing personal, and takes nobody else's place."""

from datetime import date

import pytest

from connectors.evidence import Exchange
from jobs.claims import ClaimId
from jobs.evidence.folder import Evidence, EvidenceFolder, mark_of
from jobs.evidence.summary import summaries
from jobs.evidence.verdicts import ClaimVerdict, Verdict, in_both_languages
from jobs.exit_codes import UsageError

TODAY = date(2026, 12, 2)
MARK = mark_of("maison-durand", "api.oplead.com")
CLAIM = ClaimId("oplead.lead_data")


def evidence(name="id"):
    """A walk's evidence."""
    verdict = ClaimVerdict(CLAIM, Verdict.CONFIRMED, in_both_languages(lambda: "seen"), TODAY, (1, 2))
    return Evidence(TODAY, "1.0", MARK, {CLAIM: verdict}, dialect={"lead": {name: "integer"}})


def found_in(path, mark=MARK):
    """What a walk finds in a folder."""
    with EvidenceFolder(path).open(TODAY, "1.0", mark) as found:
        return found


def test_a_walk_goes_on_from_what_was_written(tmp_path):
    """The verdicts and the dialect."""
    folder = EvidenceFolder(tmp_path / "out")
    folder.save(evidence(), summaries(evidence()))

    assert evidence() == found_in(tmp_path / "out")
    assert {"evidence.json", "summary.md", "resume.md"} == {each.name for each in (tmp_path / "out").iterdir()}


def test_alike_exchanges_are_written_once_also_by_the_next_walk(tmp_path):
    """Under one number."""
    first, other = Exchange("oplead", "GET", "/v1/leads"), Exchange("oplead", "GET", "/v1/leads/{id}")

    assert (1, 2) == EvidenceFolder(tmp_path).add([first, other, first])
    assert (2,) == EvidenceFolder(tmp_path).add([other])


def test_what_holds_personal_data_is_never_written(tmp_path):
    """An exchange is left out and counted; evidence is refused whole."""
    folder = EvidenceFolder(tmp_path / "out", frozenset({"Durand-Lemaire", "Court", "06 12 34 56 78"}))
    paths = ("/v1/Durand-Lemaire", "/v1/COURT", "/v1/+33612345678", "/v1/courtiers")

    assert (1,) == folder.add(Exchange("oplead", "GET", path) for path in paths)
    assert 3 == folder.withheld
    with pytest.raises(UsageError, match="personal data"):
        folder.save(evidence("Chez DURAND-LEMAIRE"), {})
    assert ["001.json"] == [each.name for each in (tmp_path / "out").rglob("*.*")]


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 2}', '{"version": 1, "verdicts": 3}'])
def test_evidence_that_cannot_be_read_is_refused(tmp_path, content):
    """It may be somebody's; it is left as it is."""
    (tmp_path / "evidence.json").write_text(content)

    with pytest.raises(UsageError, match="new folder"):
        found_in(tmp_path)
    assert content == (tmp_path / "evidence.json").read_text()


def test_a_folder_with_something_else_is_refused(tmp_path):
    """Nothing is mixed with it."""
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(UsageError, match="something else"):
        found_in(tmp_path)


def test_a_folder_in_which_a_walk_was_killed_is_gone_on_with(tmp_path):
    """Before its first file was whole."""
    (tmp_path / ".evidence.json.new").write_text("{")

    assert Evidence(TODAY, "1.0", MARK) == found_in(tmp_path)


def test_words_of_our_own_are_nobodys(tmp_path):
    """A lead may have them by accident; dates are written in zeros."""
    folder = EvidenceFolder(tmp_path, frozenset({"null", "Text", "0000000000", "True"}))

    assert (1,) == folder.add([Exchange("oplead", "GET", "/v1", answered={"at": "date 0000-00-00 00:00:00 | null"})])


def test_the_folder_of_another_account_is_refused(tmp_path):
    """Its verdicts would pass for this one's; the mark itself tells nobody whose it is."""
    folder = EvidenceFolder(tmp_path)
    folder.save(evidence(), {})

    for other in (mark_of("maison-durand", "oplead.example"), mark_of("toiture-martin", "api.oplead.com")):
        with pytest.raises(UsageError, match="another account"):
            found_in(tmp_path, other)
    assert 2 == len(MARK)


def test_a_folder_has_one_walk_at_a_time(tmp_path):
    """The other one is told, and may come once that has ended."""
    with EvidenceFolder(tmp_path / "out").open(TODAY, "1.0", MARK), pytest.raises(UsageError, match="in use"):
        found_in(tmp_path / "out")
    found_in(tmp_path / "out")

    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="cannot be written"):
        found_in(tmp_path / "file")


def test_what_fails_in_a_walk_is_not_taken_for_another_walk(tmp_path):
    """Also where it is an error of the kind by which a held folder shows."""
    with pytest.raises(BlockingIOError), EvidenceFolder(tmp_path / "out").open(TODAY, "1.0", MARK):
        raise BlockingIOError
