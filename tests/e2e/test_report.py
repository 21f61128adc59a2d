"""The report of the installed command: each night writes it, anyone may write it again, and it names nobody."""

import json
from datetime import timedelta

import pytest

pytest.importorskip("jobs.reporting.page.render")

HOUR = timedelta(hours=1)


@pytest.fixture
def reported(company):
    """A company whose nights write the report, with a lead whose appointment was made before the first one."""
    company.settings["report"] = {"folder": "pages", "by": "agency"}
    lead = company.lead(1, ("Rendez-vous", company.START - 5 * HOUR))
    lead["contact"] = {"email": "witness.1@example.com", "phone": "06 12 34 56 78", "lastName": "Zyxwvut"}
    company.serve(lead | {"agency": "Agence de Lyon"})
    return company


def page_of(company):
    """The path of the page that a night writes."""
    return company.directory / "run" / "pages" / f"{company.settings['account']}-report.html"


def test_a_night_writes_the_page_and_the_command_writes_it_again(reported):
    """Both from the ledger alone: Oplead and the platforms may be gone by then."""
    code, _, err = reported.command("run")
    assert 0 == code, err
    page = page_of(reported)
    first = page.read_text(encoding="utf-8")
    page.unlink()
    code, out, err = reported.command("report")

    assert (0, True) == (code, page.exists()), err
    assert page.name in out.replace("\n", "")
    assert first.count("<section") == page.read_text(encoding="utf-8").count("<section")


def test_the_page_speaks_the_language_of_its_account(reported):
    """Not that of the terminal where it is written, which is English here."""
    reported.settings["language"] = "fr"
    reported.command("run")
    page_of(reported).unlink()
    _, out, _ = reported.command("report")

    assert "le rapport est dans" in out.replace("\n", " ")
    assert '<html lang="fr">' in page_of(reported).read_text(encoding="utf-8")


def test_the_page_names_no_lead_by_anything_personal(reported):
    """Not by contact data nor by a click id, on the page or in the files beside it."""
    reported.command("run")
    csv = reported.directory / "csv"
    code, out, err = reported.command("report", "--json", "--csv", str(csv), "--out", str(csv))
    said = out + err + "".join(path.read_text(encoding="utf-8-sig") for path in csv.iterdir())

    assert 0 == code, err
    assert 1 == json.loads(out)["campaigns"][0]["leads"]
    for witness in ("witness", "12 34", "612345678", "Zyxwvut", "Cj0KCQ"):
        assert witness not in said


def test_a_page_that_cannot_be_written_does_not_change_the_night(reported):
    """It is a warning in the log; what was to be sent is sent."""
    (reported.directory / "run").mkdir(exist_ok=True)
    (reported.directory / "run" / "pages").write_text("a file, not a folder")
    code, _, err = reported.command("run")

    assert (0, {"submitted"}) == (code, set(reported.states().values()))
    assert "the report could not be written" in {json.loads(line)["event"] for line in err.splitlines()}
