"""The command searches what it writes for what it has read, whatever redaction has let through."""

import json
import signal

import pytest
import typer

from connectors.errors import Transient
from connectors.evidence import Exchange
from jobs.cli.setup import evidence
from jobs.exit_codes import Exit, UsageError
from tests.unit.evidence.test_oplead_reads import LOOK, replace

KEY = "key-of-the-client-admin"


@pytest.fixture
def walked(tmp_path, monkeypatch):
    """Walk where looking records one exchange, and return the exit code and the folder's exchanges."""
    settings = tmp_path / "pipeline.yaml"
    settings.write_text("account: maison-test\noplead:\n  token: ${OPLEAD_TOKEN}\n")

    def walk(path, contact=frozenset(), error=None, test_dataset=None, unread_pages=0):
        def look(_known, _clock, recorder):
            recorder.add(Exchange("oplead", "GET", path))
            if error:
                raise error
            return replace(LOOK, contact=contact, unread_pages=unread_pages)

        monkeypatch.setattr(evidence, "look_at_oplead", look)
        code = evidence.gather_evidence(settings, tmp_path / "out", test_dataset, environ={"OPLEAD_TOKEN": KEY})
        return code, [each.read_text() for each in (tmp_path / "out").rglob("exchanges/*.json")]

    return walk


def test_what_was_read_of_people_is_searched_for(walked):
    """The folder was written to before anything was known of them."""
    assert (Exit.ATTENTION, []) == walked("/v1/leads/durand-lemaire", frozenset({"Durand-Lemaire"}))


@pytest.mark.parametrize("error", [None, Transient("away")])
def test_the_key_is_searched_for(walked, error):
    """Also where Oplead could not be read."""
    assert (Exit.ATTENTION, []) == walked(f"/v1/{KEY}", error=error)


def test_what_holds_nothing_of_it_is_kept(walked):
    """And the walk ends well."""
    code, exchanges = walked("/v1/leads", frozenset({"Durand-Lemaire"}))

    assert (Exit.DONE, 1) == (code, len(exchanges))


@pytest.mark.parametrize("dataset", ["", "meta", "12²", "١٢٣", "123 ", "-1", "1" * 21])
def test_a_test_dataset_that_is_no_number_is_refused_at_once(walked, dataset, tmp_path, capsys):
    """With what to pass; nothing is asked, said or written before."""
    with pytest.raises(UsageError, match=r"--test-dataset: .*Events Manager"):
        walked("/v1/leads", test_dataset=dataset)

    assert not (tmp_path / "out").exists()
    assert "" == capsys.readouterr().out


@pytest.mark.parametrize(("dataset", "excepted"), [(None, False), ("424242424242", True)])
def test_the_screen_excepts_the_test_dataset_from_what_is_not_sent(walked, dataset, excepted, capsys):
    """Only where one was named, and by its id."""
    walked("/v1/leads", test_dataset=dataset)
    said = capsys.readouterr().out

    assert "Nothing is sent as a conversion" in said
    assert excepted is ("except to the test dataset you named" in said)
    assert dataset is None or dataset in said


def test_a_test_lead_is_nobody_whose_data_is_searched_for(walked):
    """Its first name may be part of a status; its own address is no person's."""
    ours = frozenset({"Test", "oplead-sync", "test-20261203101112@oplead-sync.invalid"})
    code, exchanges = walked("/v1/test", ours)

    assert (Exit.DONE, 1) == (code, len(exchanges))


def test_nobody_is_asked_again_once_a_question_stayed_without_an_answer(monkeypatch):
    """Each would keep the walk waiting for ten minutes."""
    answers = iter([True, False, None])
    monkeypatch.setattr(evidence, "is_interactive", lambda: True)
    monkeypatch.setattr(evidence, "is_answered_with_yes", lambda _question, _token: next(answers))
    agrees = evidence._asking(lambda: None)

    assert [True, False, False, False] == [agrees("?") for _ in range(4)]


def test_a_walk_that_is_asked_to_stop_ends_after_the_verdict_at_hand(walked, monkeypatch, tmp_path):
    """What is known by then is kept."""
    asked = iter([signal.SIGINT])
    monkeypatch.setattr(evidence, "_show", lambda _verdict: [signal.raise_signal(one) for one in asked])

    with pytest.raises(typer.Exit):
        walked("/v1/leads")
    assert 1 == len(json.loads((tmp_path / "out" / "evidence.json").read_text())["verdicts"])


@pytest.mark.parametrize(("unread", "said"), [(0, ""), (1, "1 lead's own page could"), (2, "2 leads' own pages could")])
def test_what_could_not_be_read_is_said(walked, unread, said, capsys):
    """Verdicts rest on the rest."""
    walked("/v1/leads", unread_pages=unread)

    out = capsys.readouterr().out
    assert said in out
    assert bool(unread) is ("could not be read" in out)
