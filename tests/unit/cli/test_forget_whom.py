"""Whom `forget` is given: an address from stdin stands in no history, and in no text of the program."""

import io

import pytest

from jobs.cli.lead.forget import ForgetRequest


@pytest.mark.parametrize("option", ["email", "phone"])
def test_dash_reads_from_stdin(monkeypatch, option):
    """One line, without what surrounds it."""
    monkeypatch.setattr("sys.stdin", io.StringIO("  what was typed \nnext line\n"))
    contact = ForgetRequest(**{option: "-"}).contact

    assert ("what was typed",) == (contact.emails or contact.phones)


def test_what_is_given_is_not_shown_by_its_record():
    """An exception or a log line that shows the record shows nothing of the person."""
    assert "jeanne" not in repr(ForgetRequest(email="jeanne@example.org", phone="jeanne"))
